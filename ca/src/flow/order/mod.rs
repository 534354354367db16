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

mod cancel;
mod error;
mod list;
mod moves;
mod work;

pub use cancel::{Cancelling, cancel, cancel_by_possession, cancel_proved, prove_cancel};
pub use error::OrderError;
pub use list::{OrderQuery, list};
pub(super) use moves::{approved, change, entry_of, moved};
pub use work::{Worked, work};

use pki::request::Request;
use policies::authority::{IssueRule, Power};
use policies::certificate::{ApplicantKind, Kind, Profile};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key, StreamSlot};
use time::OffsetDateTime;

use super::authorise::{Actor, Authorised, Holder, Operator, roster};
use super::{approve, correction};
use super::eligible::{self, Judged};
use super::issue::{self, Order};
use super::plan::Words;
use super::succeed::SuccessionError;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::register;
use crate::record::{Application, Channel, Correcting, Evidence, Ground, Intent, OrderId, OrderRecord, OrderState, Person, decode, encode, log, serial_text};

/// Letters of an order key.
const KEY_LONGEST: usize = 64;
const DAY: i64 = 86_400;
/// How often an order that others came before is looked at anew.
const ATTEMPTS: u32 = 8;

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
    placed(authority, authorised.actor(), authorised.person(), Channel::Counter, applied, None)
}

/// An enterprise applies by itself; what it proves is that it holds the key.
pub fn place_online(authority: &Authority, applied: Applied) -> Result<Placed, OrderError> {
    if !authority.rules.orders.is_online(&applied.profile) {
        return Err(OrderError::NotOnline { profile: applied.profile.chars().take(64).collect() });
    }
    let request = Request::parse(&applied.request).map_err(IssueError::from)?;
    let holder = Authorised::<Holder>::by_possession(digest(&SHA256, &request.spki).as_ref());
    placed(authority, holder.actor(), None, Channel::Online, applied, None)
}

/// The holder of a certificate wants it to say something else, as its key signed.
pub(super) fn place_correction(authority: &Authority, holder: &Authorised<Holder>, applied: Applied, corrects: Correcting) -> Result<Placed, OrderError> {
    if !authority.rules.orders.is_online(&applied.profile) {
        return Err(OrderError::NotOnline { profile: applied.profile });
    }
    placed(authority, holder.actor(), None, Channel::Online, applied, Some(corrects))
}

/// The key of a correction's order, by its request, DER.
fn correction_key(request: &[u8]) -> String {
    format!("correct:{}", crate::sha256_hex(request))
}

/// What this very request, DER, ordered before in this certificate's place.
pub(super) fn correction_before(authority: &Authority, code: Option<&str>, request: &[u8], serial: &str) -> Result<Option<Placed>, OrderError> {
    let Some(known) = authority.store.get(&OrderRecord::by_key(Channel::Online, code, &correction_key(request)))? else { return Ok(None) };
    let id = OrderId::from_bytes(&known).ok_or_else(damaged)?;
    let (_, found) = load(authority, &id)?;
    let is_it = found.request == request && found.application.corrects.as_ref().is_some_and(|corrects| corrects.serial == serial);
    Ok(if is_it { Some(Placed { order: advance_or_wait(authority, &id)?, id, before: true }) } else { None })
}

fn placed(authority: &Authority, by: &Actor, person: Option<Person>, channel: Channel, applied: Applied, corrects: Option<Correcting>) -> Result<Placed, OrderError> {
    let now = authority.clock.now().unix_timestamp();
    // 1.
    let mut order = parse(authority, by, channel, applied, now)?;
    order.application.person = person;
    if let Some(corrects) = corrects {
        // Named by the request, so that again is the same order; with a letter that nobody can choose, so that nobody has it first.
        order.application.key = correction_key(&order.request);
        order.application.corrects = Some(corrects);
    }
    let named = OrderRecord::by_key(channel, order.code(), &order.application.key);
    let again = |known: Vec<u8>| -> Result<Placed, OrderError> {
        let id = OrderId::from_bytes(&known).ok_or_else(damaged)?;
        let (_, found) = load(authority, &id)?;
        // Who entered it and when is not what was applied for.
        let asked = Application { by: found.application.by.clone(), person: found.application.person, placed_at: found.application.placed_at, ..order.application.clone() };
        if asked != found.application || order.request != found.request {
            return Err(OrderError::KeyUsed);
        }
        Ok(Placed { order: advance_or_wait(authority, &id)?, id, before: true })
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
    // 4. and 5.
    Ok(Placed { order: advance_or_wait(authority, &id)?, id, before: false })
}

/// What cannot be done now is done by the jobs: the order itself is answered for, so that nobody takes our error for its end.
fn advance_or_wait(authority: &Authority, id: &OrderId) -> Result<OrderRecord, OrderError> {
    advance(authority, id).or_else(|error| {
        tracing::warn!(error = %error, "an order was received and waits");
        Ok(load(authority, id)?.1)
    })
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
    let application = Application { profile, issuer, applicant, evidence, key, channel, by: by.to_string(), person: None, placed_at: now, corrects: None };
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
    // What it corrects may have been revoked or replaced since it was applied for.
    let claim = match found.application.corrects.as_ref().map(|correcting| correction::claim(authority, correcting, &found.request)) {
        None => None,
        Some(Ok(claim)) => Some(claim),
        Some(Err(SuccessionError::Issue(error))) if !eligible::ends_a_correction(&error) => return Err(error.into()),
        Some(Err(error)) => return change(authority, id, stored, found, OrderState::Refused(eligible::cannot_be_corrected(error)), &Actor::Service),
    };
    match issue::issue_ordered(authority, approved, claim) {
        Ok(_) => Ok(()),
        // The certificate is there, revoked or held: its key was reported, or the one on whose word
        // it takes a place, or its enterprise frozen, while it was signed.
        Err(IssueError::BlockedKey | IssueError::EnterpriseFrozen { .. } | IssueError::AlreadyRevoked { .. }) if load(authority, id)?.1.state != OrderState::Approved => Ok(()),
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
    let needed = needed(authority, found, order.application.channel)?;
    // On the word of a key alone nobody gets another name.
    Ok(if order.application.corrects.is_some() { Needed { approvals: needed.approvals.max(1), ..needed } } else { needed })
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
