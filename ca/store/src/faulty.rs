//! A store that fails where it is told to: with it a test goes through every write boundary of a flow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::{CommitError, Receipt, Store};
use crate::layer::Layer;
use crate::Batch;

/// What becomes of one commit. After either the store is poisoned, as an engine after a failed flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was done.
    Lost,
    /// Everything was done, and the caller never heard of it.
    DoneReportedLost,
}

#[derive(Debug, Default)]
struct Progress {
    commits: u64,
    faults: BTreeMap<u64, Fault>,
    poisoned: bool,
}

/// A store with a plan of faults. Reads are never disturbed.
pub struct Faulty {
    inner: Arc<dyn Store>,
    progress: Mutex<Progress>,
}

impl Faulty {
    /// Without a fault until one is planned.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, progress: Mutex::default() }
    }

    /// Plans a fault for the commit of that number, the first being 0.
    pub fn at(self, commit: u64, fault: Fault) -> Self {
        self.with(|progress| progress.faults.insert(commit, fault));
        self
    }

    /// How many commits were tried so far, those refused after a fault not counted.
    pub fn commits(&self) -> u64 {
        self.with(|progress| progress.commits)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next_fault(&self) -> Result<Option<Fault>, CommitError> {
        self.with(|progress| {
            if progress.poisoned {
                return Err(poisoned());
            }
            let fault = progress.faults.remove(&progress.commits);
            progress.commits += 1;
            progress.poisoned = fault.is_some();
            Ok(fault)
        })
    }
}

fn poisoned() -> CommitError {
    CommitError::Poisoned { reason: "a planned fault".into() }
}

impl Layer for Faulty {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        match self.next_fault()? {
            None => self.inner.commit(batch),
            Some(Fault::Lost) => Err(poisoned()),
            Some(Fault::DoneReportedLost) => {
                self.inner.commit(batch)?;
                Err(poisoned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn faults_strike_where_planned_and_poison_what_follows() {
        for (fault, length) in [(Fault::Lost, 1), (Fault::DoneReportedLost, 2)] {
            let inner: Arc<dyn Store> = Arc::new(Memory::new());
            let faulty = Faulty::new(Arc::clone(&inner)).at(1, fault);
            let commit = || {
                let mut batch = Batch::new();
                batch.append("log", b"entry".as_slice());
                faulty.commit(batch)
            };
            assert!(commit().is_ok());
            assert_eq!((commit(), commit()), (Err(poisoned()), Err(poisoned())));
            assert_eq!((faulty.commits(), inner.stream_length("log")), (2, Ok(length)));
        }
    }
}
