//! Settings for mail programs over HTTPS: no login, no state, the same answer whoever has a mailbox.
//!
//! | Request | Who asks |
//! |---|---|
//! | `GET /.well-known/autoconfig/mail/config-v1.1.xml`, `GET /mail/config-v1.1.xml` | Thunderbird, KMail, Evolution, K-9 |
//! | `GET /apple.mobileconfig?address=ADDRESS` | a person with a telephone or a Mac |
//! | `POST /autodiscover/autodiscover.xml` (and with a capital A) | Outlook |
//! | `GET /.well-known/mta-sts.txt`, where something is promised or taken back | other mail servers (MTA-STS) |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use policies::mailbox;
use runtime::exit::{Exit, Problem};
use runtime::http::{Limits, TlsSource};
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::sync::watch;

use crate::autoconfig::{MAX_REQUEST, Places, asked};

/// The gateway's certificate, as it is at each handshake.
pub struct Tls(pub watch::Receiver<Arc<ServerConfig>>);

impl TlsSource for Tls {
    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.borrow())
    }
}

pub fn limits(places: mailbox::Places) -> Limits {
    let mailbox::Places { all, of_one_address, of_one_network } = places;
    Limits { body: Some(MAX_REQUEST), request: Some(Duration::from_secs(30)), connections: all, of_one_address, of_one_network, ..Limits::default() }
}

pub fn router(places: Places) -> Router {
    Router::new()
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(thunderbird))
        .route("/mail/config-v1.1.xml", get(thunderbird))
        .route("/apple.mobileconfig", get(apple))
        .route("/.well-known/mta-sts.txt", get(promise))
        .route("/autodiscover/autodiscover.xml", post(outlook))
        .route("/Autodiscover/Autodiscover.xml", post(outlook))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Arc::new(places))
}

#[derive(Deserialize)]
struct Asked {
    address: String,
}

async fn thunderbird(State(places): State<Arc<Places>>) -> Response {
    document("text/xml; charset=utf-8", places.thunderbird())
}

async fn apple(State(places): State<Arc<Places>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let profile = places.apple(&asked.address).map_err(|_| no_address())?;
    let mut response = document("application/x-apple-aspen-config", profile);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"suiyin.mobileconfig\""));
    Ok(response)
}

async fn outlook(State(places): State<Arc<Places>>, body: Bytes) -> Result<Response, Problem> {
    let settings = asked(&body).and_then(|address| places.outlook(address).ok()).ok_or_else(no_address)?;
    Ok(document("text/xml; charset=utf-8", settings))
}

/// A promise that is taken back is a policy, too: with no answer, others would hold to what they fetched before. spec: rfc8461#3.3, rfc8461#8.3
async fn promise(State(places): State<Arc<Places>>) -> Result<Response, Problem> {
    let promise = places.promise.ok_or_else(|| Problem::new(Exit::NotFound, "no-promise", "this domain promises nothing of TLS", "see [promise] in policies/mailbox/inbound.toml"))?;
    Ok(document("text/plain; charset=utf-8", crate::promise::policy(promise, &places.host)))
}

/// Whether anybody has it is not said.
fn no_address() -> Problem {
    Problem::new(Exit::Usage, "address", "that is no address of this domain", "give the address of the mailbox, ten digits or a name, with the domain")
}

fn document(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::StatusCode;
    use policies::certificate::HostName;
    use policies::mailbox::{Promise, PromiseMode};

    use super::*;

    async fn served(promised: Option<Promise>) -> Result<String, StatusCode> {
        let places = Places { domain: HostName::parse("mail.gz.example").unwrap(), host: "mx.mail.gz.example".into(), imaps: 993, submissions: 465, pop3s: None, promise: promised };
        let response = promise(State(Arc::new(places))).await.into_response();
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        Ok(String::from_utf8(axum::body::to_bytes(response.into_body(), 4_096).await.unwrap().to_vec()).unwrap())
    }

    /// Nobody lets go of an enforced promise over a 404. spec: rfc8461#8.3
    #[tokio::test]
    async fn a_promise_that_is_taken_back_is_served_as_a_policy() {
        let none = Promise { mode: PromiseMode::None, days: 1 };
        assert!(served(Some(none)).await.unwrap().starts_with("version: STSv1\r\nmode: none\r\n"));
        assert!(served(Some(Promise { mode: PromiseMode::Enforce, ..none })).await.unwrap().contains("mode: enforce"));
        assert_eq!(served(None).await, Err(StatusCode::NOT_FOUND));
    }
}
