//! What makes an act in bulk one that others approve whatever its size: that it ends authorities, and that it is one of many.

use super::DAY;
use crate::authority::Authority;
use crate::flow::revoke::is_authority;
use crate::problem::IssueError;
use crate::record::{BulkAct, Incident, Stage, decode};
use crate::register::{self, PAGE};

/// Whether these are certificates of authorities and of nobody else: whoever means an authority names it alone.
pub(super) fn only_authorities(authority: &Authority, serials: &[Vec<u8>]) -> Result<bool, IssueError> {
    for serial in serials {
        if !register::find(&*authority.store, serial)?.is_some_and(|found| is_authority(authority, serial, &found)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Certificates of acts that began within a day and that nobody approved: many small acts are a large one.
pub(in crate::flow) fn lately(authority: &Authority, incident: &str, act: BulkAct) -> Result<u64, IssueError> {
    let since = authority.clock.now().unix_timestamp() - DAY;
    let (mut from, to) = Incident::all();
    let mut count = 0_u64;
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, stored) in &page {
            let other: Incident = decode(stored).map_err(|_| IssueError::Damaged { what: "an incident" })?;
            let counts = matches!(other.stage, Stage::Running | Stage::Done) && other.order.is_none() && other.begun_at > since;
            if counts && (other.incident != incident || other.act != act) {
                count = count.saturating_add(other.total);
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return Ok(count),
        }
    }
}
