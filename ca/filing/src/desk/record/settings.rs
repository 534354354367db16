//! What was decided when the desk was founded and never changes; and its TLS certificate in use.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "settings";
const TLS: &str = "tls";
/// The counter that numbers the keys of the desk's own TLS.
pub const TLS_KEYS: &str = "tls key";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name by which enterprises call, which the TLS certificate bears.
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

/// A certificate in use: the key's name in the key store, and the chain, DER, the host's own first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub key: String,
    pub chain: super::bureau::Chain,
}

impl Tls {
    pub fn key() -> Key {
        Key::new(TLS, &[])
    }

    /// The name of the key a number stands for.
    pub fn key_name(number: u64) -> String {
        format!("tls-{number}")
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(TLS, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(TLS, bytes)
    }
}
