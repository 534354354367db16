//! Revoking or issuing anew many certificates of one incident. An administrator orders it; this is told once more what it
//! would do before it does it.
//!
//! 1 choose     a list, a query, or what the incident's other act did: exactly one
//! 2 look       how many, of which kinds: what a dry run tells, and changes nothing
//! 3 bound      more than the policy lets pass has to be said again, by its number
//! 4 begin      every certificate written down, then the beginning in the log: from here on the list is what it is. Above
//!              the number in `approvals.toml`, those of the last day counted with it, it is an act that other officers approve first; the service then begins the
//!              very list they saw, and works it off
//! 5 step       one portion, what came of each and the place in the list in one commit with what was done; again until
//!              the end. Whoever says the same again after a crash goes on from there.

mod guarded;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policies::certificate::{ApplicantKind, Kind};
use serde::{Deserialize, Serialize};
use ring::rand::SystemRandom;
use store::{Batch, CommitError, Expectation, Key, StreamSlot};
use time::OffsetDateTime;

pub(in crate::flow) use guarded::lately;
use guarded::only_authorities;

use super::act::{self, ApprovedAct};
use super::authorise::{Administrator, Authorised};
use super::replace::of_a_holder;
use super::revoke::{Revoke, several};
use super::succeed::{Ask, Asked, Corrections, SuccessionError, succeed};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Act, BulkAct, Came, CertificateRecord, Deed, Incident, Item, OrderId, Reason, Revocation, Stage, Status, decode, encode, log, serial_text};
use crate::register::{self, PAGE, Query, State};

/// The most certificates of one act.
const MOST: usize = 1_000_000;
/// How many of them a dry run names.
const SAMPLES: usize = 10;
/// Certificates issued in one step, for each that is issued at one time.
const ISSUED_IN_A_STEP: u16 = 16;
const DAY: i64 = 86_400;
const ATTEMPTS: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("{0:?} is no name of an incident; write up to 64 letters, digits, hyphens and dots, as in INC-2026-001")]
    Name(String),
    #[error("no certificate is chosen; name them by a file or by a query")]
    Nothing,
    #[error("more than {MOST} certificates are chosen; choose fewer")]
    TooMany,
    #[error("{total} certificates are chosen and {most} pass without being said again; if so many are meant, say --confirm {total}")]
    Confirm { total: u64, most: u32 },
    #[error("incident {incident} was begun with other certificates or another reason; go on with it without naming any, or give this one another name")]
    Differs { incident: String },
    #[error("there is no incident {incident} of this kind; begin it with --file or a query")]
    Unknown { incident: String },
    #[error("a bulk revocation needs its reason; say --reason")]
    NoReason,
    #[error("incident {incident} is being worked off by somebody else; look at it with `ca bulk show`")]
    Busy { incident: String },
}

impl From<store::StoreError> for BulkError {
    fn from(error: store::StoreError) -> Self {
        IssueError::from(error).into()
    }
}

impl From<CommitError> for BulkError {
    fn from(error: CommitError) -> Self {
        IssueError::from(error).into()
    }
}

impl From<serde_json::Error> for BulkError {
    fn from(error: serde_json::Error) -> Self {
        IssueError::from(error).into()
    }
}

impl From<register::RegisterError> for BulkError {
    fn from(error: register::RegisterError) -> Self {
        IssueError::from(error).into()
    }
}

/// Which certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Chosen {
    Serials(Vec<String>),
    Query(Query),
    /// Those that the other act of the incident changed; or, where this one has begun, its own.
    Incident,
}

/// What is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkOrder {
    pub incident: String,
    pub act: BulkAct,
    /// Of a revocation.
    pub reason: Option<Reason>,
    pub chosen: Chosen,
    /// Without it nothing is changed.
    pub execute: bool,
    /// The number of certificates, said again.
    pub confirm: Option<u64>,
}

