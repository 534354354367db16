//! Whether a service can go on: its log's head is signed, and its store takes what comes.
//!
//! A store one of whose writes failed takes nothing more until it is opened again, and only a new process opens it. Until its disk
//! takes writes the service goes on, for what is there can still be read; then it ends by itself, for its supervisor to start it anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use runtime::exit::{Exit, Problem};
use runtime::room;

use crate::Evidence;

/// The disk is tried no more often: it is written to, and has enough to do.
const TRY_EVERY: Duration = Duration::from_secs(5);
/// A service that is over ends within this, whatever hangs in it.
const LAST: Duration = Duration::from_secs(120);

/// After how long the process is ended, and how.
type Bound = (Duration, Box<dyn FnOnce() + Send>);

/// How the disk of a store that takes nothing more was tried.
#[derive(Default)]
struct Trial {
    last: Option<Instant>,
    told: bool,
}

/// What a service's own looks found; `/healthz` tells of it.
pub struct Standing {
    evidence: Arc<Evidence>,
    store: PathBuf,
    /// Why the store takes nothing more: that never ends.
    poisoned: OnceLock<String>,
    /// Why the log's head cannot be signed.
    unsigned: Mutex<Option<String>>,
    trial: Mutex<Trial>,
    /// The service is to end, which never ends either.
    over: AtomicBool,
    bound: Mutex<Option<Bound>>,
}

impl Standing {
    /// `store`: where it is kept, which may be another disk than the service's directory.
    pub fn new(evidence: Arc<Evidence>, store: PathBuf) -> Self {
        Self { evidence, store, poisoned: OnceLock::new(), unsigned: Mutex::default(), trial: Mutex::default(), over: AtomicBool::new(false), bound: Mutex::default() }
    }

    /// For a process of its own, which is ended where its service, once over, does not end: nothing acknowledged is lost by it, since
    /// nothing is taken in.
    pub fn bounded(self) -> Self {
        self.with_bound(LAST, || std::process::exit(Exit::Unavailable.code().into()))
    }

    fn with_bound(self, after: Duration, end: impl FnOnce() + Send + 'static) -> Self {
        Self { bound: Mutex::new(Some((after, Box::new(end)))), ..self }
    }

    /// Whether the store takes what comes, as far as the last look knows.
    pub fn takes(&self) -> bool {
        self.poisoned.get().is_none()
    }

