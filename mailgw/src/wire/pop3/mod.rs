//! POP3: one port that begins in clear and offers STLS, one under TLS from its first byte.

mod answer;
mod connection;

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policies::mailbox::MailboxNumber;
use protocol::budget::Budget;
use runtime::clock::Clock;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::shutdown::Shutdown;
use rustls::{DistinguishedName, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::connection::Connection;
use super::accounts::{Accounts, AtDoors, CERTIFICATES, LoginRefusal};
use super::places::{Connections, Places};
use super::served::Served;
use crate::mailbox::MessageStore;

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
    /// Ways to log in beside a password.
    pub ways: AtDoors,
    /// Under whom clients' certificates are asked for.
    pub roots: Vec<DistinguishedName>,
    /// Mailboxes that are not read by POP3.
    pub not_for: Arc<BTreeSet<MailboxNumber>>,
    /// From the connection to the login, TLS included.
    pub authentication: Duration,
    /// Before a refused login is answered.
    pub refusal: Duration,
    /// Silence, after which the maildrop is free for another session. spec: rfc1939#3 at least 10 minutes
    pub silence: Duration,
    /// For the client to take the next piece of what is sent.
    pub write: Duration,
    /// For connections to end after shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_000,
            of_one_address: 50,
            of_one_network: 1_000,
            before_login: 500,
            budget: Budget::default(),
            logins: 4,
            ways: AtDoors::default(),
            roots: Vec::new(),
            not_for: Arc::default(),
            authentication: Duration::from_secs(60),
            refusal: Duration::from_secs(2),
            silence: Duration::from_secs(10 * 60),
            write: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    StartTls,
    Tls,
}

/// What all connections share.
pub struct Pop3 {
    messages: Arc<MessageStore>,
    accounts: Arc<dyn Accounts>,
    tls: Served,
    clock: Arc<dyn Clock>,
    limits: Limits,
    places: Places,
    logins: Semaphore,
    certificates: Semaphore,
    maildrops: Maildrops,
    metrics: Metrics,
}

/// The maildrops that sessions have. In memory: a session does not outlive its process.
#[derive(Clone, Default)]
struct Maildrops(Arc<Mutex<HashSet<MailboxNumber>>>);

/// One of them, given back when dropped.
struct Maildrop {
    number: MailboxNumber,
    maildrops: Maildrops,
}

impl Maildrops {
    fn take(&self, number: MailboxNumber) -> Option<Maildrop> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        free.then(|| Maildrop { number, maildrops: self.clone() })
    }
}

impl Drop for Maildrop {
    fn drop(&mut self) {
        self.maildrops.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// What the operator sees. No number tells of a person.
struct Metrics {
    connections: Arc<Gauge>,
    connected: Arc<Counter>,
    turned_away: Arc<Counter>,
    logged_in: Arc<Counter>,
    denied: Arc<Counter>,
    login_unavailable: Arc<Counter>,
    retrieved: Arc<Counter>,
    removed: Arc<Counter>,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, MetricError> {
        let logins = |labels| registry.counter("pop3_logins_total", "POP3 logins.", labels);
        Ok(Self {
            connections: registry.gauge("pop3_connections", "POP3 connections now.", &[])?,
            connected: registry.counter("pop3_connections_total", "POP3 connections accepted.", &[])?,
            turned_away: registry.counter("pop3_turned_away_total", "POP3 connections turned away: too many.", &[])?,
            logged_in: logins(&[("result", "ok")])?,
            denied: logins(&[("result", "denied")])?,
            login_unavailable: logins(&[("result", "unavailable")])?,
            retrieved: registry.counter("pop3_messages_retrieved_total", "Messages read by POP3, whole or their top.", &[])?,
            removed: registry.counter("pop3_messages_removed_total", "Messages removed by POP3.", &[])?,
        })
    }

    fn login(&self, result: Result<(), LoginRefusal>) {
        match result {
            Ok(()) => self.logged_in.increment(),
            Err(LoginRefusal::Denied | LoginRefusal::Later) => self.denied.increment(),
            Err(LoginRefusal::Unavailable) => self.login_unavailable.increment(),
        }
    }
}

impl Pop3 {
    /// `tls` is asked anew for each handshake.
    pub fn new(
        messages: Arc<MessageStore>, accounts: Arc<dyn Accounts>, tls: watch::Receiver<Arc<ServerConfig>>, clock: Arc<dyn Clock>, limits: Limits, registry: &Registry,
    ) -> Result<Self, MetricError> {
        let places = Places::new(Connections { all: limits.connections, of_one_address: limits.of_one_address, of_one_network: limits.of_one_network, before_login: limits.before_login });
        let (logins, tls) = (Semaphore::new(limits.logins), Served::new(tls, limits.roots.clone()));
        Ok(Self { messages, accounts, tls, clock, limits, places, logins, certificates: Semaphore::new(CERTIFICATES), maildrops: Maildrops::default(), metrics: Metrics::new(registry)? })
    }

    /// Serves until `shutdown`, then gives sessions `grace` to end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, door: Door, shutdown: Shutdown) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = shutdown.wait() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, door, &shutdown, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a POP3 connection");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        let ended = timeout(self.limits.grace, async { while connections.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!(connections = connections.len(), "POP3 connections cut at the end of the grace period");
            connections.shutdown().await;
        }
    }

    fn admit(self: &Arc<Self>, mut stream: TcpStream, address: SocketAddr, door: Door, shutdown: &Shutdown, connections: &mut JoinSet<()>) {
        match self.places.take(address.ip()) {
            Ok(place) => {
                self.metrics.connected.increment();
                let connection = Connection::new(Arc::clone(self), place, shutdown.clone());
                connections.spawn(connection.serve(stream, door));
            }
            Err(_) => {
                self.metrics.turned_away.increment();
                if door == Door::StartTls {
                    let limit = self.limits.refusal;
                    connections.spawn(async move {
                        let _ = timeout(limit, stream.write_all(b"-ERR [SYS/TEMP] Too many connections; try again later\r\n")).await;
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_maildrop_is_of_one_session_at_a_time() {
        let maildrops = Maildrops::default();
        let [one, other] = ["1234567897", "2234567898"].map(|text| MailboxNumber::parse(text).unwrap());
        let held = maildrops.take(one).unwrap();
        assert!(maildrops.take(one).is_none());
        assert!(maildrops.take(other).is_some());
        drop(held);
        assert!(maildrops.take(one).is_some());
    }
}
