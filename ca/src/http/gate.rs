//! A door that so many come through in an hour, as the city's rules say.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use policies::authority::Hourly;
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::rate::{Rate, network};

#[derive(Clone)]
pub struct Gate {
    rate: Arc<Mutex<Rate<IpAddr>>>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    pub fn new(hourly: Hourly, clock: &Arc<dyn Clock>) -> Self {
        Self { rate: Arc::new(Mutex::new(Rate::new(hourly.per_address, hourly.all))), clock: Arc::clone(clock) }
    }

    /// Counts one request; or how many seconds to wait.
    pub fn take(&self, from: SocketAddr) -> Result<(), i64> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(network(from.ip()), self.clock.now().unix_timestamp())
    }
}

/// Whoever sends too much is turned away before anything of it is read.
pub async fn at_the_gate(State(gate): State<Gate>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    match gate.take(from) {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let problem = Problem::new(Exit::Unavailable, "rate", "too many requests of this kind were sent from here or in all", "send it again later");
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(seconds))], Json(problem)).into_response()
        }
    }
}
