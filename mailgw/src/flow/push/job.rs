//! A push that a bureau's own system sends over the network: opened with its signed manifest, its rows taken piece by
//! piece, closed, then delivered by the same straight line as any other. Every step can be cut off and taken up again.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, StoreError};
use tokio::sync::{Notify, watch};

use super::file::{Pieces, Source};
use super::held;
use super::trial::{self, Trial, Tried};
use super::{Announced, Counts, Progress, PushError, Words, announced, known, push_from, report};
use crate::gateway::{Gateway, unix_millis};
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::record::job::{Format, Job, PIECE_BYTES, State, piece_key, seal_piece};
use crate::record::push::{PushBatch, batch_key};
use crate::record::{RecordError, body};
use crate::sealer::Seal;

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("the manifest is {said}'s batch {batch}, and this place is another's; send it to its own")]
    OtherPlace { said: String, batch: String },
    #[error("there is no job {batch}; open it with its manifest")]
    Unknown { batch: String },
    #[error("{limit} jobs of this bureau have not ended; end or cancel one")]
    TooMany { limit: u32 },
    #[error("job {batch} is {state}; {next}")]
    State { batch: String, state: &'static str, next: &'static str },
    #[error("{durable} bytes of the rows have come, and these begin at {from}; go on from {durable}, or send all anew from 0")]
    Offset { from: u64, durable: u64 },
    #[error("more than {limit} bytes came for {rows} rows; look whether the file is the manifest's")]
    TooLong { limit: u64, rows: u64 },
    #[error("the rows cannot be read: {reason}; go on from the byte that the job shows")]
    Broken { reason: String },
    #[error("the gateway holds as many rows of all bureaus as it may; go on from byte {durable} when some have been delivered")]
    Full { durable: u64 },
    #[error("job {batch} is being delivered; pause it, or wait for its end")]
    Busy { batch: String },
    #[error(transparent)]
    Push(Box<PushError>),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
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
            JobError::State { .. } => (Exit::Conflict, "job-state"),
            JobError::Offset { .. } => (Exit::Conflict, "offset"),
            JobError::TooLong { .. } => (Exit::Refused, "too-long"),
            JobError::Broken { .. } => (Exit::Usage, "rows-broken"),
            JobError::Full { .. } => (Exit::Unavailable, "rows-full"),
            JobError::Busy { .. } => (Exit::Conflict, "job-busy"),
            JobError::Record(_) => (Exit::Damaged, "store-damaged"),
            JobError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What opens a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// JSON, as signed.
    pub manifest: String,
    /// Detached CMS over the manifest's bytes, PEM.
    pub signature: String,
    pub format: Format,
}

/// A job as its bureau sees it. The counts and `waiting` are the manifest's rows at every instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownJob {
    pub bureau: String,
    pub batch: String,
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

    pub(super) fn first_trouble(&self, bureau: &str, batch: &str) -> bool {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner).insert(place(bureau, batch))
    }

    fn tell(&self, bureau: &str, batch: &str, change: impl FnOnce(&mut ShownJob)) {
        if let Some(live) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&place(bureau, batch)) {
            live.shown.send_modify(|shown| {
                change(shown);
                shown.waiting = shown.rows.saturating_sub(shown.counts.all());
                shown.version += 1;
            });
        }
    }

    fn told(&self, gateway: &Gateway, job: &Job) -> Result<ShownJob, JobError> {
        self.tell(&job.bureau, &job.batch, |shown| {
            (shown.state, shown.bytes, shown.trouble) = (job.state.word().to_owned(), job.bytes, trouble(&job.state));
        });
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
        }
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
pub(super) fn find(gateway: &Gateway, bureau: &str, batch: &str) -> Result<(Job, Vec<u8>), JobError> {
    let bytes = gateway.store.get(&Job::key(bureau, batch))?.ok_or_else(|| JobError::Unknown { batch: batch.to_owned() })?;
    Ok((Job::decode(&bytes)?, bytes))
}

fn said(job: &Job) -> Event {
    let (bureau, batch, state) = (job.bureau.clone(), job.batch.clone(), job.state.word().to_owned());
    Event::PushJobSet(event::PushJob { bureau, batch, manifest: crate::hex(&body::digest(job.manifest.as_bytes())), state })
}

