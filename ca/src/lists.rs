//! The lists as they are published now: read once, and shared by all who fetch them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::body::Bytes;
use store::Store;

use crate::authority::Watcher;
use crate::problem::IssueError;
use crate::record::{CrlRecord, decode};

/// A list as it is sent.
#[derive(Clone, Debug)]
pub struct List {
    pub number: u64,
    /// Unix seconds.
    pub this_update: i64,
    pub der: Bytes,
}

#[derive(Default)]
struct Kept {
    by_issuer: HashMap<String, Arc<List>>,
    /// Grows with every publication: a list read before one is not kept after it.
    changes: u64,
}

/// One list an issuer in memory, however many fetch it at once: a list of a million is tens of megabytes.
pub struct Lists {
    store: Arc<dyn Store>,
    kept: RwLock<Kept>,
    /// Held while one is read from the store, so that a crowd after a publication reads it once.
    reading: Mutex<()>,
}

impl Lists {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, kept: RwLock::default(), reading: Mutex::default() }
    }

    /// The list that is kept, without a look at the store.
    pub fn kept(&self, issuer: &str) -> Option<Arc<List>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).by_issuer.get(issuer).cloned()
    }

    pub fn read(&self, issuer: &str) -> Result<Option<Arc<List>>, IssueError> {
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = self.kept(issuer) {
            return Ok(Some(list));
        }
        let changes = self.kept.read().unwrap_or_else(PoisonError::into_inner).changes;
        let Some(bytes) = self.store.get(&CrlRecord::key(issuer))? else { return Ok(None) };
        let record: CrlRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
        let list = Arc::new(List { number: record.number, this_update: record.this_update, der: record.der.into() });
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.changes == changes {
            kept.by_issuer.insert(issuer.to_owned(), Arc::clone(&list));
        }
        Ok(Some(list))
    }
}

impl Watcher for Lists {
    fn published(&self, issuer: &str) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.by_issuer.remove(issuer);
        kept.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::encode;
    use store::{Batch, Memory};

    #[test]
    fn what_is_published_replaces_what_was_kept() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let lists = Lists::new(Arc::clone(&store));
        assert!(lists.read("a").unwrap().is_none());
        for number in 1..3 {
            let record = CrlRecord { number, this_update: 0, next_update: 1, entries: 0, der: vec![number as u8] };
            store.commit(Batch::new().put(CrlRecord::key("a"), encode(&record).unwrap())).unwrap();
            lists.published("a");
            assert!(lists.kept("a").is_none());
            assert_eq!(lists.read("a").unwrap().unwrap().der, vec![number as u8]);
            assert!(Arc::ptr_eq(&lists.kept("a").unwrap(), &lists.read("a").unwrap().unwrap()));
        }
    }
}
