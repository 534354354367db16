//! A legal hold on what a push left behind, which is kept beyond its time until the hold is taken back. Those on mailboxes are of
//! `mailbox_hold`, but for what stands here from before.

use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key, Store};

use super::evidence::ReadError;
use super::{RecordError, VERSION, from_json, to_json, versioned};

const KIND: &str = "legal hold";
const CHANGES: &str = "legal hold changes";

/// What is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Held {
    /// A push, by its bureau's own name for it.
    Push { bureau: String, batch: String },
    /// What pushes remember of a mailbox. None is made any more, since a hold on a mailbox is one of `mailbox_hold`; those that were made
    /// hold until they are taken back.
    Mailbox { mailbox: String },
}

impl Held {
    pub fn key(&self) -> Key {
        match self {
            Self::Push { bureau, batch } => Key::new(KIND, &[b"push", bureau.as_bytes(), batch.as_bytes()]),
            Self::Mailbox { mailbox } => Key::new(KIND, &[b"mailbox", mailbox.as_bytes()]),
        }
    }

    /// Where the hold by an order of an authority stands: each has its own, and none takes another's place. Those of before stand under
    /// `key`, or under that with the authority.
    pub fn key_of(&self, authority: &str, order: &str) -> Key {
        match self {
            Self::Push { bureau, batch } => Key::new(KIND, &[b"push", bureau.as_bytes(), batch.as_bytes(), authority.as_bytes(), order.as_bytes()]),
            Self::Mailbox { .. } => self.key(),
        }
    }

    /// Where all its holds stand.
    pub fn range(&self) -> (Key, Key) {
        match self {
            Self::Push { bureau, batch } => Key::range(KIND, &[b"push", bureau.as_bytes(), batch.as_bytes()]),
            Self::Mailbox { mailbox } => Key::range(KIND, &[b"mailbox", mailbox.as_bytes()]),
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

/// How often holds, or what they could hold, changed: who decides by all holds commits only where none came meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    stored: Option<Vec<u8>>,
    count: u64,
}

impl Changes {
    /// To be read before the holds are.
    pub fn read(store: &dyn Store) -> Result<Self, ReadError> {
        let stored = store.get(&Self::key())?;
        let damaged = |_| RecordError::Damaged { kind: CHANGES, reason: "it is no number" };
        let count = match &stored {
            Some(bytes) => u64::from_be_bytes(versioned(CHANGES, bytes)?.try_into().map_err(damaged)?),
            None => 0,
        };
        Ok(Self { stored, count })
    }

    fn key() -> Key {
        Key::new(CHANGES, &[])
    }

    /// Into the commit, which fails where another change came first; and what is read after it.
    pub fn next(&self, write: Batch) -> (Batch, Self) {
        let still = self.stored.as_ref().map_or_else(|| Expectation::Absent(Self::key()), |stored| Expectation::Equals(Self::key(), stored.clone()));
        let count = self.count.wrapping_add(1);
        let stored = [&[VERSION][..], &count.to_be_bytes()].concat();
        (write.expect(still).put(Self::key(), stored.clone()), Self { stored: Some(stored), count })
    }
}
