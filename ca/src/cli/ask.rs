//! Where an operation is done: by a service on another machine, by the one that runs here, or here when none runs.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use keys::{Passphrase, PassphraseError};
use runtime::admin::{AdminClient, CallError, SOCKET};
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};

use super::identity::Identity;
use crate::flow::Proven;
use crate::http::administration::PATH;
use crate::init::Opened;
use crate::operation::Operation;
use crate::service::{Outcome, Service};

/// What every command knows of its place.
pub struct Place {
    pub directory: PathBuf,
    pub passphrase_file: Option<PathBuf>,
    /// The authority on another machine that is asked instead.
    pub server: Option<Server>,
    pub json: bool,
}

pub struct Server {
    pub url: String,
    /// The directory of the identity of whoever asks.
    pub identity: PathBuf,
}

/// One operation.
pub fn ask(place: &Place, operation: Operation) -> Result<Outcome, Problem> {
    let mut answer = None;
    ask_on(place, operation, |outcome| {
        answer = Some(outcome);
        Ok(None)
    })?;
    answer.ok_or_else(|| Problem::new(Exit::Internal, "operation", "there was no answer", "report this"))
}

/// One operation after another at the same place, each made of the answer to the one before.
pub fn ask_on(place: &Place, mut operation: Operation, mut next: impl FnMut(Outcome) -> Result<Option<Operation>, Problem>) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| internal(&error))?;
    let client = match &place.server {
        Some(Server { url, identity }) => AdminClient::remote(url, Identity::load(identity, place.passphrase_file.as_deref())?.tls()?)?,
        None => match runtime.block_on(AdminClient::connect(&place.directory.join(SOCKET))) {
            Ok(client) => client,
            // Nobody owns the store: this command does, for as long as it takes.
            Err(CallError::NotRunning { .. }) => return here(place, operation, next),
            Err(error) => return Err(error.into()),
        },
    };
    loop {
        let outcome: Outcome = runtime.block_on(client.call(Method::POST, PATH, Some(&operation)))?;
        match next(outcome)? {
            Some(more) => operation = more,
            None => return Ok(()),
        }
    }
}

/// The directory itself, for what its owner alone may do and no service is asked for: its lock is taken here, so a service
/// that runs is in the way, and says so.
pub fn owned(place: &Place) -> Result<Opened, Problem> {
    if place.server.is_some() {
        return Err(Problem::new(Exit::Usage, "server", "this is done on the authority's own machine", "leave out --server"));
    }
    let passphrase = passphrase(place)?;
    Ok(crate::init::open(&place.directory, None, &passphrase, Arc::new(SystemClock))?)
}

fn here(place: &Place, mut operation: Operation, mut next: impl FnMut(Outcome) -> Result<Option<Operation>, Problem>) -> Result<(), Problem> {
    let passphrase = passphrase(place)?;
    let opened = crate::init::open(&place.directory, None, &passphrase, Arc::new(SystemClock))?;
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    loop {
        let uid = rustix::process::geteuid().as_raw();
        let restorer = if operation.adopts() { Proven::restorer(&service.authority, uid)? } else { None };
        let proven = restorer.map_or_else(|| Proven::local(&service.authority, uid), Ok)?;
        let outcome = service.perform(&proven, operation)?;
        service.evidence.advance()?;
        match next(outcome)? {
            Some(more) => operation = more,
            None => return Ok(()),
        }
    }
}

pub fn passphrase(place: &Place) -> Result<Passphrase, Problem> {
    Passphrase::obtain(place.passphrase_file.as_deref(), "ca-passphrase", "Passphrase of the issuing keys").map_err(denied)
}

pub fn denied(error: PassphraseError) -> Problem {
    let text = error.to_string();
    let (message, next) = text.rsplit_once("; ").or_else(|| text.rsplit_once(": ")).unwrap_or((&text, "give the right one"));
    Problem::new(Exit::Denied, "passphrase", message, next)
}

pub fn internal(error: &std::io::Error) -> Problem {
    Problem::new(Exit::Internal, "runtime", error.to_string(), "look at the host's limits")
}
