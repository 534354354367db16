//! Revoking a certificate: authorised, judged against the present state, recorded, then told.

use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};
use time::OffsetDateTime;

use super::authorise::{Administrator, Authorised};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, CrlRecord, Reason, Revocation, Status, encode, log, serial_text};
use crate::register;

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    pub serial: String,
    pub reason: Reason,
    /// Unix seconds; now when absent.
    pub at: Option<i64>,
}

/// A revocation that is durable. A compromised key takes every certificate of that key with it.
#[derive(Clone, Debug)]
pub struct Revoked {
    pub certificates: Vec<(Vec<u8>, CertificateRecord)>,
}

pub fn revoke(authority: &Authority, authorised: &Authorised<Administrator>, order: &Revoke) -> Result<Revoked, IssueError> {
    // 1. The serial in a form that cannot be wrong, and what is known of it.
    let serial = register::serial(&order.serial)?;
    let found = register::get(&*authority.store, &serial)?;
    // 2. The reason and the date against the present state: a pure question.
    let now = authority.clock.now();
    let revocation = decide(&serial, &found, order, now)?;
    // 3. A compromised key is blocked for ever, and its siblings fall with it.
    let mut affected = vec![(serial, found)];
    if revocation.reason == Reason::KeyCompromise {
        affected.extend(siblings(authority, &affected)?);
    }
    // 4. Statuses, indexes and log entries, all in one commit; a change that came between refuses it.
    let certificates = record(authority, authorised, affected, revocation, now)?;
    // 5. Only what is durable is told: the next answer of OCSP is the new one.
    for (serial, record) in &certificates {
        authority.changed(&record.issuer, serial);
    }
    Ok(Revoked { certificates })
}

/// What the state and the date allow.
fn decide(serial: &[u8], found: &CertificateRecord, order: &Revoke, now: OffsetDateTime) -> Result<Revocation, IssueError> {
    if let Status::Revoked(before) = found.status {
        let reason = serde_json::to_value(before.reason)?.as_str().unwrap_or_default().to_owned();
        return Err(IssueError::AlreadyRevoked { serial: serial_text(serial), reason });
    }
    let now = now.unix_timestamp();
    match order.at.unwrap_or(now) {
        at if at > now => Err(IssueError::RevocationDate("in the future")),
        at if at < found.not_before => Err(IssueError::RevocationDate("before the certificate")),
        at => Ok(Revocation { at, reason: order.reason }),
    }
}

/// The other good certificates of the same key.
fn siblings(authority: &Authority, of: &[(Vec<u8>, CertificateRecord)]) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let Some((serial, record)) = of.first() else { return Ok(Vec::new()) };
    let (from, to) = Key::range("certificate-by-key", &[&record.key_digest]);
    let mut found = Vec::new();
    for (_, sibling) in authority.store.scan(&from, &to, register::PAGE)? {
        let record = register::get(&*authority.store, &sibling)?;
        if sibling != *serial && record.status == Status::Good {
            found.push((sibling, record));
        }
    }
    Ok(found)
}

fn record(
    authority: &Authority,
    authorised: &Authorised<Administrator>,
    affected: Vec<(Vec<u8>, CertificateRecord)>,
    revocation: Revocation,
    now: OffsetDateTime,
) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let (mut batch, by) = (Batch::new(), authorised.actor().to_string());
    let mut done = Vec::with_capacity(affected.len());
    for (serial, found) in affected {
        let at = revocation.at.max(found.not_before);
        let revoked = CertificateRecord { status: Status::Revoked(Revocation { at, ..revocation }), ..found.clone() };
        batch = batch
            .expect(Expectation::Equals(CertificateRecord::key(&serial), encode(&found)?))
            .put(CertificateRecord::key(&serial), encode(&revoked)?)
            .put(CertificateRecord::revoked(&found.issuer, &serial), encode(&Revocation { at, ..revocation })?)
            // The mark names what made the list stale, so that a publication that began earlier does not clear it.
            .put(CrlRecord::stale(&found.issuer), serial.clone());
        if revocation.reason == Reason::KeyCompromise {
            batch = batch.put(CertificateRecord::blocked_key(&found.key_digest), serial.clone());
        }
        let entry = log::Entry::CertificateRevoked { issuer: &found.issuer, serial: &serial_text(&serial), reason: revocation.reason, at, by: &by };
        batch.append(log::STREAM, entry.leaf(now)?);
        done.push((serial, revoked));
    }
    authority.store.commit(batch)?;
    Ok(done)
}
