//! Revoking a certificate: authorised, judged against the present state, recorded, then told.

use std::collections::{BTreeMap, BTreeSet};

use policies::certificate::Kind;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::authorise::{Actor, Authorised, OFFICER, Revoker};
use super::{listing, succeed};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Listed, Predecessor, Reason, Revocation, Status, encode, log, serial_text};
use crate::register;

/// How often a revocation that others came before is decided anew.
const ATTEMPTS: u32 = 8;
/// People date a theft by the day, and certificates begin some minutes before they are made.
const DAY: i64 = 86_400;

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    pub serial: String,
    pub reason: Reason,
    /// Unix seconds; now when absent.
    pub at: Option<i64>,
    /// Since when it was no longer right, where that is known: told beside the date of the revocation, for every reason,
    /// since a company may have been dissolved, as a key may have been stolen, long before anybody said so here.
    // spec: rfc5280#5.3.2
    #[serde(default)]
    pub invalid_since: Option<i64>,
}

/// A revocation that is durable. A compromised key takes every certificate of that key with it.
#[derive(Clone, Debug)]
pub struct Revoked {
    pub certificates: Vec<(Vec<u8>, CertificateRecord)>,
}

/// Tries again when something else was recorded for one of the certificates meanwhile: a report of a lost key is not
/// turned away because somebody resumed a suspension at that moment.
pub fn revoke(authority: &Authority, authorised: &Authorised<impl Revoker>, order: &Revoke) -> Result<Revoked, IssueError> {
    let by = authorised.actor();
    for _ in 1..ATTEMPTS {
        match revoke_once(authority, by, order) {
            Err(IssueError::Commit(CommitError::Conflict { .. })) => {}
            done => return done,
        }
    }
    revoke_once(authority, by, order)
}

fn revoke_once(authority: &Authority, by: &Actor, order: &Revoke) -> Result<Revoked, IssueError> {
    // 1. The serial in a form that cannot be wrong, and what is known of it.
    let serial = register::serial(&order.serial)?;
    let found = register::get(&*authority.store, &serial)?;
    // 2. The reason and the date against the present state: a pure question. With an authority all falls that it certified,
    // the officers with theirs: that no officer does alone.
    let now = authority.clock.now();
    if matches!(by, Actor::Officer(_)) {
        if is_authority(authority, &serial, &found) {
            return Err(IssueError::AuthorityCertificate { serial: serial_text(&serial) });
        }
        // Until when somebody was an officer decides about what others may do alone: nobody chooses it.
        if found.profile == OFFICER && order.at.is_some_and(|at| at < now.unix_timestamp()) {
            return Err(IssueError::RevocationDate("before now, and officers' certificates are revoked from now on: say since when it was wrong as the date of invalidity"));
        }
    }
    let revocation = decide(&serial, &found, order, now)?;
    Ok(Revoked { certificates: with_siblings(authority, by, (serial, found), revocation, now)? })
}

/// Whether a certificate is a root's or an issuing authority's: one of those here, or of a profile that makes such.
pub(super) fn is_authority(authority: &Authority, serial: &[u8], found: &CertificateRecord) -> bool {
    let of_profile = authority.policies.profile(&found.profile).is_some_and(|profile| profile.kind() != Kind::Leaf);
    of_profile || authority.issuers.values().any(|issuer| issuer.serial == serial)
}

pub(super) fn with_siblings(
    authority: &Authority,
    by: &Actor,
    (serial, found): (Vec<u8>, CertificateRecord),
    revocation: Revocation,
    now: OffsetDateTime,
) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    // 3. A compromised key is blocked for ever, and its siblings fall with it, and what was renewed on its word.
    let key = Some(found.key_digest.clone()).filter(|_| revocation.reason == Reason::KeyCompromise);
    let mut affected = match &key {
        Some(key) => falling(authority, key, revocation)?,
        None => Vec::new(),
    };
    affected.retain(|(other, ..)| *other != serial);
    affected.insert(0, (serial, found, revocation));
    // 4. Statuses, indexes and log entries, all in one commit; a change that came between refuses it, and it is decided anew.
    let mut certificates = record_beside(authority, Batch::new(), by, affected, now)?;
    // 5. What was recorded while we looked; from the block on, issuing itself lets nothing more of this key be good.
    if let Some(key) = &key {
        certificates.extend(fallen(authority, by, key, revocation)?);
    }
    Ok(certificates)
}

