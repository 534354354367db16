//! That the owner of a mailbox proved who it is anew and is to have a new password when the cooling-off is over, sealed.

use keys::DataKey;
use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, versioned};

const KIND: &str = "mailbox recovery";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    pub since_unix_millis: u64,
    /// From then on it may be completed.
    pub due_unix_millis: u64,
    /// SHA-256 of what the officers signed.
    pub request: String,
    /// Their numbers.
    pub officers: Vec<String>,
}

impl Recovery {
    pub fn key(number: MailboxNumber) -> Key {
        Key::numbered(KIND, &[], number.get())
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