/// What an act would be done to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub total: u64,
    /// Of which there is no certificate here.
    pub unknown: u64,
    pub kinds: Vec<Of>,
    /// Serials of the first few.
    pub samples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Of {
    pub profile: String,
    pub issuer: String,
    pub state: State,
    pub count: u64,
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum Ordered {
    WouldDo(Preview),
    Incident(Incident),
    /// Other officers decide first, about the act of this number.
    Awaits(OrderId),
}

/// Steps 1 to 4; once more when another act without approval began between its look and its commit.
pub fn order(authority: &Authority, authorised: &Authorised<Administrator>, order: &BulkOrder) -> Result<Ordered, BulkError> {
    for _ in 1..ATTEMPTS {
        match order_once(authority, authorised, order) {
            Err(BulkError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            done => return done,
        }
    }
    order_once(authority, authorised, order)
}

fn order_once(authority: &Authority, authorised: &Authorised<Administrator>, order: &BulkOrder) -> Result<Ordered, BulkError> {
    // 1. Words in a form that cannot be wrong. What was begun goes on.
    let name = &order.incident;
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_')) {
        return Err(BulkError::Name(name.chars().take(80).collect()));
    }
    let reason = order.reason.filter(|_| order.act == BulkAct::Revoke);
    let chosen_by = chosen_by(&order.chosen)?;
    let begun = read(authority, name, order.act)?;
    if let Some((_, incident)) = begun.as_ref().filter(|(_, incident)| incident.stage != Stage::Gathering) {
        let same = matches!(order.chosen, Chosen::Incident) || incident.chosen_by == chosen_by;
        return match reason.is_none_or(|reason| Some(reason) == incident.reason) && same {
            true => Ok(match incident.order.filter(|_| incident.stage == Stage::Awaiting) {
                Some(id) => Ordered::Awaits(id),
                None => Ordered::Incident(incident.clone()),
            }),
            false => Err(BulkError::Differs { incident: name.clone() }),
        };
    }
    if order.act == BulkAct::Revoke && reason.is_none() {
        return Err(BulkError::NoReason);
    }
    let serials = choose(authority, order)?;
    // 2.
    let total = serials.len() as u64;
    if !order.execute {
        return Ok(Ordered::WouldDo(look(authority, &serials)?));
    }
    // 3.
    if serials.is_empty() {
        return Err(BulkError::Nothing);
    }
    let most = authority.rules.bulk.most;
    if total > u64::from(most) && order.confirm != Some(total) {
        return Err(BulkError::Confirm { total, most });
    }
    // 4. Numbers written by a beginning that was cut off are written again, and those beyond the list are taken away.
    let by = authorised.actor().to_string();
    let begun_at = authority.clock.now().unix_timestamp();
    let authorities = order.act == BulkAct::Revoke && only_authorities(authority, &serials)?;
    let gathering = Incident { incident: name.clone(), act: order.act, reason, stage: Stage::Gathering, chosen_by, total, next: 0, done: 0, refused: 0, begun_at, ended_at: None, by, order: None, authorities };
    let place = Incident::key(name, order.act);
    let before = begun.map_or_else(|| Expectation::Absent(place.clone()), |(stored, _)| Expectation::Equals(place.clone(), stored));
    authority.store.commit(Batch::new().expect(before).put(place.clone(), encode(&gathering)?))?;
    let mut number = 0;
    for page in serials.chunks(PAGE) {
        let mut batch = Batch::new();
        for serial in page {
            batch = batch.put(Item::key(name, order.act, number), encode(&Item { serial: serial.clone(), came: None })?);
            number += 1;
        }
        authority.store.commit(batch)?;
    }
    loop {
        let (from, to) = Item::from(name, order.act, total);
        let page = authority.store.scan(&from, &to, PAGE)?;
        if page.is_empty() {
            break;
        }
        authority.store.commit(page.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
    }
    let deed = Deed::Bulk { incident: name.clone(), act: order.act, reason, certificates: total, serials_sha256: digest(&serials), authorities };
    let batch = Batch::new().expect(Expectation::Equals(place.clone(), encode(&gathering)?));
    // Acts that nobody approves begin one after the other: each is judged with those before it.
    let turn = Key::new("authority", &[b"bulk-unapproved"]);
    let turn_before = authority.store.get(&turn)?;
    if act::needed(authority, &deed)?.is_some() {
        let id = OrderId::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)?;
        let awaiting = Incident { stage: Stage::Awaiting, order: Some(id), ..gathering };
        let (batch, _) = act::asked(authority, batch.put(place, encode(&awaiting)?), authorised, &id, deed)?;
        authority.store.commit(batch)?;
        return Ok(Ordered::Awaits(id));
    }
    let running = Incident { stage: Stage::Running, ..gathering };
    let rests_on = turn_before.map_or_else(|| Expectation::Absent(turn.clone()), |before| Expectation::Equals(turn.clone(), before));
    let mut batch = batch.expect(rests_on).put(turn, encode(&running)?).put(place, encode(&running)?);
    begun_entry(&mut batch, &running, &deed, authority.clock.now())?;
    authority.store.commit(batch)?;
    Ok(Ordered::Incident(running))
}

fn begun_entry(batch: &mut Batch, running: &Incident, deed: &Deed, now: OffsetDateTime) -> Result<StreamSlot, IssueError> {
    let Deed::Bulk { serials_sha256, .. } = deed else { return Err(IssueError::Damaged { what: "an act" }) };
    let Incident { incident, act, reason, total, by, .. } = running;
    let entry = log::Entry::IncidentBegun { incident, act: act.name(), reason: *reason, certificates: *total, chosen_sha256: serials_sha256, by };
    Ok(batch.append(log::STREAM, entry.leaf(now)?))
}

/// Step 4 for what others approved: the certificates as they are written down must be the ones that were approved.
pub(super) fn begin_approved(authority: &Authority, authorised: &Authorised<Administrator>, name: &str, act: BulkAct, approved: &ApprovedAct) -> Result<(), BulkError> {
    let differs = || BulkError::Differs { incident: name.to_owned() };
    let (stored, incident) = read(authority, name, act)?.ok_or_else(differs)?;
    if incident.stage != Stage::Awaiting || incident.order != Some(approved.id()) {
        return Err(differs());
    }
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let (mut from, to) = Item::from(name, act, 0);
    let mut certificates = 0;
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, item) in &page {
            context.update(&decode::<Item>(item).map_err(|_| IssueError::Damaged { what: "a certificate of an incident" })?.serial);
        }
        certificates += page.len() as u64;
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => break,
        }
    }
    let deed = Deed::Bulk { incident: name.to_owned(), act, reason: incident.reason, certificates, serials_sha256: crate::hex(context.finish().as_ref()), authorities: incident.authorities };
    if !approved.is_of(&deed) || certificates != incident.total {
        return Err(differs());
    }
    let now = authority.clock.now();
    let place = Incident::key(name, act);
    let running = Incident { stage: Stage::Running, by: authorised.actor().to_string(), ..incident };
    let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).put(place, encode(&running)?).put(Incident::approved(name, act), serde_json::to_vec(&(name, act))?);
    let slot = begun_entry(&mut batch, &running, &deed, now)?;
    authority.store.commit(approved.done(authority, batch, slot, now)?)?;
    Ok(())
}

