//! sled: for small records, with what it leaves undone done here.
//!
//! sled 0.34 ends its `flush` in `sync_file_range`, which a power cut undoes, and puts pages above an eighth of a
//! megabyte into files it never syncs. So every group ends in our own `fdatasync`, and keys and values are bounded such
//! that no page grows that large. On damage it may drop the rest of a segment without a word, in the middle of
//! its history too: a sum over all records, written in the same batch, is compared with the records when the
//! store is opened. What no store can find by itself, an earlier state that is whole, its keeper finds by what it
//! remembers outside, such as the head of the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use sled::{Db, Mode};

use crate::committer::{Embedded, Engine, guarded};
use crate::contract::{Snapshot, StoreError, tells_damage, up_to};
use crate::plan::Limits;
use crate::record::Stored;
use crate::watchdog::Watchdog;
use crate::{Key, directories, record};

/// A leaf holds 17 records before it splits and two that merge 19, an index page 320 keys: none reaches 131,000 bytes.
const LIMITS: Limits = Limits { key: 384, value: 4_096 };
const CACHE_BYTES: u64 = 128 << 20;

type Sync = fn(&File) -> std::io::Result<()>;
/// What records were, as they stood on disk.
type Before = BTreeMap<Key, Option<Vec<u8>>>;

struct Sled {
    tree: Db,
    file: File,
    sync: Sync,
    /// Of all records as they were last durable.
    sum: Mutex<u128>,
    /// What a write not yet durable has changed, as it stood before: sled shows a write at once, readers must not
    /// see it. After a failed write it stays, and readers go on with what is durable.
    before: RwLock<Before>,
    /// For each snapshot that is still read: what was changed since, as it stood then.
    snapshots: Mutex<Vec<Weak<RwLock<Before>>>>,
}

/// Where the sum stands; a table of the store's own.
fn sum_key() -> Key {
    Key::new("\u{1}all", &[])
}

/// Added for a record that comes, taken off for one that goes: order does not matter.
fn weight(key: &[u8], stored: &[u8]) -> u128 {
    let bytes = [&(key.len() as u64).to_be_bytes(), key, stored].concat();
    digest(&SHA256, &bytes).as_ref().iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn failed(error: sled::Error) -> StoreError {
    let reason = error.to_string();
    match error {
        sled::Error::Io(error) if !tells_damage(&error) => StoreError::Unavailable { reason },
        _ => StoreError::Corrupt { reason },
    }
}

fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}

/// Opens or makes a store in `directory` and reads all of it once. sled locks its file: a second process is refused.
pub fn open_sled(directory: &Path) -> Result<Embedded, StoreError> {
    start(directory, Watchdog::default(), File::sync_data)
}

/// `sync` makes what sled wrote to its file durable.
pub(crate) fn start(directory: &Path, watchdog: Watchdog, sync: Sync) -> Result<Embedded, StoreError> {
    let engine = guarded(|| open(directory, sync))?;
    Embedded::start(Arc::new(engine), watchdog)
}

/// The engine without its committer.
pub(crate) fn make(directory: &Path) -> Result<impl Engine, StoreError> {
    open(directory, File::sync_data)
}

fn open(directory: &Path, sync: Sync) -> Result<Sled, StoreError> {
    let configuration = sled::Config::new().path(directory).mode(Mode::HighThroughput).cache_capacity(CACHE_BYTES);
    let tree = unlocked(&configuration.flush_every_ms(None))?;
    for name in ["conf", "db"] {
        File::open(directory.join(name)).and_then(|file| file.sync_all()).map_err(unavailable)?;
    }
    directories::sync(directory).map_err(unavailable)?;
    let file = File::options().write(true).open(directory.join("db")).map_err(unavailable)?;
    let sum = check(&tree)?;
    Ok(Sled { tree, file, sync, sum: Mutex::new(sum), before: RwLock::default(), snapshots: Mutex::default() })
}

