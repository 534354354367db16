//! The engine of tests: a map behind a lock. Nothing outlives the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use crate::contract::{CommitError, Receipt, Snapshot, Store, StoreError, up_to};
use crate::plan::{Limits, State, Writes, entry_key, length_key, number, plan};
use crate::{Batch, Key};

/// As the default engine has them.
const LIMITS: Limits = crate::fjall_engine::LIMITS;

type Records = BTreeMap<Key, Vec<u8>>;

#[derive(Debug, Default)]
pub struct Memory(Mutex<Records>);

impl State for Records {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(BTreeMap::get(self, key).cloned())
    }
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> Result<MutexGuard<'_, Records>, StoreError> {
        self.0.lock().map_err(|_| StoreError::Unavailable { reason: "a commit panicked".into() })
    }
}

impl Store for Memory {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        State::get(&*self.records()?, key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let records = self.records()?;
        let range = records.range((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let end = self.stream_length(stream)?;
        let found = self.scan(&entry_key(stream, position), &entry_key(stream, end), limit)?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        number(&length_key(stream), &Writes::new(), &*self.records()?)
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let mut records = self.records()?;
        let (writes, receipt) = plan(batch, &*records, LIMITS)?;
        for (key, value) in writes {
            match value {
                Some(value) => records.insert(key, value.into_bytes()),
                None => records.remove(&key),
            };
        }
        Ok(receipt)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(Copied(self.records()?.clone())))
    }
}

struct Copied(Records);

impl Snapshot for Copied {
    fn page(&self, after: Option<&Key>, bytes: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        up_to(bytes, self.0.range((from, Bound::Unbounded)).map(|(key, value)| Ok((key.clone(), value.clone()))))
    }
}
