//! `POST /timestamp`: a digest in, a token out, for anybody.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use pki::timestamp::Failure;

use crate::flow::timestamp::stamp;
use crate::timestamps::Timestamps;

pub fn router(timestamps: Arc<Timestamps>) -> Router {
    Router::new().route("/timestamp", post(timestamp)).with_state(timestamps)
}

// spec: rfc3161#3.4
async fn timestamp(State(timestamps): State<Arc<Timestamps>>, headers: HeaderMap, request: Bytes) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"application/timestamp-query") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the request as application/timestamp-query\n").into_response();
    }
    // The token waits for the disk: not on this thread.
    let reply = tokio::task::spawn_blocking(move || stamp(&timestamps, &request)).await;
    let reply = reply.unwrap_or_else(|_| Failure::SystemFailure.der());
    ([(header::CONTENT_TYPE, "application/timestamp-reply"), (header::CACHE_CONTROL, "no-store")], reply).into_response()
}
