//! The gateway's own TLS: the key made for the last request, and the certificate in use.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "tls";
/// The counter that numbers the keys.
pub const KEYS: &str = "tls key";

/// A certificate in use: the key's name in the key store, and the chain, DER in base64, the host's own first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub key: String,
    pub chain: Vec<String>,
}

impl Tls {
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
    format!("tls-{number}")
}
