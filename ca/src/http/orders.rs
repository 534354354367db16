//! `POST /orders`, `GET /orders/{id}`, `POST /orders/{id}/cancel`: an enterprise applies, looks, and changes its mind.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum::body::Bytes;
use runtime::exit::{Exit, Problem};
use serde::Deserialize;

use super::gate::{Counts, Gate, OpenGate, Proved, Stopped, Unproved, at_the_gate};
use crate::authority::Authority;
use crate::flow::order::{self, Applied, Cancelling, OrderError};
use crate::flow::plan::Words;
use crate::order_shown::{Public, chinese};
use crate::record::{Evidence, OrderId, OrderRecord};

/// The longest body that is read: a request of an RSA key in PEM, words and evidence.
pub const MAX_BYTES: usize = 24 * 1024;

struct Desk {
    authority: Arc<Authority>,
    gate: OpenGate,
    /// Of those who hold an order's key: by their networks alone, since anybody makes such keys.
    cancelling: Gate,
}

pub fn router(authority: Arc<Authority>, unproved: &Arc<Unproved>) -> Router {
    let hourly = authority.rules.orders.hourly;
    let cancelling = Gate::new(hourly, unproved, &authority.clock);
    let desk = Desk { gate: OpenGate::new(hourly, &authority.clock), cancelling: cancelling.clone(), authority };
    Router::new()
        .route("/orders/{id}/cancel", post(cancel))
        .layer(from_fn_with_state(cancelling, at_the_gate))
        .route("/orders", post(place))
        .route("/orders/{id}", get(show))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(Arc::new(desk))
}

impl Proved for Cancelling {
    fn holder(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn said(&self) -> Vec<u8> {
        self.said()
    }

    /// Whoever applies made a key for it; an order that is cancelled is cancelled once.
    fn counts(&self) -> Counts {
        Counts::NoMore
    }
}

/// An application as an enterprise writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    profile: String,
    /// PKCS#10, PEM.
    request: String,
    applicant: Organization,
    #[serde(default)]
    evidence: Vec<Evidence>,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Organization {
    name: String,
    code: String,
    mailbox: Option<String>,
}

async fn place(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, sent: Result<Json<Sent>, JsonRejection>) -> Response {
    // Whoever sends too much is turned away before anything of it costs more than reading it.
    if let Err(seconds) = desk.gate.take(from) {
        let problem = told(Problem::new(Exit::Unavailable, "rate", "too many orders were sent from here or in all", "send it again later"));
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(seconds))], Json(problem)).into_response();
    }
    let sent = match sent {
        Ok(Json(sent)) => sent,
        Err(JsonRejection::BytesRejection(error)) => return error.into_response(),
        // What was sent is not repeated: it may name people.
        Err(_) => return told(Problem::new(Exit::Usage, "order", "this is no order in JSON", "send profile, request, applicant, evidence and key")).into_response(),
    };
    let Organization { name, code, mailbox } = sent.applicant;
    let applicant = Words { name: Some(name), code: Some(code), mailbox, ..Words::default() };
    let applied = Applied { profile: sent.profile, request: sent.request.into_bytes(), applicant, issuer: None, evidence: sent.evidence, key: sent.key };
    let authority = Arc::clone(&desk.authority);
    let placed = apart(move || order::place_online(&authority, applied)).await;
    match placed.and_then(|placed| Ok((shown(&desk, &placed.id, &placed.order)?, placed))) {
        Ok((public, placed)) => {
            let status = if placed.before { StatusCode::OK } else { StatusCode::CREATED };
            (status, [(header::LOCATION, public.address.clone()), (header::CACHE_CONTROL, "no-store".to_owned())], Json(public)).into_response()
        }
        Err(problem) => told(problem).into_response(),
    }
}

async fn show(State(desk): State<Arc<Desk>>, Path(id): Path<String>) -> Response {
    let authority = Arc::clone(&desk.authority);
    let found = apart(move || {
        let id: OrderId = id.parse().map_err(|_| OrderError::NotFound)?;
        Ok((id, order::load(&authority, &id)?.1))
    });
    answer(&desk, found.await)
}

async fn cancel(State(desk): State<Arc<Desk>>, ConnectInfo(from): ConnectInfo<SocketAddr>, Path(id): Path<String>, request: Bytes) -> Response {
    let Ok(id) = id.parse::<OrderId>() else { return answer(&desk, Err(OrderError::NotFound.into())) };
    let authority = Arc::clone(&desk.authority);
    let proved = match desk.cancelling.proved(from, move || Ok(order::prove_cancel(&authority, &id, &request)?)).await {
        Ok(proved) => proved,
        Err(Stopped::Problem(problem)) => return answer(&desk, Err(problem)),
        Err(wait) => return wait.into_response(),
    };
    let authority = Arc::clone(&desk.authority);
    let done = apart(move || Ok((id, order::cancel_proved(&authority, &proved)?)));
    answer(&desk, done.await)
}

fn answer(desk: &Desk, found: Result<(OrderId, OrderRecord), Problem>) -> Response {
    match found.and_then(|(id, order)| shown(desk, &id, &order)) {
        Ok(public) => ([(header::CACHE_CONTROL, "no-store")], Json(public)).into_response(),
        Err(problem) => told(problem).into_response(),
    }
}

fn shown(desk: &Desk, id: &OrderId, order: &OrderRecord) -> Result<Public, Problem> {
    Ok(Public::new(&desk.authority, id, order)?)
}

/// The store may wait for the disk and a key is judged with arithmetic: neither on a thread of the network.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, OrderError> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Problem::new(Exit::Internal, "order", error.to_string(), "report this to the authority")),
    }
}

/// Chinese first, English beside.
fn told(problem: Problem) -> Problem {
    match chinese(&problem.code) {
        Some(zh) => Problem { message: format!("{zh} / {}", problem.message), ..problem },
        None => problem,
    }
}
