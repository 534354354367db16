//! `POST /verify`: what a signature is worth, for whoever asks, under the seal of the bureau that is asked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::desk::{Bureau, BureauCode};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;
use serde::Deserialize;
use serde_json::json;

use super::{Public, Refused, Signed, body, worked};
use crate::desk::Desk;
use crate::desk::flow::verify;
use crate::desk::problem::DeskError;

/// A signature of many years in base64, and a document beside it.
const MAX_QUESTION: usize = 16 * 1024 * 1024;

/// How long the body is waited for: who asks slowly holds a place that others want.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    document: String,
    signature: String,
    /// The code of the bureau whose anchors are believed and whose seal is wanted; the desk's first when nobody is named.
    bureau: Option<String>,
}

pub async fn one(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, request: Body) -> Result<Response, Refused> {
    // 1. Strangers ask: within their rate and in places of their own, before a byte of the body is read.
    public.asked(&caller)?;
    let Ok(place) = Arc::clone(&public.verdicts_at_once).try_acquire_owned() else {
        public.counts.verdicts.full.increment();
        return Err(DeskError::Full { what: "questions", seconds: public.desk.policies.desk.limits.again_seconds }.into());
    };
    // 2. What is asked, and whom.
    let whole = tokio::time::timeout(PATIENCE, body(request, MAX_QUESTION)).await;
    let bytes = whole.map_err(|_| Problem::new(Exit::Refused, "body", "the body did not come in time", "send it again"))??;
    let question: Question = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("the body is not the JSON that is asked for: {error}")))?;
    drop(bytes);
    let code = question.bureau.as_deref().map(BureauCode::parse).transpose().map_err(|error| wrong(error.to_string()).at("bureau".to_owned()))?;
    let (document, signature) = Signed { document: question.document, signature: question.signature }.octets("document")?;
    // 3. Judged and sealed; it stands in the log before it leaves.
    let work = Arc::clone(&public);
    let answered = worked(move || {
        let _place = place;
        verify::answer(&work.desk, bureau(&work.desk, code.as_ref())?, &document, &signature)
    })
    .await;
    let count = if answered.is_ok() { &public.counts.verdicts.sealed } else { &public.counts.verdicts.failed };
    count.increment();
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

fn bureau<'a>(desk: &'a Desk, code: Option<&BureauCode>) -> Result<&'a Bureau, DeskError> {
    let found = match code {
        Some(code) => desk.policies.desk.bureau(code.as_str()),
        None => desk.policies.desk.bureaus().first(),
    };
    found.ok_or_else(|| DeskError::NotFound { what: "bureau", id: code.map_or("any", BureauCode::as_str).to_owned() })
}

fn wrong(what: String) -> Problem {
    Problem::new(Exit::Usage, "body", what, "send {\"document\": base64, \"signature\": base64 of DER, \"bureau\": its code, or none}")
}
