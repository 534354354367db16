//! `PUT /attachments/{sha256}`: a file that goes with a filing, streamed to disk while it comes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http_body_util::BodyExt;
use policies::desk::Limits;
use runtime::exit::Problem;
use runtime::http::Caller;
use serde_json::json;

use super::{Public, Refused, answer, worked_plainly};
use crate::desk::flow::attachment::{Begun, Incoming, PIECE, begin};
use crate::desk::problem::DeskError;

/// How long a body's next octets are waited for: who stops sending holds a place that others want.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn put(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, Path(sha256): Path<String>, headers: HeaderMap, mut request: Body) -> Result<Response, Refused> {
    // 1. Who, within their rate.
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    // 2. A place, and room for what is announced; what is here already needs neither.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let (asked, name) = (Arc::clone(&public), sha256.clone());
    let begun = worked_plainly(move || begin(&asked.desk, &enterprise, &name, announced)).await?;
    let limits = public.desk.policies.desk.limits;
    let received = match begun {
        // Nobody waits behind a queue that is full.
        Err(error @ (DeskError::Full { .. } | DeskError::TooFast { .. })) => return Ok(answer(error)),
        Err(error) => {
            let_pass(&mut request, &limits).await;
            Err(error)
        }
        Ok(Begun::Known(size)) => {
            let_pass(&mut request, &limits).await;
            Ok(size)
        }
        // 3. Piece by piece; the disk is on a thread of its own for as long as a piece takes.
        Ok(Begun::Take(incoming)) => {
            let received = receive(&public, incoming, &mut request).await?;
            if received.is_err() {
                let_pass(&mut request, &limits).await;
            }
            received
        }
    };
    Ok(match received {
        Ok(size) => Json(json!({ "sha256": sha256, "size": size })).into_response(),
        Err(error) => answer(error),
    })
}

async fn receive(public: &Arc<Public>, mut incoming: Box<Incoming>, request: &mut Body) -> Result<Result<u64, DeskError>, Problem> {
    let broken = || DeskError::Request("the body did not come whole, or not in time; send it again".into());
    let mut piece = Vec::new();
    loop {
        let Ok(frame) = tokio::time::timeout(PATIENCE, request.frame()).await else { return Ok(Err(broken())) };
        let last = match frame {
            None => true,
            Some(Err(_)) => return Ok(Err(broken())),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                piece.extend_from_slice(&data);
                false
            }
        };
        if piece.len() < PIECE && !last {
            continue;
        }
        let (work, whole) = (Arc::clone(public), std::mem::take(&mut piece));
        let written = worked_plainly(move || {
            incoming.write(&work.desk, &whole)?;
            if last { incoming.end(&work.desk).map(Written::Whole) } else { Ok(Written::Piece(incoming)) }
        });
        match written.await? {
            Ok(Written::Piece(more)) => incoming = more,
            Ok(Written::Whole(size)) => return Ok(Ok(size)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

enum Written {
    Piece(Box<Incoming>),
    Whole(u64),
}

/// Once it is refused, or here already, nobody takes the rest, which is read on all the same within the bounds: a caller whose
/// connection ends while it still sends may never see the answer.
async fn let_pass(request: &mut Body, limits: &Limits) {
    let mut passed = 0_u64;
    let passing = async {
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(PATIENCE, request.frame()).await {
            passed = passed.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
            if passed > limits.attachment_bytes {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(limits.rest_seconds.into()), passing).await;
}
