//! Where an operation is done: by the running service, or here when none runs.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use keys::{Passphrase, PassphraseError};
use runtime::admin::{AdminClient, CallError, SOCKET};
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};

use crate::flow::Authorised;
use crate::service::{Operation, Outcome, Service};

/// What every command knows of its place.
pub struct Place {
    pub directory: PathBuf,
    pub passphrase_file: Option<PathBuf>,
    pub json: bool,
}

/// The path of the one administrative request.
pub const PATH: &str = "/v1/operation";

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
    loop {
        let Some(outcome) = running(place, &operation)? else { return here(place, operation, next) };
        match next(outcome)? {
            Some(more) => operation = more,
            None => return Ok(()),
        }
    }
}

/// The running service's answer; `None` when none runs.
fn running(place: &Place, operation: &Operation) -> Result<Option<Outcome>, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| internal(&error))?;
    let path = place.directory.join(SOCKET);
    let asked: Result<Outcome, CallError> = runtime.block_on(async {
        let client = AdminClient::connect(&path).await?;
        client.call(Method::POST, PATH, Some(operation)).await
    });
    match asked {
        Ok(outcome) => Ok(Some(outcome)),
        // Nobody owns the store: this command does, for as long as it takes.
        Err(CallError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn here(place: &Place, mut operation: Operation, mut next: impl FnMut(Outcome) -> Result<Option<Operation>, Problem>) -> Result<(), Problem> {
    let passphrase = passphrase(place)?;
    let opened = crate::init::open(&place.directory, None, &passphrase, Arc::new(SystemClock))?;
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    loop {
        let outcome = service.perform(Authorised::by_ownership(rustix::process::geteuid().as_raw()), operation)?;
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
