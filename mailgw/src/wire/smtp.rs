//! The SMTP listeners: they accept connections and drive a session of `protocol::smtp` on each, within bounds of time, memory
//! and number. One server takes mail from other hosts, another that of who logs in, a third that of neighbours, by LMTP.

pub mod neighbours;
mod talk;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use protocol::budget::Budget;
use protocol::smtp::exchange::{Answer, Domain};
use protocol::smtp::session::Role;
use runtime::clock::Clock;
use runtime::metrics::{Counter, Gauge, Histogram, MetricError, Registry};
use runtime::shutdown::Shutdown;
use rustls::{DistinguishedName, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::talk::{Talk, early, turn_away};
use super::accounts::{AtDoors, CERTIFICATES};
use super::places::{Connections, Full, Place, Places};
use super::served::Served;
use super::stream::Stream;
use crate::flow::accept::Reception;
use crate::flow::submit::Submission;
use crate::gateway::unix_millis;
use crate::record::body;

/// Memory for deliveries is lent in pieces of this many bytes.
const PIECE: usize = 1024;
/// More than the trace fields above a message take.
const TRACE: usize = 8 * 1024;
/// Clients that are told why they are turned away; those beyond are cut off.
const AWAY: usize = 100;

/// What comes in.
#[derive(Clone)]
pub enum Desk {
    /// Mail from other hosts.
    Reception(Arc<Reception>),
    /// Mail of those who log in.
    Submission(Arc<Submission>),
    /// Mail that a neighbour on this machine took for us.
    Neighbours(Arc<Reception>),
}

impl Desk {
    fn host(&self) -> &Domain {
        match self {
            Self::Reception(reception) | Self::Neighbours(reception) => &reception.host,
            Self::Submission(submission) => &submission.host,
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::Reception(_) => Role::Exchange,
            Self::Submission(_) => Role::Submission,
            Self::Neighbours(_) => Role::Neighbour,
        }
    }
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// In the clear; STARTTLS is offered, but to a neighbour.
    StartTls,
    /// Under TLS from the first byte.
    Tls,
}

/// What the listener grants its callers.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Connections at one time from one IPv4 address or one /64 of IPv6, and from one /24 or /48.
    pub of_one_address: usize,
    pub of_one_network: usize,
    /// Connections at one time of those who are to log in and have not yet, and how long each has for it.
    pub before_login: usize,
    pub authentication: Duration,
    /// What a client may spend before it is cut off.
    pub budget: Budget,
    /// Passwords checked at one time: each takes the memory of its hash.
    pub logins: usize,
    /// Before a refused login is answered.
    pub refusal: Duration,
    /// Replies are late by `tarpit` for each error from the `patience`th on.
    pub patience: u32,
    pub tarpit: Duration,
    /// Ways to log in beside a password.
    pub ways: AtDoors,
    /// Under whom clients' certificates are asked for.
    pub roots: Vec<DistinguishedName>,
    /// Silence between two commands, or within a message. spec: rfc5321#4.5.3.2.7
    pub idle: Duration,
    /// For a TLS handshake, and for the client to take a reply.
    pub handshake: Duration,
    /// For a whole connection: who sends a byte a minute is not kept for ever.
    pub connection: Duration,
    /// For messages on their way when the service ends.
    pub grace: Duration,
    /// How long a closed connection is read on, so that the last reply is not lost by a reset.
    pub linger: Duration,
    /// Bytes of all messages being received; and again as many of all being delivered.
    pub memory: usize,
    /// Bytes of the largest message.
    pub max_size: usize,
    pub max_recipients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            of_one_address: 50,
            of_one_network: 500,
            before_login: 500,
            authentication: Duration::from_secs(300),
            budget: Budget { failures: 5, ..Budget::default() },
            logins: 4,
            refusal: Duration::from_secs(2),
            patience: u32::MAX,
            tarpit: Duration::ZERO,
            ways: AtDoors::default(),
            roots: Vec::new(),
            idle: Duration::from_secs(300),
            handshake: Duration::from_secs(60),
            connection: Duration::from_secs(2 * 3_600),
            grace: Duration::from_secs(20),
            linger: Duration::from_secs(2),
            memory: 256 << 20,
            max_size: 25 << 20,
            max_recipients: 100,
        }
    }
}

