//! An application for a mailbox, sealed, under what its address is the digest of; beside it a mark while it waits for an operator. The
//! document's number is not in it: a keyed digest is, so that an operator who reads the number from the paper can be compared with.

use keys::DataKey;
use policies::identity::DocumentKind;
use serde::{Deserialize, Serialize};
use store::Key;

use super::bureau::Chain;
use super::password::Verifier;
use super::{RecordError, VERSION, versioned};

const KIND: &str = "mailbox application";
const WAITING: &str = "mailbox application waiting";

/// By which operators call an application: the beginning of the digest of its address, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationId(String);

impl ApplicationId {
    pub const LENGTH: usize = 24;

    pub fn parse(text: &str) -> Option<Self> {
        let good = text.len() == Self::LENGTH && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    Waiting,
    /// Ten digits.
    Opened { mailbox: String },
    /// Whoever applied had one; `closed`: and closed it.
    Exists { mailbox: String, closed: bool },
    Refused { reason: String },
    Withdrawn,
    /// No operator answered in time.
    Lapsed,
}

/// What is known of the applicant while the application waits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub name: String,
    /// Of the document and of all that was sent, hexadecimal; the directory's key alone makes them.
    pub document: String,
    pub password: Verifier,
    /// What pictures and papers came with it: a word for each, and its SHA-256.
    pub evidence: Vec<(String, String)>,
    /// The mailbox whose certificate the applicant signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// That certificate, which may be revoked while the application waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Chain>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub since_unix_millis: u64,
    /// Keyed digest of what was sent, the password left out.
    pub content: String,
    pub id_type: String,
    pub masked: String,
    /// Names of what proves the document, and the person.
    pub document_proofs: Vec<String>,
    pub person_proofs: Vec<String>,
    /// The grades of both rules, as the policy of that day called them.
    pub document_grade: String,
    pub person_grade: String,
    /// The card registry whose word came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Gone when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_unix_millis: Option<u64>,
}

impl Application {
    /// As it is kept once it has ended: what names a person goes.
    pub fn ended(mut self, state: State, unix_millis: u64) -> Self {
        (self.person, self.state, self.ended_unix_millis) = (None, state, Some(unix_millis));
        self.masked.clear();
        self
    }

    pub fn kind(&self) -> Option<DocumentKind> {
        DocumentKind::from_name(&self.id_type)
    }

    pub fn seal(&self, place: &Key, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        Ok([&[VERSION], key.seal(place.as_bytes(), &zeroize::Zeroizing::new(json))?.as_slice()].concat())
    }

    pub fn open(place: &Key, bytes: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        let json = zeroize::Zeroizing::new(key.open(place.as_bytes(), versioned(KIND, bytes)?)?);
        serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" })
    }
}

pub fn key(id: &ApplicationId) -> Key {
    Key::new(KIND, &[id.0.as_bytes()])
}

pub fn all() -> (Key, Key) {
    Key::range(KIND, &[])
}

/// Present while it waits.
pub fn waiting_key(id: &ApplicationId) -> Key {
    Key::new(WAITING, &[id.0.as_bytes()])
}

pub fn waiting() -> (Key, Key) {
    Key::range(WAITING, &[])
}

pub fn mark() -> Vec<u8> {
    vec![VERSION]
}

pub fn id(key: &Key) -> Result<ApplicationId, RecordError> {
    let id = key.last_part().and_then(|part| String::from_utf8(part).ok()).and_then(|text| ApplicationId::parse(&text));
    id.ok_or(RecordError::Damaged { kind: KIND, reason: "its key is no id" })
}
