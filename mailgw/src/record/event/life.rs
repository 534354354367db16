//! Leaves of a mailbox's life: who is believed, what comes back, what is held, what leaves and comes as files, who is told.

use serde::{Deserialize, Serialize};

/// A message whose sender was proved to be this bureau.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    pub mailbox: String,
    pub bureau: String,
    pub digest: String,
    pub size: u64,
}

/// A bureau may send signed mail as this address from now on, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderAddress {
    pub bureau: String,
    pub address: String,
    pub holds: bool,
}

/// Deleted messages that are in the mailbox again: `digests` is the digest of their digests (32 octets each) in order, `request` that of
/// the words by which their owner asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    pub mailbox: String,
    pub messages: u64,
    pub digests: String,
    pub request: String,
}

/// A legal hold on a mailbox, by its number there, until when (Unix milliseconds) where that was said, and the digest of who asked for it
/// and why: the words stand sealed in the record. Of one that is lifted, the digest of what these officers signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxHold {
    pub mailbox: String,
    pub number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    pub words: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub officers: Vec<String>,
}

/// A mailbox is about to leave as files: `inventory` is the digest of what is signed of it, `request` that of the words by which it was
/// asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archived {
    pub mailbox: String,
    pub messages: u64,
    pub inventory: String,
    pub request: String,
    /// Statements alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub statements: bool,
}

/// Mail of files was taken into a mailbox: each message has a leaf of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub mailbox: String,
    pub messages: u64,
    pub known: u64,
    pub request: String,
}

/// The owner of a mailbox was told, by this message, that it is filled to this part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaWarned {
    pub mailbox: String,
    pub percent: u8,
    pub digest: String,
    pub size: u64,
}

/// The owner of a mailbox is to have a new password at this time, Unix milliseconds: `request` is the digest of what these officers signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryBegun {
    pub mailbox: String,
    pub request: String,
    pub officers: Vec<String>,
    pub due: u64,
    /// Its password opened nothing at that time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// `why`: `completed`, `login`, `cancelled` by the operator, `closed` with the mailbox, or `document-withdrawn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryEnded {
    pub mailbox: String,
    pub why: String,
}

/// The holder of a mailbox is called otherwise from now on. `name` is a keyed digest of mailbox and name, which this gateway alone can make;
/// the proofs by their names, what both rules of opening gave, digests of the files that were looked at and of where the papers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    pub mailbox: String,
    pub name: String,
    pub document: Vec<String>,
    pub person: Vec<String>,
    pub document_grade: String,
    pub person_grade: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    pub papers: String,
}

/// A further document of a mailbox's owner was taken in, and nothing of it is told: by what proofs, as of `Renamed`; and by what it is known
/// that its owner is the mailbox's, of which leaves of before say nothing: one that was held was shown with it, or what these officers signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentProved {
    pub mailbox: String,
    pub document: Vec<String>,
    pub person: Vec<String>,
    pub document_grade: String,
    pub person_grade: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    pub papers: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_shown: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub officers: Vec<String>,
}

/// A document of a mailbox's owner is the mailbox's no more, and nothing of it is told: the digest of where the papers are, and of one that
/// counted already what these officers signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentWithdrawn {
    pub mailbox: String,
    pub papers: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub officers: Vec<String>,
}
