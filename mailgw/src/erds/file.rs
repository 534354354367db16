//! A file of evidence, as it is handed to a bureau, a citizen or a court, and its verification, which needs the root
//! certificate and nothing else.
//!
//! One JSON object a line, each complete in itself: a batch's statement and its signature, the revocation lists by which
//! its signer was good when it signed, and the items shown. A batch shown whole needs no paths.

use std::io::BufRead;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use merkle::{Hash, leaf_hash};
use pki::cms::{self, CmsError};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Item, Statement};
use crate::bureau::trust::{Anchors, Purpose, TrustError};
use crate::record::bureau::Chain;

/// The most bytes of a line: a batch shown whole, with its lists.
pub const MAX_LINE: usize = 128 << 20;
/// Longer than any path of a batch.
const MAX_PATH: usize = 64;
/// How far the clocks of the gateway and of a timestamp authority may be apart.
const CLOCKS: time::Duration = time::Duration::minutes(5);

/// A batch, or what is shown of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// As it was signed.
    pub statement: String,
    /// Detached CMS over the statement, DER in base64.
    pub signature: String,
    /// DER in base64.
    pub revocation_lists: Vec<String>,
    /// Over the signature; none where the batch was not stamped yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    pub items: Vec<Shown>,
}

/// A timestamp, and what proves its authority; DER in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    pub token: String,
    pub revocation_lists: Vec<String>,
}

