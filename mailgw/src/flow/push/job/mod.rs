//! A push that a bureau's own system sends over the network: opened with its signed manifest, its rows taken piece by
//! piece, closed, then delivered by the same straight line as any other. Every step can be cut off and taken up again.

mod act;
mod error;
mod run;
mod upload;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::{Counts, report};
use crate::gateway::{Gateway, unix_millis};
use crate::record::body;
use crate::record::event::{self, Event};
use crate::record::job::{Job, State};

pub use act::{Act, act};
pub use error::JobError;
pub use run::{Turn, dry_run, may_be_tried, run};
pub use upload::{Opening, append, open};

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

/// Paused, and not at rest yet.
const PAUSING: &str = "pausing";

/// A job as its bureau sees it. The counts and `waiting` are the manifest's rows at every instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownJob {
    pub bureau: String,
    pub batch: String,
    /// `receiving`, `closed`, `paused`, `refused`, `cancelled` or `ended`; [`PAUSING`] while the rows under way when it was paused are
    /// still delivered.
    pub state: String,
    pub rows: u64,
    /// Bytes of the rows that are durable, unpacked: where an upload goes on.
    pub bytes: u64,
    #[serde(flatten)]
    pub counts: Counts,
    pub waiting: u64,
    /// Why nothing goes on, where that is so; delivery tries again by itself unless the job is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Another number after every change.
    pub version: u64,
}

/// What this process knows of jobs: who delivers, and what waits to be told.
#[derive(Default)]
pub struct Jobs {
    live: Mutex<HashMap<(String, String), Live>>,
    /// Those that could not be looked at, which is said once.
    troubled: Mutex<BTreeSet<(String, String)>>,
    /// Wakes whoever delivers.
    pub wake: Notify,
}

struct Live {
    running: bool,
    shown: watch::Sender<ShownJob>,
}

impl Jobs {
    /// The job as it is shown, and told of every change.
    pub fn watch(&self, gateway: &Gateway, bureau: &str, batch: &str) -> Result<watch::Receiver<ShownJob>, JobError> {
        if let Some(live) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&place(bureau, batch)) {
            return Ok(live.shown.subscribe());
        }
        let (job, _) = find(gateway, bureau, batch)?;
        let shown = ShownJob::new(&job, counts(gateway, &job)?, unix_millis(gateway.clock.now()));
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(live.entry(place(bureau, batch)).or_insert_with(|| Live { running: false, shown: watch::channel(shown).0 }).shown.subscribe())
    }

    pub(in crate::flow::push) fn first_trouble(&self, bureau: &str, batch: &str) -> bool {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner).insert(place(bureau, batch))
    }

    fn tell(&self, bureau: &str, batch: &str, change: impl FnOnce(&mut ShownJob)) {
        if let Some(live) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&place(bureau, batch)) {
            live.tell(change);
        }
    }

    fn told(&self, gateway: &Gateway, job: &Job) -> Result<ShownJob, JobError> {
        if let Some(live) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&place(&job.bureau, &job.batch)) {
            let state = if live.running && job.state == State::Paused { PAUSING } else { job.state.word() };
            live.tell(|shown| (shown.state, shown.bytes, shown.trouble) = (state.to_owned(), job.bytes, trouble(&job.state)));
        }
        Ok(self.watch(gateway, &job.bureau, &job.batch)?.borrow().clone())
    }

    /// Marks a job as being delivered; `false` when somebody delivers it already.
    fn begin(&self, bureau: &str, batch: &str) -> bool {
        match self.live.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&place(bureau, batch)) {
            Some(live) => !std::mem::replace(&mut live.running, true),
            None => false,
        }
    }

    fn ended(&self, bureau: &str, batch: &str) {
        if let Some(live) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&place(bureau, batch)) {
            live.running = false;
            if live.shown.borrow().state == PAUSING {
                live.tell(|shown| State::Paused.word().clone_into(&mut shown.state));
            }
        }
    }
}

impl Live {
    fn tell(&self, change: impl FnOnce(&mut ShownJob)) {
        self.shown.send_modify(|shown| {
            change(shown);
            shown.waiting = shown.rows.saturating_sub(shown.counts.all());
            shown.version += 1;
        });
    }
}

impl ShownJob {
    fn new(job: &Job, counts: Counts, version: u64) -> Self {
        let (state, trouble) = (job.state.word().to_owned(), trouble(&job.state));
        let waiting = job.rows.saturating_sub(counts.all());
        Self { bureau: job.bureau.clone(), batch: job.batch.clone(), state, rows: job.rows, bytes: job.bytes, counts, waiting, trouble, version }
    }
}

fn place(bureau: &str, batch: &str) -> (String, String) {
    (bureau.to_owned(), batch.to_owned())
}

fn trouble(state: &State) -> Option<String> {
    if let State::Refused { message, .. } = state { Some(message.clone()) } else { None }
}

fn counts(gateway: &Gateway, job: &Job) -> Result<Counts, JobError> {
    Ok(report::counts(gateway, &job.bureau, &job.batch)?)
}

/// A job and its record's bytes, which the next change expects.
pub(in crate::flow::push) fn find(gateway: &Gateway, bureau: &str, batch: &str) -> Result<(Job, Vec<u8>), JobError> {
    let bytes = gateway.store.get(&Job::key(bureau, batch))?.ok_or_else(|| JobError::Unknown { batch: batch.to_owned() })?;
    Ok((Job::decode(&bytes)?, bytes))
}

fn said(job: &Job) -> Event {
    let (bureau, batch, state) = (job.bureau.clone(), job.batch.clone(), job.state.word().to_owned());
    Event::PushJobSet(event::PushJob { bureau, batch, manifest: crate::hex(&body::digest(job.manifest.as_bytes())), state })
}
