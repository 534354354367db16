//! What the gateway does of its own accord: it signs the log's head and evidence of deliveries, takes the letters of the authority and
//! of filing desks, and tells the authority whose certificates end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::evidence::Evidence;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::revocation::RevocationLists;
use runtime::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::flow::access;
use crate::flow::certificate::tell_all;
use crate::flow::certificate_login::{AGAIN, CertificateLogins};
use crate::flow::evidence::{TimestampAuthority, seal, stamp, unsigned, unstamped};
use crate::flow::hold::forget_deleted;
use crate::flow::paper;
use crate::flow::notices::{Collected, collect};
use crate::flow::push::held;
use crate::flow::push::job::{self, Turn};
use crate::flow::retention::retain;
use crate::flow::submit::forget_usage;
use crate::flow::warnings::warn_all;
use crate::gateway::Gateway;
use crate::outbox::Outbox;
use crate::registrar::authority::Authority;
use crate::service::Service;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// How often every outbox is asked for letters.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often evidence is signed, when there is some.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// How often what is of days before is deleted.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// How often jobs of bureaus are looked for, when nothing wakes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Jobs delivered at one time: of several bureaus none waits for another's month.
const AT_ONCE: usize = 4;
/// How long a job rests that could not go on.
const REST: Duration = Duration::from_secs(30);

/// What came of the letters asked for.
pub struct NoticeMetrics {
    delivered: Arc<Counter>,
    later: Arc<Counter>,
    refused: Arc<Counter>,
    /// How many outboxes cannot be asked.
    fault: Arc<Gauge>,
}

impl NoticeMetrics {
    pub fn register(metrics: &Registry) -> Result<Self, MetricError> {
        let counter = |labels| metrics.counter("suiyin_mail_notices_total", "Letters of the authority and of filing desks by what became of them.", labels);
        Ok(Self {
            delivered: counter(&[("outcome", "delivered")])?,
            later: counter(&[("outcome", "later")])?,
            refused: counter(&[("outcome", "refused")])?,
            fault: metrics.gauge("suiyin_mail_outbox_fault", "How many outboxes cannot be asked for letters.", &[])?,
        })
    }
}

/// Looks again at the certificates by which somebody is logged in, until shutdown: who is revoked is logged out.
pub async fn certificates(logins: Arc<CertificateLogins>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
        let logins = Arc::clone(&logins);
        if let Err(error) = tokio::task::spawn_blocking(move || logins.look_again()).await {
            tracing::error!(%error, "the certificates of those logged in were not looked at");
        }
    }
}

/// Asks every outbox for letters until shutdown. One that is away is asked again; a turn under way ends first.
pub async fn notices(gateway: Arc<Gateway>, outboxes: Vec<Arc<dyn Outbox>>, metrics: NoticeMetrics, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut away = vec![false; outboxes.len()];
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        for (outbox, away) in outboxes.iter().zip(&mut away) {
            let (gateway, outbox) = (Arc::clone(&gateway), Arc::clone(outbox));
            let done = tokio::task::spawn_blocking(move || collect(&gateway, &*outbox)).await;
            let failed = match done {
                Ok(Ok(Collected { delivered, later, refused })) => {
                    metrics.delivered.add(delivered);
                    metrics.later.add(later);
                    metrics.refused.add(refused);
                    if delivered + later + refused > 0 {
                        tracing::info!(delivered, later, refused, "letters of an outbox");
                    }
                    false
                }
                Ok(Err(problem)) => {
                    // Told once, not every five seconds.
                    if !*away {
                        tracing::warn!(%problem, "an outbox cannot be asked for letters");
                    }
                    true
                }
                Err(_) => true,
            };
            *away = failed;
        }
        metrics.fault.set(away.iter().map(|away| i64::from(*away)).sum());
    }
}

/// Records until shutdown which statements clients' programs fetched, away from the sessions that fetched them. What cannot be recorded
/// waits, within its bound.
pub async fn accesses(gateway: Arc<Gateway>, missed: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(SEAL_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let ending = tokio::select! {
            () = shutdown.wait() => true,
            _ = tick.tick() => false,
        };
        let looked = Arc::clone(&gateway);
        let Ok(done) = tokio::task::spawn_blocking(move || access::record(&looked)).await else { continue };
        missed.set(i64::try_from(gateway.messages.fetched().missed()).unwrap_or(i64::MAX));
        match &done {
            // Told once, not every second.
            Err(error) if !failing => tracing::warn!(%error, "which statements were fetched is not recorded yet"),
            _ => {}
        }
        failing = done.is_err();
        if ending {
            return;
        }
    }
}

/// Answers owners who asked by mail for a statement on paper, until shutdown. While the sealer is away they wait.
pub async fn papers(service: Service, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let asked = service.clone();
        let Ok(done) = tokio::task::spawn_blocking(move || paper::answer_all(&asked.gateway, &*asked.sealer, &asked.lists)).await else { continue };
        match &done {
            // Told once, not every five seconds.
            Err(error) if !failing => tracing::warn!(%error, "statements that were asked for on paper wait"),
            Ok(answered) if *answered > 0 => tracing::info!(answered, "statements on paper"),
            _ => {}
        }
        failing = done.is_err();
    }
}

