//! Revocation lists, fetched over HTTP from where certificates say and kept for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::exit::{Exit, Problem};

/// A revocation takes effect here at most this long after the CA has published it.
const KEEP: time::Duration = time::Duration::seconds(60);
const PATIENCE: Duration = Duration::from_secs(10);
/// A million revoked certificates make about 75 MB when each bears an invalidity date.
const MAX_BYTES: usize = 128 << 20;
/// Chains are short and each certificate names one list.
const MAX_KEPT: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    #[error("{url} is no address that revocation lists are fetched from; have the certificate issued with an http:// address")]
    Address { url: String },
    #[error("the revocation list {url} cannot be fetched: {reason}; see that the CA serves it, then try again")]
    Unreachable { url: String, reason: String },
}

impl From<RevocationError> for Problem {
    fn from(error: RevocationError) -> Self {
        let (exit, code) = match &error {
            RevocationError::Address { .. } => (Exit::Refused, "revocation-address"),
            RevocationError::Unreachable { .. } => (Exit::Unavailable, "revocation-unknown"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, code, message, next)
    }
}

/// Fetches lists from blocking threads, on the process's runtime. What a list is worth is judged where it is used.
pub struct RevocationLists {
    handle: Handle,
    kept: Mutex<HashMap<String, (OffsetDateTime, Vec<u8>)>>,
}

impl RevocationLists {
    pub fn new(handle: Handle) -> Self {
        Self { handle, kept: Mutex::default() }
    }

    /// The lists at these addresses, none of them older than a minute at `now`.
    pub fn fetch(&self, urls: &[String], now: OffsetDateTime) -> Result<Vec<Vec<u8>>, RevocationError> {
        self.fetch_within(urls, now, KEEP)
    }

    /// The same, none of them older than `most`, where a revocation has to take effect sooner.
    pub fn fetch_within(&self, urls: &[String], now: OffsetDateTime, most: time::Duration) -> Result<Vec<Vec<u8>>, RevocationError> {
        urls.iter().map(|url| self.one(url, now, most.min(KEEP))).collect()
    }

    fn one(&self, url: &str, now: OffsetDateTime, most: time::Duration) -> Result<Vec<u8>, RevocationError> {
        if let Some((at, list)) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(url)
            && (*at..*at + most).contains(&now)
        {
            return Ok(list.clone());
        }
        let list = self.handle.block_on(async { timeout(PATIENCE, get(url)).await });
        let unreachable = |reason: String| RevocationError::Unreachable { url: url.to_owned(), reason };
        let list = list.map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(url.to_owned(), (now, list.clone()));
        Ok(list)
    }
}

async fn get(url: &str) -> Result<Vec<u8>, RevocationError> {
    let refused = || RevocationError::Address { url: url.to_owned() };
    let unreachable = |reason: String| RevocationError::Unreachable { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| refused())?;
    // Lists are signed: plain HTTP is how they are meant to be fetched. spec: rfc5280#8
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refused)?;
    // An IPv6 address stands in brackets there, and nowhere else.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority.as_str()).body(Empty::<Bytes>::new()).map_err(|_| refused())?;
    let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(unreachable(format!("the answer is {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await.map_err(|error| unreachable(error.to_string()))?;
    connection.abort();
    Ok(body.to_bytes().to_vec())
}
