//! What finds an account by a document, a credit code or a name of its own: `1 | number u64 big-endian`,
//! under an HMAC that only the directory's key can make. These records stay when the mailbox is closed. Beside them stands, in the same
//! form, which mailbox was the last to get a name of its own: who looked at all names rests on it.

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
const LAST_NAMED: &str = "last named mailbox";

pub fn person(document: &Document, key: &DataKey) -> Key {
    indexed(PERSON, zeroize::Zeroizing::new(document.canonical()).as_bytes(), key)
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

pub fn last_named() -> Key {
    Key::new(LAST_NAMED, &[])
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
    let number = versioned(KIND, bytes)?.try_into().map(u64::from_be_bytes).ok();
    let number = number.and_then(|number| MailboxNumber::parse(&format!("{number:010}")).ok());
    number.ok_or(RecordError::Damaged { kind: KIND, reason: "it holds no mailbox number" })
}
