//! The loop below every listener: accept, greet, speak HTTP/1.1, end gracefully.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument;

use crate::exit::{Exit, Problem};
use crate::http::{Caller, Limits};
use crate::patience::Patient;
use crate::request::{HEADER, RequestId};
use crate::shares::Shares;
use crate::shutdown::Shutdown;

/// How long, and for how many octets, a body that is refused is let pass.
const LINGER: Duration = Duration::from_secs(2);
const MAX_PASSED: usize = 1 << 20;
/// Who sends nothing for so long is not still writing, and is answered.
const PAUSE: Duration = Duration::from_millis(200);

/// A listener and what it asks of a caller before HTTP begins.
pub(crate) trait Door: Send + Sync + 'static {
    type Raw: Send + 'static;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;
    /// Where the caller is, where that is another host.
    fn address(_: &Self::Raw) -> Option<IpAddr> {
        None
    }
    fn greet(&self, raw: Self::Raw) -> impl Future<Output = io::Result<(Self::Stream, Caller)>> + Send;
}

/// Serves until `shutdown`, then lets requests in flight finish for at most `limits.grace`.
pub(crate) async fn run<D: Door>(door: D, router: Router, limits: Limits, shutdown: Shutdown) {
    let door = Arc::new(door);
    let router = match limits.body {
        Some(bytes) => router.layer(DefaultBodyLimit::max(bytes)),
        None => router,
    };
    let (places, shares) = (Arc::new(Semaphore::new(limits.connections)), Shares::new(limits.of_one_address, limits.of_one_network));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = async {
            // The place comes first: callers beyond the limit wait in the kernel's queue.
            let place = places.clone().acquire_owned().await.ok()?;
            Some((door.accept().await, place))
        };
        let (raw, place) = tokio::select! {
            () = shutdown.wait() => break,
            accepted = accepted => match accepted {
                Some((Ok(raw), place)) => (raw, place),
                Some((Err(error), _)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                None => break,
            },
        };
        let share = match D::address(&raw).map(|address| shares.take(address)).transpose() {
            Ok(share) => share,
            // Before TLS: an answer would cost what is to be spared.
            Err(crowded) => {
                tracing::debug!(?crowded, "caller cut off: too many connections of one");
                continue;
            }
        };
        let (door, router, limits, shutdown) = (door.clone(), router.clone(), limits.clone(), shutdown.clone());
        tasks.spawn(async move {
            let _held = (place, share);
            match timeout(limits.header, door.greet(raw)).await {
                Ok(Ok((stream, caller))) => speak(stream, caller, router, limits, shutdown).await,
                Ok(Err(error)) => tracing::debug!(%error, "caller turned away"),
                Err(_) => tracing::debug!("caller said nothing"),
            }
        });
    }
    drop(door);
    let finished = timeout(limits.grace, async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!(connections = tasks.len(), "connections cut at the end of the grace period");
        tasks.shutdown().await;
    }
}

async fn speak<S>(stream: S, caller: Caller, router: Router, limits: Limits, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = limits.write;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(limits.header_bytes.max(8192))
        .keep_alive(true)
        .half_close(true);
    let service = service_fn(move |request| {
        let (router, caller, limits) = (router.clone(), caller.clone(), limits.clone());
        async move { Ok::<_, Infallible>(answer(request, router, caller, &limits).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Patient::new(stream, patience)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// One request, under its id: what is logged meanwhile is logged with it.
async fn answer(mut request: Request<Incoming>, router: Router, caller: Caller, limits: &Limits) -> Response {
    let id = RequestId::of(request.headers());
    let span = tracing::info_span!("request", id = id.as_str(), method = request.method().as_str());
    request.extensions_mut().insert(id.clone());
    // What officers and administrators do is told in any case.
    let known = caller.user.is_some() || !caller.certificates.is_empty();
    async {
        let began = Instant::now();
        let response = identified(bounded(request, router, caller, limits).await, &id);
        let (status, microseconds) = (response.status().as_u16(), u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        match (status, known) {
            (500.., _) => tracing::warn!(status, microseconds, "answered"),
            (_, true) => tracing::info!(status, microseconds, "answered"),
            _ => tracing::debug!(status, microseconds, "answered"),
        }
        response
    }
    .instrument(span)
    .await
}

/// With the id in the head, and in the problem if it is one.
fn identified(mut response: Response, id: &RequestId) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers = std::mem::take(response.headers_mut());
        let problem = Problem { request: Some(id.as_str().into()), ..problem };
        let status = response.status();
        response = (status, axum::Json(problem)).into_response();
        // What a handler said besides stays; length and kind are those of the new body.
        let others = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        response.headers_mut().extend(others.filter(|(name, _)| *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE));
    }
    if let Some(value) = id.header() {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

async fn bounded(mut request: Request<Incoming>, router: Router, caller: Caller, limits: &Limits) -> Response {
    if let Some(address) = caller.address {
        request.extensions_mut().insert(ConnectInfo(address));
    }
    request.extensions_mut().insert(caller);
    // Whoever waits to be told to go on is not: the answer is what it waits for.
    let waits = request.headers().contains_key(header::EXPECT);
    let (give_back, given_back) = oneshot::channel();
    let lent = |incoming| Lent { incoming: Some(incoming), to: Some(give_back) };
    let request = match limits.body {
        Some(bytes) if request.body().size_hint().lower() > bytes as u64 => {
            if !waits {
                let _ = timeout(LINGER, let_pass(request.into_body())).await;
            }
            return too_large();
        }
        Some(bytes) => request.map(|body| Body::new(Limited::new(lent(body), bytes))),
        None => request.map(|body| Body::new(lent(body))),
    };
    let service = TowerToHyperService::new(router);
    let answered = service.call(request);
    let response = match limits.request {
        None => answered.await,
        Some(longest) => match timeout(longest, answered).await {
            Ok(answered) => answered,
            Err(_) => return too_slow(),
        },
    };
    let response = response.unwrap_or_else(|never| match never {});
    if (response.status().is_client_error() || response.status().is_server_error()) && !waits {
        let passing = async {
            if let Ok(rest) = given_back.await {
                let_pass(rest).await;
            }
        };
        let _ = timeout(LINGER, passing).await;
    }
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !json { too_large() } else { response }
}

/// A body that comes back when its reader lets go of it, so that what is left of it can be let pass.
struct Lent {
    incoming: Option<Incoming>,
    to: Option<oneshot::Sender<Incoming>>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(incoming), Some(to)) = (self.incoming.take(), self.to.take()) {
            // Nobody takes it back where the request was given up.
            let _ = to.send(incoming);
        }
    }
}

/// Reads on and forgets, within bounds: a client still writing when the connection ends would never see its answer.
async fn let_pass(mut body: Incoming) {
    let mut left = MAX_PASSED;
    while let Ok(Some(Ok(frame))) = timeout(PAUSE, body.frame()).await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn too_large() -> Response {
    let problem = Problem::new(Exit::Refused, "body-too-large", "the request's body is too large", "send less at once");
    with_status(StatusCode::PAYLOAD_TOO_LARGE, problem)
}

fn too_slow() -> Response {
    let problem = Problem::new(Exit::Unavailable, "request-timeout", "the request took too long", "try again later");
    with_status(StatusCode::REQUEST_TIMEOUT, problem)
}

fn with_status(status: StatusCode, problem: Problem) -> Response {
    let mut response = problem.into_response();
    *response.status_mut() = status;
    response
}
