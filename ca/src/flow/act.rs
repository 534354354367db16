//! An act that one officer asks for and others approve with their own keys, from its asking to its end.
//!
//! 1 ask      its exact words and who asked, with their log entry; asked for twice, it is one act
//! 2 decide   each decision verified and recorded as those about orders are; nobody decides twice, nor about their own
//! 3 judge    the approvals are counted once more, and whoever asked still has the power for it
//! 4 do       the very words that were approved, once: act, log entries and what is done in one commit
//!
//! Besides: it ends by itself when nobody decides. What cannot be done any more is refused with the reason.

use std::collections::BTreeSet;

use ::policies::authority::{Approvals, GrantRule, Power};
use ring::rand::SystemRandom;
use runtime::exit::Problem;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key, StreamSlot};
use time::OffsetDateTime;

use super::approve::{self, ApproveError, Decided, Verified};
use super::authorise::{Actor, Administrator, Authorised, Proven, roster};
use super::order::OrderError;
use super::policies::{self, PoliciesError};
use super::registrar::{self, SetRegistrar};
use super::{bulk, officer};
use crate::approval::Signed;
use crate::authority::Authority;
use crate::problem::{IssueError, OfficerError};
use crate::record::{ActDecision, ActRecord, ActState, ApprovalRecord, Asked, Deed, Ground, OrderId, Person, Verdict, decode, encode, log};
use crate::register;

/// Acts open at one time.
const MOST_OPEN: usize = 1_000;
const ATTEMPTS: u32 = 16;
const DAY: i64 = 86_400;

/// How many approvals, by holders of which powers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    pub by: BTreeSet<Power>,
    pub approvals: u8,
}

/// What an act takes by the rules as they are now; none where it is simply done.
pub fn needed(authority: &Authority, deed: &Deed) -> Result<Option<Needed>, IssueError> {
    let rules = &authority.rules.approvals;
    let change;
    let (by, approvals) = match deed {
        Deed::GrantPower { .. } | Deed::SetRegistrar { .. } => match granting(rules, deed) {
            Some(GrantRule { by, approvals, administrators }) if officer::administrators_lately(authority)? >= usize::from(*administrators) => (by, *approvals),
            _ => return Ok(None),
        },
        // An authority falls with all that it certified, the officers with theirs: where there are two administrators, two
        // want it.
        Deed::Bulk { authorities: true, .. } if officer::administrators_lately(authority)? > 1 => return Ok(Some(about_authorities(rules))),
        Deed::Bulk { incident, act, certificates, .. } => match &rules.bulk {
            Some(rule) if roster(authority)?.1.administered && certificates.saturating_add(bulk::lately(authority, incident, *act)?) > rule.above => (&rule.by, rule.approvals),
            _ => return Ok(None),
        },
        Deed::ChangePolicies { .. } => {
            change = policies::rule(authority)?;
            match &change {
                Some(rule) if roster(authority)?.1.administered => (&rule.by, rule.approvals),
                _ => return Ok(None),
            }
        }
    };
    Ok((approvals > 0).then(|| Needed { by: by.clone(), approvals }))
}

/// As many administrators as the rule about certificates in bulk asks for, and one at least.
fn about_authorities(rules: &Approvals) -> Needed {
    Needed { by: [Power::Administrator].into(), approvals: rules.bulk.as_ref().map_or(1, |rule| rule.approvals.max(1)) }
}

fn granting<'a>(rules: &'a Approvals, deed: &Deed) -> Option<&'a GrantRule> {
    if let Deed::SetRegistrar { .. } = deed { rules.registrar.as_ref() } else { rules.grant.as_ref() }
}

/// What an act that was placed takes: one approval at least, whatever the rules are since.
fn needed_once_placed(authority: &Authority, deed: &Deed) -> Result<Needed, IssueError> {
    let rules = &authority.rules.approvals;
    let change;
    let rule = match deed {
        Deed::GrantPower { .. } | Deed::SetRegistrar { .. } => granting(rules, deed).map(|rule| (&rule.by, rule.approvals)),
        Deed::Bulk { authorities: true, .. } => return Ok(about_authorities(rules)),
        Deed::Bulk { .. } => rules.bulk.as_ref().map(|rule| (&rule.by, rule.approvals)),
        Deed::ChangePolicies { .. } => {
            change = policies::rule(authority)?;
            change.as_ref().map(|rule| (&rule.by, rule.approvals))
        }
    };
    let (by, approvals) = rule.map_or_else(|| ([Power::Administrator].into(), 1), |(by, approvals)| (by.clone(), approvals.max(1)));
    Ok(Needed { by, approvals })
}

