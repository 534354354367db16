//! `POST /citizen` and `POST /citizen/withdraw`: a registrar's statements, from the mail gateway that signed them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use runtime::exit::{Exit, Problem};
use runtime::rate::{Rate, network};
use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::flow::citizen::{self, Sent};
use crate::record::{der_text, serial_text};
use crate::service::{chain_of, pem};

/// The longest body that is read: a statement, a signature with its certificate, a request.
pub const MAX_BYTES: usize = 40 * 1024;

struct Desk {
    authority: Arc<Authority>,
    rate: Mutex<Rate<IpAddr>>,
}

pub fn router(authority: Arc<Authority>) -> Router {
    let hourly = authority.rules.citizens.hourly;
    let desk = Desk { rate: Mutex::new(Rate::new(hourly.per_address, hourly.all)), authority };
    Router::new()
        .route("/citizen", post(certify))
        .route("/citizen/withdraw", post(withdraw))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(Arc::new(desk))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    statement: String,
    #[serde(with = "der_text")]
    signature: Vec<u8>,
    /// PKCS#10, PEM; of what is to be certified alone.
    request: Option<String>,
}

/// Times are Unix seconds.
#[derive(Serialize)]
struct Certified {
    serial: String,
    not_after: i64,
    /// PEM.
    certificate: String,
    /// The issuers above, PEM, without the root.
    chain: String,
}

#[derive(Serialize)]
struct Withdrawn {
    withdrawn: Vec<String>,
}

async fn certify(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, body: Bytes) -> Response {
    answered(&desk, from, &body, |authority, asked| {
        let request = asked.request.ok_or_else(unread)?;
        let done = citizen::certify(authority, &Sent { statement: asked.statement, signature: asked.signature }, request.as_bytes())?;
        let chain = chain_of(authority, &done.record.issuer).unwrap_or_default();
        Ok(Certified { serial: serial_text(&done.serial), not_after: done.record.not_after, certificate: pem("CERTIFICATE", &done.record.der), chain })
    })
    .await
}

async fn withdraw(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, body: Bytes) -> Response {
    answered(&desk, from, &body, |authority, asked| {
        if asked.request.is_some() {
            return Err(unread());
        }
        let done = citizen::withdraw(authority, &Sent { statement: asked.statement, signature: asked.signature })?;
        Ok(Withdrawn { withdrawn: done.serials })
    })
    .await
}

fn unread() -> Problem {
    Problem::new(Exit::Usage, "statement", "this is no statement of a registrar in JSON", "send statement and signature, and the request of what is to be certified")
}

async fn answered<T: Serialize + Send + 'static>(desk: &Desk, from: SocketAddr, body: &Bytes, act: impl FnOnce(&Authority, Asked) -> Result<T, Problem> + Send + 'static) -> Response {
    let now = desk.authority.clock.now().unix_timestamp();
    // Whoever sends too much is turned away before anything of it costs more than reading it.
    if let Err(seconds) = desk.rate.lock().unwrap_or_else(PoisonError::into_inner).take(network(from.ip()), now) {
        let problem = Problem::new(Exit::Unavailable, "rate", "too many statements were sent from here or in all", "send it again later");
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(seconds))], Json(problem)).into_response();
    }
    let Ok(asked) = serde_json::from_slice::<Asked>(body) else { return unread().into_response() };
    let authority = Arc::clone(&desk.authority);
    // The store waits for the disk and signatures take their time: neither on a thread of the network.
    match runtime::request::spawn_blocking(move || act(&authority, asked)).await {
        Ok(Ok(done)) => ([(header::CACHE_CONTROL, "no-store")], Json(done)).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(error) => Problem::new(Exit::Internal, "citizen", error.to_string(), "report this to the authority").into_response(),
    }
}
