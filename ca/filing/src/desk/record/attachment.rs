//! A file that goes with filings, by its digest. Its content is sealed in a file of its own.

use serde::{Deserialize, Serialize};
use store::{Batch, Key};

use super::{RecordError, from_json, plain, to_json, versioned};

const KIND: &str = "attachment";
const ALSO: &str = "attachment also of";
const WAITS: &str = "attachment waits";
const UNRECORDED: &str = "attachment removed";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentRecord {
    pub size: u64,
    /// Unix milliseconds: when somebody last showed that they mean to file it.
    pub kept_at: u64,
    /// The enterprise whose quota it counts for.
    pub by: String,
    /// SM3, hexadecimal; what came before it was kept has none until it comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm3: Option<String>,
}

/// How far it is known which files no filing names: a store from before that was noted is gone over once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Every file waits; those that filings of before name are still to be taken out.
    AllWait,
    Wholly,
}

impl Known {
    pub fn key() -> Key {
        Key::new("attachments known", &[])
    }

    pub fn encode(self) -> Vec<u8> {
        plain(&[self as u8])
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match versioned(KIND, bytes)? {
            [0] => Ok(Self::AllWait),
            [1] => Ok(Self::Wholly),
            _ => Err(RecordError::Damaged { kind: KIND, reason: "how far it is known is no step of ours" }),
        }
    }
}

impl AttachmentRecord {
    pub fn key(sha256: &str) -> Key {
        Key::new(KIND, &[sha256.as_bytes()])
    }

    /// Stands where an enterprise sent what another had sent before; it counts for that one's quota alone.
    pub fn also(uscc: &str, sha256: &str) -> Key {
        Key::new(ALSO, &[uscc.as_bytes(), sha256.as_bytes()])
    }

    /// What no filing names yet: how many, and their octets.
    pub const WAITING: &str = "attachments waiting";
    pub const WAITING_BYTES: &str = "attachments waiting bytes";

    /// Stands while no filing names it; the longest here first. Its value is the digest.
    pub fn waits(kept_at: u64, sha256: &str) -> Key {
        Key::new(WAITS, &[&kept_at.to_be_bytes(), sha256.as_bytes()])
    }

    /// All that wait and came before this moment, Unix milliseconds.
    pub fn waiting_before(kept_at: u64) -> (Key, Key) {
        (Key::range(WAITS, &[]).0, Key::range(WAITS, &[&kept_at.to_be_bytes()]).0)
    }

    /// It begins to wait, or ends.
    pub fn count_waiting(&self, more: bool, batch: &mut Batch) {
        let (one, bytes) = (1, i64::try_from(self.size).unwrap_or(i64::MAX));
        batch.add(Self::WAITING, if more { one } else { -one });
        batch.add(Self::WAITING_BYTES, if more { bytes } else { -bytes });
    }

    /// Stands while there may be a file and no record: from before a file comes until its record does, and from when a record
    /// is removed until its file is.
    pub fn unrecorded(sha256: &str) -> Key {
        Key::new(UNRECORDED, &[sha256.as_bytes()])
    }

    pub fn all_unrecorded() -> (Key, Key) {
        Key::range(UNRECORDED, &[])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    /// The sum of what one enterprise has here.
    pub fn sum(uscc: &str) -> String {
        format!("attachments/{uscc}")
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
