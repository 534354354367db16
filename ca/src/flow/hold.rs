//! Suspending a certificate and ending that: authorised, judged against the present state, recorded, then told.

use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use policies::certificate::{ApplicantKind, Kind};

use super::authorise::{Actor, Authorised, Operator};
use super::{enterprise, listing, revoke};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Freeze, Hold, Lift, Listed, Reason, Revocation, Salt, Status, decode, encode, log, serial_text};
use crate::register;

/// Characters that the name of an authority and the reason of an order may have.
const AUTHORITY_LONGEST: usize = 100;
const REASON_LONGEST: usize = 500;
/// What is due is worked off in portions, so that a turn of the jobs stays short.
const PORTION: usize = 100;
const DAY: i64 = 86_400;

/// An order to freeze, as it came in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeOrder {
    pub serial: String,
    pub authority: String,
    pub reason: String,
    /// Unix seconds.
    pub until: i64,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for FreezeOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreezeOrder").field("serial", &self.serial).field("until", &self.until).finish_non_exhaustive()
    }
}

/// On whose word an order is lifted, and by which document: as much as it took to give it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftWords {
    pub authority: String,
    pub reason: String,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for LiftWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiftWords(..)")
    }
}

/// What is to be ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    pub serial: String,
    /// Lift the order of an authority, which nothing else ends before its date.
    pub freeze: Option<LiftWords>,
}

/// A change of a hold that is durable.
#[derive(Clone, Debug)]
pub struct Changed {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
}

/// Until somebody resumes it, or until the days of the policy are over and it is revoked.
pub fn suspend(authority: &Authority, authorised: &Authorised<Operator>, serial: &str) -> Result<Changed, IssueError> {
    // 1. The serial in a form that cannot be wrong, and what is known of it.
    let serial = register::serial(serial)?;
    let found = register::get(&*authority.store, &serial)?;
    // 2. Whether it may be suspended: a pure question.
    let now = authority.clock.now();
    may_be_held(authority, &serial, &found, now)?;
    if let Status::Held(_) = found.status {
        return Err(IssueError::AlreadyHeld { serial: serial_text(&serial) });
    }
    let at = now.unix_timestamp().max(found.not_before);
    // 3. Status, indexes and log entry in one commit; a change that came between refuses it. Only then it is told.
    suspended(authority, authorised.actor(), serial, found, Hold { at, counted_from: at, freeze: None })
}

/// A suspension as it is recorded, also one that was told before a restore.
pub(super) fn suspended(authority: &Authority, by: &Actor, serial: Vec<u8>, found: CertificateRecord, hold: Hold) -> Result<Changed, IssueError> {
    let (at, now) = (hold.at, authority.clock.now());
    let entry = log::Entry::CertificateSuspended { issuer: &found.issuer, serial: &serial_text(&serial), at, by: &by.to_string() };
    let batch = logged(&entry, now)?;
    record(authority, batch, serial, found, Status::Held(hold))
}

/// Until the date of the order, or until it is lifted. A suspension below it goes on afterwards.
pub fn freeze(authority: &Authority, authorised: &Authorised<Operator>, order: FreezeOrder) -> Result<Changed, IssueError> {
    // 1. Serial and words in a form that cannot be wrong, and what is known of the certificate.
    let serial = register::serial(&order.serial)?;
    let ordered = ordered(&order.authority, &order.reason, order.until, authority.clock.now())?;
    let found = register::get(&*authority.store, &serial)?;
    by_order(authority, authorised.actor(), serial, found, &ordered)
}

/// An order whose words cannot be wrong.
pub(super) fn ordered(by_authority: &str, reason: &str, until: i64, now: OffsetDateTime) -> Result<Freeze, IssueError> {
    let by_authority = words("authority", by_authority, AUTHORITY_LONGEST)?;
    let reason = words("reason", reason, REASON_LONGEST)?;
    if until <= now.unix_timestamp() || OffsetDateTime::from_unix_timestamp(until).is_err() {
        return Err(IssueError::FreezeEnd);
    }
    Ok(Freeze { authority: by_authority, reason, at: now.unix_timestamp(), until, suspended: false, enterprise: false, salt: Some(salt()?) })
}

fn salt() -> Result<Salt, IssueError> {
    Salt::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)
}

/// An order as it holds for one certificate; its own salt keeps the log from telling which certificates are frozen together.
fn of_one(order: &Freeze, at: i64, suspended: bool) -> Result<Freeze, IssueError> {
    Ok(Freeze { at, suspended, salt: Some(salt()?), ..order.clone() })
}

