//! What the desk asks of others: timestamps, the status of certificates, revocation lists. Blocking; tests bring their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::fetch::Fetcher;
use runtime::revocation::RevocationLists;
use time::OffsetDateTime;
use tokio::runtime::Handle;

use super::problem::DeskError;

/// Connections kept for one place.
const KEPT: usize = 64;
const MAX_ANSWER: usize = 64 * 1024;

pub trait Outside: Send + Sync {
    /// Whether somebody is asked now: then an answer bears the nonce of the question. Files tell what was answered before.
    fn asks(&self) -> bool {
        true
    }


    /// The authority's answer to a TimeStampReq, DER.
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, DeskError>;
    /// A responder's answer, DER.
    fn ocsp(&self, url: &str, request: Vec<u8>) -> Result<Vec<u8>, DeskError>;
    /// The lists at these addresses, at most a minute old at `now`.
    fn lists(&self, urls: &[String], now: OffsetDateTime) -> Result<Vec<Vec<u8>>, DeskError>;
}

/// Over plain HTTP: what is fetched proves itself by its signature.
pub struct Network {
    handle: Handle,
    timestamp_url: String,
    patience: Duration,
    lists: RevocationLists,
    idle: Mutex<HashMap<String, Vec<Fetcher>>>,
}

impl Network {
    pub fn new(handle: Handle, timestamp_url: String, patience: Duration) -> Self {
        Self { lists: RevocationLists::new(handle.clone()), handle, timestamp_url, patience, idle: Mutex::default() }
    }

    fn post(&self, what: &'static str, url: &str, kind: &'static str, body: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        let away = |reason: String| DeskError::Away { what, reason };
        let (base, path) = url.rsplit_once('/').ok_or_else(|| away(format!("{url} is no address")))?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(base).and_then(Vec::pop);
        let mut fetcher = match kept {
            Some(fetcher) => fetcher,
            None => Fetcher::new(base, self.patience).map_err(|error| away(error.to_string()))?,
        };
        let (status, answer) = self.handle.block_on(fetcher.post(path, (kind, body), MAX_ANSWER)).map_err(|error| away(error.to_string()))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(base.to_owned()).or_default();
        if kept.len() < KEPT {
            kept.push(fetcher);
        }
        drop(idle);
        if status.is_success() { Ok(answer) } else { Err(away(format!("the answer is {status}"))) }
    }
}

impl Outside for Network {
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        self.post("the timestamp authority", &self.timestamp_url, "application/timestamp-query", request)
    }

    fn ocsp(&self, url: &str, request: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        self.post("the certificate's status", url, "application/ocsp-request", request)
    }

    fn lists(&self, urls: &[String], now: OffsetDateTime) -> Result<Vec<Vec<u8>>, DeskError> {
        self.lists.fetch(urls, now).map_err(|error| DeskError::Away { what: "a revocation list", reason: error.to_string().replace("; ", ", ") })
    }
}
