//! The desk's public side: enterprises over mutual TLS; receipts for whoever has their number.

mod arrivals;
mod attachments;
mod filings;
mod mandates;
mod operators;
pub mod outbox;
mod receipts;
mod verify;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::rate::{Rate, network};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Desk;
use super::check::Check;
use super::flow::authorise::{Callers, Enterprise};
use super::problem::DeskError;

/// The largest signature that is read, and what JSON adds around it.
const MAX_SIGNATURE: usize = 256 * 1024;
/// A mandate and its signature.
const MAX_MANDATE: usize = 512 * 1024;

/// What the handlers work with.
pub struct Public {
    pub desk: Arc<Desk>,
    callers: Callers,
    rate: Mutex<Rate<String>>,
    /// Verdicts are asked for by whoever comes: by the address, and never in the place of a filing.
    asked: Mutex<Rate<IpAddr>>,
    verdicts_at_once: Arc<Semaphore>,
    /// Places to wait in, those that are being judged included.
    places: Arc<Semaphore>,
    /// Octets of the bodies that are here.
    room: Arc<Semaphore>,
    /// Bodies on their way, by enterprise.
    arrivals: arrivals::Arrivals,
    /// Filings judged at one time.
    at_once: Arc<Semaphore>,
    counts: Counts,
}

/// Filings by what became of them.
struct Counts {
    receipted: Arc<Counter>,
    /// By the first check they failed.
    refused: Vec<Arc<Counter>>,
    /// Turned away before they were looked at.
    full: Arc<Counter>,
    fast: Arc<Counter>,
    failed: Arc<Counter>,
    waiting: Arc<Gauge>,
    verdicts: Verdicts,
}

/// Questions what a signature is worth, by what became of them.
struct Verdicts {
    sealed: Arc<Counter>,
    full: Arc<Counter>,
    fast: Arc<Counter>,
    failed: Arc<Counter>,
}

impl Public {
    pub fn new(desk: Arc<Desk>, metrics: &Registry) -> Result<Self, MetricError> {
        let limits = desk.policies.desk.limits;
        let counter = |labels| metrics.counter("suiyin_desk_filings_total", "Filings by what became of them.", labels);
        let verdict = |labels| metrics.counter("suiyin_desk_verdicts_total", "Questions what a signature is worth, by what became of them.", labels);
        let verdicts = Verdicts {
            sealed: verdict(&[("outcome", "sealed")])?,
            full: verdict(&[("outcome", "no-place")])?,
            fast: verdict(&[("outcome", "too-fast")])?,
            failed: verdict(&[("outcome", "failed")])?,
        };
        let counts = Counts {
            receipted: counter(&[("outcome", "receipted")])?,
            refused: Check::ALL.into_iter().map(|check| counter(check.series())).collect::<Result<_, _>>()?,
            full: counter(&[("outcome", "no-place")])?,
            fast: counter(&[("outcome", "too-fast")])?,
            failed: counter(&[("outcome", "failed")])?,
            waiting: metrics.gauge("suiyin_desk_waiting", "Filings that wait or are being judged.", &[])?,
            verdicts,
        };
        let (places, at_once) = (limits.places.saturating_add(limits.at_once) as usize, limits.at_once as usize);
        let room = Arc::new(Semaphore::new(usize::try_from(limits.waiting_bytes).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS)));
        let rate = Mutex::new(Rate::new(limits.per_enterprise, limits.all));
        let (asked, verdicts_at_once) = (Mutex::new(Rate::new(limits.verify.per_address, limits.verify.all)), Arc::new(Semaphore::new(limits.verify.at_once as usize)));
        Ok(Self { desk, callers: Callers::default(), rate, asked, verdicts_at_once, places: Arc::new(Semaphore::new(places)), room, arrivals: arrivals::Arrivals::default(), at_once: Arc::new(Semaphore::new(at_once)), counts })
    }

    /// Who calls, before anything of a body is read.
    async fn enterprise(self: &Arc<Self>, caller: &Caller) -> Result<Enterprise, Refused> {
        let (public, certificates) = (Arc::clone(self), Arc::clone(&caller.certificates));
        worked(move || public.callers.authorise(&public.desk, &certificates)).await
    }

    /// One more request of this enterprise, within its rate.
    fn pace(&self, enterprise: &Enterprise) -> Result<(), DeskError> {
        let now = self.desk.clock.now().unix_timestamp();
        let taken = self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(enterprise.code().as_str().to_owned(), now);
        taken.map_err(|seconds| {
            self.counts.fast.increment();
            DeskError::TooFast { what: "requests", seconds }
        })
    }

    /// One more question from this address, within its rate.
    fn asked(&self, caller: &Caller) -> Result<(), DeskError> {
        let Some(address) = caller.address else { return Ok(()) };
        let now = self.desk.clock.now().unix_timestamp();
        let taken = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take(network(address.ip()), now);
        taken.map_err(|seconds| {
            self.counts.verdicts.fast.increment();
            DeskError::TooFast { what: "questions", seconds }
        })
    }

    /// A place to wait in, or none: a queue without an end answers nobody in time.
    fn place(&self) -> Result<Place, DeskError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => {
                self.counts.waiting.add(1);
                Ok(Place { _permit: permit, waiting: Arc::clone(&self.counts.waiting) })
            }
            Err(_) => {
                self.counts.full.increment();
                Err(DeskError::Full { what: "filings", seconds: self.desk.policies.desk.limits.again_seconds })
            }
        }
    }
}

