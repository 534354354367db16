//! What an enterprise signs for the desk beside filings: mandates, the keys that sign for it, and what takes either back. It is
//! proved as a filing's signature is, by checks 2 to 9, and what proves it is kept beside it.
//!
//! 1 whom      the bureaus that take such filings; one of them must believe it
//! 2 prove     the same functions as for a filing: signature, path, usage, policy, time, revocation; and good now, since it acts
//!             from now on, where a desk takes it; whoever reads what a desk took once judges it as of then
//! 3 whose     the certificate bears the enterprise's code in both its places

use const_oid::ObjectIdentifier as Oid;
use pki::path::CertificateFacts;
use policies::filing::KindName;
use time::OffsetDateTime;

use super::judge::both_places;
use super::proof::{self, Demand, Subject};
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::trust::Standing;

/// The octets, and what is asked of their signature.
struct Word<'a> {
    document: &'a [u8],
    bureau: &'a str,
    policies: Vec<Oid>,
    received_at: OffsetDateTime,
}

impl Subject for Word<'_> {
    fn demand(&self) -> Demand<'_> {
        // Signed and kept, and sent when there is a line: only a filing is asked when it was signed, since it has a deadline.
        Demand { document: self.document, bureau: self.bureau, policies: &self.policies, received_at: self.received_at, claimed_within: None }
    }
}

/// What is kept of it.
pub(super) struct Proven {
    /// The signature with its timestamp and what was known of its signer, DER.
    pub der: Vec<u8>,
    pub certificate: Vec<u8>,
    pub facts: CertificateFacts,
    /// Who believes it.
    pub bureau: String,
}

pub(super) fn wrong(text: impl std::fmt::Display) -> DeskError {
    let text = text.to_string();
    DeskError::Request(if text.contains("; ") { text } else { format!("{text}; correct it and sign again") })
}

/// As a refusal that names the check.
fn refused(finding: &Finding) -> DeskError {
    DeskError::Request(format!("{}: {}; {}", finding.check.code(), finding.en.replace("; ", ", "), finding.next_en))
}

/// Signed by `uscc`, for these kinds of filing, or, where none are named, for whatever it files.
pub(super) fn prove(desk: &Grounds, uscc: &str, kinds: Option<&[KindName]>, document: &[u8], signature: &[u8]) -> Result<Proven, DeskError> {
    let mut first = None;
    for bureau in desk.policies.desk.bureaus() {
        // 1.
        let taken = bureau.accepts.iter().filter(|accepts| kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind.as_str() == accepts.kind)));
        let policies: Vec<Oid> = taken.flat_map(|accepts| accepts.policies.iter().copied()).collect();
        if policies.is_empty() {
            continue;
        }
        // 2.
        let (effort, bureau) = (proof::effort(desk), bureau.code.as_str());
        let word = Word { document, bureau, policies, received_at: desk.clock.now() };
        let proved = proof::prove(word, signature, &effort).map_err(|finding| refused(&finding))?;
        let stamped = proof::stamp(desk, proved, &effort)?;
        if let Some(finding) = stamped.findings.into_iter().next() {
            first.get_or_insert(finding);
            continue;
        }
        if let Some((_, away)) = stamped.away.into_iter().next().filter(|_| desk.sight.asks) {
            return Err(away);
        }
        // It acts from now on: that the certificate was good when it signed, as of a filing, is not enough.
        if desk.sight.asks && stamped.proved.facts.not_after < desk.clock.now() {
            first.get_or_insert(Finding::new(Check::Time).because("证书已到期", "the certificate has ended"));
            continue;
        }
        if desk.sight.asks && stamped.rests_on.as_ref().is_some_and(|(_, status)| status.standing != Standing::Good) {
            first.get_or_insert(Finding::new(Check::Revocation));
            continue;
        }
        // 3.
        let proof::Proved { signature, certificate, facts, .. } = stamped.proved;
        if both_places(&facts).is_none_or(|code| code.as_str() != uscc) {
            return Err(refused(&Finding::new(Check::Enterprise).because("证书属于另一企业", "the certificate is another enterprise's")));
        }
        return Ok(Proven { der: signature.der().to_vec(), certificate, facts, bureau: bureau.to_owned() });
    }
    Err(first.as_ref().map_or_else(|| wrong("no bureau here takes filings of these kinds"), refused))
}

/// When what proves it is looked at by the archive for the first time.
pub(super) fn archived_from(desk: &Grounds) -> i64 {
    (desk.clock.now() + desk.policies.archive.grace).unix_timestamp()
}
