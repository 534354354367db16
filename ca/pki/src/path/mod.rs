//! Whether to trust a signer: the path to an anchor, usage, names, policy and revocation, at a time that is an argument.
//!
//! Stricter than RFC 5280 where nobody of this city needs more: every certificate of a path but the anchor needs a current
//! full list of its issuer's own key, policies are not mapped, the holder itself names a policy that is asked for. How
//! it differs from others on public vectors, and why, is `certs-test/oracles/divergences.txt`.
// spec: rfc5280#6
mod answer;
mod facts;
mod names;
mod policy;
mod revocation;
mod search;

use crate::asn1::{DerError, Reader};
use crate::crl::Reason;
use crate::effort::Effort;
use crate::view::{ALTERNATIVE_NAME, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CRL_POINTS, CertificateView, EXTENDED_KEY_USAGE, KEY_USAGE, POLICIES, SUBJECT_KEY_ID};
pub use answer::{RevocationAnswer, Said};
pub use const_oid::ObjectIdentifier as Oid;
pub use facts::CertificateFacts;
pub use revocation::{ListError, Revocation, RevocationList};
use search::Search;
use std::cell::RefCell;
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// The most certificates in which issuers are looked for.
pub const MAX_INTERMEDIATES: usize = 16;

const ANY_POLICY: Oid = Oid::new_unwrap("2.5.29.32.0");
const POLICY_MAPPINGS: Oid = Oid::new_unwrap("2.5.29.33");
/// Wanted of a holder: any purpose, and none need be said.
pub const ANY_PURPOSE: Oid = Oid::new_unwrap("2.5.29.37.0");
const KEY_CERT_SIGN: u8 = 5;
const CRL_SIGN: u8 = 6;

/// What may be critical, since it is judged here: names, usage, constraints, policies, and where lists are.
const UNDERSTOOD: [Oid; 12] = [
    ALTERNATIVE_NAME,
    AUTHORITY_KEY_ID,
    BASIC_CONSTRAINTS,
    CRL_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    POLICIES,
    SUBJECT_KEY_ID,
    POLICY_MAPPINGS,
    names::NAME_CONSTRAINTS,
    policy::POLICY_CONSTRAINTS,
    policy::INHIBIT_ANY_POLICY,
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the certificate, or an issuer of it, expired; sign with a current one")]
    Expired,
    #[error("the certificate, or an issuer of it, is not valid yet; check the clocks")]
    NotYetValid,
    #[error("no trusted issuer of the certificate was found; send the issuing certificates along, or use a certificate of this city")]
    UnknownIssuer,
    #[error("the certificate, or an issuer of it, was revoked at {at} ({reason:?}); use another one")]
    Revoked { at: OffsetDateTime, reason: Reason },
    #[error("whether the certificate is revoked is not known: there is no current CRL of its issuer; fetch the CRL and try again")]
    RevocationUnknown,
    #[error("the certificate is not made for this use; use one of the right kind")]
    WrongUsage,
    #[error("the certificate was not issued under the policy that is asked for; use one of the right kind")]
    WrongPolicy,
    #[error("an issuer of the certificate was not allowed to issue it")]
    Constraint,
    #[error("more than 16 issuing certificates were sent; send the path only")]
    TooMany,
    #[error("a certificate of the path is malformed or uses what is not supported: {0}")]
    Malformed(String),
}

impl From<DerError> for PathError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The certificates that trust begins with.
#[derive(Debug)]
pub struct Anchors {
    certificates: Vec<Vec<u8>>,
}

impl Anchors {
    /// From certificates in DER.
    pub fn new(certificates: &[impl AsRef<[u8]>]) -> Result<Self, PathError> {
        for certificate in certificates {
            CertificateView::parse(certificate.as_ref())?;
        }
        Ok(Self { certificates: certificates.iter().map(|one| one.as_ref().to_vec()).collect() })
    }

    /// DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    fn views(&self) -> Result<Vec<CertificateView<'_>>, PathError> {
        self.certificates.iter().map(|certificate| CertificateView::parse(certificate).map_err(PathError::from)).collect()
    }
}

