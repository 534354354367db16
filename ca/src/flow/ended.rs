//! What leaves a list: a certificate that ended is on the next list once more, and on none after that.

use store::{Batch, Key};
use x509_parser::revocation_list::RevokedCertificate;

use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::CertificateRecord;

/// Ended certificates looked at for one list: a list is never held up by them.
const MOST: usize = 10_000;

/// What is to be left out of the lists after the one that is about to be recorded.
pub(super) struct Ended {
    issuer: String,
    serials: Vec<Vec<u8>>,
    /// The place in the index of ends up to which it has been looked.
    seen: Option<Vec<u8>>,
}

impl Ended {
    /// Those `listed`, in the order of their serials, that ended before the list's `this_update`. A revocation recorded
    /// after its certificate's end, and after the index was read so far, stays on the lists for good.
    // spec: rfc5280#3.3 (an entry stays until one list after the certificate's end)
    pub(super) fn read(authority: &Authority, issuer: &str, listed: &[RevokedCertificate<'_>], this_update: i64) -> Result<Self, IssueError> {
        let from = match authority.store.get(&place(issuer))? {
            Some(seen) => {
                let (end, serial) = seen.split_first_chunk::<8>().ok_or(IssueError::Damaged { what: "the place of ended certificates" })?;
                CertificateRecord::by_expiry(i64::from_be_bytes(*end), serial).successor()
            }
            None => CertificateRecord::by_expiry(0, &[]),
        };
        let page = authority.store.scan(&from, &CertificateRecord::by_expiry(this_update, &[]), MOST)?;
        let mut ended = Self { issuer: issuer.to_owned(), serials: Vec::new(), seen: None };
        for (_, serial) in &page {
            if listed.binary_search_by(|entry| entry.raw_serial().cmp(serial)).is_ok() {
                ended.serials.push(serial.clone());
            }
        }
        if let Some((_, last)) = page.last() {
            let record = crate::register::get(&*authority.store, last)?;
            ended.seen = Some([&record.not_after.max(0).to_be_bytes()[..], last].concat());
        }
        Ok(ended)
    }

    /// In the commit that makes the list the published one.
    pub(super) fn left_out(&self, batch: Batch) -> Batch {
        let batch = self.serials.iter().fold(batch, |batch, serial| batch.delete(CertificateRecord::revoked(&self.issuer, serial)));
        match &self.seen {
            Some(seen) => batch.put(place(&self.issuer), seen.clone()),
            None => batch,
        }
    }
}

fn place(issuer: &str) -> Key {
    Key::new("crl-ended", &[issuer.as_bytes()])
}
