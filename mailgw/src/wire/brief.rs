//! Work that blocks for a moment, such as a few reads of the store, done where it is asked for: this thread does it, and another one takes
//! over whatever else it would have served. To change threads and back takes longer than the reads do, and whoever asked waits for it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{block_in_place, spawn_blocking};

/// It fell over; whoever asked says what was left undone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked: {0}")]
pub(super) struct Panicked(String);

/// Not for what waits for a commit: many of these at once would leave no thread to take over.
pub(super) async fn brief<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    // What it worked on is dropped with it.
    let work = move || catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(words(&*panic)));
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        // No other thread serves there.
        _ => spawn_blocking(work).await.unwrap_or_else(|error| Err(Panicked(error.to_string()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "for an unknown reason".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::mpsc;

    use super::*;

    /// It is done, what falls over is an error, and meanwhile others are served, who could not be by a thread that waits.
    async fn does_all() {
        assert_eq!(brief(|| 7).await, Ok(7));
        assert_eq!(brief(|| -> u8 { panic!("as it may") }).await, Err(Panicked("as it may".to_owned())));
        let (said, heard) = mpsc::channel();
        let other = tokio::spawn(async move { said.send(9) });
        assert_eq!(brief(move || heard.recv()).await, Ok(Ok(9)));
        other.await.unwrap().unwrap();
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
