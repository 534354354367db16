//! The orders that wait for nobody, worked off by the jobs.

use store::{CommitError, Key};

use super::{OrderError, advance, change, damaged, load};
use crate::authority::Authority;
use crate::flow::authorise::Actor;
use crate::problem::IssueError;
use crate::record::{OrderId, OrderRecord, OrderState};

/// What is due is worked off in portions, so that a turn of the jobs stays short.
const PORTION: usize = 100;

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