/// What the operator sees. No number tells of a person.
pub struct Metrics {
    connections: Arc<Gauge>,
    connected: Arc<Counter>,
    turned_away: Arc<Counter>,
    tls: Arc<Counter>,
    recipients: [Arc<Counter>; 3],
    messages: [Arc<Counter>; 3],
    seconds: Arc<Histogram>,
    logins: [Arc<Counter>; 3],
}

type Label = &'static [(&'static str, &'static str)];
const REFUSED: Label = &[("answer", "refused")];
const LATER: Label = &[("answer", "later")];

/// The names under which a server is counted.
struct Names {
    connections: &'static str,
    connected: &'static str,
    turned_away: &'static str,
    tls: &'static str,
    recipients: &'static str,
    messages: &'static str,
    seconds: &'static str,
    logins: &'static str,
}

const RECEPTION: Names = Names {
    connections: "smtp_connections",
    connected: "smtp_connections_total",
    turned_away: "smtp_turned_away_total",
    tls: "smtp_tls_total",
    recipients: "smtp_recipients_total",
    messages: "smtp_messages_total",
    seconds: "smtp_accept_seconds",
    logins: "smtp_logins_total",
};
const NEIGHBOURS: Names = Names {
    connections: "lmtp_connections",
    connected: "lmtp_connections_total",
    turned_away: "lmtp_turned_away_total",
    tls: "lmtp_tls_total",
    recipients: "lmtp_recipients_total",
    messages: "lmtp_messages_total",
    seconds: "lmtp_accept_seconds",
    logins: "lmtp_logins_total",
};
const SUBMISSION: Names = Names {
    connections: "submission_connections",
    connected: "submission_connections_total",
    turned_away: "submission_turned_away_total",
    tls: "submission_tls_total",
    recipients: "submission_recipients_total",
    messages: "submission_messages_total",
    seconds: "submission_accept_seconds",
    logins: "submission_logins_total",
};

impl Metrics {
    /// Of mail from other hosts.
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        Self::named(registry, &RECEPTION)
    }

    /// Of the mail of those who log in.
    pub fn register_submission(registry: &Registry) -> Result<Self, MetricError> {
        Self::named(registry, &SUBMISSION)
    }

    /// Of the mail that neighbours bring.
    pub fn register_neighbours(registry: &Registry) -> Result<Self, MetricError> {
        Self::named(registry, &NEIGHBOURS)
    }

    fn named(registry: &Registry, names: &Names) -> Result<Self, MetricError> {
        let outcomes = |name, help, [first, second, third]: [Label; 3]| {
            Ok([registry.counter(name, help, first)?, registry.counter(name, "", second)?, registry.counter(name, "", third)?])
        };
        Ok(Self {
            connections: registry.gauge(names.connections, "SMTP connections open now.", &[])?,
            connected: registry.counter(names.connected, "SMTP connections accepted.", &[])?,
            turned_away: registry.counter(names.turned_away, "SMTP connections closed at once: too many, or a client that spoke first.", &[])?,
            tls: registry.counter(names.tls, "SMTP connections that went over to TLS.", &[])?,
            recipients: outcomes(names.recipients, "Recipients named to SMTP, by answer.", [&[("answer", "known")], REFUSED, LATER])?,
            messages: outcomes(names.messages, "Whole messages given to SMTP, by answer.", [&[("answer", "durable")], REFUSED, LATER])?,
            seconds: registry.histogram(names.seconds, "From the end of a message to its answer.", &[], Histogram::SECONDS)?,
            logins: outcomes(names.logins, "Logins, by answer.", [&[("answer", "good")], REFUSED, LATER])?,
        })
    }

    fn count([good, refused, later]: &[Arc<Counter>; 3], answer: &Answer) {
        match answer {
            Answer::Known | Answer::Durable { .. } | Answer::LoggedIn | Answer::Proved { .. } | Answer::Salted(_) => good.increment(),
            Answer::Unknown | Answer::Refused(_) | Answer::Denied | Answer::NoToken(_) => refused.increment(),
            Answer::Full | Answer::Failed | Answer::TooMany | Answer::Greylisted | Answer::Unproved => later.increment(),
            Answer::Each(answers) => answers.iter().for_each(|answer| Self::count(&[Arc::clone(good), Arc::clone(refused), Arc::clone(later)], answer)),
        }
    }
}

