//! Where an operation is done: by the running service, or here when none runs.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use keys::{Passphrase, PassphraseError};
use runtime::admin::{AdminClient, CallError, SOCKET};
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use tokio::runtime::Runtime;

use crate::service::{LongOperation, Operation, Outcome, Service, Told};

/// What every command knows of its place.
pub struct Place {
    pub directory: PathBuf,
    pub passphrase_file: Option<PathBuf>,
    pub json: bool,
}

impl Place {
    /// How far long work is, for people: programs are told the end alone.
    pub fn progress(&self, text: &str, last: bool) {
        if !self.json {
            runtime::terminal::progress(text, last);
        }
    }
}

/// The path of an administrative request, and of one that tells how far it is.
pub const PATH: &str = "/v1/operation";
pub const LONG_PATH: &str = "/v1/long-operation";

pub fn ask(place: &Place, operation: Operation) -> Result<Outcome, Problem> {
    let (runtime, path) = (runtime()?, place.directory.join(SOCKET));
    let asked: Result<Outcome, CallError> = runtime.block_on(async {
        let client = AdminClient::connect(&path).await?;
        client.call(Method::POST, PATH, Some(&operation)).await
    });
    match asked {
        Ok(outcome) => Ok(outcome),
        // Nobody owns the store: this command does, for as long as it takes.
        Err(CallError::NotRunning { .. }) => here(place, &runtime, |service| service.perform(operation)),
        Err(error) => Err(error.into()),
    }
}

/// As `ask`; `on` sees how far it is.
pub fn ask_long(place: &Place, operation: LongOperation, mut on: impl FnMut(Told)) -> Result<Outcome, Problem> {
    let (runtime, path) = (runtime()?, place.directory.join(SOCKET));
    let asked: Result<Outcome, CallError> = runtime.block_on(async {
        let client = AdminClient::connect(&path).await?;
        client.call_with_progress(Method::POST, LONG_PATH, Some(&operation), &mut on).await
    });
    match asked {
        Ok(outcome) => Ok(outcome),
        Err(CallError::NotRunning { .. }) => here(place, &runtime, |service| {
            service.perform_long(operation, &mut |told| {
                on(told);
                true
            })
        }),
        Err(error) => Err(error.into()),
    }
}

fn here(place: &Place, runtime: &Runtime, work: impl FnOnce(&Service) -> Result<Outcome, Problem>) -> Result<Outcome, Problem> {
    let opened = crate::init::open(&place.directory, None, &passphrase(place)?, Arc::new(SystemClock))?;
    let service = Service::new(opened.gateway, opened.evidence, &opened.configuration.sealer, runtime.handle());
    let outcome = work(&service)?;
    service.evidence.advance()?;
    Ok(outcome)
}

pub fn runtime() -> Result<Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| internal(&error))
}

pub fn passphrase(place: &Place) -> Result<Passphrase, Problem> {
    Passphrase::obtain(place.passphrase_file.as_deref(), "mailgw-passphrase", "Passphrase of the gateway's keys").map_err(denied)
}

pub fn denied(error: PassphraseError) -> Problem {
    let text = error.to_string();
    let (message, next) = text.rsplit_once("; ").or_else(|| text.rsplit_once(": ")).unwrap_or((&text, "give the right one"));
    Problem::new(Exit::Denied, "passphrase", message, next)
}

pub fn internal(error: &std::io::Error) -> Problem {
    Problem::new(Exit::Internal, "runtime", error.to_string(), "look at the host's limits")
}
