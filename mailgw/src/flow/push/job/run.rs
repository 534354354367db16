//! How a job's rows are delivered, or tried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use store::{Batch, CommitError, Expectation};

use super::upload::receiving;
use super::{ATTEMPTS, JobError, Jobs, counts, find, place, said};
use crate::flow::push::announced::Words;
use crate::flow::push::file::{Pieces, Source};
use crate::flow::push::trial::{self, Trial, Tried};
use crate::flow::push::{Progress, PushError, held, push_from, report};
use crate::gateway::Gateway;
use crate::record::job::{Job, State, piece_key};
use crate::record::push::{PushBatch, batch_key};
use crate::sealer::Seal;

/// Whether a job may be tried: its rows are awaited, and they are few enough.
pub fn may_be_tried(gateway: &Gateway, at: (&str, &str)) -> Result<u64, JobError> {
    let (job, _) = find(gateway, at.0, at.1)?;
    receiving(&job, "tried")?;
    let limit = gateway.push_limits.recipients_per_hour;
    if job.rows > u64::from(limit) { Err(PushError::TrialTooLong { rows: job.rows, limit }.into()) } else { Ok(job.rows) }
}

/// Judges the rows that have come, with nothing delivered, and forgets the job: the same batch may be opened again, with these rows or
/// others. That it was tried is in the log, in the commit that forgets it.
pub fn dry_run(gateway: &Gateway, lists: &RevocationLists, jobs: &Jobs, at: (&str, &str)) -> Result<Trial, JobError> {
    let (bureau, batch) = at;
    may_be_tried(gateway, at)?;
    let (job, before) = find(gateway, bureau, batch)?;
    let tried = Tried { words: Words { manifest: &job.manifest, signature: &job.signature }, rows: &source(gateway, &job), shown: usize::try_from(job.rows).unwrap_or(0) };
    let (trial, said) = trial::judge(gateway, lists, &tried, &mut |_| true, &mut |_| Ok(()))?;
    let mut write = (0..job.pieces).fold(Batch::new().expect(Expectation::Equals(Job::key(bureau, batch), before)), |write, number| write.delete(piece_key(bureau, batch, number)));
    write = held::over(write, &job).delete(Job::key(bureau, batch));
    said.append(&mut write, gateway.now_unix_millis())?;
    match gateway.store.commit(write) {
        Err(CommitError::Conflict { .. }) => return Err(JobError::Changed { batch: batch.to_owned() }),
        done => drop(done?),
    }
    jobs.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&place(bureau, batch));
    Ok(trial)
}

/// What became of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ended, refused or paused.
    Done,
    /// Somebody else delivers it now.
    Elsewhere,
    /// To be tried again, and why.
    Later(String),
}

/// Delivers a closed job, as far as it comes: `go_on` is asked after every block.
pub fn run(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, jobs: &Jobs, at: (&str, &str), go_on: &dyn Fn() -> bool) -> Result<Turn, JobError> {
    let (bureau, batch) = at;
    jobs.watch(gateway, bureau, batch)?;
    if !jobs.begin(bureau, batch) {
        return Ok(Turn::Elsewhere);
    }
    let _running = Running { jobs, at };
    // A panic of whichever step, the commit's own thread included, leaves what is durable as it is: the job rests and is taken up again,
    // and whoever asks after it is told.
    let done = catch_unwind(AssertUnwindSafe(|| run_alone(gateway, sealer, lists, jobs, at, go_on)));
    done.unwrap_or_else(|_| Ok(broke_off(jobs, at)))
}

/// Told to whoever follows the job.
fn broke_off(jobs: &Jobs, (bureau, batch): (&str, &str)) -> Turn {
    let reason = "the delivery broke off".to_owned();
    jobs.tell(bureau, batch, |shown| shown.trouble = Some(reason.clone()));
    Turn::Later(reason)
}

/// A job that is being delivered, until this is dropped, whatever happens in between.
struct Running<'a> {
    jobs: &'a Jobs,
    at: (&'a str, &'a str),
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.jobs.ended(self.at.0, self.at.1);
    }
}

fn run_alone(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, jobs: &Jobs, at: (&str, &str), go_on: &dyn Fn() -> bool) -> Result<Turn, JobError> {
    let (bureau, batch) = at;
    let (job, _) = find(gateway, bureau, batch)?;
    if job.state != State::Closed {
        return Ok(Turn::Done);
    }
    let source = source(gateway, &job);
    // What was delivered before is counted from the start: counts never go back.
    let seen = counts(gateway, &job)?;
    let words = Words { manifest: &job.manifest, signature: &job.signature };
    let mut progress = |so_far: Progress| {
        if so_far.done >= seen.all() {
            jobs.tell(bureau, batch, |shown| (shown.counts, shown.trouble) = (so_far.counts, None));
        }
        go_on() && find(gateway, bureau, batch).is_ok_and(|(job, _)| job.state == State::Closed)
    };
    let done = push_from(gateway, sealer, lists, words, &source, None, &mut progress);
    let begun = gateway.store.get(&batch_key(bureau, batch))?.is_some();
    match done {
        Ok(report) => {
            jobs.tell(bureau, batch, |shown| shown.counts = report.counts);
            if let Some(mended) = gateway.store.get(&batch_key(bureau, batch))?.map(|bytes| PushBatch::decode(&bytes)).transpose()?.and_then(|record| record.mends) {
                let counts = report::counts(gateway, bureau, &mended)?;
                jobs.tell(bureau, &mended, |shown| shown.counts = counts);
            }
            finish(gateway, jobs, at, State::Ended)
        }
        // Nobody paused it and nobody shuts down: something broke off.
        Err(PushError::Stopped) if go_on() && find(gateway, bureau, batch)?.0.state == State::Closed => Ok(broke_off(jobs, at)),
        Err(PushError::Stopped) => Ok(Turn::Done),
        Err(error) => {
            let problem = Problem::from(error);
            // Nothing was delivered, and nothing that waits would change that.
            if !begun && matches!(problem.exit, Exit::Refused | Exit::Usage | Exit::Conflict | Exit::NotFound) {
                let Problem { code, message, next, .. } = problem;
                return finish(gateway, jobs, at, State::Refused { code, message: format!("{message}; {next}") });
            }
            jobs.tell(bureau, batch, |shown| shown.trouble = Some(problem.message.clone()));
            Ok(Turn::Later(problem.message))
        }
    }
}

fn source(gateway: &Gateway, job: &Job) -> Source {
    let (store, key) = (gateway.store.clone(), gateway.directory_key.clone());
    Source::Pieces(Pieces { store, key, bureau: job.bureau.clone(), batch: job.batch.clone(), count: job.pieces, format: job.format })
}

fn finish(gateway: &Gateway, jobs: &Jobs, at: (&str, &str), state: State) -> Result<Turn, JobError> {
    let (bureau, batch) = at;
    for _ in 0..ATTEMPTS {
        let (mut job, before) = find(gateway, bureau, batch)?;
        if job.state.is_final() {
            return Ok(Turn::Done);
        }
        (job.state, job.touched_unix_millis) = (state.clone(), gateway.now_unix_millis());
        let mut write = Batch::new().expect(Expectation::Equals(Job::key(bureau, batch), before)).put(Job::key(bureau, batch), job.encode()?);
        said(&job).append(&mut write, gateway.now_unix_millis())?;
        match gateway.store.commit(write) {
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                jobs.told(gateway, &job)?;
                held::throw_away(gateway, &job)?;
                return Ok(Turn::Done);
            }
        }
    }
    Ok(Turn::Later("the job is changed again and again".into()))
}
