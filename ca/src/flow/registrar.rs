//! Making a mail gateway a registrar, and taking that away: authorised, judged, approved by others where the rules ask for
//! it, recorded with its log entry, then told.

use policies::certificate::HostName;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key};

use super::act::{self, ApprovedAct};
use super::approve;
use super::certified;
use super::authorise::{Actor, Administrator, Authorised, REGISTRAR, good_as};
use crate::authority::Authority;
use crate::init::CITIZENS;
use crate::problem::{IssueError, OfficerError};
use crate::record::{CertificateRecord, Deed, Registrar, decode, encode, log, serial_text};
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

/// As one administrator may, where the rules ask for no approval.
pub fn set(authority: &Authority, authorised: &Authorised<Administrator>, order: &SetRegistrar) -> Result<Changed, OfficerError> {
    let (serial, domain) = read(order)?;
    changed(authority, authorised.actor(), &serial, Some(domain), None)
}

/// The very words that others approved.
pub(super) fn set_approved(authority: &Authority, authorised: &Authorised<Administrator>, order: &SetRegistrar, approved: &ApprovedAct) -> Result<Changed, OfficerError> {
    let (serial, domain) = read(order)?;
    once(authority, authorised.actor(), &serial, Some(domain), Some(approved))
}

/// The words in which it is asked for, when it may be.
pub(super) fn deed(authority: &Authority, order: &SetRegistrar) -> Result<Deed, OfficerError> {
    let (serial, domain) = read(order)?;
    let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
    good_as(authority, REGISTRAR, &serial, &record)?;
    within(authority, &domain)?;
    Ok(words(&serial, &record, &domain))
}

/// Whose word could lead to no certificate is not believed: the authority of citizens may be bound to other domains.
fn within(authority: &Authority, domain: &str) -> Result<(), OfficerError> {
    let bound = authority.issuers.newest(CITIZENS).map(|issuer| certified::bound_to(&issuer.record.der)).unwrap_or_default();
    let domains: Vec<String> = bound.iter().map(HostName::to_string).collect();
    if domains.is_empty() || domains.iter().any(|one| one == domain) { Ok(()) } else { Err(OfficerError::OtherDomain { domains: domains.join(", ") }) }
}

fn words(serial: &[u8], record: &CertificateRecord, domain: &str) -> Deed {
    Deed::SetRegistrar { serial: serial_text(serial), certificate_sha256: crate::sha256_hex(&record.der), domain: domain.to_owned() }
}

/// 1. A domain in the one form, as it stands in addresses.
fn read(order: &SetRegistrar) -> Result<(Vec<u8>, String), OfficerError> {
    let domain = HostName::parse(&order.domain).map_err(|error| IssueError::Word { field: "domain", error })?.to_string();
    Ok((register::serial(&order.serial).map_err(IssueError::from)?, domain))
}

pub fn withdraw(authority: &Authority, authorised: &Authorised<Administrator>, serial: &str) -> Result<Changed, OfficerError> {
    let serial = register::serial(serial).map_err(IssueError::from)?;
    changed(authority, authorised.actor(), &serial, None, None)
}

fn changed(authority: &Authority, by: &Actor, serial: &[u8], domain: Option<String>, approved: Option<&ApprovedAct>) -> Result<Changed, OfficerError> {
    let mut attempt = 1;
    loop {
        match once(authority, by, serial, domain.clone(), approved) {
            Err(OfficerError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn once(authority: &Authority, by: &Actor, serial: &[u8], domain: Option<String>, approved: Option<&ApprovedAct>) -> Result<Changed, OfficerError> {
    // 2. What is known of it; a certificate that is not good is withdrawn from all the same.
    let record = register::get(&*authority.store, serial).map_err(IssueError::from)?;
    if let Some(domain) = &domain {
        good_as(authority, REGISTRAR, serial, &record)?;
        within(authority, domain)?;
    }
    let place = Registrar::key(serial);
    let before = authority.store.get(&place).map_err(IssueError::from)?;
    let known: Option<Registrar> = before.as_deref().map(decode).transpose().map_err(|_| DAMAGED)?;
    let known = known.and_then(|registrar| registrar.domain);
    if known == domain && approved.is_none() {
        return match domain {
            // Said again, it is so.
            Some(_) => Ok(Changed { serial: serial.to_vec(), record, domain }),
            None => Err(OfficerError::NoRegistrar { serial: serial_text(serial) }),
        };
    }
    // 3. Believing somebody takes as many as the policy asks for, and the very words they approved; doubting nobody.
    if let Some(domain) = &domain {
        let deed = words(serial, &record, domain);
        match (approved, act::needed(authority, &deed)?) {
            (None, Some(act::Needed { approvals, .. })) => return Err(OfficerError::ApprovalNeeded { approvals }),
            (Some(approved), _) if !approved.is_of(&deed) => return Err(DAMAGED.into()),
            _ => {}
        }
    }
    // 4. In one commit with its entry, while the certificate and whoever asks are as they were judged.
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
    let now = authority.clock.now();
    let slot = batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    if let Some(approved) = approved {
        batch = approved.done(authority, batch, slot, now)?;
    }
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
