//! `POST /mandates` and `POST /mandates/withdraw`: a principal lets an agent file for it, and takes that back.
//! `GET /mandates` and `GET /mandates/ID`: what the caller gave and holds, and how each stands.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::http::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_MANDATE, Public, Refused, Signed, worked};
use crate::desk::flow::mandate::{self, Held};
use crate::desk::record::mandate::Withdrawn;

pub async fn give(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, headers: HeaderMap, request: Body) -> Result<Json<Value>, Refused> {
    asked(public, caller, (headers, request), false).await
}

pub async fn withdraw(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, headers: HeaderMap, request: Body) -> Result<Json<Value>, Refused> {
    asked(public, caller, (headers, request), true).await
}

async fn asked(public: Arc<Public>, caller: Caller, (headers, request): (HeaderMap, Body), withdraw: bool) -> Result<Json<Value>, Refused> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let (bytes, room) = public.whole(&enterprise, &headers, request, MAX_MANDATE).await?;
    let (document, signature) = Signed::read(&bytes)?;
    drop(bytes);
    let act = if withdraw { mandate::withdraw } else { mandate::give };
    let told = worked(move || {
        let _room = room;
        let mandate = act(&public.desk, &enterprise, &document, &signature)?;
        // As it stands: one that was given ahead does not live yet.
        mandate::one(&public.desk, &enterprise, mandate.id.as_str())
    });
    let held = told.await?;
    Ok(Json(json!({ "mandate_id": held.mandate.id.as_str(), "state": held.state.name() })))
}

/// Where a listing goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    after: Option<String>,
}

pub async fn list(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, Query(from): Query<From>) -> Result<Response, Refused> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let (held, next) = worked(move || mandate::list(&public.desk, &enterprise, from.after.as_deref())).await?;
    let all: Vec<Value> = held.iter().map(shown).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "mandates": all, "next": next }))).into_response())
}

pub async fn one(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, Refused> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let held = worked(move || mandate::one(&public.desk, &enterprise, &id)).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(shown(&held))).into_response())
}

/// Documents and signatures in base64, so that whoever is shown one can prove it.
fn shown(held: &Held) -> Value {
    let withdrawn = |one: &Withdrawn| json!({ "document": STANDARD.encode(&one.document), "signature": one.signature, "at": one.at });
    json!({
        "mandate_id": held.mandate.id.as_str(),
        "state": held.state.name(),
        "document": STANDARD.encode(&held.record.document),
        "signature": held.record.signature,
        "given_at": held.record.given_at,
        "withdrawal": held.record.withdrawn.as_ref().map(withdrawn),
    })
}
