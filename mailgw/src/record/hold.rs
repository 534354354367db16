//! A legal hold: what a push left behind, or what speaks of a mailbox, is kept beyond its time until the hold is taken back.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "legal hold";

/// What is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Held {
    Push { bureau: String, batch: String },
    Mailbox { mailbox: String },
}

impl Held {
    pub fn key(&self) -> Key {
        match self {
            Self::Push { bureau, batch } => Key::new(KIND, &[b"push", bureau.as_bytes(), batch.as_bytes()]),
            Self::Mailbox { mailbox } => Key::new(KIND, &[b"mailbox", mailbox.as_bytes()]),
        }
    }
}

/// Who ordered it and why, and how long it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub held: Held,
    /// The court or office.
    pub authority: String,
    /// The order, as it is known there.
    pub order: String,
    pub since_unix_millis: u64,
    /// Until it is taken back, where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
}

impl Hold {
    pub fn is_in_force(&self, now_unix_millis: u64) -> bool {
        self.until_unix_millis.is_none_or(|until| now_unix_millis < until)
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
