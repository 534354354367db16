//! An owner says to have read a statement: what was written, and the code that is to come back. Both are sealed, since they say what
//! somebody looks at.

use keys::DataKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, versioned};

const ASKED: &str = "reading asked";
const WAITING: &str = "reading code";

/// What an owner wrote, until it is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub mailbox: String,
    /// Message-IDs that it answers.
    pub messages: Vec<String>,
    /// Words of its subject that may be numbers of statements.
    pub statements: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How its owner logged in: `password` or `certificate`; `program` of what a program holds, and of an operator.
    pub login: String,
    /// The request's own Message-ID.
    pub request: String,
    pub unix_millis: u64,
}

/// A statement that its owner is about to say to have read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    pub bureau: String,
    pub statement: String,
    /// SHA-256 of the message, hexadecimal.
    pub message: String,
    /// The keyed digest of the code.
    pub code: String,
    pub until_unix_millis: u64,
    pub tries: u32,
}

fn seal(kind: &'static str, place: &Key, record: &impl Serialize, key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let json = serde_json::to_vec(record).map_err(|_| RecordError::Damaged { kind, reason: "it cannot be written as JSON" })?;
    Ok([&[VERSION], key.seal(place.as_bytes(), &json)?.as_slice()].concat())
}

fn open<T: DeserializeOwned>(kind: &'static str, place: &Key, bytes: &[u8], key: &DataKey) -> Result<T, RecordError> {
    let json = key.open(place.as_bytes(), versioned(kind, bytes)?)?;
    serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind, reason: "its fields are not those of its version" })
}

impl Asked {
    /// `token` is random.
    pub fn key(mailbox: &str, token: &str) -> Key {
        Key::new(ASKED, &[mailbox.as_bytes(), token.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(ASKED, &[])
    }

    pub fn of_mailbox(mailbox: &str) -> (Key, Key) {
        Key::range(ASKED, &[mailbox.as_bytes()])
    }

    pub fn seal(&self, place: &Key, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        seal(ASKED, place, self, key)
    }

    pub fn open(place: &Key, bytes: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        open(ASKED, place, bytes, key)
    }
}

impl Waiting {
    /// One for a mailbox: the last statement that was named.
    pub fn key(mailbox: &str) -> Key {
        Key::new(WAITING, &[mailbox.as_bytes()])
    }

    pub fn seal(&self, place: &Key, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        seal(WAITING, place, self, key)
    }

    pub fn open(place: &Key, bytes: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        open(WAITING, place, bytes, key)
    }
}
