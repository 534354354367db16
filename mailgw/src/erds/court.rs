//! A package for a court: one statement with all that proves it, in a directory of plain files whose digests one signature covers. Anybody
//! verifies it offline with the root certificate alone, or by hand with OpenSSL.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use merkle::{Checkpoint, VerifierKey, leaf_hash, verify_inclusion};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::file::{EvidenceError, hash, signed};
use super::{Event, Line, Statement, verify};
use crate::bureau::trust::{Anchors, Purpose};
use crate::record::body;
use crate::record::bureau::Chain;
use crate::record::event::Event as Entry;
use crate::statement::{PaperError, sealed_part};

pub const FORM: &str = "court package";
const VERSION: u8 = 1;
/// The files of a package; beside them stand only these two.
pub const INDEX: &str = "package.json";
pub const SIGNATURE: &str = "package.p7s";
pub const README: &str = "README.txt";
pub const MESSAGE: &str = "statement.eml";
pub const EVIDENCE: &str = "evidence.jsonl";
pub const LOG: &str = "log.json";
/// Revocation lists that cover the bureau's seal, DER in base64.
pub const LISTS: &str = "revocation-lists.json";
/// What told the reader that the statement holds no more; in the package of such a one alone.
pub const NOTICE: &str = "notice.eml";
const FILES: [&str; 5] = [README, MESSAGE, EVIDENCE, LOG, LISTS];
const MAX_FILE: u64 = 256 << 20;

/// What the signature covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Index {
    pub version: u8,
    pub form: String,
    pub issuer: String,
    /// The bureau's code, and its own number of the statement.
    pub sender: String,
    pub statement: String,
    /// For whom, as the order is known.
    pub order: String,
    /// That it holds no more; none where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// SHA-256 by name, hexadecimal.
    pub files: BTreeMap<String, String>,
    /// By which the signer of this was good, DER in base64.
    pub revocation_lists: Vec<String>,
}

/// How the statement ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Ended {
    /// The statement that supersedes it; it was withdrawn where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// The batch that said so, when and why.
    pub batch: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub reason: String,
    /// SHA-256 of the message that told its reader; it stands in the package where its mailbox and the evidence
    /// of its delivery are still there.
    pub notice: String,
}

impl Ended {
    /// Chinese and English.
    pub fn words(&self) -> (&'static str, &'static str) {
        if self.superseded_by.is_some() { ("被取代", "superseded") } else { ("撤回", "withdrawn") }
    }
}

impl Index {
    pub fn new(issuer: &str, sender: &str, statement: &str, order: &str, made: OffsetDateTime) -> Self {
        Self { version: VERSION, form: FORM.to_owned(), issuer: issuer.to_owned(), sender: sender.to_owned(), statement: statement.to_owned(), order: order.to_owned(), ended: None, made, files: BTreeMap::new(), revocation_lists: Vec::new() }
    }
}

/// Entries of the gateway's log, and their proofs under one signed head of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProof {
    /// The log's key, as the package says it: who knows it otherwise compares.
    pub vkey: String,
    /// The signed head.
    pub checkpoint: String,
    pub entries: Vec<ProvedEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedEntry {
    pub index: u64,
    /// In base64.
    pub leaf: String,
    /// Hexadecimal, nearest first.
    pub path: Vec<String>,
}

/// What a package proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proved {
    pub index: Index,
    pub signer: String,
    /// Who sealed the statement, and when; none where it is encrypted to its reader.
    pub sealed_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub sealed: Option<OffsetDateTime>,
    pub events: BTreeMap<String, u64>,
    pub log_key: String,
}

/// 1 the index is signed by the gateway's evidence key · 2 the files are those it names, and no others · 3 the evidence holds · 4 the message,
/// and the one that ended it, are those that the evidence says were consigned · 5 their seals are the bureau's, good when they were made · 6
/// the log has the evidence's roots.
pub fn verify_package(directory: &Path, anchors: &Anchors) -> Result<Proved, EvidenceError> {
    let wrong = |reason| EvidenceError::Package { reason };
    // 1
    let index_text = String::from_utf8(read(directory, INDEX)?).map_err(|_| wrong("its index is not text"))?;
    let index: Index = serde_json::from_str(&index_text).map_err(|_| wrong("its index is of another form"))?;
    if index.version != VERSION || index.form != FORM {
        return Err(wrong("its index is of another form"));
    }
    let by = signed(1, &index_text, &STANDARD.encode(read(directory, SIGNATURE)?), &index.revocation_lists, anchors).map_err(|error| error.within(SIGNATURE))?;
    // 2
    let found = names(directory)?;
    let has_notice = index.files.contains_key(NOTICE);
    let covered: BTreeSet<&str> = FILES.iter().copied().chain(has_notice.then_some(NOTICE)).collect();
    let expected: BTreeSet<String> = covered.iter().chain(&[INDEX, SIGNATURE]).map(|name| (*name).to_owned()).collect();
    if found != expected || !index.files.keys().map(String::as_str).eq(covered) {
        return Err(wrong("its files are not those that its index names"));
    }
    let mut files = BTreeMap::new();
    for (name, digest) in &index.files {
        let bytes = read(directory, name)?;
        if crate::hex(&body::digest(&bytes)) != *digest {
            return Err(EvidenceError::File { file: name.clone() });
        }
        files.insert(name.as_str(), bytes);
    }
    let file = |name: &str| files.get(name).map(Vec::as_slice).unwrap_or_default();
    // 3
    let (mut events, mut consigned) = (BTreeMap::new(), BTreeSet::new());
    verify(Cursor::new(file(EVIDENCE)), anchors, &mut |judged| {
        *events.entry(judged.item.event.name().to_owned()).or_insert(0) += 1;
        let of = judged.item.sender_details == index.sender;
        consigned.extend(judged.item.user_content_info.filter(|_| of && judged.item.event == Event::ContentConsignment).map(|content| content.digest_value));
    })
    .map_err(|error| error.within(EVIDENCE))?;
    // 4
    if !consigned.contains(&crate::hex(&body::digest(file(MESSAGE)))) {
        return Err(wrong("its message is not the one that the evidence speaks of"));
    }
    if has_notice {
        let digest = crate::hex(&body::digest(file(NOTICE)));
        if index.ended.as_ref().is_none_or(|ended| ended.notice != digest) || !consigned.contains(&digest) {
            return Err(wrong("its notice is not the one that the index and the evidence speak of"));
        }
    }
    // 5
    let (sealed_by, sealed) = seals(file(MESSAGE), file(LISTS), anchors).map_err(|error| error.within(MESSAGE))?;
    if has_notice {
        seals(file(NOTICE), file(LISTS), anchors).map_err(|error| error.within(NOTICE))?;
    }
    // 6
    let log_key = in_log(file(LOG), file(EVIDENCE)).ok_or_else(|| wrong("its log does not hold the evidence"))?;
    Ok(Proved { index, signer: by.signer, sealed_by, sealed, events, log_key })
}

