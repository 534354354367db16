//! What an enterprise signed of a key, and whether it was taken back: of each operator's key the authorisation given last, and
//! which keys are the enterprise's own.

use serde::{Deserialize, Serialize};
use store::Key;

use super::mandate::Withdrawn;
use super::{RecordError, from_json, to_json};

const KIND: &str = "operator";
const OF: &str = "operator of";
const ANY: &str = "operators of";
const OWN: &str = "own key of";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorRecord {
    /// The canonical octets, which are text.
    pub document: String,
    /// Base64 of the signature with its timestamp.
    pub signature: String,
    /// Unix milliseconds.
    pub given_at: u64,
    /// By whose roots it was proved; a record from before it was noted has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bureau: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
}

impl OperatorRecord {
    pub fn key(id: &str) -> Key {
        Key::new(KIND, &[id.as_bytes()])
    }

    /// The authorisation of a key that was given last; its value is the id. `key` is the digest in hexadecimal.
    pub fn of(uscc: &str, key: &str) -> Key {
        Key::new(OF, &[uscc.as_bytes(), key.as_bytes()])
    }

    pub fn all_of(uscc: &str) -> (Key, Key) {
        Key::range(OF, &[uscc.as_bytes()])
    }

    /// Stands while a key is the enterprise's own: the one that signed its first authorisation, and those that such a one named.
    /// Its value is the id of the document that named it, or a mark where there is none. `key` is the digest in hexadecimal.
    pub fn own(uscc: &str, key: &str) -> Key {
        Key::new(OWN, &[uscc.as_bytes(), key.as_bytes()])
    }

    pub fn all_own(uscc: &str) -> (Key, Key) {
        Key::range(OWN, &[uscc.as_bytes()])
    }

    /// Stands from an enterprise's first authorisation on; its value is that one's id.
    pub fn any(uscc: &str) -> Key {
        Key::new(ANY, &[uscc.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
