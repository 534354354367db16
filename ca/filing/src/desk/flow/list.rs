//! The filings of one enterprise, the newest first, a piece at a time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::desk::Desk;
use crate::desk::problem::DeskError;
use crate::desk::record::filing::{FilingRecord, Status};
use crate::desk::service::{ShownFiling, shown};
use store::Key;

/// The most filings of one answer.
pub const PAGE: usize = 1_000;
/// Ids read from the store at a time.
const STEP: usize = 1_000;
/// Ids that are held while the newest are looked for among them.
const HELD: usize = 100_000;

/// Which of them are wanted; all, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    pub kind: Option<String>,
    pub period: Option<String>,
    pub status: Option<Status>,
    /// Only those before this one: the last of the piece before.
    pub after: Option<String>,
    /// At most so many; a page where nothing is said.
    pub limit: Option<u32>,
}

impl Wanted {
    fn holds(&self, record: &FilingRecord) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.kind, &record.kind) && is(&self.period, &record.period) && self.status.is_none_or(|status| status == record.status)
    }
}

/// And the id to go on after, where there may be more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub filings: Vec<ShownFiling>,
    pub next: Option<String>,
}

pub fn list(desk: &Desk, uscc: &str, wanted: &Wanted) -> Result<Listed, DeskError> {
    let (from, mut to) = FilingRecord::all_of(uscc);
    if let Some(id) = &wanted.after {
        let missing = || DeskError::NotFound { what: "filing", id: id.chars().take(64).collect() };
        let last = FilingRecord::decode(&desk.store.get(&FilingRecord::key(id))?.ok_or_else(missing)?)?;
        if last.uscc != uscc {
            return Err(missing());
        }
        to = FilingRecord::of(uscc, last.received_at, id);
    }
    let limit = wanted.limit.map_or(PAGE, |limit| (limit as usize).clamp(1, PAGE));
    let mut filings = Vec::new();
    // The index goes from the oldest on: its newest part that is held is looked through from its end, then the one before it.
    loop {
        let part = newest(desk, &from, &to)?;
        let Some((first, _)) = part.front() else { return Ok(Listed { filings, next: None }) };
        let before = first.clone();
        for (_, id) in part.iter().rev() {
            let record = desk.store.get(&FilingRecord::key(id))?.map(|bytes| FilingRecord::decode(&bytes)).transpose()?;
            if record.is_some_and(|record| wanted.holds(&record)) {
                filings.push(shown(desk, id)?);
                if filings.len() == limit {
                    return Ok(Listed { filings, next: Some(id.clone()) });
                }
            }
        }
        to = before;
    }
}

fn newest(desk: &Desk, from: &Key, to: &Key) -> Result<VecDeque<(Key, String)>, DeskError> {
    let (mut held, mut from) = (VecDeque::new(), from.clone());
    loop {
        let step = desk.store.scan(&from, to, STEP)?;
        let Some((last, _)) = step.last() else { return Ok(held) };
        from = last.successor();
        held.extend(step.into_iter().filter_map(|(key, id)| Some((key, String::from_utf8(id).ok()?))));
        let over = held.len().saturating_sub(HELD);
        held.drain(..over);
    }
}
