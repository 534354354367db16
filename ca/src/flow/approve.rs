//! Deciding about an order with an officer's own key.
//!
//! 1 find       the order waits for a decision
//! 2 verify     the bytes are the one form of a decision, about this very order, signed by an officer of ours
//! 3 judge      the officer may: the power is held now, the order is not their own, and they decide once
//! 4 record     the signature, its log entry and what it leads to, in one commit; another's decision that came between refuses it
//! 5 go on      from the last approval to the certificate
//!
//! The signature says who decided; who carried it here does not matter.

use pki::path::{Anchors, RevocationList};
use policies::authority::Power;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::authorise::{OFFICER, Proven};
use super::order::{self, Needed, OrderError};
use crate::approval::{Judge, Signed, SignedError};
use crate::authority::{Authority, Issuer};
use crate::problem::{IssueError, OfficerError};
use crate::record::{ApprovalRecord, CertificateRecord, CrlRecord, Decision, Ground, Officer, OrderId, OrderRecord, OrderState, Person, SIGNATURE_LIMIT, Said, Verdict, decode, encode, log};
use crate::register;

/// The longest reason, in characters.
const REASON_LONGEST: usize = 500;
/// How far the officer's clock may be from ours, and how long after signing a decision may be sent.
const CLOCK: i64 = 300;
const SENT_WITHIN: i64 = 900;
const ATTEMPTS: u32 = 16;

/// A decision, as it came in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    pub order: OrderId,
    /// The very text that was signed.
    pub decision: String,
    /// CMS SignedData, DER, detached.
    #[serde(with = "crate::record::der_text")]
    pub signature: Vec<u8>,
}

/// Without the words: an officer's name is a person's.
impl std::fmt::Debug for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decided").field("order", &self.order).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Signed(#[from] SignedError),
    #[error(transparent)]
    Officer(#[from] OfficerError),
    #[error("the decision is about another order, or about other words than this order's; sign what `ca order approve` shows")]
    Other,
    #[error("the order is {state} and nothing is decided about it now; look at it with `ca order show`")]
    NotAwaited { state: &'static str },
    #[error("the order is decided by holders of the power {by}, which this officer has not; ask one of them")]
    Powerless { by: Power },
    #[error("the act is decided by holders of the power {by}, which this officer has not; ask one of them")]
    PowerlessForAct { by: String },
    #[error("this officer ordered it, or it is for them; another one must decide")]
    Own,
    #[error("the power is granted to this officer; another one must decide")]
    Beneficiary,
    #[error("this officer has decided about the order before; another one must")]
    Twice,
    #[error("the reason has more than 500 characters or signs that are not shown, or a refusal has none; write it in plain words")]
    Reason,
    #[error("the time of the decision is not now; set the clock, and sign again")]
    Time,
    #[error("the signature has more than 16384 bytes; send the path without the root")]
    TooLarge,
}

impl From<IssueError> for ApproveError {
    fn from(error: IssueError) -> Self {
        Self::Order(error.into())
    }
}

/// Steps 1 to 5.
pub fn decide(authority: &Authority, decided: &Decided) -> Result<OrderRecord, ApproveError> {
    for _ in 0..ATTEMPTS {
        match decide_once(authority, decided) {
            Ok(()) => break,
            // Somebody else decided at this moment: judged anew by what they left.
            Err(ApproveError::Order(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. })))) => {}
            Err(error) => return Err(error),
        }
    }
    // 5. The decision is durable, whatever comes of this: the jobs go on.
    match order::advance(authority, &decided.order) {
        Ok(order) => Ok(order),
        Err(error) => {
            tracing::warn!(error = %error, "an order was decided and waits");
            Ok(order::load(authority, &decided.order)?.1)
        }
    }
}