/// Steps 2 and 3 of a freeze, also of a whole enterprise's.
pub(super) fn by_order(authority: &Authority, by: &Actor, serial: Vec<u8>, found: CertificateRecord, order: &Freeze) -> Result<Changed, IssueError> {
    let now = authority.clock.now();
    // 2. Whether it may be frozen: a pure question.
    may_be_held(authority, &serial, &found, now)?;
    let at = now.unix_timestamp().max(found.not_before);
    let below = match &found.status {
        Status::Held(Hold { freeze: Some(freeze), .. }) => return Err(frozen(&serial, freeze)),
        Status::Held(hold) => Some(hold),
        _ => None,
    };
    let order = of_one(order, at, below.is_some())?;
    let hold = Hold { at: below.map_or(at, |hold| hold.at), counted_from: below.map_or(at, |hold| hold.counted_from), freeze: Some(order.clone()) };
    // 3. Status, indexes, the order itself and its log entry in one commit. Only then it is told.
    let batch = entered(Batch::new(), &found.issuer, &serial, &order, by, now)?;
    record(authority, batch, serial, found, Status::Held(hold))
}

/// The order itself, which is kept, and its log entry.
fn entered(mut batch: Batch, issuer: &str, serial: &[u8], order: &Freeze, by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let stored = encode(order)?;
    let entry = log::Entry::CertificateFrozen {
        issuer,
        serial: &serial_text(serial),
        at: order.at,
        until: order.until,
        authority: &order.authority,
        order_sha256: &crate::sha256_hex(&stored),
        by: &by.to_string(),
    };
    batch.append(log::STREAM, entry.leaf(now)?);
    let number = batch.next("freeze-order");
    Ok(batch.put(Freeze::kept(serial, number), stored))
}

/// A certificate that is recorded while its enterprise is frozen, since it was being signed when the order came: its
/// status, and what goes with that into the commit of its record.
pub(super) fn from_the_first(batch: Batch, serial: &[u8], of: &CertificateRecord, order: &Freeze, now: OffsetDateTime) -> Result<(Status, Batch), IssueError> {
    let at = now.unix_timestamp().max(of.not_before);
    let order = of_one(order, at, false)?;
    let batch = entered(batch, &of.issuer, serial, &order, &Actor::Service, now)?;
    let hold = Hold { at, counted_from: at, freeze: Some(order) };
    let batch = batch.put(hold.due_key(serial), serial.to_vec());
    Ok((Status::Held(hold), listing::list(batch, of, serial, Some(&Listed::Held { held_since: at }), now)?))
}

/// Good again; or, where an order is lifted from a suspended certificate, suspended as before.
pub fn resume(authority: &Authority, authorised: &Authorised<Operator>, order: &Resume) -> Result<Changed, IssueError> {
    // 1. The serial in a form that cannot be wrong, and what is known of it.
    let serial = register::serial(&order.serial)?;
    let found = register::get(&*authority.store, &serial)?;
    // 2. Whether there is what is to be ended: a pure question.
    let hold = match (&found.status, order.freeze.is_some()) {
        (Status::Held(Hold { freeze: Some(freeze), .. }), _) if freeze.enterprise => {
            return Err(IssueError::FrozenWithAll { serial: serial_text(&serial), until: runtime::terminal::date(freeze.until) });
        }
        (Status::Held(Hold { freeze: Some(freeze), .. }), false) => return Err(frozen(&serial, freeze)),
        (Status::Held(Hold { freeze: None, .. }), true) => return Err(IssueError::NotFrozen { serial: serial_text(&serial) }),
        (Status::Held(hold), _) => hold.clone(),
        (Status::Revoked(revocation), _) => return Err(revoke::already(&serial, *revocation)?),
        (Status::Good, _) => return Err(IssueError::NotHeld { serial: serial_text(&serial) }),
    };
    let lift = order.freeze.as_ref().map(|words| lifted(words, authority.clock.now())).transpose()?;
    // 3. Status, indexes, the words and the log's entries in one commit, and only while the key is not blocked. Only then it is
    //    told.
    end(authority, authorised.actor(), serial, found, &hold, lift.as_ref())
}

/// Words that cannot be wrong.
pub(super) fn lifted(said: &LiftWords, now: OffsetDateTime) -> Result<Lift, IssueError> {
    let (by_authority, reason) = (words("authority", &said.authority, AUTHORITY_LONGEST)?, words("reason", &said.reason, REASON_LONGEST)?);
    Ok(Lift { authority: by_authority, reason, at: now.unix_timestamp(), salt: salt()? })
}

