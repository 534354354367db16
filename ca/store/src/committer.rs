//! One thread per store drains a queue and makes each group of batches durable with one flush.
//!
//! Group commit is what makes durability cheap: while one flush runs, the next group gathers.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::contract::{CommitError, Receipt, Store, StoreError};
use crate::plan::{State, Writes, entry_key, length_key, number, plan};
use crate::{Batch, Key, record};

/// The most batches that share one flush.
const GROUP: usize = 512;
/// Batches that may wait; further committers wait to enter.
const QUEUE: usize = 4_096;

/// What an embedded engine does for the committer: values go in and out as they stand on disk.
pub(crate) trait Engine: Send + Sync + 'static {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;
    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError>;
    /// All of `writes` durable before it returns. An error says nothing of what was written.
    fn write(&self, writes: &Writes) -> Result<(), StoreError>;
}

struct Waiting {
    batch: Batch,
    answer: Sender<Result<Receipt, CommitError>>,
}

/// An engine with its committer.
pub struct Embedded {
    engine: Arc<dyn Engine>,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    pub(crate) fn start(engine: Arc<dyn Engine>) -> Result<Self, StoreError> {
        let (queue, waiting) = sync_channel(QUEUE);
        let worker = Arc::clone(&engine);
        let thread = std::thread::Builder::new().name("store-committer".into()).spawn(move || drain(&*worker, &waiting));
        let thread = thread.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok(Self { engine, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
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
    engine: &'a dyn Engine,
    writes: &'a Writes,
}

impl State for Overlay<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => read(self.engine, key),
        }
    }
}

fn read(engine: &dyn Engine, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
    engine.get(key)?.map(|stored| record::open(key, &stored)).transpose()
}

fn drain(engine: &dyn Engine, waiting: &Receiver<Waiting>) {
    let mut poisoned: Option<String> = None;
    while let Ok(first) = waiting.recv() {
        let group = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1));
        let mut writes = Writes::new();
        let mut planned = Vec::new();
        for Waiting { batch, answer } in group {
            if let Some(reason) = &poisoned {
                let _ = answer.send(Err(CommitError::Poisoned { reason: reason.clone() }));
                continue;
            }
            let outcome = plan(&batch, &Overlay { engine, writes: &writes });
            let outcome = outcome.map(|(more, receipt)| {
                writes.extend(more);
                receipt
            });
            // A refusal waits too: it may speak of a state that only this flush makes durable.
            planned.push((answer, outcome));
        }
        if planned.is_empty() {
            continue;
        }
        let sealed: Writes = writes.iter().map(|(key, value)| (key.clone(), value.as_ref().map(|value| record::seal(key, value)))).collect();
        let done = if sealed.is_empty() { Ok(()) } else { engine.write(&sealed) };
        if let Err(error) = &done {
            poisoned = Some(error.to_string());
        }
        for (answer, planned) in planned {
            let outcome = match &done {
                Ok(()) => planned,
                Err(error) => Err(CommitError::Poisoned { reason: error.to_string() }),
            };
            let _ = answer.send(outcome);
        }
    }
}

impl Store for Embedded {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        read(&*self.engine, key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let found = self.engine.scan(from, to, limit)?;
        found.into_iter().map(|(key, stored)| record::open(&key, &stored).map(|value| (key, value))).collect()
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
        number(&length_key(stream), &BTreeMap::new(), &Overlay { engine: &*self.engine, writes: &Writes::new() })
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let gone = || CommitError::Unavailable { reason: "the store is closed".into() };
        let queue = self.queue.lock().map_err(|_| gone())?.clone().ok_or_else(gone)?;
        let (answer, receipt) = channel();
        queue.send(Waiting { batch, answer }).map_err(|_| gone())?;
        // Once queued, silence means the committer died in the middle: nobody knows what was written.
        receipt.recv().map_err(|_| CommitError::Poisoned { reason: "the committer ended".into() })?
    }
}