fn decide_once(authority: &Authority, decided: &Decided) -> Result<(), ApproveError> {
    let now = authority.clock.now();
    let id = &decided.order;
    // 1.
    let (stored, found) = order::load(authority, id)?;
    if found.state != OrderState::AwaitingApproval {
        return Err(ApproveError::NotAwaited { state: found.state.word() });
    }
    // 2.
    let Verified { signed, lists } = verified::<Decision>(authority, decided, now)?;
    if !signed.decision.is_about(id, &found) {
        return Err(ApproveError::Other);
    }
    // 3.
    let needed = order::approvals_of(authority, &found)?;
    let rests_on = standing_of(authority, &signed)?;
    let by = may_decide(authority, &found, needed, &signed)?;
    if authority.store.get(&ApprovalRecord::key(id, signed.person)).map_err(IssueError::from)?.is_some() {
        return Err(ApproveError::Twice);
    }
    // 4.
    let next = match signed.decision.decision {
        Verdict::Refuse => Some(OrderState::Refused(Ground { code: "refused-by-officer".to_owned(), message: signed.decision.reason.clone() })),
        Verdict::Approve => None,
    };
    let approvals = u8::try_from(counted(authority, id, &found, needed)?.len() + 1).unwrap_or(u8::MAX);
    let batch = rests_on.into_iter().fold(Batch::new(), |batch, (key, value)| batch.expect(Expectation::Equals(key, value)));
    let mut batch = recorded(batch, id, signed.person, decided, &lists, now)?;
    let entry = log::Entry::OrderDecided {
        order_sha256: &id.digest(),
        decision: signed.decision.decision,
        decision_sha256: &crate::sha256_hex(decided.decision.as_bytes()),
        signature_sha256: &crate::sha256_hex(&decided.signature),
        by: &by.to_string(),
    };
    let slot = batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    batch = order::entry_of(batch, id, slot);
    let decided_on = OrderRecord { decisions: found.decisions + 1, ..found };
    let batch = match next {
        None if approvals >= needed.approvals => order::approved(authority, batch, id, stored, &decided_on, (approvals, needed), &by, now)?,
        Some(next) => order::moved(authority, batch, id, stored, &decided_on, next, &by, now)?,
        // The record changes with each decision, so that two at one moment see each other.
        None => batch.expect(Expectation::Equals(OrderRecord::key(id), stored)).put(OrderRecord::key(id), encode(&decided_on).map_err(IssueError::from)?),
    };
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}

/// A decision that holds by itself, and the lists it was judged by.
pub(super) struct Verified<D> {
    pub(super) signed: Signed<D>,
    pub(super) lists: Vec<(String, CrlRecord)>,
}

/// The one form, signed by an officer of ours; its reason is fit to be shown, and it was said now.
pub(super) fn verified<D: Said>(authority: &Authority, decided: &Decided, now: OffsetDateTime) -> Result<Verified<D>, ApproveError> {
    if decided.signature.len() > SIGNATURE_LIMIT {
        return Err(ApproveError::TooLarge);
    }
    let lists = in_force(authority)?;
    let read = lists.iter().map(|(_, list)| read(&list.der)).collect::<Result<Vec<_>, _>>()?;
    let signed = judge(authority, &anchors(authority)?, &read).signed::<D>(&decided.decision, &decided.signature, now)?;
    let (verdict, reason, at) = signed.decision.said();
    let shown = runtime::terminal::plain(reason) == *reason && reason.trim() == reason;
    if !shown || reason.chars().count() > REASON_LONGEST || (verdict == Verdict::Refuse && reason.is_empty()) {
        return Err(ApproveError::Reason);
    }
    if at > now.unix_timestamp().saturating_add(CLOCK) || at < now.unix_timestamp() - SENT_WITHIN {
        return Err(ApproveError::Time);
    }
    Ok(Verified { signed, lists })
}