/// Opens a job, or shows the one that is open: 1 the manifest is this bureau's and this batch's, signed, of a kind it may
/// send · 2 the batch has no other manifest · 3 there is room for one more · 4 durable, with its leaf of the log.
pub fn open(gateway: &Gateway, lists: &RevocationLists, jobs: &Jobs, at: (&str, &str), opening: Opening) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    let now = gateway.clock.now();
    // 1
    let words = Words { manifest: &opening.manifest, signature: &opening.signature };
    let Announced { code, signed, .. } = announced(gateway, lists, words, now)?;
    let manifest = signed.manifest();
    if code != bureau || manifest.batch_id().as_str() != batch {
        return Err(JobError::OtherPlace { said: code, batch: manifest.batch_id().as_str().to_owned() });
    }
    // 2
    known(gateway, bureau, &signed)?;
    if let Some(found) = gateway.store.get(&Job::key(bureau, batch))? {
        let job = Job::decode(&found)?;
        if job.manifest != opening.manifest {
            return Err(PushError::OtherManifest { batch: batch.to_owned() }.into());
        }
        return jobs.told(gateway, &job);
    }
    // 3
    let limit = gateway.push_limits.open_jobs;
    if held::open_of(gateway, bureau)? >= usize::try_from(limit).unwrap_or(usize::MAX) {
        return Err(JobError::TooMany { limit });
    }
    // 4
    let millis = unix_millis(now);
    let Opening { manifest: text, signature, format } = opening;
    let job = Job {
        bureau: bureau.to_owned(),
        batch: batch.to_owned(),
        manifest: text,
        signature,
        format,
        rows: manifest.rows(),
        state: State::Receiving,
        bytes: 0,
        pieces: 0,
        opened_unix_millis: millis,
        touched_unix_millis: millis,
    };
    let mut write = held::begun(Batch::new().expect(Expectation::Absent(Job::key(bureau, batch))).put(Job::key(bureau, batch), job.encode()?), &job)?;
    said(&job).append(&mut write, millis)?;
    match gateway.store.commit(write) {
        // Somebody opened it at the same moment: theirs is shown, if it is the same.
        Err(CommitError::Conflict { .. }) if find(gateway, bureau, batch)?.0.manifest != job.manifest => Err(PushError::OtherManifest { batch: batch.to_owned() }.into()),
        Err(CommitError::Conflict { .. }) => jobs.told(gateway, &find(gateway, bureau, batch)?.0),
        done => {
            done?;
            jobs.told(gateway, &job)
        }
    }
}

/// Takes rows, from the byte where the last ones ended, or from 0 to begin anew. What came before a connection broke stays.
pub fn append(gateway: &Gateway, jobs: &Jobs, at: (&str, &str), from: u64, mut rows: impl Read) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    let (mut job, mut before) = find(gateway, bureau, batch)?;
    receiving(&job)?;
    // What came at the first attempt goes in the commit that begins the second.
    let (mut fewer, mut former) = (0, 0..0);
    if from == 0 && job.bytes > 0 {
        (fewer, former) = (job.bytes, 0..job.pieces);
        (job.bytes, job.pieces) = (0, 0);
    }
    if from != job.bytes {
        return Err(JobError::Offset { from, durable: job.bytes });
    }
    let limit = gateway.push_limits.upload_bytes(job.rows);
    loop {
        let (piece, broken) = next_piece(&mut rows);
        if job.bytes.saturating_add(piece.len() as u64) > limit {
            return Err(JobError::TooLong { limit, rows: job.rows });
        }
        if !piece.is_empty() {
            if piece.len() as u64 > held::room(gateway)?.saturating_add(fewer) {
                return Err(JobError::Full { durable: find(gateway, bureau, batch)?.0.bytes });
            }
            let (here, place) = (job.bytes, piece_key(bureau, batch, job.pieces));
            let sealed = seal_piece(&place, &piece, &gateway.directory_key)?;
            (job.bytes, job.pieces, job.touched_unix_millis) = (job.bytes + piece.len() as u64, job.pieces + 1, gateway.now_unix_millis());
            let after = job.encode()?;
            let mut write = Batch::new().expect(Expectation::Equals(Job::key(bureau, batch), before));
            write = std::mem::take(&mut former).map(|number| piece_key(bureau, batch, number)).filter(|old| *old != place).fold(write, Batch::delete);
            held::count(&mut write, piece.len() as u64, std::mem::take(&mut fewer));
            write = write.put(place, sealed).put(Job::key(bureau, batch), after.as_slice());
            match gateway.store.commit(write) {
                // Another upload of the same job was faster: it is told how far that is.
                Err(CommitError::Conflict { .. }) => {
                    let (job, _) = find(gateway, bureau, batch)?;
                    receiving(&job)?;
                    return Err(JobError::Offset { from: here, durable: job.bytes });
                }
                done => drop(done?),
            }
            before = after;
        }
        match broken {
            None if piece.len() == PIECE_BYTES => {}
            None => return jobs.told(gateway, &job),
            Some(reason) => {
                jobs.told(gateway, &job)?;
                return Err(JobError::Broken { reason });
            }
        }
    }
}

