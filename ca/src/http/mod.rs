//! The public side: status, lists, issuers' certificates. Nothing in this file changes anything.

pub mod administration;
pub mod citizen;
pub mod cps;
pub mod gate;
mod lists;
pub mod orders;
pub mod outbox;
pub mod renewal;
pub mod log;
pub mod revocation;
pub mod timestamp;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use pki::ocsp::{Failure, OcspError, OcspRequest};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::authority::{Authority, ROOT};
use crate::flow::roots;
use crate::lists::Lists;
use crate::record::PublishedRoot;
use crate::service::pem;
use crate::status::{Answer, Status};

const OCSP_RESPONSE: &str = "application/ocsp-response";
/// Seconds for which caches keep an answer or a list.
const KEPT: i64 = 300;

/// What the public handlers work with.
pub struct Public {
    pub authority: Arc<Authority>,
    pub status: Arc<Status>,
    pub lists: Arc<Lists>,
}

pub fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/ocsp", post(ocsp_post))
        .route("/ocsp/", post(ocsp_post))
        .route("/ocsp/{*request}", get(ocsp_get))
        .route("/crl/{file}", get(lists::named))
        .route("/crl/{issuer}/{file}", get(lists::part))
        .route("/issuer/{file}", get(issuer))
        .route("/roots", get(all_roots))
        .layer(DefaultBodyLimit::max(pki::ocsp::MAX_BYTES))
        .with_state(public)
}

async fn ocsp_post(State(public): State<Arc<Public>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"application/ocsp-request") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the request as application/ocsp-request\n").into_response();
    }
    uncached(answer(&public, &body).await)
}

// spec: rfc6960#appendix-A.1 (base64 of the DER, percent-encoded; axum has decoded the percents)
async fn ocsp_get(State(public): State<Arc<Public>>, headers: HeaderMap, path: Result<Path<String>, PathRejection>) -> Response {
    let engine = base64::engine::general_purpose::STANDARD;
    // What is no text, no base64 or too long is a request like any other that cannot be read.
    let text = path.map(|Path(text)| text).unwrap_or_default();
    let der = if text.len() > 2 * pki::ocsp::MAX_BYTES { None } else { engine.decode(text.as_bytes()).ok() };
    let answer = answer(&public, &der.unwrap_or_default()).await;
    match &answer.fresh {
        Some(fresh) => {
            let (now, tag) = (public.authority.clock.now(), format!("\"{}\"", fresh.tag));
            // Kept shortly: a revocation must not wait for a cache half a day; and never beyond its end.
            let age = (fresh.next_update - now).whole_seconds().clamp(0, KEPT);
            let kept = format!("max-age={age}, public, no-transform, must-revalidate");
            let told = Kept { kind: OCSP_RESPONSE, at: fresh.this_update, until: Some(fresh.next_update), kept, tag };
            told.response(&headers, Bytes::from_owner(answer.body))
        }
        None => uncached(answer),
    }
}

async fn answer(public: &Arc<Public>, der: &[u8]) -> Answer {
    let request = match OcspRequest::parse(der) {
        Ok(request) => request,
        Err(error) => {
            public.status.counts.refused.fetch_add(1, Ordering::Relaxed);
            // A hash that we do not work out names nobody we could answer for; the request itself is well formed.
            let failure = if error == OcspError::Hash { Failure::Unauthorized } else { Failure::MalformedRequest };
            return Answer { body: failure.der().into(), fresh: None };
        }
    };
    if let Some(answer) = public.status.remembered(&request) {
        return answer;
    }
    // The store may wait for the disk and signing takes its time: neither on this thread.
    let status = Arc::clone(&public.status);
    let made = runtime::request::spawn_blocking(move || status.make(&request)).await;
    made.unwrap_or_else(|_| Answer { body: Failure::InternalError.der().into(), fresh: None })
}

fn uncached(answer: Answer) -> Response {
    ([(header::CONTENT_TYPE, OCSP_RESPONSE), (header::CACHE_CONTROL, "no-store")], Bytes::from_owner(answer.body)).into_response()
}

/// What caches are told of a body.
// spec: rfc9919 (OCSP over HTTP), rfc9111#5.2.2
struct Kept {
    kind: &'static str,
    at: OffsetDateTime,
    until: Option<OffsetDateTime>,
    kept: String,
    tag: String,
}

impl Kept {
    /// The body, or only that it has not changed since the asker got it.
    fn response(self, asked: &HeaderMap, body: Bytes) -> Response {
        let mut headers = HeaderMap::new();
        put(&mut headers, header::LAST_MODIFIED, &http_date(self.at));
        if let Some(until) = self.until {
            put(&mut headers, header::EXPIRES, &http_date(until));
        }
        put(&mut headers, header::CACHE_CONTROL, &self.kept);
        put(&mut headers, header::ETAG, &self.tag);
        if is_known(asked, &self.tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        (headers, body).into_response()
    }
}

// spec: rfc9110#13.1.2
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    known.map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
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

/// `/issuer/ID.der`: an authority of ours, or what is published beside the root.
async fn issuer(State(public): State<Arc<Public>>, Path(file): Path<String>) -> Response {
    let Some(id) = file.strip_suffix(".der").map(str::to_owned) else { return absent() };
    let certificate = |der: Vec<u8>| ([(header::CONTENT_TYPE, "application/pkix-cert")], der).into_response();
    if let Some(issuer) = public.authority.issuers.get(&id) {
        return certificate(issuer.record.der.clone());
    }
    match beside(public).await {
        Ok(found) => found.into_iter().find(|one| one.id == id).map_or_else(absent, |one| certificate(one.der)),
        Err(response) => response,
    }
}

/// `/roots`: the present root, and what is published beside it.
// spec: rfc8555#9.1 (the form: PEM, one after the other)
async fn all_roots(State(public): State<Arc<Public>>) -> Response {
    let present = public.authority.issuers.get(ROOT).map(|root| root.record.der.clone());
    match beside(public).await {
        Ok(found) => {
            let text: String = present.into_iter().chain(found.into_iter().map(|one| one.der)).map(|der| pem("CERTIFICATE", &der)).collect();
            ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], text).into_response()
        }
        Err(response) => response,
    }
}

async fn beside(public: Arc<Public>) -> Result<Vec<PublishedRoot>, Response> {
    let found = runtime::request::spawn_blocking(move || roots::published(&public.authority)).await;
    found.ok().and_then(Result::ok).ok_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "there is no such file here\n").into_response()
}
