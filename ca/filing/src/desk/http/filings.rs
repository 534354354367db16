//! `POST /filings`: a filing in, its receipt out. `GET /filings`: those of the caller's enterprise, the newest first.
//! `GET /filings/{id}`: where one stands, for whoever has its id, which nobody guesses.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{MAX_SIGNATURE, Public, Refused, Signed, answer, worked};
use crate::desk::check::{Failure, Finding};
use crate::desk::flow::list::{self, Wanted};
use crate::desk::flow::receive::{Outcome, Submission, receive};
use crate::desk::flow::seal::{self, Sealed};
use crate::desk::problem::DeskError;
use crate::desk::record::receipt::ReceiptNumber;
use crate::desk::service::{self, ShownFiling};

pub async fn submit(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, headers: HeaderMap, request: Body) -> Result<Response, Refused> {
    // 1. Who, and whether they come too fast or there is no place: before a byte of the body is read.
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let place = public.place()?;
    // 2. The body, within its bounds of size, number, room and time.
    let most = (public.desk.policies.desk.limits.filing_bytes as usize + MAX_SIGNATURE) / 3 * 4 + 1024;
    let (bytes, room) = public.whole(&enterprise, &headers, request, most).await?;
    // It is here: a turn that comes after midnight makes nobody late.
    let received_at = public.desk.clock.now();
    let (filing, signature) = Signed::read(&bytes)?;
    drop(bytes);
    // 3. Its turn. The work goes on when the caller leaves: what is recorded is receipted.
    let turn = Arc::clone(&public.at_once).acquire_owned().await;
    let work = Arc::clone(&public);
    let done = runtime::request::spawn_blocking(move || {
        let (_place, _room, _turn) = (place, room, turn);
        receive(&work.desk, &enterprise, &Submission { filing, signature, received_at })
    });
    let outcome = done.await.map_err(|error| Problem::new(Exit::Internal, "desk", error.to_string(), "report this with the desk's log"))?;
    // 4. Only what is durable is answered for.
    Ok(match outcome {
        Ok(Outcome::Receipted(sealed)) => {
            public.counts.receipted.increment();
            Json(encoded(&sealed)).into_response()
        }
        Ok(Outcome::Refused(findings)) => {
            let first = findings.first().map_or(0, |finding| usize::from(finding.check.number() - 1));
            if let Some(count) = public.counts.refused.get(first) {
                count.increment();
            }
            refusal(&findings)
        }
        Err(error) => {
            public.counts.failed.increment();
            tracing::warn!(%error, "a filing could not be judged or receipted");
            answer(error)
        }
    })
}

/// A receipt on its way: canonical JSON and seal, base64.
#[derive(Serialize)]
pub(super) struct Encoded {
    receipt: String,
    seal: String,
}

pub(super) fn encoded(sealed: &Sealed) -> Encoded {
    Encoded { receipt: STANDARD.encode(&sealed.document), seal: STANDARD.encode(&sealed.seal) }
}

/// The first failure as a problem, and beside it all of them.
fn refusal(findings: &[Finding]) -> Response {
    let failures: Vec<Failure<'_>> = findings.iter().map(Failure::from).collect();
    let Some(first) = failures.first() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let told = json!({
        "code": first.code,
        "message": format!("{} / {}", first.message, first.message_en),
        "next": format!("{} / {}", first.next, first.next_en),
        "field": first.field,
        "check": first.check,
        "failures": failures,
    });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(told)).into_response()
}

/// Which of them, and where a listing goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    kind: Option<String>,
    period: Option<String>,
    after: Option<String>,
}

/// Filings of one answer.
const PIECE: u32 = 100;

pub async fn list(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, Query(which): Query<Which>) -> Result<Response, Refused> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let wanted = Wanted { kind: which.kind, period: which.period, after: which.after, status: None, limit: Some(PIECE) };
    let listed = worked(move || list::list(&public.desk, enterprise.code().as_str(), &wanted)).await?;
    let shown = |one: &ShownFiling| {
        let record = &one.record;
        json!({ "filing_id": one.filing_id, "kind": record.kind, "period": record.period, "revision": record.revision, "status": record.status.name(), "timely": record.timely,
            "received_at": record.received_at, "by": record.by, "signer": record.signer, "receipts": record.receipts })
    };
    let filings: Vec<_> = listed.filings.iter().map(shown).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "filings": filings, "next": listed.next }))).into_response())
}

pub async fn state(State(public): State<Arc<Public>>, Path(id): Path<String>) -> Result<Response, Refused> {
    let found = worked(move || {
        let shown = service::shown(&public.desk, &id)?;
        let mut receipts = Vec::new();
        for receipt in &shown.issued {
            let Some(number) = ReceiptNumber::parse(&receipt.receipt_no) else { continue };
            if let Some(sealed) = seal::stored(&public.desk, &number)? {
                receipts.push(json!({ "receipt_no": receipt.receipt_no, "receipt": STANDARD.encode(&sealed.document), "seal": STANDARD.encode(&sealed.seal) }));
            }
        }
        let record = &shown.record;
        Ok::<_, DeskError>(json!({ "filing_id": shown.filing_id, "kind": record.kind, "period": record.period, "revision": record.revision, "status": record.status.name(), "timely": record.timely, "receipts": receipts }))
    })
    .await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(found)).into_response())
}
