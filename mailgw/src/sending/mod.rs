//! Sending what the queue holds, one straight line for each try: taken → read → route → conversation → recorded.
//!
//! A message counts as sent when the other server's last reply is recorded. If the process ends between that reply and its record,
//! the message is sent once more: the one doubt that SMTP leaves (RFC 1047). It is kept small: the record is made before
//! anything else is said on the connection, a record that the disk refuses is tried again until it stands, the end of the service
//! waits for conversations under way, and the second copy is the first to the octet, Message-ID included.

mod client;
mod dane;
mod opportunistic;
pub mod protection;
pub(crate) mod proved;
pub mod route;
mod sts;
mod sts_fetch;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evidence::Standing;
use policies::mailbox::Conversation;
use protocol::smtp::exchange::Domain;
use runtime::clock::Clock;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::shutdown::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::client::{Letter, Parting, Talked, Tls, Trouble};
use self::protection::{Protection, Security, Why};
use self::route::{NoRoute, Routes};
use crate::daily_report::tls;
use crate::gateway::unix_millis;
use crate::queue::decide::Outcome;
use crate::queue::{Item, Queue, shown};
use crate::record::body::BodyId;
use crate::record::queue::{Queued, Said};

/// Hosts, and addresses of all of them, that one try goes through.
const MAX_ADDRESSES: usize = 8;
/// A record that the disk refuses is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// How long the other side may take. spec: rfc5321#4.5.3.2
#[derive(Clone, Debug)]
pub struct Patience {
    pub connect: Duration,
    pub command: Duration,
    /// For the next piece of a message to be taken.
    pub block: Duration,
    /// For the reply to a whole message.
    pub end: Duration,
    /// For all of one try, and beside it for its octets at the slowest pace that is borne, in octets a second.
    pub conversation: Duration,
    pub pace: u32,
    /// For conversations under way when the service ends.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(300),
            block: Duration::from_secs(180),
            end: Duration::from_secs(600),
            // The reply to a whole message alone may take ten of these minutes.
            conversation: Duration::from_secs(900),
            pace: 16 * 1024,
            grace: Duration::from_secs(20),
        }
    }
}

impl From<Conversation> for Patience {
    fn from(policy: Conversation) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Self {
            connect: seconds(policy.connect_seconds),
            command: seconds(policy.reply_seconds),
            block: seconds(policy.piece_seconds),
            end: seconds(policy.end_seconds),
            conversation: seconds(policy.whole_seconds),
            pace: policy.least_bytes_per_second,
            ..Self::default()
        }
    }
}

impl Patience {
    /// For one try with a message of so many octets: a server that takes an octet a minute keeps no place for long.
    fn conversation(&self, octets: usize) -> Duration {
        self.conversation.saturating_add(Duration::from_secs(octets as u64 / u64::from(self.pace.max(1))))
    }
}

/// What the operator sees.
pub struct Metrics {
    waiting: Arc<Gauge>,
    running: Arc<Gauge>,
    sent: Arc<Counter>,
    later: Arc<Counter>,
    returned: Arc<Counter>,
    tls: Arc<Counter>,
    clear: Arc<Counter>,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        let (outcomes, conversations) = ("queue_recipients_total", "queue_conversations_total");
        Ok(Self {
            waiting: registry.gauge("queue_waiting", "Messages that wait, once for each domain.", &[])?,
            running: registry.gauge("queue_running", "Messages on their way.", &[])?,
            sent: registry.counter(outcomes, "Recipients tried, by what came of it.", &[("outcome", "sent")])?,
            later: registry.counter(outcomes, "", &[("outcome", "later")])?,
            returned: registry.counter(outcomes, "", &[("outcome", "returned")])?,
            tls: registry.counter(conversations, "Conversations with other servers.", &[("tls", "yes")])?,
            clear: registry.counter(conversations, "", &[("tls", "no")])?,
        })
    }
}

pub struct Sender {
    pub queue: Arc<Queue>,
    pub routes: Arc<dyn Routes>,
    /// The name this host says in EHLO.
    pub host: Domain,
    /// 25, but in tests.
    pub port: u16,
    pub clock: Arc<dyn Clock>,
    pub patience: Patience,
    pub metrics: Metrics,
    pub security: Security,
    /// What came of TLS, by domain and day.
    pub tallies: Arc<tls::Tallies>,
}