/// The threads of a store just closed hold its lock a moment longer.
fn unlocked(configuration: &sled::Config) -> Result<Db, StoreError> {
    let mut tries = 0;
    loop {
        match configuration.open() {
            Err(sled::Error::Io(error)) if tries < 20 && error.to_string().contains("could not acquire lock") => tries += 1,
            opened => return opened.map_err(failed),
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Every record, against the sum written with them.
fn check(tree: &Db) -> Result<u128, StoreError> {
    let key = sum_key();
    let (mut found, mut written) = (0_u128, 0_u128);
    for record in tree.iter() {
        let (name, stored) = record.map_err(failed)?;
        if name.as_ref() == key.as_bytes() {
            let bytes = record::open(&key, stored.to_vec())?.try_into().map_err(|_| StoreError::Corrupt { reason: "the sum of all records is not sixteen bytes".into() })?;
            written = u128::from_be_bytes(bytes);
        } else {
            found = found.wrapping_add(weight(&name, &stored));
        }
    }
    if found != written {
        return Err(StoreError::Corrupt { reason: "records are missing or are not the last ones written".into() });
    }
    Ok(found)
}

impl Sled {
    fn durable(&self) -> RwLockReadGuard<'_, Before> {
        self.before.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Before> {
        self.before.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is about to be changed, for readers until it is durable and for every snapshot. In one step: a snapshot made
    /// before it is among those told, one made after it begins with what is not durable yet.
    fn remember(&self, before: Before) {
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.retain(|one| one.strong_count() > 0);
        for changed in snapshots.iter().filter_map(Weak::upgrade) {
            let mut changed = changed.write().unwrap_or_else(PoisonError::into_inner);
            for (key, stored) in &before {
                changed.entry(key.clone()).or_insert_with(|| stored.clone());
            }
        }
        *self.changing() = before;
    }

    fn stored(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tree.get(key.as_bytes()).map_err(failed)?.map(|stored| stored.to_vec()))
    }
}

impl Engine for Sled {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let before = self.durable();
        let found = before.get(key).map_or_else(|| self.stored(key), |stored| Ok(stored.clone()))?;
        found.map(|stored| record::open(key, stored)).transpose()
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let before = self.durable();
        let changed = || before.range(from..to);
        // As many more as the changed ones and the sum may take the place of.
        let enough = limit.saturating_add(changed().count()).saturating_add(1);
        let mut found = BTreeMap::new();
        for record in self.tree.range(from.as_bytes()..to.as_bytes()).take(enough) {
            let (key, stored) = record.map_err(failed)?;
            found.insert(Key::raw(key.to_vec()), stored.to_vec());
        }
        found.remove(&sum_key());
        for (key, stored) in changed() {
            match stored {
                Some(stored) => found.insert(key.clone(), stored.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// One batch of sled is recovered whole or not at all.
    fn write(&self, writes: Vec<(Key, Option<Stored>)>) -> Result<(), StoreError> {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *sum;
        let mut batch = sled::Batch::default();
        let mut before = Before::new();
        for (key, stored) in writes {
            let old = self.stored(&key)?;
            if let Some(old) = &old {
                next = next.wrapping_sub(weight(key.as_bytes(), old));
            }
            before.insert(key.clone(), old);
            match stored {
                Some(stored) => {
                    next = next.wrapping_add(weight(key.as_bytes(), stored.bytes()));
                    batch.insert(key.as_bytes(), stored.bytes());
                }
                None => batch.remove(key.as_bytes()),
            }
        }
        batch.insert(sum_key().as_bytes(), record::seal(&sum_key(), &next.to_be_bytes()).bytes());
        self.remember(before);
        self.tree.apply_batch(batch).map_err(failed)?;
        self.tree.flush().map_err(failed)?;
        (self.sync)(&self.file).map_err(unavailable)?;
        *sum = next;
        self.changing().clear();
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::new(RwLock::new(self.durable().clone()));
        snapshots.push(Arc::downgrade(&changed));
        Ok(Box::new(AtOneMoment { tree: self.tree.clone(), changed }))
    }
}

/// The tree as it is, with what was changed since laid over it.
struct AtOneMoment {
    tree: Db,
    changed: Arc<RwLock<Before>>,
}

impl Snapshot for AtOneMoment {
    fn page(&self, after: Option<&Key>, bytes: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        // Held while the tree is read: nothing of the page is changed without being told here before.
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_bytes()));
        let all = self.tree.range::<&[u8], _>((from, Bound::Unbounded)).map(|record| record.map_err(failed));
        let all = all.map(|record| record.map(|(key, stored)| (Key::raw(key.to_vec()), stored.to_vec())));
        let found = up_to(bytes, all)?;
        let held = |page: &[(Key, Vec<u8>)]| page.iter().fold(0_usize, |sum, (key, stored)| sum.saturating_add(key.as_bytes().len()).saturating_add(stored.len()));
        // A page that came to its bound speaks for the keys up to its last; the last one speaks for all that follow.
        let to = found.last().filter(|_| held(&found) >= bytes).map_or(Bound::Unbounded, |(last, _)| Bound::Included(last.clone()));
        let mut page: BTreeMap<Key, Vec<u8>> = found.iter().cloned().collect();
        for (key, stored) in changed.range((after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone())), to.clone())) {
            match stored {
                Some(stored) => page.insert(key.clone(), stored.clone()),
                None => page.remove(key),
            };
        }
        page.remove(&sum_key());
        match (page.is_empty(), to) {
            // All of it came later: what follows is not told to be nothing.
            (true, Bound::Included(last)) => {
                drop(changed);
                self.page(Some(&last), bytes)
            }
            _ => Ok(page.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Batch, CommitError, Store};

    #[test]
    fn what_is_not_durable_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let key = |name: &str| Key::new("table", &[name.as_bytes()]);
        let all = |store: &Embedded| store.scan(&Key::new("", &[]), &Key::new("z", &[]), 2).unwrap();
        let store = open_sled(directory.path()).unwrap();
        store.commit(Batch::new().put(key("a"), b"1".as_slice()).put(key("c"), b"1".as_slice())).unwrap();
        let before = all(&store);
        assert_eq!(before.len(), 2);
        drop(store);
        let store = start(directory.path(), Watchdog::default(), |_| Err(std::io::ErrorKind::StorageFull.into())).unwrap();
        let batch = Batch::new().put(key("a"), b"2".as_slice()).put(key("b"), b"2".as_slice()).delete(key("c"));
        assert!(matches!(store.commit(batch), Err(CommitError::Poisoned { .. })));
        assert_eq!((store.get(&key("a")), store.get(&key("b"))), (Ok(Some(b"1".to_vec())), Ok(None)));
        assert_eq!(all(&store), before);
    }

    #[test]
    fn records_as_large_as_they_may_be_make_no_file_that_sled_does_not_sync() {
        let directory = tempfile::tempdir().unwrap();
        let store = open_sled(directory.path()).unwrap();
        // Two ends of 00 00 and the table's name make it the longest that is taken, or all but.
        let key = |number: u64| Key::new("t", &[&[&(number * 7_919 % 3_001).to_be_bytes(), &[b'x'; 362][..]].concat()]);
        for round in 0..2_u8 {
            let batch = (0..3_001).fold(Batch::new(), |batch, number| batch.put(key(number), vec![round; 4_096]));
            store.commit(batch).unwrap();
            for number in 0..80 {
                store.commit((0..10).fold(Batch::new(), |batch, more| batch.delete(key(number * 10 + more)))).unwrap();
            }
        }
        assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
    }
}
