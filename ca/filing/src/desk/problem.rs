//! The one place where what went wrong at the desk becomes an exit code and a problem.

use keys::KeyError;
use runtime::exit::{Exit, Problem};
use store::{CommitError, StoreError};

use super::record::RecordError;

/// What ends a request that no check of a filing ends.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Data(#[from] keys::DataKeyError),
    #[error("{what} cannot be reached: {reason}; try again in a moment, nothing was recorded")]
    Away { what: &'static str, reason: String },
    #[error("the filing is recorded and its receipt not sealed yet: {reason}; ask for it at /filings/{filing} in a moment")]
    Pending { filing: String, reason: String },
    #[error("a receipt cannot be sealed: {0}; look at the bureau's sealing certificate")]
    Seal(String),
    #[error("{bureau} has no sealing certificate here; make one with `filing desk bureau request` and `filing desk bureau set`")]
    NoSeal { bureau: String },
    #[error("the seal of {bureau} cannot be used: {reason}; come again later, nothing was recorded. The bureau sets another with `filing desk bureau set`")]
    SealUnfit { bureau: String, reason: String },
    #[error("there is no {what} {id}; check its number")]
    NotFound { what: &'static str, id: String },
    #[error("{0}")]
    Request(String),
    #[error("you are {caller}, and this is another enterprise's; use its certificate or a mandate of it")]
    NotYours { caller: String },
    #[error("no certificate was shown; call with your enterprise's")]
    NoCertificate,
    #[error("the certificate you call with is not accepted: {reason}; call with your enterprise's")]
    Caller { reason: String },
    #[error("the enterprise took back the authorisation of the key you call with, or its last day is over; have it authorised anew with `filing operator authorise`, or call with another certificate")]
    OperatorEnded,
    #[error("a filing that is {from} does not become {to}; see where it stands with `filing desk show`")]
    Transition { from: &'static str, to: &'static str },
    #[error("others changed it at this moment, again and again; try again")]
    Busy,
    #[error("so many {what} come in now that there is no place to wait; come again after {seconds} s")]
    Full { what: &'static str, seconds: u32 },
    #[error("{what} came too fast; come again after {seconds} s")]
    TooFast { what: &'static str, seconds: i64 },
    #[error("the system gave no randomness; try again")]
    Randomness,
    #[error("{path}: {reason}; look at the disk", path = path.display())]
    File { path: std::path::PathBuf, reason: String },
}

impl From<super::record::archive::RecordStoreError> for DeskError {
    fn from(error: super::record::archive::RecordStoreError) -> Self {
        match error {
            super::record::archive::RecordStoreError::Record(error) => error.into(),
            super::record::archive::RecordStoreError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

/// Every message here is written as `what is wrong; what to do`.
pub(crate) fn told(exit: Exit, code: &'static str, text: &str) -> Problem {
    let (message, next) = text.rsplit_once("; ").unwrap_or((text, "correct it and try again"));
    Problem::new(exit, code, message, next)
}

pub(crate) fn key_class(error: &KeyError) -> (Exit, &'static str) {
    match error {
        KeyError::WrongPassphrase | KeyError::Mode { .. } => (Exit::Denied, "keys"),
        KeyError::Damaged { .. } => (Exit::Damaged, "keys"),
        KeyError::Exists { .. } | KeyError::Taken { .. } => (Exit::Conflict, "keys"),
        KeyError::NotFound { .. } => (Exit::NotFound, "keys"),
        _ => (Exit::Unavailable, "keys"),
    }
}

pub(crate) fn store_class(error: &CommitError) -> (Exit, &'static str) {
    match error {
        CommitError::Conflict { .. } => (Exit::Conflict, "conflict"),
        CommitError::Store(StoreError::Corrupt { .. }) => (Exit::Damaged, "store-damaged"),
        _ => (Exit::Unavailable, "store-unavailable"),
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let (exit, code) = match &error {
            DeskError::Record(_) | DeskError::Data(_) => (Exit::Damaged, "store-damaged"),
            DeskError::Commit(error) => store_class(error),
            DeskError::Key(error) => key_class(error),
            DeskError::Away { .. } => (Exit::Unavailable, "away"),
            DeskError::Pending { .. } => (Exit::Unavailable, "receipt-pending"),
            DeskError::Seal(_) => (Exit::Internal, "seal"),
            DeskError::NoSeal { .. } => (Exit::Unavailable, "no-seal"),
            DeskError::SealUnfit { .. } => (Exit::Unavailable, "seal-unfit"),
            DeskError::NotFound { .. } => (Exit::NotFound, "not-found"),
            DeskError::Request(_) => (Exit::Usage, "request"),
            DeskError::NotYours { .. } => (Exit::Denied, "not-yours"),
            DeskError::NoCertificate => (Exit::Denied, "no-certificate"),
            DeskError::Caller { .. } => (Exit::Denied, "certificate"),
            DeskError::OperatorEnded => (Exit::Denied, "operator-ended"),
            DeskError::Transition { .. } => (Exit::Conflict, "transition"),
            DeskError::Busy => (Exit::Conflict, "busy"),
            DeskError::Full { .. } => (Exit::Unavailable, "full"),
            DeskError::TooFast { .. } => (Exit::Unavailable, "too-fast"),
            DeskError::Randomness => (Exit::Unavailable, "randomness"),
            DeskError::File { .. } => (Exit::Unavailable, "file"),
        };
        told(exit, code, &error.to_string())
    }
}
