//! `POST /v1/operation`: what officers and the owner of the machine ask for. Who asks is proved before the body is read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::BodyExt;
use policies::authority::Power;
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::documents::WHOLE_LIMIT;
use crate::flow::Proven;
use crate::problem::OfficerError;
use crate::operation::Operation;
use crate::service::{Outcome, Service};

/// The path of the one administrative request.
pub const PATH: &str = "/v1/operation";

/// The longest body that is read: the serials of a million certificates, or a list.
pub const MOST: usize = 48 << 20;
/// What is read of any other operation: a request of an RSA key as a list of numbers, and words.
const LONGEST: usize = 128 << 10;
/// Operations that may be longer, and the power that they take: without it nothing more is read.
const LONG: [(&str, usize, Power); 4] = [
    ("bulk", MOST, Power::Administrator),
    ("adopt-list", MOST, Power::Administrator),
    ("publish-root-crl", 1 << 20, Power::Administrator),
    // JSON doubles quotes and the ends of lines.
    ("propose-policies", 2 * WHOLE_LIMIT, Power::Administrator),
];
/// So many long ones are read at one time; further ones wait until one is done.
const AT_ONCE: usize = 2;
/// What is read to know which operation it is.
const NAMED_WITHIN: usize = 64;

#[derive(Clone)]
struct Desk {
    service: Service,
    long: Arc<Semaphore>,
}

/// Behind the administration socket, or behind TLS that asks for a client's certificate.
pub fn router(service: Service) -> Router {
    Router::new().route(PATH, post(operate)).layer(DefaultBodyLimit::disable()).with_state(Desk { service, long: Arc::new(Semaphore::new(AT_ONCE)) })
}

// `Proven` comes first: extractors of a request's head are done before the body is touched.
async fn operate(proven: Proven, State(desk): State<Desk>, headers: HeaderMap, body: Body) -> Result<Json<Outcome>, Problem> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| !kind.as_bytes().starts_with(b"application/json")) {
        return Err(Problem::new(Exit::Usage, "content-type", "an operation is sent as application/json", "name it so"));
    }
    let (operation, _long) = read(&proven, &desk, body).await?;
    let service = desk.service;
    let done = runtime::request::spawn_blocking(move || service.perform(&proven, operation)).await;
    done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}

/// Within the bound of the operation that its first octets name.
async fn read(proven: &Proven, desk: &Desk, mut body: Body) -> Result<(Operation, Option<OwnedSemaphorePermit>), Problem> {
    let (mut bytes, mut longest, mut permit) = (Vec::new(), LONGEST, None);
    let mut named = false;
    let broken = |reason: String| Problem::new(Exit::Usage, "operation", format!("the operation could not be read: {reason}"), "send it again");
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.to_string()))?;
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        if !named && bytes.len() >= NAMED_WITHIN {
            named = true;
            if let Some((name, most, power)) = LONG.iter().find(|(name, ..)| is_named(&bytes, name)) {
                longest = *most;
                proven.allow(name, std::slice::from_ref(power))?;
                if *most > LONGEST {
                    permit = Some(Arc::clone(&desk.long).acquire_owned().await.map_err(|error| broken(error.to_string()))?);
                }
            }
        }
        if bytes.len() > longest {
            return Err(Problem::new(Exit::Refused, "too-large", format!("the operation has more than {longest} bytes"), "send less at a time"));
        }
    }
    Ok((serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?, permit))
}

/// Whether JSON begins as an operation with words of this name does.
fn is_named(bytes: &[u8], name: &str) -> bool {
    let rest = bytes.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    rest.and_then(|rest| rest.strip_prefix(b"\"")).and_then(|rest| rest.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.starts_with(b"\""))
}

impl FromRequestParts<Desk> for Proven {
    type Rejection = Problem;

    /// From what the connection proved, against the register as it is at this request.
    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        let (authority, address) = (Arc::clone(&desk.service.authority), caller.address);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_long_ones_are_known_by_their_beginning() {
        for (name, most, _) in LONG {
            assert!(is_named(format!(" {{\n \"{name}\": {{}}}}").as_bytes(), name) && most > LONGEST);
        }
        for other in ["\"bulk\"", "{\"bulk-step\":{}}", "{\"a\":\"bulk\"}", "{bulk}", "", "{"] {
            assert!(!is_named(other.as_bytes(), "bulk"), "{other}");
        }
    }
}
