//! The HTTP/1.1 shell of every service: bounded in bytes, connections and time, and ended gracefully.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header;
use axum::routing::get;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::{self, Door};
use crate::exit::{Exit, Problem};
use crate::shutdown::Shutdown;

/// What one listener grants its callers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest body in bytes, whatever a handler reads it with. `None`: handlers that stream set their own bound, and
    /// axum's extractors stop at 2 MB.
    pub body: Option<usize>,
    /// Longest request head in bytes, at least 8192.
    pub header_bytes: usize,
    /// Time for a TLS handshake, for a request head, and for silence between two requests.
    pub header: Duration,
    /// Time from the head to the answer's head, reading the body included. `None`: as long as it takes.
    pub request: Option<Duration>,
    /// Time in which the caller takes 256 KiB of an answer, or all that is left of it. `None`: as long as it takes.
    pub write: Option<Duration>,
    /// Connections at one time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Of them, as many of one address, and of one network: further ones are cut off, so that nobody waits behind whoever opens many.
    pub of_one_address: usize,
    pub of_one_network: usize,
    /// Time for requests in flight after shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: Some(1 << 20),
            header_bytes: 16 << 10,
            header: Duration::from_secs(10),
            request: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(30)),
            connections: 1024,
            of_one_address: usize::MAX,
            of_one_network: usize::MAX,
            grace: Duration::from_secs(10),
        }
    }
}

/// Who calls; every request carries it (`Extension<Caller>`).
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Over TCP, also as `ConnectInfo<SocketAddr>`.
    pub address: Option<SocketAddr>,
    /// Over mutual TLS: the client's verified chain, its own certificate first. Empty when it showed none.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// Over the administration socket: the user of the process at the other end.
    pub user: Option<u32>,
}

#[derive(Debug, Error)]
pub enum BindError {
    #[error("another program listens on {address} already; stop it (`ss -ltnp` names it), or configure another address")]
    Occupied { address: SocketAddr },
    #[error("this user may not listen on {address}; choose a port above 1023, or grant CAP_NET_BIND_SERVICE")]
    Denied { address: SocketAddr },
    #[error("this host has no address {}; configure one of its own, or 0.0.0.0 for all", address.ip())]
    NotHere { address: SocketAddr },
    #[error("cannot listen on {address}: {source}; check the address and the host's limits")]
    Io { address: SocketAddr, source: io::Error },
}

impl From<BindError> for Problem {
    fn from(error: BindError) -> Self {
        let exit = match error {
            BindError::Denied { .. } => Exit::Denied,
            BindError::NotHere { .. } => Exit::Usage,
            BindError::Occupied { .. } | BindError::Io { .. } => Exit::Unavailable,
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, "listen", message, next)
    }
}

/// Listens on `address`; port 0 lets the host choose, `TcpListener::local_addr` tells which.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Occupied { address },
        io::ErrorKind::PermissionDenied => BindError::Denied { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Io { address, source },
    })
}

/// Serves `router` until `shutdown`, then for at most `limits.grace` what is in flight.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    connection::run(Plain(listener), router, limits, shutdown).await;
}

/// What TLS goes by, asked for at each handshake: whom it trusts may change without a restart.
pub trait TlsSource: Send + Sync + 'static {
    fn current(&self) -> Arc<rustls::ServerConfig>;
}

/// As `serve`, over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<dyn TlsSource>,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    connection::run(Tls(listener, tls, Refusals::default()), router, limits, shutdown).await;
}

struct Plain(TcpListener);

impl Door for Plain {
    type Raw = (TcpStream, SocketAddr);
    type Stream = TcpStream;

    fn address((_, address): &Self::Raw) -> Option<IpAddr> {
        Some(address.ip())
    }

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.0.accept().await
    }

    async fn greet(&self, (stream, address): Self::Raw) -> io::Result<(TcpStream, Caller)> {
        stream.set_nodelay(true)?;
        Ok((stream, Caller { address: Some(address), ..Caller::default() }))
    }
}

struct Tls(TcpListener, Arc<dyn TlsSource>, Refusals);

/// Failed handshakes that are told of in a minute: whoever may connect may fail as often as they like.
const TOLD: u32 = 30;

#[derive(Default)]
struct Refusals(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// How many were not told of since the last one, if this one is.
    fn tell(&self, now: Instant) -> Option<u64> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(60)) {
            (minute.began, minute.told) = (Some(now), 0);
        }
        if minute.told == TOLD {
            minute.untold += 1;
            return None;
        }
        minute.told += 1;
        Some(std::mem::take(&mut minute.untold))
    }
}

impl Door for Tls {
    type Raw = (TcpStream, SocketAddr);
    type Stream = TlsStream<TcpStream>;

    fn address((_, address): &Self::Raw) -> Option<IpAddr> {
        Some(address.ip())
    }

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.0.accept().await
    }

    async fn greet(&self, (stream, address): Self::Raw) -> io::Result<(Self::Stream, Caller)> {
        stream.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.1.current()).accept(stream).await.inspect_err(|error| {
            if let Some(untold) = self.2.tell(Instant::now()) {
                tracing::warn!(%address, %error, untold, "refused: the TLS handshake failed");
            }
        })?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec().into();
        Ok((stream, Caller { address: Some(address), certificates, user: None }))
    }
}

/// `GET /healthz`: 200 `{"status":"ok"}`, or the problem that `check` reports.
pub fn health<F>(check: F) -> Router
where
    F: Fn() -> Result<(), Problem> + Clone + Send + Sync + 'static,
{
    let answer = move || async move { check().map(|()| axum::Json(serde_json::json!({ "status": "ok" }))) };
    Router::new().route("/healthz", get(answer))
}

/// `GET /metrics`: what `render` writes, in Prometheus' text format.
pub fn metrics<F>(render: F) -> Router
where
    F: Fn() -> String + Clone + Send + Sync + 'static,
{
    let answer = move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render()) };
    Router::new().route("/metrics", get(answer))
}

#[cfg(test)]
mod tests;
