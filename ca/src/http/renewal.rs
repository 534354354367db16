//! `POST /renew`: the holder of a still valid certificate signs a new request with its key, and gets the new certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use runtime::exit::{Exit, Problem};

use super::gate::{Gate, Proved, Stopped, Unproved, at_the_gate};
use crate::authority::Authority;
use crate::flow::renew::{Signed, prove, renew_proved};
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
    Router::new().route("/renew", post(renew)).layer(DefaultBodyLimit::max(MAX_BYTES)).layer(from_fn_with_state(gate, at_the_gate)).with_state(Arc::new(desk))
}

impl Proved for Signed {
    fn holder(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn said(&self) -> Vec<u8> {
        self.said()
    }
}

// spec: rfc8555#9.1 (the certificate first, then its issuers)
async fn renew(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, signed: Bytes) -> Result<Response, Stopped> {
    let authority = Arc::clone(&desk.authority);
    let proved = desk.gate.proved(from, move || Ok(prove(&authority, &signed)?)).await?;
    let done = runtime::request::spawn_blocking(move || {
        let renewed = renew_proved(&desk.authority, proved)?;
        let chain = chain_of(&desk.authority, &renewed.record.issuer).unwrap_or_default();
        Ok::<_, Problem>(pem("CERTIFICATE", &renewed.record.der) + &chain)
    });
    let whole = done.await.map_err(|error| Problem::new(Exit::Internal, "renew", error.to_string(), "report this to the authority"))??;
    Ok(([(header::CONTENT_TYPE, "application/pem-certificate-chain")], whole).into_response())
}
