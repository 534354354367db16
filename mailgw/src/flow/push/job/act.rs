//! What a bureau may do with its job.

use store::{Batch, CommitError, Expectation};

use super::{ATTEMPTS, JobError, Jobs, ShownJob, find, said};
use crate::gateway::Gateway;
use crate::record::job::{Job, State};
use crate::record::push::batch_key;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// All rows have come.
    Close,
    Pause,
    Resume,
    /// Before anything was delivered.
    Cancel,
}

impl Act {
    /// The next state; the same one where it was done before. Pure.
    fn next(self, state: &State) -> Option<State> {
        match (self, state) {
            (Self::Close, State::Receiving | State::Closed) | (Self::Resume, State::Paused | State::Closed) => Some(State::Closed),
            (Self::Close, State::Ended) => Some(State::Ended),
            (Self::Pause, State::Closed | State::Paused) => Some(State::Paused),
            (Self::Cancel, State::Receiving | State::Closed | State::Paused | State::Cancelled) => Some(State::Cancelled),
            _ => None,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Close => "closed",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
        }
    }
}

/// Does it, durably and with a leaf of the log.
pub fn act(gateway: &Gateway, jobs: &Jobs, at: (&str, &str), act: Act) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    for _ in 0..ATTEMPTS {
        let (mut job, before) = find(gateway, bureau, batch)?;
        let next = act.next(&job.state).ok_or_else(|| JobError::state(&job, act.done()))?;
        if next == job.state {
            return jobs.told(gateway, &job);
        }
        let mut write = Batch::new().expect(Expectation::Equals(Job::key(bureau, batch), before));
        // Held until it is done, so that nobody begins to deliver what is given up.
        let cancelling = act == Act::Cancel;
        if cancelling {
            jobs.watch(gateway, bureau, batch)?;
            if !jobs.begin(bureau, batch) {
                return Err(JobError::Busy { batch: batch.to_owned() });
            }
            write = write.expect(Expectation::Absent(batch_key(bureau, batch)));
        }
        (job.state, job.touched_unix_millis) = (next, gateway.now_unix_millis());
        let mut write = write.put(Job::key(bureau, batch), job.encode()?);
        said(&job).append(&mut write, gateway.now_unix_millis())?;
        let done = gateway.store.commit(write);
        if cancelling {
            jobs.ended(bureau, batch);
        }
        match done {
            Err(CommitError::Conflict { .. }) if gateway.store.get(&batch_key(bureau, batch))?.is_some() && cancelling => {
                return Err(JobError::Begun { batch: batch.to_owned() });
            }
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                jobs.wake.notify_one();
                return jobs.told(gateway, &job);
            }
        }
    }
    Err(JobError::Changed { batch: batch.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_done_with_a_job() {
        let refused = || State::Refused { code: "x".into(), message: "y".into() };
        let states = [State::Receiving, State::Closed, State::Paused, refused(), State::Cancelled, State::Ended];
        let next = |act: Act| states.iter().map(|state| act.next(state)).collect::<Vec<_>>();
        let some = |state: State| Some(state);
        assert_eq!(next(Act::Close), [some(State::Closed), some(State::Closed), None, None, None, some(State::Ended)]);
        assert_eq!(next(Act::Pause), [None, some(State::Paused), some(State::Paused), None, None, None]);
        assert_eq!(next(Act::Resume), [None, some(State::Closed), some(State::Closed), None, None, None]);
        assert_eq!(next(Act::Cancel), [some(State::Cancelled), some(State::Cancelled), some(State::Cancelled), None, some(State::Cancelled), None]);
    }
}
