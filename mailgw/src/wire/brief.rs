//! Work that blocks, done where it is asked for: this thread does it. To change threads and back takes longer than a few reads of the store
//! do, and whoever asked waits for it.
//!
//! Who does it first hands over to another thread, which serves the others meanwhile. What takes but a moment, whatever it is given, is done
//! without that, as long as one more thread serves: for so long perhaps nobody looks at the sockets and the clock, since a thread that is
//! free may sleep through it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{block_in_place, spawn_blocking};

/// So many wait for commits of mail that comes at one time, so many for those of readers, and so many for other hosts: each takes one of
/// the runtime's 512 threads.
const MOST_WAIT: usize = 192;
const MOST_CHANGE: usize = 128;
const MOST_ASK: usize = 64;

/// Threads that serve and are busy for a moment now.
static BUSY: AtomicUsize = AtomicUsize::new(0);
static WAITS: Semaphore = Semaphore::const_new(MOST_WAIT);
static CHANGES: Semaphore = Semaphore::const_new(MOST_CHANGE);
static ASKS: Semaphore = Semaphore::const_new(MOST_ASK);

/// It fell over; whoever asked says what was left undone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked: {0}")]
pub(super) struct Panicked(String);

/// One of the threads that may be busy at one time: all but one of those that serve.
struct Busy;

impl Busy {
    fn one(handle: &Handle) -> Option<Self> {
        let most = handle.metrics().num_workers().saturating_sub(1);
        BUSY.fetch_update(Relaxed, Relaxed, |busy| Some(busy + 1).filter(|now| *now <= most)).ok().map(|_| Self)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Relaxed);
    }
}

/// For what a few reads of the store and some hundred kilobytes bound, and for nothing that waits for a commit (a body's id does, once in a
/// million).
pub(super) async fn momentary<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    let handle = Handle::current();
    match (handle.runtime_flavor(), Busy::one(&handle)) {
        (RuntimeFlavor::MultiThread, Some(_busy)) => caught(work),
        _ => brief(work).await,
    }
}

/// Not for what waits for a commit: many of these at once would leave no thread to take over.
pub(super) async fn brief<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(|| caught(work)),
        // No other thread serves there.
        _ => spawn_blocking(|| caught(work)).await.unwrap_or_else(|error| Err(Panicked(error.to_string()))),
    }
}

/// For what waits for a commit.
pub(super) async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    // The semaphore is never closed.
    let _one = WAITS.acquire().await;
    brief(work).await
}

/// A place among readers who change their mailboxes, for what is done in several steps.
pub(super) async fn place_to_change() -> Option<SemaphorePermit<'static>> {
    CHANGES.acquire().await.ok()
}

/// For what a reader changes in the own mailbox: whoever brings mail does not wait behind it. A place is taken once all is there that the
/// client had to send, so that a slow one has none.
pub(super) async fn changing<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    let _one = CHANGES.acquire().await;
    brief(work).await
}

/// For what may wait for another host, too: whoever waits for commits alone does not wait for it.
pub(super) async fn asking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    let _one = ASKS.acquire().await;
    brief(work).await
}

/// What it worked on is dropped with it.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "for an unknown reason".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;

    use super::*;

    /// It is done, what falls over is an error, and meanwhile others are served, who could not be by a thread that waits.
    async fn does_all() {
        assert_eq!(brief(|| 7).await, Ok(7));
        assert_eq!(brief(|| -> u8 { panic!("as it may") }).await, Err(Panicked("as it may".to_owned())));
        let (said, heard) = mpsc::channel();
        let other = tokio::spawn(async move { said.send(9) });
        assert_eq!(brief(move || heard.recv()).await, Ok(Ok(9)));
        other.await.unwrap().unwrap();
        assert_eq!((waiting(|| 7).await, asking(|| 8).await, momentary(|| 9).await, changing(|| 6).await), (Ok(7), Ok(8), Ok(9), Ok(6)));
        assert_eq!(waiting(|| -> u8 { panic!("as it may") }).await, Err(Panicked("as it may".to_owned())));
    }

    /// Whom a timer or a socket woke leaves somebody who looks at them, though the others sleep.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn whoever_was_woken_leaves_somebody_at_the_clock() {
        let (ends, heard) = mpsc::channel();
        let one = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            brief(move || heard.recv_timeout(Duration::from_secs(5)).is_ok()).await
        });
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = ends.send(());
        });
        assert_eq!(one.await.unwrap(), Ok(true));
    }

    /// However many are busy at once, somebody serves.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn one_thread_serves_on() {
        let (ends, heard) = mpsc::channel::<()>();
        let heard = Arc::new(Mutex::new(heard));
        let blocked: Vec<_> = (0..9).map(|_| Arc::clone(&heard)).map(|heard| tokio::spawn(momentary(move || heard.lock().unwrap().recv().is_ok()))).collect();
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            ends.send(()).unwrap();
        }
        for one in blocked {
            assert_eq!(one.await.unwrap(), Ok(true));
        }
    }

    /// Readers' changes that hang take no more threads than are theirs, and mail is taken beside them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn changes_are_bounded_and_others_go_on() {
        let (open, begun) = (Arc::new(std::sync::RwLock::new(())), Arc::new(AtomicUsize::new(0)));
        let held = open.write().unwrap();
        let all: Vec<_> = (0..2 * MOST_CHANGE).map(|_| (Arc::clone(&open), Arc::clone(&begun))).map(|(open, begun)| tokio::spawn(changing(move || {
            begun.fetch_add(1, Relaxed);
            drop(open.read().unwrap());
        }))).collect();
        while begun.load(Relaxed) < MOST_CHANGE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let other = tokio::spawn(async { (waiting(|| 1).await, asking(|| 2).await, brief(|| 3).await) });
        assert_eq!(other.await.unwrap(), (Ok(1), Ok(2), Ok(3)));
        assert_eq!(begun.load(Relaxed), MOST_CHANGE);
        drop(held);
        for one in all {
            one.await.unwrap().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn on_a_thread_that_another_takes_over_from() {
        tokio::spawn(does_all()).await.unwrap();
    }

    #[tokio::test]
    async fn on_another_thread_where_there_is_but_one() {
        does_all().await;
    }
}
