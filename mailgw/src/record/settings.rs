//! What was decided when the gateway was founded and never changes: its domain, its host, its log.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "settings";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What stands after the `@` of every mailbox.
    pub domain: String,
    /// The name this host greets with and stands under in `Received`.
    pub host: String,
    pub log_origin: String,
    pub log_key: String,
}

impl Settings {
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