    /// Signs the log's head and looks at the store; whether the service is to end. Blocking.
    pub fn look(&self) -> bool {
        // A panic is told of like any other fault, and keeps nobody from looking at the store.
        let signed = catch_unwind(AssertUnwindSafe(|| self.evidence.advance().err().map(|error| error.to_string())));
        let unsigned = signed.unwrap_or_else(|_| Some("it ended abnormally".to_owned()));
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

    /// Whether the store is to be opened again and its disk takes writes. Blocking.
    pub fn is_over(&self) -> bool {
        if self.takes() {
            let Some(reason) = self.evidence.poisoned() else { return false };
            tracing::error!(reason, "a write failed and the store takes nothing more: once its disk takes writes the service ends, to be started anew");
            let _ = self.poisoned.set(reason);
        }
        if self.over.load(Ordering::Acquire) {
            return true;
        }
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        if trial.last.is_some_and(|last| last.elapsed() < TRY_EVERY) {
            return false;
        }
        let tried = self.tried();
        // Once it was tried: a disk may be slow to refuse.
        trial.last = Some(Instant::now());
        if let Err(reason) = tried {
            if !std::mem::replace(&mut trial.told, true) {
                tracing::warn!(reason, "the service waits for its disk to take writes; meanwhile it only reads");
            }
            return false;
        }
        tracing::info!("the disk takes writes: the service ends, to be started anew");
        self.over.store(true, Ordering::Release);
        self.begin_bound();
        true
    }

    /// Writes beside what is written in earnest: room alone says nothing of a disk that turned read-only, of quotas and of inodes.
    fn tried(&self) -> Result<(), String> {
        for place in [self.evidence.directory(), &self.store] {
            room::check(place).map_err(|problem| problem.message)?;
            room::prove(place).map_err(|error| format!("{}: {error}", place.display()))?;
        }
        Ok(())
    }

    fn begin_bound(&self) {
        let Some((after, end)) = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let begun = thread::Builder::new().name("last-bound".into()).spawn(move || {
            thread::sleep(after);
            tracing::error!(seconds = after.as_secs(), "the service did not end by itself; the process ends");
            end();
        });
        if let Err(error) = begun {
            tracing::error!(%error, "nothing bounds how long the service takes to end");
        }
    }

    /// For everybody: what failed in words of the disk stands in the log.
    pub fn check(&self) -> Result<(), Problem> {
        if !self.takes() {
            let next = format!("see to the disk: once it takes writes and {} MiB are free the service ends by itself, and is to be started anew", room::LEAST);
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
        // Somebody may have ended it before.
        let what = if self.over.load(Ordering::Acquire) { "the service ended because its store takes nothing more" } else { "the store took nothing more when the service was ended" };
        Err(Problem::new(Exit::Unavailable, "store", format!("{what}: {reason}"), "see that the disk is well and has room, and start the service again: what was acknowledged is there"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
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

    /// A store whose first commit, the first look's, is well, and whose third fails.
    fn opened(place: &Path, kept: &Path) -> (Arc<dyn Store>, Standing) {
        let keys = KeyStore::create(&place.join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let signer = LogSigner { origin: "mx.example.cn/mailgw".into(), key: keys.note_key("log").unwrap() };
        let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(Memory::new())).at(2, Fault::Lost));
        let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, place).unwrap());
        (store, Standing::new(evidence, kept.to_owned()))
    }

    #[test]
    fn a_store_that_takes_nothing_more_is_told_and_ends_the_service_once_there_is_room() {
        let beside = tempfile::tempdir().unwrap();
        // Nothing is ever free on the kernel's own file system.
        for (kept, ends) in [(Path::new("/proc"), false), (beside.path(), true)] {
            let place = tempfile::tempdir().unwrap();
            let (store, standing) = opened(place.path(), kept);
            assert_eq!((standing.look(), standing.takes(), standing.check(), standing.ended()), (false, true, Ok(()), Ok(())));
            assert!(commit(&*store) && !commit(&*store));
            // The log's head is signed and well: that alone would tell of nothing.
            assert_eq!((standing.look(), standing.takes()), (ends, false), "{kept:?}");
            let (told, ended) = (standing.check().unwrap_err(), standing.ended().unwrap_err());
            assert_eq!((told.code.as_str(), told.exit, ended.exit), ("store", Exit::Unavailable, Exit::Unavailable));
            assert!(ended.message.contains("a planned fault") && !told.message.contains("a planned fault"));
            assert_eq!(ended.message.contains("ended because"), ends);
            // It never takes anything again, whatever else is well.
            assert!(standing.look() == ends && standing.check().is_err());
        }
    }

    #[test]
    fn a_committer_that_died_is_told_of_like_a_write_that_failed() {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let signer = LogSigner { origin: "mx.example.cn/mailgw".into(), key: keys.note_key("log").unwrap() };
        let store = store::open("fjall:store", place.path()).unwrap();
        let standing = Standing::new(Arc::new(Evidence::open(Arc::clone(&store), signer, place.path()).unwrap()), place.path().to_owned());
        assert!(commit(&*store) && !standing.look() && standing.takes());
        store.commit_then(Batch::new(), Box::new(|_| panic!("a bug of who asked")));
        assert!(standing.look() && !standing.takes() && !commit(&*store));
        let (told, ended) = (standing.check().unwrap_err(), standing.ended().unwrap_err());
        assert_eq!((told.code.as_str(), ended.exit), ("store", Exit::Unavailable));
        assert!(ended.message.contains("the committer ended"), "{ended:?}");
    }

    #[test]
    fn a_disk_that_takes_no_write_is_waited_for_and_not_tried_at_every_look() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        let (tell, told) = std::sync::mpsc::channel();
        let (store, standing) = opened(place.path(), &kept);
        let standing = standing.with_bound(Duration::ZERO, move || tell.send(()).unwrap());
        assert!(!standing.look() && commit(&*store) && !commit(&*store) && !standing.look());
        std::fs::create_dir(&kept).unwrap();
        assert!(!standing.look() && told.try_recv().is_err());
        standing.trial.lock().unwrap().last = None;
        assert!(standing.look() && standing.look());
        // Once: the second look began no other.
        told.recv().unwrap();
        assert!(told.recv().is_err());
    }
}
