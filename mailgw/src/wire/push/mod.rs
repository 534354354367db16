//! The push interface over mutual TLS: a bureau's system opens a job, sends rows, closes it, and is told what became of it.
//! [`REQUESTS`] lists what it asks.

mod access;
mod rows;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use runtime::exit::{Exit, Problem};
use runtime::http::{Caller, Limits};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::flow::evidence::{self, Wanted};
use crate::flow::push::job::{self, Act, Opening, ShownJob};
use crate::flow::push::{Trial, write_outcomes, write_signed};
use crate::flow::recipients_asked::{Answers, Person, ask};
use crate::service::Service;

use access::Access;
pub use tls::BureausTls;

/// Bureaus are few; so many connections are not theirs.
const CONNECTIONS: usize = 256;
/// Downloads that are made ready at one time.
const DOWNLOADS: usize = 2;
/// The most bytes of what is not rows.
const MAX_WORDS: usize = 256 * 1024;

/// Each request, and what it does: for whoever writes a client.
pub const REQUESTS: [(&str, &str, &str); 13] = [
    ("PUT", "/v1/push/BUREAU/BATCH", "opens a job, with opening.json; one that was refused begins anew"),
    ("POST", "/v1/push/BUREAU/BATCH/rows?from=BYTE", "rows, from the byte that the job shows; Content-Encoding: gzip or zstd"),
    ("POST", "/v1/push/BUREAU/BATCH/close", "all rows have come: they are proved, then delivered"),
    ("POST", "/v1/push/BUREAU/BATCH/dry-run", "what would become of the rows that have come, at most recipients_per_hour of them; nothing is delivered, and the job is forgotten"),
    ("POST", "/v1/push/BUREAU/BATCH/pause", "nothing more is delivered; the job is pausing until the rows under way are"),
    ("POST", "/v1/push/BUREAU/BATCH/resume", "goes on"),
    ("POST", "/v1/push/BUREAU/BATCH/cancel", "gives it up, before anything was delivered"),
    ("GET", "/v1/push/BUREAU/BATCH", "the job: receiving, closed, pausing, paused, refused, cancelled or ended"),
    ("GET", "/v1/push/BUREAU/BATCH?after=VERSION&wait=SECONDS", "the same, when it is another than that version"),
    ("GET", "/v1/push/BUREAU/BATCH/outcomes", "what became of every row so far, a JSON object a line"),
    ("GET", "/v1/push/BUREAU/BATCH/report", "the final report, signed, once the job has ended; `mailgw push verify` proves it"),
    ("GET", "/v1/push/BUREAU/BATCH/evidence", "the evidence of the job; `mailgw evidence verify` proves it"),
    ("POST", "/v1/push/BUREAU/recipients", "whether these persons can be reached"),
];

/// What every request has at hand.
pub struct Desk {
    service: Service,
    access: Access,
    downloads: Semaphore,
}

type Place = Path<(String, String)>;

/// Uploads take as long as they take; a connection that says nothing is ended by `rows`.
pub fn limits() -> Limits {
    Limits { body: None, request: None, connections: CONNECTIONS, ..Limits::default() }
}

pub fn router(service: Service) -> Router {
    let limits = service.gateway.push_limits;
    let desk = Arc::new(Desk { access: Access::new(&limits), service, downloads: Semaphore::new(DOWNLOADS) });
    Router::new()
        .route("/v1/push/{bureau}/recipients", post(recipients))
        .route("/v1/push/{bureau}/{batch}", put(open).get(show))
        .route("/v1/push/{bureau}/{batch}/rows", post(append))
        .route("/v1/push/{bureau}/{batch}/close", post(|desk, place| act(desk, place, Act::Close)))
        .route("/v1/push/{bureau}/{batch}/dry-run", post(dry_run))
        .route("/v1/push/{bureau}/{batch}/pause", post(|desk, place| act(desk, place, Act::Pause)))
        .route("/v1/push/{bureau}/{batch}/resume", post(|desk, place| act(desk, place, Act::Resume)))
        .route("/v1/push/{bureau}/{batch}/cancel", post(|desk, place| act(desk, place, Act::Cancel)))
        .route("/v1/push/{bureau}/{batch}/outcomes", get(outcomes))
        .route("/v1/push/{bureau}/{batch}/report", get(final_report))
        .route("/v1/push/{bureau}/{batch}/evidence", get(proofs))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_WORDS))
        .route_layer(from_fn_with_state(Arc::clone(&desk), admitted))
        .fallback(async || Problem::new(Exit::NotFound, "no-such-place", "there is nothing at this address", REFERENCE))
        .method_not_allowed_fallback(async || answered(StatusCode::METHOD_NOT_ALLOWED, Problem::new(Exit::Usage, "method", "this address does not take that method", REFERENCE)))
        .with_state(desk)
}

