//! What every engine promises.

use crate::batch::{CounterSlot, StreamSlot, Together};
use crate::plan::{counter_key, decode, decode_together, length_key, sum_key, together_key};
use crate::sparse::Few;
use crate::{Batch, Key};

/// Proof that a batch is durable; only an engine makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) positions: Vec<u64>,
    pub(crate) counters: Vec<u64>,
}

impl Receipt {
    /// The position an append got; `None` for a slot of another batch.
    pub fn position(&self, slot: StreamSlot) -> Option<u64> {
        self.positions.get(slot.0).copied()
    }

    /// The number a counter's step got; `None` for a slot of another batch.
    pub fn counter(&self, slot: CounterSlot) -> Option<u64> {
        self.counters.get(slot.0).copied()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store is damaged: {reason}; restore it from a backup")]
    Corrupt { reason: String },
    #[error("the store cannot be reached: {reason}")]
    Unavailable { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("expectation {expectation} does not hold; read again and decide anew")]
    Conflict { expectation: usize },
    #[error("the batch refers to a slot it does not have")]
    UnknownSlot,
    #[error("a {what} has {bytes} bytes where this engine takes {limit}, nothing was written; make it smaller or choose the engine fjall")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("a key {reason}, nothing was written; use a table of your own")]
    UnusableKey { reason: &'static str },
    #[error("nothing was written: {reason}; it is safe to try again")]
    Unavailable { reason: String },
    #[error("a write may or may not have been done: {reason}; open the store again")]
    Poisoned { reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is done with the outcome of a commit.
pub type Done = Box<dyn FnOnce(Result<Receipt, CommitError>) + Send>;

/// Errors of the file layer that speak of what a file holds, not of the disk.
pub(crate) fn tells_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | InvalidData | NotFound)
}

/// A store of records.
///
/// - A commit is all or nothing, and its `Receipt` exists only after everything in it is durable.
/// - Expectations are judged against the state the batch is applied to; no other commit comes between.
///   When one does not hold nothing changes, positions and numbers included.
/// - Positions of a stream have no gaps; numbers of a counter are never given twice.
/// - Sums take every addition, however many commit at once.
/// - Within a batch appends, counters and sums come first, then puts, then deletes: a delete wins.
/// - A key or value larger than the engine takes is refused before anything is written, and so is a key of the
///   store's own tables, those that begin with U+0001. fjall takes keys of 64 KiB and values of 128 MiB, sled keys of
///   384 bytes and values of 4 KiB.
/// - Reads see every batch whose receipt was given before the read began, and of a batch all or nothing: who has read something of
///   it finds the rest with the next read.
/// - A damaged record is never given: a read of it, or the opening of the store, ends in `Corrupt`. A state that is
///   older than what was acknowledged but whole cannot be told by the store itself; its keeper remembers outside how
///   far a stream had come.
/// - What was acknowledged survives the end of the process at any moment, a power cut and a full disk.
/// - A commit that hangs past the watchdog's deadline ends the process.
/// - After `Poisoned` every further commit is refused until the store is opened again, one of an empty batch too: that tells of it
///   and writes nothing.
pub trait Store: Send + Sync {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` records from `from` (inclusive) up to `to` (exclusive), in the order of their keys.
    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError>;

    /// At most `limit` entries of a stream from `position` on.
    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError>;

    /// The last number a counter gave; 0 before the first.
    fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        decode(self.get(&counter_key(counter))?)
    }

    /// What a sum has come to; 0 before the first addition.
    fn sum(&self, sum: &str) -> Result<u64, StoreError> {
        decode(self.get(&sum_key(sum))?)
    }

    /// What sums that stand in one record have come to, in the order of their former names.
    fn sums(&self, sums: &Together) -> Result<Vec<u64>, StoreError> {
        let key = together_key(&sums.name);
        if let Some(found) = self.get(&key)? {
            return decode_together(&found, sums.former.len());
        }
        let former = sums.former.iter().map(|former| self.sum(former)).collect::<Result<_, _>>()?;
        // A commit that took their place meanwhile left nothing of them.
        self.get(&key)?.map_or(Ok(former), |found| decode_together(&found, sums.former.len()))
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError>;

    /// As `commit`, for who does not wait but for a place in the queue: `done` hears what it came to, on a thread that all who commit wait for. So it is brief and never
    /// panics. It is dropped unheard where nobody knows what was written, since the committer died in the middle: that is `Poisoned`.
    fn commit_then(&self, batch: Batch, done: Done) {
        done(self.commit(batch));
    }

    /// Says that few keys begin so, of all that will be asked for: what is absent of them may be told without a look. Said once, after the
    /// store is opened; it changes no answer.
    fn know_absent(&self, of: &[Few]) {
        let _ = of;
    }

    /// All there is at this moment, between two commits. Commits go on meanwhile; let it go soon, since what they replace
    /// is kept for it.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;
}

/// A store as it was at one moment, however much was committed since.
pub trait Snapshot: Send {
    /// The records after `after`, or from the first one, in the order of their keys and the store's own tables among
    /// them: as many as have `bytes` together, and at least one where there is one.
    fn page(&self, after: Option<&Key>, bytes: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError>;

    /// How long a stream was at that moment.
    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        let key = length_key(stream);
        // A key ends in 00, so nothing lies between it and itself without that.
        let mut before = key.as_bytes().to_vec();
        before.pop();
        let found = self.page(Some(&Key::raw(before)), 1)?.into_iter().next();
        decode(found.filter(|(found, _)| *found == key).map(|(_, value)| value))
    }
}

/// The records of `all` up to the one with which they have `bytes` together.
pub(crate) fn up_to(bytes: usize, all: impl Iterator<Item = Result<(Key, Vec<u8>), StoreError>>) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
    let (mut page, mut held) = (Vec::new(), 0_usize);
    for record in all {
        let (key, value) = record?;
        held = held.saturating_add(key.as_bytes().len()).saturating_add(value.len());
        page.push((key, value));
        if held >= bytes {
            break;
        }
    }
    Ok(page)
}
