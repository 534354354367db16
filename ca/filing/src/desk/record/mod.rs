//! What the desk's store holds: one file per kind of record, with its keys and its encoding.
//!
//! Every record begins with a version byte. What a filing says (names and numbers of persons) is sealed for the place it
//! stands in, so that a record moved under another key does not open.

pub mod archive;
pub mod attachment;
pub mod bureau;
pub mod enterprise;
pub mod event;
pub mod filing;
pub mod letter;
pub mod mandate;
pub mod operator;
pub mod receipt;
pub mod settings;
pub mod staff;

/// The version every record of today begins with.
const VERSION: u8 = 1;

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
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record).map_err(|_| RecordError::Damaged { kind, reason: "it cannot be written as JSON" })?;
    Ok(bytes)
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

/// Octets after the version byte.
pub(crate) fn plain(bytes: &[u8]) -> Vec<u8> {
    [&[VERSION], bytes].concat()
}