/// Stamps signed evidence until shutdown. While the timestamp authority is away it waits.
pub async fn stamps(gateway: Arc<Gateway>, lists: Arc<RevocationLists>, authority: Arc<dyn TimestampAuthority>, waiting: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (gateway, lists, authority) = (Arc::clone(&gateway), Arc::clone(&lists), Arc::clone(&authority));
        let Ok((done, left)) = tokio::task::spawn_blocking(move || (stamp(&gateway, &lists, &*authority), unstamped(&gateway))).await else { continue };
        waiting.set(i64::try_from(left).unwrap_or(i64::MAX));
        match &done {
            // Told once, not every five seconds.
            Err(error) if !failing => tracing::warn!(%error, batches = left, "evidence waits for its timestamp"),
            Ok(_) if failing => tracing::info!("evidence is stamped again"),
            _ => {}
        }
        failing = done.is_err();
    }
}

/// Signs evidence that waits, until shutdown. Deliveries go on without: it is caught up on.
pub async fn evidence(gateway: Arc<Gateway>, lists: Arc<RevocationLists>, waiting: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(SEAL_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut fault = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (gateway, lists) = (Arc::clone(&gateway), Arc::clone(&lists));
        let done = tokio::task::spawn_blocking(move || (seal(&gateway, &lists), unsigned(&gateway))).await;
        let Ok((sealed, left)) = done else { continue };
        waiting.set(i64::try_from(left).unwrap_or(i64::MAX));
        match sealed {
            // Told once, not every second.
            Err(error) if !fault => tracing::warn!(%error, "evidence waits unsigned"),
            Ok(_) if left > 0 && !fault => tracing::warn!(batches = left, "evidence waits unsigned: it is later than this clock; look whether the clock was set back"),
            Ok(_) if left == 0 && fault => tracing::info!("evidence is signed again"),
            _ => {}
        }
        fault = left > 0;
    }
}

/// Tells the authority until shutdown whose certificates end: a mailbox is closed whether or not the authority can hear it. What is
/// owed longer than it takes to look is a fault that the metric shows.
pub async fn endings(gateway: Arc<Gateway>, authority: Arc<dyn Authority>, owed: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (gateway, authority) = (Arc::clone(&gateway), Arc::clone(&authority));
        let Ok((told, failed)) = tokio::task::spawn_blocking(move || tell_all(&gateway, &*authority)).await else { continue };
        if told.told > 0 {
            tracing::info!(mailboxes = told.told, "the authority was told that certificates end");
        }
        // Told once, not every five seconds.
        match &failed {
            Some(error) if !failing => tracing::warn!(%error, owed = told.owed, "the authority cannot be told that certificates end"),
            _ => {}
        }
        failing = failed.is_some();
        owed.set(i64::try_from(told.owed).unwrap_or(i64::MAX));
    }
}

/// Tells owners until shutdown that their mailboxes fill up.
pub async fn warnings(gateway: Arc<Gateway>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let gateway = Arc::clone(&gateway);
        let Ok(done) = tokio::task::spawn_blocking(move || warn_all(&gateway)).await else { continue };
        match &done {
            // Told once, not every five seconds.
            Err(error) if !failing => tracing::warn!(%error, "owners of mailboxes that fill up are not told yet"),
            Ok(told) if *told > 0 => tracing::info!(told, "owners were told that their mailboxes fill up"),
            _ => {}
        }
        failing = done.is_err();
    }
}

/// Deletes until shutdown what is over: what a push left behind beyond its days, what owners deleted and, kept for a day alone, how much
/// each mailbox has sent.
pub async fn forgetting(gateway: Arc<Gateway>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let kept = Arc::clone(&gateway);
        match tokio::task::spawn_blocking(move || retain(&kept, false)).await {
            Ok(Ok(retained)) => retained.over.iter().filter(|over| over.held_by.is_none()).for_each(|over| tracing::info!(bureau = over.bureau, batch = over.batch, "what a push left behind ended with its days")),
            Ok(Err(error)) => tracing::warn!(%error, "what is over is not removed yet"),
            Err(error) => tracing::error!(%error, "what is over is not removed yet"),
        }
        let (looked, ending) = (Arc::clone(&gateway), shutdown.clone());
        match tokio::task::spawn_blocking(move || forget_deleted(&looked, &|| !ending.is_set())).await {
            Ok(Ok(forgotten)) if forgotten > 0 => tracing::info!(forgotten, "messages deleted long ago are gone for good"),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "messages deleted long ago are not gone yet"),
            Err(error) => tracing::error!(%error, "messages deleted long ago are not gone yet"),
        }
        let gateway = Arc::clone(&gateway);
        match tokio::task::spawn_blocking(move || forget_usage(&*gateway.store, gateway.clock.now())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what mailboxes sent on days before is not forgotten yet"),
            Err(error) => tracing::error!(%error, "what mailboxes sent on days before is not forgotten yet"),
        }
    }
}

/// How many mailboxes' certificates are to end of which the authority has not heard.
pub fn owed(metrics: &Registry) -> Result<Arc<Gauge>, MetricError> {
    metrics.gauge("suiyin_mail_certificates_owed", "Mailboxes whose certificates are to end and of which the authority has not heard.", &[])
}

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

pub async fn run(evidence: Arc<Evidence>, healthy: Arc<AtomicBool>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(HEAD_EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let evidence = Arc::clone(&evidence);
        let done = tokio::task::spawn_blocking(move || evidence.advance()).await;
        let well = match done {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                if healthy.load(Ordering::Relaxed) {
                    tracing::error!(%error, "signing the log's head");
                }
                false
            }
            Err(_) => false,
        };
        healthy.store(well, Ordering::Relaxed);
    }
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
