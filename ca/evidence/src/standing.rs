//! Whether a service can go on: its log's head is signed, and its store takes what comes.
//!
//! A store one of whose writes failed takes nothing more until it is opened again, and only a new process opens it. Until there is
//! room the service goes on, for what is there can still be read; then it ends by itself, for its supervisor to start it anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use runtime::exit::{Exit, Problem};
use runtime::room;

use crate::Evidence;

/// What a service's own looks found; `/healthz` tells of it.
pub struct Standing {
    evidence: Arc<Evidence>,
    store: PathBuf,
    /// Why the store takes nothing more: that never ends.
    poisoned: OnceLock<String>,
    /// Why the log's head cannot be signed.
    unsigned: Mutex<Option<String>>,
}

impl Standing {
    /// `store`: where it is kept, which may be another disk than the service's directory.
    pub fn new(evidence: Arc<Evidence>, store: PathBuf) -> Self {
        Self { evidence, store, poisoned: OnceLock::new(), unsigned: Mutex::default() }
    }

    /// Signs the log's head and looks at the store; whether the service is to end. Blocking.
    pub fn look(&self) -> bool {
        let unsigned = self.evidence.advance().err().map(|error| error.to_string());
        let mut before = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*before, &unsigned) {
            (None, Some(error)) => tracing::error!(error, "signing the log's head"),
            (Some(_), None) => tracing::info!("the log's head is signed again"),
            _ => {}
        }
        *before = unsigned;
        drop(before);
        self.is_over()
    }

    /// Whether the store is to be opened again and there is room for it. Blocking.
    pub fn is_over(&self) -> bool {
        if self.poisoned.get().is_none() {
            let Some(reason) = self.evidence.poisoned() else { return false };
            tracing::error!(reason, "a write failed and the store takes nothing more: once there is room the service ends, to be started anew");
            let _ = self.poisoned.set(reason);
        }
        [self.evidence.directory(), &self.store].into_iter().all(|place| room::check(place).is_ok())
    }

    /// For everybody: what failed in words of the disk stands in the log.
    pub fn check(&self) -> Result<(), Problem> {
        if self.poisoned.get().is_some() {
            let next = format!("see to the disk: once {} MiB are free the service ends by itself, and is to be started anew", room::LEAST);
            return Err(Problem::new(Exit::Unavailable, "store", "a write failed, and nothing is taken in until the service is started anew", next));
        }
        match &*self.unsigned.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(_) => Err(Problem::new(Exit::Unavailable, "log", "the log's head cannot be signed and stored", "look at the disk; service resumes by itself")),
        }
    }

    /// What the process ends with.
    pub fn ended(&self) -> Result<(), Problem> {
        let Some(reason) = self.poisoned.get() else { return Ok(()) };
        Err(Problem::new(Exit::Unavailable, "store", format!("the service ended because its store takes nothing more: {reason}"), "see that the disk is well and has room, and start the service again: what was acknowledged is there"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use keys::{KeyStore, Passphrase};
    use store::{Batch, Fault, Faulty, Memory, Store};

    use super::*;
    use crate::{LogSigner, STREAM};

    fn commit(store: &dyn Store) -> bool {
        let mut batch = Batch::new();
        batch.append(STREAM, b"entry".as_slice());
        store.commit(batch).is_ok()
    }

    #[test]
    fn a_store_that_takes_nothing_more_is_told_and_ends_the_service_once_there_is_room() {
        // Nothing is ever free on the kernel's own file system.
        for (kept, ends) in [("/proc", false), (".", true)] {
            let place = tempfile::tempdir().unwrap();
            let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
            let signer = LogSigner { origin: "mx.example.cn/mailgw".into(), key: keys.note_key("log").unwrap() };
            // The first commit is the first look's, the third fails.
            let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(Memory::new())).at(2, Fault::Lost));
            let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, place.path()).unwrap());
            let standing = Standing::new(evidence, Path::new(kept).to_owned());
            assert_eq!((standing.look(), standing.check(), standing.ended()), (false, Ok(()), Ok(())));
            assert!(commit(&*store) && !commit(&*store));
            // The log's head is signed and well: that alone would tell of nothing.
            assert_eq!(standing.look(), ends, "{kept}");
            let (told, ended) = (standing.check().unwrap_err(), standing.ended().unwrap_err());
            assert_eq!((told.code.as_str(), told.exit, ended.exit), ("store", Exit::Unavailable, Exit::Unavailable));
            assert!(ended.message.contains("a planned fault") && !told.message.contains("a planned fault"));
            // It never takes anything again, whatever else is well.
            assert!(standing.look() == ends && standing.check().is_err());
        }
    }
}