impl Public {
    /// Room for a body of so many octets, before one of them is read: places alone bound how many wait, not what they take.
    fn room(&self, octets: usize) -> Result<OwnedSemaphorePermit, DeskError> {
        let taken = u32::try_from(octets).ok().and_then(|octets| Arc::clone(&self.room).try_acquire_many_owned(octets).ok());
        taken.ok_or_else(|| {
            self.counts.full.increment();
            DeskError::Full { what: "filings", seconds: self.desk.policies.desk.limits.again_seconds }
        })
    }
}

impl Public {
    /// A whole body of at most `most` octets, once this enterprise has not too many on their way and there is room for what is
    /// announced, for the largest where nothing is; and in time, since it holds both while it comes. With the room, to be kept
    /// as long as what it holds.
    async fn whole(&self, enterprise: &Enterprise, headers: &HeaderMap, request: Body, most: usize) -> Result<(Bytes, OwnedSemaphorePermit), Refused> {
        let limits = &self.desk.policies.desk.limits;
        let Some(_arriving) = self.arrivals.one(enterprise.code().as_str(), limits.bodies_per_enterprise) else {
            self.counts.fast.increment();
            return Err(DeskError::TooFast { what: "bodies sent at one time", seconds: limits.again_seconds.into() }.into());
        };
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
        let room = self.room(announced.map_or(most, |announced| announced.min(most)))?;
        let late = || DeskError::Request(format!("the body did not come whole within {} s; send it again over a faster line", limits.body_seconds));
        let bytes = tokio::time::timeout(Duration::from_secs(limits.body_seconds.into()), body(request, most)).await.map_err(|_| late())??;
        Ok((bytes, room))
    }
}

struct Place {
    _permit: OwnedSemaphorePermit,
    waiting: Arc<Gauge>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.add(-1);
    }
}

pub fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/filings", post(filings::submit).get(filings::list))
        .route("/filings/{id}", get(filings::state))
        .route("/attachments/{sha256}", put(attachments::put))
        .route("/receipts/{file}", get(receipts::one))
        .route("/verify", post(verify::one))
        .route("/mandates", post(mandates::give).get(mandates::list))
        .route("/mandates/{id}", get(mandates::one))
        .route("/mandates/withdraw", post(mandates::withdraw))
        .route("/operators", post(operators::authorise).get(operators::list))
        .route("/operators/withdraw", post(operators::withdraw))
        // Each handler that reads a body bounds it itself.
        .layer(DefaultBodyLimit::disable())
        .with_state(public)
}

/// The store may wait for the disk, and others for the network: not on this thread.
async fn worked<T: Send + 'static>(work: impl FnOnce() -> Result<T, DeskError> + Send + 'static) -> Result<T, Refused> {
    Ok(worked_plainly(work).await??)
}

/// The same, for who looks at an error before it is answered.
async fn worked_plainly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = runtime::request::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Exit::Internal, "desk", error.to_string(), "report this with the desk's log"))
}

/// What is answered where nothing was done: whatever went wrong, with when to come again where that is known.
pub struct Refused(Box<Response>);

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self(Box::new(answer(error)))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem.into_response()))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// An error as it is answered: with when to come again, where that is known.
fn answer(error: DeskError) -> Response {
    let again = match &error {
        DeskError::Full { seconds, .. } => Some((StatusCode::SERVICE_UNAVAILABLE, i64::from(*seconds))),
        DeskError::TooFast { seconds, .. } => Some((StatusCode::TOO_MANY_REQUESTS, *seconds)),
        DeskError::Away { .. } | DeskError::Pending { .. } => Some((StatusCode::SERVICE_UNAVAILABLE, 2)),
        // People have to set another.
        DeskError::SealUnfit { .. } | DeskError::NoSeal { .. } => Some((StatusCode::SERVICE_UNAVAILABLE, 300)),
        _ => None,
    };
    let mut response = Problem::from(error).into_response();
    if let Some((status, seconds)) = again {
        *response.status_mut() = status;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A whole body of at most `most` octets.
async fn body(body: Body, most: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, most).await.map_err(|_| {
        let message = format!("the body has more than {most} bytes or did not come whole");
        Problem::new(Exit::Refused, "body", message, "send less, or send it again")
    })
}

/// A document and its detached signature, base64.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(alias = "filing", alias = "mandate", alias = "authorisation")]
    document: String,
    signature: String,
}

impl Signed {
    fn read(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        let wrong = |what: String| Problem::new(Exit::Usage, "body", what, "send {\"filing\": base64, \"signature\": base64 of DER}");
        let signed: Self = serde_json::from_slice(bytes).map_err(|error| wrong(format!("the body is not the JSON that is asked for: {error}")))?;
        signed.octets("filing")
    }

    /// `named` as its sender calls the document.
    fn octets(&self, named: &'static str) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        let decoded = |field: &'static str, text: &str| {
            let wrong = || Problem::new(Exit::Usage, "body", format!("`{field}` is no base64"), "send it in base64, padded").at(field.to_owned());
            STANDARD.decode(text).map_err(|_| wrong())
        };
        Ok((decoded(named, &self.document)?, decoded("signature", &self.signature)?))
    }
}
