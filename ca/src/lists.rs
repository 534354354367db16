//! The lists as they are published now: read once, and shared by all who fetch them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::body::Bytes;
use store::Store;

use crate::authority::Watcher;
use crate::problem::IssueError;
use crate::record::{CrlRecord, Scope, decode};

/// Octets of lists that are kept, unless one alone is larger: those asked for longest ago make room.
const MOST: usize = 256 << 20;

/// A list as it is sent.
#[derive(Clone, Debug)]
pub struct List {
    pub number: u64,
    /// Unix seconds.
    pub this_update: i64,
    pub next_update: i64,
    pub der: Bytes,
}

struct One {
    list: Arc<List>,
    /// When it was asked for last, in questions.
    asked: AtomicU64,
}

#[derive(Default)]
struct Kept {
    lists: HashMap<String, HashMap<Scope, One>>,
    /// Grows with every publication: a list read before one is not kept after it.
    changes: u64,
}

impl Kept {
    fn octets(&self) -> usize {
        self.lists.values().flat_map(HashMap::values).map(|one| one.list.der.len()).sum()
    }

    fn keep(&mut self, issuer: &str, scope: Scope, one: One, most: usize) {
        self.lists.entry(issuer.to_owned()).or_default().insert(scope, one);
        while self.octets() > most {
            let all = self.lists.iter().flat_map(|(id, lists)| lists.iter().map(move |(of, one)| (id, *of, one)));
            let others = all.filter(|(id, of, _)| (id.as_str(), *of) != (issuer, scope));
            let Some((id, of, _)) = others.min_by_key(|(.., one)| one.asked.load(Ordering::Relaxed)) else { return };
            let id = id.clone();
            self.lists.entry(id).or_default().remove(&of);
        }
    }
}

/// Each list once in memory, however many fetch it at once: a list of a million is tens of megabytes.
pub struct Lists {
    store: Arc<dyn Store>,
    kept: RwLock<Kept>,
    /// Held while one is read from the store, so that a crowd after a publication reads it once.
    reading: Mutex<()>,
    questions: AtomicU64,
    most: usize,
}

impl Lists {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, kept: RwLock::default(), reading: Mutex::default(), questions: AtomicU64::new(0), most: MOST }
    }

    /// The list that is kept, without a look at the store.
    pub fn kept(&self, issuer: &str, scope: Scope) -> Option<Arc<List>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let one = kept.lists.get(issuer)?.get(&scope)?;
        one.asked.store(self.questions.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(Arc::clone(&one.list))
    }

    pub fn read(&self, issuer: &str, scope: Scope) -> Result<Option<Arc<List>>, IssueError> {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = self.kept(issuer, scope) {
            return Ok(Some(list));
        }
        let changes = self.kept.read().unwrap_or_else(PoisonError::into_inner).changes;
        let Some(bytes) = self.store.get(&CrlRecord::of(issuer, scope))? else { return Ok(None) };
        let record: CrlRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
        drop(bytes);
        let CrlRecord { number, this_update, next_update, der, .. } = record;
        let list = Arc::new(List { number, this_update, next_update, der: der.into() });
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.changes == changes {
            let asked = AtomicU64::new(self.questions.fetch_add(1, Ordering::Relaxed));
            kept.keep(issuer, scope, One { list: Arc::clone(&list), asked }, self.most);
        }
        Ok(Some(list))
    }
}

impl Watcher for Lists {
    fn published(&self, issuer: &str, scope: Scope) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.lists.get_mut(issuer).map(|lists| lists.remove(&scope));
        kept.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::encode;
    use store::{Batch, Memory};

    fn publish(lists: &Lists, scope: Scope, number: u64, der: Vec<u8>) {
        let record = CrlRecord { number, this_update: 0, next_update: 1, entries: 0, der };
        lists.store.commit(Batch::new().put(CrlRecord::of("a", scope), encode(&record).unwrap())).unwrap();
        lists.published("a", scope);
    }

    #[test]
    fn what_is_published_replaces_what_was_kept() {
        let lists = Lists::new(Arc::new(Memory::new()));
        for scope in [Scope::Whole, Scope::Shard(3), Scope::Delta] {
            assert!(lists.read("a", scope).unwrap().is_none());
            for number in 1..3 {
                publish(&lists, scope, number, vec![number as u8]);
                assert!(lists.kept("a", scope).is_none());
                assert_eq!(lists.read("a", scope).unwrap().unwrap().der, vec![number as u8]);
                assert!(Arc::ptr_eq(&lists.kept("a", scope).unwrap(), &lists.read("a", scope).unwrap().unwrap()));
            }
        }
        assert!(lists.kept("a", Scope::Whole).is_some() && lists.read("b", Scope::Whole).unwrap().is_none());
    }

    #[test]
    fn the_memory_is_bounded_in_octets_and_keeps_what_is_asked_for() {
        let lists = Lists { most: 250, ..Lists::new(Arc::new(Memory::new())) };
        for shard in 0..3 {
            publish(&lists, Scope::Shard(shard), 1, vec![7; 100]);
        }
        let there = || (0..3).filter(|shard| lists.kept.read().unwrap().lists["a"].contains_key(&Scope::Shard(*shard))).collect::<Vec<_>>();
        lists.read("a", Scope::Shard(0)).unwrap();
        lists.read("a", Scope::Shard(1)).unwrap();
        assert!(lists.kept("a", Scope::Shard(0)).is_some());
        lists.read("a", Scope::Shard(2)).unwrap();
        assert_eq!(there(), [0, 2]);
        // One that is larger than all the room is kept alone: it is what a crowd asks for.
        publish(&lists, Scope::Whole, 1, vec![7; 300]);
        lists.read("a", Scope::Whole).unwrap();
        assert!(there().is_empty() && lists.kept("a", Scope::Whole).is_some());
    }
}
