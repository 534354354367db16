//! The life of evidence: items stand in the commit that makes them true ([`crate::record::evidence`]), are signed in
//! batches soon after, and are handed out with all that proves them.

mod court;
mod export;
mod seal;
mod signer;
mod stamp;

use pki::cms::SealError;
use runtime::exit::{Exit, Problem};
use store::{CommitError, StoreError};

use crate::bureau::trust::TrustError;
use crate::record::RecordError;
use crate::record::evidence::ReadError;
use crate::tls::TlsError;
use runtime::revocation::RevocationError;

pub use court::{CourtWanted, Package, court};
pub use export::{Exported, Wanted, export};
pub(in crate::flow) use seal::Ready;
pub use seal::{Sealed, seal, unsigned};
pub use signer::{Installed, install, request};
pub use stamp::{RemoteTimestamps, TimestampAuthority, stamp, unstamped};

#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("no certificate for evidence is installed; run `mailgw evidence request`, have it issued under delivery-evidence, then `mailgw evidence install`")]
    NoSigner,
    #[error("the certificate is of no key made here; make a request with `mailgw evidence request` and have that one certified")]
    OtherKey,
    #[error("{bureau} has no evidence of batch {batch}; look at the names in its manifest")]
    UnknownPush { bureau: String, batch: String },
    #[error("batch {batch} has no row {row} with evidence; its rows are numbered from 1, after the header")]
    UnknownRow { batch: String, row: u64 },
    #[error("the timestamp authority does not stamp: {reason}; evidence waits for it, signed")]
    Timestamp { reason: String },
    #[error("the order is 1 to 200 characters on one line; write it as the court or office numbers it")]
    Order,
    #[error("{statement} is no statement that can be proved: it was not delivered, or its message is in the mailbox no more")]
    UnknownStatement { statement: String },
    #[error("the message cannot be read: {reason}; look at the store")]
    Mail { reason: String },
    #[error("{path} cannot be written: {reason}; name another file", path = path.display())]
    File { path: std::path::PathBuf, reason: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error(transparent)]
    Certificate(#[from] TlsError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for EvidenceError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<ReadError> for EvidenceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        let (exit, code) = match error {
            EvidenceError::Trust(error) => return error.into(),
            EvidenceError::Revocation(error) => return error.into(),
            EvidenceError::Certificate(error) => return error.into(),
            EvidenceError::NoSigner => (Exit::NotFound, "no-evidence-certificate"),
            EvidenceError::OtherKey => (Exit::Refused, "other-key"),
            EvidenceError::UnknownPush { .. } | EvidenceError::UnknownRow { .. } => (Exit::NotFound, "no-evidence"),
            EvidenceError::Timestamp { .. } => (Exit::Unavailable, "timestamp"),
            EvidenceError::Order => (Exit::Usage, "order"),
            EvidenceError::UnknownStatement { .. } => (Exit::NotFound, "unknown-statement"),
            EvidenceError::Mail { .. } => (Exit::Unavailable, "mail"),
            EvidenceError::File { .. } => (Exit::Unavailable, "file"),
            EvidenceError::Seal(_) => (Exit::Unavailable, "sealing"),
            EvidenceError::Key(ref error) => crate::problem::key_class(error),
            EvidenceError::Record(_) => (Exit::Damaged, "store-damaged"),
            EvidenceError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}
