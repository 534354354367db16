//! The one loop of all work that the gateway does of its own accord.

use std::sync::Arc;
use std::time::Duration;

use runtime::exit::{Exit, Problem};
use runtime::shutdown::Shutdown;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Turns until shutdown, each on a thread that may block; one under way ends first.
pub struct Turns {
    every: Duration,
    shutdown: Shutdown,
    at_the_end: bool,
}

impl Turns {
    pub fn every(every: Duration, shutdown: Shutdown) -> Self {
        Self { every, shutdown, at_the_end: false }
    }

    /// One more turn when the service ends.
    pub fn and_at_the_end(self) -> Self {
        Self { at_the_end: true, ..self }
    }

    /// `heard` is told what each turn came to. A turn that panics is one that came to nothing.
    pub async fn take<T: Send + 'static>(self, turn: impl Fn() -> T + Send + Sync + 'static, mut heard: impl FnMut(T)) {
        let turn = Arc::new(turn);
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ends = tokio::select! {
                biased;
                () = self.shutdown.wait() => true,
                _ = tick.tick() => false,
            };
            if ends && !self.at_the_end {
                return;
            }
            let this = Arc::clone(&turn);
            match tokio::task::spawn_blocking(move || this()).await {
                Ok(came) => heard(came),
                Err(error) => tracing::error!(%error, "work of the gateway's own ended abnormally"),
            }
            if ends {
                return;
            }
        }
    }
}

/// What fails is told once, not at every turn.
#[derive(Default)]
pub struct Fault(bool);

impl Fault {
    /// What the newest turn came to; whether it is the first that failed.
    pub fn begins(&mut self, failed: bool) -> bool {
        let lasted = std::mem::replace(&mut self.0, failed);
        failed && !lasted
    }

    pub fn lasts(&self) -> bool {
        self.0
    }
}

/// Work beside the listeners, which is waited for at the end.
#[derive(Default)]
pub struct Background(Vec<(&'static str, JoinHandle<()>)>);

impl Background {
    pub fn begin(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.0.push((name, tokio::spawn(work)));
    }

    pub async fn ended(self) -> Result<(), Problem> {
        for (name, work) in self.0 {
            work.await.map_err(|error| Problem::new(Exit::Internal, name, error.to_string(), "read the log above"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_fault_is_told_when_it_begins() {
        let mut fault = Fault::default();
        let told: Vec<bool> = [false, true, true, false, true].into_iter().map(|failed| fault.begins(failed)).collect();
        assert_eq!((told, fault.lasts()), (vec![false, true, false, false, true], true));
    }

    #[tokio::test]
    async fn turns_end_with_the_service_and_one_that_panics_is_followed_by_others() {
        let (shutdown, taken) = (Shutdown::new(), Arc::new(AtomicU32::new(0)));
        let (counted, ending) = (Arc::clone(&taken), shutdown.clone());
        let turn = move || {
            let turn = counted.fetch_add(1, Ordering::Relaxed);
            assert!(turn > 0, "the first fails");
            turn
        };
        let mut heard = Vec::new();
        Turns::every(Duration::from_millis(1), shutdown).and_at_the_end().take(turn, |turn| {
            heard.push(turn);
            if turn == 2 {
                ending.begin();
            }
        }).await;
        assert_eq!((heard, taken.load(Ordering::Relaxed)), (vec![1, 2, 3], 4));
    }
}
