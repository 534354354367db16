//! What the gateway remembers of a push beside its messages — outcomes, items, evidence — ends when its kind's policy says
//! (`retention_days`). Messages are their owners' and stay. A legal hold beats it.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | the push has ended, is of a kind with an end, and its days are over | statements have no such days and stay |
//! | 2 | nobody holds it, nor a mailbox that it speaks of | a court's order comes before a policy |
//! | 3 | it is marked as ended by retention, with a leaf of the log | from here on it is answered so, and after a crash we know what was begun |
//! | 4 | block by block its records are deleted | again after a crash: what is gone already is gone |

use std::collections::BTreeMap;

use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Key, StoreError};

use super::approval::{self, ApprovalError, Approved, SignedRequest};
use super::hold::{HoldError, held_mailboxes};
use crate::bureau::{self, BureauError};
use crate::erds;
use crate::gateway::{Gateway, unix_millis};
use crate::record::access;
use crate::record::event::{self, Event};
use crate::record::evidence::{self, ReadError, decode_sealed, sealed_key};
use crate::record::hold::{Changes, Held, Hold};
use crate::record::push::{Item, PushBatch, RowOutcome, batch_key, batches_of, decode_rows, item_key, mended_key, rows_range};
use crate::record::{RecordError, body, spent};

pub const KIND: &str = "suiyin retention release v1";
const PAGE: usize = 256;
const DAY_MILLIS: u64 = 86_400_000;
/// Holds in force on one push: more orders than courts give of one, and few enough that nobody fills the store with them.
const MAX_HOLDS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error("the {what} is 1 to 200 characters on one line; write it as the court or office does")]
    Word { what: &'static str },
    #[error("the hold would have ended before it began; give a later day, or none")]
    Until,
    #[error("{batch} is no batch of this bureau; look at the name in its manifest")]
    UnknownBatch { batch: String },
    #[error("the days of {batch} are over and what was remembered of it has ended: there is nothing to hold; hold the mailboxes that it spoke of with `mailgw mailbox hold`")]
    Removed { batch: String },
    #[error("a mailbox is held with `mailgw mailbox hold`, which keeps its messages, too")]
    OfMailbox,
    #[error("the hold by this order lasts longer already; give a later day or none, or end it with `mailgw retention release`")]
    Shorter,
    #[error("the request is none: {reason}; write it as `mailgw retention release --help` shows")]
    Request { reason: &'static str },
    #[error("it is held by another authority, which alone ends that; give the name that `mailgw retention holds` shows")]
    OtherAuthority,
    #[error("this authority holds it by another order; give as `of` the one that `mailgw retention holds` shows")]
    OtherOrder,
    #[error("this request was used once; have two officers sign another")]
    Spent,
    #[error("nothing is held there; look with `mailgw retention holds`")]
    NotHeld,
    #[error("{MAX_HOLDS} holds are as many as one push has; look who ordered them with `mailgw retention holds`, and end with `release` what no court knows of")]
    TooMany,
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Hold(#[from] HoldError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for RetentionError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<ReadError> for RetentionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<RetentionError> for Problem {
    fn from(error: RetentionError) -> Self {
        let (exit, code) = match error {
            RetentionError::Bureau(error) => return error.into(),
            RetentionError::Hold(error) => return error.into(),
            RetentionError::Approval(error) => return error.into(),
            RetentionError::Word { .. } => (Exit::Usage, "order"),
            RetentionError::Until => (Exit::Usage, "until"),
            RetentionError::Shorter => (Exit::Refused, "shorter"),
            RetentionError::Request { .. } => (Exit::Usage, "release-request"),
            RetentionError::OtherAuthority => (Exit::Refused, "other-authority"),
            RetentionError::OtherOrder => (Exit::Refused, "other-order"),
            RetentionError::Spent => (Exit::Conflict, "request-spent"),
            RetentionError::OfMailbox => (Exit::Usage, "mailbox-hold"),
            RetentionError::UnknownBatch { .. } => (Exit::NotFound, "unknown-batch"),
            RetentionError::Removed { .. } => (Exit::Refused, "removed"),
            RetentionError::NotHeld => (Exit::NotFound, "not-held"),
            RetentionError::TooMany => (Exit::Refused, "too-many-holds"),
            RetentionError::Record(_) => (Exit::Damaged, "store-damaged"),
            RetentionError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A push whose days are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    pub bureau: String,
    pub batch: String,
    pub kind: String,
    pub rows: u64,
    pub ended_unix_millis: u64,
    /// It stays, since this order holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

/// What a look at all pushes came to; nothing was removed where it was a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    pub trial: bool,
    pub over: Vec<Over>,
}

/// What is held at one moment, by orders of both kinds.
struct InForce {
    /// On pushes: bureau, batch, and the order.
    pushes: BTreeMap<(String, String), String>,
    /// By `mailgw mailbox hold` with the reason that was given, and by orders of before there was that.
    mailboxes: BTreeMap<String, String>,
}

impl InForce {
    fn of(orders: &[Stored], mut mailboxes: BTreeMap<String, String>, now: u64) -> Self {
        let mut pushes = BTreeMap::new();
        for Stored { hold: Hold { held, order, .. }, .. } in orders.iter().filter(|stored| stored.hold.is_in_force(now)) {
            match held {
                Held::Push { bureau, batch } => drop(pushes.insert((bureau.clone(), batch.clone()), order.clone())),
                Held::Mailbox { mailbox } => drop(mailboxes.entry(mailbox.clone()).or_insert_with(|| order.clone())),
            }
        }
        Self { pushes, mailboxes }
    }
}

/// Looks at every push. A trial says what would end.
pub fn retain(gateway: &Gateway, trial: bool) -> Result<Retained, RetentionError> {
    let now = gateway.now_unix_millis();
    let mut changes = Changes::read(&*gateway.store)?;
    let orders = stored(gateway, Hold::all())?;
    let holds = InForce::of(&orders, held_mailboxes(gateway, now)?, now);
    if !trial {
        forget_over(gateway, orders, now)?;
    }
    let mut retained = Retained { trial, over: Vec::new() };
    for shown in bureau::list(&*gateway.store)? {
        let (mut from, to) = batches_of(&shown.code);
        loop {
            let page = gateway.store.scan(&from, &to, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = last.successor();
            for (key, bytes) in &page {
                let batch = key.last_part().and_then(|part| String::from_utf8(part).ok()).unwrap_or_default();
                look(gateway, (&shown.code, &batch), bytes, (&holds, &mut changes), &mut retained)?;
            }
        }
    }
    Ok(retained)
}

fn look(gateway: &Gateway, at: (&str, &str), stored: &[u8], (holds, changes): (&InForce, &mut Changes), retained: &mut Retained) -> Result<(), RetentionError> {
    let (bureau, batch) = at;
    let record = PushBatch::decode(stored)?;
    // What a crash left undone; an order that came since keeps what is still there.
    if record.removed_unix_millis.is_some() {
        return if retained.trial || held(gateway, at, holds)?.is_some() { Ok(()) } else { sweep(gateway, at) };
    }
    // 1
    let (Some(ended), Some(kind)) = (record.ended_unix_millis, gateway.letters.get(&record.kind)) else { return Ok(()) };
    let now = gateway.now_unix_millis();
    if ended.saturating_add(u64::from(kind.retention_days()) * DAY_MILLIS) > now || !is_sealed(gateway, at)? {
        return Ok(());
    }
    // 2
    let held_by = held(gateway, at, holds)?;
    retained.over.push(Over { bureau: bureau.to_owned(), batch: batch.to_owned(), kind: record.kind.clone(), rows: record.rows, ended_unix_millis: ended, held_by: held_by.clone() });
    if retained.trial || held_by.is_some() {
        return Ok(());
    }
    // 3
    let said = event::Retention { bureau: bureau.to_owned(), batch: batch.to_owned(), kind: record.kind.clone(), rows: record.rows };
    let marked = PushBatch { removed_unix_millis: Some(now), ..record };
    let mut write = Batch::new().expect(Expectation::Equals(batch_key(bureau, batch), stored.to_vec())).put(batch_key(bureau, batch), marked.encode()?);
    // Whoever holds it, or a mailbox, since the holds were read is heard; and who holds it after this finds it marked.
    let after;
    (write, after) = changes.next(write);
    Event::RetentionEnded(said).append(&mut write, now)?;
    match gateway.store.commit(write) {
        // Somebody changed it; the next look decides anew.
        Err(CommitError::Conflict { .. }) => return Ok(()),
        done => drop(done?),
    }
    *changes = after;
    // 4
    sweep(gateway, at)
}

/// Evidence that waits for its signature is signed first.
fn is_sealed(gateway: &Gateway, (bureau, batch): (&str, &str)) -> Result<bool, RetentionError> {
    let sealed = gateway.store.get(&sealed_key())?.as_deref().map(decode_sealed).transpose()?.unwrap_or(0);
    let mut from = None;
    loop {
        let page = evidence::of_push(&*gateway.store, bureau, batch, from.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(true) };
        from = Some(last.clone());
        if page.iter().any(|(_, number)| *number > sealed) {
            return Ok(false);
        }
    }
}

/// The order that holds a push, or a mailbox that it speaks of.
fn held(gateway: &Gateway, (bureau, batch): (&str, &str), holds: &InForce) -> Result<Option<String>, RetentionError> {
    if let Some(order) = holds.pushes.get(&(bureau.to_owned(), batch.to_owned())) {
        return Ok(Some(order.clone()));
    }
    if holds.mailboxes.is_empty() {
        return Ok(None);
    }
    let mut found = None;
    each_block(gateway, (bureau, batch), &mut |_, outcomes| {
        for statement in outcomes.iter().filter_map(|outcome| outcome.stmt_id.as_deref()) {
            let Some(bytes) = gateway.store.get(&item_key(bureau, statement))? else { continue };
            let mailbox = Item::decode(&bytes)?.mailbox;
            found = found.take().or_else(|| holds.mailboxes.get(&mailbox).cloned());
        }
        Ok(())
    })?;
    if found.is_some() {
        return Ok(found);
    }
    // Rows that reached nobody have no item, and their evidence names the mailbox all the same.
    let mut from = None;
    loop {
        let page = evidence::of_push(&*gateway.store, bureau, batch, from.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        from = Some(last.clone());
        for (_, number) in &page {
            for line in evidence::items(&*gateway.store, *number)?.unwrap_or_default() {
                let item = erds::Item::read(&line).map_err(|_| RecordError::Damaged { kind: "evidence batch", reason: "an item is of another form" })?;
                let mailbox = item.recipient_details.as_deref().and_then(|address| address.split('@').next());
                if let Some(order) = mailbox.and_then(|mailbox| holds.mailboxes.get(mailbox)) {
                    return Ok(Some(order.clone()));
                }
            }
        }
    }
}

type Visit<'a> = dyn FnMut(&Key, &[RowOutcome]) -> Result<(), RetentionError> + 'a;

fn each_block(gateway: &Gateway, (bureau, batch): (&str, &str), visit: &mut Visit<'_>) -> Result<(), RetentionError> {
    let (mut from, to) = rows_range(bureau, batch);
    loop {
        let page = gateway.store.scan(&from, &to, 8)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last.successor();
        for (key, bytes) in &page {
            visit(key, &decode_rows(bytes)?)?;
        }
    }
}

/// Deletes what a push left behind. Outcomes go last of their block, since they lead to the rest.
fn sweep(gateway: &Gateway, at: (&str, &str)) -> Result<(), RetentionError> {
    let (store, (bureau, batch)) = (&*gateway.store, at);
    loop {
        let page = evidence::of_push(store, bureau, batch, None, PAGE)?;
        if page.is_empty() {
            break;
        }
        store.commit(page.into_iter().fold(Batch::new(), |write, (place, number)| evidence::forget(write, number).delete(place)))?;
    }
    accesses(gateway, at)?;
    each_block(gateway, at, &mut |key, outcomes| {
        let mut write = Batch::new().delete(key.clone());
        for outcome in outcomes {
            write = write.delete(mended_key(bureau, batch, outcome.row));
            let Some(statement) = outcome.stmt_id.as_deref().filter(|_| outcome.is_delivered()) else { continue };
            let item = item_key(bureau, statement);
            // Another push may have delivered under the same number since.
            if store.get(&item)?.map(|bytes| Item::decode(&bytes)).transpose()?.is_some_and(|found| found.batch == batch) {
                let (from, to) = access::of_statement(bureau, statement);
                write = store.scan(&from, &to, PAGE)?.into_iter().fold(write, |write, (key, _)| write.delete(key)).delete(item);
            }
        }
        store.commit(write)?;
        Ok(())
    })
}

/// A batch of accesses speaks of several pushes, and goes with the last of them.
fn accesses(gateway: &Gateway, (bureau, batch): (&str, &str)) -> Result<(), RetentionError> {
    let store = &*gateway.store;
    let sealed = store.get(&sealed_key())?.as_deref().map(decode_sealed).transpose()?.unwrap_or(0);
    let (mut from, to) = access::of_push(bureau, batch);
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last.successor();
        let mut write = Batch::new();
        for (key, value) in page {
            let number = access::number(&value)?;
            // What waits for its signature is looked at again with the next look.
            if number > sealed {
                continue;
            }
            let mut all_over = true;
            for line in evidence::items(store, number)?.unwrap_or_default() {
                let item = erds::Item::read(&line).map_err(|_| RecordError::Damaged { kind: "evidence batch", reason: "an item is of another form" })?;
                let push = store.get(&batch_key(&item.sender_details, &item.submission.batch))?;
                all_over &= push.map(|bytes| PushBatch::decode(&bytes)).transpose()?.is_none_or(|push| push.removed_unix_millis.is_some());
            }
            write = if all_over { evidence::forget(write, number) } else { write };
            write = write.delete(key);
        }
        store.commit(write)?;
    }
}

/// A hold, where and as it stands.
struct Stored {
    key: Key,
    bytes: Vec<u8>,
    hold: Hold,
}

/// All of a range: one that was not looked at would hold nothing.
fn stored(gateway: &Gateway, (mut from, to): (Key, Key)) -> Result<Vec<Stored>, RetentionError> {
    let mut all = Vec::new();
    loop {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        from = last.successor();
        for (key, bytes) in page {
            let hold = Hold::decode(&bytes)?;
            all.push(Stored { key, bytes, hold });
        }
    }
}

/// Those that ended by themselves. That they do, and when, stands in the leaf that set them.
fn forget_over(gateway: &Gateway, orders: Vec<Stored>, now: u64) -> Result<(), RetentionError> {
    for Stored { key, bytes, .. } in orders.into_iter().filter(|stored| !stored.hold.is_in_force(now)) {
        match gateway.store.commit(Batch::new().expect(Expectation::Equals(key.clone(), bytes)).delete(key)) {
            // It was set again at this moment.
            Err(CommitError::Conflict { .. }) => {}
            done => drop(done?),
        }
    }
    Ok(())
}

/// A hold as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownHold {
    pub held: Held,
    pub authority: String,
    pub order: String,
    pub since_unix_millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
    /// Now; one whose time is over holds nothing.
    pub holds: bool,
}

/// Every hold, in the order of what is held.
pub fn holds(gateway: &Gateway) -> Result<Vec<ShownHold>, RetentionError> {
    let now = gateway.now_unix_millis();
    let shown = |Stored { hold, .. }: Stored| ShownHold {
        holds: hold.is_in_force(now),
        held: hold.held,
        authority: hold.authority,
        order: hold.order,
        since_unix_millis: hold.since_unix_millis,
        until_unix_millis: hold.until_unix_millis,
    };
    Ok(stored(gateway, Hold::all())?.into_iter().map(shown).collect())
}

/// By whose word something is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The court or office.
    pub authority: String,
    /// The order, as it is known there.
    pub order: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
}

/// That a hold of an authority ends, as two officers sign it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub kind: String,
    /// The gateway's: what is signed for one is good at no other.
    pub domain: String,
    pub held: Held,
    /// Whose hold it is, as it was said when it was set.
    pub authority: String,
    /// By which of its orders, as it was said then.
    pub of: String,
    /// The authority's own reference for the end.
    pub order: String,
    /// Where the papers are.
    pub papers: String,
}

fn said(what: &'static str, text: &str) -> Result<String, RetentionError> {
    let text = text.trim();
    let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(RetentionError::Word { what }) }
}

/// Holds: durable, with its leaf of the log, which names the order. Said again of the same order it lasts as long, or longer: whoever could
/// shorten it alone could end it.
pub fn hold(gateway: &Gateway, held: &Held, by: &By) -> Result<Vec<ShownHold>, RetentionError> {
    let (authority, order, until) = (said("authority", &by.authority)?, said("order", &by.order)?, by.until_unix_millis);
    let now = gateway.now_unix_millis();
    if until.is_some_and(|until| until <= now) {
        return Err(RetentionError::Until);
    }
    // Read first: what is marked as ended meanwhile is not held.
    let (write, _) = Changes::read(&*gateway.store)?.next(Batch::new());
    let Held::Push { bureau, batch } = held else { return Err(RetentionError::OfMailbox) };
    let name = || batch.chars().take(80).collect();
    let push = gateway.store.get(&batch_key(bureau, batch))?.ok_or_else(|| RetentionError::UnknownBatch { batch: name() })?;
    if PushBatch::decode(&push)?.removed_unix_millis.is_some() {
        return Err(RetentionError::Removed { batch: name() });
    }
    // Those whose time is over are neither in the way nor counted.
    let (over, lasting): (Vec<Stored>, Vec<Stored>) = stored(gateway, held.range())?.into_iter().partition(|stored| !stored.hold.is_in_force(now));
    let (same, others): (Vec<Stored>, Vec<Stored>) = lasting.into_iter().partition(|stored| stored.hold.authority == authority && stored.hold.order == order);
    let ends_sooner = |hold: &Hold| until.is_some_and(|until| hold.until_unix_millis.is_none_or(|lasts| until < lasts));
    if same.iter().any(|stored| ends_sooner(&stored.hold)) {
        return Err(RetentionError::Shorter);
    }
    if same.is_empty() && others.len() >= MAX_HOLDS {
        return Err(RetentionError::TooMany);
    }
    let record = Hold { held: held.clone(), authority: authority.clone(), order: order.clone(), since_unix_millis: now, until_unix_millis: until };
    // The same order, wherever it stood, stands once.
    let place = held.key_of(&authority, &order);
    let gone = over.into_iter().chain(same).map(|stored| stored.key).filter(|key| *key != place);
    let mut write = gone.fold(write, Batch::delete).put(place.clone(), record.encode()?);
    let of = crate::hex(&body::digest(held.key().as_bytes()));
    Event::HoldSet(event::Hold { of, authority, order, until_unix_millis: until, holds: true, set_by: None, request: None, officers: Vec::new() }).append(&mut write, now)?;
    gateway.store.commit(write)?;
    holds(gateway)
}

/// Ends a hold, as on a mailbox (`hold::lift`): 1 a request of that form for this gateway · 2 of a hold that is there, that authority's, by that order ·
/// 3 two officers signed it today and since it was set, two persons, not revoked · 4 durable, once, while holds stand as they were found.
pub fn release(gateway: &Gateway, lists: &RevocationLists, signed: &SignedRequest) -> Result<Vec<ShownHold>, RetentionError> {
    let now = gateway.clock.now();
    // 1
    let wrong = |reason| RetentionError::Request { reason };
    let asked: Release = serde_json::from_str(&signed.request).map_err(|_| wrong("it is not of that form"))?;
    if asked.kind != KIND {
        return Err(wrong("it is of another kind"));
    }
    if asked.domain != gateway.directory.domain().as_str() {
        return Err(wrong("its domain is not this gateway's"));
    }
    let (authority, of, order) = (said("authority", &asked.authority)?, said("order that set it", &asked.of)?, said("order", &asked.order)?);
    said("papers", &asked.papers)?;
    // 2
    let (write, _) = Changes::read(&*gateway.store)?.next(Batch::new());
    let holds_it = stored(gateway, asked.held.range())?;
    let (is_held, theirs) = (!holds_it.is_empty(), holds_it.iter().any(|stored| stored.hold.authority == authority));
    let found: Vec<Stored> = holds_it.into_iter().filter(|stored| stored.hold.authority == authority && stored.hold.order == of).collect();
    let Some(since) = found.iter().map(|stored| stored.hold.since_unix_millis).max() else {
        return Err(match (is_held, theirs) {
            (false, _) => RetentionError::NotHeld,
            (true, false) => RetentionError::OtherAuthority,
            (true, true) => RetentionError::OtherOrder,
        });
    };
    // 3
    let Approved { request, officers } = approval::by_officers(gateway, lists, &signed.request, &signed.approvals, since, now)?;
    if gateway.store.get(&spent::key(&request))?.is_some() {
        return Err(RetentionError::Spent);
    }
    // 4
    let mut write = found.into_iter().map(|stored| stored.key).fold(write, Batch::delete).expect(spent::unspent(&request)).put(spent::key(&request), spent::mark());
    let told = event::Hold { of: crate::hex(&body::digest(asked.held.key().as_bytes())), authority, order, until_unix_millis: None, holds: false, set_by: Some(of), request: Some(request), officers };
    Event::HoldSet(told).append(&mut write, unix_millis(now))?;
    gateway.store.commit(write)?;
    holds(gateway)
}
