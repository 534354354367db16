//! What is remembered of pushes: the batch, what became of its rows, and every statement once delivered.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const BATCH: &str = "push batch";
const ROWS: &str = "push rows";
const ITEM: &str = "push item";
const REPORT: &str = "push report";
const QUOTA: &str = "push quota";
const MENDED: &str = "push mended";
const MENDINGS: &str = "push mendings";

/// A batch from the moment its file was found to agree with its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushBatch {
    /// SHA-256 of the manifest, hexadecimal.
    pub manifest: String,
    /// SHA-256 of the file, as the manifest says, hexadecimal; empty for batches of before there were final reports.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    pub kind: String,
    pub period: String,
    pub rows: u64,
    pub begun_unix_millis: u64,
    /// Set once every row has its outcome.
    pub ended_unix_millis: Option<u64>,
    /// The batch whose kept-back rows this one brings again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mends: Option<String>,
    /// Its rows supersede or withdraw statements: one that was kept back is sent again as such, and not mended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub corrects: bool,
    /// What it left behind beside its messages was removed when its days were over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_unix_millis: Option<u64>,
}

/// What became of one row. The reasons are a closed list: reports and their readers rely on the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In the mailbox, durable.
    Delivered,
    /// The same statement was delivered before, by this batch or another.
    Duplicate,
    /// Kept back: something in the row must be mended.
    Quarantined,
    /// No mailbox takes it.
    Undeliverable,
}

impl State {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Undeliverable => "undeliverable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowOutcome {
    /// 1 for the first row after the header.
    pub row: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stmt_id: Option<String>,
    pub state: State,
    /// `V1` to `P7`, or a word such as `unknown-person`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For the bureau's people: what is wrong with which figures. Never a person's number or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Rules that could not be judged, such as those that need the month before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<String>,
    /// SHA-256 of the message as stored, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The batch that brought this row again, mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended_by: Option<String>,
}

impl RowOutcome {
    /// Nothing was delivered of it yet, and a mended row may be.
    pub fn is_kept_back(&self) -> bool {
        matches!(self.state, State::Quarantined | State::Undeliverable)
    }
}

/// A statement that was delivered: the same key twice delivers once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The keyed digest of the row as the bureau sent it, hexadecimal.
    pub row: String,
    pub batch: String,
    pub mailbox: String,
    pub message: String,
    /// Kind and month, and the keyed index of the account that the next month is compared by; empty for statements of before
    /// there were corrections.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub period: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// 1 for the first row of its file after the header; 0 for statements of before that was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u64,
    /// Corrections before it that led to it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrections: u64,
    /// Since when it does not hold any more, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// How a statement ended. Its message stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The statement that supersedes it; it was withdrawn where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// The batch that said so, and the message that told its reader, as the SHA-256 of its octets.
    pub batch: String,
    pub message: String,
    pub reason: String,
    pub unix_millis: u64,
    /// The row that said so; 0 where that was not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The batches that brought kept-back rows of another again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mendings {
    /// The one that has begun and not ended: one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// In the order in which they ended.
    pub ended: Vec<String>,
}

impl Mendings {
    pub fn key(bureau: &str, batch: &str) -> Key {
        Key::new(MENDINGS, &[bureau.as_bytes(), batch.as_bytes()])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(MENDINGS, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(MENDINGS, bytes)
    }
}

/// How many messages of a kind a recipient got from a sender in a month (YYYYMM).
pub fn quota_key(bureau: &str, kind: &str, mailbox: &str, month: &str) -> Key {
    Key::new(QUOTA, &[bureau.as_bytes(), kind.as_bytes(), mailbox.as_bytes(), month.as_bytes()])
}

pub fn encode_quota(count: u32) -> Result<Vec<u8>, RecordError> {
    to_json(QUOTA, &count)
}

pub fn decode_quota(bytes: &[u8]) -> Result<u32, RecordError> {
    from_json(QUOTA, bytes)
}

/// What became of a kept-back row once it was mended: stands for its first outcome.
pub fn mended_key(bureau: &str, batch: &str, row: u64) -> Key {
    Key::numbered(MENDED, &[bureau.as_bytes(), batch.as_bytes()], row)
}

pub fn encode_mended(outcome: &RowOutcome) -> Result<Vec<u8>, RecordError> {
    to_json(MENDED, outcome)
}

pub fn decode_mended(bytes: &[u8]) -> Result<RowOutcome, RecordError> {
    from_json(MENDED, bytes)
}

/// The final report of a batch: its text, and its signature once it has one. The lists are those by which the signer was good
/// at that moment, by their SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportRecord {
    pub report: String,
    /// Detached CMS, DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
}

impl ReportRecord {
    /// Editions are numbered from 1.
    pub fn key(bureau: &str, batch: &str, edition: u64) -> Key {
        Key::numbered(REPORT, &[bureau.as_bytes(), batch.as_bytes()], edition)
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(REPORT, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(REPORT, bytes)
    }
}

pub fn batch_key(bureau: &str, batch: &str) -> Key {
    Key::new(BATCH, &[bureau.as_bytes(), batch.as_bytes()])
}

/// Every batch of a bureau; the batch's name ends its key.
pub fn batches_of(bureau: &str) -> (Key, Key) {
    Key::range(BATCH, &[bureau.as_bytes()])
}

/// The outcomes of the rows of one block, under its number.
pub fn rows_key(bureau: &str, batch: &str, block: u64) -> Key {
    Key::numbered(ROWS, &[bureau.as_bytes(), batch.as_bytes()], block)
}

pub fn rows_range(bureau: &str, batch: &str) -> (Key, Key) {
    Key::range(ROWS, &[bureau.as_bytes(), batch.as_bytes()])
}

pub fn item_key(bureau: &str, stmt_id: &str) -> Key {
    Key::new(ITEM, &[bureau.as_bytes(), stmt_id.as_bytes()])
}

impl PushBatch {
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(BATCH, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(BATCH, bytes)
    }
}

impl Item {
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(ITEM, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(ITEM, bytes)
    }
}

pub fn encode_rows(rows: &[RowOutcome]) -> Result<Vec<u8>, RecordError> {
    to_json(ROWS, &rows)
}

pub fn decode_rows(bytes: &[u8]) -> Result<Vec<RowOutcome>, RecordError> {
    from_json(ROWS, bytes)
}
