//! `POST /renew`: the holder of a still valid certificate signs a new request with its key, and gets the new certificate.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use runtime::exit::{Exit, Problem};

use super::gate::{Gate, at_the_gate};
use crate::authority::Authority;
use crate::flow::renew::renew_by_possession;
use crate::service::{chain_of, pem};

/// A request and the certificate it was signed with, in PEM, with room to spare.
pub const MAX_BYTES: usize = 32 * 1024;

pub fn router(authority: Arc<Authority>) -> Router {
    let gate = Gate::new(authority.rules.rates.renewal, &authority.clock);
    Router::new().route("/renew", post(renew)).layer(DefaultBodyLimit::max(MAX_BYTES)).layer(from_fn_with_state(gate, at_the_gate)).with_state(authority)
}

// spec: rfc8555#9.1 (the certificate first, then its issuers)
async fn renew(State(authority): State<Arc<Authority>>, signed: Bytes) -> Result<Response, Problem> {
    let done = runtime::request::spawn_blocking(move || {
        let renewed = renew_by_possession(&authority, &signed)?;
        let chain = chain_of(&authority, &renewed.record.issuer).unwrap_or_default();
        Ok::<_, Problem>(pem("CERTIFICATE", &renewed.record.der) + &chain)
    });
    let whole = done.await.map_err(|error| Problem::new(Exit::Internal, "renew", error.to_string(), "report this to the authority"))??;
    Ok(([(header::CONTENT_TYPE, "application/pem-certificate-chain")], whole).into_response())
}