/// An administrator asks for a power to be granted, and others decide.
pub fn ask_grant(authority: &Authority, authorised: &Authorised<Administrator>, grant: &officer::Grant) -> Result<(OrderId, ActRecord), OfficerError> {
    ask(authority, authorised, &officer::deed(authority, authorised, grant)?)
}

/// An administrator asks for a mail gateway to be believed, and others decide.
pub fn ask_registrar(authority: &Authority, authorised: &Authorised<Administrator>, order: &SetRegistrar) -> Result<(OrderId, ActRecord), OfficerError> {
    ask(authority, authorised, &registrar::deed(authority, order)?)
}

fn ask(authority: &Authority, authorised: &Authorised<Administrator>, deed: &Deed) -> Result<(OrderId, ActRecord), OfficerError> {
    for _ in 0..ATTEMPTS {
        // 1.
        if let Some(known) = open(authority, deed)? {
            return Ok(known);
        }
        let id = OrderId::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)?;
        let (batch, act) = asked(authority, Batch::new(), authorised, &id, deed.clone())?;
        match authority.store.commit(batch) {
            Ok(_) => return Ok((id, act)),
            // Asked for at the same moment: theirs is the act.
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(IssueError::from(error).into()),
        }
    }
    Err(IssueError::Race.into())
}

/// The open act that would do the same.
pub(super) fn open(authority: &Authority, deed: &Deed) -> Result<Option<(OrderId, ActRecord)>, IssueError> {
    let Some(known) = authority.store.get(&ActRecord::open(deed)?)? else { return Ok(None) };
    let id = OrderId::from_bytes(&known).ok_or_else(damaged)?;
    Ok(find(authority, &id)?.map(|(_, act)| (id, act)))
}

/// The act's part of the commit in which it is asked for.
pub(super) fn asked(authority: &Authority, batch: Batch, authorised: &Authorised<Administrator>, id: &OrderId, deed: Deed) -> Result<(Batch, ActRecord), IssueError> {
    let (from, to) = ActRecord::all_open();
    if authority.store.scan(&from, &to, MOST_OPEN)?.len() >= MOST_OPEN {
        return Err(IssueError::TooManyActs);
    }
    let now = authority.clock.now();
    let at = now.unix_timestamp();
    let asked = Asked { deed, by: authorised.actor().to_string(), person: authorised.person(), at };
    let ends_at = at.saturating_add(i64::from(authority.rules.approvals.act_open_days) * DAY);
    let act = ActRecord { asked, state: ActState::AwaitingApproval, changed_at: at, ends_at, decisions: 0 };
    let (place, open) = (ActRecord::key(id), ActRecord::open(&act.asked.deed)?);
    let mut batch = batch
        .expect(Expectation::Absent(place.clone()))
        .expect(Expectation::Absent(open.clone()))
        .put(place, encode(&act)?)
        .put(open, id.bytes().to_vec());
    let entry = log::Entry::ActAsked { act_sha256: &id.digest(), asked_sha256: &act.asked.digest(id)?, act: act.asked.deed.word(), by: &act.asked.by };
    let slot = batch.append(log::STREAM, entry.leaf(now)?);
    Ok((entry_of(batch, id, slot), act))
}

/// Steps 2 to 4.
pub fn decide(authority: &Authority, decided: &Decided) -> Result<ActRecord, ApproveError> {
    for _ in 0..ATTEMPTS {
        match decide_once(authority, decided) {
            Ok(()) => break,
            // Somebody else decided at this moment: judged anew by what they left.
            Err(ApproveError::Order(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. })))) => {}
            Err(error) => return Err(error),
        }
    }
    // The decision is durable, whatever comes of this: the jobs go on.
    match advance(authority, &decided.order) {
        Ok(act) => Ok(act),
        Err(error) => {
            tracing::warn!(error = %error, "an act was decided and waits");
            Ok(load(authority, &decided.order)?.1)
        }
    }
}

