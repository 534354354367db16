//! IMAP: one port that begins in clear and offers STARTTLS, one under TLS from its first byte.

mod account;
mod ahead;
mod answer;
mod append;
mod connection;
mod metrics;
mod pipe;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use policies::mailbox::ClientPolicy;
use protocol::budget::Budget;
use protocol::imap::extension::Extensions;
use runtime::background::aside;
use runtime::clock::Clock;
use runtime::metrics::{MetricError, Registry};
use runtime::shutdown::Shutdown;
use rustls::{DistinguishedName, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::connection::Connection;
use self::metrics::Metrics;
use super::accounts::{Accounts, AtDoors, CERTIFICATES};
use super::brief::brief;
use super::places::{Connections, Places};
use super::served::Served;
use crate::mailbox::MessageStore;

/// How often mailboxes that got much mail are looked for.
const INDEX_EVERY: Duration = Duration::from_secs(1);
/// So long, and as long again at most, a message that came is held in memory as it came.
const FRESH: Duration = Duration::from_secs(10);
/// How often indexes forget what was deleted.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// What is not offered, at either door and to single mailboxes.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    pub starttls: Extensions,
    pub tls: Extensions,
    pub mailboxes: HashMap<String, Extensions>,
}

impl From<&ClientPolicy> for Switches {
    fn from(policy: &ClientPolicy) -> Self {
        let named = |names: &BTreeSet<&'static str>| Extensions::named(names.iter().copied());
        let mailboxes = policy.off_for().iter().map(|(number, names)| (number.to_string(), named(names))).collect();
        Self { starttls: named(policy.off_at_starttls()), tls: named(policy.off_at_tls()), mailboxes }
    }
}

#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Of one IPv4 address or one /64 of IPv6, and of one /24 or /48.
    pub of_one_address: usize,
    pub of_one_network: usize,
    pub before_login: usize,
    /// What a client may spend before it is cut off.
    pub budget: Budget,
    /// Passwords checked at one time: each takes the memory of its hash.
    pub logins: usize,
    /// Octets of the largest message APPEND takes.
    pub append: usize,
    /// Octets that one SORT or THREAD may keep of what it reads, and all of them.
    pub arrange: usize,
    pub arrange_all: usize,
    /// Connections that are compressed at one time: each remembers some 300 KiB.
    pub compressed: usize,
    pub switches: Arc<Switches>,
    /// Ways to log in beside a password.
    pub ways: AtDoors,
    /// Under whom clients' certificates are asked for.
    pub roots: Vec<DistinguishedName>,
    /// From the connection to the login, TLS included.
    pub authentication: Duration,
    /// Before a refused login is answered.
    pub refusal: Duration,
    /// Silence, in IDLE too. spec: rfc3501#5.4 at least 30 minutes
    pub silence: Duration,
    /// For the client to take the next piece of what is sent.
    pub write: Duration,
    /// For connections to end after shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            of_one_address: 200,
            of_one_network: 10_000,
            before_login: 1_000,
            budget: Budget::default(),
            logins: 4,
            append: 25 * 1024 * 1024,
            arrange: 64 * 1024 * 1024,
            arrange_all: 256 * 1024 * 1024,
            compressed: 500,
            switches: Arc::default(),
            ways: AtDoors::default(),
            roots: Vec::new(),
            authentication: Duration::from_secs(60),
            refusal: Duration::from_secs(2),
            silence: Duration::from_secs(30 * 60),
            write: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
pub struct Imap {
    messages: Arc<MessageStore>,
    accounts: Arc<dyn Accounts>,
    tls: Served,
    clock: Arc<dyn Clock>,
    limits: Limits,
    places: Places,
    logins: Semaphore,
    certificates: Semaphore,
    /// Octets kept by every SORT and THREAD under way.
    arranging: AtomicUsize,
    compressed: Arc<Semaphore>,
    metrics: Metrics,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    StartTls,
    Tls,
}

impl Imap {
    /// `tls` is asked anew for each handshake.
    pub fn new(
        messages: Arc<MessageStore>,
        accounts: Arc<dyn Accounts>,
        tls: watch::Receiver<Arc<ServerConfig>>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        registry: &Registry,
    ) -> Result<Self, MetricError> {
        let places = Places::new(Connections { all: limits.connections, of_one_address: limits.of_one_address, of_one_network: limits.of_one_network, before_login: limits.before_login });
        let (logins, tls) = (Semaphore::new(limits.logins), Served::new(tls, limits.roots.clone()));
        let compressed = Arc::new(Semaphore::new(limits.compressed));
        Ok(Self { messages, accounts, tls, clock, limits, places, logins, certificates: Semaphore::new(CERTIFICATES), arranging: AtomicUsize::new(0), compressed, metrics: Metrics::new(registry)? })
    }

