//! Freezing an enterprise by the order of an authority: every certificate of its code, and nothing more is issued for it.

use policies::identity::CreditCode;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::authorise::{Actor, Authorised, Operator};
use super::hold::{self, LiftWords};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, EnterpriseFreeze, Freeze, Hold, Lift, Status, decode, encode, log};
use crate::register::{self, PAGE, Query};

/// How often a certificate that others changed meanwhile is looked at anew.
const ATTEMPTS: u32 = 8;

/// An order to freeze an enterprise, as it came in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseOrder {
    pub code: String,
    pub authority: String,
    pub reason: String,
    /// Unix seconds.
    pub until: i64,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for EnterpriseOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnterpriseOrder").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What was changed of an enterprise, durably.
#[derive(Clone, Debug)]
pub struct Changed {
    pub code: String,
    /// The order that is in force now.
    pub order: Option<Freeze>,
    pub certificates: Vec<(Vec<u8>, CertificateRecord)>,
}

pub fn freeze(authority: &Authority, authorised: &Authorised<Operator>, order: EnterpriseOrder) -> Result<Changed, IssueError> {
    // 1. Code and words in a form that cannot be wrong.
    let now = authority.clock.now();
    let code = CreditCode::parse(&order.code).map_err(IssueError::CreditCode)?.as_str().to_owned();
    let order = Freeze { enterprise: true, ..hold::ordered(&order.authority, &order.reason, order.until, now)? };
    // 2. Whether an order is in force; what is left of one that is over is done with first.
    let place = EnterpriseFreeze::key(&code);
    if let Some(stored) = authority.store.get(&place)? {
        let before = read(&stored)?;
        if before.in_force(now) {
            return Err(IssueError::EnterpriseFrozen { until: runtime::terminal::date(before.order.until) });
        }
        thaw(authority, &Actor::Service, stored, None)?;
    }
    // 3. From this commit on nothing is issued for the code, and what is being signed is held when it is recorded.
    let frozen = EnterpriseFreeze { code: code.clone(), order: order.clone(), ending: false };
    let stored = encode(&frozen)?;
    let entry = log::Entry::EnterpriseFrozen {
        at: order.at,
        until: order.until,
        authority: &order.authority,
        order_sha256: &crate::sha256_hex(&stored),
        by: &authorised.actor().to_string(),
    };
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place, stored.clone());
    let number = batch.next("freeze-order");
    batch = batch.put(EnterpriseFreeze::kept(&code, number), stored);
    batch.append(log::STREAM, entry.leaf(now)?);
    authority.store.commit(batch)?;
    // 4. Every certificate of the code. What a crash leaves here is done by the jobs: the order stands in the store.
    let certificates = hold_all(authority, authorised.actor(), &frozen)?;
    Ok(Changed { code, order: Some(order), certificates })
}

/// Before the date of the order. Suspensions below it go on.
pub fn lift(authority: &Authority, authorised: &Authorised<Operator>, code: &str, words: &LiftWords) -> Result<Changed, IssueError> {
    let lift = hold::lifted(words, authority.clock.now())?;
    let code = CreditCode::parse(code).map_err(IssueError::CreditCode)?.as_str().to_owned();
    let stored = authority.store.get(&EnterpriseFreeze::key(&code))?.ok_or(IssueError::EnterpriseNotFrozen)?;
    let certificates = thaw(authority, authorised.actor(), stored, Some(&lift))?;
    Ok(Changed { code, order: None, certificates })
}

/// Goes on with every order: ends those that are over or were being lifted, and holds what is still good below the rest.
/// Tells how many certificates were changed.
pub fn due(authority: &Authority) -> Result<usize, IssueError> {
    let now = authority.clock.now();
    let (mut from, to) = EnterpriseFreeze::all();
    let mut changed = 0;
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, stored) in &page {
            let frozen = read(stored)?;
            changed += if frozen.in_force(now) { hold_all(authority, &Actor::Service, &frozen)?.len() } else { thaw(authority, &Actor::Service, stored.clone(), None)?.len() };
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return Ok(changed),
        }
    }
}

/// What stands of an enterprise at a moment, and what must still hold at a commit that relies on it.
pub(super) struct Standing {
    pub order: Option<Freeze>,
    expectation: Option<Expectation>,
}

impl Standing {
    /// The commit holds only while this is so.
    pub fn holds(&self, batch: Batch) -> Batch {
        self.expectation.iter().cloned().fold(batch, Batch::expect)
    }

