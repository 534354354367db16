//! The public side: status, lists, issuers' certificates. Nothing here changes anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use pki::ocsp::{Failure, OcspRequest};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::authority::Authority;
use crate::record::{CrlRecord, decode};
use crate::status::{Answer, Status};

/// What the public handlers work with.
pub struct Public {
    pub authority: Arc<Authority>,
    pub status: Arc<Status>,
}

pub fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/ocsp", post(ocsp_post))
        .route("/ocsp/", post(ocsp_post))
        .route("/ocsp/{*request}", get(ocsp_get))
        .route("/crl/{file}", get(crl))
        .route("/issuer/{file}", get(issuer))
        .with_state(public)
}

async fn ocsp_post(State(public): State<Arc<Public>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"application/ocsp-request") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the request as application/ocsp-request\n").into_response();
    }
    respond(&public, body.to_vec(), false).await
}

// spec: rfc6960#appendix-A.1 (base64 of the DER, percent-encoded; axum has decoded the percents)
async fn ocsp_get(State(public): State<Arc<Public>>, Path(request): Path<String>) -> Response {
    let engine = base64::engine::general_purpose::STANDARD;
    let der = if request.len() > 2 * pki::ocsp::MAX_BYTES { None } else { engine.decode(request.as_bytes()).ok() };
    match der {
        Some(der) => respond(&public, der, true).await,
        None => ocsp_response(Answer { body: Failure::MalformedRequest.der().into(), fresh: None }, false),
    }
}

async fn respond(public: &Arc<Public>, der: Vec<u8>, cacheable: bool) -> Response {
    let Ok(request) = OcspRequest::parse(&der) else {
        public.status.counts.refused.fetch_add(1, Ordering::Relaxed);
        return ocsp_response(Answer { body: Failure::MalformedRequest.der().into(), fresh: None }, false);
    };
    if let Some(answer) = public.status.remembered(&request) {
        return ocsp_response(answer, cacheable);
    }
    // The store may wait for the disk and signing takes its time: neither on this thread.
    let status = Arc::clone(&public.status);
    let made = tokio::task::spawn_blocking(move || status.make(&request)).await;
    ocsp_response(made.unwrap_or_else(|_| Answer { body: Failure::InternalError.der().into(), fresh: None }), cacheable)
}

// spec: rfc5019#6.2 (what caches may keep, and until when)
fn ocsp_response(answer: Answer, cacheable: bool) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
    match answer.fresh {
        Some(fresh) if cacheable => {
            put(&mut headers, header::LAST_MODIFIED, &http_date(fresh.this_update));
            put(&mut headers, header::EXPIRES, &http_date(fresh.next_update));
            // Kept shortly: a revocation must not wait for a cache half a day.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300, public, no-transform, must-revalidate"));
        }
        _ => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
    (headers, Bytes::from_owner(answer.body)).into_response()
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

// spec: rfc9110#5.6.7
fn http_date(at: OffsetDateTime) -> String {
    let form = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    at.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}

async fn crl(State(public): State<Arc<Public>>, Path(file): Path<String>) -> Response {
    let Some(id) = file.strip_suffix(".crl").filter(|id| public.authority.issuers.contains_key(*id)).map(str::to_owned) else { return absent() };
    let found = tokio::task::spawn_blocking(move || public.authority.store.get(&CrlRecord::key(&id))).await;
    let Ok(Ok(found)) = found else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let Some(record) = found.and_then(|bytes| decode::<CrlRecord>(&bytes).ok()) else { return absent() };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pkix-crl"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300, public, must-revalidate"));
    if let Ok(at) = OffsetDateTime::from_unix_timestamp(record.this_update) {
        put(&mut headers, header::LAST_MODIFIED, &http_date(at));
    }
    put(&mut headers, header::ETAG, &format!("\"{}\"", record.number));
    (headers, record.der).into_response()
}

async fn issuer(State(public): State<Arc<Public>>, Path(file): Path<String>) -> Response {
    let Some(issuer) = file.strip_suffix(".der").and_then(|id| public.authority.issuers.get(id)) else { return absent() };
    ([(header::CONTENT_TYPE, "application/pkix-cert")], issuer.record.der.clone()).into_response()
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "there is no such file here\n").into_response()
}
