//! What finds an account by a document, a credit code or a name of its own: `1 | number u64 big-endian`,
//! under an HMAC that only the directory's key can make. These records stay when the mailbox is closed. Names that read alike are found
//! together: there the numbers of all mailboxes with such a name follow one another.

use keys::DataKey;
use policies::certificate::Pseudonym;
use policies::identity::{CreditCode, Document};
use policies::mailbox::{Alias, MailboxNumber};
use store::Key;

use super::{RecordError, VERSION, versioned};

const KIND: &str = "account index";
const PERSON: &str = "person";
const INSTITUTION: &str = "institution";
const ALIAS: &str = "alias";
const PSEUDONYM: &str = "pseudonym";
const READING: &str = "alias as read";
const READINGS_WHOLE: &str = "aliases as read, whole";

pub fn person(document: &Document, key: &DataKey) -> Key {
    Key::new(PERSON, &[&person_digest(document, key)])
}

/// By which an account knows a document: what finds it.
pub fn person_digest(document: &Document, key: &DataKey) -> [u8; 32] {
    key.index(PERSON, zeroize::Zeroizing::new(document.canonical()).as_bytes())
}

pub fn institution(code: &CreditCode, key: &DataKey) -> Key {
    indexed(INSTITUTION, code.as_str().as_bytes(), key)
}

pub fn alias(alias: &Alias, key: &DataKey) -> Key {
    indexed(ALIAS, alias.as_str().as_bytes(), key)
}

/// Of all names of mailboxes.
pub fn aliases() -> (Key, Key) {
    Key::range(ALIAS, &[])
}

/// The same for all names that people take for each other.
pub fn reading(alias: &Alias, key: &DataKey) -> Key {
    indexed(READING, alias.as_read().as_bytes(), key)
}

/// Of all readings.
#[cfg(test)]
pub fn readings() -> (Key, Key) {
    Key::range(READING, &[])
}

/// Stands once every name of before is found by its reading.
pub fn readings_whole() -> Key {
    Key::new(READINGS_WHOLE, &[])
}

/// Of [`readings_whole`].
pub fn mark() -> Vec<u8> {
    vec![VERSION]
}

pub fn pseudonym(pseudonym: &Pseudonym, key: &DataKey) -> Key {
    indexed(PSEUDONYM, pseudonym.as_str().as_bytes(), key)
}

fn indexed(table: &str, data: &[u8], key: &DataKey) -> Key {
    Key::new(table, &[&key.index(table, data)])
}

pub fn encode(number: MailboxNumber) -> Vec<u8> {
    [&[VERSION], number.get().to_be_bytes().as_slice()].concat()
}

pub fn decode(bytes: &[u8]) -> Result<MailboxNumber, RecordError> {
    number(versioned(KIND, bytes)?)
}

/// Of a reading.
pub fn encode_all(numbers: impl Iterator<Item = MailboxNumber>) -> Vec<u8> {
    std::iter::once(VERSION).chain(numbers.flat_map(|number| number.get().to_be_bytes())).collect()
}

pub fn decode_all(bytes: &[u8]) -> Result<Vec<MailboxNumber>, RecordError> {
    versioned(KIND, bytes)?.chunks(8).map(number).collect()
}

fn number(bytes: &[u8]) -> Result<MailboxNumber, RecordError> {
    let number = bytes.try_into().map(u64::from_be_bytes).ok();
    let number = number.and_then(|number| MailboxNumber::parse(&format!("{number:010}")).ok());
    number.ok_or(RecordError::Damaged { kind: KIND, reason: "it holds no mailbox number" })
}
