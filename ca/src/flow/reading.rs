//! Looking at records is the use of a power, and so an entry of the log: who looked, by which operation, in which hour. What
//! they looked for and saw is in no log.
//!
//! 1 known    whoever looked in the same way in the same hour has their entry: an auditor who pages through a million
//!            certificates makes the log no longer than one who looks once, and 24 entries a day are the most of each way
//! 2 record   durable before anything is told; where nothing can be recorded, nobody is shown anything. Only copies that the
//!            owner of the machine takes of authority and log go on, since on a full or failing disk they are what is left
//!            to save: the service's own log and the answer say that the log has no entry of them

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};

use super::authorise::Actor;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Reading, decode, encode, log};
use crate::register::PAGE;

pub fn record(authority: &Authority, by: &Actor, what: &'static str) -> Result<(), IssueError> {
    let now = authority.clock.now();
    let reading = Reading::new(now.unix_timestamp(), by.to_string(), what);
    let place = reading.key();
    // 1.
    if authority.store.get(&place)?.is_some() {
        return Ok(());
    }
    // 2.
    let entry = log::Entry::RecordsRead { what, hour: reading.hour, by: &reading.by };
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place, encode(&reading)?);
    batch.append(log::STREAM, entry.leaf(now)?);
    match authority.store.commit(batch) {
        // They looked twice at one moment.
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Which readings are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadingQuery {
    /// Unix seconds.
    pub since: i64,
    /// As the log names them, such as `officer:SERIAL`.
    pub by: Option<String>,
    pub limit: Option<usize>,
}

/// Some readings, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    pub readings: Vec<Reading>,
    /// Older ones that fit, and are not among these.
    pub more: bool,
}

/// The newest first.
pub fn list(authority: &Authority, query: &ReadingQuery) -> Result<Readings, IssueError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let (mut from, to) = Reading::since(query.since);
    let (mut newest, mut more) = (VecDeque::with_capacity(limit), false);
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, stored) in &page {
            let reading: Reading = decode(stored).map_err(|_| IssueError::Damaged { what: "who looked at records" })?;
            if query.by.as_ref().is_some_and(|by| *by != reading.by) {
                continue;
            }
            if newest.len() == limit {
                newest.pop_front();
                more = true;
            }
            newest.push_back(reading);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return Ok(Readings { readings: newest.into_iter().rev().collect(), more }),
        }
    }
}