/// The words, which are kept, and their entry.
pub(super) fn lift_entered(mut batch: Batch, what: &[u8], lift: &Lift, by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let stored = encode(lift)?;
    let entry = log::Entry::FreezeLifted { authority: &lift.authority, lift_sha256: &crate::sha256_hex(&stored), by: &by.to_string() };
    batch.append(log::STREAM, entry.leaf(now)?);
    let number = batch.next("freeze-lift");
    Ok(batch.put(Lift::kept(what, number), stored))
}

/// What came of the holds that were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub freezes_ended: usize,
    pub revoked: usize,
}

/// Ends freezes whose date has come and revokes what stayed suspended for longer than the policy lets it, a portion at
/// a time. The index is in the order of the dates: what is not due is not looked at.
pub fn due(authority: &Authority) -> Result<Due, IssueError> {
    let now = authority.clock.now();
    let mut done = Due::default();
    // 1. Freezes first: a suspension below one is counted anew from here.
    let (from, to) = Hold::frozen_until(now.unix_timestamp());
    for (_, serial) in authority.store.scan(&from, &to, PORTION)? {
        let found = register::get(&*authority.store, &serial)?;
        let Status::Held(hold) = found.status.clone() else { continue };
        if hold.freeze.as_ref().is_some_and(|freeze| freeze.until <= now.unix_timestamp()) && unless_changed(end(authority, &Actor::Service, serial, found, &hold, None))? {
            done.freezes_ended += 1;
        }
    }
    // 2. The holder's right to use the certificate ends, and nobody says that they ceased to operate: privilegeWithdrawn.
    //    The key is not known to be lost either, which would take its other certificates with it. // spec: rfc5280#5.3.1
    let since = now.unix_timestamp() - longest(authority);
    let (from, to) = Hold::suspended_since(since);
    for (_, serial) in authority.store.scan(&from, &to, PORTION)? {
        let found = register::get(&*authority.store, &serial)?;
        let Status::Held(Hold { at, counted_from, freeze: None }) = found.status else { continue };
        let revocation = Revocation::new(at, Reason::PrivilegeWithdrawn);
        if counted_from <= since && unless_changed(revoke::record(authority, &Actor::Service, vec![(serial, found)], revocation, now))? {
            done.revoked += 1;
        }
    }
    Ok(done)
}

/// When the freeze ends, or when the suspension becomes a revocation.
pub fn until(authority: &Authority, hold: &Hold) -> i64 {
    hold.freeze.as_ref().map_or(hold.counted_from.saturating_add(longest(authority)), |freeze| freeze.until)
}

/// How long a suspension lasts, in seconds.
fn longest(authority: &Authority) -> i64 {
    i64::from(authority.rules.suspension.max_days) * DAY
}

/// The orders that ever froze a certificate, the first first.
pub fn orders(authority: &Authority, serial: &[u8]) -> Result<Vec<Freeze>, IssueError> {
    let (from, to) = Freeze::all_kept(serial);
    let kept = authority.store.scan(&from, &to, register::PAGE)?;
    kept.iter().map(|(_, order)| decode(order).map_err(|_| IssueError::Damaged { what: "an order to freeze" })).collect()
}

/// On whose word orders that froze it ended before their date, the first first.
pub fn lifts(authority: &Authority, serial: &[u8]) -> Result<Vec<Lift>, IssueError> {
    let (from, to) = Lift::all_kept(serial);
    let kept = authority.store.scan(&from, &to, register::PAGE)?;
    kept.iter().map(|(_, lift)| decode(lift).map_err(|_| IssueError::Damaged { what: "the lifting of an order" })).collect()
}

