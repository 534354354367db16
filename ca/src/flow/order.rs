//! An order from its receipt to its end. Each step is one durable commit, and the next begins from what is in the store:
//! going on after a crash is the same line.
//!
//! 1 parse      possession of the key proved; words, evidence and key in forms that cannot be wrong
//! 2 once       the same key with the same content is the same order
//! 3 record     received: from here on it is not lost
//! 4 judge      refused, or waiting for as many approvals as the policy asks for, or approved
//! 5 issue      on the line every certificate takes; intent and certificate move the order in their own commits
//!
//! Besides: it is cancelled by an operator or by whoever holds its key, and ends by itself when nobody decides.

use pki::name::COMMON_NAME;
use pki::request::Request;
use policies::authority::{IssueRule, Power};
use policies::certificate::{ApplicantKind, Kind, Profile};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key, StreamSlot};
use time::OffsetDateTime;

use super::authorise::{Actor, Authorised, Holder, Operator, roster};
use super::approve;
use super::eligible::{self, Judged};
use super::issue::{self, Order};
use super::plan::Words;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::register;
use crate::record::{Application, Channel, Evidence, Ground, Intent, OrderId, OrderIdError, OrderRecord, OrderState, Person, decode, encode, log, serial_text};

/// Letters of an order key.
const KEY_LONGEST: usize = 64;
/// What is due is worked off in portions, so that a turn of the jobs stays short.
const PORTION: usize = 100;
const DAY: i64 = 86_400;
/// How often an order that others came before is looked at anew.
const ATTEMPTS: u32 = 8;

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Id(#[from] OrderIdError),
    #[error("there is no order of this number; look whether it is whole")]
    NotFound,
    #[error("the order key has 1 to 64 letters, digits, hyphens, dots and underscores; choose such a one, and another for each order")]
    Key,
    #[error("a document of evidence has a kind of 1 to 32 small letters, digits and hyphens and a SHA-256 in small hexadecimal digits, and there are at most {} of them; write them so", Evidence::MOST)]
    Evidence,
    #[error("the order key was used for another application; choose a new key for a new order")]
    KeyUsed,
    #[error("the profile {profile} is not ordered over the network; apply at the counter")]
    NotOnline { profile: String },
    #[error("certificates of the profile {profile} are the authority's own and are not ordered; choose the profile of a holder")]
    OwnProfile { profile: String },
    #[error("too many orders are open; order again when some are decided")]
    TooMany,
    #[error("the order is {state}; look at it before asking for anything else")]
    Decided { state: &'static str },
    #[error("the request does not say that this order is to be cancelled; make it with the order's own key and the common name `cancel order NUMBER`")]
    NotSaid,
    #[error("the registry cannot be asked: {0}")]
    Registry(crate::registry::RegistryError),
}

impl From<store::StoreError> for OrderError {
    fn from(error: store::StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<serde_json::Error> for OrderError {
    fn from(error: serde_json::Error) -> Self {
        Self::Issue(error.into())
    }
}

/// An application, as it came in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub profile: String,
    /// PKCS#10, PEM or DER.
    pub request: Vec<u8>,
    pub applicant: Words,
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The applicant's own name for it: the same key with the same content is the same order.
    pub key: String,
}

/// Without the request: its subject may be a person's name.
impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applied").field("profile", &self.profile).field("applicant", &self.applicant).finish_non_exhaustive()
    }
}

/// An order that is durable.
#[derive(Clone, Debug)]
pub struct Placed {
    pub id: OrderId,
    pub order: OrderRecord,
    /// It was placed before, with this key.
    pub before: bool,
}

/// An operator enters what somebody applies for.
pub fn place(authority: &Authority, authorised: &Authorised<Operator>, applied: Applied) -> Result<Placed, OrderError> {
    placed(authority, authorised.actor(), authorised.person(), Channel::Counter, applied)
}