/// Who sealed a message and when; nobody that can be seen, where it is encrypted to its reader.
fn seals(message: &[u8], lists: &[u8], anchors: &Anchors) -> Result<(Option<String>, Option<OffsetDateTime>), EvidenceError> {
    match sealed_part(message) {
        Ok((entity, seal)) => seal_of(entity, &seal, lists, anchors).map(|(by, at)| (Some(by), Some(at))),
        Err(PaperError::Encrypted) => Ok((None, None)),
        Err(PaperError::NoStatement) => Err(EvidenceError::Package { reason: "it is no sealed statement" }),
    }
}

/// Whose seal it is and when it was made: by a bureau under our root, whose certificate was good then as far as these lists know.
fn seal_of(entity: &[u8], seal: &[u8], lists: &[u8], anchors: &Anchors) -> Result<(String, OffsetDateTime), EvidenceError> {
    let signed = pki::cms::verify(seal, entity, &[]).map_err(|error| EvidenceError::Signature { line: 1, error })?;
    let wrong = |reason| EvidenceError::Package { reason };
    let at = signed.signing_time().ok_or_else(|| wrong("the statement's seal says no time"))?;
    let encoded: Vec<String> = serde_json::from_slice(lists).map_err(|_| wrong("its revocation lists cannot be read"))?;
    let lists: Vec<Vec<u8>> = encoded.iter().map(|list| STANDARD.decode(list)).collect::<Result<_, _>>().map_err(|_| wrong("a revocation list is not base64"))?;
    let chain = sealer(&signed).ok_or_else(|| wrong("nobody's certificate is with the seal"))?;
    // Whether it was revoked is known as of the lists, which are of the day of the package; what was revoked since is told by them.
    let listed = lists.iter().map(|der| pki::path::RevocationList::parse(der)).collect::<Result<Vec<_>, _>>().map_err(|_| wrong("a revocation list cannot be read"))?;
    let known = listed.iter().map(pki::path::RevocationList::this_update).max().unwrap_or(at).max(at);
    let facts = anchors.stood(&chain, Purpose::Seal, &listed, at, known).map_err(|error| EvidenceError::Signer { line: 1, error })?;
    Ok((facts.organization.unwrap_or_default(), at))
}

/// The certificates of whoever made a seal.
pub(crate) fn sealer(signed: &pki::cms::Verified) -> Option<Chain> {
    let others = signed.certificates().iter().filter(|one| one.as_slice() != signed.signer_certificate()).cloned();
    Chain::new(std::iter::once(signed.signer_certificate().to_vec()).chain(others).collect())
}

/// The log's key, where each batch of the evidence stands under its signed head.
fn in_log(log: &[u8], evidence: &[u8]) -> Option<String> {
    let log: LogProof = serde_json::from_slice(log).ok()?;
    let key: VerifierKey = log.vkey.parse().ok()?;
    let head = Checkpoint::open(log.checkpoint.as_bytes(), &key).ok()?;
    let mut held = BTreeSet::new();
    for entry in &log.entries {
        let leaf = STANDARD.decode(&entry.leaf).ok()?;
        let path = entry.path.iter().map(|one| hash(one)).collect::<Option<Vec<_>>>()?;
        verify_inclusion(leaf_hash(&leaf), entry.index, head.size(), &path, head.root()).ok()?;
        if let Ok((Entry::EvidenceRecorded(recorded), _)) = Entry::from_leaf(&leaf) {
            held.insert((recorded.items, recorded.root));
        }
    }
    for line in evidence.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line).ok()?;
        let statement = Statement::read(&line.statement)?;
        if statement.log != head.origin() || !held.contains(&(statement.items, statement.root)) {
            return None;
        }
    }
    Some(log.vkey)
}

fn names(directory: &Path) -> Result<BTreeSet<String>, EvidenceError> {
    let unreadable = |error: std::io::Error| EvidenceError::Unreadable { reason: format!("{}: {error}", directory.display()) };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        names.insert(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>, EvidenceError> {
    let path = directory.join(name);
    let unreadable = |reason: String| EvidenceError::Unreadable { reason: format!("{}: {reason}", path.display()) };
    let found = std::fs::symlink_metadata(&path).map_err(|error| unreadable(error.to_string()))?;
    if !found.is_file() || found.len() > MAX_FILE {
        return Err(unreadable("it is no file of a package".into()));
    }
    std::fs::read(&path).map_err(|error| unreadable(error.to_string()))
}