impl Sender {
    /// Sends until `shutdown`, then lets conversations under way end. Begins none that could not be recorded.
    pub async fn run(self: Arc<Self>, standing: Arc<Standing>, shutdown: Shutdown) {
        let queue = Arc::clone(&self.queue);
        loop {
            let queue = Arc::clone(&queue);
            match tokio::task::spawn_blocking(move || queue.load()).await {
                Ok(Ok(messages)) => {
                    tracing::info!(messages, "messages wait for servers elsewhere");
                    break;
                }
                Ok(Err(error)) => tracing::error!(%error, "the queue cannot be read; it is tried again"),
                Err(error) => tracing::error!(%error, "the queue cannot be read; it is tried again"),
            }
            tokio::select! {
                () = shutdown.wait() => return,
                () = sleep(AGAIN) => {}
            }
        }
        let mut tries = JoinSet::new();
        loop {
            while tries.try_join_next().is_some() {}
            let (queue, now) = (Arc::clone(&self.queue), self.clock.now());
            // What it cannot read it reads again later.
            let _ = tokio::task::spawn_blocking(move || queue.reread(now)).await;
            while standing.takes()
                && let Some(item) = self.queue.take(self.clock.now())
            {
                tries.spawn(Arc::clone(&self).attempt(item, shutdown.clone()));
            }
            let (waiting, running) = self.queue.counts();
            self.metrics.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
            self.metrics.running.set(i64::try_from(running).unwrap_or(i64::MAX));
            let now = unix_millis(self.clock.now());
            // What is due and not taken is not looked at all the time.
            let soonest = if standing.takes() { 10 } else { 5_000 };
            let until = self.queue.next_due().map_or(60_000, |due| due.saturating_sub(now).clamp(soonest, 60_000));
            tokio::select! {
                () = shutdown.wait() => break,
                () = self.queue.changed() => {}
                _ = tries.join_next(), if !tries.is_empty() => {}
                () = sleep(Duration::from_millis(until)) => {}
            }
        }
        if timeout(self.patience.grace, async { while tries.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(conversations = tries.len(), "conversations cut at the end of the grace period; their messages are tried again");
            tries.shutdown().await;
        }
    }

    /// One message to one domain.
    async fn attempt(self: Arc<Self>, item: Item, shutdown: Shutdown) {
        let id = BodyId(item.id);
        // 1. The record and the bytes as they stand.
        let read = self.read(id, item.domain.clone()).await;
        let owes = read.as_ref().is_some_and(|(queued, ..)| queued.owes(&item.domain, unix_millis(self.clock.now())));
        // 2. Route and conversation: an outcome for each recipient.
        let (outcomes, parting) = match read {
            Some((queued, places, Some(bytes))) if !places.is_empty() => {
                match timeout(self.patience.conversation(bytes.len()), self.converse(&queued, &places, &item.domain, &bytes)).await {
                    Ok(outcomes) => outcomes,
                    Err(_) => (all(&places, &Outcome::Later(unsaid("4.4.2", "the conversation took too long"))), None),
                }
            }
            // It ends as any other that cannot be sent for so long.
            Some((_, places, None)) => (all(&places, &Outcome::Later(unsaid("4.3.0", "the message cannot be read where it waits"))), None),
            _ => (Vec::new(), None),
        };
        // 3. Recorded, whatever it takes: what another server took must not be sent again. So is that a sender is told what its
        // mailbox had no room for.
        while (owes || !outcomes.is_empty()) && !self.record(id, &outcomes).await {
            tokio::select! {
                () = shutdown.wait() => break,
                () = sleep(AGAIN) => {}
            }
        }
        // 4. Nothing that counts waits for the last word.
        if let Some(parting) = parting {
            parting.quit().await;
        }
        // 5. What is left is due as the record says.
        let queue = Arc::clone(&self.queue);
        if let Err(error) = tokio::task::spawn_blocking(move || queue.back(&item)).await {
            tracing::error!(%error, "a try was not ended in order");
        }
    }

    /// The message, which of its recipients are at the domain and wait, and its bytes, where they can be read.
    async fn read(&self, id: BodyId, domain: String) -> Option<(Queued, Vec<usize>, Option<Vec<u8>>)> {
        let (queue, now) = (Arc::clone(&self.queue), unix_millis(self.clock.now()));
        let read = tokio::task::spawn_blocking(move || {
            let Some(queued) = queue.get(id)?.filter(|queued| !queued.held) else { return Ok(None) };
            let due = |place: usize| queued.recipients.get(place).is_some_and(|one| one.end.is_none() && one.domain == domain && one.due <= now);
            let places: Vec<usize> = (0..queued.recipients.len()).filter(|place| due(*place)).collect();
            let bytes = match queue.message(id, &queued) {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    tracing::error!(%error, queued = shown(id), "the bytes of a queued message cannot be read");
                    None
                }
            };
            Ok::<_, crate::mailbox::MailError>(Some((queued, places, bytes)))
        });
        match read.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::error!(%error, queued = shown(id), "a queued message cannot be read");
                // Not again at once.
                sleep(AGAIN).await;
                None
            }
            Err(error) => {
                tracing::error!(%error, queued = shown(id), "a queued message cannot be read");
                None
            }
        }
    }

    async fn record(&self, id: BodyId, outcomes: &[(usize, Outcome)]) -> bool {
        let (queue, now, kept) = (Arc::clone(&self.queue), self.clock.now(), outcomes.to_vec());
        let recorded = tokio::task::spawn_blocking(move || queue.settle(id, &kept, now)).await;
        match recorded {
            Ok(Ok(())) => {
                for (_, outcome) in outcomes {
                    match outcome {
                        Outcome::Sent { .. } => self.metrics.sent.increment(),
                        Outcome::Later(_) => self.metrics.later.increment(),
                        Outcome::Never(_) | Outcome::Cancelled => self.metrics.returned.increment(),
                    }
                }
                let sent = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Sent { .. })).count();
                tracing::info!(queued = shown(id), recipients = outcomes.len(), sent, "a queued message was tried");
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, queued = shown(id), "what came of a queued message cannot be recorded");
                false
            }
            Err(error) => {
                tracing::error!(%error, queued = shown(id), "what came of a queued message cannot be recorded");
                false
            }
        }
    }

    /// The servers of the domain, one after another, until one says something of the message.
    async fn converse(&self, queued: &Queued, places: &[usize], domain: &str, bytes: &[u8]) -> (Vec<(usize, Outcome)>, Option<Parting>) {
        let hosts = match self.routes.route(domain).await {
            Ok(hosts) => hosts,
            Err(NoRoute::Later(said)) => return (all(places, &Outcome::Later(said)), None),
            Err(NoRoute::Never(said)) => return (all(places, &Outcome::Never(said)), None),
        };
        let letter = Letter::new(queued, places, bytes);
        let mut last = unsaid("4.4.1", "no server of the domain can be reached");
        let (mut lacks, mut reached_all, mut left) = (None, true, MAX_ADDRESSES);
        // What the domain promises of TLS; the sender may waive it, and a message that goes under TLS alone waits for a proof.
        let optional = !queued.require_tls && letter.waives_tls();
        let promised = self.security.promised(domain, unix_millis(self.clock.now())).await;
        if let Some(result) = Security::failed(&promised) {
            self.tallied(domain, &Why::StsUnread, None, Err(result));
        }
        for host in &hosts {
            let protection = match self.security.protection(domain, &host.name, &promised).await {
                Ok(_) if optional => self.security.opportunistic(),
                Ok(protection) if queued.require_tls && !protection.is_proved() => {
                    // spec: rfc8689#4.2.1
                    lacks = Some(unsaid("5.7.30", "neither DANE nor MTA-STS proves the server's name, which REQUIRETLS asks for"));
                    continue;
                }
                Ok(protection) => protection,
                Err(_) if optional => self.security.opportunistic(),
                Err(passed_over) => {
                    self.tallied(domain, &passed_over.why, Some(&host.name), Err(passed_over.result));
                    (last, reached_all) = (Said { host: Some(host.name.clone()), ..passed_over.said }, false);
                    continue;
                }
            };
            for address in host.addresses.iter().take(left) {
                left = left.saturating_sub(1);
                match self.talk(domain, &host.name, SocketAddr::new(*address, self.port), &letter, &protection).await {
                    Ok(talked) => return (places.iter().copied().zip(talked.outcomes).collect(), Some(talked.parting)),
                    Err(Trouble::Tls(said, _) | Trouble::Host(said)) => (last, reached_all) = (said, false),
                    Err(Trouble::Lacks(said)) => lacks = Some(said),
                }
            }
        }
        match lacks {
            Some(said) if reached_all => (all(places, &Outcome::Never(said)), None),
            _ => (all(places, &Outcome::Later(last)), None),
        }
    }

    async fn talk(&self, domain: &str, host: &str, address: SocketAddr, letter: &Letter<'_>, protection: &Protection) -> Result<Talked, Trouble> {
        let Protection { config, must, why, fault } = protection;
        let tls = Tls { config: Arc::clone(config), must: *must };
        let mut talked = client::talk(host, address, self.host.as_str(), letter, Some(tls), &self.patience).await;
        match &talked {
            Ok(talked) if talked.secured => self.tallied(domain, why, Some(host), fault.map_or(Ok(()), Err)),
            Ok(_) => self.tallied(domain, why, Some(host), Err("starttls-not-supported")),
            Err(Trouble::Tls(_, result)) => self.tallied(domain, why, Some(host), Err(result)),
            Err(_) => {}
        }
        if let (Err(Trouble::Tls(..)), false) = (&talked, must) {
            // A policy under test is not enforced: what it would have refused goes under any TLS. spec: rfc8461#5
            if *why != Why::Nothing {
                let tls = Tls { config: self.security.opportunistic().config, must: false };
                talked = client::talk(host, address, self.host.as_str(), letter, Some(tls), &self.patience).await;
            }
            // spec: rfc7435#3 TLS that fails is no reason to keep a message which would have gone in the clear
            if let Err(Trouble::Tls(..)) = &talked {
                talked = client::talk(host, address, self.host.as_str(), letter, None, &self.patience).await;
            }
        }
        if let Ok(talked) = &talked {
            if talked.secured { self.metrics.tls.increment() } else { self.metrics.clear.increment() }
        }
        talked
    }

    /// What came of TLS, for the day's report to the domain.
    fn tallied(&self, domain: &str, why: &Why, host: Option<&str>, result: Result<(), &'static str>) {
        self.tallies.note(domain, why.into(), host, result, unix_millis(self.clock.now()));
    }
}

fn all(places: &[usize], outcome: &Outcome) -> Vec<(usize, Outcome)> {
    places.iter().map(|place| (*place, outcome.clone())).collect()
}

/// What kept anybody from saying anything.
fn unsaid(status: &str, text: &str) -> Said {
    Said { host: None, code: 0, status: status.to_owned(), text: text.to_owned() }
}