/// The same once more, as it was when it was recorded.
pub(super) fn verified_again<D: Said>(authority: &Authority, record: &ApprovalRecord) -> Result<Signed<D>, IssueError> {
    let at = OffsetDateTime::from_unix_timestamp(record.at).map_err(|_| damaged())?;
    let lists = kept(authority, record)?.iter().map(|(_, list)| read(&list.der)).collect::<Result<Vec<_>, _>>()?;
    judge(authority, &anchors(authority)?, &lists).signed(&record.decision, &record.signature, at).map_err(|_| damaged())
}

/// The signature and the lists it was judged by, once for each person.
pub(super) fn recorded(batch: Batch, id: &OrderId, person: Person, decided: &Decided, lists: &[(String, CrlRecord)], now: OffsetDateTime) -> Result<Batch, IssueError> {
    let record = ApprovalRecord {
        decision: decided.decision.clone(),
        lists: lists.iter().map(|(issuer, list)| (issuer.clone(), list.number)).collect(),
        at: now.unix_timestamp(),
        signature: decided.signature.clone(),
    };
    let mut batch = batch.expect(Expectation::Absent(ApprovalRecord::key(id, person))).put(ApprovalRecord::key(id, person), encode(&record)?);
    for (issuer, list) in lists {
        batch = batch.put(ApprovalRecord::list(issuer, list.number), encode(list)?);
    }
    Ok(batch)
}

/// The records by which somebody may decide. Read before it is asked and expected unchanged by what rests on the answer:
/// a revocation or a power withdrawn at the same moment is never overtaken.
pub(super) fn standing_of<D>(authority: &Authority, signed: &Signed<D>) -> Result<Vec<(Key, Vec<u8>)>, IssueError> {
    standing(authority, &register::serial(&signed.serial)?)
}

/// Those of the certificate of this serial.
pub(super) fn standing(authority: &Authority, serial: &[u8]) -> Result<Vec<(Key, Vec<u8>)>, IssueError> {
    let mut records = Vec::new();
    for key in [CertificateRecord::key(serial), Officer::key(serial)] {
        if let Some(value) = authority.store.get(&key)? {
            records.push((key, value));
        }
    }
    Ok(records)
}

/// An approval that counts, and the records it counts by.
pub(super) struct Counted {
    signed: Signed,
    pub(super) rests_on: Vec<(Key, Vec<u8>)>,
}

/// Whether whoever signed may decide about an order, at this moment.
fn may_decide(authority: &Authority, order: &OrderRecord, needed: Needed, signed: &Signed) -> Result<super::authorise::Actor, ApproveError> {
    let proven = Proven::officer(authority, &signed.certificate)?;
    if !proven.powers().contains(&needed.by) {
        return Err(ApproveError::Powerless { by: needed.by });
    }
    if order.application.is_of(signed.person) {
        return Err(ApproveError::Own);
    }
    Ok(proven.actor().clone())
}