/// Part of the commit that ends an act without doing it: nothing was done to any certificate, and the incident may be
/// begun anew.
pub(super) fn released(authority: &Authority, batch: Batch, name: &str, act: BulkAct, id: &OrderId) -> Result<Batch, IssueError> {
    let place = Incident::key(name, act);
    let Some(stored) = authority.store.get(&place)? else { return Ok(batch) };
    let incident: Incident = decode(&stored).map_err(|_| IssueError::Damaged { what: "an incident" })?;
    if incident.stage != Stage::Awaiting || incident.order != Some(*id) {
        return Ok(batch);
    }
    let released = Incident { stage: Stage::Gathering, order: None, ..incident };
    Ok(batch.expect(Expectation::Equals(place.clone(), stored)).put(place, encode(&released)?))
}

/// What an act that others decide about would be done to.
pub fn written_down(authority: &Authority, name: &str, act: BulkAct) -> Result<Preview, IssueError> {
    let (mut from, to) = Item::from(name, act, 0);
    let mut serials = Vec::new();
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, item) in &page {
            serials.push(decode::<Item>(item).map_err(|_| IssueError::Damaged { what: "a certificate of an incident" })?.serial);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return look(authority, &serials),
        }
    }
}

/// The next portion of one of the acts that others approved, by the service; `None` when there is none.
pub fn work(authority: &Authority) -> Result<Option<Incident>, BulkError> {
    let (from, to) = Incident::all_approved();
    let Some((_, act)) = authority.store.scan(&from, &to, 1)?.into_iter().next() else { return Ok(None) };
    let (name, act): (String, BulkAct) = serde_json::from_slice(&act).map_err(|_| IssueError::Damaged { what: "an incident" })?;
    match step(authority, &Authorised::service(), &name, act) {
        // Whoever asked for it works it off too.
        Err(BulkError::Busy { .. }) => Ok(read(authority, &name, act)?.map(|(_, incident)| incident)),
        done => done.map(Some),
    }
}

