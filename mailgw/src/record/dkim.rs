//! The selectors of mail signatures: those ever made, and the one in use.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "dkim";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selectors {
    pub made: Vec<Selector>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
}

/// `keys`: the names under which its keys stand in DNS and in the key store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    pub name: String,
    pub keys: Vec<String>,
}

impl Selectors {
    pub fn key() -> Key {
        Key::new(KIND, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