    /// Nothing is issued for an enterprise that is frozen.
    pub fn free(&self) -> Result<(), IssueError> {
        match &self.order {
            Some(order) => Err(IssueError::EnterpriseFrozen { until: runtime::terminal::date(order.until) }),
            None => Ok(()),
        }
    }
}

pub(super) fn standing(authority: &Authority, code: Option<&str>, now: OffsetDateTime) -> Result<Standing, IssueError> {
    let Some(code) = code else { return Ok(Standing { order: None, expectation: None }) };
    let place = EnterpriseFreeze::key(code);
    Ok(match authority.store.get(&place)? {
        Some(stored) => {
            let frozen = read(&stored)?;
            Standing { order: frozen.in_force(now).then_some(frozen.order), expectation: Some(Expectation::Equals(place, stored)) }
        }
        None => Standing { order: None, expectation: Some(Expectation::Absent(place)) },
    })
}

fn read(stored: &[u8]) -> Result<EnterpriseFreeze, IssueError> {
    decode(stored).map_err(|_| IssueError::Damaged { what: "an order to freeze an enterprise" })
}

/// Holds every certificate that may be held and is not frozen.
fn hold_all(authority: &Authority, by: &Actor, frozen: &EnterpriseFreeze) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    each(authority, &frozen.code, |serial, found| match &found.status {
        // One frozen by an order of its own comes below this one when that ends.
        Status::Revoked(_) | Status::Held(Hold { freeze: Some(_), .. }) => Ok(None),
        _ => match hold::by_order(authority, by, serial, found, &frozen.order) {
            Ok(changed) => Ok(Some(changed.record)),
            Err(IssueError::Ended { .. } | IssueError::OwnCertificate { .. }) => Ok(None),
            Err(error) => Err(error),
        },
    })
}

/// Ends an order: marked first, so that a crash goes on here and not back; then its certificates; then the order.
fn thaw(authority: &Authority, by: &Actor, stored: Vec<u8>, lift: Option<&Lift>) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let now = authority.clock.now();
    let frozen = read(&stored)?;
    let place = EnterpriseFreeze::key(&frozen.code);
    let marked = if frozen.ending {
        stored
    } else {
        let marked = encode(&EnterpriseFreeze { ending: true, ..frozen.clone() })?;
        let entry = log::Entry::EnterpriseFreezeEnded { order_sha256: &crate::sha256_hex(&stored), by: &by.to_string() };
        let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).put(place.clone(), marked.clone());
        batch.append(log::STREAM, entry.leaf(now)?);
        if let Some(lift) = lift {
            batch = hold::lift_entered(batch, frozen.code.as_bytes(), lift, by, now)?;
        }
        authority.store.commit(batch)?;
        marked
    };
    let certificates = each(authority, &frozen.code, |serial, found| match found.status.clone() {
        Status::Held(hold) if hold.freeze.as_ref().is_some_and(|freeze| freeze.enterprise) => match hold::end(authority, by, serial, found, &hold, None) {
            Ok(changed) => Ok(Some(changed.record)),
            // Its key was reported: it falls with it.
            Err(IssueError::BlockedKey) => Ok(None),
            Err(error) => Err(error),
        },
        _ => Ok(None),
    })?;
    authority.store.commit(Batch::new().expect(Expectation::Equals(place.clone(), marked)).delete(place))?;
    Ok(certificates)
}

/// Does something with every certificate of a code; what others changed meanwhile is looked at anew.
fn each(
    authority: &Authority,
    code: &str,
    change: impl Fn(Vec<u8>, CertificateRecord) -> Result<Option<CertificateRecord>, IssueError>,
) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let mut query = Query { code: Some(code.to_owned()), limit: Some(PAGE), ..Query::default() };
    let mut changed = Vec::new();
    loop {
        let page = register::list(&*authority.store, &query, authority.clock.now().unix_timestamp())?;
        query.after = page.last().filter(|_| page.len() == PAGE).map(|(serial, _)| crate::record::serial_text(serial));
        for (serial, mut found) in page {
            let mut attempts = 1;
            let done = loop {
                match change(serial.clone(), found) {
                    Err(IssueError::Commit(CommitError::Conflict { .. })) if attempts < ATTEMPTS => {
                        attempts += 1;
                        found = register::get(&*authority.store, &serial)?;
                    }
                    done => break done?,
                }
            };
            changed.extend(done.map(|record| (serial, record)));
        }
        if query.after.is_none() {
            return Ok(changed);
        }
    }
}
