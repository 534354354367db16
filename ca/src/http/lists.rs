//! Lists of the revoked: whole ones, their deltas, and those of parts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::{KEPT, Kept, Public, absent};
use crate::record::Scope;

/// `/crl/ISSUER.crl` and `/crl/ISSUER-delta.crl`.
pub(super) async fn named(state: State<Arc<Public>>, headers: HeaderMap, Path(file): Path<String>) -> Response {
    let Some(name) = file.strip_suffix(".crl") else { return absent() };
    match name.strip_suffix("-delta") {
        Some(issuer) if !state.authority.issuers.contains_key(name) => list(state, headers, issuer, Scope::Delta).await,
        _ => list(state, headers, name, Scope::Whole).await,
    }
}

/// `/crl/ISSUER/PART.crl`; a part has one name: its number as we write it.
pub(super) async fn part(state: State<Arc<Public>>, headers: HeaderMap, Path((issuer, file)): Path<(String, String)>) -> Response {
    let shard = file.strip_suffix(".crl").and_then(|text| text.parse::<u16>().ok().filter(|shard| shard.to_string() == text));
    match shard {
        Some(shard) => list(state, headers, &issuer, Scope::Shard(shard)).await,
        None => absent(),
    }
}

async fn list(State(public): State<Arc<Public>>, headers: HeaderMap, issuer: &str, scope: Scope) -> Response {
    if !public.authority.issuers.contains_key(issuer) {
        return absent();
    }
    let list = match public.lists.kept(issuer, scope) {
        Some(list) => list,
        None => {
            let (public, issuer) = (Arc::clone(&public), issuer.to_owned());
            match runtime::request::spawn_blocking(move || public.lists.read(&issuer, scope)).await {
                Ok(Ok(Some(list))) => list,
                Ok(Ok(None)) => return absent(),
                _ => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    };
    let now = public.authority.clock.now();
    let time = |at| OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Kept shortly, since the next list may come at any time, and never beyond its end.
    let age = (list.next_update - now.unix_timestamp()).clamp(0, KEPT);
    let kept = format!("max-age={age}, public, must-revalidate");
    let until = Some(time(now.unix_timestamp() + age));
    Kept { kind: "application/pkix-crl", at: time(list.this_update), until, kept, tag: format!("\"{}\"", list.number) }.response(&headers, list.der.clone())
}