pub struct Server {
    desk: Desk,
    clock: Arc<dyn Clock>,
    /// What TLS is made with from the next handshake on; a new certificate needs no restart.
    tls: Served,
    limits: Limits,
    metrics: Metrics,
    places: Places,
    away: Semaphore,
    logins: Semaphore,
    certificates: Semaphore,
    /// Bytes of the messages being received.
    receiving: AtomicUsize,
    /// Memory for deliveries, in pieces.
    delivering: Arc<Semaphore>,
}

impl Server {
    pub fn new(
        desk: Desk, clock: Arc<dyn Clock>, tls: watch::Receiver<Arc<ServerConfig>>, mut limits: Limits, metrics: Metrics,
    ) -> Arc<Self> {
        // SIZE promises nothing that could not be kept.
        limits.max_size = limits.max_size.min(body::MAX_BYTES - TRACE);
        let tls = Served::new(tls, limits.roots.clone());
        let before_login = match desk {
            Desk::Reception(_) | Desk::Neighbours(_) => limits.connections,
            Desk::Submission(_) => limits.before_login,
        };
        let connections = Connections { all: limits.connections, of_one_address: limits.of_one_address, of_one_network: limits.of_one_network, before_login };
        let (places, receiving, logins) = (Places::new(connections), AtomicUsize::new(0), Semaphore::new(limits.logins));
        let delivering = Arc::new(Semaphore::new((limits.memory / PIECE).min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { desk, clock, tls, limits, metrics, places, away: Semaphore::new(AWAY), logins, certificates: Semaphore::new(CERTIFICATES), receiving, delivering })
    }

    /// Serves until `shutdown`, then lets messages on their way arrive for at most `grace`.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, door: Door, shutdown: Shutdown) {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let (stream, peer) = tokio::select! {
                () = shutdown.wait() => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        // Out of descriptors, most likely: trying again at once would only burn the processor.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            tasks.spawn(Arc::clone(&self).connection(stream, peer, door, shutdown.clone()));
        }
        drop(listener);
        if timeout(self.limits.grace, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections cut at the end of the grace period");
            tasks.shutdown().await;
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, door: Door, shutdown: Shutdown) {
        let crowded = |crowded| match crowded {
            Full::All | Full::BeforeLogin => "421 4.3.2 Too many connections; try again later\r\n",
            Full::Address => "421 4.7.0 Too many connections from your address; try again later\r\n",
            Full::Network => "421 4.7.0 Too many connections from your network; try again later\r\n",
        };
        let (stream, spoke) = match door {
            // TLS begins with the client.
            Door::Tls => (stream, false),
            Door::StartTls => match early(stream) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "connection lost at once"),
            },
        };
        let entered = match &self.desk {
            _ if spoke => Err("554 5.5.1 The server speaks first\r\n"),
            Desk::Reception(reception) if !reception.callers.connection(peer.ip(), unix_millis(self.clock.now())) => {
                Err("421 4.7.0 Your network connects too often; try again later\r\n")
            }
            _ => self.places.take(peer.ip()).map_err(crowded),
        };
        let metrics = &self.metrics;
        match entered {
            Ok(place) => {
                if let Err(error) = stream.set_nodelay(true) {
                    return tracing::debug!(%error, "connection lost at once");
                }
                self.talk(Stream::Clear(stream), place, peer.ip(), door, shutdown).await;
            }
            Err(line) => {
                metrics.turned_away.increment();
                if door == Door::StartTls
                    && let Ok(_one) = self.away.try_acquire()
                {
                    turn_away(stream, line, self.limits.linger).await;
                }
            }
        }
    }

    async fn talk(&self, stream: Stream, place: Place, peer: IpAddr, door: Door, shutdown: Shutdown) {
        let metrics = &self.metrics;
        metrics.connected.increment();
        metrics.connections.add(1);
        let begun = Instant::now();
        let talk = Talk { server: self, place, peer, begun, counted: 0, slowed: 0, login: None, certificates: Vec::new(), shutdown };
        if let Err(error) = talk.run(stream, door).await {
            tracing::debug!(%error, "connection ended early");
        }
        metrics.connections.add(-1);
    }
}
