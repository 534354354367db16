//! The policy documents that were accepted, and those that others decide about.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{OrderId, Record};

/// The documents to go by, by the digest over all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedPolicies {
    pub sha256: String,
    /// Unix seconds.
    pub at: i64,
    /// The act in which officers approved them; none where the owner of the machine was free to change them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<OrderId>,
}

impl Record for AcceptedPolicies {}

impl AcceptedPolicies {
    pub fn key() -> Key {
        Key::new("authority", &[b"policies-accepted"])
    }

    /// The digest of those that the last start went by.
    pub fn read_last() -> Key {
        Key::new("authority", &[b"policies"])
    }
}

/// Documents that a version of the program brought to those accepted, until an administrator accepts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroughtPolicies {
    /// Those that were accepted, and all of them with what was brought.
    pub before_sha256: String,
    pub sha256: String,
    pub places: Vec<String>,
    /// Unix seconds.
    pub at: i64,
}

impl Record for BroughtPolicies {}

impl BroughtPolicies {
    pub fn key() -> Key {
        Key::new("authority", &[b"policies-brought"])
    }
}

/// Turned with each proposal and with the end of each: what is open at one time is counted by one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalTurns {
    pub turns: u64,
}

impl Record for ProposalTurns {}

impl ProposalTurns {
    pub fn key() -> Key {
        Key::new("authority", &[b"policies-proposed"])
    }
}

/// That documents were in force or accepted once. Its place alone says so: they stay, whoever proposes them again in vain.
pub struct AcceptedOnce;

impl AcceptedOnce {
    pub fn key(sha256: &str) -> Key {
        Key::new("policies-accepted-once", &[sha256.as_bytes()])
    }
}

/// A piece of documents, small enough for every engine; together they are JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyPiece {
    pub text: String,
}

impl Record for PolicyPiece {}

impl PolicyPiece {
    pub const TABLE: &str = "policy-piece";
    /// Octets of JSON in one; its quotes and lines may double when the piece is written.
    pub const LONGEST: usize = 1_536;

    pub fn key(sha256: &str, number: u32) -> Key {
        Key::new(Self::TABLE, &[sha256.as_bytes(), &number.to_be_bytes()])
    }

    pub fn all(sha256: &str) -> (Key, Key) {
        Key::range(Self::TABLE, &[sha256.as_bytes()])
    }
}
