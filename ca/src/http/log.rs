//! The log for everybody: checkpoint and tiles in the form of C2SP tlog-tiles, and the secret that finds one's own name.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use evidence::Evidence;
use merkle::{FULL, Tile};
use runtime::exit::{Exit, Problem};

use super::gate::{Gate, Proved, Stopped, Unproved, at_the_gate};
use super::{absent, is_known, put};
use crate::authority::Authority;
use crate::flow::own_name::{Question, own_name_proved, prove};
use crate::own_name::Sealed;

/// A tile of some width never has another content; a narrow one is soon of no use.
const FULL_KEPT: &str = "public, max-age=31536000, immutable";
const NARROW_KEPT: &str = "public, max-age=3600, immutable";

struct Desk {
    authority: Arc<Authority>,
    gate: Gate,
}

pub fn router(evidence: Arc<Evidence>, authority: Arc<Authority>, unproved: &Arc<Unproved>) -> Router {
    let read = Router::new().route("/log/checkpoint", get(checkpoint)).route("/log/tile/{*path}", get(tile)).with_state(evidence);
    let gate = Gate::new(authority.rules.rates.own_name, unproved, &authority.clock);
    let desk = Desk { authority, gate: gate.clone() };
    let asked = Router::new().route("/log/own-name", post(own_name)).layer(DefaultBodyLimit::max(super::revocation::MAX_BYTES));
    read.merge(asked.layer(from_fn_with_state(gate, at_the_gate)).with_state(Arc::new(desk)))
}

// spec: tlog-tiles#checkpoints
async fn checkpoint(State(evidence): State<Arc<Evidence>>, asked: HeaderMap) -> Response {
    let Some(note) = evidence.note() else { return absent() };
    let tag = format!("\"{}\"", crate::sha256_hex(note.as_bytes()));
    let mut headers = HeaderMap::new();
    put(&mut headers, header::CACHE_CONTROL, "no-cache");
    put(&mut headers, header::ETAG, &tag);
    if is_known(&asked, &tag) {
        return (axum::http::StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    (headers, note).into_response()
}

// spec: tlog-tiles#merkle-tree
async fn tile(State(evidence): State<Arc<Evidence>>, path: Result<Path<String>, PathRejection>) -> Response {
    let Some(tile) = path.ok().and_then(|Path(path)| Tile::parse(&format!("tile/{path}")).ok()) else { return absent() };
    // The store may wait for the disk.
    let read = runtime::request::spawn_blocking(move || evidence.tile(&tile)).await;
    match read {
        Ok(Ok(Some(bytes))) => {
            let kept = if tile.width() == FULL { FULL_KEPT } else { NARROW_KEPT };
            ([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, kept)], bytes).into_response()
        }
        Ok(Ok(None)) => absent(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(error) => Problem::new(Exit::Internal, "log", error.to_string(), "report this to the authority").into_response(),
    }
}

impl Proved for Question {
    fn holder(&self) -> Vec<u8> {
        self.key().to_vec()
    }

    fn said(&self) -> Vec<u8> {
        self.said()
    }
}

async fn own_name(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Bytes) -> Result<([(header::HeaderName, &'static str); 1], Json<Sealed>), Stopped> {
    let authority = Arc::clone(&desk.authority);
    let question = desk.gate.proved(from, move || Ok(prove(&authority, &request)?)).await?;
    let done = runtime::request::spawn_blocking(move || own_name_proved(&desk.authority, &question)).await;
    let sealed = done.map_err(|error| Problem::new(Exit::Internal, "own-name", error.to_string(), "report this to the authority"))?.map_err(Problem::from)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(sealed)))
}
