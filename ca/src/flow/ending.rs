//! The end of certificates that another took the place of: once their days beside it are over, they are revoked.

use store::{Batch, CommitError, Expectation, Key};

use super::authorise::{Actor, Authorised, Operator};
use super::revoke::{Revoke, several};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Act, CertificateRecord, Outgoing, Status, decode};
use crate::register;

/// What is due is worked off in portions, so that a turn of the jobs stays short.
const PORTION: usize = 500;

/// Revokes what is due, a portion at a time; how many were.
pub fn due(authority: &Authority, authorised: &Authorised<Operator>) -> Result<usize, IssueError> {
    let (from, to) = Outgoing::due(authority.clock.now().unix_timestamp());
    some(authority, authorised.actor(), &authority.store.scan(&from, &to, PORTION)?)
}

/// The end of one certificate whose time has come, at once.
pub(super) fn end(authority: &Authority, by: &Actor, old: &[u8], at: i64) -> Result<(), IssueError> {
    let key = Outgoing::key(at, old);
    match authority.store.get(&key)? {
        Some(stored) => some(authority, by, &[(key, stored)]).map(|_| ()),
        None => Ok(()),
    }
}

fn some(authority: &Authority, by: &Actor, entries: &[(Key, Vec<u8>)]) -> Result<usize, IssueError> {
    if entries.is_empty() {
        return Ok(0);
    }
    // 1. Which are still to be: what has ended is done with, and a holder whose renewed certificate, or whose new key, was
    //    revoked meanwhile keeps the old one.
    let mut orders = Vec::with_capacity(entries.len());
    for (_, stored) in entries {
        let outgoing: Outgoing = decode(stored).map_err(|_| IssueError::Damaged { what: "a certificate that is to end" })?;
        let found = register::get(&*authority.store, &register::serial(&outgoing.old)?)?;
        let new = register::find(&*authority.store, &register::serial(&outgoing.new)?)?;
        let alone = matches!(outgoing.act, Act::Renewed | Act::Rekeyed) && matches!(new, Some(CertificateRecord { status: Status::Revoked(_), .. }));
        if !alone && found.not_after >= authority.clock.now().unix_timestamp() {
            orders.push(Revoke { serial: outgoing.old, reason: outgoing.ends.reason, at: None, invalid_since: None });
        }
    }
    // 2. On the line of every revocation, and in the same commit they are no longer among what is due.
    let done = |batch: Batch, _: &[Result<(), IssueError>]| {
        Ok(entries.iter().fold(batch, |batch, (key, stored)| batch.expect(Expectation::Equals(key.clone(), stored.clone())).delete(key.clone())))
    };
    match several(authority, by, &orders, |_| Ok(()), done) {
        Ok(results) => Ok(results.iter().filter(|result| result.is_ok()).count()),
        // Somebody else ended one of them: what is left is due still.
        Err(IssueError::Commit(CommitError::Conflict { .. })) => Ok(0),
        Err(error) => Err(error),
    }
}
