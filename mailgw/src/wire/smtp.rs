//! The SMTP listener: accepts connections and drives a session of `protocol::smtp` on each, within bounds of time, memory and number.

mod talk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use protocol::smtp::exchange::Answer;
use runtime::clock::Clock;
use runtime::metrics::{Counter, Gauge, Histogram, MetricError, Registry};
use runtime::shutdown::Shutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::talk::{Talk, early, turn_away};
use super::places::{Full, Places};
use crate::flow::accept::Reception;
use crate::record::body;

/// Memory for deliveries is lent in pieces of this many bytes.
const PIECE: usize = 1024;
/// More than the trace fields above a message take.
const TRACE: usize = 8 * 1024;
/// Clients that are told why they are turned away; those beyond are cut off.
const AWAY: usize = 100;

/// What the listener grants its callers.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Connections at one time from one IPv4 address or one /64 of IPv6.
    pub per_address: usize,
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
            per_address: 50,
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
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        let (recipients, messages) = ("smtp_recipients_total", "smtp_messages_total");
        let outcome = |name, help, labels| registry.counter(name, help, labels);
        Ok(Self {
            connections: registry.gauge("smtp_connections", "SMTP connections open now.", &[])?,
            connected: registry.counter("smtp_connections_total", "SMTP connections accepted.", &[])?,
            turned_away: registry.counter("smtp_turned_away_total", "SMTP connections closed at once: too many, or a client that spoke first.", &[])?,
            tls: registry.counter("smtp_tls_total", "SMTP connections that went over to TLS.", &[])?,
            recipients: [
                outcome(recipients, "Recipients named to SMTP, by answer.", &[("answer", "known")])?,
                outcome(recipients, "", &[("answer", "refused")])?,
                outcome(recipients, "", &[("answer", "later")])?,
            ],
            messages: [
                outcome(messages, "Whole messages given to SMTP, by answer.", &[("answer", "durable")])?,
                outcome(messages, "", &[("answer", "refused")])?,
                outcome(messages, "", &[("answer", "later")])?,
            ],
            seconds: registry.histogram("smtp_accept_seconds", "From the end of a message to its answer.", &[], Histogram::SECONDS)?,
        })
    }

    fn count([good, refused, later]: &[Arc<Counter>; 3], answer: &Answer) {
        match answer {
            Answer::Known | Answer::Durable { .. } => good.increment(),
            Answer::Unknown | Answer::Refused(_) => refused.increment(),
            Answer::Full | Answer::Failed => later.increment(),
        }
    }
}

pub struct Server {
    reception: Arc<Reception>,
    clock: Arc<dyn Clock>,
    /// What TLS is made with from the next handshake on; a new certificate needs no restart.
    tls: watch::Receiver<Arc<ServerConfig>>,
    limits: Limits,
    metrics: Metrics,
    places: Places,
    away: Semaphore,
    /// Bytes of the messages being received.
    receiving: AtomicUsize,
    /// Memory for deliveries, in pieces.
    delivering: Arc<Semaphore>,
}

impl Server {
    pub fn new(
        reception: Reception, clock: Arc<dyn Clock>, tls: watch::Receiver<Arc<ServerConfig>>, mut limits: Limits, metrics: Metrics,
    ) -> Arc<Self> {
        // SIZE promises nothing that could not be kept.
        limits.max_size = limits.max_size.min(body::MAX_BYTES - TRACE);
        let (places, receiving) = (Places::new(limits.connections, limits.per_address, limits.connections), AtomicUsize::new(0));
        let delivering = Arc::new(Semaphore::new((limits.memory / PIECE).min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { reception: Arc::new(reception), clock, tls, limits, metrics, places, away: Semaphore::new(AWAY), receiving, delivering })
    }

    /// Serves until `shutdown`, then lets messages on their way arrive for at most `grace`.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
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
            tasks.spawn(Arc::clone(&self).connection(stream, peer, shutdown.clone()));
        }
        drop(listener);
        if timeout(self.limits.grace, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections cut at the end of the grace period");
            tasks.shutdown().await;
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, shutdown: Shutdown) {
        let crowded = |crowded| match crowded {
            Full::All | Full::BeforeLogin => "421 4.3.2 Too many connections; try again later\r\n",
            Full::Address => "421 4.7.0 Too many connections from your address; try again later\r\n",
        };
        let (stream, spoke) = match early(stream) {
            Ok(both) => both,
            Err(error) => return tracing::debug!(%error, "connection lost at once"),
        };
        let entered = if spoke { Err("554 5.5.1 The server speaks first\r\n") } else { self.places.take(peer.ip()).map_err(crowded) };
        let metrics = &self.metrics;
        match entered {
            Ok(_place) => {
                metrics.connected.increment();
                metrics.connections.add(1);
                let deadline = Instant::now() + self.limits.connection;
                let talk = Talk { server: &self, peer: peer.ip(), deadline, counted: 0, shutdown };
                if let Err(error) = talk.run(stream).await {
                    tracing::debug!(%error, "connection ended early");
                }
                metrics.connections.add(-1);
            }
            Err(line) => {
                metrics.turned_away.increment();
                if let Ok(_one) = self.away.try_acquire() {
                    turn_away(stream, line, self.limits.linger).await;
                }
            }
        }
    }
}
