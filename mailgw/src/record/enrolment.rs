//! What the owner of a mailbox agreed with a sender: consent to its messages, and the token by which it names the mailbox.
//!
//! A token is made of the data key, the sender and the mailbox: two senders' tokens of one mailbox have nothing in common,
//! and none is stored. It is found by its keyed index, under its sender alone.

use keys::DataKey;
use policies::statement::EnrolmentToken;
use serde::{Deserialize, Serialize};
use store::{Expectation, Key, Store};

use super::evidence::ReadError;
use super::{RecordError, from_json, to_json};

const CONSENT: &str = "consent";
const CONSENT_TO_KIND: &str = "consent to kind";
const ENROLMENT: &str = "enrolment";
const TOKEN: &str = "enrolment token";

/// Since when a sender may send a kind that needs consent; one that was withdrawn is no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    pub since_unix_millis: u64,
}

impl Consent {
    pub fn key(mailbox: &str, bureau: &str, kind: &str) -> Key {
        Key::new(CONSENT_TO_KIND, &[mailbox.as_bytes(), bureau.as_bytes(), kind.as_bytes()])
    }

    /// All of a mailbox's to one sender; the kind ends each key.
    pub fn of(mailbox: &str, bureau: &str) -> (Key, Key) {
        Key::range(CONSENT_TO_KIND, &[mailbox.as_bytes(), bureau.as_bytes()])
    }

    /// Where one to all kinds of a sender stands, of before they were told apart.
    pub fn before_kinds(bureau: &str, mailbox: &str) -> Key {
        Key::new(CONSENT, &[bureau.as_bytes(), mailbox.as_bytes()])
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(CONSENT, bytes)
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(CONSENT, self)
    }
}

/// A mailbox's enrolment with a sender. Each token has its number: one that was withdrawn is never given again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    pub number: u64,
    pub active: bool,
}

impl Enrolment {
    pub fn key(bureau: &str, mailbox: &str) -> Key {
        Key::new(ENROLMENT, &[bureau.as_bytes(), mailbox.as_bytes()])
    }

    pub fn known(store: &dyn Store, bureau: &str, mailbox: &str) -> Result<(Self, Expectation), ReadError> {
        let key = Self::key(bureau, mailbox);
        Ok(match store.get(&key)? {
            Some(bytes) => (from_json(ENROLMENT, &bytes)?, Expectation::Equals(key, bytes)),
            None => (Self::default(), Expectation::Absent(key)),
        })
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(ENROLMENT, self)
    }

    /// The token of this number.
    pub fn token(&self, bureau: &str, mailbox: &str, data: &DataKey) -> EnrolmentToken {
        let mut of = Vec::new();
        for part in [bureau.as_bytes(), mailbox.as_bytes(), &self.number.to_be_bytes()] {
            of.extend_from_slice(&(part.len() as u64).to_be_bytes());
            of.extend_from_slice(part);
        }
        let mut half = [0; 16];
        half.iter_mut().zip(data.index("enrolment token", &of)).for_each(|(to, from)| *to = from);
        EnrolmentToken::from_bytes(half)
    }
}

/// Where the mailbox of a token stands.
pub fn token_key(bureau: &str, token: &EnrolmentToken, data: &DataKey) -> Key {
    Key::new(TOKEN, &[bureau.as_bytes(), &data.index("enrolment lookup", token.expose().as_bytes())])
}

pub fn encode_mailbox(mailbox: &str) -> Result<Vec<u8>, RecordError> {
    to_json(TOKEN, &mailbox)
}

pub fn decode_mailbox(bytes: &[u8]) -> Result<String, RecordError> {
    from_json(TOKEN, bytes)
}
