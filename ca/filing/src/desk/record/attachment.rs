//! A file that goes with filings, by its digest. Its content is sealed in a file of its own.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "attachment";
const ALSO: &str = "attachment also of";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentRecord {
    pub size: u64,
    /// Unix milliseconds.
    pub kept_at: u64,
    /// The enterprise whose quota it counts for.
    pub by: String,
}

impl AttachmentRecord {
    pub fn key(sha256: &str) -> Key {
        Key::new(KIND, &[sha256.as_bytes()])
    }

    /// Stands where an enterprise sent what another had sent before; it counts for that one's quota alone.
    pub fn also(uscc: &str, sha256: &str) -> Key {
        Key::new(ALSO, &[uscc.as_bytes(), sha256.as_bytes()])
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
