//! Granting and withdrawing powers: authorised, judged against all who hold any, recorded, then told.
//!
//! All changes rest on one record that each replaces, so that they are decided one after the other: of two who grant
//! what excludes each other, or withdraw each other, the second is judged by what the first left.

use std::collections::{BTreeMap, BTreeSet};

use policies::authority::Power;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key};

use super::act::{self, ApprovedAct};
use super::authorise::{Actor, Administrator, Authorised, roster, standing};
use super::recover;
use crate::authority::Authority;
use crate::problem::{IssueError, OfficerError};
use crate::record::{CertificateRecord, Deed, Officer, Person, Roster, Status, decode, encode, log, serial_text};
use crate::register;

/// How often a change that others came before is decided anew.
const ATTEMPTS: u32 = 16;
const DAY: i64 = 86_400;

/// Which power, for the holder of which certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub serial: String,
    pub power: Power,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    pub serial: String,
    /// All that the certificate has when none is named.
    pub power: Option<Power>,
}

/// A certificate with what it has now, durably.
#[derive(Clone, Debug)]
pub struct Changed {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    pub powers: BTreeSet<Power>,
}

/// A power that takes no approvals. One that does is asked for by `act::ask_grant`.
pub fn grant(authority: &Authority, authorised: &Authorised<Administrator>, order: &Grant) -> Result<Changed, OfficerError> {
    decided_anew(|| grant_once(authority, authorised, order, None))
}

/// What others approved, in the commit that ends their act.
pub(super) fn grant_approved(authority: &Authority, authorised: &Authorised<Administrator>, order: &Grant, approved: &ApprovedAct) -> Result<Changed, OfficerError> {
    grant_once(authority, authorised, order, Some(approved))
}

/// The words in which a grant is asked for, when it may be.
pub(super) fn deed(authority: &Authority, authorised: &Authorised<Administrator>, order: &Grant) -> Result<Deed, OfficerError> {
    Ok(judged(authority, &Held::read(authority)?, authorised, order)?.deed)
}

/// A grant that may be made.
struct Judged {
    serial: Vec<u8>,
    record: CertificateRecord,
    person: Person,
    powers: BTreeSet<Power>,
    deed: Deed,
}

fn judged(authority: &Authority, held: &Held, authorised: &Authorised<Administrator>, order: &Grant) -> Result<Judged, OfficerError> {
    held.still_administers(authority, authorised.actor())?;
    // 2. A certificate that makes an officer at this moment, and whose it is.
    let serial = register::serial(&order.serial).map_err(IssueError::from)?;
    let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
    standing(authority, &serial, &record)?;
    let text = serial_text(&serial);
    let person = Person::of(&record.der).ok_or_else(|| OfficerError::NoPerson { serial: text.clone() })?;
    // 3. Whether this person may have it: a pure question.
    let mut powers = held.of(&serial);
    if powers.contains(&order.power) {
        return Err(OfficerError::Granted { serial: text, power: order.power });
    }
    let all = held.of_person(person);
    if let Some(other) = authority.rules.officers.excluded_by(order.power, &all) {
        return Err(OfficerError::Excluded { power: order.power, other });
    }
    // A renewed certificate may get what its holder has; nobody gives themselves more.
    if authorised.person() == Some(person) && !all.contains(&order.power) {
        return Err(OfficerError::Own);
    }
    powers.insert(order.power);
    let deed = Deed::GrantPower { serial: text, certificate_sha256: crate::sha256_hex(&record.der), power: order.power };
    Ok(Judged { serial, record, person, powers, deed })
}

