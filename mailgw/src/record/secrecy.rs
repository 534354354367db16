//! What the owner of a mailbox decided about statements: encrypted to the owner's own certificate, or as they are.

use serde::{Deserialize, Serialize};
use store::{Few, Key};

use super::{RecordError, from_json, to_json};

const KIND: &str = "mail encryption";

/// Since when statements are encrypted; who took it back has no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub since_unix_millis: u64,
}

impl Wish {
    pub fn key(mailbox: &str) -> Key {
        Key::new(KIND, &[mailbox.as_bytes()])
    }

    /// Few mailboxes have one.
    pub fn few() -> Few {
        Few::table(KIND)
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
