//! `POST /verify`: what a signature is worth, for whoever asks.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::exit::Problem;
use serde_json::json;

use super::{Public, Signed, answer, body, worked};
use crate::desk::flow::verify;
use crate::desk::problem::DeskError;

/// A signature of many years in base64, and a document beside it.
const MAX_QUESTION: usize = 16 * 1024 * 1024;

pub async fn one(State(public): State<Arc<Public>>, request: Body) -> Result<Response, Problem> {
    // Strangers ask: a place to wait in or none, like a filing.
    let place = match public.place() {
        Ok(place) => place,
        Err(error) => return Ok(answer(error)),
    };
    let (document, signature) = Signed::read(&body(request, MAX_QUESTION).await?)?;
    let permit = Arc::clone(&public.at_once).acquire_owned().await;
    let answered = worked(move || {
        let bureau = public.desk.policies.desk.bureaus().first().ok_or(DeskError::NotFound { what: "bureau", id: "any".into() })?;
        verify::answer(&public.desk, bureau, &document, &signature)
    })
    .await;
    drop((permit, place));
    let answered = answered?;
    let many = |list: &[Vec<u8>]| list.iter().map(|one| STANDARD.encode(one)).collect::<Vec<_>>();
    let found = json!({
        "verdict": STANDARD.encode(&answered.document),
        "seal": STANDARD.encode(&answered.seal),
        "crls": many(&answered.crls),
        "ocsp": many(&answered.ocsp),
    });
    Ok(Json(found).into_response())
}
