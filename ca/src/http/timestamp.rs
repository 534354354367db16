//! `POST /timestamp`: a digest in, a token out, for anybody.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use pki::timestamp::Failure;

use super::gate::OpenGate;
use crate::flow::timestamp::stamp;
use crate::timestamps::Timestamps;

/// A digest and a nonce, with room to spare.
const MOST: usize = 8 * 1024;

struct Desk {
    timestamps: Arc<Timestamps>,
    gate: OpenGate,
}

pub fn router(timestamps: Arc<Timestamps>) -> Router {
    let gate = OpenGate::new(timestamps.authority.rules.timestamp.hourly, &timestamps.authority.clock);
    let desk = Desk { gate, timestamps };
    Router::new().route("/timestamp", post(timestamp)).layer(DefaultBodyLimit::max(MOST)).with_state(Arc::new(desk))
}

// spec: rfc3161#3.4
async fn timestamp(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, headers: HeaderMap, request: Bytes) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"application/timestamp-query") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the request as application/timestamp-query\n").into_response();
    }
    // Whatever is asked for counts: each token stays in the store and in the log for good.
    if let Err(seconds) = desk.gate.take(from) {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(seconds))], "too many timestamps were asked for from here or in all; ask again later\n").into_response();
    }
    // The token waits for the disk: not on this thread.
    let reply = tokio::task::spawn_blocking(move || stamp(&desk.timestamps, &request)).await;
    let reply = reply.unwrap_or_else(|_| Failure::SystemFailure.der());
    ([(header::CONTENT_TYPE, "application/timestamp-reply"), (header::CACHE_CONTROL, "no-store")], reply).into_response()
}
