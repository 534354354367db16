//! Looking for orders.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{OrderError, damaged, load};
use crate::authority::Authority;
use crate::record::{OrderId, OrderRecord, OrderState};

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