/// Step 5: the next portion. Said again until it is done.
pub fn step(authority: &Authority, authorised: &Authorised<Administrator>, name: &str, act: BulkAct) -> Result<Incident, BulkError> {
    let (stored, incident) = read(authority, name, act)?.ok_or_else(|| BulkError::Unknown { incident: name.chars().take(64).collect() })?;
    if incident.stage != Stage::Running {
        return Ok(incident);
    }
    let rules = authority.rules.bulk;
    let (from, to) = Item::from(name, act, incident.next);
    let portion = if act == BulkAct::Revoke { rules.batch } else { rules.parallel.saturating_mul(ISSUED_IN_A_STEP) };
    let damaged = || IssueError::Damaged { what: "a certificate of an incident" };
    let page = authority.store.scan(&from, &to, usize::from(portion))?;
    let items = page.iter().map(|(_, item)| decode::<Item>(item)).collect::<Result<Vec<_>, _>>().map_err(|_| damaged())?;
    if items.is_empty() {
        return Err(damaged().into());
    }
    let after = |came: &[Came]| {
        let refused = came.iter().filter(|came| matches!(came, Came::Refused { .. })).count() as u64;
        let (count, now) = (came.len() as u64, authority.clock.now().unix_timestamp());
        let mut after = Incident { next: incident.next + count, done: incident.done + count - refused, refused: incident.refused + refused, ..incident.clone() };
        if after.next >= after.total {
            (after.stage, after.ended_at) = (Stage::Done, Some(now));
        }
        after
    };
    let written = |mut batch: Batch, came: &[Came]| -> Result<Batch, IssueError> {
        let after = after(came);
        let place = Incident::key(name, act);
        for ((key, _), (item, came)) in page.iter().zip(items.iter().zip(came)) {
            batch = batch.put(key.clone(), encode(&Item { came: Some(came.clone()), ..item.clone() })?);
        }
        batch = batch.expect(Expectation::Equals(place.clone(), stored.clone())).put(place, encode(&after)?);
        if after.stage == Stage::Done {
            let entry = log::Entry::IncidentEnded { incident: name, act: act.name(), done: after.done, refused: after.refused, by: &authorised.actor().to_string() };
            batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
            batch = if after.order.is_some() { batch.delete(Incident::approved(name, act)) } else { batch };
        }
        Ok(batch)
    };
    let done = match act {
        BulkAct::Revoke => revoked(authority, authorised, &incident, &items, &written),
        BulkAct::Reissue => reissued(authority, authorised, &incident, &items).and_then(|came| {
            authority.store.commit(written(Batch::new(), &came)?)?;
            Ok(came)
        }),
    };
    match done {
        Ok(came) => {
            let after = after(&came);
            if after.stage == Stage::Running {
                std::thread::sleep(Duration::from_millis(u64::from(rules.pause_ms)));
            }
            Ok(after)
        }
        // Somebody else did this portion: theirs is what stands.
        Err(IssueError::Commit(CommitError::Conflict { .. })) => Err(BulkError::Busy { incident: name.to_owned() }),
        Err(error) => Err(error.into()),
    }
}

/// Those that may be are revoked in one commit, with what came of each; on the line every revocation takes.
fn revoked(
    authority: &Authority,
    authorised: &Authorised<Administrator>,
    incident: &Incident,
    items: &[Item],
    written: &impl Fn(Batch, &[Came]) -> Result<Batch, IssueError>,
) -> Result<Vec<Came>, IssueError> {
    let reason = incident.reason.unwrap_or(Reason::Unspecified);
    let orders: Vec<Revoke> = items.iter().map(|item| Revoke { serial: serial_text(&item.serial), reason, at: None, invalid_since: None }).collect();
    // Of such an act every certificate is one of an authority: it was looked at when it was written down.
    let named = |found: &CertificateRecord| of_holders(authority, found) || incident.authorities;
    let may = |found: &CertificateRecord| if named(found) { Ok(()) } else { Err(IssueError::OwnCertificate { profile: found.profile.clone() }) };
    let came = |results: &[Result<(), IssueError>]| results.iter().map(|result| result.as_ref().map_or_else(refused, |()| Came::Revoked)).collect::<Vec<_>>();
    let results = several(authority, authorised.actor(), &orders, may, |batch, results| written(batch, &came(results)))?;
    Ok(came(&results))
}

