//! `POST /operators` and `POST /operators/withdraw`: an enterprise says which keys sign for it as operators, and takes that back.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use runtime::http::Caller;
use serde_json::{Value, json};

use super::{MAX_MANDATE, Public, Refused, Signed, body, worked};
use crate::desk::flow::operator;

pub async fn authorise(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, request: Body) -> Result<Json<Value>, Refused> {
    asked(public, caller, request, false).await
}

pub async fn withdraw(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, request: Body) -> Result<Json<Value>, Refused> {
    asked(public, caller, request, true).await
}

async fn asked(public: Arc<Public>, caller: Caller, request: Body, withdraw: bool) -> Result<Json<Value>, Refused> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let (document, signature) = Signed::read(&body(request, MAX_MANDATE).await?)?;
    let act = if withdraw { operator::withdraw } else { operator::authorise };
    let id = worked(move || act(&public.desk, &enterprise, &document, &signature)).await?;
    Ok(Json(json!({ "authorisation_id": id.as_str(), "state": if withdraw { "withdrawn" } else { "live" } })))
}