/// An enterprise applies by itself; what it proves is that it holds the key.
pub fn place_online(authority: &Authority, applied: Applied) -> Result<Placed, OrderError> {
    if !authority.rules.orders.is_online(&applied.profile) {
        return Err(OrderError::NotOnline { profile: applied.profile.chars().take(64).collect() });
    }
    let request = Request::parse(&applied.request).map_err(IssueError::from)?;
    let holder = Authorised::<Holder>::by_possession(digest(&SHA256, &request.spki).as_ref());
    placed(authority, holder.actor(), None, Channel::Online, applied)
}

fn placed(authority: &Authority, by: &Actor, person: Option<Person>, channel: Channel, applied: Applied) -> Result<Placed, OrderError> {
    let now = authority.clock.now().unix_timestamp();
    // 1.
    let mut order = parse(authority, by, channel, applied, now)?;
    order.application.person = person;
    let named = OrderRecord::by_key(channel, order.code(), &order.application.key);
    let again = |known: Vec<u8>| -> Result<Placed, OrderError> {
        let id = OrderId::from_bytes(&known).ok_or_else(damaged)?;
        let (_, found) = load(authority, &id)?;
        // Who entered it and when is not what was applied for.
        let asked = Application { by: found.application.by.clone(), person: found.application.person, placed_at: found.application.placed_at, ..order.application.clone() };
        if asked != found.application || order.request != found.request {
            return Err(OrderError::KeyUsed);
        }
        Ok(Placed { order: advance(authority, &id)?, id, before: true })
    };
    // 2.
    if let Some(known) = authority.store.get(&named)? {
        return again(known);
    }
    // Strangers who send many keep each other waiting, and never the counter.
    if channel == Channel::Online && authority.store.sum(OrderRecord::OPEN_SUM)? >= authority.rules.orders.open_at_most {
        return Err(OrderError::TooMany);
    }
    // 3.
    let id = OrderId::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)?;
    match authority.store.commit(received(authority, &id, &order, &named, by)?) {
        Ok(_) => {}
        // Sent twice at the same moment: the other one came first.
        Err(CommitError::Conflict { .. }) => return again(authority.store.get(&named)?.ok_or(OrderError::NotFound)?),
        Err(error) => return Err(IssueError::from(error).into()),
    }
    // 4. and 5. What cannot be done now is done by the jobs: the order itself is answered for.
    let order = match advance(authority, &id) {
        Ok(order) => order,
        Err(error) => {
            tracing::warn!(error = %error, "an order was received and waits");
            load(authority, &id)?.1
        }
    };
    Ok(Placed { id, order, before: false })
}

