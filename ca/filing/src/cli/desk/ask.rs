//! Where an operation is done: by the running desk, or here when none runs.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use keys::{Passphrase, PassphraseError};
use runtime::admin::{AdminClient, CallError, SOCKET};
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use tokio::runtime::Runtime;

use crate::desk::service::{Operation, Outcome, Service};

/// What every command knows of its place.
pub struct Place {
    pub directory: PathBuf,
    pub passphrase_file: Option<PathBuf>,
    pub json: bool,
}

/// The path of an administrative request.
pub const PATH: &str = "/v1/operation";

pub fn ask(place: &Place, operation: Operation) -> Result<Outcome, Problem> {
    let (runtime, path) = (runtime()?, place.directory.join(SOCKET));
    let asked: Result<Outcome, CallError> = runtime.block_on(async {
        let client = AdminClient::connect(&path).await?;
        client.call(Method::POST, PATH, Some(&operation)).await
    });
    match asked {
        Ok(outcome) => Ok(outcome),
        // Nobody owns the store: this command does, for as long as it takes.
        Err(CallError::NotRunning { .. }) => {
            let opened = crate::desk::init::open(&place.directory, &passphrase(place)?, Arc::new(SystemClock), crate::desk::init::network(runtime.handle().clone()))?;
            let service = Service { desk: opened.desk, evidence: opened.evidence };
            let outcome = service.perform(operation, own_user()?)?;
            service.evidence.advance()?;
            Ok(outcome)
        }
        Err(error) => Err(error.into()),
    }
}

/// The account this command runs under.
fn own_user() -> Result<u32, Problem> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").map(|own| own.uid()).map_err(|error| internal(&error))
}

pub fn runtime() -> Result<Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| internal(&error))
}

pub fn passphrase(place: &Place) -> Result<Passphrase, Problem> {
    Passphrase::obtain(place.passphrase_file.as_deref(), "desk-passphrase", "Passphrase of the desk's keys").map_err(denied)
}

pub fn denied(error: PassphraseError) -> Problem {
    let text = error.to_string();
    let (message, next) = text.rsplit_once("; ").or_else(|| text.rsplit_once(": ")).unwrap_or((&text, "give the right one"));
    Problem::new(Exit::Denied, "passphrase", message, next)
}

pub fn internal(error: &std::io::Error) -> Problem {
    Problem::new(Exit::Internal, "runtime", error.to_string(), "look at the host's limits")
}
