//! That a mailbox is filled to a part of which its owner is to be told, `1 | percent u8`; and what its owner was told last.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, from_json, to_json, versioned};

const CROSSED: &str = "quota crossed";
const WARNED: &str = "quota warned";

pub fn key(mailbox: &str) -> Key {
    Key::new(CROSSED, &[mailbox.as_bytes()])
}

pub fn all() -> (Key, Key) {
    Key::range(CROSSED, &[])
}

pub fn mailbox(key: &Key) -> Result<String, RecordError> {
    let mailbox = key.last_part().and_then(|part| String::from_utf8(part).ok());
    mailbox.ok_or(RecordError::Damaged { kind: CROSSED, reason: "its key holds no mailbox" })
}

pub fn encode(percent: u8) -> Vec<u8> {
    vec![VERSION, percent]
}

pub fn decode(bytes: &[u8]) -> Result<u8, RecordError> {
    match versioned(CROSSED, bytes)? {
        [percent] => Ok(*percent),
        _ => Err(RecordError::Damaged { kind: CROSSED, reason: "it is no percentage" }),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warned {
    pub percent: u8,
    pub unix_millis: u64,
}

pub fn warned_key(mailbox: &str) -> Key {
    Key::new(WARNED, &[mailbox.as_bytes()])
}

impl Warned {
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(WARNED, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(WARNED, bytes)
    }
}
