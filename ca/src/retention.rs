//! How long the register's records are to be kept, and which are beyond their time. Nothing here removes any.

use policies::authority::Retention;
use serde::{Deserialize, Serialize};
use store::{Key, Store, StoreError};

use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::CertificateRecord;
use crate::register;

/// Places read at a time.
const PAGE: usize = 10_000;

/// Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub years_after_expiry: u8,
    pub certificates: u64,
    /// Those that have ended.
    pub expired: u64,
    /// Those whose records need not be kept any more.
    pub beyond: u64,
    /// When the first certificate ends or ended, and until when its record is to be kept; none without certificates.
    pub first_ends: Option<i64>,
    pub first_kept_until: Option<i64>,
    /// When the last record may go, if nothing more is issued.
    pub last_kept_until: Option<i64>,
}

/// Reads the places by expiry, not the records.
pub fn report(authority: &Authority) -> Result<Report, IssueError> {
    let (store, now, rule) = (&*authority.store, authority.clock.now().unix_timestamp(), authority.rules.retention);
    let (from, to) = Key::range(CertificateRecord::BY_EXPIRY, &[]);
    // 1. In the order in which they end: first those beyond their time, then the other expired, then the rest.
    let beyond_to = CertificateRecord::by_expiry(rule.over_before(now), &[]);
    let expired_to = CertificateRecord::by_expiry(now, &[]);
    let beyond = counted(store, &from, &beyond_to)?;
    let others = counted(store, &beyond_to, &expired_to)?;
    let rest = counted(store, &expired_to, &to)?;
    // 2. Only of the first and the last is the date itself asked for.
    let ends = |place: Option<Key>| {
        let Some(serial) = place.and_then(|place| place.last_part()) else { return Ok::<_, IssueError>(None) };
        Ok(register::find(store, &serial)?.map(|record| record.not_after))
    };
    let first = ends(beyond.first.or(others.first.clone()).or(rest.first))?;
    let last = ends(rest.last.or(others.last).or(beyond.last))?;
    Ok(said(rule, [beyond.count, others.count, rest.count], first, last))
}

fn said(rule: Retention, [beyond, others, rest]: [u64; 3], first: Option<i64>, last: Option<i64>) -> Report {
    Report {
        years_after_expiry: rule.years(),
        certificates: beyond + others + rest,
        expired: beyond + others,
        beyond,
        first_ends: first,
        first_kept_until: first.and_then(|end| rule.kept_until(end)),
        last_kept_until: last.and_then(|end| rule.kept_until(end)),
    }
}

#[derive(Default)]
struct Counted {
    count: u64,
    first: Option<Key>,
    last: Option<Key>,
}

fn counted(store: &dyn Store, from: &Key, to: &Key) -> Result<Counted, StoreError> {
    let mut counted = Counted::default();
    let mut from = from.clone();
    loop {
        let page = store.scan(&from, to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(counted) };
        counted.count += page.len() as u64;
        from = last.successor();
        counted.last = Some(last.clone());
        counted.first = counted.first.or_else(|| page.into_iter().next().map(|(key, _)| key));
    }
}
