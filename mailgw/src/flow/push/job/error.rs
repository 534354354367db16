//! Why a job is not opened, taken further or changed, and what to do about it.

use runtime::exit::{Exit, Problem};
use store::{CommitError, StoreError};

use crate::flow::push::PushError;
use crate::record::RecordError;
use crate::record::evidence::ReadError;
use crate::record::job::{Job, State};

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("the manifest is {said}'s batch {batch}, and this place is another's; send it to its own")]
    OtherPlace { said: String, batch: String },
    #[error("there is no job {batch}; open it with its manifest")]
    Unknown { batch: String },
    #[error("{limit} jobs of this bureau have not ended; end or cancel one")]
    TooMany { limit: u32 },
    #[error("job {batch} is {state} and cannot be {wanted}; {next}")]
    State { batch: String, state: &'static str, wanted: &'static str, next: &'static str },
    #[error("some of job {batch} was delivered, and it cannot be cancelled; resume it, and withdraw what is wrong by another batch")]
    Begun { batch: String },
    #[error("{durable} bytes of the rows have come, and these begin at {from}; go on from {durable}, or send all anew from 0")]
    Offset { from: u64, durable: u64 },
    #[error("more than {limit} bytes came for {rows} rows; look whether the file is the manifest's")]
    TooLong { limit: u64, rows: u64 },
    #[error("the rows cannot be read: {reason}; go on from the byte that the job shows")]
    Broken { reason: String },
    #[error("the gateway holds as many rows of all bureaus as it may; go on from byte {durable} when some have been delivered")]
    Full { durable: u64 },
    #[error("the rows of job {batch} are being worked on; pause it, ask until it is no more pausing, and say this again")]
    Busy { batch: String },
    #[error("job {batch} was changed at the same moment; say it again")]
    Changed { batch: String },
    #[error(transparent)]
    Push(Box<PushError>),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl JobError {
    /// What is wanted is not done to a job that stands where this one does.
    pub(super) fn state(job: &Job, wanted: &'static str) -> Self {
        let next = match job.state {
            State::Receiving => "send its rows, then close it, or cancel it",
            State::Closed => "wait for its end, or pause it",
            State::Paused => "resume it",
            State::Refused { .. } => "open it again with the same manifest, and send the manifest's rows from byte 0",
            State::Cancelled => "sign a manifest with a new batch_id for these rows, and open that",
            State::Ended => "ask for its outcomes and its report, and mend, supersede or withdraw by another batch what was wrong in it",
        };
        Self::State { batch: job.batch.clone(), state: job.state.word(), wanted, next }
    }
}

impl From<PushError> for JobError {
    fn from(error: PushError) -> Self {
        Self::Push(Box::new(error))
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<ReadError> for JobError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let (exit, code) = match error {
            JobError::Push(error) => return (*error).into(),
            JobError::OtherPlace { .. } => (Exit::Usage, "other-place"),
            JobError::Unknown { .. } => (Exit::NotFound, "unknown-job"),
            JobError::TooMany { .. } => (Exit::Unavailable, "too-many-jobs"),
            JobError::State { .. } | JobError::Begun { .. } => (Exit::Conflict, "job-state"),
            JobError::Offset { .. } => (Exit::Conflict, "offset"),
            JobError::TooLong { .. } => (Exit::Refused, "too-long"),
            JobError::Broken { .. } => (Exit::Usage, "rows-broken"),
            JobError::Full { .. } => (Exit::Unavailable, "rows-full"),
            JobError::Busy { .. } => (Exit::Conflict, "job-busy"),
            JobError::Changed { .. } => (Exit::Conflict, "job-changed"),
            JobError::Record(_) => (Exit::Damaged, "store-damaged"),
            JobError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}
