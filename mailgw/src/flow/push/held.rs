//! What of pushes is held in the store beside their outcomes: jobs that are not over, and the rows that came for them. Each such job has
//! a mark, so that whoever looks for work reads those alone and not every job there ever was.

use policies::push::PushLimits;
use runtime::exit::Problem;
use store::{Batch, CommitError, Expectation, Key, Store, StoreError};

use super::job::{Act, JobError, Jobs, act, find};
use crate::gateway::Gateway;
use crate::mailbox::MailError;
use crate::record::RecordError;
use crate::record::job::{Job, State, held, held_key, held_place, held_range, pieces_range};

/// Marks looked at, or pieces thrown away, at a time.
const PAGE: usize = 256;
const DAY_MILLIS: u64 = 86_400_000;
/// The sum of the bytes of all rows that are held, unpacked.
const BYTES: &str = "push rows held";

/// Bytes of rows that may still come, of all bureaus together. Uploads that race can pass it by a piece each.
pub(super) fn room(gateway: &Gateway) -> Result<u64, StoreError> {
    Ok(gateway.push_limits.held_bytes().saturating_sub(gateway.store.sum(BYTES)?))
}

/// So many bytes of rows more, or fewer.
pub(super) fn count(write: &mut Batch, more: u64, fewer: u64) {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    write.add(BYTES, signed(more).saturating_sub(signed(fewer)));
}

/// A job that begins.
pub(super) fn begun(write: Batch, job: &Job) -> Result<Batch, RecordError> {
    Ok(write.put(held_key(&job.bureau, &job.batch), held(&job.bureau, &job.batch)?))
}

/// One whose pieces go in the same commit.
pub(super) fn over(mut write: Batch, job: &Job) -> Batch {
    count(&mut write, 0, job.bytes);
    let mark = held_key(&job.bureau, &job.batch);
    write.expect(Expectation::Present(mark.clone())).delete(mark)
}

/// The jobs of a bureau that have not ended; one that cannot be read counts.
pub(super) fn open_of(gateway: &Gateway, bureau: &str) -> Result<usize, JobError> {
    let mut open = 0;
    for (bureau, batch) in places(gateway, Some(bureau))? {
        let is_over = match find(gateway, &bureau, &batch) {
            Ok((job, _)) => job.state.is_final(),
            Err(JobError::Unknown { .. }) => true,
            Err(JobError::Record(_)) => false,
            Err(error) => return Err(error),
        };
        open += usize::from(!is_over);
    }
    Ok(open)
}

/// The jobs that wait for delivery; on the way what is over loses its rows, and what was abandoned is over. One that cannot be read, or
/// be done with, keeps none of the others.
pub fn waiting(gateway: &Gateway, jobs: &Jobs, limits: &PushLimits) -> Result<Vec<(String, String)>, JobError> {
    let now = gateway.now_unix_millis();
    let mut closed = Vec::new();
    for (bureau, batch) in places(gateway, None)? {
        let done = find(gateway, &bureau, &batch).and_then(|(job, _)| {
            let abandoned = now.saturating_sub(job.touched_unix_millis) > u64::from(limits.abandoned_days) * DAY_MILLIS;
            match job.state {
                State::Closed => closed.push((bureau.clone(), batch.clone())),
                State::Receiving if abandoned => drop(act(gateway, jobs, (&bureau, &batch), Act::Cancel)?),
                _ if job.state.is_final() => throw_away(gateway, &job)?,
                _ => {}
            }
            Ok(())
        });
        match done {
            Ok(()) => {}
            Err(JobError::Commit(error)) => tracing::warn!(bureau, batch, %error, "a job cannot be looked at now"),
            Err(error) => {
                if jobs.first_trouble(&bureau, &batch) {
                    let Problem { message, .. } = error.into();
                    tracing::error!(bureau, batch, message, "a job cannot be looked at; the others go on");
                }
            }
        }
    }
    Ok(closed)
}

/// The rows of a job that is over name persons, and nobody needs them any more.
pub(super) fn throw_away(gateway: &Gateway, job: &Job) -> Result<(), JobError> {
    let (mut job, before) = find(gateway, &job.bureau, &job.batch)?;
    // One that was refused may have been opened again meanwhile: its rows are others now.
    let key = Job::key(&job.bureau, &job.batch);
    let unchanged = || Batch::new().expect(Expectation::Equals(key.clone(), before.clone()));
    let (from, to) = pieces_range(&job.bureau, &job.batch);
    while job.state.is_final() {
        let found = gateway.store.scan(&from, &to, PAGE)?;
        let is_last = found.is_empty();
        let write = if is_last {
            job.pieces = 0;
            over(unchanged(), &job).put(key.clone(), job.encode()?)
        } else {
            found.into_iter().fold(unchanged(), |write, (key, _)| write.delete(key))
        };
        match gateway.store.commit(write) {
            // Somebody else did it, or it is done at the next look.
            Err(CommitError::Conflict { .. }) => return Ok(()),
            done => drop(done?),
        }
        if is_last {
            return Ok(());
        }
    }
    Ok(())
}

/// In the order of their marks.
fn places(gateway: &Gateway, bureau: Option<&str>) -> Result<Vec<(String, String)>, JobError> {
    let ((mut from, to), mut places) = (held_range(bureau), Vec::new());
    loop {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(places) };
        from = last.successor();
        for (_, mark) in &page {
            places.push(held_place(mark)?);
        }
    }
}

/// Stores of before jobs had marks: those that are not over get theirs. To be called once at opening; the second time it does nothing.
pub fn mark_held(store: &dyn Store) -> Result<(), MailError> {
    let done = Key::new("push jobs marked", &[]);
    if store.get(&done)?.is_some() {
        return Ok(());
    }
    let ((mut from, to), mut write) = (Job::range(None), Batch::new().expect(Expectation::Absent(done.clone())).put(done, vec![crate::record::VERSION]));
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        for (_, bytes) in &page {
            match Job::decode(bytes) {
                Ok(job) if !job.state.is_final() || job.pieces > 0 => {
                    count(&mut write, job.bytes, 0);
                    write = begun(write, &job)?;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "a job of before cannot be read; it is left as it is"),
            }
        }
    }
    match store.commit(write) {
        Err(CommitError::Conflict { .. }) => Ok(()),
        done => Ok(done.map(|_| ())?),
    }
}
