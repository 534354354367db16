//! What proofs of orders and of acts are made of: entries of the log with their places in it, decisions with their
//! signatures, the lists they were judged by. Each in one form: whatever byte of it is changed, it is refused.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::{Checkpoint, Evidence, Leaf, VerifierKey, leaf_hash, verify_inclusion};
use pki::path::RevocationList;
use runtime::exit::{Exit, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::approval::{Judge, Signed, SignedError};
use crate::authority::Authority;
use crate::flow::approve;
use crate::problem::IssueError;
use crate::record::{ApprovalRecord, Person, Said, Verdict, log};
use crate::service::pem;

/// The largest proof that is read.
pub const MAX_BYTES: usize = 8 << 20;
/// More entries than any order has.
pub(crate) const MAX_ENTRIES: usize = 256;
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The very text that was signed.
    pub decision: String,
    /// CMS, PEM.
    pub signature: String,
}

/// An entry of the log with its proof of inclusion, base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub index: u64,
    pub leaf: String,
    pub path: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error("the file is no proof of an order in the form that `ca order export` writes; take the file as it was written")]
    Form,
    #[error("the root given is no certificate; give the root's certificate from a source you trust")]
    Root,
    #[error("the log's key given is none; give it from a source you trust: {0}")]
    Key(String),
    #[error("the log's head does not hold: {0}")]
    Checkpoint(String),
    #[error("entry {index} is not in the log of that head: {reason}")]
    Entry { index: u64, reason: String },
    #[error("the log's entries do not tell the story of one order: {0}")]
    Story(&'static str),
    #[error("what was applied for is not what the log has a digest of: request or words were changed")]
    Content,
    #[error("the request does not hold: {0}")]
    Request(#[from] pki::request::RequestError),
    #[error("decision {number} does not hold: {reason}")]
    Decision { number: usize, reason: String },
    #[error("the certificate does not hold: {0}")]
    Certificate(&'static str),
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        let exit = if matches!(error, ProofError::Root | ProofError::Key(_)) { Exit::Usage } else { Exit::Damaged };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "believe nothing in it, and ask for the proof again"));
        Self::new(exit, "order-proof", message, next)
    }
}

/// The lists in force when something was decided, each once, PEM.
pub(crate) fn lists_of(authority: &Authority, decisions: &[ApprovalRecord]) -> Result<Vec<String>, IssueError> {
    let mut lists: Vec<String> = Vec::new();
    for record in decisions {
        for (_, list) in approve::kept(authority, record)? {
            let text = pem("X509 CRL", &list.der);
            if !lists.contains(&text) {
                lists.push(text);
            }
        }
    }
    Ok(lists)
}

/// A signed head, and entries of the log with their proofs under it.
pub(crate) fn proved(evidence: &Evidence, indexes: &[u64]) -> Result<(String, Vec<Entry>), Problem> {
    let (checkpoint, proved) = evidence.prove(indexes)?;
    let entry = |one: evidence::Proved| Entry { index: one.index, leaf: STANDARD.encode(&one.leaf), path: one.path.iter().map(|hash| STANDARD.encode(hash)).collect() };
    Ok((checkpoint, proved.into_iter().map(entry).collect()))
}

/// One entry, proved to be in the log.
pub(crate) struct Told {
    pub(crate) kind: u8,
    millis: u64,
    pub(crate) said: Value,
}

impl Told {
    #[cfg(test)]
    pub(crate) fn of(kind: u8, said: Value) -> Self {
        Self { kind, millis: 0, said }
    }

    /// The state that a move leads to.
    pub(crate) fn to(&self) -> &str {
        if [log::ORDER_APPROVED, log::ACT_APPROVED].contains(&self.kind) { "approved" } else { self.word("to") }
    }

    pub(crate) fn word(&self, name: &str) -> &str {
        self.said.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn at(&self) -> Option<OffsetDateTime> {
        i64::try_from(self.millis / 1_000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
    }
}

/// What PEM of one form holds: another form of the same octets is not what was written.
pub(crate) fn der(label: &str, text: &str) -> Result<Vec<u8>, ProofError> {
    let read = ::pem::parse(text).map_err(|_| ProofError::Form)?;
    if read.tag() == label && pem(label, read.contents()) == text { Ok(read.into_contents()) } else { Err(ProofError::Form) }
}

fn included(entry: &Entry, head: &Checkpoint) -> Result<Told, ProofError> {
    let index = entry.index;
    let refused = |reason: String| ProofError::Entry { index, reason };
    let octets = |text: &str| STANDARD.decode(text).ok().filter(|octets| STANDARD.encode(octets) == text);
    let leaf = octets(&entry.leaf).ok_or(ProofError::Form)?;
    let path = entry.path.iter().map(|hash| octets(hash).and_then(|hash| hash.try_into().ok()).ok_or(ProofError::Form)).collect::<Result<Vec<_>, _>>()?;
    verify_inclusion(leaf_hash(&leaf), index, head.size(), &path, head.root()).map_err(|error| refused(error.to_string()))?;
    let read = Leaf::parse(&leaf).map_err(|error| refused(error.to_string()))?;
    let said = serde_json::from_str(read.payload()).map_err(|error| refused(error.to_string()))?;
    Ok(Told { kind: read.kind(), millis: read.unix_ms(), said })
}


/// A proof only from the one form that it is written in.
pub(crate) fn parse<P: Serialize + DeserializeOwned>(bytes: &[u8], fits: impl FnOnce(&P) -> bool) -> Result<P, ProofError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES).ok_or(ProofError::Form)?;
    let proof: P = serde_json::from_str(text).map_err(|_| ProofError::Form)?;
    if fits(&proof) && written(&proof).is_ok_and(|again| again == text) { Ok(proof) } else { Err(ProofError::Form) }
}

