//! The sealer as another process sees it: over its administration socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::admin::{AdminClient, CallError, SOCKET};
use runtime::exit::{Exit, Problem};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::packed;
use super::{Opening, Operation, Order, Outcome, Page, PaperSeals, Seal, WantedPage};

/// The path of the one request.
pub const PATH: &str = "/v1/operation";

/// Far longer than any order takes; a sealer that hangs must not hang the gateway's end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls are made from blocking threads, on the process's runtime.
pub struct RemoteSealer {
    socket: PathBuf,
    handle: Handle,
}

impl RemoteSealer {
    /// `directory` is the sealer's state directory.
    pub fn new(directory: &Path, handle: Handle) -> Self {
        Self { socket: directory.join(SOCKET), handle }
    }

    fn call(&self, operation: &Operation) -> Result<Outcome, Problem> {
        let call = async {
            let client = AdminClient::connect(&self.socket).await?;
            client.call(Method::POST, PATH, Some(operation)).await
        };
        let called: Result<Outcome, CallError> = self.handle.block_on(async { timeout(PATIENCE, call).await }).map_err(|_| {
            let message = format!("the sealer did not answer within {} s", PATIENCE.as_secs());
            Problem::new(Exit::Unavailable, "sealer-not-answering", message, "look at its process and its disk, then try again")
        })?;
        called.map_err(|error| match error {
            CallError::NotRunning { path } => {
                let message = format!("the sealer does not answer on {}", path.display());
                Problem::new(Exit::Unavailable, "sealer-not-running", message, "start it with `mailgw sealer serve`")
            }
            other => other.into(),
        })
    }
}

fn unexpected() -> Problem {
    Problem::new(Exit::Internal, "sealer-answer", "the sealer answered something else than it was asked", "run the same version of mailgw on both sides")
}

impl Seal for RemoteSealer {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, Problem> {
        let crls = crls.iter().map(|crl| STANDARD.encode(crl)).collect();
        let opening = Opening { manifest: STANDARD.encode(manifest), signature: STANDARD.encode(signature), crls };
        match self.call(&Operation::Open(opening))? {
            Outcome::Job(job) => Ok(job),
            _ => Err(unexpected()),
        }
    }

    fn seal(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem> {
        let order = Order { job: job.to_owned(), rows: rows.iter().map(|(row, digest)| (*row, crate::hex(digest))).collect() };
        match self.call(&Operation::Seal(order))? {
            Outcome::Seals(seals) => packed::unpack(&seals, rows.len()).ok_or_else(unexpected),
            _ => Err(unexpected()),
        }
    }

    fn page(&self, page: &Page<'_>, crls: &[Vec<u8>]) -> Result<PaperSeals, Problem> {
        match self.call(&Operation::Page(WantedPage::new(page, crls)))? {
            Outcome::Page(paper, letter) => {
                let [paper, letter] = [paper, letter].map(|seal| STANDARD.decode(seal).map_err(|_| unexpected()));
                Ok(PaperSeals { paper: paper?, letter: letter? })
            }
            _ => Err(unexpected()),
        }
    }
}
