//! A store in which somebody else's work comes between: with it a test lets another be first at a chosen moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::{CommitError, Receipt, Store, StoreError};
use crate::layer::Layer;
use crate::{Batch, Key};

type Other = Box<dyn FnOnce() + Send>;

/// Lets the other's work happen once.
pub struct Between {
    inner: Arc<dyn Store>,
    after_scan_of: Option<Key>,
    before_commit: Option<u64>,
    commits: AtomicU64,
    other: Mutex<Option<Other>>,
}

impl Between {
    /// Right after the first scan of a table.
    pub fn after_scan(inner: Arc<dyn Store>, table: &str, other: impl FnOnce() + Send + 'static) -> Self {
        Self { after_scan_of: Some(Key::new(table, &[])), ..Self::new(inner, other) }
    }

    /// Right before the commit of that number, the first being 0.
    pub fn before_commit(inner: Arc<dyn Store>, commit: u64, other: impl FnOnce() + Send + 'static) -> Self {
        Self { before_commit: Some(commit), ..Self::new(inner, other) }
    }

    fn new(inner: Arc<dyn Store>, other: impl FnOnce() + Send + 'static) -> Self {
        Self { inner, after_scan_of: None, before_commit: None, commits: AtomicU64::new(0), other: Mutex::new(Some(Box::new(other))) }
    }

    fn happen(&self) {
        // Taken before it is done: it may come back through this very store.
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(other) = other {
            other();
        }
    }
}

impl Layer for Between {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    fn scan_over(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let found = self.inner.scan(from, to, limit);
        if self.after_scan_of.as_ref().is_some_and(|table| from.as_bytes().starts_with(table.as_bytes())) {
            self.happen();
        }
        found
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if self.before_commit == Some(self.commits.fetch_add(1, Ordering::Relaxed)) {
            self.happen();
        }
        self.inner.commit(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expectation, Memory};

    #[test]
    fn the_other_is_first_once_at_its_moment() {
        let key = Key::new("table", &[b"key"]);
        let put = |value: u8| Batch::new().put(Key::new("table", &[b"key"]), vec![value]);
        let inner: Arc<dyn Store> = Arc::new(Memory::new());
        let theirs = Arc::clone(&inner);
        let between = Between::before_commit(Arc::clone(&inner), 1, move || drop(theirs.commit(put(2))));
        assert!(between.commit(put(1)).is_ok());
        let outrun = put(3).expect(Expectation::Equals(key.clone(), vec![1]));
        assert_eq!(between.commit(outrun), Err(CommitError::Conflict { expectation: 0 }));
        assert!(between.commit(put(4).expect(Expectation::Equals(key.clone(), vec![2]))).is_ok());

        let theirs = Arc::clone(&inner);
        let between = Between::after_scan(Arc::clone(&inner), "table", move || drop(theirs.commit(put(5))));
        let scanned = || between.scan(&key, &key.successor(), 1).map(|found| found.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        assert_eq!((scanned(), scanned()), (Ok(vec![vec![4]]), Ok(vec![vec![5]])));
    }
}
