//! Telling a holder the secret by which it recognises certificates in its own name in the log; and changing that secret, when
//! the holder fears that others have it.
//!
//! 1 parse      a request signed with the certificate's key: its common name is `own name SERIAL`, or `new own name SERIAL`
//!              to have it changed first; its organisation KEY
//! 2 find       the certificate, of this key, good and current: the key of one that is not may be in other hands
//! 3 record     that it was changed, once for each question, whoever sends it again in whatever form, with a tag by which a
//!              witness that has the secret until then learns of it; that it was told, the first time: the log knows who may
//!              recognise whom
//! 4 seal       to the key of the question, since the line may be read by others: the present secret, and those before it,
//!              which still find what was issued under them
//!
//! What was tagged before a change stays recognisable by the secret of that time: the log never changes.

use pki::name::{COMMON_NAME, ORGANIZATION};
use pki::request::Request;
use ring::digest::{SHA256, digest};
use store::{Batch, CommitError, Expectation, Key};

use super::authorise::{Actor, Authorised, Operator};
use crate::authority::Authority;
use crate::own_name::{MOST_CHANGES, Sealed, Secret, asker, owner, seal};
use crate::problem::IssueError;
use crate::record::{CertificateRecord, KeyOwner, OwnNameChanges, decode, encode, log, serial_text};
use crate::register::{self, State};

const ATTEMPTS: u32 = 16;

/// Over HTTP, to the holder of the key.
pub fn own_name_by_possession(authority: &Authority, request: &[u8]) -> Result<Sealed, IssueError> {
    own_name_proved(authority, &prove(authority, request)?)
}

/// The question of whoever holds a certificate's key. Had only from `prove`.
pub struct Question {
    said: Said,
    record: CertificateRecord,
}

struct Said {
    serial: Vec<u8>,
    asker: [u8; 32],
    /// The secret is to be changed first.
    anew: bool,
}

impl Question {
    /// SHA-256 of the certificate's key.
    pub fn key(&self) -> &[u8] {
        &self.record.key_digest
    }

    /// The certificate, the key of the question, and whether the secret is to be another one.
    pub fn said(&self) -> Vec<u8> {
        [&[u8::from(self.said.anew)][..], &self.said.asker, &self.said.serial].concat()
    }
}

/// Steps 1 and 2.
pub fn prove(authority: &Authority, request: &[u8]) -> Result<Question, IssueError> {
    // 1.
    let request = Request::parse(request)?;
    let said = read(&request).ok_or(IssueError::NotAsked)?;
    // 2.
    let key = digest(&SHA256, &request.spki);
    let record = register::find(&*authority.store, &said.serial)?.filter(|record| record.key_digest == key.as_ref()).ok_or(IssueError::NotOfThisKey)?;
    Ok(Question { said, record })
}

/// Steps 3 and 4.
pub fn own_name_proved(authority: &Authority, Question { said, record }: &Question) -> Result<Sealed, IssueError> {
    let by = Actor::KeyHolder(crate::hex(&record.key_digest));
    // 3.
    if said.anew {
        changed(authority, &said.serial, record, Some(&said.asker), &by)?;
    }
    let secrets = told(authority, &said.serial, record, &by)?;
    // 4.
    seal(&secrets, &serial_text(&said.serial), &said.asker).ok_or(IssueError::NotAsked)
}

/// At the counter, to whoever the operator has before them: for keys that live in a token. The present one first.
pub fn own_name(authority: &Authority, authorised: &Authorised<Operator>, serial: &[u8]) -> Result<Vec<Secret>, IssueError> {
    let record = register::get(&*authority.store, serial)?;
    told(authority, serial, &record, authorised.actor())
}

/// The same, and changed before.
pub fn new_own_name(authority: &Authority, authorised: &Authorised<Operator>, serial: &[u8]) -> Result<Vec<Secret>, IssueError> {
    let record = register::get(&*authority.store, serial)?;
    changed(authority, serial, &record, None, authorised.actor())?;
    told(authority, serial, &record, authorised.actor())
}