fn grant_once(authority: &Authority, authorised: &Authorised<Administrator>, order: &Grant, approved: Option<&ApprovedAct>) -> Result<Changed, OfficerError> {
    // 1. What every change rests on, before anything is read that it is decided by.
    let held = Held::read(authority)?;
    let Judged { serial, record, person, powers, deed } = judged(authority, &held, authorised, order)?;
    // 4. By as many as the policy asks for, and the very words they approved.
    match (approved, act::needed(authority, &deed)?) {
        (None, Some(act::Needed { approvals, .. })) => return Err(OfficerError::ApprovalNeeded { approvals }),
        (Some(approved), _) if !approved.is_of(&deed) => return Err(IssueError::Damaged { what: "an act" }.into()),
        _ => {}
    }
    // 5. Powers, roster and log entry in one commit, and only while the certificate is good. Only then it is told.
    let now = authority.clock.now();
    let mut batch = Batch::new().expect(Expectation::Equals(CertificateRecord::key(&serial), encode(&record).map_err(IssueError::from)?));
    let entry = log::Entry::PowerGranted { serial: &serial_text(&serial), power: order.power, by: &authorised.actor().to_string() };
    let slot = batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    if let Some(approved) = approved {
        batch = approved.done(authority, batch, slot, now)?;
    }
    held.commit(authority, batch, &serial, Officer { person, powers: powers.clone(), administered_until: held.administered_until(&serial) })?;
    Ok(Changed { serial, record, powers })
}

/// Whether the officer of this number holds no power that keeps them from being an administrator.
pub(super) fn may_be_reinstated(authority: &Authority, number: &str) -> Result<(), OfficerError> {
    let all = Held::read(authority)?.of_person(Person::numbered(number));
    match authority.rules.officers.excluded_by(Power::Administrator, &all) {
        Some(other) => Err(OfficerError::Excluded { power: Power::Administrator, other }),
        None => Ok(()),
    }
}

/// The administrator's power where nobody is left to grant it, with what `recover` records of that in the same commit.
pub(super) fn reinstated(authority: &Authority, serial: &[u8], record: &CertificateRecord, batch: Batch, by: &str) -> Result<(), OfficerError> {
    let held = Held::read(authority)?;
    standing(authority, serial, record)?;
    let person = Person::of(&record.der).ok_or_else(|| OfficerError::NoPerson { serial: serial_text(serial) })?;
    if let Some(other) = authority.rules.officers.excluded_by(Power::Administrator, &held.of_person(person)) {
        return Err(OfficerError::Excluded { power: Power::Administrator, other });
    }
    let mut powers = held.of(serial);
    powers.insert(Power::Administrator);
    let mut batch = batch.expect(Expectation::Equals(CertificateRecord::key(serial), encode(record).map_err(IssueError::from)?));
    let entry = log::Entry::PowerGranted { serial: &serial_text(serial), power: Power::Administrator, by };
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    Ok(held.commit(authority, batch, serial, Officer { person, powers, administered_until: held.administered_until(serial) })?)
}

/// Everybody who ever held a power, each person by the newest of the certificates.
pub(super) fn ever(authority: &Authority) -> Result<Vec<(Vec<u8>, CertificateRecord)>, IssueError> {
    let mut newest: BTreeMap<Person, (Vec<u8>, CertificateRecord)> = BTreeMap::new();
    for (serial, officer) in Held::read(authority)?.officers {
        let record = register::get(&*authority.store, &serial)?;
        if newest.get(&officer.person).is_none_or(|(_, before)| before.not_after < record.not_after) {
            newest.insert(officer.person, (serial, record));
        }
    }
    Ok(newest.into_values().collect())
}

pub fn withdraw(authority: &Authority, authorised: &Authorised<Administrator>, order: &Withdraw) -> Result<Changed, OfficerError> {
    decided_anew(|| withdraw_once(authority, authorised, order))
}