fn parse(authority: &Authority, by: &Actor, channel: Channel, applied: Applied, now: i64) -> Result<OrderRecord, OrderError> {
    let Applied { profile, request, applicant, issuer, evidence, key } = applied;
    let known = || authority.policies.profiles().map(|profile| profile.name().to_owned()).collect();
    let found = authority.policies.profile(&profile).ok_or_else(|| IssueError::UnknownProfile { profile: profile.chars().take(64).collect(), known: known() })?;
    if found.kind() != Kind::Leaf || found.applicant() == ApplicantKind::Authority {
        return Err(OrderError::OwnProfile { profile });
    }
    let request = Request::parse(&request).map_err(IssueError::from)?;
    let applicant = Words::from(&applicant.parse()?);
    if let Some(issuer) = &issuer {
        authority.issuer_for(found, Some(issuer))?;
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if key.is_empty() || key.len() > KEY_LONGEST || !key.bytes().all(fits) {
        return Err(OrderError::Key);
    }
    if evidence.len() > Evidence::MOST || !evidence.iter().all(Evidence::is_well_formed) {
        return Err(OrderError::Evidence);
    }
    let application = Application { profile, issuer, applicant, evidence, key, channel, by: by.to_string(), person: None, placed_at: now };
    let ends_at = now.saturating_add(i64::from(authority.rules.orders.open_days) * DAY);
    Ok(OrderRecord { application, state: OrderState::Received, changed_at: now, ends_at, flags: Vec::new(), decisions: 0, request: request.der().to_vec() })
}

fn received(authority: &Authority, id: &OrderId, order: &OrderRecord, named: &Key, by: &Actor) -> Result<Batch, OrderError> {
    let place = OrderRecord::key(id);
    let mut batch = Batch::new()
        .expect(Expectation::Absent(named.clone()))
        .expect(Expectation::Absent(place.clone()))
        .put(place, encode(order)?)
        .put(named.clone(), id.bytes().to_vec())
        .put(order.in_state(id), id.bytes().to_vec());
    batch = order.ending(id).into_iter().fold(batch, |batch, ending| batch.put(ending, id.bytes().to_vec()));
    if let Some(code) = order.code() {
        let number = batch.next("order");
        batch = batch.put(OrderRecord::by_code(code, id), id.bytes().to_vec()).put(OrderRecord::open(&order.application.profile, code, number), id.bytes().to_vec());
    }
    batch.add(OrderRecord::OPEN_SUM, 1);
    let (order_sha256, content) = (id.digest(), order.content_digest(id)?);
    let entry = log::Entry::OrderReceived { order_sha256: &order_sha256, content_sha256: &content, by: &by.to_string() };
    let slot = batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    Ok(entry_of(batch, id, slot))
}

/// Takes an order as far as it goes without people: from its receipt to the first decision that is theirs, from the
/// last approval to the certificate.
pub fn advance(authority: &Authority, id: &OrderId) -> Result<OrderRecord, OrderError> {
    for _ in 0..ATTEMPTS {
        let (stored, found) = load(authority, id)?;
        let done = match found.state {
            OrderState::Received => match eligible::judge(authority, id, &found)? {
                Judged::Refused(ground) => change(authority, id, stored, found, OrderState::Refused(ground), &Actor::Service),
                Judged::Eligible(flags) => {
                    let flagged = OrderRecord { flags, ..found };
                    let next = if approvals_of(authority, &flagged)?.approvals == 0 { OrderState::Approved } else { OrderState::AwaitingApproval };
                    change(authority, id, stored, flagged, next, &Actor::Service)
                }
            },
            OrderState::Approved => issue_approved(authority, id, stored, found),
            OrderState::Issuing { ref serial } if is_dropped(authority, serial)? => {
                let ground = Ground { code: "lost".to_owned(), message: "the authority came back from a backup while this was being issued; apply again, under a new key".to_owned() };
                change(authority, id, stored, found, OrderState::Refused(ground), &Actor::Service)
            }
            _ => return Ok(found),
        };
        match done {
            // Somebody else moved it, and that stands.
            Ok(()) | Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(load(authority, id)?.1)
}

/// Whether nobody will sign this serial any more: neither its intent nor its certificate is there. What was recorded
/// between the two looks moved the order too.
fn is_dropped(authority: &Authority, serial: &str) -> Result<bool, IssueError> {
    let serial = register::serial(serial)?;
    Ok(register::find(&*authority.store, &serial)?.is_none() && authority.store.get(&Intent::key(&serial))?.is_none())
}

fn issue_approved(authority: &Authority, id: &OrderId, stored: Vec<u8>, found: OrderRecord) -> Result<(), OrderError> {
    let Some(approved) = ApprovedOrder::judge(authority, id, stored.clone(), found.clone())? else {
        // An approval fell: its officer's certificate or power is gone.
        return change(authority, id, stored, found, OrderState::AwaitingApproval, &Actor::Service);
    };
    // Days may lie between the application and the last approval.
    if let Err(ground) = eligible::registered(authority, &found)? {
        return change(authority, id, stored, found, OrderState::Refused(ground), &Actor::Service);
    }
    match issue::issue_ordered(authority, approved) {
        Ok(_) => Ok(()),
        // The certificate is there, revoked or held: its key was reported, or its enterprise frozen, while it was signed.
        Err(IssueError::BlockedKey | IssueError::EnterpriseFrozen { .. }) if load(authority, id)?.1.state != OrderState::Approved => Ok(()),
        Err(error) if eligible::is_the_applicants(&error) => change(authority, id, stored, found, OrderState::Refused(eligible::ground(&error)), &Actor::Service),
        Err(error) => Err(error.into()),
    }
}

/// What issuing by an order takes, by the rules as they are now.
pub fn needed(authority: &Authority, profile: &Profile, channel: Channel) -> Result<Needed, IssueError> {
    let IssueRule { by, counter, online, bootstrap } = authority.rules.approvals.of(profile.name(), profile.approvals());
    let approvals = match channel {
        Channel::Counter => counter,
        Channel::Online => online,
    };
    let founding = bootstrap && approvals > 0 && !roster(authority)?.1.administered;
    Ok(Needed { by, approvals: if founding { 0 } else { approvals } })
}

/// How many approvals, by holders of which power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    pub by: Power,
    pub approvals: u8,
}

pub fn approvals_of(authority: &Authority, order: &OrderRecord) -> Result<Needed, OrderError> {
    let profile = &order.application.profile;
    let found = authority.policies.profile(profile).ok_or_else(|| IssueError::UnknownProfile { profile: profile.clone(), known: Vec::new() })?;
    Ok(needed(authority, found, order.application.channel)?)
}

/// An order that as many officers as the policy asks for have approved, as it stands in the store. Had only from
/// `judge`, which counts the approvals itself.
pub struct ApprovedOrder {
    id: OrderId,
    stored: Vec<u8>,
    order: OrderRecord,
    request_sha256: String,
    /// The records by which the approvals count: unchanged when the intent becomes durable.
    rests_on: Vec<(Key, Vec<u8>)>,
}

impl ApprovedOrder {
    /// `None` when fewer approvals count than are asked for.
    fn judge(authority: &Authority, id: &OrderId, stored: Vec<u8>, order: OrderRecord) -> Result<Option<Self>, OrderError> {
        let needed = approvals_of(authority, &order)?;
        let counted = if needed.approvals > 0 { approve::counted(authority, id, &order, needed)? } else { Vec::new() };
        if counted.len() < usize::from(needed.approvals) {
            return Ok(None);
        }
        let rests_on = counted.into_iter().flat_map(|approval| approval.rests_on).collect();
        Ok(Some(Self { id: *id, stored, request_sha256: crate::sha256_hex(&order.request), order, rests_on }))
    }

    pub fn id(&self) -> OrderId {
        self.id
    }

    pub fn order(&self) -> Order {
        reordered(&self.order)
    }

    /// Whether a plan is of this very order: its request, its profile, its applicant, and one code in all of them.
    pub fn is_of(&self, profile: &str, request_sha256: Option<&str>, applicant: &Words, code: Option<&str>) -> bool {
        let Application { profile: ordered, applicant: words, .. } = &self.order.application;
        ordered == profile && Some(self.request_sha256.as_str()) == request_sha256 && words == applicant && self.order.code() == code
    }

    /// The order's part of the commit that makes its intent durable.
    pub(super) fn issuing(&self, authority: &Authority, batch: Batch, serial: &[u8], now: OffsetDateTime) -> Result<Batch, IssueError> {
        let batch = self.rests_on.iter().fold(batch, |batch, (key, value)| batch.expect(Expectation::Equals(key.clone(), value.clone())));
        moved(authority, batch, &self.id, self.stored.clone(), &self.order, OrderState::Issuing { serial: serial_text(serial) }, &Actor::Service, now)
    }
}

/// The order's part of the commit that puts its certificate into the register.
pub(super) fn issued(authority: &Authority, batch: Batch, id: &OrderId, serial: &[u8], entry: StreamSlot, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let (stored, order) = find(authority, id)?.ok_or_else(damaged)?;
    moved(authority, entry_of(batch, id, entry), id, stored, &order, OrderState::Issued { serial: serial_text(serial) }, &Actor::Service, now)
}

/// What the line of issuing takes.
pub(super) fn reordered(order: &OrderRecord) -> Order {
    let Application { profile, issuer, applicant, .. } = &order.application;
    Order { profile: profile.clone(), request: order.request.clone(), applicant: applicant.clone(), issuer: issuer.clone() }
}

/// By an operator.
pub fn cancel(authority: &Authority, authorised: &Authorised<Operator>, id: &OrderId) -> Result<OrderRecord, OrderError> {
    cancelled(authority, authorised.actor(), id)
}

/// By whoever holds the order's key: a PKCS#10 request signed with it, whose common name says what is meant.
pub fn cancel_by_possession(authority: &Authority, id: &OrderId, request: &[u8]) -> Result<OrderRecord, OrderError> {
    cancel_proved(authority, &prove_cancel(authority, id, request)?)
}

/// That whoever holds an order's key wants it cancelled. Had only from `prove_cancel`.
pub struct Cancelling {
    id: OrderId,
    /// SHA-256 of the key.
    pub key: Vec<u8>,
}

impl Cancelling {
    /// The number of the order.
    pub fn said(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
}

pub fn prove_cancel(authority: &Authority, id: &OrderId, request: &[u8]) -> Result<Cancelling, OrderError> {
    // Whoever knows no order learns so before anything is verified for them.
    let (_, found) = load(authority, id)?;
    let request = Request::parse(request).map_err(IssueError::from)?;
    let ordered = Request::parse(&found.request).map_err(IssueError::from)?;
    let says = matches!(request.subject.as_slice(), [(oid, text)] if *oid == COMMON_NAME && *text == format!("cancel order {id}"));
    if !says || request.spki != ordered.spki {
        return Err(OrderError::NotSaid);
    }
    Ok(Cancelling { id: *id, key: digest(&SHA256, &request.spki).as_ref().to_vec() })
}

pub fn cancel_proved(authority: &Authority, Cancelling { id, key }: &Cancelling) -> Result<OrderRecord, OrderError> {
    cancelled(authority, Authorised::<Holder>::by_possession(key).actor(), id)
}

fn cancelled(authority: &Authority, by: &Actor, id: &OrderId) -> Result<OrderRecord, OrderError> {
    for _ in 0..ATTEMPTS {
        let (stored, found) = load(authority, id)?;
        match &found.state {
            // Said before: the answer is the same, and nothing changes.
            OrderState::Cancelled => return Ok(found),
            state if !state.may_become(&OrderState::Cancelled) => return Err(OrderError::Decided { state: state.word() }),
            _ => {}
        }
        match change(authority, id, stored, found, OrderState::Cancelled, by) {
            Ok(()) | Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(load(authority, id)?.1)
}

/// What came of the orders that wait for nobody.
#[derive(Debug, Default)]
pub struct Worked {
    pub advanced: usize,
    pub expired: usize,
    /// The last fault of ours that kept an order waiting.
    pub fault: Option<OrderError>,
    /// Where the next portion begins.
    pub next: Option<Key>,
}

/// Goes on with orders that were received or approved and went no further, ends those that nobody decided on and those
/// that a restore left without their intent: a portion at a time from `after` on, so that one that cannot go on keeps no other from it.
pub fn work(authority: &Authority, after: Option<&Key>) -> Result<Worked, OrderError> {
    let mut worked = Worked::default();
    let now = authority.clock.now().unix_timestamp();
    let (from, to) = OrderRecord::ended(now);
    for (_, id) in authority.store.scan(&from, &to, PORTION)? {
        let id = OrderId::from_bytes(&id).ok_or_else(damaged)?;
        let (stored, found) = load(authority, &id)?;
        if found.ends_at > now || !found.state.may_become(&OrderState::Expired) {
            continue;
        }
        match change(authority, &id, stored, found, OrderState::Expired, &Actor::Service) {
            Ok(()) => worked.expired += 1,
            Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            Err(error) => return Err(error),
        }
    }
    for state in [OrderState::Received.word(), OrderState::Approved.word(), OrderState::ISSUING] {
        let (first, to) = OrderRecord::all_in(state);
        // The place reached lies among the orders of one state; those of the other begin at their first.
        let from = after.filter(|after| first < **after && **after < to).cloned().unwrap_or(first);
        let page = authority.store.scan(&from, &to, PORTION)?;
        for (_, id) in &page {
            let id = OrderId::from_bytes(id).ok_or_else(damaged)?;
            match advance(authority, &id) {
                Ok(order) if order.state.word() != state => worked.advanced += 1,
                Ok(_) => {}
                Err(error) => worked.fault = Some(error),
            }
        }
        if let Some((last, _)) = page.last().filter(|_| page.len() == PORTION) {
            worked.next = Some(last.successor());
        }
    }
    Ok(worked)
}

/// The order as it stands, with the bytes of its record.
pub fn load(authority: &Authority, id: &OrderId) -> Result<(Vec<u8>, OrderRecord), OrderError> {
    find(authority, id)?.ok_or(OrderError::NotFound)
}

fn find(authority: &Authority, id: &OrderId) -> Result<Option<(Vec<u8>, OrderRecord)>, IssueError> {
    let Some(stored) = authority.store.get(&OrderRecord::key(id))? else { return Ok(None) };
    let order = decode(&stored).map_err(|_| damaged())?;
    Ok(Some((stored, order)))
}

fn damaged() -> IssueError {
    IssueError::Damaged { what: "an order" }
}

/// One move, in a commit of its own.
pub(super) fn change(authority: &Authority, id: &OrderId, stored: Vec<u8>, found: OrderRecord, next: OrderState, by: &Actor) -> Result<(), OrderError> {
    let batch = moved(authority, Batch::new(), id, stored, &found, next, by, authority.clock.now())?;
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}

/// One move: record, places and log entry; refused when the record is no longer the one that was read.
#[allow(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller for each of the commits an order moves in")]
pub(super) fn moved(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &OrderRecord, next: OrderState, by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let serial = match &next {
        OrderState::Issuing { serial } | OrderState::Issued { serial } => Some(serial.clone()),
        _ => None,
    };
    let (order_sha256, by) = (id.digest(), by.to_string());
    let entry = log::Entry::OrderMoved { order_sha256: &order_sha256, to: next.word(), serial: serial.as_deref(), by: &by }.leaf(now)?;
    stepped(authority, batch, id, stored, found, next, entry, now)
}

/// The move of the last approval, of so many that count.
#[allow(clippy::too_many_arguments, reason = "as `moved`")]
pub(super) fn approved(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &OrderRecord, (approvals, needed): (u8, Needed), by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let entry = log::Entry::OrderApproved { order_sha256: &id.digest(), approvals, needed: needed.approvals.max(1), power: needed.by, by: &by.to_string() }.leaf(now)?;
    stepped(authority, batch, id, stored, found, OrderState::Approved, entry, now)
}

#[allow(clippy::too_many_arguments, reason = "as `moved`")]
fn stepped(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &OrderRecord, next: OrderState, entry: Vec<u8>, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let before: OrderRecord = decode(&stored).map_err(|_| damaged())?;
    if !before.state.may_become(&next) {
        return Err(damaged());
    }
    let after = OrderRecord { state: next, changed_at: now.unix_timestamp(), ..found.clone() };
    let mut batch = batch
        .expect(Expectation::Equals(OrderRecord::key(id), stored))
        .put(OrderRecord::key(id), encode(&after)?)
        .delete(before.in_state(id))
        .put(after.in_state(id), id.bytes().to_vec());
    if let (Some(ending), None) = (before.ending(id), after.ending(id)) {
        batch = batch.delete(ending);
    } else if let (None, Some(ending)) = (before.ending(id), after.ending(id)) {
        batch = batch.put(ending, id.bytes().to_vec());
    }
    if !after.state.is_open() {
        batch.add(OrderRecord::OPEN_SUM, -1);
        if let Some(code) = after.code() {
            let (from, to) = OrderRecord::all_open(&after.application.profile, code);
            let open = authority.store.scan(&from, &to, usize::MAX)?;
            batch = open.into_iter().filter(|(_, open)| open == id.bytes()).fold(batch, |batch, (place, _)| batch.delete(place));
        }
    }
    let slot = batch.append(log::STREAM, entry);
    Ok(entry_of(batch, id, slot))
}

/// Remembers that an entry of the log is about an order.
pub(super) fn entry_of(batch: Batch, id: &OrderId, slot: StreamSlot) -> Batch {
    batch.put(OrderRecord::entry(id, slot), Vec::new())
}

/// Which orders are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderQuery {
    /// A word of `OrderState`; all open ones when neither is given.
    pub state: Option<String>,
    pub code: Option<String>,
    pub limit: Option<usize>,
}

/// Orders, the first placed first within a state.
pub fn list(authority: &Authority, query: &OrderQuery) -> Result<Vec<(OrderId, OrderRecord)>, OrderError> {
    let limit = query.limit.unwrap_or(crate::register::PAGE).clamp(1, crate::register::PAGE);
    let ranges: Vec<(Key, Key)> = match (&query.code, &query.state) {
        (Some(code), _) => vec![OrderRecord::all_by_code(code)],
        (None, Some(state)) => vec![OrderRecord::all_in(state)],
        (None, None) => OrderState::WORDS.iter().take(4).map(|state| OrderRecord::all_in(state)).collect(),
    };
    let mut found = Vec::new();
    for (mut from, to) in ranges {
        while found.len() < limit {
            let page = authority.store.scan(&from, &to, crate::register::PAGE)?;
            for (_, id) in &page {
                let id = OrderId::from_bytes(id).ok_or_else(damaged)?;
                let (_, order) = load(authority, &id)?;
                if found.len() < limit && query.state.as_ref().is_none_or(|state| order.state.word() == state) {
                    found.push((id, order));
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == crate::register::PAGE => from = last.successor(),
                _ => break,
            }
        }
    }
    Ok(found)
}


impl OrderError {
    fn class(&self) -> (Exit, &'static str) {
        match self {
            Self::Issue(error) => error.class(),
            Self::Id(_) => (Exit::Usage, "order-number"),
            Self::NotFound => (Exit::NotFound, "no-such-order"),
            Self::Key => (Exit::Refused, "order-key"),
            Self::Evidence => (Exit::Refused, "evidence"),
            Self::KeyUsed => (Exit::Conflict, "order-key-used"),
            Self::NotOnline { .. } => (Exit::Refused, "not-online"),
            Self::OwnProfile { .. } => (Exit::Refused, "own-profile"),
            Self::TooMany => (Exit::Unavailable, "too-many-orders"),
            Self::Decided { .. } => (Exit::Conflict, "order-decided"),
            Self::NotSaid => (Exit::Refused, "not-said"),
            Self::Registry(_) => (Exit::Unavailable, "registry"),
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let (exit, code) = error.class();
        match error {
            OrderError::Issue(error) => error.into(),
            error => {
                let text = error.to_string();
                let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
                let problem = Self::new(exit, code, message, next);
                match error {
                    OrderError::Key | OrderError::KeyUsed => problem.at("key"),
                    OrderError::Evidence => problem.at("evidence"),
                    OrderError::NotOnline { .. } | OrderError::OwnProfile { .. } => problem.at("profile"),
                    _ => problem,
                }
            }
        }
    }
}
