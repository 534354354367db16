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
