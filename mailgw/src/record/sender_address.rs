//! An address that a registered bureau may send mail from, under the address itself: one address, one bureau.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "sender address";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderAddress {
    pub bureau: String,
    pub since_unix_millis: u64,
}

impl SenderAddress {
    /// `address` in lower case.
    pub fn key(address: &str) -> Key {
        Key::new(KIND, &[address.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn address(key: &Key) -> Result<String, RecordError> {
        let address = key.last_part().and_then(|part| String::from_utf8(part).ok());
        address.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no address" })
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
