//! Orders of strangers that came to nothing are forgotten, so that what anybody may send does not stay for ever.
//!
//! 1 find     refused, cancelled or ended, sent over the network, and never decided on by an officer, for so many days
//! 2 forget   the record and every place of it, with the log's entry, in one commit
//!
//! What an officer signed is evidence and stays; so does the log, which has digests of all of it.

use store::{Batch, CommitError, Expectation, Key};

use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Channel, OrderId, OrderRecord, OrderState, decode, log};

/// Looked at in one turn of the jobs, of each state.
const PORTION: usize = 100;
const DAY: i64 = 86_400;
/// The states in which an order came to nothing.
const NOTHING: [&str; 3] = ["refused", "cancelled", "expired"];
/// More entries than an order has that nobody decided on.
const MOST_ENTRIES: usize = 64;

/// How far each state was looked through: of its own, so that none waits for another to come to its end.
#[derive(Clone, Debug, Default)]
pub struct Places([Option<Key>; NOTHING.len()]);

/// What came of one turn, and where the next one begins.
#[derive(Debug, Default)]
pub struct Forgot {
    pub orders: usize,
    pub next: Places,
}

/// A portion of each state from `after` on; from the first one when that was the last.
pub fn due(authority: &Authority, after: &Places) -> Result<Forgot, IssueError> {
    let before = authority.clock.now().unix_timestamp().saturating_sub(i64::from(authority.rules.orders.refused_kept_days) * DAY);
    let mut forgot = Forgot::default();
    for ((state, after), next) in NOTHING.into_iter().zip(&after.0).zip(&mut forgot.next.0) {
        // 1. In the order in which they were placed, which is before they ended.
        let (first, to) = OrderRecord::all_in(state);
        let from = after.clone().unwrap_or(first);
        let page = authority.store.scan(&from, &to, PORTION)?;
        for (_, id) in &page {
            let id = OrderId::from_bytes(id).ok_or_else(damaged)?;
            forgot.orders += usize::from(forget(authority, &id, before)?);
        }
        if let Some((last, _)) = page.last().filter(|_| page.len() == PORTION) {
            *next = Some(last.successor());
        }
    }
    Ok(forgot)
}

/// Whether nothing holds on to an order that ended `before` then. Pure.
fn is_nothing(order: &OrderRecord, before: i64) -> bool {
    let came_to_nothing = matches!(order.state, OrderState::Refused(_) | OrderState::Cancelled | OrderState::Expired);
    came_to_nothing && order.application.channel == Channel::Online && order.decisions == 0 && order.changed_at < before
}

fn forget(authority: &Authority, id: &OrderId, before: i64) -> Result<bool, IssueError> {
    let place = OrderRecord::key(id);
    let Some(stored) = authority.store.get(&place)? else { return Ok(false) };
    let order: OrderRecord = decode(&stored).map_err(|_| damaged())?;
    if !is_nothing(&order, before) {
        return Ok(false);
    }
    // 2.
    let named = OrderRecord::by_key(order.application.channel, order.code(), &order.application.key);
    let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).delete(place).delete(order.in_state(id)).delete(named);
    if let Some(code) = order.code() {
        batch = batch.delete(OrderRecord::by_code(code, id));
    }
    let (from, to) = OrderRecord::entries(id);
    batch = authority.store.scan(&from, &to, MOST_ENTRIES)?.into_iter().fold(batch, |batch, (entry, _)| batch.delete(entry));
    batch.append(log::STREAM, log::Entry::OrderForgotten { order_sha256: &id.digest() }.leaf(authority.clock.now())?);
    match authority.store.commit(batch) {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn damaged() -> IssueError {
    IssueError::Damaged { what: "an order" }
}
