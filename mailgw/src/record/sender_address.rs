//! An address that a registered bureau may send mail from, under the address itself: one address, one bureau.

use serde::{Deserialize, Serialize};
use store::{Expectation, Key, Store};

use super::evidence::ReadError;
use super::{RecordError, from_json, to_json};

const KIND: &str = "sender address";
const CHANGES: &str = "changes of sender addresses";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderAddress {
    pub bureau: String,
    pub since_unix_millis: u64,
}

/// What a commit expects that rests on all addresses as they are, and what one writes there that allows or withdraws one: how often that
/// was done.
pub fn changes(store: &dyn Store) -> Result<(Expectation, (Key, Vec<u8>)), ReadError> {
    let key = Key::new(CHANGES, &[]);
    let Some(bytes) = store.get(&key)? else { return Ok((Expectation::Absent(key.clone()), (key, to_json(CHANGES, &1_u64)?))) };
    let count: u64 = from_json(CHANGES, &bytes)?;
    let next = to_json(CHANGES, &count.wrapping_add(1))?;
    Ok((Expectation::Equals(key.clone(), bytes), (key, next)))
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
