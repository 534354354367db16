//! fjall: the embedded default.
//!
//! It wants a file system that keeps a new file's name when the file is synced, as ext4, XFS and btrfs do: fjall 3.1
//! never syncs the directory of its separated bodies. What it does not check at opening, [`fjall_damage`] does.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode, Readable};

use crate::committer::{Embedded, Engine, guarded};
use crate::contract::{Snapshot, StoreError, tells_damage, up_to};
use crate::plan::Limits;
use crate::record::Stored;
use crate::watchdog::Watchdog;
use crate::{Key, directories, fjall_damage, record};

pub(crate) const LIMITS: Limits = Limits { key: 65_535, value: 128 << 20 };

/// What is gathered in memory, and in the journal, before it becomes a table.
pub(crate) const MEMTABLE_BYTES: u64 = 64 << 20;

struct Fjall {
    database: Database,
    records: Keyspace,
    /// The number of the last group.
    group: Mutex<u64>,
}

pub(crate) fn failed(error: fjall::Error) -> StoreError {
    let reason = error.to_string();
    match &error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) if !tells_damage(error) => StoreError::Unavailable { reason },
        fjall::Error::Locked => StoreError::Unavailable { reason: "another process has it open".into() },
        fjall::Error::Poisoned => StoreError::Unavailable { reason: "an earlier write failed".into() },
        _ => StoreError::Corrupt { reason },
    }
}

/// Opens or makes a store in `directory`. fjall locks the directory: a second process is refused.
pub fn open_fjall(directory: &Path) -> Result<Embedded, StoreError> {
    start(directory, Watchdog::default(), MEMTABLE_BYTES)
}

pub(crate) fn start(directory: &Path, watchdog: Watchdog, memtable: u64) -> Result<Embedded, StoreError> {
    let engine = guarded(|| open(directory, memtable))?;
    Embedded::start(Arc::new(engine), watchdog)
}

/// The engine without its committer.
pub(crate) fn make(directory: &Path) -> Result<impl Engine, StoreError> {
    open(directory, MEMTABLE_BYTES)
}

/// Threads that write tables and join them. One alone writes nothing from memory while it joins tables, and one that waits for room in its
/// own queue of orders waits for ever. Of several, the first never joins: fjall 3.1 hands an order to join back to the queue again and
/// again, as fast as it can, until another thread takes it. Of two that lasts as long as the other joins tables, and takes a whole core; of
/// four, one of three others is nearly always free to take the order, and finds that nothing is left to be done.
const WORKERS: usize = 4;

fn open(directory: &Path, memtable: u64) -> Result<Fjall, StoreError> {
    fjall_damage::lists_of_tables(directory)?;
    let database = Database::builder(directory).worker_threads(WORKERS).open().map_err(failed)?;
    // Bodies stand apart from keys, so that compaction does not copy them again and again.
    let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable).with_kv_separation(Some(KvSeparationOptions::default()));
    let records = database.keyspace("records", options).map_err(failed)?;
    directories::sync(directory).map_err(|error| failed(error.into()))?;
    let group = fjall_damage::order_of_groups(&records)?;
    Ok(Fjall { database, records, group: Mutex::new(group) })
}

impl Engine for Fjall {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        // Not through the keyspace itself, whose reads see a group while it is being put into memory.
        let found = self.database.snapshot().get(&self.records, key.as_bytes()).map_err(failed)?;
        found.map(|stored| record::held(key, &stored).map(<[u8]>::to_vec)).transpose()
    }

    fn get_for_writer(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        // No group is being put into memory now, and a snapshot costs as much as many a read.
        let found = self.records.get(key.as_bytes()).map_err(failed)?;
        found.map(|stored| record::held(key, &stored).map(<[u8]>::to_vec)).transpose()
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let own = fjall_damage::group_key();
        let range = self.database.snapshot().range(&self.records, from.as_bytes()..to.as_bytes()).map(|guard| guard.into_inner().map_err(failed));
        let found = range.filter(|record| !record.as_ref().is_ok_and(|(key, _)| **key == *own.as_bytes())).take(limit);
        found.map(|record| record.map(|(key, value)| (Key::raw(key.to_vec()), value.to_vec()))).collect()
    }

    fn write(&self, writes: Vec<(Key, Option<Stored>)>) -> Result<(), StoreError> {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let next = *group + 1;
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), writes.len() + 1).durability(Some(PersistMode::SyncData));
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.records, key.as_bytes(), value.into_view()),
                None => batch.remove(&self.records, key.as_bytes()),
            }
        }
        let key = fjall_damage::group_key();
        batch.insert(&self.records, key.as_bytes(), record::seal(&key, &next.to_be_bytes()).into_view());
        batch.commit().map_err(failed)?;
        *group = next;
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(AtOneMoment { snapshot: self.database.snapshot(), records: self.records.clone() }))
    }
}

/// A group becomes visible as one, after it is durable: no snapshot holds half of one.
struct AtOneMoment {
    snapshot: fjall::Snapshot,
    records: Keyspace,
}

impl Snapshot for AtOneMoment {
    fn page(&self, after: Option<&Key>, bytes: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let own = fjall_damage::group_key();
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_bytes()));
        let all = self.snapshot.range::<&[u8], _>(&self.records, (from, Bound::Unbounded)).map(|guard| guard.into_inner().map_err(failed));
        let all = all.map(|record| record.map(|(key, value)| (Key::raw(key.to_vec()), value.to_vec())));
        up_to(bytes, all.filter(|record| record.as_ref().map_or(true, |(key, _)| *key != own)))
    }
}