/// An item and the hashes that lead from it to the root, nearest first; none where every item of the batch is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    pub index: u64,
    /// As it was hashed.
    pub item: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("the evidence cannot be read: {reason}; give the file that `mailgw evidence export` wrote")]
    Unreadable { reason: String },
    #[error("line {line} is no evidence of ours: {reason}; ask for the file again")]
    Line { line: u64, reason: &'static str },
    #[error("line {line}: the signature over the evidence does not hold: {error}; do not rely on it")]
    Signature { line: u64, error: CmsError },
    #[error("line {line}: {error}; do not rely on it")]
    Signer { line: u64, error: TrustError },
    #[error("line {line}: the timestamp over the evidence does not hold: {reason}; do not rely on it")]
    Timestamp { line: u64, reason: String },
    #[error("line {line}: item {index} is not what was signed; do not rely on it")]
    Altered { line: u64, index: u64 },
    #[error("the file has no evidence in it; ask for it again")]
    Empty,
    #[error("the package does not hold: {reason}; ask for it again")]
    Package { reason: &'static str },
    #[error("{file} is not the file that the package's index was signed over; do not rely on the package")]
    File { file: String },
    /// Of a file beside the evidence.
    #[error("{file}: {error}")]
    In { file: &'static str, error: Box<EvidenceError> },
}

impl EvidenceError {
    /// Where it is not about a line of the evidence's own file.
    pub(super) fn within(self, file: &'static str) -> Self {
        Self::In { file, error: Box::new(self) }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        let inner = if let EvidenceError::In { error, .. } = &error { error } else { &error };
        let (exit, code) = match inner {
            EvidenceError::Unreadable { .. } => (Exit::Usage, "evidence-file"),
            EvidenceError::Signer { error: TrustError::Anchors { .. } | TrustError::Arc { .. }, .. } => (Exit::Usage, "anchors"),
            EvidenceError::Signer { .. } => (Exit::Refused, "evidence-signer"),
            EvidenceError::Line { .. } | EvidenceError::Signature { .. } | EvidenceError::Timestamp { .. } | EvidenceError::Altered { .. } | EvidenceError::Empty => (Exit::Refused, "evidence"),
            EvidenceError::Package { .. } | EvidenceError::File { .. } | EvidenceError::In { .. } => (Exit::Refused, "evidence"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// An item that holds.
#[derive(Clone, Debug)]
pub struct Judged {
    pub item: Item,
    pub sealed: OffsetDateTime,
    /// Since when it stood at the latest, by a timestamp authority's word.
    pub stamped: Option<OffsetDateTime>,
}

/// What a whole file came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub batches: u64,
    /// Batches that have a timestamp.
    pub stamped: u64,
    pub items: u64,
    /// The organisation that signed the last batch.
    pub signer: String,
}

/// Proves every item of a file and hands it on; the first that does not hold ends it.
pub fn verify(mut file: impl BufRead, anchors: &Anchors, visit: &mut dyn FnMut(Judged)) -> Result<Verified, EvidenceError> {
    let mut verified = Verified { batches: 0, stamped: 0, items: 0, signer: String::new() };
    for number in 1.. {
        let Some(text) = next_line(&mut file)? else { break };
        let line: Line = serde_json::from_slice(&text).map_err(|_| EvidenceError::Line { line: number, reason: "it is not of the form of evidence" })?;
        let (items, signer) = judge(number, &line, anchors)?;
        verified.batches += 1;
        verified.stamped += u64::from(line.timestamp.is_some());
        verified.items += items.len() as u64;
        verified.signer = signer;
        items.into_iter().for_each(&mut *visit);
    }
    if verified.items == 0 { Err(EvidenceError::Empty) } else { Ok(verified) }
}

fn next_line(file: &mut impl BufRead) -> Result<Option<Vec<u8>>, EvidenceError> {
    let unreadable = |reason: String| EvidenceError::Unreadable { reason };
    let mut text = Vec::new();
    let mut bounded = std::io::Read::take(file, MAX_LINE as u64 + 1);
    bounded.read_until(b'\n', &mut text).map_err(|error| unreadable(error.to_string()))?;
    match text.len() {
        0 => Ok(None),
        length if length > MAX_LINE => Err(unreadable(format!("a line has more than {MAX_LINE} bytes"))),
        _ => Ok(Some(text)),
    }
}

/// 1 the statement is one of ours · 2 it was signed · 3 by a certificate for evidence, good at that moment · 4 each item is
/// under its root.
fn judge(number: u64, line: &Line, anchors: &Anchors) -> Result<(Vec<Judged>, String), EvidenceError> {
    let wrong = |reason| EvidenceError::Line { line: number, reason };
    // 1
    let statement = Statement::read(&line.statement).ok_or_else(|| wrong("its statement is of another form"))?;
    let root = hash(&statement.root).ok_or_else(|| wrong("its root is no digest"))?;
    // 2, 3
    let Signed { sealed, signer } = signed(number, &line.statement, &line.signature, &line.revocation_lists, anchors)?;
    let stamped = line.timestamp.as_ref().map(|stamp| stamp_time(number, stamp, &line.signature, sealed, anchors)).transpose()?;
    // 4
    let mut judged = Vec::with_capacity(line.items.len());
    let whole = line.items.iter().all(|shown| shown.path.is_none());
    if whole {
        let leaves: Vec<Hash> = line.items.iter().map(|shown| leaf_hash(shown.item.as_bytes())).collect();
        let in_order = (0..statement.items).eq(line.items.iter().map(|shown| shown.index));
        if !in_order || merkle::root(&leaves) != root {
            return Err(EvidenceError::Altered { line: number, index: 0 });
        }
    }
    for shown in &line.items {
        let altered = || EvidenceError::Altered { line: number, index: shown.index };
        match &shown.path {
            None if whole => {}
            None => return Err(altered()),
            Some(path) if path.len() > MAX_PATH => return Err(altered()),
            Some(path) => {
                let path: Vec<Hash> = path.iter().map(|one| hash(one)).collect::<Option<_>>().ok_or_else(altered)?;
                merkle::verify_inclusion(leaf_hash(shown.item.as_bytes()), shown.index, statement.items, &path, &root).map_err(|_| altered())?;
            }
        }
        let item = Item::read(&shown.item).map_err(|_| wrong("an item is of another form"))?;
        if !has_happened(item.event_time, sealed) {
            return Err(wrong("an item is of a time after its seal"));
        }
        judged.push(Judged { item, sealed, stamped });
    }
    Ok((judged, signer))
}

/// The time of a timestamp that holds over the signature, and is not before what was signed.
fn stamp_time(number: u64, stamp: &Timestamp, signature: &str, sealed: OffsetDateTime, anchors: &Anchors) -> Result<OffsetDateTime, EvidenceError> {
    let wrong = |reason: String| EvidenceError::Timestamp { line: number, reason };
    let bytes = |text: &String| STANDARD.decode(text).map_err(|_| wrong("it is not base64".into()));
    let lists: Vec<Vec<u8>> = stamp.revocation_lists.iter().map(bytes).collect::<Result<_, _>>()?;
    let time = super::stamped::judge(&bytes(&stamp.token)?, &bytes(&signature.to_owned())?, &lists, anchors).map_err(wrong)?;
    if sealed > time + CLOCKS {
        return Err(wrong("the evidence says of itself that it is younger".into()));
    }
    Ok(time)
}

/// Who signed a text, and when.
pub(super) struct Signed {
    pub sealed: OffsetDateTime,
    pub signer: String,
}

/// The signature holds over the text, and its certificate is one for evidence, good at that moment by the lists.
pub(super) fn signed(number: u64, text: &str, signature: &str, lists: &[String], anchors: &Anchors) -> Result<Signed, EvidenceError> {
    let wrong = |reason| EvidenceError::Line { line: number, reason };
    let bytes = |text: &str, reason| STANDARD.decode(text).map_err(|_| wrong(reason));
    let signature = bytes(signature, "its signature is not base64")?;
    let signed = cms::verify(&signature, text.as_bytes(), &[]).map_err(|error| EvidenceError::Signature { line: number, error })?;
    let sealed = signed.signing_time().ok_or_else(|| wrong("its signature says no time"))?;
    let lists: Vec<Vec<u8>> = lists.iter().map(|list| bytes(list, "a revocation list is not base64")).collect::<Result<_, _>>()?;
    let others = signed.certificates().iter().filter(|one| one.as_slice() != signed.signer_certificate()).cloned();
    let path = std::iter::once(signed.signer_certificate().to_vec()).chain(others).collect();
    let chain = Chain::new(path).ok_or_else(|| wrong("nobody's certificate is with it"))?;
    let trusted = anchors.trusted(&chain, Purpose::Evidence, &lists, sealed).map_err(|error| EvidenceError::Signer { line: number, error })?;
    Ok(Signed { sealed, signer: trusted.facts().organization.clone().unwrap_or_default() })
}

/// Whether an item of that time may be under a seal of this one: nobody's clock runs backwards, and what is sealed has happened.
/// A signature names whole seconds only.
pub fn has_happened(event_time: OffsetDateTime, sealed: OffsetDateTime) -> bool {
    event_time <= sealed + time::Duration::SECOND
}

pub(crate) fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())?;
    }
    Some(hash)
}
