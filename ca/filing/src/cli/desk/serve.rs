//! The desk's service: the enterprises' listener, administration and outbox sockets, and the jobs between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use evidence::Standing;
use runtime::admin::AdminSocket;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::http::{Caller, Limits, TlsSource};
use runtime::metrics::Registry;
use runtime::request::Requests;
use runtime::shutdown::Shutdown;

use super::ask::{PATH, Place, internal, passphrase};
use crate::desk::http::{Public, outbox, router};
use crate::desk::init::{Listen, network};
use crate::desk::job;
use crate::desk::service::{Operation, Outcome, Service};
use crate::desk::tls::DeskTls;

/// The deadline's burst: an enterprise keeps its connection only as long as it files.
const CONNECTIONS: usize = 8_192;

pub fn serve(place: &Place) -> Result<(), Problem> {
    runtime::log::init();
    runtime::room::check(&place.directory)?;
    let runtime = super::ask::runtime()?;
    let opened = crate::desk::init::open(&place.directory, &passphrase(place)?, Arc::new(SystemClock), network(runtime.handle().clone()))?;
    let store = store::place(&opened.configuration.store, &place.directory);
    runtime::room::check(&store)?;
    let tls = DeskTls::new(Arc::clone(&opened.desk.store), Arc::clone(&opened.desk.keys), &opened.roots)?;
    // The lock on the directory is held until all work has ended: dropped after the runtime, which waits for it.
    let _directory = opened.directory;
    let service = Service { desk: opened.desk, evidence: opened.evidence };
    runtime.block_on(run(service.clone(), tls, opened.configuration.listen, &place.directory, store))?;
    drop(runtime);
    service.evidence.advance()?;
    tracing::info!("ended");
    Ok(())
}

async fn run(service: Service, tls: DeskTls, listen: Listen, directory: &Path, store: PathBuf) -> Result<(), Problem> {
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    let metrics = Registry::new();
    let wrong = |error: runtime::metrics::MetricError| Problem::new(Exit::Internal, "metrics", error.to_string(), "report this");
    let (https, http) = (runtime::http::bind(listen.https).await?, runtime::http::bind(listen.http).await?);
    let admin = AdminSocket::bind(directory).await?;
    let letters = AdminSocket::bind_beside(directory, outbox::SOCKET).await?;
    let standing = Arc::new(Standing::new(Arc::clone(&service.evidence), store).bounded());
    let public = Arc::new(Public::new(Arc::clone(&service.desk), &metrics).map_err(wrong)?);
    let unsealed = metrics.gauge("suiyin_desk_unsealed", "Receipts that wait for their seal.", &[]).map_err(wrong)?;
    let head = tokio::spawn(job::head(Arc::clone(&standing), shutdown.clone()));
    let fault = |labels| metrics.gauge("suiyin_desk_fault", "Bureaus whose filings are answered with 503, by what is not well.", labels).map_err(wrong);
    let seen = job::Seen { unsealed, seals: fault(&[("part", "seal")])?, timestamps: fault(&[("part", "timestamp")])? };
    let seals = tokio::spawn(job::seals(Arc::clone(&service.desk), seen, shutdown.clone()));
    let unrenewed = metrics.gauge("suiyin_desk_unrenewed", "Signatures and seals whose proof the last pass could not renew.", &[]).map_err(wrong)?;
    let archive = tokio::spawn(job::archive(Arc::clone(&service.desk), unrenewed, shutdown.clone()));
    let waiting = metrics.gauge("suiyin_desk_attachments_waiting", "Attachments that no filing names yet.", &[]).map_err(wrong)?;
    let unnamed = tokio::spawn(job::unnamed_files(Arc::clone(&service.desk), waiting, shutdown.clone()));
    let requests = Requests::new();
    let counts = requests.clone();
    let looked_at = Arc::clone(&standing);
    let operator = runtime::http::health(move || looked_at.check()).merge(runtime::http::metrics(move || metrics.render() + &counts.render()));
    tracing::info!(https = %listen.https, http = %listen.http, host = service.desk.settings.host, "serving");
    // A large attachment over a slow line takes its time; every route bounds what it reads.
    let limits = Limits { body: None, request: Some(Duration::from_secs(900)), connections: CONNECTIONS, ..Limits::default() };
    let tls = Arc::new(tls);
    let letter_router = outbox::router(Arc::clone(&service.desk));
    tokio::join!(
        runtime::http::serve_tls(https, Arc::clone(&tls) as Arc<dyn TlsSource>, requests.counted(router(public)), limits, shutdown.clone()),
        runtime::http::serve(http, requests.counted(operator), Limits::default(), shutdown.clone()),
        admin.serve(requests.counted(administration(service, tls)), shutdown.clone()),
        letters.serve(letter_router, shutdown.clone()),
    );
    for job in [head, seals, archive, unnamed] {
        job.await.map_err(|error| Problem::new(Exit::Internal, "job", error.to_string(), "read the log above"))?;
    }
    standing.ended()
}

type Administered = (Service, Arc<DeskTls>);

fn administration(service: Service, tls: Arc<DeskTls>) -> Router {
    Router::new().route(PATH, post(operate)).with_state((service, tls))
}

async fn operate(State((service, tls)): State<Administered>, Extension(caller): Extension<Caller>, Json(operation): Json<Operation>) -> Result<Json<Outcome>, Problem> {
    // The socket admits this user and root alone; over any other door nobody is known.
    let user = caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the administration socket"))?;
    let done = runtime::request::spawn_blocking(move || {
        let installs = matches!(operation, Operation::TlsInstall { .. });
        let outcome = service.perform(operation, user)?;
        if installs {
            tls.refresh()?;
        }
        Ok(outcome)
    });
    done.await.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}