    /// Serves both ports until `shutdown`, then gives sessions `grace` to end.
    pub async fn serve(self: Arc<Self>, imap: TcpListener, imaps: TcpListener, shutdown: Shutdown) {
        let mut connections = JoinSet::new();
        let messages = Arc::clone(&self.messages);
        connections.spawn(async move {
            match tokio::task::spawn_blocking(move || messages.sweep()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "messages of deleted folders are left"),
                Err(error) => tracing::error!(%error, "messages of deleted folders are left"),
            }
        });
        connections.spawn(forget(Arc::clone(&self.messages), shutdown.clone()));
        connections.spawn(outline(Arc::clone(&self.messages), shutdown.clone()));
        let indexing = index(Arc::clone(&self.messages), shutdown.clone());
        connections.spawn(async move {
            if let Err(error) = aside("mail-index", indexing).await {
                tracing::error!(%error, "no search index is made; searches read all mail");
            }
        });
        loop {
            while connections.try_join_next().is_some() {}
            let (accepted, door) = tokio::select! {
                () = shutdown.wait() => break,
                accepted = imap.accept() => (accepted, Door::StartTls),
                accepted = imaps.accept() => (accepted, Door::Tls),
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, door, &shutdown, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an IMAP connection");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop((imap, imaps));
        let ended = timeout(self.limits.grace, async { while connections.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!(connections = connections.len(), "IMAP connections cut at the end of the grace period");
            connections.shutdown().await;
        }
    }

    fn admit(self: &Arc<Self>, mut stream: TcpStream, address: SocketAddr, door: Door, shutdown: &Shutdown, connections: &mut JoinSet<()>) {
        match self.places.take(address.ip()) {
            Ok(place) => {
                self.metrics.accepted(door);
                let connection = Connection::new(Arc::clone(self), place, shutdown.clone());
                connections.spawn(connection.serve(stream, door));
            }
            Err(full) => {
                self.metrics.turned_away(full);
                if door == Door::StartTls {
                    let limit = self.limits.refusal;
                    connections.spawn(async move {
                        let _ = timeout(limit, stream.write_all(b"* BYE [UNAVAILABLE] Too many connections; try again later\r\n")).await;
                    });
                }
            }
        }
    }
}

/// What is held of messages that came of late is forgotten in time, until shutdown.
async fn forget(messages: Arc<MessageStore>, shutdown: Shutdown) {
    while !ends(&shutdown, FRESH).await {
        messages.fresh().turn();
    }
}

/// What lists the messages that came is made until shutdown; a block under way ends first.
async fn outline(messages: Arc<MessageStore>, shutdown: Shutdown) {
    while !ends(&shutdown, INDEX_EVERY).await {
        let (messages, stop) = (Arc::clone(&messages), shutdown.clone());
        match tokio::task::spawn_blocking(move || messages.outline_due(&|| !stop.is_set())).await {
            Ok(Ok(_)) => {}
            // Listings read what it does not hold; at the next delivery it is tried again.
            Ok(Err(error)) => tracing::warn!(%error, "what lists a mailbox was not made"),
            Err(error) => tracing::error!(%error, "what lists a mailbox was not made"),
        }
    }
}

/// Mail that came is put into the index of its mailbox until shutdown, and what went is forgotten; a segment under way ends first, within the
/// grace. It takes longer than taking the mail did, and nobody waits for it: searches read what the index does not know.
async fn index(messages: Arc<MessageStore>, shutdown: Shutdown) {
    let mut forgot = tokio::time::Instant::now();
    while !ends(&shutdown, INDEX_EVERY).await {
        let (messages, stop) = (Arc::clone(&messages), shutdown.clone());
        let forgets = forgot.elapsed() >= FORGET_EVERY;
        if forgets {
            forgot = tokio::time::Instant::now();
        }
        let work = move || {
            let go_on = || !stop.is_set();
            messages.index_due(&go_on)?;
            if forgets { messages.forget_removed(&go_on) } else { Ok(0) }
        };
        // On this thread, which serves nobody.
        match brief(work).await {
            Ok(Ok(_)) => {}
            // At the next delivery it is tried again.
            Ok(Err(error)) => tracing::warn!(%error, "the search index of a mailbox was not made"),
            Err(error) => tracing::error!(%error, "the search index of a mailbox was not made"),
        }
    }
}

/// Whether shutdown came before the time was over.
async fn ends(shutdown: &Shutdown, wait: Duration) -> bool {
    tokio::select! {
        () = shutdown.wait() => true,
        () = tokio::time::sleep(wait) => false,
    }
}

#[cfg(test)]
mod tests {
    use protocol::imap::extension::Extension;

    #[test]
    fn what_policy_may_switch_is_what_the_protocol_knows() {
        let mut known: Vec<&str> = Extension::ALL.iter().map(|one| one.name()).collect();
        known.sort_unstable();
        assert_eq!(known, policies::mailbox::EXTENSIONS);
    }
}
