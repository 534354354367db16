//! One thread per store drains a queue and makes each group of batches durable with one flush.
//!
//! Group commit is what makes durability cheap: while one flush runs, the next group gathers.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::contract::{CommitError, Done, Receipt, Snapshot, Store, StoreError};
use crate::record::Stored;
use crate::plan::{Limits, State, Writes, decode, entry_key, length_key, plan};
use crate::recent::Recent;
use crate::sparse::{Few, Sparse};
use crate::watchdog::{OnDuty, Timer, Watchdog};
use crate::{Batch, Key, record};

/// The most batches that share one flush.
const GROUP: usize = 512;
/// A group that holds this much takes no further batch.
const GROUP_BYTES: usize = 16 << 20;
/// A batch of so many bytes does not wait behind larger ones: a flag that a person sets, behind five hundred statements.
const SMALL: usize = 64 << 10;
/// Batches that may wait; further committers wait to enter.
const QUEUE: usize = 4_096;

/// What an embedded engine does for the committer: values go in as they stand on disk, and so they come out of a scan.
pub(crate) trait Engine: Send + Sync + 'static {
    fn limits(&self) -> Limits;
    /// A value that was held against its checksum, without it.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;
    /// The same for the one thread that writes, between two writes.
    fn get_for_writer(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(key)
    }
    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError>;
    /// All of `writes` durable before it returns. An error says nothing of what was written. They are given away, so that a value
    /// of a hundred megabytes need not be there twice.
    fn write(&self, writes: Vec<(Key, Option<Stored>)>) -> Result<(), StoreError>;
    /// All that is durable now, as it stands on disk, without records of the engine's own.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;
}

/// A snapshot whose records are held against their checksums.
struct Checked(Box<dyn Snapshot>);

impl Snapshot for Checked {
    fn page(&self, after: Option<&Key>, bytes: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let found = guarded(|| self.0.page(after, bytes))?;
        found.into_iter().map(|(key, stored)| record::open(&key, stored).map(|value| (key, value))).collect()
    }
}

/// Engines panic on some damage and on some failures of the disk; here that is an error like any other.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What panicked is not used again: a failed opening leaves nothing behind, a failed write poisons, a read changes nothing.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(StoreError::Corrupt { reason: "the engine panicked".into() }))
}

struct Waiting {
    batch: Batch,
    answer: Done,
}

/// An engine, what is known to be absent of it, and what was read of it lately.
struct Records {
    engine: Arc<dyn Engine>,
    sparse: Sparse,
    recent: Recent,
}

impl Records {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, |engine| engine.get(key))
    }

    fn get_for_writer(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, |engine| engine.get_for_writer(key))
    }

    fn read(&self, key: &Key, read: impl FnOnce(&dyn Engine) -> Result<Option<Vec<u8>>, StoreError>) -> Result<Option<Vec<u8>>, StoreError> {
        if self.sparse.lacks(key) {
            return Ok(None);
        }
        match self.recent.get(key) {
            Ok(held) => Ok(held),
            Err(missing) => {
                let found = guarded(|| read(&*self.engine))?;
                self.recent.keep(missing, key, found.as_deref());
                Ok(found)
            }
        }
    }
}

/// An engine with its committer.
pub struct Embedded {
    records: Arc<Records>,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    _watchdog: OnDuty,
}

impl Embedded {
    pub(crate) fn start(engine: Arc<dyn Engine>, watchdog: Watchdog) -> Result<Self, StoreError> {
        let (queue, waiting) = sync_channel(QUEUE);
        let (watchdog, timer) = OnDuty::start(watchdog)?;
        let records = Arc::new(Records { engine, sparse: Sparse::default(), recent: Recent::default() });
        let worker = Arc::clone(&records);
        let thread = std::thread::Builder::new().name("store-committer".into()).spawn(move || drain(&worker, &waiting, &timer));
        let thread = thread.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok(Self { records, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), _watchdog: watchdog })
    }
}

impl Drop for Embedded {
    /// Lets what is queued finish before the engine is let go.
    fn drop(&mut self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        if let Some(thread) = self.thread.lock().ok().and_then(|mut thread| thread.take()) {
            let _ = thread.join();
        }
    }
}

/// The engine with the writes of the group so far laid over it.
struct Overlay<'a> {
    records: &'a Records,
    writes: &'a Writes,
}

impl State for Overlay<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.as_ref().map(|value| value.bytes().to_vec())),
            None => self.records.get_for_writer(key),
        }
    }
}

fn drain(records: &Records, waiting: &Receiver<Waiting>, timer: &Timer) {
    let (mut poisoned, mut backlog): (Option<String>, Backlog) = (None, Backlog::default());
    while let Some(group) = backlog.gather(waiting) {
        match &poisoned {
            None => poisoned = timer.time(|| commit(records, group)).err().map(|error| error.to_string()),
            Some(reason) => {
                for Waiting { answer, .. } in group {
                    answer(Err(CommitError::Poisoned { reason: reason.clone() }));
                }
            }
        }
    }
}

/// Large batches that small ones went ahead of.
#[derive(Default)]
struct Backlog {
    large: VecDeque<Waiting>,
    /// The group before went ahead: this one is for all.
    passed: bool,
}

