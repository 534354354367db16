//! Making a mail gateway a registrar, and taking that away: authorised, judged, recorded with its log entry, then told.

use policies::certificate::HostName;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key};

use super::approve;
use super::authorise::{Actor, Administrator, Authorised, REGISTRAR, good_as};
use crate::authority::Authority;
use crate::problem::{IssueError, OfficerError};
use crate::record::{CertificateRecord, Registrar, decode, encode, log, serial_text};
use crate::register;

/// How often a change that others came before is decided anew.
const ATTEMPTS: u32 = 8;
const DAMAGED: IssueError = IssueError::Damaged { what: "a registrar" };

/// Whose certificate, and for the mailboxes of which domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRegistrar {
    pub serial: String,
    pub domain: String,
}

/// A registrar's certificate with what it may vouch for now, durably.
#[derive(Clone, Debug)]
pub struct Changed {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    pub domain: Option<String>,
}

pub fn set(authority: &Authority, authorised: &Authorised<Administrator>, order: &SetRegistrar) -> Result<Changed, OfficerError> {
    // 1. A domain in the one form, as it stands in addresses.
    let domain = HostName::parse(&order.domain).map_err(|error| IssueError::Word { field: "domain", error })?.to_string();
    let serial = register::serial(&order.serial).map_err(IssueError::from)?;
    changed(authority, authorised.actor(), &serial, Some(domain))
}

pub fn withdraw(authority: &Authority, authorised: &Authorised<Administrator>, serial: &str) -> Result<Changed, OfficerError> {
    let serial = register::serial(serial).map_err(IssueError::from)?;
    changed(authority, authorised.actor(), &serial, None)
}

fn changed(authority: &Authority, by: &Actor, serial: &[u8], domain: Option<String>) -> Result<Changed, OfficerError> {
    let mut attempt = 1;
    loop {
        match once(authority, by, serial, domain.clone()) {
            Err(OfficerError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn once(authority: &Authority, by: &Actor, serial: &[u8], domain: Option<String>) -> Result<Changed, OfficerError> {
    // 2. What is known of it; a certificate that is not good is withdrawn from all the same.
    let record = register::get(&*authority.store, serial).map_err(IssueError::from)?;
    if domain.is_some() {
        good_as(authority, REGISTRAR, serial, &record)?;
    }
    let place = Registrar::key(serial);
    let before = authority.store.get(&place).map_err(IssueError::from)?;
    let known: Option<Registrar> = before.as_deref().map(decode).transpose().map_err(|_| DAMAGED)?;
    let known = known.and_then(|registrar| registrar.domain);
    if known == domain {
        return match domain {
            // Said again, it is so.
            Some(_) => Ok(Changed { serial: serial.to_vec(), record, domain }),
            None => Err(OfficerError::NoRegistrar { serial: serial_text(serial) }),
        };
    }
    // 3. In one commit with its entry, while the certificate and whoever asks are as they were judged.
    let (text, by_text) = (serial_text(serial), by.to_string());
    let entry = match &domain {
        Some(domain) => log::Entry::RegistrarSet { serial: &text, domain, by: &by_text },
        None => log::Entry::RegistrarWithdrawn { serial: &text, by: &by_text },
    };
    let rests_on = before.map_or_else(|| Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
    let mut batch = Batch::new().expect(rests_on).expect(Expectation::Equals(CertificateRecord::key(serial), encode(&record).map_err(IssueError::from)?));
    if let Actor::Officer(officer) = by {
        for (key, value) in approve::standing(authority, &register::serial(officer).map_err(IssueError::from)?)? {
            batch = batch.expect(Expectation::Equals(key, value));
        }
    }
    batch = batch.put(place, encode(&Registrar { domain: domain.clone() }).map_err(IssueError::from)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(Changed { serial: serial.to_vec(), record, domain })
}

/// Everybody who is or was a registrar, in the order of the serials; the first thousand.
pub fn list(authority: &Authority) -> Result<Vec<Changed>, IssueError> {
    let (from, to) = Key::range(Registrar::TABLE, &[]);
    let shown = |(key, bytes): (Key, Vec<u8>)| {
        let serial = key.last_part().ok_or(DAMAGED)?;
        let Registrar { domain } = decode(&bytes).map_err(|_| DAMAGED)?;
        Ok(Changed { record: register::get(&*authority.store, &serial)?, serial, domain })
    };
    authority.store.scan(&from, &to, register::PAGE)?.into_iter().map(shown).collect()
}