fn withdraw_once(authority: &Authority, authorised: &Authorised<Administrator>, order: &Withdraw) -> Result<Changed, OfficerError> {
    // 1. What every change rests on, before anything is read that it is decided by.
    let held = Held::read(authority)?;
    held.still_administers(authority, authorised.actor())?;
    // 2. What there is to withdraw; the certificate itself may have ended or be revoked.
    let serial = register::serial(&order.serial).map_err(IssueError::from)?;
    let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
    let Some((_, officer)) = held.officers.iter().find(|(known, _)| *known == serial) else {
        return Err(OfficerError::NoPowers { serial: serial_text(&serial) });
    };
    let gone: BTreeSet<Power> = officer.powers.iter().copied().filter(|power| order.power.is_none_or(|one| one == *power)).collect();
    if gone.is_empty() {
        return Err(OfficerError::NoPowers { serial: serial_text(&serial) });
    }
    // 3. Somebody must be left who can grant powers. Those whose certificate is not good now do not count.
    let administrator = gone.contains(&Power::Administrator);
    if administrator && !held.others_administer(authority, &serial)? {
        return Err(OfficerError::LastAdministrator);
    }
    let powers: BTreeSet<Power> = officer.powers.difference(&gone).copied().collect();
    // 4. Powers, roster and log entries in one commit; the next request finds it so. Only then it is told.
    let mut batch = Batch::new();
    for power in gone {
        let entry = log::Entry::PowerWithdrawn { serial: &serial_text(&serial), power, by: &authorised.actor().to_string() };
        batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    }
    let now = authority.clock.now().unix_timestamp();
    let administered_until = if administrator { Some(now) } else { officer.administered_until };
    held.commit(authority, batch, &serial, Officer { powers: powers.clone(), administered_until, person: officer.person })?;
    Ok(Changed { serial, record, powers })
}

/// Everybody who holds powers or held some, in the order of their serials.
pub fn list(authority: &Authority) -> Result<Vec<Changed>, OfficerError> {
    let shown = |(serial, officer): (Vec<u8>, Officer)| {
        let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
        Ok(Changed { serial, record, powers: officer.powers })
    };
    Held::read(authority)?.officers.into_iter().map(shown).collect()
}