/// The approvals of an order that count now: each verified again, as it was when it was recorded, and of an officer who
/// may still decide. One whose certificate was revoked meanwhile counts no more.
pub(super) fn counted(authority: &Authority, id: &OrderId, order: &OrderRecord, needed: Needed) -> Result<Vec<Counted>, OrderError> {
    let (from, to) = ApprovalRecord::all(id);
    let mut counted: Vec<Counted> = Vec::new();
    for (_, bytes) in authority.store.scan(&from, &to, register::PAGE)? {
        let record: ApprovalRecord = decode(&bytes).map_err(|_| damaged())?;
        let signed: Signed = verified_again(authority, &record)?;
        if !signed.decision.is_about(id, order) || signed.decision.decision != Verdict::Approve || counted.iter().any(|other| other.signed.person == signed.person) {
            continue;
        }
        let rests_on = standing_of(authority, &signed)?;
        match may_decide(authority, order, needed, &signed) {
            Ok(_) => counted.push(Counted { signed, rests_on }),
            Err(ApproveError::Order(error)) => return Err(error),
            Err(ApproveError::Officer(OfficerError::Issue(error))) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(counted)
}

/// Everything decided about an order, the first first, with the lists that were in force.
pub fn decisions(authority: &Authority, id: &OrderId) -> Result<Vec<ApprovalRecord>, OrderError> {
    let (from, to) = ApprovalRecord::all(id);
    let all = authority.store.scan(&from, &to, register::PAGE)?;
    let mut all: Vec<ApprovalRecord> = all.iter().map(|(_, bytes)| decode(bytes).map_err(|_| damaged())).collect::<Result<_, _>>()?;
    all.sort_by(|one, other| (one.at, &one.decision).cmp(&(other.at, &other.decision)));
    Ok(all)
}

/// The lists that were in force when something was approved.
pub fn kept(authority: &Authority, record: &ApprovalRecord) -> Result<Vec<(String, CrlRecord)>, IssueError> {
    let one = |(issuer, number): &(String, u64)| {
        let bytes = authority.store.get(&ApprovalRecord::list(issuer, *number))?.ok_or_else(damaged)?;
        Ok((issuer.clone(), decode(&bytes).map_err(|_| damaged())?))
    };
    record.lists.iter().map(one).collect()
}

/// The lists that say of an officer's certificate and of its issuer whether they are revoked.
fn in_force(authority: &Authority) -> Result<Vec<(String, CrlRecord)>, IssueError> {
    let officers = authority.policies.profile(OFFICER).map(|profile| profile.issuers()).unwrap_or_default();
    // Of every generation: officers' certificates last on beside the next one's.
    let certifies = |issuer: &&std::sync::Arc<Issuer>| officers.iter().any(|one| one.name() == issuer.policy_name());
    let mut lists = Vec::new();
    let roots = authority.issuers.roots();
    for issuer in roots.into_iter().chain(authority.issuers.values().filter(certifies)).map(|issuer| issuer.id()) {
        if let Some(bytes) = authority.store.get(&CrlRecord::key(issuer))? {
            lists.push((issuer.to_owned(), decode(&bytes).map_err(|_| IssueError::Damaged { what: "a CRL" })?));
        }
    }
    Ok(lists)
}

fn read(der: &[u8]) -> Result<RevocationList, IssueError> {
    RevocationList::parse(der).map_err(|_| IssueError::Damaged { what: "a CRL" })
}

fn anchors(authority: &Authority) -> Result<Anchors, IssueError> {
    let roots = authority.issuers.roots();
    let roots: Vec<&[u8]> = roots.iter().map(|root| root.record.der.as_slice()).collect();
    Anchors::new(&roots).map_err(|_| IssueError::Damaged { what: "the root" })
}

fn judge<'a>(authority: &Authority, anchors: &'a Anchors, lists: &'a [RevocationList]) -> Judge<'a> {
    let policies = authority.policies.profile(OFFICER).map(|profile| profile.policies().to_vec()).unwrap_or_default();
    Judge { anchors, lists, policies }
}

fn damaged() -> IssueError {
    IssueError::Damaged { what: "an approval" }
}

impl From<ApproveError> for Problem {
    fn from(error: ApproveError) -> Self {
        let (exit, code) = match error {
            ApproveError::Order(error) => return error.into(),
            ApproveError::Officer(error) => return error.into(),
            ApproveError::Signed(_) => (Exit::Refused, "signature"),
            ApproveError::Other => (Exit::Refused, "other-decision"),
            ApproveError::NotAwaited { .. } => (Exit::Conflict, "not-awaited"),
            ApproveError::Powerless { .. } => (Exit::Denied, "powerless"),
            ApproveError::PowerlessForAct { .. } => (Exit::Denied, "powerless"),
            ApproveError::Beneficiary => (Exit::Denied, "own-power"),
            ApproveError::Own => (Exit::Denied, "own-order"),
            ApproveError::Twice => (Exit::Conflict, "decided-before"),
            ApproveError::Reason => (Exit::Refused, "reason"),
            ApproveError::Time => (Exit::Refused, "decision-time"),
            ApproveError::TooLarge => (Exit::Refused, "signature-too-large"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
