//! `POST /revoke`: the holder of a key says that it is compromised, or that a certificate of it is to end. The answer has the
//! certificates that are revoked now; it is an empty list for a key that none was issued for, which is blocked from then on.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use axum::{Json, Router};
use runtime::exit::{Exit, Problem};
use serde::Serialize;

use super::gate::{Counts, Gate, Proved, Stopped, Unproved, at_the_gate};
use crate::authority::Authority;
use crate::flow::possession::{About, Possession, prove, revoke_proved};
use crate::record::{Reason, Status, serial_text};

/// A request of an RSA key in PEM, with room to spare.
pub const MAX_BYTES: usize = 8 * 1024;

struct Desk {
    authority: Arc<Authority>,
    gate: Gate,
}

pub fn router(authority: Arc<Authority>, unproved: &Arc<Unproved>) -> Router {
    let gate = Gate::new(authority.rules.rates.revocation, unproved, &authority.clock).and_strangers(authority.rules.rates.reported);
    let desk = Desk { authority, gate: gate.clone() };
    Router::new().route("/revoke", post(revoke)).layer(DefaultBodyLimit::max(MAX_BYTES)).layer(from_fn_with_state(gate, at_the_gate)).with_state(Arc::new(desk))
}

impl Proved for Possession {
    fn holder(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn said(&self) -> Vec<u8> {
        self.said().into_bytes()
    }

    fn counts(&self) -> Counts {
        match self.about {
            About::Certificates => Counts::AsHolders,
            About::NewKey => Counts::AsStrangers,
            About::BlockedKey => Counts::NoMore,
        }
    }
}

/// One certificate that is revoked now. `at` is Unix seconds.
#[derive(Serialize)]
struct Revoked {
    serial: String,
    reason: Reason,
    at: i64,
}

async fn revoke(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Bytes) -> Result<Json<Vec<Revoked>>, Stopped> {
    let authority = Arc::clone(&desk.authority);
    let proved = desk.gate.proved(from, move || Ok(prove(&authority, &request)?)).await?;
    let done = runtime::request::spawn_blocking(move || revoke_proved(&desk.authority, &proved)).await;
    let done = done.map_err(|error| Problem::new(Exit::Internal, "revoke", error.to_string(), "report this to the authority"))?.map_err(Problem::from)?;
    let shown = done.certificates.iter().filter_map(|(serial, record)| match record.status {
        Status::Revoked(revocation) => Some(Revoked { serial: serial_text(serial), reason: revocation.reason, at: revocation.at }),
        _ => None,
    });
    Ok(Json(shown.collect()))
}
