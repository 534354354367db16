//! The service: listeners, administration socket, and the jobs between them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use runtime::admin::AdminSocket;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::http::{Caller, Limits};
use runtime::metrics::Registry;
use runtime::shutdown::Shutdown;
use tokio::sync::watch;

use super::ask::{PATH, Place, internal, passphrase};
use crate::init::Listen;
use crate::service::{Operation, Outcome, Service};

pub fn serve(place: &Place, domain: Option<&str>) -> Result<(), Problem> {
    runtime::log::init();
    let opened = crate::init::open(&place.directory, domain, &passphrase(place)?, Arc::new(SystemClock))?;
    let gateway = Arc::new(opened.gateway);
    let (tls, _) = watch::channel(crate::tls::current(&*gateway.store, &gateway.keys)?);
    let service = Service { gateway, evidence: opened.evidence, tls: Some(tls) };
    // The lock on the directory is held until the last answer is given.
    let _directory = opened.directory;
    super::ask::runtime()?.block_on(run(service.clone(), opened.configuration.listen, &place.directory))?;
    service.evidence.advance()?;
    tracing::info!("ended");
    Ok(())
}

async fn run(service: Service, listen: Listen, directory: &Path) -> Result<(), Problem> {
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    let metrics = Registry::new();
    let http = runtime::http::bind(listen.http).await?;
    let admin = AdminSocket::bind(directory).await?;
    let healthy = Arc::new(AtomicBool::new(true));
    let jobs = tokio::spawn(crate::job::run(Arc::clone(&service.evidence), Arc::clone(&healthy), shutdown.clone()));
    let public = runtime::http::health(move || health(&healthy)).merge(runtime::http::metrics(move || metrics.render()));
    tracing::info!(smtp = %listen.smtp, imap = %listen.imap, imaps = %listen.imaps, domain = service.gateway.settings.domain, "serving");
    let administration = admin.serve(administration(service), shutdown.clone());
    tokio::join!(runtime::http::serve(http, public, Limits::default(), shutdown.clone()), administration);
    jobs.await.map_err(|error| Problem::new(Exit::Internal, "job", error.to_string(), "read the log above"))
}

fn administration(service: Service) -> Router {
    Router::new().route(PATH, post(operate)).with_state(service)
}

async fn operate(State(service): State<Service>, Extension(caller): Extension<Caller>, Json(operation): Json<Operation>) -> Result<Json<Outcome>, Problem> {
    // The socket admits this user and root alone; over any other door nobody is known.
    caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the administration socket"))?;
    let done = tokio::task::spawn_blocking(move || service.perform(operation)).await;
    done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}

fn health(healthy: &AtomicBool) -> Result<(), Problem> {
    if healthy.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Problem::new(Exit::Unavailable, "log", "the log's head cannot be signed and stored", "look at the disk; service resumes by itself"))
}
