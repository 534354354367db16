//! Applications for mailboxes over HTTPS: no login, no page, JSON alone.
//!
//! | Request | What it does |
//! |---|---|
//! | `POST /v1/applications` | applies; the same again is answered with the same |
//! | `GET /v1/applications/TOKEN` | what became of it, and why |
//! | `DELETE /v1/applications/TOKEN` | the applicant takes it back, while it waits |
//!
//! The answer names the one address of the application. Nobody guesses it, and nothing else here depends on who has a mailbox.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use policies::mailbox::Places;
use runtime::exit::{Exit, Problem};
use runtime::http::{Caller, Limits};
use runtime::rate::Rate;

use crate::flow::callers::network;
use crate::flow::opening::{self, OpeningError, PATH, Sent, Shown};
use crate::service::Service;

/// An application with a registry's word and a signature has some ten kilobytes.
const MAX_BODY: usize = 64 * 1024;
/// As the digest of a key is written.
const TOKEN: usize = 64;
/// All networks together may ask so many times as often as one: as shipped two applications a second, which one hash at a time keeps up
/// with.
const ALL: u32 = 256;

struct Desk {
    service: Service,
    applications: Mutex<Rate<IpAddr>>,
    questions: Mutex<Rate<IpAddr>>,
}

pub fn limits(places: Places) -> Limits {
    let Places { all, of_one_address, of_one_network } = places;
    Limits { body: Some(MAX_BODY), request: Some(Duration::from_secs(60)), connections: all, of_one_address, of_one_network, ..Limits::default() }
}

pub fn router(service: Service) -> Router {
    let policy = service.gateway.directory.policy().opening();
    let rate = |limit: u32| Mutex::new(Rate::new(limit, limit.saturating_mul(ALL)));
    let (applications, questions) = (rate(policy.applications_per_hour), rate(policy.questions_per_hour));
    let desk = Arc::new(Desk { service, applications, questions });
    Router::new()
        .route(PATH, post(apply))
        .route(&format!("{PATH}/{{token}}"), get(show).delete(withdraw))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route_layer(from_fn_with_state(Arc::clone(&desk), admitted))
        .with_state(desk)
}

/// Before anything of a request is read: neither its network nor all together ask too often.
async fn admitted(State(desk): State<Arc<Desk>>, Extension(caller): Extension<Caller>, request: Request, next: Next) -> Response {
    let whose = caller.address.map_or(IpAddr::from([0, 0, 0, 0]), |address| network(address.ip()));
    let rate = if request.method() == Method::POST { &desk.applications } else { &desk.questions };
    let taken = rate.lock().unwrap_or_else(PoisonError::into_inner).take(whose, desk.service.gateway.clock.now().unix_timestamp());
    let mut response = match taken {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let problem = Problem::new(Exit::Unavailable, "too-often", "本网络或全部网络的请求过于频繁。 This network, or all together, ask too often.", "请按 Retry-After 稍后再试。 Wait as long as Retry-After says.");
            let mut response = problem.into_response();
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn answered(desk: &Arc<Desk>, work: impl FnOnce(&Service) -> Result<Shown, OpeningError> + Send + 'static) -> Result<Json<Shown>, Problem> {
    let service = desk.service.clone();
    let done = runtime::request::spawn_blocking(move || work(&service)).await;
    let done = done.map_err(|error| Problem::new(Exit::Internal, "applications", error.to_string(), "report this with the log"))?;
    done.map(Json).map_err(|error| {
        let problem = error.to_applicant();
        // What the applicant cannot mend, the operator can.
        if problem.code == "unavailable" {
            tracing::warn!(%error, "an application cannot be dealt with");
        }
        problem
    })
}

async fn apply(State(desk): State<Arc<Desk>>, sent: Result<Json<Sent>, JsonRejection>) -> Result<Json<Shown>, Problem> {
    // What the reader of JSON says may quote what was sent.
    let Json(sent) = sent.map_err(|_| Problem::new(Exit::Usage, "application", "申请不是所要求的 JSON。 The application is no JSON of that form.", "请按 `mailgw mailbox apply --help` 所列字段填写。 Write the fields that `mailgw mailbox apply --help` lists."))?;
    answered(&desk, move |service| opening::apply(&service.gateway, &service.lists, &sent)).await
}

async fn show(State(desk): State<Arc<Desk>>, Path(token): Path<String>) -> Result<Json<Shown>, Problem> {
    answered(&desk, move |service| opening::show(&service.gateway, checked(&token)?)).await
}

async fn withdraw(State(desk): State<Arc<Desk>>, Path(token): Path<String>) -> Result<Json<Shown>, Problem> {
    answered(&desk, move |service| opening::withdraw(&service.gateway, checked(&token)?)).await
}

fn checked(token: &str) -> Result<&str, OpeningError> {
    let good = token.len() == TOKEN && token.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if good { Ok(token) } else { Err(OpeningError::Unknown) }
}
