//! A store over another that differs from it in some things, and is it in all others.

use crate::contract::{CommitError, Receipt, Snapshot, Store, StoreError};
use crate::{Batch, Few, Key};

/// What is not said here is as the store below does it.
pub trait Layer: Send + Sync {
    fn below(&self) -> &dyn Store;

    fn scan_over(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        self.below().scan(from, to, limit)
    }

    fn counter_over(&self, counter: &str) -> Result<u64, StoreError> {
        self.below().counter(counter)
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError>;
}

impl<L: Layer> Store for L {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.below().get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        self.scan_over(from, to, limit)
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.below().read_stream(stream, position, limit)
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        self.below().stream_length(stream)
    }

    fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        self.counter_over(counter)
    }

    fn know_absent(&self, of: &[Few]) {
        self.below().know_absent(of);
    }

    fn sum(&self, sum: &str) -> Result<u64, StoreError> {
        self.below().sum(sum)
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.commit_over(batch)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.below().snapshot()
    }
}
