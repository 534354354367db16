//! Tables of which most of what is asked for is absent: what may be there is held in memory, as hashes, so that absence costs no read.
//!
//! A key is taken in before the group that writes it is written, and never let go: what is not held is absent, whatever is deleted, and what
//! is held may be there. A table that comes to have too many is read like any other.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, RandomState};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Key;
use crate::contract::StoreError;
use crate::plan::{Writes, sum_key};
use crate::recent::Hashed;

/// The most keys that are held of a table.
const MOST: usize = 1 << 18;
/// Records that are read at once when a store is opened.
const PAGE: usize = 500;

/// Keys that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few(Vec<u8>);

impl Few {
    /// All of a table.
    pub fn table(table: &str) -> Self {
        Self(Key::new(table, &[]).as_bytes().to_vec())
    }

    /// Sums whose names begin so.
    pub fn sums(names: &str) -> Self {
        let mut begin = sum_key(names).into_bytes();
        // What ends a name.
        begin.truncate(begin.len().saturating_sub(2));
        Self(begin)
    }

    fn holds(&self, key: &Key) -> bool {
        key.as_bytes().starts_with(&self.0)
    }

    /// From the first key that begins so to the first beyond them. What they begin with never ends in FF.
    fn range(&self) -> (Key, Key) {
        let mut end = self.0.clone();
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        (Key::raw(self.0.clone()), Key::raw(end))
    }
}

#[derive(Default)]
struct Known {
    maybe: HashSet<u64, BuildHasherDefault<Hashed>>,
    /// All that was there before is held.
    whole: bool,
    too_many: bool,
}

impl Known {
    fn take(&mut self, hash: u64) {
        if !self.too_many && self.maybe.insert(hash) && self.maybe.len() > MOST {
            *self = Self { too_many: true, ..Self::default() };
        }
    }
}

#[derive(Default)]
pub(crate) struct Sparse {
    hasher: RandomState,
    tables: OnceLock<Vec<(Few, RwLock<Known>)>>,
}

fn read(known: &RwLock<Known>) -> RwLockReadGuard<'_, Known> {
    known.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(known: &RwLock<Known>) -> RwLockWriteGuard<'_, Known> {
    known.write().unwrap_or_else(PoisonError::into_inner)
}

impl Sparse {
    fn of(&self, key: &Key) -> Option<&RwLock<Known>> {
        self.tables.get()?.iter().find(|(few, _)| few.holds(key)).map(|(_, known)| known)
    }

    /// Whether nothing is under this key, for sure.
    pub fn lacks(&self, key: &Key) -> bool {
        let Some(known) = self.of(key) else { return false };
        let known = read(known);
        known.whole && !known.maybe.contains(&self.hasher.hash_one(key.as_bytes()))
    }

    /// Before a group is written.
    pub fn writing(&self, writes: &Writes) {
        for (key, value) in writes {
            if value.is_some()
                && let Some(known) = self.of(key)
            {
                write(known).take(self.hasher.hash_one(key.as_bytes()));
            }
        }
    }

