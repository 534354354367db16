//! Leaves of what bureaus send: pushes, statements, their evidence, corrections, paper, retention.

use serde::{Deserialize, Serialize};

/// `item` is the digest of the item key, `digest` that of the message; `row` is a keyed digest of the row as it was sent,
/// which only this gateway can make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub mailbox: String,
    pub bureau: String,
    pub item: String,
    pub row: String,
    pub digest: String,
    pub size: u64,
}

/// A month's push: `manifest` is the digest of what the bureau signed, `outcome` that of the report once it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushBatch {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Rows the sealer is about to sign for; `rows` is the digest of their numbers (8 octets each) and content digests (32 each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seals {
    pub bureau: String,
    pub batch: String,
    pub count: u64,
    pub rows: String,
}

/// Items of evidence that stand in the same commit: their number and the root of their tree, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub items: u64,
    pub root: String,
}

/// Batches of evidence that were signed; `seals` is the digest of their signatures' digests (32 octets each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceSeals {
    pub first: u64,
    pub count: u64,
    pub seals: String,
}

/// Batches of evidence whose signatures were stamped; `stamps` is the digest of the tokens' digests (32 octets each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceStamps {
    pub first: u64,
    pub count: u64,
    pub stamps: String,
}

/// What a push left behind beside its messages ends with its days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub bureau: String,
    pub batch: String,
    pub kind: String,
    pub rows: u64,
}

/// A legal hold, or its end, by this order; `of` is the digest of what is held. Of an end, the order that set it, and the digest of what
/// these officers signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub of: String,
    pub authority: String,
    pub order: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
    pub holds: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub officers: Vec<String>,
}

/// A statement with its evidence was handed out by this order; `of` is the digest of its item key, `package` that of the package's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Court {
    pub of: String,
    pub order: String,
    pub package: String,
}

/// Where a bureau's own push stands from now on; `manifest` is the digest of what the bureau signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushJob {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub state: String,
}

/// A bureau asked whether persons can be reached: about how many, and how many of them can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    pub bureau: String,
    pub asked: u64,
    pub reachable: u64,
}

/// The final report of a push: `report` is its digest, in the log before it is signed; `signature` that of its CMS, after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushReport {
    pub bureau: String,
    pub batch: String,
    pub report: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Kept-back rows of `batch` that the batch `by` brought again: how many of them ended, and the digest of all outcomes since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mended {
    pub bureau: String,
    pub batch: String,
    pub by: String,
    pub rows: u64,
    pub outcome: String,
}

/// A statement that holds no more: `item` is the digest of its item key, `old` that of its message, which stays; `digest` and `size`
/// are of the message that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrected {
    pub mailbox: String,
    pub bureau: String,
    pub batch: String,
    pub item: String,
    pub old: String,
    pub digest: String,
    pub size: u64,
}

/// What the owner of a mailbox agreed with a sender, or took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    pub mailbox: String,
    pub bureau: String,
    /// What was consented to; none of an enrolment, and where consent was to all kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub holds: bool,
}

/// A push was tried, with nothing delivered: how many rows, and how many would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushTrial {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub rows: u64,
    pub reachable: u64,
}

/// The sealer is about to seal a statement on paper: `content` is the sealed content that it is made of, `paper` the PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    pub bureau: String,
    pub batch: String,
    pub row: u64,
    pub content: String,
    pub paper: String,
}

/// A statement was handed out on paper; `item` is the digest of its item key, `paper` that of the PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Papered {
    pub mailbox: String,
    pub bureau: String,
    pub item: String,
    pub paper: String,
}

/// Statements to a mailbox are encrypted to its owner's certificate from now on, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    pub mailbox: String,
    pub holds: bool,
}