/// Whether it was done; somebody else who came between has decided otherwise, and that stands.
fn unless_changed<T>(done: Result<T, IssueError>) -> Result<bool, IssueError> {
    match done {
        Ok(_) => Ok(true),
        Err(IssueError::Commit(CommitError::Conflict { .. }) | IssueError::BlockedKey) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A certificate of a holder, neither ended nor revoked. The authority's own are what all others rest on: an issuer or
/// an OCSP signer that is not to be relied on is revoked.
fn may_be_held(authority: &Authority, serial: &[u8], found: &CertificateRecord, now: OffsetDateTime) -> Result<(), IssueError> {
    let own = authority.policies.profile(&found.profile).is_none_or(|profile| profile.kind() != Kind::Leaf || profile.applicant() == ApplicantKind::Authority);
    match found.status {
        Status::Revoked(revocation) => Err(revoke::already(serial, revocation)?),
        _ if own => Err(IssueError::OwnCertificate { profile: found.profile.clone() }),
        _ if found.not_after < now.unix_timestamp() => Err(IssueError::Ended { serial: serial_text(serial) }),
        _ => Ok(()),
    }
}

fn frozen(serial: &[u8], freeze: &Freeze) -> IssueError {
    IssueError::Frozen { serial: serial_text(serial), until: runtime::terminal::date(freeze.until) }
}

/// Words of an order: some, not too many, and nothing that writes on a terminal by itself.
fn words(field: &'static str, text: &str, longest: usize) -> Result<String, IssueError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest || runtime::terminal::plain(text) != text {
        return Err(IssueError::OrderWords { field, longest });
    }
    Ok(text.to_owned())
}

fn logged(entry: &log::Entry<'_>, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let mut batch = Batch::new();
    batch.append(log::STREAM, entry.leaf(now)?);
    Ok(batch)
}

/// Ends the uppermost hold: the freeze where there is one, else the suspension. What would be good or suspended again
/// while its enterprise is frozen comes below that order.
pub(super) fn end(authority: &Authority, by: &Actor, serial: Vec<u8>, found: CertificateRecord, hold: &Hold, lift: Option<&Lift>) -> Result<Changed, IssueError> {
    let now = authority.clock.now();
    let (issuer, text, by_text) = (&found.issuer, serial_text(&serial), by.to_string());
    let by_text = by_text.as_str();
    let (entry, status) = match &hold.freeze {
        // The days in which nobody could resume it do not count against the suspension.
        Some(Freeze { suspended: true, .. }) => {
            let below = Hold { at: hold.at, counted_from: now.unix_timestamp().max(hold.counted_from), freeze: None };
            (log::Entry::FreezeEnded { issuer, serial: &text, suspended: true, by: by_text }, Status::Held(below))
        }
        Some(_) => (log::Entry::FreezeEnded { issuer, serial: &text, suspended: false, by: by_text }, Status::Good),
        None => (log::Entry::CertificateResumed { issuer, serial: &text, by: by_text }, Status::Good),
    };
    let blocked = CertificateRecord::blocked_key(&found.key_digest);
    if authority.store.get(&blocked)?.is_some() {
        return Err(IssueError::BlockedKey);
    }
    let mut batch = logged(&entry, now)?.expect(Expectation::Absent(blocked.clone()));
    if let Some(lift) = lift {
        batch = lift_entered(batch, &serial, lift, by, now)?;
    }
    let all = hold.freeze.as_ref().is_some_and(|freeze| freeze.enterprise);
    let standing = enterprise::standing(authority, found.code.as_deref().filter(|_| !all), now)?;
    batch = standing.holds(batch);
    let status = match (standing.order, status) {
        (Some(order), status) => {
            let below = if let Status::Held(below) = status { Some(below) } else { None };
            let order = of_one(&order, now.unix_timestamp().max(found.not_before), below.is_some())?;
            batch = entered(batch, &found.issuer, &serial, &order, by, now)?;
            Status::Held(Hold { at: hold.at, counted_from: below.map_or(hold.counted_from, |below| below.counted_from), freeze: Some(order) })
        }
        (None, status) => status,
    };
    match record(authority, batch, serial, found, status) {
        Err(IssueError::Commit(CommitError::Conflict { .. })) if authority.store.get(&blocked)?.is_some() => Err(IssueError::BlockedKey),
        done => done,
    }
}

/// The new status with its place on the list and among what is due, and the list's staleness.
fn record(authority: &Authority, batch: Batch, serial: Vec<u8>, found: CertificateRecord, status: Status) -> Result<Changed, IssueError> {
    let changed = CertificateRecord { status, ..found.clone() };
    let place = CertificateRecord::key(&serial);
    let mut batch = batch.expect(Expectation::Equals(place.clone(), encode(&found)?)).put(place, encode(&changed)?);
    let before = if let Status::Held(hold) = &found.status { Some(hold.due_key(&serial)) } else { None };
    let after = if let Status::Held(hold) = &changed.status { Some(hold.due_key(&serial)) } else { None };
    if before != after {
        batch = before.into_iter().fold(batch, Batch::delete);
    }
    let listed = if let Status::Held(hold) = &changed.status { Some(Listed::Held { held_since: hold.at }) } else { None };
    batch = listing::list(batch, &found, &serial, listed.as_ref(), authority.clock.now())?;
    batch = after.into_iter().fold(batch, |batch, due| batch.put(due, serial.clone()));
    let committed = authority.store.commit(batch);
    // After a failure too: nobody knows then what the store holds.
    authority.changed(&found.issuer, &serial);
    committed?;
    Ok(Changed { serial, record: changed })
}
