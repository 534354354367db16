//! The numbers and times of lists: they only ever rise, whoever publishes and whatever the clock does.

use store::{Batch, Expectation, Key};

use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CrlBase, CrlHead, CrlIntent, CrlRecord, Record, Scope, decode};

/// The last lists and intents of a sequence of numbers as they stand: a publication holds only if all still do.
pub(super) struct Before {
    scope: Scope,
    heads: Vec<(Scope, CrlHead)>,
    intents: Vec<CrlIntent>,
    expectations: Vec<Expectation>,
}

impl Before {
    /// The whole list and its deltas share one sequence; every part has its own. // spec: rfc5280#5.2.3
    pub(super) fn read(authority: &Authority, issuer: &str, scope: Scope) -> Result<Self, IssueError> {
        let sequence: &[Scope] = if let Scope::Shard(_) = scope { &[scope] } else { &[Scope::Whole, Scope::Delta] };
        let mut before = Self { scope, heads: Vec::new(), intents: Vec::new(), expectations: Vec::new() };
        for one in sequence {
            let head = before.expected(authority, CrlHead::of(issuer, *one))?.or(older(authority, issuer, *one)?);
            before.heads.extend(head.map(|head| (*one, head)));
            let intent = before.expected(authority, CrlIntent::of(issuer, *one))?;
            before.intents.extend(intent);
        }
        Ok(before)
    }

    fn expected<T: Record>(&mut self, authority: &Authority, key: Key) -> Result<Option<T>, IssueError> {
        let value = authority.store.get(&key)?;
        let read = value.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
        self.expectations.push(match value {
            Some(value) => Expectation::Equals(key, value),
            None => Expectation::Absent(key),
        });
        Ok(read)
    }

    /// In the commit that takes the number.
    pub(super) fn unchanged(self, batch: Batch) -> Batch {
        self.expectations.into_iter().fold(batch, Batch::expect)
    }

    /// Now; but when the clock stepped back, the time of the last list.
    pub(super) fn this_update(&self, now: i64) -> i64 {
        self.heads.iter().map(|(_, head)| head.this_update).fold(now, i64::max)
    }

    /// The next number. A delta of the very second in which the whole list was made, and which says the same, has that list's.
    /// `changed` is the last change that is not on the delta before.
    // spec: rfc5280#5.2.3 (issued at the same time: the same number)
    pub(super) fn number(&self, this_update: i64, changed: Option<u64>, floor: u64) -> u64 {
        let of = |scope| self.heads.iter().find(|(one, _)| *one == scope).map(|(_, head)| head);
        if let (Scope::Delta, Some(whole), []) = (self.scope, of(Scope::Whole), &self.intents[..]) {
            let newest = of(Scope::Delta).is_none_or(|delta| delta.number < whole.number);
            if newest && whole.number > floor && whole.this_update == this_update && changed.is_none_or(|changed| changed <= whole.covered) {
                return whole.number;
            }
        }
        let published = self.heads.iter().map(|(_, head)| head.number);
        published.chain(self.intents.iter().map(|intent| intent.number)).fold(floor, u64::max) + 1
    }

    /// The changes that the last list of this scope had.
    pub(super) fn covered(&self) -> u64 {
        self.heads.iter().find(|(one, _)| *one == self.scope).map_or(0, |(_, head)| head.covered)
    }
}

/// What is published for a scope.
pub fn head(authority: &Authority, issuer: &str, scope: Scope) -> Result<Option<CrlHead>, IssueError> {
    let found = authority.store.get(&CrlHead::of(issuer, scope))?;
    let found = found.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
    Ok(found.or(older(authority, issuer, scope)?))
}

/// Whole lists that were published before heads were written beside them.
fn older(authority: &Authority, issuer: &str, scope: Scope) -> Result<Option<CrlHead>, IssueError> {
    if scope != Scope::Whole || authority.store.get(&CrlHead::of(issuer, scope))?.is_some() {
        return Ok(None);
    }
    let Some(found) = authority.store.get(&CrlRecord::key(issuer))? else { return Ok(None) };
    let CrlRecord { number, this_update, next_update, entries, .. } = decode(&found).map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
    Ok(Some(CrlHead { number, this_update, next_update, entries, covered: 0 }))
}

/// The whole list that deltas change now. After a restore nobody knows what was published above the one that is remembered,
/// so there is none until the next whole list.
pub fn base(authority: &Authority, issuer: &str) -> Result<Option<CrlBase>, IssueError> {
    let Some(found) = authority.store.get(&CrlBase::key(issuer))? else { return Ok(None) };
    let base: CrlBase = decode(&found).map_err(|_| IssueError::Damaged { what: "the base of deltas" })?;
    Ok(Some(base).filter(|base| floor(authority).is_ok_and(|floor| base.number > floor)))
}

/// What a restored authority leapt over; nought for one that was never restored.
pub fn floor(authority: &Authority) -> Result<u64, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the number that lists are above" };
    let Some(bytes) = authority.store.get(&CrlRecord::floor())? else { return Ok(0) };
    Ok(u64::from_be_bytes(bytes.try_into().map_err(damaged)?))
}
