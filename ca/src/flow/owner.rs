//! Whose a key is: the first whom it was to be certified for, for ever. The same may have it certified again.

use store::{Batch, Expectation};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::KeyOwner;
use crate::register;

/// What is known of a key's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The key is new here, or certified before owners were recorded, for the same.
    Unwritten,
    Written,
}

/// Refuses a key that is another's.
pub fn judge(authority: &Authority, key_digest: &[u8], owner: KeyOwner) -> Result<Known, IssueError> {
    match authority.store.get(&KeyOwner::key(key_digest))? {
        Some(written) if written == owner.value() => Ok(Known::Written),
        Some(_) => Err(IssueError::KeyOfAnother),
        None => {
            for serial in register::of_key(&*authority.store, key_digest)? {
                let record = register::get(&*authority.store, &serial)?;
                let (_, read) = X509Certificate::from_der(&record.der).map_err(|_| IssueError::Damaged { what: "a certificate" })?;
                if KeyOwner::new(record.code.as_deref(), read.subject().as_raw()) != owner {
                    return Err(IssueError::KeyOfAnother);
                }
            }
            Ok(Known::Unwritten)
        }
    }
}

/// The commit holds only while what was known is so: of two who claim a key at the same moment one is refused.
pub fn claimed(batch: Batch, key_digest: &[u8], owner: KeyOwner, known: Known) -> Batch {
    let place = KeyOwner::key(key_digest);
    match known {
        Known::Unwritten => batch.expect(Expectation::Absent(place.clone())).put(place, owner.value()),
        Known::Written => batch.expect(Expectation::Equals(place, owner.value())),
    }
}
