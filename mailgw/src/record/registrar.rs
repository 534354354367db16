//! By what the authority believes this gateway about mailboxes: a key, its certificate, and where the authority is.

use serde::{Deserialize, Serialize};
use store::Key;

use super::bureau::Chain;
use super::{RecordError, from_json, to_json};

const KIND: &str = "registrar";
/// The counter that numbers the keys.
pub const KEYS: &str = "registrar key";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registrar {
    /// The key's name in the key store.
    pub key: String,
    pub chain: Chain,
    /// The authority's public address.
    pub authority: String,
}

impl Registrar {
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

/// The name of the key a number stands for.
pub fn key_name(number: u64) -> String {
    format!("registrar-{number}")
}