const REFERENCE: &str = "look at the requests that `mailgw push explain` lists";

/// What the reader of JSON says may quote what was sent, so only where it stopped is told.
fn unread(error: &JsonRejection, next: &str) -> Response {
    let (code, message) = match error {
        JsonRejection::MissingJsonContentType(_) => ("content-type", "the body is not said to be JSON"),
        JsonRejection::BytesRejection(_) => ("body", "the body has more bytes than such a request needs, or was cut off"),
        _ => ("body", "the body is not the JSON of this request"),
    };
    answered(error.status(), Problem::new(Exit::Usage, code, message, next))
}

fn query(next: &str) -> Problem {
    Problem::new(Exit::Usage, "query", "what stands after the ? of the address cannot be read", next)
}

fn answered(status: StatusCode, problem: Problem) -> Response {
    let mut response = problem.into_response();
    *response.status_mut() = status;
    response
}

/// Before anything of a request is read: who calls is the bureau whose place it is, and does not ask too often.
async fn admitted(State(desk): State<Arc<Desk>>, Extension(caller): Extension<Caller>, request: Request, next: Next) -> Result<Response, Response> {
    let bureau = request.uri().path().split('/').nth(3).unwrap_or_default().to_owned();
    let (mine, certificates) = (Arc::clone(&desk), Arc::clone(&caller.certificates));
    let admitted = blocking(move || mine.access.admit(&mine.service, &bureau, &certificates)).await;
    match admitted {
        Ok(()) => Ok(next.run(request).await),
        Err(problem) => Err(refused(problem)),
    }
}

/// Where it is a matter of waiting, programs are told how long.
fn refused(problem: access::Refused) -> Response {
    match problem {
        access::Refused::Problem(problem) => problem.into_response(),
        access::Refused::TooOften { seconds } => {
            let problem = Problem::new(Exit::Unavailable, "too-often", "this bureau asks too often", "wait as long as Retry-After says; `wait` in a question spares asking again");
            let mut response = answered(StatusCode::TOO_MANY_REQUESTS, problem);
            response.headers_mut().insert(header::RETRY_AFTER, axum::http::HeaderValue::from(seconds));
            response
        }
    }
}

async fn blocking<T: Send + 'static, E: From<Problem> + Send + 'static>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E> {
    let done = runtime::request::spawn_blocking(work).await;
    done.map_err(|error| E::from(Problem::new(Exit::Internal, "push", error.to_string(), "report this with the log")))?
}