/// Each gets a certificate for the same key and facts, as its profile is now; the same line that issues every other.
fn reissued(authority: &Authority, authorised: &Authorised<Administrator>, incident: &Incident, items: &[Item]) -> Result<Vec<Came>, IssueError> {
    let parallel = usize::from(authority.rules.bulk.parallel).max(1);
    let portions = items.chunks(items.len().div_ceil(parallel).max(1));
    let done: Vec<Result<Vec<Came>, IssueError>> = std::thread::scope(|scope| {
        let working: Vec<_> = portions
            .map(|portion| scope.spawn(move || portion.iter().map(|item| reissue(authority, authorised, incident, &item.serial)).collect()))
            .collect();
        working.into_iter().map(|one| one.join().unwrap_or(Err(IssueError::Damaged { what: "the work of a step" }))).collect()
    });
    let mut came = Vec::with_capacity(items.len());
    for portion in done {
        came.extend(portion?);
    }
    Ok(came)
}

fn reissue(authority: &Authority, authorised: &Authorised<Administrator>, incident: &Incident, serial: &[u8]) -> Result<Came, IssueError> {
    let now = authority.clock.now();
    let days = authority.rules.bulk.reissue_overlap_days;
    // The incident's old certificates end by the jobs, days later: nobody waits for that here.
    let ends = Revocation::new(now.unix_timestamp() + i64::from(days) * DAY, Reason::Superseded);
    let request = Asked::SameKey { occasion: incident.incident.clone() };
    let ask = Ask { old: serial.to_vec(), act: Act::Reissued, request, corrected: Corrections::default(), ends: Some(ends) };
    let judge = |found: &CertificateRecord| match (&found.status, authority.policies.profile(&found.profile)) {
        (_, Some(profile)) if !profile.bulk() => Err(SuccessionError::NotRenewed { profile: found.profile.clone() }),
        (Status::Held(_), _) => Err(SuccessionError::Held { serial: serial_text(serial) }),
        // Revoked by the same incident before: its key is as good as it was.
        (Status::Revoked(Revocation { reason: Reason::Superseded | Reason::Unspecified, .. }), Some(_)) if found.not_after >= now.unix_timestamp() && of_holders(authority, found) => Ok(()),
        _ => of_a_holder(authority, serial, found, now),
    };
    match succeed(authority, authorised, &ask, judge) {
        Ok(succeeded) => Ok(Came::Reissued { new: serial_text(&succeeded.serial) }),
        // What is about the authority and not about this certificate stops the act.
        Err(SuccessionError::Issue(error)) if stops(&error) => Err(error),
        Err(error) => Ok(Came::Refused { code: runtime::exit::Problem::from(error).code }),
    }
}

fn stops(error: &IssueError) -> bool {
    matches!(
        error,
        IssueError::Commit(_) | IssueError::Json(_) | IssueError::Damaged { .. } | IssueError::Sign(_) | IssueError::Unfinished { .. } | IssueError::Randomness | IssueError::WrongSignature | IssueError::IssuerRevoked { .. } | IssueError::Lint { .. }
    )
}

fn refused(error: &IssueError) -> Came {
    Came::Refused { code: error.code().to_owned() }
}

/// The authority's own are not revoked in bulk with others: all others rest on them. An act about authorities alone is
/// approved like one about many, and whoever approves it is told.
fn of_holders(authority: &Authority, found: &CertificateRecord) -> bool {
    authority.policies.profile(&found.profile).is_some_and(|profile| profile.kind() == Kind::Leaf && profile.applicant() != ApplicantKind::Authority)
}

/// What stands in the store of one act.
fn read(authority: &Authority, name: &str, act: BulkAct) -> Result<Option<(Vec<u8>, Incident)>, BulkError> {
    let Some(stored) = authority.store.get(&Incident::key(name, act))? else { return Ok(None) };
    let incident = decode(&stored).map_err(|_| IssueError::Damaged { what: "an incident" })?;
    Ok(Some((stored, incident)))
}

/// The acts of an incident.
pub fn acts(authority: &Authority, name: &str) -> Result<Vec<Incident>, BulkError> {
    let mut acts = Vec::new();
    for act in [BulkAct::Revoke, BulkAct::Reissue] {
        acts.extend(read(authority, name, act)?.map(|(_, incident)| incident));
    }
    if acts.is_empty() { Err(BulkError::Unknown { incident: name.chars().take(64).collect() }) } else { Ok(acts) }
}

