//! Work that blocks, done where it is asked for: this thread does it. To change threads and back takes longer than a few reads of the store
//! do, and whoever asked waits for it.
//!
//! What blocks for a moment is done by a thread that serves others, too, while another such thread is free: whatever comes meanwhile is
//! served by that one. The last one first hands over to a thread more, and so does what waits for a commit, however many are free.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::{block_in_place, spawn_blocking};

/// So many wait for commits at one time. The runtime has 512 threads to hand over to: for all else enough are left.
const MOST_WAIT: usize = 256;

/// Threads that serve and do brief work now.
static BUSY: AtomicUsize = AtomicUsize::new(0);
static WAITS: Semaphore = Semaphore::const_new(MOST_WAIT);

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

/// Not for what waits for a commit.
pub(super) async fn brief<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    let handle = Handle::current();
    match handle.runtime_flavor() {
        RuntimeFlavor::MultiThread => match Busy::one(&handle) {
            Some(_busy) => caught(work),
            None => block_in_place(|| caught(work)),
        },
        // No other thread serves there.
        _ => elsewhere(work).await,
    }
}

/// The same for what waits for a commit, too.
pub(super) async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    // The semaphore is never closed.
    let _one = WAITS.acquire().await;
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(|| caught(work)),
        _ => elsewhere(work).await,
    }
}

async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    spawn_blocking(|| caught(work)).await.unwrap_or_else(|error| Err(Panicked(error.to_string())))
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

    use super::*;

    /// It is done, what falls over is an error, and meanwhile others are served, who could not be by a thread that waits.
    async fn does_all() {
        assert_eq!(brief(|| 7).await, Ok(7));
        assert_eq!(brief(|| -> u8 { panic!("as it may") }).await, Err(Panicked("as it may".to_owned())));
        let (said, heard) = mpsc::channel();
        let other = tokio::spawn(async move { said.send(9) });
        assert_eq!(brief(move || heard.recv()).await, Ok(Ok(9)));
        other.await.unwrap().unwrap();
        assert_eq!(waiting(|| 7).await, Ok(7));
        assert_eq!(waiting(|| -> u8 { panic!("as it may") }).await, Err(Panicked("as it may".to_owned())));
    }

    /// However many block at once, somebody serves.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn one_thread_serves_on() {
        let (ends, heard) = mpsc::channel::<()>();
        let heard = Arc::new(Mutex::new(heard));
        let blocked: Vec<_> = (0..9).map(|_| Arc::clone(&heard)).map(|heard| tokio::spawn(brief(move || heard.lock().unwrap().recv().is_ok()))).collect();
        for _ in 0..9 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            ends.send(()).unwrap();
        }
        for one in blocked {
            assert_eq!(one.await.unwrap(), Ok(true));
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