/// Revokes those of many that may be, in one commit with what else goes into it, and says of each whether it was: the same
/// questions and the same records as for one.
pub(super) fn several(
    authority: &Authority,
    by: &Actor,
    orders: &[Revoke],
    may: impl Fn(&CertificateRecord) -> Result<(), IssueError>,
    beside: impl Fn(Batch, &[Result<(), IssueError>]) -> Result<Batch, IssueError>,
) -> Result<Vec<Result<(), IssueError>>, IssueError> {
    let mut attempts = 1;
    loop {
        let now = authority.clock.now();
        let mut affected = Vec::with_capacity(orders.len());
        let (mut taken, mut keys) = (BTreeSet::new(), BTreeMap::new());
        let mut results = Vec::with_capacity(orders.len());
        for order in orders {
            // 1. and 2. as for one.
            let serial = register::serial(&order.serial)?;
            let judged = register::get(&*authority.store, &serial).map_err(IssueError::from).and_then(|found| {
                may(&found)?;
                Ok((decide(&serial, &found, order, now)?, found))
            });
            let (revocation, found) = match judged {
                Ok(judged) => judged,
                Err(error) if error.is_of_one() => {
                    results.push(Err(error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            results.push(Ok(()));
            // It may have fallen with a sibling before it.
            if !taken.insert(serial.clone()) {
                continue;
            }
            // 3.
            if revocation.reason == Reason::KeyCompromise {
                for (sibling, record) in siblings(authority, &found.key_digest)? {
                    if taken.insert(sibling.clone()) {
                        affected.push((sibling, record, revocation));
                    }
                }
                keys.insert(found.key_digest.clone(), revocation);
            }
            affected.push((serial, found, revocation));
        }
        // What is ordered of a certificate itself says more than that it was renewed on a compromised key's word.
        for (key, revocation) in &keys {
            affected.extend(on_word_of(authority, key, *revocation)?.into_iter().filter(|(serial, ..)| taken.insert(serial.clone())));
        }
        // 4. and 5.
        match record_beside(authority, beside(Batch::new(), &results)?, by, affected, now) {
            Err(IssueError::Commit(CommitError::Conflict { .. })) if attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
            Ok(_) => {
                for (key, revocation) in keys {
                    fallen(authority, by, &key, revocation)?;
                }
                return Ok(results);
            }
        }
    }
}

/// Goes on where a crash left certificates of a blocked key good or held: step 5 for every blocked key.
pub fn resume(authority: &Authority) -> Result<(), IssueError> {
    let (mut from, to) = Key::range(CertificateRecord::BLOCKED_KEYS, &[]);
    let revocation = Revocation::new(authority.clock.now().unix_timestamp(), Reason::KeyCompromise);
    loop {
        let page = authority.store.scan(&from, &to, register::PAGE)?;
        for (blocked, _) in &page {
            let key = blocked.last_part().ok_or(IssueError::Damaged { what: "a blocked key" })?;
            fallen(authority, &Actor::Service, &key, revocation)?;
        }
        match page.last() {
            Some((last, _)) if page.len() == register::PAGE => from = last.successor(),
            _ => return Ok(()),
        }
    }
}

/// Revokes what is still good or held of a key that is blocked, or was renewed on its word.
pub(super) fn fallen(authority: &Authority, by: &Actor, key: &[u8], revocation: Revocation) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    loop {
        let good = falling(authority, key, revocation)?;
        if good.is_empty() {
            return Ok(Vec::new());
        }
        match record_beside(authority, Batch::new(), by, good, authority.clock.now()) {
            // Somebody else revoked one of them: fewer are left each time.
            Err(IssueError::Commit(CommitError::Conflict { .. })) => {}
            done => return done,
        }
    }
}

pub(super) fn already(serial: &[u8], before: Revocation) -> Result<IssueError, serde_json::Error> {
    let reason = serde_json::to_value(before.reason)?.as_str().unwrap_or_default().to_owned();
    Ok(IssueError::AlreadyRevoked { serial: serial_text(serial), reason })
}

/// What the state and the date allow.
fn decide(serial: &[u8], found: &CertificateRecord, order: &Revoke, now: OffsetDateTime) -> Result<Revocation, IssueError> {
    if let Status::Revoked(before) = found.status {
        // That the key was compromised may be learnt later, and it alone is worth more than the reason before.
        if order.reason == Reason::KeyCompromise && before.reason != Reason::KeyCompromise {
            let at = order.at.unwrap_or(before.at).clamp(found.not_before, before.at.max(found.not_before));
            let invalid_since = invalid_since(found, order.invalid_since, at)?.or(before.invalid_since).map(|since| since.min(at));
            return Ok(Revocation { at, reason: order.reason, invalid_since });
        }
        return Err(already(serial, before)?);
    }
    let now = now.unix_timestamp();
    // The list says since when a held certificate is not to be relied on; a revocation never takes back a day of that.
    // spec: rfc5280#5.3.1 (one entry a serial: the final reason stands in the place of certificateHold)
    let latest = match &found.status {
        Status::Held(hold) => hold.at,
        _ => now,
    };
    match order.at.unwrap_or(latest) {
        at if at > now => Err(IssueError::RevocationDate("in the future")),
        at if at > latest => Err(IssueError::RevocationDate("after the certificate was suspended")),
        at if at < found.not_before => Err(IssueError::RevocationDate("before the certificate")),
        at => Ok(Revocation { at, reason: order.reason, invalid_since: invalid_since(found, order.invalid_since, at)? }),
    }
}

/// A date of invalidity lies within the certificate's life before it was revoked.
fn invalid_since(found: &CertificateRecord, since: Option<i64>, revoked_at: i64) -> Result<Option<i64>, IssueError> {
    match since {
        Some(since) if since < found.not_before => Err(IssueError::InvalidityDate("before the certificate")),
        Some(since) if since > revoked_at => Err(IssueError::InvalidityDate("after the revocation")),
        since => Ok(since),
    }
}

/// The certificates of a key, good or held.
fn siblings(authority: &Authority, key: &[u8]) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let mut found = Vec::new();
    for sibling in register::of_key(&*authority.store, key)? {
        let record = register::get(&*authority.store, &sibling)?;
        if !matches!(record.status, Status::Revoked(_)) {
            found.push((sibling, record));
        }
    }
    Ok(found)
}

/// A certificate that is to be revoked, and how.
type Affected = (Vec<u8>, CertificateRecord, Revocation);

/// All that falls with a compromised key.
fn falling(authority: &Authority, key: &[u8], revocation: Revocation) -> Result<Vec<Affected>, IssueError> {
    let siblings = siblings(authority, key)?.into_iter().map(|(serial, found)| (serial, found, revocation));
    Ok(siblings.chain(on_word_of(authority, key, revocation)?).collect())
}

/// What was renewed by nothing but a signature of a compromised key, and what was renewed by that in turn, good or held.
/// Its own key may be in the right hands or the thief's, so that key is not blocked; but nobody knows that its holder ever
/// asked for it, so it was never to be relied on. Where it is known since when the key was compromised, what was renewed
/// before stands; at the counter there was other proof.
fn on_word_of(authority: &Authority, key: &[u8], revocation: Revocation) -> Result<Vec<Affected>, IssueError> {
    let mut olds = register::of_key(&*authority.store, key)?;
    let since = match revocation.invalid_since {
        None => compromised_since(authority, &olds)?,
        said => said,
    };
    let withdrawn = Revocation { reason: Reason::PrivilegeWithdrawn, invalid_since: since, ..revocation };
    let (mut seen, mut found): (BTreeSet<_>, _) = (olds.iter().cloned().collect(), Vec::new());
    while let Some(old) = olds.pop() {
        for link in succeed::successors(authority, &old)? {
            let serial = register::serial(&link.serial)?;
            let record = register::get(&*authority.store, &serial)?;
            let on_word = record.predecessor.as_ref().is_some_and(Predecessor::on_word_of_key) && since.is_none_or(|since| since < record.not_before + DAY);
            if on_word && seen.insert(serial.clone()) {
                // One that is revoked already may have been renewed before.
                olds.push(serial.clone());
                if !matches!(record.status, Status::Revoked(_)) {
                    found.push((serial, record, withdrawn));
                }
            }
        }
    }
    Ok(found)
}

/// Since when the key of these certificates is known to have been compromised, as was said of all of them that fell for it.
fn compromised_since(authority: &Authority, certificates: &[Vec<u8>]) -> Result<Option<i64>, IssueError> {
    let mut earliest = None;
    for serial in certificates {
        match register::get(&*authority.store, serial)?.status {
            Status::Revoked(Revocation { reason: Reason::KeyCompromise, invalid_since: None, .. }) => return Ok(None),
            Status::Revoked(Revocation { reason: Reason::KeyCompromise, invalid_since: Some(since), .. }) => earliest = Some(earliest.map_or(since, |known: i64| known.min(since))),
            _ => {}
        }
    }
    Ok(earliest)
}

pub(super) fn record(
    authority: &Authority,
    by: &Actor,
    affected: Vec<(Vec<u8>, CertificateRecord)>,
    revocation: Revocation,
    now: OffsetDateTime,
) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let affected = affected.into_iter().map(|(serial, found)| (serial, found, revocation)).collect();
    record_beside(authority, Batch::new(), by, affected, now)
}

/// The same, each with its own revocation, and beside what else is in the commit.
fn record_beside(
    authority: &Authority,
    mut batch: Batch,
    by: &Actor,
    affected: Vec<Affected>,
    now: OffsetDateTime,
) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let mut done = Vec::with_capacity(affected.len());
    for (serial, found, revocation) in affected {
        let mut revocation = Revocation { at: revocation.at.max(found.not_before), ..revocation };
        if let Status::Held(hold) = &found.status {
            revocation.at = revocation.at.min(hold.at);
            batch = batch.delete(hold.due_key(&serial));
        }
        // A sibling made later was never right, and none was wrong before it was made.
        revocation.invalid_since = revocation.invalid_since.map(|since| since.max(found.not_before).min(revocation.at));
        let revoked = CertificateRecord { status: Status::Revoked(revocation), ..found.clone() };
        batch = batch.expect(Expectation::Equals(CertificateRecord::key(&serial), encode(&found)?)).put(CertificateRecord::key(&serial), encode(&revoked)?);
        batch = marked(batch, &serial, &revoked, revocation, by, now)?;
        done.push((serial, revoked));
    }
    let committed = authority.store.commit(batch);
    // Only what is durable is told: the next answer of OCSP is the new one. After a failure nobody knows what the
    // store holds, so an answer remembered from before is worth nothing either.
    for (serial, record) in &done {
        authority.changed(&record.issuer, serial);
    }
    committed?;
    Ok(done)
}

/// What a revocation leaves beside the certificate's own record: its place on the list, the list's staleness, the
/// block of a compromised key, the log entry.
pub(super) fn marked(
    batch: Batch,
    serial: &[u8],
    of: &CertificateRecord,
    revocation: Revocation,
    by: &Actor,
    now: OffsetDateTime,
) -> Result<Batch, IssueError> {
    let Revocation { at, reason, invalid_since } = revocation;
    let mut batch = listing::list(batch, of, serial, Some(&Listed::Revoked(revocation)), now)?;
    if reason == Reason::KeyCompromise {
        batch = batch.put(CertificateRecord::blocked_key(&of.key_digest), serial.to_vec());
    }
    let entry = log::Entry::CertificateRevoked { issuer: &of.issuer, serial: &serial_text(serial), reason, at, by: &by.to_string() };
    batch.append(log::STREAM, entry.leaf(now)?);
    if let Some(since) = invalid_since {
        batch.append(log::STREAM, log::Entry::InvalidityDated { issuer: &of.issuer, serial: &serial_text(serial), since }.leaf(now)?);
    }
    Ok(batch)
}