pub(crate) fn written(proof: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(proof)? + "\n")
}

/// The head is the log's, and every entry is in it, in order.
pub(crate) fn opened(checkpoint: &str, entries: &[Entry], vkey: &str) -> Result<(Checkpoint, Vec<Told>), ProofError> {
    let vkey = VerifierKey::from_str(vkey.trim()).map_err(|error| ProofError::Key(error.to_string()))?;
    let head = Checkpoint::open(checkpoint.as_bytes(), &vkey).map_err(|error| ProofError::Checkpoint(error.to_string()))?;
    let told = entries.iter().map(|entry| included(entry, &head)).collect::<Result<Vec<_>, _>>()?;
    if entries.array_windows().any(|[one, next]| one.index >= next.index) {
        return Err(ProofError::Story("they are not in order"));
    }
    Ok((head, told))
}

pub(crate) fn lists(texts: &[String]) -> Result<Vec<RevocationList>, ProofError> {
    texts.iter().map(|text| RevocationList::parse(&der("X509 CRL", text)?).map_err(|_| ProofError::Form)).collect()
}

/// What makes an approval: its entry tells how many there were, so that none of them can be left out of a proof. An entry
/// of a log from before these does not; no new log has such a one, and so none can be put in its place.
pub(crate) fn is_enough(entry: &Told, before: &[Told], decided: u8) -> bool {
    let number = |name: &str| entry.said.get(name).and_then(Value::as_u64);
    let approvals = before.iter().filter(|one| one.kind == decided && one.word("decision") == "approve").count() as u64;
    match (number("approvals"), number("needed")) {
        (Some(said), Some(needed)) => needed >= 1 && said >= needed && approvals >= said,
        _ => false,
    }
}

/// Serials of the certificates of the officers who approved, and of those who refused.
pub(crate) type Deciders = (Vec<String>, Vec<String>);

/// Every decision that the log knows is here, and each holds by itself: `is_about` what is proved, by persons who are
/// none of `not`, each once.
pub(crate) fn decisions<D: Said>(kept: &[Signature], decided: &[&Told], judge: &Judge<'_>, is_about: impl Fn(&D) -> bool, not: impl Fn(Person) -> bool) -> Result<Deciders, ProofError> {
    if kept.len() != decided.len() {
        return Err(ProofError::Story("there are not as many decisions as the log knows"));
    }
    let (mut approved, mut refused) = (Vec::new(), Vec::new());
    let mut persons: Vec<Person> = Vec::new();
    for (at, kept) in kept.iter().enumerate() {
        let failed = |reason: String| ProofError::Decision { number: at + 1, reason };
        let signature = der("CMS", &kept.signature)?;
        let (text, octets) = (crate::sha256_hex(kept.decision.as_bytes()), crate::sha256_hex(&signature));
        let entry = decided.iter().find(|entry| entry.word("decision_sha256") == text && entry.word("signature_sha256") == octets);
        let entry = entry.ok_or_else(|| failed("the log knows no such decision and signature".into()))?;
        let time = entry.at().ok_or_else(|| failed("its time is none".into()))?;
        let signed: Signed<D> = judge.signed(&kept.decision, &signature, time).map_err(|error: SignedError| failed(error.to_string()))?;
        if !is_about(&signed.decision) {
            return Err(failed("it is about something else or other words".into()));
        }
        let (verdict, _, _) = signed.decision.said();
        let word = if verdict == Verdict::Approve { "approve" } else { "refuse" };
        if entry.word("by") != format!("officer:{}", signed.serial) || entry.word("decision") != word {
            return Err(failed("the log names another officer or verdict".into()));
        }
        if persons.contains(&signed.person) || not(signed.person) {
            return Err(failed("its officer decided twice, asked for it, or it is for them".into()));
        }
        persons.push(signed.person);
        if verdict == Verdict::Approve { approved.push(signed.serial) } else { refused.push(signed.serial) }
    }
    Ok((approved, refused))
}
