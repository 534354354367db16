//! Why a push is refused or breaks off, and what to do about it.

use std::path::PathBuf;

use pki::asn1::DerError;
use policies::sender::LetterHeaderError;
use policies::statement::{HeaderError, Period, TotalsError};
use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationError;
use store::{CommitError, StoreError};

use super::FileError;
use super::announced::MAX_SIGNATURE;
use crate::bureau::BureauError;
use crate::bureau::manifest::ManifestError;
use crate::bureau::trust::TrustError;
use crate::directory::DirectoryError;
use crate::flow::enrolment::EnrolmentError;
use crate::flow::evidence::EvidenceError;
use crate::mailbox::MailError;
use crate::record::RecordError;
use crate::record::evidence::ReadError;

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error("the registered certificate of the bureau cannot be read: {0}; register the bureau again")]
    Certificate(#[from] DerError),
    #[error("{bureau} may not send messages of kind {kind}; have the kind added with `mailgw bureau set --kind {kind}`, and its policy name the bureau")]
    Kind { bureau: String, kind: String },
    #[error("the manifest is of {period}, a month that has not begun; push its statements in that month or after it")]
    FutureMonth { period: Period },
    #[error("nothing was delivered, the file does not fit its kind: {0}")]
    LetterHeader(#[from] LetterHeaderError),
    #[error("batch {batch} was pushed before with another manifest; give a corrected file a new batch_id")]
    OtherManifest { batch: String },
    #[error("the signature has more than {MAX_SIGNATURE} bytes; send the detached signature without CRLs")]
    Signature,
    #[error("rows of batch {batch} cannot be mended by this one: {reason}")]
    NotMendable { batch: String, reason: &'static str },
    #[error("rows of batch {batch} are being mended; ask for its report when that has ended")]
    BeingMended { batch: String },
    #[error("nothing was delivered, a file of withdrawals has one column, stmt_id; write a statement's number in each row")]
    Withdrawals,
    #[error("nothing was delivered, the file does not fit its kind: {0}")]
    Header(#[from] HeaderError),
    #[error("nothing was delivered, the file is not the one the manifest speaks of: {0}")]
    Totals(#[from] TotalsError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the report cannot go to {path}: {reason}; name another file: nothing was pushed", path = path.display())]
    ReportPlace { path: PathBuf, reason: String },
    #[error("the report cannot be written to {path}: {reason}; the push itself has ended: ask for the report again", path = path.display())]
    Report { path: PathBuf, reason: String },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the sealer seals for {bureau} with another certificate than the registered one; give both the same with `mailgw bureau set` and `mailgw sealer bureau`")]
    OtherSeal { bureau: String },
    /// The sealer's own words.
    #[error("{}", .0.message)]
    Sealer(Problem),
    #[error("{rows} rows are more than a bureau may have tried at once, which is {limit}; try a part of them, or ask the gateway's operator for `mailgw push --dry-run`; the rows that were sent wait for their push, or for `--cancel`")]
    TrialTooLong { rows: u64, limit: u32 },
    #[error("{batch} is no batch that was begun; look at the name in its manifest")]
    UnknownBatch { batch: String },
    #[error("{statement} is no statement that this bureau delivered; look at the number in its report")]
    UnknownStatement { statement: String },
    #[error("batch {batch} was pushed before final reports were made; its evidence tells of each row")]
    BeforeReports { batch: String },
    #[error("batch {batch} was delivered, and what was remembered of it has ended with its days; nothing is delivered twice")]
    Removed { batch: String },
    #[error("the mail signature of a statement was not made: {0}; look at `mailgw dkim show`, and push again")]
    Dkim(#[from] keys::DkimFailure),
    #[error("batch {batch} is {state} and nothing of it was delivered, so there is no report; ask for the job, which says why")]
    NothingDelivered { batch: String, state: &'static str },
    #[error("batch {batch} has not ended; ask for its report when every row has its outcome")]
    NotEnded { batch: String },
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("the push was stopped because the service is ending; push again to go on")]
    Stopped,
    #[error("the push broke off by a fault of this program, and what it had delivered stands; push again to go on, and report this with the service's own log")]
    BrokeOff,
}

impl From<ReadError> for PushError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<StoreError> for PushError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        let (exit, code) = match error {
            PushError::Manifest(error) => return error.into(),
            PushError::Bureau(error) => return error.into(),
            PushError::Trust(error) => return error.into(),
            PushError::Revocation(error) => return error.into(),
            PushError::Sealer(problem) => return problem,
            PushError::Evidence(error) => return error.into(),
            PushError::Enrolment(error) => return error.into(),
            PushError::TrialTooLong { .. } => (Exit::Refused, "dry-run-too-long"),
            PushError::Dkim(_) => (Exit::Unavailable, "dkim"),
            PushError::Removed { .. } => (Exit::NotFound, "removed"),
            PushError::BeforeReports { .. } => (Exit::NotFound, "no-report"),
            PushError::UnknownStatement { .. } => (Exit::NotFound, "unknown-statement"),
            PushError::UnknownBatch { .. } => (Exit::NotFound, "unknown-batch"),
            PushError::NothingDelivered { .. } => (Exit::NotFound, "no-report"),
            PushError::NotEnded { .. } => (Exit::Conflict, "not-ended"),
            PushError::Certificate(_) => (Exit::Damaged, "bureau-certificate"),
            PushError::Kind { .. } => (Exit::Refused, "kind-not-allowed"),
            PushError::FutureMonth { .. } => (Exit::Refused, "future-month"),
            PushError::OtherManifest { .. } => (Exit::Conflict, "other-manifest"),
            PushError::NotMendable { .. } => (Exit::Refused, "not-mendable"),
            PushError::BeingMended { .. } => (Exit::Conflict, "being-mended"),
            PushError::Withdrawals => (Exit::Refused, "header"),
            PushError::Signature => (Exit::Usage, "manifest-signature"),
            PushError::LetterHeader(_) => (Exit::Refused, "header"),
            PushError::Header(_) => (Exit::Refused, "header"),
            PushError::Totals(_) => (Exit::Refused, "manifest-disagrees"),
            PushError::File(FileError::Unreadable { .. }) => (Exit::Usage, "file"),
            PushError::File(FileError::Changed) => (Exit::Conflict, "file-changed"),
            PushError::File(_) => (Exit::Refused, "file"),
            PushError::ReportPlace { .. } => (Exit::Usage, "report"),
            PushError::Report { .. } => (Exit::Unavailable, "report"),
            PushError::Directory(error) => return error.into(),
            PushError::Mail(MailError::Record(_)) | PushError::Record(_) => (Exit::Damaged, "store-damaged"),
            PushError::Mail(_) => (Exit::Unavailable, "delivery"),
            PushError::Commit(ref error) => crate::problem::store_class(error),
            PushError::OtherSeal { .. } => (Exit::Conflict, "other-seal"),
            PushError::Stopped => (Exit::Unavailable, "stopped"),
            PushError::BrokeOff => (Exit::Internal, "broke-off"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}
