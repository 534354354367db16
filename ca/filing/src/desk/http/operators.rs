//! `POST /operators` and `POST /operators/withdraw`: an enterprise says which keys sign for it as operators, and takes that back.
//! `GET /operators`: what it said of its keys, and how each stands.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::http::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_MANDATE, Public, Refused, Signed, worked};
use crate::desk::flow::operator::{self, Authorised};

pub async fn authorise(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, headers: HeaderMap, request: Body) -> Result<Json<Value>, Refused> {
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
    let act = if withdraw { operator::withdraw } else { operator::authorise };
    let told = worked(move || {
        let _room = room;
        act(&public.desk, &enterprise, &document, &signature)
    });
    let id = told.await?;
    Ok(Json(json!({ "authorisation_id": id.as_str(), "state": if withdraw { "withdrawn" } else { "live" } })))
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
    let keys = worked(move || operator::list(&public.desk, &enterprise, from.after.as_deref())).await?;
    // Documents and signatures in base64, so that whoever is shown one can prove it.
    let shown = |Authorised { id, state, record }: &Authorised| json!({ "authorisation_id": id, "state": state.name(), "document": STANDARD.encode(&record.document), "signature": record.signature });
    let operators: Vec<Value> = keys.operators.iter().map(shown).collect();
    let own: Vec<Value> = keys.own.iter().map(|(key, id)| json!({ "key": key, "authorisation_id": id })).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "operators": operators, "own": own, "next": keys.next }))).into_response())
}