fn decide_once(authority: &Authority, decided: &Decided) -> Result<(), ApproveError> {
    let now = authority.clock.now();
    let id = &decided.order;
    let (stored, found) = load(authority, id)?;
    if found.state != ActState::AwaitingApproval {
        return Err(ApproveError::NotAwaited { state: found.state.word() });
    }
    // 2.
    let Verified { signed, lists } = approve::verified::<ActDecision>(authority, decided, now)?;
    if !signed.decision.is_about(id, &found.asked) {
        return Err(ApproveError::Other);
    }
    let needed = needed_once_placed(authority, &found.asked.deed)?;
    let rests_on = approve::standing_of(authority, &signed)?;
    let by = may_decide(authority, &found.asked, &needed, &signed)?;
    if authority.store.get(&ApprovalRecord::key(id, signed.person)).map_err(IssueError::from)?.is_some() {
        return Err(ApproveError::Twice);
    }
    let next = match signed.decision.decision {
        Verdict::Refuse => Some(ActState::Refused(Ground { code: "refused-by-officer".to_owned(), message: signed.decision.reason.clone() })),
        Verdict::Approve => None,
    };
    let approvals = u8::try_from(counted(authority, id, &found.asked, &needed)?.len() + 1).unwrap_or(u8::MAX);
    let batch = rests_on.into_iter().fold(Batch::new(), |batch, (key, value)| batch.expect(Expectation::Equals(key, value)));
    let mut batch = approve::recorded(batch, id, signed.person, decided, &lists, now)?;
    let entry = log::Entry::ActDecided {
        act_sha256: &id.digest(),
        decision: signed.decision.decision,
        decision_sha256: &crate::sha256_hex(decided.decision.as_bytes()),
        signature_sha256: &crate::sha256_hex(&decided.signature),
        by: &by.to_string(),
    };
    let slot = batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    batch = entry_of(batch, id, slot);
    let decided_on = ActRecord { decisions: found.decisions + 1, ..found };
    let batch = match next {
        None if approvals >= needed.approvals => {
            let entry = log::Entry::ActApproved { act_sha256: &id.digest(), approvals, needed: needed.approvals, powers: &needed.by, by: &by.to_string() };
            stepped(authority, batch, id, stored, &decided_on, ActState::Approved, entry.leaf(now).map_err(IssueError::from)?, now)?
        }
        Some(next) => moved(authority, batch, id, stored, &decided_on, next, &by, now)?,
        // The record changes with each decision, so that two at one moment see each other.
        None => batch.expect(Expectation::Equals(ActRecord::key(id), stored)).put(ActRecord::key(id), encode(&decided_on).map_err(IssueError::from)?),
    };
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}

/// Whether whoever signed may decide about an act, at this moment.
fn may_decide(authority: &Authority, asked: &Asked, needed: &Needed, signed: &Signed<ActDecision>) -> Result<Actor, ApproveError> {
    let proven = Proven::officer(authority, &signed.certificate)?;
    if needed.by.is_disjoint(proven.powers()) {
        return Err(ApproveError::PowerlessForAct { by: needed.by.iter().map(|power| power.name()).collect::<Vec<_>>().join(" or ") });
    }
    if asked.person == Some(signed.person) || asked.by == proven.actor().to_string() {
        return Err(ApproveError::Own);
    }
    if beneficiary(authority, &asked.deed)? == Some(signed.person) {
        return Err(ApproveError::Beneficiary);
    }
    Ok(proven.actor().clone())
}

/// Who gets the power.
fn beneficiary(authority: &Authority, deed: &Deed) -> Result<Option<Person>, IssueError> {
    let Deed::GrantPower { serial, .. } = deed else { return Ok(None) };
    Ok(Person::of(&register::get(&*authority.store, &register::serial(serial)?)?.der))
}

/// The records by which the approvals of an act count now, one set for each approval that does.
fn counted(authority: &Authority, id: &OrderId, asked: &Asked, needed: &Needed) -> Result<Vec<Vec<(Key, Vec<u8>)>>, OrderError> {
    let mut counted = Vec::new();
    let mut persons = BTreeSet::new();
    for record in approve::decisions(authority, id)? {
        let signed: Signed<ActDecision> = approve::verified_again(authority, &record)?;
        if !signed.decision.is_about(id, asked) || signed.decision.decision != Verdict::Approve || !persons.insert(signed.person) {
            continue;
        }
        let rests_on = approve::standing_of(authority, &signed)?;
        match may_decide(authority, asked, needed, &signed) {
            Ok(_) => counted.push(rests_on),
            Err(ApproveError::Order(error)) => return Err(error),
            Err(ApproveError::Officer(OfficerError::Issue(error))) => return Err(error.into()),
            // Whose certificate was revoked meanwhile, or power withdrawn, counts no more.
            Err(_) => {}
        }
    }
    Ok(counted)
}

/// An act that as many officers as the policy asks for have approved, as it stands in the store. Had only from `judge`.
pub(super) struct ApprovedAct {
    id: OrderId,
    stored: Vec<u8>,
    act: ActRecord,
    /// The records by which the approvals count: unchanged when the act is done.
    rests_on: Vec<(Key, Vec<u8>)>,
}