/// What stands in the log beside a certificate in this name that is issued now.
pub(super) fn tag(authority: &Authority, owner: &KeyOwner, serial: &[u8]) -> Result<String, IssueError> {
    Ok(authority.own_names.secret(owner, changes(authority, owner)?.1).tag(serial))
}

fn changes(authority: &Authority, owner: &KeyOwner) -> Result<(Option<Vec<u8>>, u16), IssueError> {
    let stored = authority.store.get(&OwnNameChanges::key(&authority.own_names.place(owner)))?;
    let known: OwnNameChanges = stored.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the changes of an own name" })?.unwrap_or_default();
    Ok((stored, known.changes))
}

fn good(authority: &Authority, serial: &[u8], record: &CertificateRecord) -> Result<KeyOwner, IssueError> {
    if register::state(record, authority.clock.now().unix_timestamp()) != State::Good {
        return Err(IssueError::NotGood { serial: serial_text(serial) });
    }
    owner(record).ok_or(IssueError::Damaged { what: "a certificate" })
}

fn changed(authority: &Authority, serial: &[u8], record: &CertificateRecord, asker: Option<&[u8; 32]>, by: &Actor) -> Result<(), IssueError> {
    let owner = good(authority, serial, record)?;
    let place = OwnNameChanges::key(&authority.own_names.place(&owner));
    for _ in 0..ATTEMPTS {
        let asked = asker.map(|asker| OwnNameChanges::asked(serial, asker));
        if let Some(asked) = &asked && authority.store.get(asked)?.is_some() {
            return Ok(());
        }
        let (stored, changes) = changes(authority, &owner)?;
        if changes >= MOST_CHANGES {
            return Err(IssueError::TooManyChanges);
        }
        let tag = authority.own_names.secret(&owner, changes).change_tag(serial);
        let changes = changes + 1;
        let batch = Batch::new().expect(stored.map_or_else(|| Expectation::Absent(place.clone()), |stored| Expectation::Equals(place.clone(), stored)));
        let mut batch = batch.put(place.clone(), encode(&OwnNameChanges { changes })?);
        if let Some(asked) = asked {
            batch = batch.expect(Expectation::Absent(asked.clone())).put(asked, Vec::new());
        }
        let entry = log::Entry::OwnNameChanged { issuer: &record.issuer, serial: &serial_text(serial), changes, tag: &tag, by: &by.to_string() };
        batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
        match authority.store.commit(batch) {
            Ok(_) => return Ok(()),
            // Changed at the same moment, or the same question: judged anew.
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(IssueError::Race)
}

fn told(authority: &Authority, serial: &[u8], record: &CertificateRecord, by: &Actor) -> Result<Vec<Secret>, IssueError> {
    let owner = good(authority, serial, record)?;
    let place = Key::new("own-name-told", &[serial]);
    let entry = log::Entry::OwnNameTold { issuer: &record.issuer, serial: &serial_text(serial), by: &by.to_string() };
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place, Vec::new());
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    match authority.store.commit(batch) {
        // Told before: nobody makes the log long by asking again.
        Ok(_) | Err(CommitError::Conflict { .. }) => {
            tracing::info!(serial = serial_text(serial), %by, "told the secret of an own name");
            let (_, last) = changes(authority, &owner)?;
            Ok((0..=last).rev().map(|changes| authority.own_names.secret(&owner, changes)).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn read(request: &Request) -> Option<Said> {
    let [(first, words), (second, key)] = request.subject.as_slice() else { return None };
    if (*first, *second) != (COMMON_NAME, ORGANIZATION) {
        return None;
    }
    let (anew, words) = match words.strip_prefix("new ") {
        Some(rest) => (true, rest),
        None => (false, words.as_str()),
    };
    Some(Said { serial: register::serial(words.strip_prefix("own name ")?).ok()?, asker: asker(key)?, anew })
}
