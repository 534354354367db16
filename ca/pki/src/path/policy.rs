//! Certificate policies along a path: which of them every authority stands for.
//!
//! Policy mappings are refused, critical or not: what another authority calls a policy of its own never stands for one
//! of this city's. Without them the tree of RFC 5280 is one set of policies that only shrinks.
// spec: rfc5280#6.1.2, rfc5280#6.1.3 (d) to (f), rfc5280#6.1.4, rfc5280#6.1.5
use super::facts::policies;
use super::names::same;
use super::{ANY_POLICY, Oid, POLICY_MAPPINGS, PathError};
use crate::asn1::{DerError, Reader};
use crate::view::{CertificateView, POLICIES};

pub(super) const POLICY_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.36");
pub(super) const INHIBIT_ANY_POLICY: Oid = Oid::new_unwrap("2.5.29.54");

/// What is valid down to one certificate.
struct Valid<'a> {
    policies: Vec<&'a [u8]>,
    /// Any policy that a certificate below names.
    any: bool,
}

/// Judges the certificates from below the anchor down to the holder. Some policy of `wanted` must be valid for all of
/// them, and named by the holder itself: `anyPolicy` among those wanted means some policy, none wanted means whatever
/// the authorities ask for.
pub(super) fn judge(wanted: &[Oid], down: &[&CertificateView<'_>]) -> Result<(), PathError> {
    let certificates = down.len();
    let mut valid = Valid { policies: Vec::new(), any: true };
    // Counted down at each certificate; at nought the rule holds. spec: rfc5280#6.1.2 (d), (e)
    let mut until_explicit = if wanted.is_empty() { certificates + 1 } else { 0 };
    let mut until_no_any = certificates + 1;
    for (at, view) in down.iter().enumerate() {
        let last = at + 1 == certificates;
        if view.extension(&POLICY_MAPPINGS).is_some() {
            return Err(PathError::Malformed("policy mappings".to_owned()));
        }
        let own_name = same(view.subject, view.issuer);
        valid = narrowed(valid, view, until_no_any > 0 || (own_name && !last))?;
        if until_explicit == 0 && valid.policies.is_empty() && !valid.any {
            return Err(PathError::WrongPolicy);
        }
        if !own_name || last {
            until_explicit = until_explicit.saturating_sub(1);
            until_no_any = until_no_any.saturating_sub(1);
        }
        let (explicit, no_any) = (constraint(view)?, skipped(view.extension(&INHIBIT_ANY_POLICY), 2)?);
        // Of the holder's own only "from here" counts. spec: rfc5280#6.1.5 (b)
        if let Some(explicit) = explicit.filter(|certificates| !last || *certificates == 0) {
            until_explicit = until_explicit.min(explicit);
        }
        until_no_any = until_no_any.min(no_any.unwrap_or(usize::MAX));
    }
    if until_explicit == 0 && valid.policies.is_empty() && !valid.any {
        return Err(PathError::WrongPolicy);
    }
    let fits = |policy: &Oid| *policy == ANY_POLICY || valid.policies.contains(&policy.as_bytes());
    if wanted.is_empty() || wanted.iter().any(fits) { Ok(()) } else { Err(PathError::WrongPolicy) }
}

/// The policies that stand after one more certificate. `any` says whether its anyPolicy counts.
fn narrowed<'a>(before: Valid<'a>, view: &CertificateView<'a>, any: bool) -> Result<Valid<'a>, DerError> {
    if view.extension(&POLICIES).is_none() {
        return Ok(Valid { policies: Vec::new(), any: false });
    }
    let named = policies(view)?;
    let names_any = any && named.contains(&ANY_POLICY.as_bytes());
    let mut policies: Vec<&[u8]> = named.into_iter().filter(|policy| *policy != ANY_POLICY.as_bytes() && (before.any || before.policies.contains(policy))).collect();
    if names_any {
        policies.extend(before.policies.iter().filter(|policy| !policies.contains(policy)).copied().collect::<Vec<_>>());
    }
    Ok(Valid { policies, any: before.any && names_any })
}

/// requireExplicitPolicy of PolicyConstraints: after how many more certificates.
fn constraint(view: &CertificateView<'_>) -> Result<Option<usize>, DerError> {
    let Some(value) = view.extension(&POLICY_CONSTRAINTS) else { return Ok(None) };
    let mut fields = Reader::new(Reader::only(value, 0x30)?);
    let explicit = fields.optional(0x80)?.map(number).transpose()?;
    // How soon mappings are forbidden: they always are.
    fields.optional(0x81)?.map(number).transpose()?;
    fields.end()?;
    Ok(explicit)
}

fn skipped(value: Option<&[u8]>, tag: u8) -> Result<Option<usize>, DerError> {
    value.map(|value| number(Reader::only(value, tag)?)).transpose()
}

/// Larger numbers than any path has certificates are all alike.
pub(super) fn number(octets: &[u8]) -> Result<usize, DerError> {
    match octets {
        [first, ..] if first & 0x80 != 0 => Err(DerError::Value("a negative number of certificates")),
        [] => Err(DerError::Value("a number without digits")),
        [only] => Ok(usize::from(*only)),
        _ => Ok(usize::MAX),
    }
}
