//! Telling a holder the secret by which it recognises certificates in its own name in the log.
//!
//! 1 parse      a request signed with the certificate's key: its common name is `own name SERIAL`, its organisation KEY
//! 2 find       the certificate, of this key, good and current: the key of one that is not may be in other hands
//! 3 record     that it was told, the first time: the log knows who may recognise whom
//! 4 seal       to the key of the question, since the line may be read by others

use pki::name::{COMMON_NAME, ORGANIZATION};
use pki::request::Request;
use ring::digest::{SHA256, digest};
use store::{Batch, CommitError, Expectation, Key};

use super::authorise::{Actor, Authorised, Operator};
use crate::authority::Authority;
use crate::own_name::{Sealed, Secret, asker, owner, seal};
use crate::problem::IssueError;
use crate::record::{CertificateRecord, log, serial_text};
use crate::register::{self, State};

/// Over HTTP, to the holder of the key.
pub fn own_name_by_possession(authority: &Authority, request: &[u8]) -> Result<Sealed, IssueError> {
    own_name_proved(authority, &prove(authority, request)?)
}

/// The question of whoever holds a certificate's key. Had only from `prove`.
pub struct Question {
    serial: Vec<u8>,
    record: CertificateRecord,
    asker: [u8; 32],
}

impl Question {
    /// SHA-256 of the certificate's key.
    pub fn key(&self) -> &[u8] {
        &self.record.key_digest
    }
}

/// Steps 1 and 2.
pub fn prove(authority: &Authority, request: &[u8]) -> Result<Question, IssueError> {
    // 1.
    let request = Request::parse(request)?;
    let (serial, asker) = read(&request).ok_or(IssueError::NotAsked)?;
    // 2.
    let digest = digest(&SHA256, &request.spki);
    let record = register::find(&*authority.store, &serial)?.filter(|record| record.key_digest == digest.as_ref()).ok_or(IssueError::NotOfThisKey)?;
    Ok(Question { serial, record, asker })
}

/// Steps 3 and 4.
pub fn own_name_proved(authority: &Authority, question: &Question) -> Result<Sealed, IssueError> {
    // 3.
    let secret = told(authority, &question.serial, &question.record, &Actor::KeyHolder(crate::hex(question.key())))?;
    // 4.
    seal(&secret, &serial_text(&question.serial), &question.asker).ok_or(IssueError::NotAsked)
}

/// At the counter, to whoever the operator has before them: for keys that live in a token.
pub fn own_name(authority: &Authority, authorised: &Authorised<Operator>, serial: &[u8]) -> Result<Secret, IssueError> {
    let record = register::get(&*authority.store, serial)?;
    told(authority, serial, &record, authorised.actor())
}

fn told(authority: &Authority, serial: &[u8], record: &CertificateRecord, by: &Actor) -> Result<Secret, IssueError> {
    let now = authority.clock.now();
    if register::state(record, now.unix_timestamp()) != State::Good {
        return Err(IssueError::NotGood { serial: serial_text(serial) });
    }
    let owner = owner(record).ok_or(IssueError::Damaged { what: "a certificate" })?;
    let place = Key::new("own-name-told", &[serial]);
    let entry = log::Entry::OwnNameTold { issuer: &record.issuer, serial: &serial_text(serial), by: &by.to_string() };
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place, Vec::new());
    batch.append(log::STREAM, entry.leaf(now)?);
    match authority.store.commit(batch) {
        // Told before: nobody makes the log long by asking again.
        Ok(_) | Err(CommitError::Conflict { .. }) => {
            tracing::info!(serial = serial_text(serial), %by, "told the secret of an own name");
            Ok(authority.own_names.secret(&owner))
        }
        Err(error) => Err(error.into()),
    }
}

fn read(request: &Request) -> Option<(Vec<u8>, [u8; 32])> {
    let [(first, words), (second, key)] = request.subject.as_slice() else { return None };
    if (*first, *second) != (COMMON_NAME, ORGANIZATION) {
        return None;
    }
    Some((register::serial(words.strip_prefix("own name ")?).ok()?, asker(key)?))
}
