//! What leaves a list: a certificate that ended is on the next list once more, and on none after that.

use std::collections::HashSet;

use store::Batch;
use time::OffsetDateTime;

use super::listing;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Scope};

/// Ended certificates looked at for one list: a list is never held up by them.
const MOST: usize = 10_000;

/// What is to be left out of the lists of a scope after the one that is about to be recorded.
pub(super) struct Ended {
    issuer: String,
    scope: Scope,
    /// Certificates that ended, of every issuer, and of them those seen on the list.
    among: HashSet<Vec<u8>>,
    serials: Vec<Vec<u8>>,
    /// The place in the index of ends up to which it has been looked.
    seen: Option<Vec<u8>>,
}

impl Ended {
    /// Those that ended before the list's `this_update`. A revocation recorded after its certificate's end, and after the
    /// index was read so far, stays on the lists for good. A delta takes off what the whole list left out.
    // spec: rfc5280#3.3 (an entry stays until one list after the certificate's end)
    pub(super) fn read(authority: &Authority, issuer: &str, scope: Scope, this_update: i64) -> Result<Self, IssueError> {
        let mut ended = Self { issuer: issuer.to_owned(), scope, among: HashSet::new(), serials: Vec::new(), seen: None };
        if scope == Scope::Delta {
            return Ok(ended);
        }
        let from = match authority.store.get(&scope.ended(issuer))? {
            Some(seen) => {
                let (end, serial) = seen.split_first_chunk::<8>().ok_or(IssueError::Damaged { what: "the place of ended certificates" })?;
                CertificateRecord::by_expiry(i64::from_be_bytes(*end), serial).successor()
            }
            None => CertificateRecord::by_expiry(0, &[]),
        };
        let page = authority.store.scan(&from, &CertificateRecord::by_expiry(this_update, &[]), MOST)?;
        if let Some((_, last)) = page.last() {
            let record = crate::register::get(&*authority.store, last)?;
            ended.seen = Some([&record.not_after.max(0).to_be_bytes()[..], last].concat());
        }
        ended.among = page.into_iter().map(|(_, serial)| serial).collect();
        Ok(ended)
    }

    /// An entry of the list.
    pub(super) fn see(&mut self, serial: &[u8]) {
        if !self.among.is_empty() && self.among.contains(serial) {
            self.serials.push(serial.to_vec());
        }
    }

    /// In the commit that makes the list the published one.
    pub(super) fn left_out(&self, mut batch: Batch, now: OffsetDateTime) -> Batch {
        for serial in &self.serials {
            batch = match self.scope {
                Scope::Shard(shard) => batch.delete(CertificateRecord::revoked_in(&self.issuer, shard, serial)),
                _ => {
                    let (batch, number) = listing::changed(batch.delete(CertificateRecord::revoked(&self.issuer, serial)), &self.issuer, serial, now);
                    listing::stale(batch, &self.issuer, Scope::Delta, number)
                }
            };
        }
        match &self.seen {
            Some(seen) => batch.put(self.scope.ended(&self.issuer), seen.clone()),
            None => batch,
        }
    }
}
