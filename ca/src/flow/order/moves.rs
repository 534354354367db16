//! The moves of an order: each is record, places and log entry in one commit.

use store::{Batch, Expectation, StreamSlot};
use time::OffsetDateTime;

use super::{Needed, OrderError, damaged};
use crate::authority::Authority;
use crate::flow::authorise::Actor;
use crate::problem::IssueError;
use crate::record::{OrderId, OrderRecord, OrderState, decode, encode, log};

/// One move, in a commit of its own.
pub(in crate::flow) fn change(authority: &Authority, id: &OrderId, stored: Vec<u8>, found: OrderRecord, next: OrderState, by: &Actor) -> Result<(), OrderError> {
    let batch = moved(authority, Batch::new(), id, stored, &found, next, by, authority.clock.now())?;
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}

/// One move: record, places and log entry; refused when the record is no longer the one that was read.
#[allow(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller for each of the commits an order moves in")]
pub(in crate::flow) fn moved(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &OrderRecord, next: OrderState, by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
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
pub(in crate::flow) fn approved(authority: &Authority, batch: Batch, id: &OrderId, stored: Vec<u8>, found: &OrderRecord, (approvals, needed): (u8, Needed), by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
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
pub(in crate::flow) fn entry_of(batch: Batch, id: &OrderId, slot: StreamSlot) -> Batch {
    batch.put(OrderRecord::entry(id, slot), Vec::new())
}
