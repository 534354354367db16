//! The end of certificates that another took the place of: once their days beside it are over, they are revoked.

use store::{Batch, Expectation};

use super::authorise::{Actor, Authorised, Operator};
use super::revoke::{Revoke, revoke_as};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Act, CertificateRecord, Outgoing, Status, decode, serial_text};
use crate::register;

/// What is due is worked off in portions, so that a turn of the jobs stays short.
const PORTION: usize = 100;

/// Revokes what is due, a portion at a time; how many were.
pub fn due(authority: &Authority, authorised: &Authorised<Operator>) -> Result<usize, IssueError> {
    let (from, to) = Outgoing::due(authority.clock.now().unix_timestamp());
    let mut revoked = 0;
    for (key, stored) in authority.store.scan(&from, &to, PORTION)? {
        revoked += usize::from(one(authority, authorised.actor(), &key, stored)?);
    }
    Ok(revoked)
}

/// The end of one certificate whose time has come, at once.
pub(super) fn end(authority: &Authority, by: &Actor, old: &[u8], at: i64) -> Result<(), IssueError> {
    let key = Outgoing::key(at, old);
    match authority.store.get(&key)? {
        Some(stored) => one(authority, by, &key, stored).map(|_| ()),
        None => Ok(()),
    }
}

fn one(authority: &Authority, by: &Actor, key: &store::Key, stored: Vec<u8>) -> Result<bool, IssueError> {
    // 1. Whether it is still to be: what was revoked before or has ended is done with, and a holder whose renewed
    //    certificate was revoked meanwhile keeps the old one.
    let outgoing: Outgoing = decode(&stored).map_err(|_| IssueError::Damaged { what: "a certificate that is to end" })?;
    let (old, new) = (register::serial(&outgoing.old)?, register::serial(&outgoing.new)?);
    let found = register::get(&*authority.store, &old)?;
    let alone = outgoing.act == Act::Renewed && matches!(register::find(&*authority.store, &new)?, Some(CertificateRecord { status: Status::Revoked(_), .. }));
    let over = found.not_after < authority.clock.now().unix_timestamp();
    // 2. On the line of every revocation.
    let done = if alone || over {
        false
    } else {
        match revoke_as(authority, by, &Revoke { serial: serial_text(&old), reason: outgoing.ends.reason, at: None, invalid_since: None }) {
            Ok(_) => true,
            Err(IssueError::AlreadyRevoked { .. }) => false,
            Err(error) => return Err(error),
        }
    };
    // 3. Done with; after a crash before this it is found revoked.
    authority.store.commit(Batch::new().expect(Expectation::Equals(key.clone(), stored)).delete(key.clone()))?;
    Ok(done)
}
