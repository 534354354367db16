//! `POST /renew`, `POST /rekey`, `POST /correct`: the holder of a still valid certificate signs a new request with its key, and
//! gets the new certificate, or the order that it comes of. `POST /correct/order` tells what the same request ordered, and orders
//! nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Json, Router};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use runtime::exit::{Exit, Problem};

use super::gate::{Gate, Proved, Stopped, Unproved, at_the_gate};
use crate::authority::Authority;
use crate::flow::correction::{correct_proved, ordered_before};
use crate::flow::order::Placed;
use crate::flow::rekey::rekey_proved;
use crate::flow::renew::{Signed, prove, renew_proved};
use crate::flow::succeed::Succeeded;
use crate::order_shown::Public;
use crate::service::{chain_of, pem};

/// A request and the certificate it was signed with, in PEM, with room to spare.
pub const MAX_BYTES: usize = 32 * 1024;

struct Desk {
    authority: Arc<Authority>,
    gate: Gate,
}

pub fn router(authority: Arc<Authority>, unproved: &Arc<Unproved>) -> Router {
    let gate = Gate::new(authority.rules.rates.renewal, unproved, &authority.clock);
    let desk = Desk { authority, gate: gate.clone() };
    Router::new().route("/renew", post(renew)).route("/rekey", post(rekey)).route("/correct", post(correct)).route("/correct/order", post(corrects_order)).layer(DefaultBodyLimit::max(MAX_BYTES)).layer(from_fn_with_state(gate, at_the_gate)).with_state(Arc::new(desk))
}

impl Proved for Signed {
    fn holder(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn said(&self) -> Vec<u8> {
        self.said()
    }
}

async fn renew(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, signed: Bytes) -> Result<Response, Stopped> {
    let proved = proved(&desk, from, signed).await?;
    answered("renew", move || Ok(whole(&desk.authority, &renew_proved(&desk.authority, proved)?))).await
}

async fn rekey(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, signed: Bytes) -> Result<Response, Stopped> {
    let proved = proved(&desk, from, signed).await?;
    answered("rekey", move || Ok(whole(&desk.authority, &rekey_proved(&desk.authority, proved)?))).await
}

async fn correct(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, signed: Bytes) -> Result<Response, Stopped> {
    let proved = proved(&desk, from, signed).await?;
    answered("correct", move || order_of(&desk.authority, &correct_proved(&desk.authority, proved)?)).await
}

async fn corrects_order(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, signed: Bytes) -> Result<Response, Stopped> {
    let proved = proved(&desk, from, signed).await?;
    answered("correct", move || order_of(&desk.authority, &ordered_before(&desk.authority, &proved)?)).await
}

fn order_of(authority: &Authority, placed: &Placed) -> Result<Response, Problem> {
    let public = Public::new(authority, &placed.id, &placed.order)?;
    let status = if placed.before { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, [(header::LOCATION, public.address.clone()), (header::CACHE_CONTROL, "no-store".to_owned())], Json(public)).into_response())
}

async fn proved(desk: &Arc<Desk>, from: SocketAddr, signed: Bytes) -> Result<Signed, Stopped> {
    let authority = Arc::clone(&desk.authority);
    desk.gate.proved(from, move || Ok(prove(&authority, &signed)?)).await
}

/// The store waits for the disk and signatures take their time: neither on a thread of the network.
async fn answered(what: &'static str, act: impl FnOnce() -> Result<Response, Problem> + Send + 'static) -> Result<Response, Stopped> {
    let done = runtime::request::spawn_blocking(act).await;
    Ok(done.map_err(|error| Problem::new(Exit::Internal, what, error.to_string(), "report this to the authority"))??)
}

// spec: rfc8555#9.1 (the certificate first, then its issuers)
fn whole(authority: &Authority, made: &Succeeded) -> Response {
    let chain = chain_of(authority, &made.record.issuer).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], pem("CERTIFICATE", &made.record.der) + &chain).into_response()
}
