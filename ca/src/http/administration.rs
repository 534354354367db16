//! `POST /v1/operation`: what officers and the owner of the machine ask for. Who asks is proved before the body is read.

use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::routing::post;
use axum::{Json, Router};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;

use crate::flow::Proven;
use crate::problem::OfficerError;
use crate::operation::Operation;
use crate::service::{Outcome, Service};

/// The path of the one administrative request.
pub const PATH: &str = "/v1/operation";

/// The serials of a million certificates.
pub const MOST: usize = 48 << 20;

/// Behind the administration socket, or behind TLS that asks for a client's certificate.
pub fn router(service: Service) -> Router {
    Router::new().route(PATH, post(operate)).layer(DefaultBodyLimit::max(MOST)).with_state(service)
}

// `Proven` comes first: extractors of a request's head are done before the body is touched.
async fn operate(proven: Proven, State(service): State<Service>, Json(operation): Json<Operation>) -> Result<Json<Outcome>, Problem> {
    let done = runtime::request::spawn_blocking(move || service.perform(&proven, operation)).await;
    done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}

impl FromRequestParts<Service> for Proven {
    type Rejection = Problem;

    /// From what the connection proved, against the register as it is at this request.
    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        let (authority, address) = (std::sync::Arc::clone(&service.authority), caller.address);
        let proved = runtime::request::spawn_blocking(move || match (caller.user, caller.certificates.first()) {
            (Some(user), _) => Self::local(&authority, user).map_err(OfficerError::from),
            (None, Some(certificate)) => Self::officer(&authority, certificate),
            (None, None) => Err(OfficerError::Nobody),
        });
        let proved = proved.await.map_err(|error| Problem::new(Exit::Internal, "caller", error.to_string(), "report this with the log"))?;
        proved.map_err(|error| {
            tracing::warn!(?address, %error, "refused: nobody who may ask");
            error.into()
        })
    }
}