/// What a signer's certificate must be made for.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// `ANY_PURPOSE` asks for none in particular.
    pub extended_key_usage: Oid,
    /// Bits as in RFC 5280, each of which must be set.
    pub key_usage: Vec<u8>,
    /// One of these; none are asked for when it is empty. `anyPolicy` asks for some policy.
    pub policies: Vec<Oid>,
}

/// All that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Validation<'a> {
    pub anchors: &'a Anchors,
    /// Every certificate of the path but the anchor must be covered by a current one.
    pub lists: &'a [RevocationList],
    pub required: &'a Requirements,
    pub at: OffsetDateTime,
}

/// A certificate that passed.
#[derive(Clone, PartialEq, Eq)]
pub struct Trusted {
    certificate: Vec<u8>,
    facts: CertificateFacts,
}

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trusted").field(&self.facts).finish()
    }
}

impl Trusted {
    /// DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

impl Validation<'_> {
    /// Decides about a certificate; its issuers are looked for among `intermediates`, which nobody needs to trust.
    pub fn trust(&self, certificate: &[u8], intermediates: &[impl AsRef<[u8]>]) -> Result<Trusted, PathError> {
        let facts = CertificateFacts::of(&CertificateView::parse(certificate)?)?;
        self.climb(certificate, intermediates, &Effort::unbounded(), &|path| self.judge(path))?;
        Ok(Trusted { certificate: certificate.to_vec(), facts })
    }

    /// The path from a certificate to an anchor, DER, the anchor's last: everything is judged but revocation, which is asked
    /// of each pair by [`Self::standing`] or of a responder.
    pub fn path(&self, certificate: &[u8], intermediates: &[impl AsRef<[u8]>]) -> Result<Vec<Vec<u8>>, PathError> {
        self.path_within(certificate, intermediates, &Effort::unbounded())
    }

    /// As [`Self::path`], within what is left of an effort.
    pub fn path_within(&self, certificate: &[u8], intermediates: &[impl AsRef<[u8]>], effort: &Effort<'_>) -> Result<Vec<Vec<u8>>, PathError> {
        let found = RefCell::new(Vec::new());
        self.climb(certificate, intermediates, effort, &|path| {
            self.judge_but_revocation(path)?;
            *found.borrow_mut() = path.iter().map(|view| view.der.to_vec()).collect();
            Ok(())
        })?;
        Ok(found.into_inner())
    }

