//! What stands on the lists: one change for every list a certificate is on, and the entries of a list by the register.

use std::collections::BTreeMap;

use pki::crl::{Entry, Reason};
use store::{Batch, CounterSlot, Key, Part, Store, Template};
use time::OffsetDateTime;

use crate::authority::{Authority, Issuer};
use crate::problem::IssueError;
use crate::record::{CertificateRecord, CrlBase, CrlChange, Listed, Partitions, Scope, decode, encode};

/// Records read at a time.
const PAGE: usize = 10_000;

/// From this commit on `listed` stands on the lists for a certificate, or nothing does; all of them are stale then.
pub(super) fn list(batch: Batch, of: &CertificateRecord, serial: &[u8], listed: Option<&Listed>, now: OffsetDateTime) -> Result<Batch, serde_json::Error> {
    let (mut batch, number) = changed(batch, &of.issuer, serial, now);
    for (scope, place) in of.places(serial) {
        batch = match listed {
            Some(listed) => batch.put(place, encode(listed)?),
            None => batch.delete(place),
        };
        batch = stale(batch, &of.issuer, scope, number);
    }
    Ok(stale(batch, &of.issuer, Scope::Delta, number))
}

/// A change for deltas to tell, and its number.
pub(super) fn changed(mut batch: Batch, issuer: &str, serial: &[u8], now: OffsetDateTime) -> (Batch, CounterSlot) {
    let number = batch.next(CrlChange::COUNTER);
    let change = CrlChange { at: now.unix_timestamp(), serial: serial.to_vec() };
    (batch.put(CrlChange::place(issuer, number), change.value()), number)
}

/// The mark is a number never used before: a publication that began earlier clears none but the mark it saw.
pub(super) fn stale(batch: Batch, issuer: &str, scope: Scope, number: CounterSlot) -> Batch {
    batch.put(scope.stale(issuer), Template::new(vec![Part::Counter(number)]))
}

/// Every entry that a list has by the register, in the order of the serials: read anew each time, a page in memory.
pub(super) struct Entries<'a> {
    authority: &'a Authority,
    issuer: &'a str,
    source: Source,
}

enum Source {
    /// A range of the register, of which a page is read.
    Listed { page: std::vec::IntoIter<(Key, Vec<u8>)>, next: Option<Key>, to: Key },
    /// Serials that changed, each with the time of its last change.
    Changed(std::collections::btree_map::IntoIter<Vec<u8>, i64>),
}

impl<'a> Entries<'a> {
    /// `base` is what a delta changes.
    pub(super) fn read(authority: &'a Authority, issuer: &'a str, scope: Scope, base: Option<&CrlBase>) -> Result<Self, IssueError> {
        let source = match (scope, base) {
            (Scope::Whole, _) => listed(CertificateRecord::all_revoked(issuer)),
            (Scope::Shard(shard), _) => listed(CertificateRecord::all_revoked_in(issuer, shard)),
            (Scope::Delta, Some(base)) => Source::Changed(changed_since(authority, issuer, base)?.into_iter()),
            (Scope::Delta, None) => return Err(IssueError::NoBase { issuer: issuer.to_owned() }),
        };
        Ok(Self { authority, issuer, source })
    }

    fn step(&mut self) -> Result<Option<Entry>, IssueError> {
        match &mut self.source {
            Source::Listed { page, next, to } => loop {
                if let Some((key, value)) = page.next() {
                    return entry(key.last_part().ok_or_else(damaged)?, &value).map(Some);
                }
                let Some(from) = next.take() else { return Ok(None) };
                let read = self.authority.store.scan(&from, to, PAGE)?;
                *next = read.last().filter(|_| read.len() == PAGE).map(|(last, _)| last.successor());
                *page = read.into_iter();
            },
            // What is on no list any more — a hold that was ended, a certificate that ended — is taken off, also where it came
            // and went since the base: somebody may have seen it between. // spec: rfc5280#5.2.4
            Source::Changed(changed) => {
                let Some((serial, at)) = changed.next() else { return Ok(None) };
                match self.authority.store.get(&CertificateRecord::revoked(self.issuer, &serial))? {
                    Some(listed) => entry(serial, &listed).map(Some),
                    None => Ok(Some(Entry { serial, revoked_at: time(at)?, reason: Reason::RemoveFromCrl, invalidity_date: None })),
                }
            }
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, IssueError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn listed((from, to): (Key, Key)) -> Source {
    Source::Listed { page: Vec::new().into_iter(), next: Some(from), to }
}

fn changed_since(authority: &Authority, issuer: &str, base: &CrlBase) -> Result<BTreeMap<Vec<u8>, i64>, IssueError> {
    let mut changed = BTreeMap::new();
    let (mut from, to) = CrlChange::after(issuer, base.covered);
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (_, value) in &page {
            let CrlChange { at, serial } = CrlChange::read(value).ok_or_else(damaged)?;
            changed.insert(serial, at);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return Ok(changed),
        }
    }
}

fn entry(serial: Vec<u8>, listed: &[u8]) -> Result<Entry, IssueError> {
    let listed = Listed::read(listed).map_err(|_| damaged())?;
    let (at, reason) = listed.crl();
    Ok(Entry { serial, revoked_at: time(at)?, reason, invalidity_date: listed.invalid_since().map(time).transpose()? })
}

fn time(at: i64) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(at).map_err(|_| damaged())
}

fn damaged() -> IssueError {
    IssueError::Damaged { what: "a revocation" }
}

/// Every list of an issuer with so many parts, as after a change that nobody can name.
pub(super) fn all_stale(mut batch: Batch, issuer: &str, parts: u16) -> Batch {
    let number = batch.next(CrlChange::COUNTER);
    let scopes = [Scope::Whole, Scope::Delta].into_iter().chain((0..parts).map(Scope::Shard));
    scopes.fold(batch, |batch, scope| stale(batch, issuer, scope, number))
}

/// How many parts an issuer's certificates are or ever were in.
pub fn partitions(authority: &Authority, issuer: &str) -> Result<u16, IssueError> {
    partitions_in(&*authority.store, issuer)
}

pub(super) fn partitions_in(store: &dyn Store, issuer: &str) -> Result<u16, IssueError> {
    let Some(found) = store.get(&Partitions::key(issuer))? else { return Ok(0) };
    let found: Partitions = decode(&found).map_err(|_| IssueError::Damaged { what: "the number of partitions" })?;
    Ok(found.count)
}

/// With the part of a certificate among those that have lists: it may have been opened after the backup that is restored.
pub(super) fn reaching(batch: Batch, authority: &Authority, of: &CertificateRecord) -> Result<Batch, IssueError> {
    let count = of.shard.map_or(0, |shard| shard.saturating_add(1));
    if count <= partitions(authority, &of.issuer)? {
        return Ok(batch);
    }
    Ok(batch.put(Partitions::key(&of.issuer), encode(&Partitions { count })?))
}

/// Notes that certificates of each issuer are put into so many parts from now on; it never forgets one.
pub fn note_partitions(authority: &Authority) -> Result<(), IssueError> {
    authority.issuers.values().try_for_each(|issuer| note_parts(authority, issuer))
}

/// The same for one issuer.
pub(super) fn note_parts(authority: &Authority, issuer: &Issuer) -> Result<(), IssueError> {
    let count = authority.rules.crl.partitions(issuer.policy_name());
    if count > partitions(authority, issuer.id())? {
        authority.store.commit(Batch::new().put(Partitions::key(issuer.id()), encode(&Partitions { count })?))?;
    }
    Ok(())
}
