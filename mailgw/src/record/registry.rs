//! A registry of identity cards whose word about an applicant is believed: `JSON`, under its code.

use serde::{Deserialize, Serialize};
use store::Key;

use super::bureau::Chain;
use super::{RecordError, from_json, to_json};

const KIND: &str = "card registry";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Chinese, as its certificate has it.
    pub name: String,
    /// Unified social credit code; its certificates bear the same.
    pub credit_code: String,
    /// Certificates its word may be signed with.
    pub clients: Vec<Chain>,
}

impl Registry {
    pub fn key(code: &str) -> Key {
        Key::new(KIND, &[code.as_bytes()])
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