    /// As [`Self::path`], of certificates that were read, each there once, and the caller has the last word on each path: where it
    /// refuses one, the next is looked for.
    pub(crate) fn path_that(&self, holder: &CertificateView<'_>, intermediates: &[&CertificateView<'_>], effort: &Effort<'_>, accept: &dyn Fn(&[&CertificateView<'_>]) -> Result<(), PathError>) -> Result<(), PathError> {
        self.climb_read(holder, intermediates, effort, &|path| self.judge_but_revocation(path).and_then(|()| accept(path)))
    }

    /// Whether a certificate of a path is revoked at this time, by the lists.
    pub fn standing(&self, subject: &[u8], issuer: &[u8], is_authority: bool) -> Result<(), PathError> {
        self.judge_revocation(&CertificateView::parse(subject)?, &CertificateView::parse(issuer)?, is_authority)
    }

    fn climb(&self, certificate: &[u8], intermediates: &[impl AsRef<[u8]>], effort: &Effort<'_>, judge: &dyn Fn(&[&CertificateView<'_>]) -> Result<(), PathError>) -> Result<(), PathError> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(PathError::TooMany);
        }
        let holder = CertificateView::parse(certificate)?;
        // What cannot be read is no issuer of anybody; what is sent twice is tried once, so that copies cost nothing.
        let mut seen = BTreeSet::new();
        let distinct = intermediates.iter().map(AsRef::as_ref).filter(|one| seen.insert(*one));
        let read: Vec<_> = distinct.filter_map(|one| CertificateView::parse(one).ok()).collect();
        self.climb_read(&holder, &read.iter().collect::<Vec<_>>(), effort, judge)
    }

    fn climb_read(&self, holder: &CertificateView<'_>, intermediates: &[&CertificateView<'_>], effort: &Effort<'_>, judge: &dyn Fn(&[&CertificateView<'_>]) -> Result<(), PathError>) -> Result<(), PathError> {
        let anchors = self.anchors.views()?;
        Search::new(&anchors, intermediates, effort).climb(&mut vec![holder], judge)
    }

    /// A path whose signatures verify, from the holder to the anchor.
    fn judge(&self, path: &[&CertificateView<'_>]) -> Result<(), PathError> {
        self.judge_but_revocation(path)?;
        for (depth, pair) in path.array_windows().enumerate() {
            let [subject, issuer] = pair;
            self.judge_revocation(subject, issuer, depth > 0)?;
        }
        Ok(())
    }

    fn judge_but_revocation(&self, path: &[&CertificateView<'_>]) -> Result<(), PathError> {
        let [below @ .., anchor] = path else { return Err(PathError::UnknownIssuer) };
        let [holder, between @ ..] = below else { return Err(PathError::UnknownIssuer) };
        // The anchor's time is nobody else's concern, but ours. spec: rfc5280#6.1.1 (d), rfc5280#6.1.3 (a)(2)
        path.iter().try_for_each(|view| self.judge_time(view))?;
        below.iter().try_for_each(|view| judge_critical(view))?;
        self.judge_holder(holder)?;
        for authority in between {
            judge_is_authority(authority)?;
            self.judge_authority(authority)?;
        }
        self.judge_authority(anchor)?;
        for (at, authority) in path.iter().enumerate().skip(1) {
            let under = path.get(..at).unwrap_or_default();
            judge_length(authority, under)?;
            names::allowed(authority, under)?;
        }
        let down: Vec<&CertificateView<'_>> = below.iter().rev().copied().collect();
        policy::judge(&self.required.policies, &down)?;
        self.judge_holders_policy(holder)
    }

    fn judge_time(&self, view: &CertificateView<'_>) -> Result<(), PathError> {
        if self.at > view.not_after {
            return Err(PathError::Expired);
        }
        if self.at < view.not_before { Err(PathError::NotYetValid) } else { Ok(()) }
    }

    fn judge_holder(&self, holder: &CertificateView<'_>) -> Result<(), PathError> {
        let (usage, purposes) = (key_usage(holder)?, purposes(holder)?);
        let is_authority = holder.extension(&BASIC_CONSTRAINTS).is_some_and(|value| value != [0x30, 0]);
        let used = self.required.key_usage.iter().all(|bit| usage.as_ref().is_some_and(|usage| usage.has(*bit)));
        let meant = self.required.extended_key_usage == ANY_PURPOSE || purposes.is_some_and(|list| list.contains(&self.required.extended_key_usage.as_bytes()));
        if used && meant && !is_authority { Ok(()) } else { Err(PathError::WrongUsage) }
    }

    /// spec: rfc5280#6.1.4 (n)
    fn judge_authority(&self, authority: &CertificateView<'_>) -> Result<(), PathError> {
        if key_usage(authority)?.is_some_and(|usage| !usage.has(KEY_CERT_SIGN)) {
            return Err(PathError::Constraint);
        }
        // Where an authority says purposes, they bind those below it.
        let wanted = self.required.extended_key_usage;
        let allowed = wanted == ANY_PURPOSE || purposes(authority)?.is_none_or(|list| list.contains(&wanted.as_bytes()));
        if allowed { Ok(()) } else { Err(PathError::Constraint) }
    }

    /// The holder names a policy that is wanted itself: `anyPolicy` in a holder's certificate is a word for authorities.
    fn judge_holders_policy(&self, holder: &CertificateView<'_>) -> Result<(), PathError> {
        let held = facts::policies(holder)?;
        let wanted = &self.required.policies;
        let named = wanted.iter().any(|policy| if *policy == ANY_POLICY { !held.is_empty() } else { held.contains(&policy.as_bytes()) });
        if wanted.is_empty() || named { Ok(()) } else { Err(PathError::WrongPolicy) }
    }

    /// The newest current list that covers the certificate and is its issuer's decides. spec: rfc5280#6.3.3
    fn judge_revocation(&self, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool) -> Result<(), PathError> {
        if key_usage(issuer)?.is_some_and(|usage| !usage.has(CRL_SIGN)) {
            return Err(PathError::RevocationUnknown);
        }
        let mut newest: Option<&RevocationList> = None;
        for list in self.lists {
            // Of two of one moment the one that revokes is believed.
            let better = newest.is_none_or(|known| list.is_newer_than(known) || (!known.is_newer_than(list) && list.find(subject.serial).is_some()));
            if better && list.covers(subject, is_authority, self.at)? && list.is_signed_by(issuer.spki) {
                newest = Some(list);
            }
        }
        match newest.ok_or(PathError::RevocationUnknown)?.find(subject.serial) {
            Some(Revocation { at, reason, .. }) => Err(PathError::Revoked { at, reason }),
            None => Ok(()),
        }
    }
}

/// Nothing critical that is not understood. spec: rfc5280#4.2
fn judge_critical(view: &CertificateView<'_>) -> Result<(), PathError> {
    let strange = |id: &[u8]| !UNDERSTOOD.iter().any(|known| known.as_bytes() == id);
    match view.extensions.iter().find(|extension| extension.critical && strange(extension.id)) {
        Some(_) => Err(PathError::Malformed("a critical extension that is not understood".to_owned())),
        None => Ok(()),
    }
}

/// spec: rfc5280#6.1.4 (k)
fn judge_is_authority(authority: &CertificateView<'_>) -> Result<(), PathError> {
    if basic_constraints(authority)?.is_some_and(|(is_authority, _)| is_authority) { Ok(()) } else { Err(PathError::Constraint) }
}

/// How many authorities may stand below, those in their own name not counted. spec: rfc5280#6.1.4 (l), (m)
fn judge_length(authority: &CertificateView<'_>, below: &[&CertificateView<'_>]) -> Result<(), PathError> {
    let Some((_, Some(longest))) = basic_constraints(authority)? else { return Ok(()) };
    let found = below.iter().skip(1).filter(|view| !names::same(view.subject, view.issuer)).count();
    if found <= longest { Ok(()) } else { Err(PathError::Constraint) }
}

