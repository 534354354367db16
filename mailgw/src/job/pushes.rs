//! Whose turn it is among the bureaus whose own systems sent statements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runtime::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::flow::push::held;
use crate::flow::push::job::{self, Turn};
use crate::service::Service;

/// How often jobs of bureaus are looked for, when nothing wakes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Jobs delivered at one time: of several bureaus none waits for another's month.
const AT_ONCE: usize = 4;
/// How long a job rests that could not go on.
const REST: Duration = Duration::from_secs(30);

/// Whose turn it is: one job of each bureau at a time, beginning after the bureau that was served last.
#[derive(Default)]
struct Order {
    last: String,
    served: BTreeSet<String>,
    /// Until when a job rests that could not go on.
    resting: BTreeMap<(String, String), Instant>,
}

impl Order {
    fn next(&mut self, waiting: Vec<(String, String)>, now: Instant) -> Vec<(String, String)> {
        self.resting.retain(|_, until| *until > now);
        let mut first = BTreeMap::new();
        for (bureau, batch) in waiting {
            let place = (bureau, batch);
            if !self.served.contains(&place.0) && !self.resting.contains_key(&place) {
                first.entry(place.0).or_insert(place.1);
            }
        }
        let (mut after, before): (Vec<_>, Vec<_>) = first.into_iter().partition(|(bureau, _)| *bureau > self.last);
        after.extend(before);
        after
    }
}

/// A bureau's turn, which ends however the job does.
struct Serving {
    order: Arc<Mutex<Order>>,
    bureau: String,
}

impl Serving {
    fn begin(order: &Arc<Mutex<Order>>, bureau: &str) -> Self {
        let mut held = order.lock().unwrap_or_else(PoisonError::into_inner);
        bureau.clone_into(&mut held.last);
        held.served.insert(bureau.to_owned());
        Self { order: Arc::clone(order), bureau: bureau.to_owned() }
    }

    fn rests(&self, batch: &str) {
        let until = Instant::now() + REST;
        self.order.lock().unwrap_or_else(PoisonError::into_inner).resting.insert((self.bureau.clone(), batch.to_owned()), until);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).served.remove(&self.bureau);
    }
}

/// Delivers what bureaus' own systems sent, until shutdown; what was cut off is taken up again by itself.
pub async fn pushes(service: Service, shutdown: Shutdown) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut running, desk) = (JoinSet::new(), Arc::new(Mutex::new(Order::default())));
    loop {
        tokio::select! {
            () = shutdown.wait() => break,
            () = service.jobs.wake.notified() => {}
            _ = tick.tick() => {}
        }
        let looking = service.clone();
        let found = tokio::task::spawn_blocking(move || held::waiting(&looking.gateway, &looking.jobs, &looking.gateway.push_limits)).await;
        let waiting = match found {
            Ok(Ok(waiting)) => waiting,
            Ok(Err(error)) => {
                tracing::warn!(%error, "jobs of bureaus cannot be looked at");
                continue;
            }
            Err(_) => continue,
        };
        while running.try_join_next().is_some() {}
        let next = desk.lock().unwrap_or_else(PoisonError::into_inner).next(waiting, Instant::now());
        for (bureau, batch) in next {
            let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else { break };
            let (service, serving) = (service.clone(), Serving::begin(&desk, &bureau));
            running.spawn_blocking(move || {
                let _turn = turn;
                let go_on = || !service.shutdown.is_set();
                let serving = serving;
                match job::run(&service.gateway, &*service.sealer, &service.lists, &service.jobs, (&bureau, &batch), &go_on) {
                    Ok(Turn::Done) => {
                        drop(serving);
                        service.jobs.wake.notify_one();
                    }
                    Ok(Turn::Elsewhere) => {}
                    Ok(Turn::Later(reason)) => {
                        serving.rests(&batch);
                        tracing::warn!(bureau, batch, reason, "a push waits");
                    }
                    Err(error) => {
                        serving.rests(&batch);
                        tracing::warn!(bureau, batch, %error, "a push waits");
                    }
                }
            });
        }
    }
    while running.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bureaus_take_turns_and_what_cannot_go_on_rests() {
        let order = Arc::new(Mutex::new(Order::default()));
        let waiting = || [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "1"), ("c", "1")].map(|(bureau, batch)| (bureau.to_owned(), batch.to_owned())).to_vec();
        let next = |at: Instant| {
            let found = order.lock().unwrap_or_else(PoisonError::into_inner).next(waiting(), at);
            found.into_iter().map(|(bureau, batch)| bureau + &batch).collect::<Vec<_>>()
        };
        let now = Instant::now();
        assert_eq!(next(now), ["a1", "b1", "c1"]);
        let serving = Serving::begin(&order, "a");
        assert_eq!(next(now), ["b1", "c1"]);
        serving.rests("1");
        drop(serving);
        assert_eq!(next(now), ["b1", "c1", "a2"]);
        assert_eq!(next(now + REST * 2), ["b1", "c1", "a1"]);
    }
}
