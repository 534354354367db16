//! Small records that were read lately, as they stand in the engine: who judges an expectation reads again what was read for it.
//!
//! What is given is what the engine would give. A record that a group is about to write is let go before the write and taken in anew
//! after it, and what was read before the group, or beside it, is not kept.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::Key;
use crate::plan::Writes;

const SHARDS: usize = 64;
/// Bytes that are held at most, about.
const MOST: usize = 32 << 20;
/// Larger values are those of messages, which are seldom read twice.
const LARGEST: usize = 2 << 10;
/// What a record takes beside its octets, about.
const ENTRY: usize = 96;

/// Numbers that are hashes already, under a key of this process.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

struct Held {
    key: Key,
    value: Option<Vec<u8>>,
}

#[derive(Default)]
struct Shard {
    /// Those of late, and those that were of late when these began: the latter go when there are enough of the former.
    young: ByHash<Held>,
    old: ByHash<Held>,
    bytes: usize,
}

impl Shard {
    fn keep(&mut self, hash: u64, held: Held) {
        self.bytes += held.key.as_bytes().len() + held.value.as_ref().map_or(0, Vec::len) + ENTRY;
        self.young.insert(hash, held);
        if self.bytes > MOST / SHARDS / 2 {
            (self.old, self.bytes) = (std::mem::take(&mut self.young), 0);
        }
    }

    /// Whether it was held.
    fn let_go(&mut self, hash: u64) -> bool {
        let (young, old) = (self.young.remove(&hash), self.old.remove(&hash));
        young.is_some() || old.is_some()
    }
}

/// What groups did and do.
#[derive(Default)]
struct Groups {
    written: u64,
    /// What the one is writing.
    writing: HashSet<u64, BuildHasherDefault<Hashed>>,
}

/// A record was not held; what is read of it now is kept if no group came between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    hash: u64,
    written: u64,
}

/// Of a group that is being written: what was held of it, as it will be.
pub(crate) struct Written(Vec<(u64, Held)>);

pub(crate) struct Recent {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    groups: RwLock<Groups>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()), groups: RwLock::default() }
    }
}

impl Recent {
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let shard = usize::try_from(hash >> 32).ok().and_then(|place| self.shards.get(place % SHARDS)).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine holds of it.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, Missing> {
        let hash = self.hasher.hash_one(key.as_bytes());
        let mut shard = self.shard(hash);
        if let Some(held) = shard.young.get(&hash).filter(|held| held.key == *key) {
            return Ok(held.value.clone());
        }
        if let Some(held) = shard.old.remove(&hash).filter(|held| held.key == *key) {
            let value = held.value.clone();
            shard.keep(hash, held);
            return Ok(value);
        }
        drop(shard);
        Err(Missing { hash, written: self.groups.read().unwrap_or_else(PoisonError::into_inner).written })
    }

    /// Keeps what the engine gave when it was asked after this was missing.
    pub fn keep(&self, missing: Missing, key: &Key, value: Option<&[u8]>) {
        if value.is_some_and(|value| value.len() > LARGEST) {
            return;
        }
        // Held until it is kept: a group that begins then lets it go again.
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        if groups.written == missing.written && !groups.writing.contains(&missing.hash) {
            self.shard(missing.hash).keep(missing.hash, Held { key: key.clone(), value: value.map(<[u8]>::to_vec) });
        }
    }

    /// Before a group is written, and before its values are sealed.
    pub fn writing(&self, writes: &Writes) -> Written {
        let hashes: Vec<u64> = writes.keys().map(|key| self.hasher.hash_one(key.as_bytes())).collect();
        self.groups.write().unwrap_or_else(PoisonError::into_inner).writing.extend(&hashes);
        let were_held = hashes.into_iter().zip(writes).filter(|(hash, _)| self.shard(*hash).let_go(*hash));
        let small = were_held.filter(|(_, (_, value))| value.as_ref().is_none_or(|value| value.bytes().len() <= LARGEST));
        Written(small.map(|(hash, (key, value))| (hash, Held { key: key.clone(), value: value.as_ref().map(|value| value.bytes().to_vec()) })).collect())
    }

    /// After it was, and can be read.
    pub fn written(&self, Written(held): Written) {
        held.into_iter().for_each(|(hash, held)| self.shard(hash).keep(hash, held));
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        groups.writing.clear();
        groups.written += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::Value;

    fn key(name: &str) -> Key {
        Key::new("t", &[name.as_bytes()])
    }

    fn writes(all: &[(&str, Option<&str>)]) -> Writes {
        all.iter().map(|(name, value)| (key(name), value.map(|value| Value::Plain(value.as_bytes().to_vec())))).collect()
    }

    #[test]
    fn what_was_read_is_held_until_it_is_written() {
        let recent = Recent::default();
        let missing = recent.get(&key("a")).unwrap_err();
        recent.keep(missing, &key("a"), Some(b"1"));
        let absent = recent.get(&key("b")).unwrap_err();
        recent.keep(absent, &key("b"), None);
        assert_eq!((recent.get(&key("a")), recent.get(&key("b"))), (Ok(Some(b"1".to_vec())), Ok(None)));
        let group = recent.writing(&writes(&[("a", Some("2")), ("b", None), ("c", Some("3"))]));
        assert!(["a", "b", "c"].iter().all(|name| recent.get(&key(name)).is_err()), "nobody knows which of two it is now");
        recent.written(group);
        assert_eq!((recent.get(&key("a")), recent.get(&key("b"))), (Ok(Some(b"2".to_vec())), Ok(None)));
        assert!(recent.get(&key("c")).is_err(), "what nobody read is not held");
    }

    #[test]
    fn what_was_read_beside_a_group_or_before_it_is_not_kept() {
        let recent = Recent::default();
        let before = recent.get(&key("a")).unwrap_err();
        let group = recent.writing(&writes(&[("a", Some("2"))]));
        recent.keep(before, &key("a"), Some(b"1"));
        let beside = recent.get(&key("a")).unwrap_err();
        recent.keep(beside, &key("a"), Some(b"1"));
        let other = recent.get(&key("b")).unwrap_err();
        recent.keep(other, &key("b"), Some(b"9"));
        assert_eq!(recent.get(&key("b")), Ok(Some(b"9".to_vec())), "of what it does not write more is known");
        recent.written(group);
        recent.keep(before, &key("a"), Some(b"1"));
        recent.keep(beside, &key("a"), Some(b"1"));
        let after = recent.get(&key("a")).unwrap_err();
        recent.keep(after, &key("a"), Some(b"2"));
        assert_eq!(recent.get(&key("a")), Ok(Some(b"2".to_vec())));
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let recent = Recent::default();
        let value = vec![7; LARGEST];
        for number in 0..60_000_u32 {
            let key = Key::numbered("t", &[], u64::from(number));
            let missing = recent.get(&key).unwrap_err();
            recent.keep(missing, &key, Some(&value));
            // One that is asked for again and again.
            let used = Key::new("used", &[]);
            if let Err(missing) = recent.get(&used) {
                assert_eq!(number, 0);
                recent.keep(missing, &used, None);
            }
        }
        let held: usize = recent.shards.iter().map(|shard| shard.lock().unwrap()).map(|shard| (shard.young.len() + shard.old.len()) * (LARGEST + ENTRY)).sum();
        assert!((MOST / 4..=MOST * 11 / 10).contains(&held), "{held}");
        let large = recent.get(&key("large")).unwrap_err();
        recent.keep(large, &key("large"), Some(&[0; LARGEST + 1]));
        assert!(recent.get(&key("large")).is_err());
    }
}
