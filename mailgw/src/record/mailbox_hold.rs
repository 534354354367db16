//! A legal hold on a mailbox: who asked for it, why, until when. Sealed, under the mailbox and its number there. Beside them stands the
//! number of the last one, so that a commit that deletes for good can expect that no other came.

use keys::DataKey;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, versioned};

const KIND: &str = "mailbox hold";
const MARK: &str = "mailbox holds";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub authority: String,
    pub reason: String,
    pub since_unix_millis: u64,
    /// Until it is lifted, where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
    /// Ended before its time: when, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<(u64, String)>,
    /// The numbers of the officers who signed for that; none signed before it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted_by: Vec<String>,
}

pub fn counter(mailbox: &str) -> String {
    format!("mailbox holds/{mailbox}")
}

pub fn key(mailbox: &str, number: u64) -> Key {
    Key::numbered(KIND, &[mailbox.as_bytes()], number)
}

pub fn range(mailbox: &str) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes()])
}

pub fn number(mailbox: &str, key: &Key) -> Result<u64, RecordError> {
    key.number(KIND, &[mailbox.as_bytes()]).ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no number" })
}

pub fn mark_key(mailbox: &str) -> Key {
    Key::new(MARK, &[mailbox.as_bytes()])
}

/// Every mailbox that was ever held.
pub fn marks() -> (Key, Key) {
    Key::range(MARK, &[])
}

pub fn marked(key: &Key) -> Result<String, RecordError> {
    let mailbox = key.last_part().and_then(|part| String::from_utf8(part).ok());
    mailbox.ok_or(RecordError::Damaged { kind: MARK, reason: "its key names no mailbox" })
}

pub fn mark(number: u64) -> Vec<u8> {
    [&[VERSION], number.to_be_bytes().as_slice()].concat()
}

impl Hold {
    pub fn holds_at(&self, unix_millis: u64) -> bool {
        self.lifted.is_none() && self.until_unix_millis.is_none_or(|until| unix_millis < until)
    }

    pub fn seal(&self, mailbox: &str, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        Ok([&[VERSION], key.seal(&place(mailbox), &json)?.as_slice()].concat())
    }

    pub fn open(mailbox: &str, bytes: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        let json = key.open(&place(mailbox), versioned(KIND, bytes)?)?;
        serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" })
    }
}

/// What it is sealed for: its number is given in the commit.
fn place(mailbox: &str) -> Vec<u8> {
    [KIND.as_bytes(), b"\0", mailbox.as_bytes()].concat()
}