/// Whether there ever was an administrator, and how many persons are one now by a good certificate.
pub fn administrators(authority: &Authority) -> Result<(bool, usize), IssueError> {
    let held = Held::read(authority)?;
    let mut good = BTreeSet::new();
    for (serial, officer) in held.officers.iter().filter(|(_, officer)| officer.powers.contains(&Power::Administrator)) {
        match standing(authority, serial, &register::get(&*authority.store, serial)?) {
            Ok(()) => drop(good.insert(officer.person)),
            Err(OfficerError::Issue(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok((held.roster.administered, good.len()))
}

/// How many persons are administrators, or were some days ago: those whose power was withdrawn, or whose certificate was
/// revoked, count on for as long as an act stays open, and those who are suspended while they are. So nobody who is left alone by their own hand, or an
/// operator's, grants alone at once; time enough for the others to see it. Whoever the owner of the machine made administrator
/// since then, because nobody was left, is alone.
pub fn administrators_lately(authority: &Authority) -> Result<usize, IssueError> {
    let since = authority.clock.now().unix_timestamp() - i64::from(authority.rules.approvals.act_open_days) * DAY;
    let recovered = recover::since(authority, since)?.iter().map(|recovery| recovery.at).max();
    let counts = |fell_at: i64| fell_at > since && recovered.is_none_or(|at| fell_at > at);
    let mut persons = BTreeSet::new();
    for (serial, officer) in Held::read(authority)?.officers {
        let is = officer.powers.contains(&Power::Administrator);
        let record = register::get(&*authority.store, &serial)?;
        let lately = match &record.status {
            _ if !is => officer.administered_until.is_some_and(counts),
            Status::Revoked(revocation) => counts(revocation.at),
            Status::Held(hold) => recovered.is_none_or(|at| hold.at > at),
            Status::Good => match standing(authority, &serial, &record) {
                Ok(()) => true,
                Err(OfficerError::Issue(error)) => return Err(error),
                Err(_) => false,
            },
        };
        if lately {
            persons.insert(officer.person);
        }
    }
    Ok(persons.len())
}

/// Those who hold powers by a certificate that is good now (DER).
pub(super) fn good(authority: &Authority) -> Result<Vec<(Vec<u8>, Officer)>, IssueError> {
    let mut good = Vec::new();
    for (serial, officer) in Held::read(authority)?.officers.into_iter().filter(|(_, officer)| !officer.powers.is_empty()) {
        let record = register::get(&*authority.store, &serial)?;
        match standing(authority, &serial, &record) {
            Ok(()) => good.push((record.der, officer)),
            Err(OfficerError::Issue(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(good)
}

fn decided_anew<T>(once: impl Fn() -> Result<T, OfficerError>) -> Result<T, OfficerError> {
    for _ in 1..ATTEMPTS {
        match once() {
            Err(OfficerError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            done => return done,
        }
    }
    once()
}

/// All powers as they stand, and the record that stands for them.
struct Held {
    stored: Option<Vec<u8>>,
    roster: Roster,
    officers: Vec<(Vec<u8>, Officer)>,
}

impl Held {
    fn read(authority: &Authority) -> Result<Self, IssueError> {
        let damaged = || IssueError::Damaged { what: "an officer" };
        let (stored, roster) = roster(authority)?;
        let (mut from, to) = Key::range(Officer::TABLE, &[]);
        let mut officers = Vec::new();
        loop {
            let page = authority.store.scan(&from, &to, register::PAGE)?;
            for (key, bytes) in &page {
                officers.push((key.last_part().ok_or_else(damaged)?, decode(bytes).map_err(|_| damaged())?));
            }
            match page.last() {
                Some((last, _)) if page.len() == register::PAGE => from = last.successor(),
                _ => return Ok(Self { stored, roster, officers }),
            }
        }
    }

    fn administered_until(&self, serial: &[u8]) -> Option<i64> {
        self.officers.iter().find(|(known, _)| known == serial).and_then(|(_, officer)| officer.administered_until)
    }

    /// The power was proved when the request came; another's change may have come between.
    fn still_administers(&self, authority: &Authority, actor: &Actor) -> Result<(), OfficerError> {
        let holds = match actor {
            Actor::Officer(serial) => self.officers.iter().any(|(known, officer)| serial_text(known) == *serial && officer.powers.contains(&Power::Administrator)),
            Actor::LocalUser(_) => !self.roster.administered || authority.rules.officers.local_powers().contains(&Power::Administrator),
            Actor::Service => true,
            Actor::KeyHolder(_) | Actor::Registrar(_) => false,
        };
        let local = matches!(actor, Actor::LocalUser(_));
        if holds { Ok(()) } else { Err(OfficerError::Powerless { operation: "officer", needed: Power::Administrator.name().to_owned(), local }) }
    }

    fn of(&self, serial: &[u8]) -> BTreeSet<Power> {
        self.officers.iter().find(|(known, _)| known == serial).map(|(_, officer)| officer.powers.clone()).unwrap_or_default()
    }

    /// By all certificates of a person, good or not: what was not withdrawn may count again.
    fn of_person(&self, person: Person) -> BTreeSet<Power> {
        self.officers.iter().filter(|(_, officer)| officer.person == person).flat_map(|(_, officer)| officer.powers.iter().copied()).collect()
    }

    fn others_administer(&self, authority: &Authority, serial: &[u8]) -> Result<bool, OfficerError> {
        for (other, officer) in &self.officers {
            if other != serial && officer.powers.contains(&Power::Administrator) {
                let record = register::get(&*authority.store, other).map_err(IssueError::from)?;
                match standing(authority, other, &record) {
                    Ok(()) => return Ok(true),
                    Err(OfficerError::Issue(error)) => return Err(error.into()),
                    Err(_) => {}
                }
            }
        }
        Ok(false)
    }

    fn commit(&self, authority: &Authority, batch: Batch, serial: &[u8], officer: Officer) -> Result<(), IssueError> {
        let rests_on = match &self.stored {
            Some(stored) => Expectation::Equals(Roster::key(), stored.clone()),
            None => Expectation::Absent(Roster::key()),
        };
        let administered = self.roster.administered || officer.powers.contains(&Power::Administrator);
        let roster = Roster { changes: self.roster.changes.saturating_add(1), administered };
        let batch = batch.expect(rests_on).put(Roster::key(), encode(&roster)?).put(Officer::key(serial), encode(&officer)?);
        authority.store.commit(batch)?;
        Ok(())
    }
}