impl Backlog {
    /// What waits, up to the bounds of a group: small batches by themselves, and in the next group the large ones that they went
    /// ahead of, before whatever came since. `None` when nobody can come any more.
    fn gather(&mut self, waiting: &Receiver<Waiting>) -> Option<Vec<Waiting>> {
        let (mut group, mut bytes) = (Vec::new(), 0_usize);
        let were_passed = std::mem::take(&mut self.passed);
        if were_passed {
            self.take_large(&mut group, &mut bytes);
        }
        let mut next = if self.large.is_empty() && group.is_empty() { Some(waiting.recv().ok()?) } else { waiting.try_recv().ok() };
        while let Some(one) = next {
            if one.batch.size() > SMALL {
                self.large.push_back(one);
            } else {
                bytes = bytes.saturating_add(one.batch.size());
                group.push(one);
            }
            let is_full = group.len() + self.large.len() >= GROUP || bytes >= GROUP_BYTES;
            next = if is_full { None } else { waiting.try_recv().ok() };
        }
        self.passed = !group.is_empty() && !self.large.is_empty() && !were_passed;
        if !self.passed {
            self.take_large(&mut group, &mut bytes);
        }
        Some(group)
    }

    fn take_large(&mut self, group: &mut Vec<Waiting>, bytes: &mut usize) {
        while group.len() < GROUP && *bytes < GROUP_BYTES {
            let Some(one) = self.large.pop_front() else { break };
            *bytes = bytes.saturating_add(one.batch.size());
            group.push(one);
        }
    }
}

/// Decides each batch on top of those before it, makes all durable at once and answers. An error is that of the write.
fn commit(records: &Records, group: Vec<Waiting>) -> Result<(), StoreError> {
    let Records { engine, sparse, recent } = records;
    let limits = engine.limits();
    let mut writes = Writes::new();
    let mut planned = Vec::new();
    for Waiting { batch, answer } in group {
        let outcome = plan(batch, &Overlay { records, writes: &writes }, limits);
        let outcome = outcome.map(|(more, receipt)| {
            if writes.is_empty() { writes = more } else { writes.extend(more) }
            receipt
        });
        // A refusal waits too: it may speak of a state that only this flush makes durable.
        planned.push((answer, outcome));
    }
    let done = if writes.is_empty() {
        Ok(())
    } else {
        sparse.writing(&writes);
        let group = recent.writing(&writes);
        let writes = writes.into_iter().map(|(key, value)| {
            let stored = value.map(|value| value.into_stored(&key));
            (key, stored)
        });
        let writes = writes.collect();
        // What failed may have been written or not: it is not held any more, nor again, since nothing is written after it.
        guarded(|| engine.write(writes)).inspect(|()| recent.written(group))
    };
    for (answer, planned) in planned {
        let outcome = match &done {
            Ok(()) => planned,
            Err(error) => Err(CommitError::Poisoned { reason: error.to_string() }),
        };
        answer(outcome);
    }
    done
}

/// The committer is gone, by a panic: what was on its way may be written or not, and nothing more will be.
fn died() -> CommitError {
    CommitError::Poisoned { reason: "the committer ended".into() }
}

impl Store for Embedded {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.records.get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let found = guarded(|| self.records.engine.scan(from, to, limit))?;
        found.into_iter().map(|(key, stored)| record::open(&key, stored).map(|value| (key, value))).collect()
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let end = self.stream_length(stream)?;
        let found = self.scan(&entry_key(stream, position), &entry_key(stream, end), limit)?;
        // A gap is damage, whatever the engine says.
        let wanted = end.saturating_sub(position).min(u64::try_from(limit).unwrap_or(u64::MAX));
        if found.len() as u64 != wanted {
            return Err(StoreError::Corrupt { reason: format!("stream {stream:?} has a gap after position {position}") });
        }
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        decode(self.get(&length_key(stream))?)
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        // Room for the one answer, so that the committer never waits for who asked.
        let (answer, receipt) = sync_channel(1);
        self.commit_then(batch, Box::new(move |outcome| drop(answer.send(outcome))));
        // Once queued, silence means the committer died in the middle: nobody knows what was written.
        receipt.recv().map_err(|_| died())?
    }

    fn commit_then(&self, batch: Batch, done: Done) {
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone());
        match queue {
            // It takes nothing more, whoever tries again.
            Some(queue) => {
                if let Err(SendError(Waiting { answer, .. })) = queue.send(Waiting { batch, answer: done }) {
                    answer(Err(died()));
                }
            }
            None => done(Err(CommitError::Unavailable { reason: "the store is closed".into() })),
        }
    }

    fn know_absent(&self, of: &[Few]) {
        // Its turn comes when all that was queued before is written.
        let settled = || self.commit(Batch::new()).map(drop).map_err(|error| StoreError::Unavailable { reason: error.to_string() });
        // A record that is damaged is there, too.
        self.records.sparse.know(of, settled, |from, to, limit| Ok(guarded(|| self.records.engine.scan(from, to, limit))?.into_iter().map(|(key, _)| key).collect()));
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(Checked(guarded(|| self.records.engine.snapshot())?)))
    }
}

#[cfg(test)]
#[path = "committer_tests.rs"]
mod tests;