/// What came of certificates of an act, from a number on: a page.
pub fn items(authority: &Authority, name: &str, act: BulkAct, from: u64) -> Result<Vec<Item>, BulkError> {
    let (from, to) = Item::from(name, act, from);
    let page = authority.store.scan(&from, &to, PAGE)?;
    let items = page.iter().map(|(_, item)| decode(item)).collect::<Result<_, _>>();
    Ok(items.map_err(|_| IssueError::Damaged { what: "a certificate of an incident" })?)
}

/// The serials, each once and in the order in which they came.
fn choose(authority: &Authority, order: &BulkOrder) -> Result<Vec<Vec<u8>>, BulkError> {
    let mut serials: Vec<Vec<u8>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |serial: Vec<u8>| {
        if seen.insert(serial.clone()) {
            serials.push(serial);
        }
        if seen.len() > MOST { Err(BulkError::TooMany) } else { Ok(()) }
    };
    match &order.chosen {
        Chosen::Serials(texts) => {
            for text in texts {
                add(register::serial(text)?)?;
            }
        }
        Chosen::Query(query) => {
            let mut query = Query { limit: Some(PAGE), after: None, ..query.clone() };
            loop {
                let page = register::list(&*authority.store, &query, authority.clock.now().unix_timestamp())?;
                query.after = page.last().filter(|_| page.len() == PAGE).map(|(serial, _)| serial_text(serial));
                for (serial, _) in page {
                    add(serial)?;
                }
                if query.after.is_none() {
                    break;
                }
            }
        }
        Chosen::Incident => {
            let other = if order.act == BulkAct::Revoke { BulkAct::Reissue } else { BulkAct::Revoke };
            if read(authority, &order.incident, other)?.is_none() {
                return Err(BulkError::Unknown { incident: order.incident.clone() });
            }
            let mut from = 0;
            loop {
                let page = items(authority, &order.incident, other, from)?;
                from += page.len() as u64;
                let ended = page.len() < PAGE;
                for item in page {
                    if matches!(item.came, Some(Came::Revoked | Came::Reissued { .. })) {
                        add(item.serial)?;
                    }
                }
                if ended {
                    break;
                }
            }
        }
    }
    Ok(serials)
}

fn look(authority: &Authority, serials: &[Vec<u8>]) -> Result<Preview, IssueError> {
    let now = authority.clock.now().unix_timestamp();
    let mut kinds: BTreeMap<(String, String, &'static str), (State, u64)> = BTreeMap::new();
    let mut preview = Preview { total: serials.len() as u64, samples: serials.iter().take(SAMPLES).map(|serial| serial_text(serial)).collect(), ..Preview::default() };
    for serial in serials {
        match register::find(&*authority.store, serial)? {
            Some(found) => {
                let state = register::state(&found, now);
                let name = match state {
                    State::Good => "good",
                    State::Held => "held",
                    State::Revoked => "revoked",
                    State::Expired => "expired",
                };
                kinds.entry((found.profile, found.issuer, name)).or_insert((state, 0)).1 += 1;
            }
            None => preview.unknown += 1,
        }
    }
    preview.kinds = kinds.into_iter().map(|((profile, issuer, _), (state, count))| Of { profile, issuer, state, count }).collect();
    Ok(preview)
}

fn chosen_by(chosen: &Chosen) -> Result<String, BulkError> {
    Ok(crate::sha256_hex(&serde_json::to_vec(chosen)?))
}

fn digest(serials: &[Vec<u8>]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    serials.iter().for_each(|serial| context.update(serial));
    crate::hex(context.finish().as_ref())
}

impl From<BulkError> for runtime::exit::Problem {
    fn from(error: BulkError) -> Self {
        use runtime::exit::Exit;
        let (exit, code) = match error {
            BulkError::Issue(error) => return error.into(),
            BulkError::Name(_) => (Exit::Usage, "incident-name"),
            BulkError::Nothing => (Exit::Usage, "nothing-chosen"),
            BulkError::NoReason => (Exit::Usage, "reason"),
            BulkError::TooMany => (Exit::Refused, "too-many"),
            BulkError::Confirm { .. } => (Exit::Refused, "confirm"),
            BulkError::Differs { .. } => (Exit::Conflict, "incident-differs"),
            BulkError::Unknown { .. } => (Exit::NotFound, "no-such-incident"),
            BulkError::Busy { .. } => (Exit::Conflict, "busy"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