/// cA, and how many authorities may stand below. spec: rfc5280#4.2.1.9
fn basic_constraints(view: &CertificateView<'_>) -> Result<Option<(bool, Option<usize>)>, DerError> {
    let Some(value) = view.extension(&BASIC_CONSTRAINTS) else { return Ok(None) };
    let mut fields = Reader::new(Reader::only(value, 0x30)?);
    let is_authority = fields.default_false()?;
    let longest = fields.optional(2)?.map(policy::number).transpose()?;
    fields.end()?;
    Ok(Some((is_authority, longest)))
}

/// The named bits of a key usage.
struct KeyUsage<'a>(&'a [u8]);

impl KeyUsage<'_> {
    fn has(&self, bit: u8) -> bool {
        self.0.get(usize::from(bit / 8)).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }
}

/// spec: rfc5280#4.2.1.3
fn key_usage<'a>(view: &CertificateView<'a>) -> Result<Option<KeyUsage<'a>>, DerError> {
    let Some(value) = view.extension(&KEY_USAGE) else { return Ok(None) };
    match Reader::only(value, 3)? {
        [unused, bits @ ..] if *unused < 8 && (1..=2).contains(&bits.len()) => Ok(Some(KeyUsage(bits))),
        _ => Err(DerError::Value("key usage")),
    }
}

/// Whether a certificate, DER, may be used for one of these. spec: rfc5280#4.2.1.3
pub(crate) fn has_usage(certificate: &[u8], one_of: &[u8]) -> Result<bool, DerError> {
    Ok(key_usage(&CertificateView::parse(certificate)?)?.is_some_and(|usage| one_of.iter().any(|bit| usage.has(*bit))))
}

/// spec: rfc5280#4.2.1.12
fn purposes<'a>(view: &CertificateView<'a>) -> Result<Option<Vec<&'a [u8]>>, DerError> {
    let Some(value) = view.extension(&EXTENDED_KEY_USAGE) else { return Ok(None) };
    let mut list = Reader::new(Reader::only(value, 0x30)?);
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.take(6)?);
    }
    Ok(Some(found))
}
