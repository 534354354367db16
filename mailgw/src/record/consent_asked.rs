//! What an owner wrote about the mail that it consents to, until it is answered. Sealed, since it says with whom somebody deals.

use keys::DataKey;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, versioned};

const KIND: &str = "consent asked";

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub mailbox: String,
    /// The subject.
    pub words: String,
    /// The request's own Message-ID.
    pub request: String,
    pub unix_millis: u64,
    /// Who wrote was logged in by what a program holds, or as an operator.
    pub program: bool,
}

impl Asked {
    /// `token` is random.
    pub fn key(mailbox: &str, token: &str) -> Key {
        Key::new(KIND, &[mailbox.as_bytes(), token.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn of_mailbox(mailbox: &str) -> (Key, Key) {
        Key::range(KIND, &[mailbox.as_bytes()])
    }

    pub fn seal(&self, place: &Key, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        Ok([&[VERSION], key.seal(place.as_bytes(), &json)?.as_slice()].concat())
    }

    pub fn open(place: &Key, bytes: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        let json = key.open(place.as_bytes(), versioned(KIND, bytes)?)?;
        serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" })
    }
}
