//! Where somebody is told that their certificate ends, when the certificate itself names no mailbox: officers and hosts.
//! The contact is the holder's, so it goes on with the next certificate.

use policies::certificate::Email;
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};

use super::authorise::{Authorised, OFFICER, Operator};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Person, log, serial_text};
use crate::register;

/// What an operator says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetContact {
    pub serial: String,
    /// None to take it away.
    pub mailbox: Option<String>,
}

/// Without the address: it may be a person's.
impl std::fmt::Debug for SetContact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetContact").field("serial", &self.serial).field("set", &self.mailbox.is_some()).finish_non_exhaustive()
    }
}

/// Of an officer by the person, of all others by profile and name, as long as those are.
fn place(record: &CertificateRecord) -> Key {
    let person = (record.profile == OFFICER).then(|| Person::of(&record.der)).flatten();
    let holder = person.map_or_else(|| record.name.clone(), String::from);
    Key::new("notice-contact", &[record.profile.as_bytes(), holder.as_bytes()])
}

/// Set or taken away, with its log entry, which does not hold the address. The record of the certificate, for the answer.
pub fn set(authority: &Authority, authorised: &Authorised<Operator>, order: &SetContact) -> Result<(Vec<u8>, CertificateRecord), IssueError> {
    let serial = register::serial(&order.serial)?;
    let record = register::get(&*authority.store, &serial)?;
    let mailbox = order.mailbox.as_deref().map(Email::parse).transpose().map_err(|error| IssueError::Word { field: "mailbox", error })?;
    let now = authority.clock.now();
    let batch = Batch::new().expect(Expectation::Present(CertificateRecord::key(&serial)));
    let mut batch = match &mailbox {
        Some(mailbox) => batch.put(place(&record), mailbox.as_str().as_bytes().to_vec()),
        None => batch.delete(place(&record)),
    };
    let entry = log::Entry::ContactSet { serial: &serial_text(&serial), told: mailbox.is_some(), by: &authorised.actor().to_string() };
    batch.append(log::STREAM, entry.leaf(now)?);
    authority.store.commit(batch)?;
    Ok((serial, record))
}

pub fn of(authority: &Authority, record: &CertificateRecord) -> Result<Option<String>, IssueError> {
    let found = authority.store.get(&place(record))?;
    found.map(|mailbox| String::from_utf8(mailbox).map_err(|_| IssueError::Damaged { what: "a contact" })).transpose()
}