impl ApprovedAct {
    /// `None` when fewer approvals count than are asked for.
    fn judge(authority: &Authority, id: &OrderId, stored: Vec<u8>, act: ActRecord) -> Result<Option<Self>, OrderError> {
        let needed = needed_once_placed(authority, &act.asked.deed)?;
        let counted = counted(authority, id, &act.asked, &needed)?;
        let rests_on = counted.iter().flatten().cloned().collect();
        Ok((counted.len() >= usize::from(needed.approvals)).then(|| Self { id: *id, stored, act, rests_on }))
    }

    pub(super) fn id(&self) -> OrderId {
        self.id
    }

    pub(super) fn is_of(&self, deed: &Deed) -> bool {
        self.act.asked.deed == *deed
    }

    /// The act's part of the commit in which it is done; `slot` is the log's entry of what is done.
    pub(super) fn done(&self, authority: &Authority, batch: Batch, slot: StreamSlot, now: OffsetDateTime) -> Result<Batch, IssueError> {
        let batch = self.rests_on.iter().fold(batch, |batch, (key, value)| batch.expect(Expectation::Equals(key.clone(), value.clone())));
        let batch = entry_of(batch, &self.id, slot);
        moved(authority, batch, &self.id, self.stored.clone(), &self.act, ActState::Done, &Actor::Service, now)
    }
}

