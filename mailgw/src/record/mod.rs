//! What the gateway's store holds: one file per kind of record, with its keys and its encoding.
//!
//! Every record begins with a version byte. Personal data and message bodies are sealed for the place
//! they stand in, so that a record moved under another key does not open.

pub mod access;
pub mod account;
pub mod annotation;
pub mod app_password;
pub mod application;
pub mod asked;
pub mod body;
pub mod bureau;
pub mod certificate;
pub mod consent_asked;
pub mod continuity;
pub mod deleted;
pub mod dictionary;
pub mod dkim;
pub mod dmarc_tally;
pub mod enrolment;
pub mod event;
pub mod evidence;
pub mod expunged;
pub mod folder;
pub mod former_name;
pub mod hold;
pub mod mailbox_hold;
pub mod index;
pub mod job;
pub mod message;
pub mod notice;
pub mod notification;
pub mod operator;
pub mod outline;
pub mod owner_notice;
pub mod password;
pub mod push;
pub mod queue;
pub mod reading;
pub mod recovery;
pub mod registrar;
pub mod registry;
pub mod sealing;
pub mod sender_address;
pub mod secrecy;
pub mod settings;
pub mod spent;
pub mod tally;
pub mod tls;
pub mod tls_tally;
pub mod unentered;
pub mod usage;
pub mod warning;
pub mod withdrawn;
pub mod words;

/// The version every record of today begins with.
pub(crate) const VERSION: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a {kind} record cannot be read: {reason}; restore it from a backup")]
    Damaged { kind: &'static str, reason: &'static str },
    #[error("a {kind} record has version {version}, which this program does not know; use a newer one")]
    Version { kind: &'static str, version: u8 },
    #[error(transparent)]
    Key(#[from] keys::DataKeyError),
}

/// A record whose fields stand as JSON after the version byte.
pub(crate) fn to_json(kind: &'static str, record: &impl serde::Serialize) -> Result<Vec<u8>, RecordError> {
    let json = serde_json::to_vec(record).map_err(|_| RecordError::Damaged { kind, reason: "it cannot be written as JSON" })?;
    Ok([&[VERSION], json.as_slice()].concat())
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(versioned(kind, bytes)?).map_err(|_| RecordError::Damaged { kind, reason: "its fields are not those of its version" })
}

/// What follows the version byte.
pub(crate) fn versioned<'a>(kind: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], RecordError> {
    match bytes {
        [VERSION, rest @ ..] => Ok(rest),
        [version, ..] => Err(RecordError::Version { kind, version: *version }),
        [] => Err(RecordError::Damaged { kind, reason: "it is empty" }),
    }
}