fn receiving(job: &Job) -> Result<(), JobError> {
    if job.state == State::Receiving {
        return Ok(());
    }
    Err(JobError::State { batch: job.batch.clone(), state: job.state.word(), next: "rows are taken before it is closed" })
}

/// A full piece, or what came before the end or a break. Of octets that do not unpack nothing is kept.
fn next_piece(rows: &mut impl Read) -> (Vec<u8>, Option<String>) {
    let mut piece = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while piece.len() < PIECE_BYTES {
        let room = buffer.len().min(PIECE_BYTES - piece.len());
        match rows.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => piece.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let cut = matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::TimedOut);
                return (if cut { piece } else { Vec::new() }, Some(error.to_string().chars().take(120).collect()));
            }
        }
    }
    (piece, None)
}

/// What a bureau may do with its job.
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
    fn next(self, state: &State) -> Result<State, &'static str> {
        match (self, state) {
            (Self::Close, State::Receiving | State::Closed) | (Self::Resume, State::Paused | State::Closed) => Ok(State::Closed),
            (Self::Close, State::Ended) => Ok(State::Ended),
            (Self::Close, _) => Err("rows are awaited no more"),
            (Self::Pause, State::Closed | State::Paused) => Ok(State::Paused),
            (Self::Pause, _) => Err("only what is closed and has not ended is paused"),
            (Self::Resume, _) => Err("only what is paused is resumed"),
            (Self::Cancel, State::Receiving | State::Closed | State::Paused | State::Cancelled) => Ok(State::Cancelled),
            (Self::Cancel, _) => Err("it has ended"),
        }
    }
}

/// Does it, durably and with a leaf of the log.
pub fn act(gateway: &Gateway, jobs: &Jobs, at: (&str, &str), act: Act) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    for _ in 0..ATTEMPTS {
        let (mut job, before) = find(gateway, bureau, batch)?;
        let next = act.next(&job.state).map_err(|next| JobError::State { batch: batch.to_owned(), state: job.state.word(), next })?;
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
                return Err(JobError::State { batch: batch.to_owned(), state: "begun", next: "some of it was delivered: resume it, and withdraw what is wrong" });
            }
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                jobs.wake.notify_one();
                return jobs.told(gateway, &job);
            }
        }
    }
    Err(JobError::Busy { batch: batch.to_owned() })
}

/// Whether a job may be tried: its rows are awaited, and they are few enough.
pub fn may_be_tried(gateway: &Gateway, at: (&str, &str)) -> Result<u64, JobError> {
    let (job, _) = find(gateway, at.0, at.1)?;
    receiving(&job)?;
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
        Err(CommitError::Conflict { .. }) => return Err(JobError::Busy { batch: batch.to_owned() }),
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
    run_alone(gateway, sealer, lists, jobs, at, go_on)
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
        Err(PushError::Stopped) if go_on() && find(gateway, bureau, batch)?.0.state == State::Closed => Ok(Turn::Later("the delivery broke off".into())),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_done_with_a_job() {
        let refused = || State::Refused { code: "x".into(), message: "y".into() };
        let states = [State::Receiving, State::Closed, State::Paused, refused(), State::Cancelled, State::Ended];
        let next = |act: Act| states.iter().map(|state| act.next(state).ok()).collect::<Vec<_>>();
        let some = |state: State| Some(state);
        assert_eq!(next(Act::Close), [some(State::Closed), some(State::Closed), None, None, None, some(State::Ended)]);
        assert_eq!(next(Act::Pause), [None, some(State::Paused), some(State::Paused), None, None, None]);
        assert_eq!(next(Act::Resume), [None, some(State::Closed), some(State::Closed), None, None, None]);
        assert_eq!(next(Act::Cancel), [some(State::Cancelled), some(State::Cancelled), some(State::Cancelled), None, some(State::Cancelled), None]);
    }
}