/// Takes an approved act to its end.
pub fn advance(authority: &Authority, id: &OrderId) -> Result<ActRecord, OrderError> {
    for _ in 0..ATTEMPTS {
        let (stored, found) = load(authority, id)?;
        if found.state != ActState::Approved {
            return Ok(found);
        }
        match perform(authority, id, stored, found) {
            // Somebody else changed what it rests on: judged anew.
            Ok(()) | Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(load(authority, id)?.1)
}

fn perform(authority: &Authority, id: &OrderId, stored: Vec<u8>, found: ActRecord) -> Result<(), OrderError> {
    let asked = found.asked.clone();
    let refused = |problem: Problem| {
        let ground = Ground { code: problem.code, message: problem.message };
        change(authority, id, stored.clone(), &found, ActState::Refused(ground))
    };
    // 3. What they rest on is read before it is judged.
    let (by, standing) = match asker(authority, &asked) {
        Ok(asker) => asker,
        Err(OfficerError::Issue(error)) => return Err(error.into()),
        Err(error) => return refused(error.into()),
    };
    let Some(mut approved) = ApprovedAct::judge(authority, id, stored.clone(), found.clone())? else {
        // An approval fell: its officer's certificate or power is gone.
        return change(authority, id, stored, &found, ActState::AwaitingApproval);
    };
    approved.rests_on.extend(standing);
    // 4.
    match &asked.deed {
        Deed::GrantPower { serial, power, .. } => match officer::grant_approved(authority, &by, &officer::Grant { serial: serial.clone(), power: *power }, &approved) {
            Ok(_) => Ok(()),
            Err(OfficerError::Issue(error)) => Err(error.into()),
            Err(error) => refused(error.into()),
        },
        Deed::SetRegistrar { serial, domain, .. } => match registrar::set_approved(authority, &by, &SetRegistrar { serial: serial.clone(), domain: domain.clone() }, &approved) {
            Ok(_) => Ok(()),
            Err(OfficerError::Issue(error)) => Err(error.into()),
            Err(error) => refused(error.into()),
        },
        Deed::ChangePolicies { after_sha256, .. } => match policies::accept_approved(authority, &by, after_sha256, &approved) {
            Ok(()) => Ok(()),
            Err(PoliciesError::Issue(error)) => Err(error.into()),
            Err(error) => refused(error.into()),
        },
        Deed::Bulk { incident, act, .. } => match bulk::begin_approved(authority, &by, incident, *act, &approved) {
            Ok(()) => Ok(()),
            Err(bulk::BulkError::Issue(error)) => Err(error.into()),
            Err(error) => refused(error.into()),
        },
    }
}

/// Whoever asked, with the power for it as it is held now, and the records that say so.
#[allow(clippy::type_complexity, reason = "the pair is taken apart where it is had")]
fn asker(authority: &Authority, asked: &Asked) -> Result<(Authorised<Administrator>, Vec<(Key, Vec<u8>)>), OfficerError> {
    if let Some(serial) = asked.by.strip_prefix("officer:") {
        let serial = register::serial(serial).map_err(IssueError::from)?;
        let standing = approve::standing(authority, &serial)?;
        let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
        return Ok((Proven::officer(authority, &record.der)?.acting()?, standing));
    }
    match asked.by.strip_prefix("uid:").and_then(|uid| uid.parse().ok()) {
        Some(uid) => Ok((Proven::local(authority, uid)?.acting()?, Vec::new())),
        None => Err(damaged().into()),
    }
}

/// What came of the acts that wait for nobody.
#[derive(Debug, Default)]
pub struct Worked {
    pub done: usize,
    pub expired: usize,
    /// The last fault of ours that kept an act waiting.
    pub fault: Option<OrderError>,
}

/// Goes on with acts that were approved and not done, and ends those that nobody decided on.
pub fn work(authority: &Authority) -> Result<Worked, OrderError> {
    let mut worked = Worked::default();
    let now = authority.clock.now().unix_timestamp();
    for (id, act) in list(authority)? {
        if act.state == ActState::Approved {
            match advance(authority, &id) {
                Ok(act) if act.state == ActState::Done => worked.done += 1,
                Ok(_) => {}
                Err(error) => worked.fault = Some(error),
            }
        } else if act.ends_at <= now {
            let (stored, found) = load(authority, &id)?;
            if found.state != ActState::AwaitingApproval {
                continue;
            }
            match change(authority, &id, stored, &found, ActState::Expired) {
                Ok(()) => worked.expired += 1,
                Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(worked)
}

/// The open ones, the first asked for first.
pub fn list(authority: &Authority) -> Result<Vec<(OrderId, ActRecord)>, OrderError> {
    let (from, to) = ActRecord::all_open();
    let mut acts = Vec::new();
    for (_, id) in authority.store.scan(&from, &to, MOST_OPEN)? {
        let id = OrderId::from_bytes(&id).ok_or_else(damaged)?;
        acts.push((id, load(authority, &id)?.1));
    }
    acts.sort_by_key(|(id, act)| (act.asked.at, *id));
    Ok(acts)
}

/// The act as it stands, with the bytes of its record.
pub fn load(authority: &Authority, id: &OrderId) -> Result<(Vec<u8>, ActRecord), OrderError> {
    find(authority, id)?.ok_or(OrderError::NotFound)
}

pub fn find(authority: &Authority, id: &OrderId) -> Result<Option<(Vec<u8>, ActRecord)>, IssueError> {
    let Some(stored) = authority.store.get(&ActRecord::key(id))? else { return Ok(None) };
    let act = decode(&stored).map_err(|_| damaged())?;
    Ok(Some((stored, act)))
}

/// What it takes, as it is shown while it is open.
pub fn shown_needed(authority: &Authority, act: &ActRecord) -> Option<Needed> {
    if act.state.is_open() { needed_once_placed(authority, &act.asked.deed).ok() } else { None }
}

fn damaged() -> IssueError {
    IssueError::Damaged { what: "an act" }
}

/// One move by the service, in a commit of its own.
fn change(authority: &Authority, id: &OrderId, stored: Vec<u8>, found: &ActRecord, next: ActState) -> Result<(), OrderError> {
    let batch = moved(authority, Batch::new(), id, stored, found, next, &Actor::Service, authority.clock.now())?;
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}

/// One move: record, places and log entry; refused when the record is no longer the one that was read.
#[allow(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller for each of the commits an act moves in")]
fn moved(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &ActRecord, next: ActState, by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let entry = log::Entry::ActMoved { act_sha256: &id.digest(), to: next.word(), by: &by.to_string() }.leaf(now)?;
    stepped(authority, batch, id, stored, found, next, entry, now)
}

#[allow(clippy::too_many_arguments, reason = "as `moved`")]
fn stepped(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &ActRecord, next: ActState, entry: Vec<u8>, now: OffsetDateTime) -> Result<Batch, IssueError> {
    if !found.state.may_become(&next) {
        return Err(damaged());
    }
    let after = ActRecord { state: next, changed_at: now.unix_timestamp(), ..found.clone() };
    let mut batch = batch.expect(Expectation::Equals(ActRecord::key(id), stored)).put(ActRecord::key(id), encode(&after)?);
    if !after.state.is_open() {
        batch = batch.delete(ActRecord::open(&after.asked.deed)?);
    }
    if let (ActState::Refused(_) | ActState::Expired, Deed::Bulk { incident, act, .. }) = (&after.state, &after.asked.deed) {
        batch = bulk::released(authority, batch, incident, *act, id)?;
    }
    if let (ActState::Refused(_) | ActState::Expired, Deed::ChangePolicies { after_sha256, .. }) = (&after.state, &after.asked.deed) {
        batch = policies::released(authority, batch, id, after_sha256)?;
    }
    let slot = batch.append(log::STREAM, entry);
    Ok(entry_of(batch, id, slot))
}

fn entry_of(batch: Batch, id: &OrderId, slot: StreamSlot) -> Batch {
    batch.put(ActRecord::entry(id, slot), Vec::new())
}
