//! A mandate that a principal signed, and whether it was taken back.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "mandate";
const OF: &str = "mandate of";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateRecord {
    /// The canonical octets, which are text.
    pub document: String,
    /// Base64 of the signature with its timestamp.
    pub signature: String,
    /// Unix milliseconds.
    pub given_at: u64,
    /// By the principal's certificate, when it gave the mandate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_name: Option<String>,
    /// Where the principal's certificate said that it reads its mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// By whose roots it was proved; a record from before it was noted has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bureau: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    pub document: String,
    pub signature: String,
    /// Unix milliseconds.
    pub at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bureau: Option<String>,
}

impl MandateRecord {
    pub fn key(id: &str) -> Key {
        Key::new(KIND, &[id.as_bytes()])
    }

    /// Of a principal or of an agent; its value is the id.
    pub fn of(code: &str, id: &str) -> Key {
        Key::new(OF, &[code.as_bytes(), id.as_bytes()])
    }

    pub fn all_of(code: &str) -> (Key, Key) {
        Key::range(OF, &[code.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
