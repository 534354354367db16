//! An annotation that a mail program keeps with a folder, or with the account: `1 | sealed value`, under its entry. spec: rfc5464#3

use keys::DataKey;
use store::{Few, Key};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "annotation";

/// `folder`: 0 for the account, which no folder has.
pub fn key(mailbox: &str, folder: u64, entry: &str) -> Key {
    Key::new(KIND, &[mailbox.as_bytes(), &folder.to_be_bytes(), entry.as_bytes()])
}

/// Of one folder.
pub fn range(mailbox: &str, folder: u64) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes(), &folder.to_be_bytes()])
}

/// Of the account and all its folders.
pub fn all(mailbox: &str) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes()])
}

/// Few mailboxes have any.
pub fn few() -> Few {
    Few::table(KIND)
}

/// What changes with every annotation of the mailbox: who counts them expects it.
pub fn changed(mailbox: &str) -> Key {
    Key::new("annotations changed", &[mailbox.as_bytes()])
}

pub fn entry(key: &Key) -> Result<String, RecordError> {
    let entry = key.last_part().and_then(|entry| String::from_utf8(entry).ok());
    entry.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no entry" })
}

pub fn seal(key: &Key, value: &[u8], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    Ok([&[VERSION], data_key.seal(key.as_bytes(), value)?.as_slice()].concat())
}

pub fn open(key: &Key, stored: &[u8], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    Ok(data_key.open(key.as_bytes(), versioned(KIND, stored)?)?)
}