    /// These tables from now on; those that were named first stay. `settled` returns when every group that was begun before is written, and
    /// `scan` reads what is there. Of what cannot be read nothing is known to be absent: it is read as before.
    pub fn know(&self, tables: &[Few], settled: impl FnOnce() -> Result<(), StoreError>, scan: impl Fn(&Key, &Key, usize) -> Result<Vec<Key>, StoreError>) {
        let mut first = false;
        let tables = self.tables.get_or_init(|| {
            first = true;
            tables.iter().map(|few| (few.clone(), RwLock::default())).collect()
        });
        if !first {
            return;
        }
        if let Err(error) = settled() {
            return tracing::warn!(%error, "the store does not know what is absent; it looks each time");
        }
        for (few, known) in tables {
            let (mut from, to) = few.range();
            loop {
                let found = match scan(&from, &to, PAGE) {
                    Ok(found) => found,
                    Err(error) => {
                        tracing::warn!(%error, "a table of the store cannot be read whole; it is looked at each time");
                        break;
                    }
                };
                let mut known = write(known);
                found.iter().for_each(|key| known.take(self.hasher.hash_one(key.as_bytes())));
                match found.last() {
                    Some(last) if !known.too_many => from = last.successor(),
                    _ => {
                        known.whole = !known.too_many;
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::Value;

    fn writes(all: &[(&Key, bool)]) -> Writes {
        all.iter().map(|(key, there)| ((*key).clone(), there.then(|| Value::Plain(vec![1])))).collect()
    }

    #[test]
    fn what_may_be_there_is_never_said_to_be_absent() {
        let (sparse, key) = (Sparse::default(), |name: &str| Key::new("few", &[name.as_bytes()]));
        let (before, beside, after, never) = (key("before"), key("beside"), key("after"), key("never"));
        assert!(!sparse.lacks(&never), "nothing is known yet");
        let scan = |from: &Key, to: &Key, _: usize| {
            // A group comes while the table is read.
            sparse.writing(&writes(&[(&beside, true)]));
            assert!(!sparse.lacks(&never) && !sparse.lacks(&beside), "what was not read yet may be there");
            Ok(Some(before.clone()).into_iter().filter(|key| from <= key && key < to).collect())
        };
        sparse.know(&[Few::sums("deleted/"), Few::table("few")], || Ok(()), scan);
        assert!(!sparse.lacks(&before) && !sparse.lacks(&beside) && sparse.lacks(&after) && sparse.lacks(&never));
        sparse.writing(&writes(&[(&after, true), (&never, false), (&before, false)]));
        assert!(!sparse.lacks(&after) && sparse.lacks(&never));
        assert!(!sparse.lacks(&before), "one that is deleted may come again");
        for other in [Key::new("fewer", &[b"never"]), Key::new("other", &[]), sum_key("deleted"), sum_key("bytes/1")] {
            assert!(!sparse.lacks(&other), "{other:?} is of no such table");
        }
        assert!(sparse.lacks(&sum_key("deleted/1")) && sparse.lacks(&sum_key("deleted/")));
        // Named once.
        sparse.know(&[Few::table("other")], || Ok(()), |_: &Key, _: &Key, _| Ok(Vec::new()));
        assert!(!sparse.lacks(&Key::new("other", &[])));
    }

    /// A group that was begun before the tables were named is in none of them, and is read once it is written.
    #[test]
    fn what_was_being_written_is_waited_for() {
        let (sparse, key, written) = (Sparse::default(), Key::new("few", &[b"early"]), std::cell::Cell::new(false));
        let settled = || {
            written.set(true);
            Ok(())
        };
        let scan = |from: &Key, to: &Key, _: usize| Ok(written.get().then(|| key.clone()).into_iter().filter(|key| from <= key && key < to).collect());
        sparse.know(&[Few::table("few")], settled, scan);
        assert!(!sparse.lacks(&key) && sparse.lacks(&Key::new("few", &[b"never"])));
    }

    #[test]
    fn of_what_cannot_be_read_nothing_is_absent() {
        let (away, never) = (|| StoreError::Unavailable { reason: "away".into() }, Key::new("few", &[b"never"]));
        let sparse = Sparse::default();
        sparse.know(&[Few::table("few"), Few::table("other")], || Ok(()), |from: &Key, _: &Key, _| if Few::table("few").holds(from) { Err(away()) } else { Ok(Vec::new()) });
        assert!(!sparse.lacks(&never) && sparse.lacks(&Key::new("other", &[])));
        let sparse = Sparse::default();
        sparse.know(&[Few::table("few")], || Err(away()), |_: &Key, _: &Key, _| Ok(Vec::new()));
        assert!(!sparse.lacks(&never));
    }

    #[test]
    fn a_table_with_too_many_is_read_like_any_other() {
        let sparse = Sparse::default();
        sparse.know(&[Few::table("few")], || Ok(()), |_: &Key, _: &Key, _| Ok(Vec::new()));
        let key = |number: u64| Key::numbered("few", &[], number);
        assert!(sparse.lacks(&key(0)));
        for number in 1..=MOST as u64 + 1 {
            sparse.writing(&writes(&[(&key(number), true)]));
        }
        assert!(!sparse.lacks(&key(0)) && !sparse.lacks(&key(1)));
        let sparse = Sparse::default();
        let scan = |from: &Key, _: &Key, limit: usize| {
            let number = from.as_bytes().get(Key::new("few", &[]).as_bytes().len()..).and_then(|rest| rest.first_chunk());
            let first = number.map_or(0, |number| u64::from_be_bytes(*number) + 1);
            Ok((first..).take(limit).map(key).collect())
        };
        sparse.know(&[Few::table("few")], || Ok(()), scan);
        assert!(!sparse.lacks(&key(u64::MAX)));
    }
}