async fn open(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place, sent: Result<Json<Opening>, JsonRejection>) -> Result<Json<ShownJob>, Response> {
    let Json(opening) = sent.map_err(|error| unread(&error, r#"send {"manifest": "as it was signed", "signature": "PEM", "format": "csv" or "json-lines"} as application/json"#))?;
    let service = desk.service.clone();
    let opened = blocking(move || Ok::<_, Problem>(job::open(&service.gateway, &service.lists, &service.jobs, (&bureau, &batch), opening)?)).await;
    opened.map(Json).map_err(IntoResponse::into_response)
}

#[derive(Deserialize)]
struct Asked {
    after: Option<u64>,
    wait: Option<u32>,
}

/// Who waits is told from memory: asking often or long costs deliveries nothing.
async fn show(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place, asked: Result<Query<Asked>, QueryRejection>) -> Result<Json<ShownJob>, Problem> {
    let Query(asked) = asked.map_err(|_| query("ask with ?after=VERSION&wait=SECONDS, both whole numbers, or with neither"))?;
    let service = desk.service.clone();
    let mut watched = blocking(move || service.jobs.watch(&service.gateway, &bureau, &batch).map_err(Problem::from)).await?;
    let longest = desk.service.gateway.push_limits.wait_seconds;
    if let Some(after) = asked.after {
        let patience = Duration::from_secs(u64::from(asked.wait.unwrap_or(0).min(longest)));
        tokio::select! {
            changed = tokio::time::timeout(patience, watched.wait_for(|shown| shown.version != after)) => drop(changed),
            () = desk.service.shutdown.wait() => {}
        }
    }
    let shown = watched.borrow().clone();
    Ok(Json(shown))
}

async fn act(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place, act: Act) -> Result<Json<ShownJob>, Problem> {
    let service = desk.service.clone();
    blocking(move || Ok(Json(job::act(&service.gateway, &service.jobs, (&bureau, &batch), act)?))).await
}

#[derive(Deserialize)]
struct Begin {
    from: u64,
}

async fn append(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place, begin: Result<Query<Begin>, QueryRejection>, headers: HeaderMap, body: Body) -> Result<Json<ShownJob>, Problem> {
    let Query(Begin { from }) = begin.map_err(|_| query("send rows to …/rows?from=BYTE, the byte that the job shows"))?;
    let service = desk.service.clone();
    let encoding = rows::Encoding::of(&headers)?;
    let work = move |reader| Ok(Json(job::append(&service.gateway, &service.jobs, (&bureau, &batch), from, encoding.reader(reader)?)?));
    rows::taken(body, work).await
}

/// Its rows count as persons who are asked about.
async fn dry_run(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place) -> Result<Json<Trial>, Response> {
    let (service, of) = (desk.service.clone(), (bureau.clone(), batch.clone()));
    let rows = blocking(move || job::may_be_tried(&service.gateway, (&of.0, &of.1)).map_err(Problem::from)).await.map_err(IntoResponse::into_response)?;
    let service = desk.service.clone();
    desk.access.persons(&bureau, usize::try_from(rows).unwrap_or(usize::MAX), service.gateway.clock.now()).map_err(refused)?;
    let tried = blocking(move || job::dry_run(&service.gateway, &service.lists, &service.jobs, (&bureau, &batch)).map_err(Problem::from)).await;
    tried.map(Json).map_err(IntoResponse::into_response)
}

async fn recipients(State(desk): State<Arc<Desk>>, Path(bureau): Path<String>, sent: Result<Json<Vec<Person>>, JsonRejection>) -> Result<Json<Answers>, Response> {
    let Json(persons) = sent.map_err(|error| unread(&error, r#"send [{"id_type": "01", "id_no": "…", "name": "…"}] as application/json"#))?;
    let service = desk.service.clone();
    desk.access.persons(&bureau, persons.len(), service.gateway.clock.now()).map_err(refused)?;
    let answers = blocking(move || ask(&service.gateway, &bureau, &persons).map_err(Problem::from)).await;
    answers.map(|answers| Json(Answers { answers })).map_err(IntoResponse::into_response)
}

async fn outcomes(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place) -> Result<Response, Problem> {
    download(desk, move |service, file| Ok(write_outcomes(&service.gateway, &bureau, &batch, file)?)).await
}

async fn final_report(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place) -> Result<Response, Problem> {
    download(desk, move |service, file| Ok(write_signed(&service.gateway, &service.lists, &bureau, &batch, file)?)).await
}

async fn proofs(State(desk): State<Arc<Desk>>, Path((bureau, batch)): Place) -> Result<Response, Problem> {
    download(desk, move |service, file| {
        let wanted = Wanted { bureau, batch, row: None, file: file.to_owned() };
        Ok(evidence::export(&service.gateway, &service.lists, &wanted).map(|_| ())?)
    })
    .await
}

/// Made whole in a file first, so that a slow reader holds up nothing; the file is gone when it is sent.
async fn download(desk: Arc<Desk>, write: impl FnOnce(&Service, &std::path::Path) -> Result<(), Problem> + Send + 'static) -> Result<Response, Problem> {
    let busy = |_| Problem::new(Exit::Unavailable, "busy", "the service is ending", "ask again when it runs");
    let _turn = desk.downloads.acquire().await.map_err(busy)?;
    let service = desk.service.clone();
    let file = blocking(move || rows::made(service.evidence.directory(), |path| write(&service, path))).await?;
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], rows::sent(file)).into_response())
}
