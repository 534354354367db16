//! `POST /citizen` and `POST /citizen/withdraw`: a registrar's statements, from the mail gateway that signed them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};

use super::gate::{Gate, Proved, Stopped, Unproved, at_the_gate};
use crate::authority::Authority;
use crate::flow::citizen::{self, Sent};
use crate::record::{der_text, serial_text};
use crate::service::{chain_of, pem};

/// The longest body that is read: a statement, a signature with its certificate, a request.
pub const MAX_BYTES: usize = 40 * 1024;

struct Desk {
    authority: Arc<Authority>,
    gate: Gate,
}

pub fn router(authority: Arc<Authority>, unproved: &Arc<Unproved>) -> Router {
    let gate = Gate::new(authority.rules.citizens.hourly, unproved, &authority.clock);
    let desk = Desk { gate: gate.clone(), authority };
    Router::new()
        .route("/citizen", post(certify))
        .route("/citizen/withdraw", post(withdraw))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        // Whoever sends too much is turned away before anything of it is read.
        .layer(from_fn_with_state(gate, at_the_gate))
        .with_state(Arc::new(desk))
}

impl Proved for citizen::Proved {
    fn holder(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn said(&self) -> Vec<u8> {
        self.said().to_vec()
    }
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

async fn certify(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, body: Bytes) -> Result<Response, Stopped> {
    let Asked { statement, signature, request } = read(&body)?;
    let request = request.ok_or_else(unread)?;
    let proved = proved(&desk, from, Sent { statement, signature }).await?;
    answered(&desk, move |authority| {
        let done = citizen::certify_proved(authority, &proved, request.as_bytes())?;
        let chain = chain_of(authority, &done.record.issuer).unwrap_or_default();
        Ok(Certified { serial: serial_text(&done.serial), not_after: done.record.not_after, certificate: pem("CERTIFICATE", &done.record.der), chain })
    })
    .await
}

async fn withdraw(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, body: Bytes) -> Result<Response, Stopped> {
    let Asked { statement, signature, request } = read(&body)?;
    if request.is_some() {
        return Err(unread().into());
    }
    let proved = proved(&desk, from, Sent { statement, signature }).await?;
    answered(&desk, move |authority| Ok(Withdrawn { withdrawn: citizen::withdraw_proved(authority, &proved)?.serials })).await
}

fn read(body: &Bytes) -> Result<Asked, Problem> {
    serde_json::from_slice(body).map_err(|_| unread())
}

fn unread() -> Problem {
    Problem::new(Exit::Usage, "statement", "this is no statement of a registrar in JSON", "send statement and signature, and the request of what is to be certified")
}

async fn proved(desk: &Desk, from: SocketAddr, sent: Sent) -> Result<citizen::Proved, Stopped> {
    let authority = Arc::clone(&desk.authority);
    desk.gate.proved(from, move || Ok(citizen::prove(&authority, &sent)?)).await
}

/// The store waits for the disk and signatures take their time: neither on a thread of the network.
async fn answered<T: Serialize + Send + 'static>(desk: &Desk, act: impl FnOnce(&Authority) -> Result<T, Problem> + Send + 'static) -> Result<Response, Stopped> {
    let authority = Arc::clone(&desk.authority);
    let done = runtime::request::spawn_blocking(move || act(&authority)).await;
    let done = done.map_err(|error| Problem::new(Exit::Internal, "citizen", error.to_string(), "report this to the authority"))??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(done)).into_response())
}
