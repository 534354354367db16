//! The authority as a registrar sees it: two addresses that take statements.

use std::time::Duration;

use axum::http::StatusCode;
use runtime::exit::{Exit, Problem};
use runtime::fetch::{FetchError, Fetcher};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;

use super::Signed;

/// Far longer than an answer takes; an authority that hangs must not hang the counter.
const PATIENCE: Duration = Duration::from_secs(20);
/// A certificate, its issuers, a list of serial numbers.
const MAX_BYTES: usize = 256 * 1024;

/// What is done with statements. Blocking.
pub trait Authority: Send + Sync {
    /// The certificate and its issuers, PEM.
    fn certify(&self, url: &str, signed: &Signed, request: &str) -> Result<String, Problem>;
    /// The serial numbers of what ended.
    fn withdraw(&self, url: &str, signed: &Signed) -> Result<Vec<String>, Problem>;
}

/// Whether statements can be sent to this address.
pub fn check(url: &str) -> Result<(), FetchError> {
    Fetcher::new(url, PATIENCE).map(|_| ())
}

/// Calls are made from blocking threads, on the process's runtime.
pub struct RemoteAuthority {
    handle: Handle,
}

#[derive(Deserialize)]
struct Certified {
    certificate: String,
    chain: String,
}

#[derive(Deserialize)]
struct Withdrawn {
    withdrawn: Vec<String>,
}

impl RemoteAuthority {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn post<T: for<'de> Deserialize<'de>>(&self, url: &str, path: &str, body: &serde_json::Value) -> Result<T, Problem> {
        let mut fetcher = Fetcher::new(url, PATIENCE)?;
        let body = body.to_string().into_bytes();
        let (status, answer) = self.handle.block_on(fetcher.post(path, ("application/json", body), MAX_BYTES))?;
        let unreadable = || Problem::new(Exit::Unavailable, "authority-answer", format!("{} answers {status} and nothing that can be read", fetcher.url(path)), "see that it is the authority's address, and its version");
        match status {
            StatusCode::OK => serde_json::from_slice(&answer).map_err(|_| unreadable()),
            // Its own words, as it means them.
            _ => Err(serde_json::from_slice::<Problem>(&answer).map_err(|_| unreadable())?),
        }
    }
}

impl Authority for RemoteAuthority {
    fn certify(&self, url: &str, signed: &Signed, request: &str) -> Result<String, Problem> {
        let body = json!({ "statement": signed.statement, "signature": signed.signature, "request": request });
        let answer: Certified = self.post(url, "citizen", &body)?;
        Ok(answer.certificate + &answer.chain)
    }

    fn withdraw(&self, url: &str, signed: &Signed) -> Result<Vec<String>, Problem> {
        let answer: Withdrawn = self.post(url, "citizen/withdraw", &json!({ "statement": signed.statement, "signature": signed.signature }))?;
        Ok(answer.withdrawn)
    }
}
