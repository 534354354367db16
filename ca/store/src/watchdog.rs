//! A commit that hangs ends the process: a service that answers nobody is worse than one that starts again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::contract::StoreError;

/// How long a group of batches may take to become durable, and what is done when it takes longer.
pub struct Watchdog {
    pub(crate) deadline: Duration,
    pub(crate) hung: Box<dyn FnOnce() + Send>,
}

impl Watchdog {
    /// `hung` is called once, on a thread of its own, while the commit still hangs.
    pub fn new(deadline: Duration, hung: impl FnOnce() + Send + 'static) -> Self {
        Self { deadline, hung: Box::new(hung) }
    }
}

impl Default for Watchdog {
    /// Ten seconds, then the process is aborted: nothing unacknowledged was promised, and opening again recovers the rest.
    fn default() -> Self {
        Self::new(Duration::from_secs(10), || std::process::abort())
    }
}

/// What the committer and its watchdog share. Times are milliseconds since `start`, one more, so that 0 is idle.
struct Watched {
    start: Instant,
    since: AtomicU64,
    ended: AtomicBool,
}

/// A watchdog on duty; it goes when this is dropped.
pub(crate) struct OnDuty {
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

/// Handed to the committer to say when it is at work.
#[derive(Clone)]
pub(crate) struct Timer(Arc<Watched>);

impl Watched {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Timer {
    /// Runs `work` under the watchdog's eyes.
    pub(crate) fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.since.store(self.0.now(), Ordering::Release);
        // Work that panics is over, too: nothing hangs, and whoever commits next is told.
        let _idle = Idle(&self.0.since);
        work()
    }
}

struct Idle<'a>(&'a AtomicU64);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl OnDuty {
    pub(crate) fn start(watchdog: Watchdog) -> Result<(Self, Timer), StoreError> {
        let watched = Arc::new(Watched { start: Instant::now(), since: AtomicU64::new(0), ended: AtomicBool::new(false) });
        let eyes = Arc::clone(&watched);
        let thread = std::thread::Builder::new().name("store-watchdog".into()).spawn(move || watch(&eyes, watchdog));
        let thread = thread.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok((Self { watched: Arc::clone(&watched), thread: Some(thread) }, Timer(watched)))
    }
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        self.watched.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn watch(watched: &Watched, watchdog: Watchdog) {
    let deadline = u64::try_from(watchdog.deadline.as_millis()).unwrap_or(u64::MAX);
    while !watched.ended.load(Ordering::Acquire) {
        let since = watched.since.load(Ordering::Acquire);
        if since != 0 && watched.now().saturating_sub(since) > deadline {
            tracing::error!(seconds = watchdog.deadline.as_secs_f32(), "a commit hangs; the process ends, start it again and look at the disk");
            return (watchdog.hung)();
        }
        std::thread::park_timeout(watchdog.deadline / 8);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn work_past_the_deadline_is_told_and_quick_work_is_not() {
        let (tell, told) = channel();
        let (duty, timer) = OnDuty::start(Watchdog::new(Duration::from_millis(80), move || tell.send(()).unwrap())).unwrap();
        for _ in 0..20 {
            timer.time(|| std::thread::sleep(Duration::from_millis(8)));
        }
        assert!(told.try_recv().is_err());
        timer.time(|| told.recv_timeout(Duration::from_secs(5)).unwrap());
        drop(duty);
    }

    #[test]
    fn work_that_panics_does_not_hang() {
        let (_duty, timer) = OnDuty::start(Watchdog::default()).unwrap();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| timer.time(|| panic!("a bug"))));
        assert!(ended.is_err() && timer.0.since.load(Ordering::Acquire) == 0);
    }
}
