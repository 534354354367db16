//! What every engine promises.

use crate::batch::{CounterSlot, StreamSlot};
use crate::plan::{counter_key, decode, sum_key};
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
    #[error("nothing was written: {reason}; it is safe to try again")]
    Unavailable { reason: String },
    #[error("a write may or may not have been done: {reason}; open the store again")]
    Poisoned { reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store of records.
///
/// - A commit is all or nothing, and its `Receipt` exists only after everything in it is durable.
/// - Expectations are judged against the state the batch is applied to; no other commit comes between.
///   When one does not hold nothing changes, positions and numbers included.
/// - Positions of a stream have no gaps; numbers of a counter are never given twice.
/// - Sums take every addition, however many commit at once.
/// - Within a batch appends, counters and sums come first, then puts, then deletes: a delete wins.
/// - Reads see every batch whose receipt was given before the read began.
/// - After `Poisoned` every further commit is refused until the store is opened again.
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

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError>;
}
