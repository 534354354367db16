//! `PUT /attachments/{sha256}`: a file that goes with a filing, streamed to disk while it comes.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::{Extension, Json};
use http_body_util::BodyExt;
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Public, worked};
use crate::desk::flow::attachment::{Begun, begin};
use crate::desk::problem::DeskError;

/// Pieces of a body that wait for the disk.
const AHEAD: usize = 8;

/// What the disk's thread is told: a piece, that it broke off, or that it is whole.
enum Told {
    Piece(Bytes),
    End,
}

pub async fn put(State(public): State<Arc<Public>>, Extension(caller): Extension<Caller>, Path(sha256): Path<String>, headers: HeaderMap, mut request: Body) -> Result<Json<Value>, Problem> {
    let enterprise = public.enterprise(&caller).await?;
    public.pace(&enterprise)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let name = sha256.clone();
    let longest = public.desk.policies.desk.limits.attachment_bytes;
    // The disk on its own thread; what comes waits for it, so memory stays flat.
    let writing = tokio::spawn(worked(move || match begin(&public.desk, &enterprise, &name, announced)? {
        Begun::Known(size) => Ok(size),
        Begun::Take(mut incoming) => loop {
            match receiver.blocking_recv() {
                Some(Told::Piece(piece)) => incoming.write(&piece)?,
                Some(Told::End) => break incoming.end(),
                // Also when the caller's connection, and this request with it, ended.
                None => break Err(DeskError::Request("the body did not come whole; send it again".into())),
            }
        },
    }));
    // Once it is refused, or here already, nobody takes the rest, which is read on all the same within the bound: a caller whose
    // connection ends while it still sends may never see the answer.
    let mut passed = 0_u64;
    let whole = loop {
        match request.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                passed = passed.saturating_add(data.len() as u64);
                if sender.send(Told::Piece(data)).await.is_err() && passed > longest {
                    break false;
                }
            }
        }
    };
    if whole {
        // Whoever refused it before says why below.
        let _ = sender.send(Told::End).await;
    }
    drop(sender);
    let size = writing.await.map_err(|error| Problem::new(Exit::Internal, "desk", error.to_string(), "report this with the desk's log"))??;
    Ok(Json(json!({ "sha256": sha256, "size": size })))
}
