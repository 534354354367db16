//! The service: public side, administration socket, the officers' listener, and the jobs between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use evidence::Standing;
use runtime::admin::AdminSocket;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::http::Limits;
use runtime::request::Requests;
use runtime::shutdown::Shutdown;

use super::ask::{Place, internal, passphrase};
use crate::administration::{self, Endpoint};
use crate::authority::{Authority, Watcher};
use crate::flow::numbering;
use crate::http::gate::Unproved;
use crate::flow::restore;
use crate::http::{Public, router};
use crate::init::OutboxPlace;
use crate::job::{Health, Jobs};
use crate::lists::Lists;
use crate::record::{NoticeState, Scope};
use crate::service::Service;
use crate::status::Status;
use crate::timestamps::{SignerWatch, Timestamps};

pub fn serve(place: &Place, base_url: Option<&str>, listen: Option<SocketAddr>, clock_was_ahead: bool) -> Result<(), Problem> {
    runtime::log::init();
    let passphrase = passphrase(place)?;
    runtime::room::check(&place.directory)?;
    let mut opened = crate::init::open_at(&place.directory, base_url, &passphrase, Arc::new(SystemClock), clock_was_ahead)?;
    let store = store::place(&opened.configuration.store, &place.directory);
    runtime::room::check(&store)?;
    let status = Status::new(&opened.authority).map_err(|error| Problem::new(Exit::Damaged, "issuer", error.to_string(), "restore the store from a backup"))?;
    let status = Arc::new(status);
    let lists = Arc::new(Lists::new(Arc::clone(&opened.authority.store)));
    let watch = Arc::new(SignerWatch::default());
    opened.authority.watchers = vec![Arc::clone(&status) as Arc<dyn Watcher>, Arc::clone(&lists) as Arc<dyn Watcher>, Arc::clone(&watch) as Arc<dyn Watcher>];
    let listen = listen.unwrap_or(opened.configuration.listen);
    let endpoint = opened.configuration.administration.map(Endpoint::new).transpose()?.map(Arc::new);
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let source = opened.configuration.timestamp.unwrap_or_default();
    if source.is_unchecked() {
        tracing::warn!("timestamps tell a clock that nobody vouches for: ca.toml says source = \"unchecked\", which is for demonstrations");
    }
    let timestamps = Arc::new(Timestamps::open(Arc::clone(&service.authority), &opened.keys, source)?);
    watch.tell(&timestamps);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| internal(&error))?;
    // The lock on the directory is held until the last answer is given.
    let _directory = opened.directory;
    let standing = Arc::new(Standing::new(Arc::clone(&service.evidence), store).bounded());
    let jobs = Arc::new(Jobs::new(service.clone(), Arc::clone(&status), opened.keys, Arc::new(Health::default())).with_token(opened.token).with_administration(endpoint).with_timestamps(timestamps).with_standing(Arc::clone(&standing)));
    let public = Public { authority: Arc::clone(&service.authority), status, lists };
    let outbox = opened.configuration.outbox;
    runtime.block_on(run(service.clone(), Arc::new(public), jobs, listen, &place.directory, outbox, opened.practice_statement))?;
    standing.ended()?;
    service.evidence.advance()?;
    tracing::info!("ended");
    Ok(())
}

async fn run(service: Service, public: Arc<Public>, jobs: Arc<Jobs>, listen: SocketAddr, directory: &std::path::Path, outbox: Option<OutboxPlace>, practice_statement: String) -> Result<(), Problem> {
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    let listener = runtime::http::bind(listen).await?;
    let admin = AdminSocket::bind(directory).await?;
    let requests = Requests::new();
    let asked = requests.counted(crate::http::administration::router(service.clone()));
    let officers = officers(&service, &jobs, asked.clone(), shutdown.clone()).await?;
    let outbox = match &outbox {
        Some(place) => AdminSocket::bind_for(&place.socket, place.user).await?,
        None => AdminSocket::bind_beside(directory, crate::http::outbox::SOCKET).await?,
    };
    let outbox = outbox.serve(crate::http::outbox::router(Arc::clone(&service.authority)), shutdown.clone());
    let (health, faults) = (Arc::clone(&jobs.health), Arc::clone(&jobs.health));
    let timestamps = jobs.timestamps.clone();
    // From here on somebody may be answered.
    restore::serves(&*service.authority.store)?;
    let jobs = tokio::spawn(jobs.run(shutdown.clone()));
    let status = Arc::clone(&public.status);
    let counts = requests.clone();
    let stamping = timestamps.clone().map_or_else(Router::new, crate::http::timestamp::router);
    let counted = Arc::clone(&service.authority);
    // One budget for the work that is done for strangers, whichever door they come to.
    let unproved = Unproved::new(service.authority.rules.rates.unproved, &service.authority.clock);
    let public = router(public)
        .merge(stamping)
        .merge(crate::http::cps::router(practice_statement))
        .merge(crate::http::log::router(Arc::clone(&service.evidence), Arc::clone(&service.authority), &unproved))
        .merge(crate::http::revocation::router(Arc::clone(&service.authority), &unproved))
        .merge(crate::http::renewal::router(Arc::clone(&service.authority), &unproved))
        .merge(crate::http::orders::router(Arc::clone(&service.authority), &unproved))
        .merge(crate::http::citizen::router(Arc::clone(&service.authority), &unproved))
        .merge(runtime::http::health(move || health.check()))
        .merge(runtime::http::metrics(move || metrics(&status) + &timestamps.as_ref().map(|timestamps| timestamps.metrics()).unwrap_or_default() + &faults.metrics() + &counts.render() + &outbox_metrics(&counted) + &root_lists_metrics(&counted)));
    let public = requests.counted(public);
    tracing::info!(address = %listen, base_url = service.authority.settings.base_url, "serving");
    let administration = admin.serve(asked, shutdown.clone());
    // Nothing longer than a renewal is sent here; each route has a bound of its own.
    let limits = Limits { body: Some(crate::http::renewal::MAX_BYTES), ..Limits::default() };
    tokio::join!(runtime::http::serve(listener, public, limits, shutdown.clone()), administration, officers, outbox);
    jobs.await.map_err(|error| Problem::new(Exit::Internal, "job", error.to_string(), "read the log above"))
}

/// The officers' listener, bound, with its certificate made: what serves it, until shutdown.
async fn officers(service: &Service, jobs: &Arc<Jobs>, router: Router, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let bound = match &jobs.administration {
        Some(endpoint) => {
            let listener = runtime::http::bind(endpoint.configured.listen).await?;
            let (tls, first) = (endpoint.tls(&service.authority)?, Arc::clone(jobs));
            // A fault is reported with the others, and tried again.
            let made = tokio::task::spawn_blocking(move || first.certify_listener()).await;
            made.map_err(|error| Problem::new(Exit::Internal, "job", error.to_string(), "report this with the log"))?;
            tracing::info!(address = %endpoint.configured.listen, host = endpoint.configured.host, "officers may call");
            Some((listener, tls))
        }
        None => None,
    };
    Ok(async move {
        if let Some((listener, tls)) = bound {
            administration::serve(listener, tls, router, shutdown).await;
        }
    })
}

fn metrics(status: &Status) -> String {
    let rows = [("remembered", &status.counts.remembered), ("signed", &status.counts.signed), ("refused", &status.counts.refused)];
    let mut text = String::from("# HELP suiyin_ocsp_answers_total OCSP answers by how they came about.\n# TYPE suiyin_ocsp_answers_total counter\n");
    for (how, count) in rows {
        text.push_str(&format!("suiyin_ocsp_answers_total{{how=\"{how}\"}} {}\n", count.load(Ordering::Relaxed)));
    }
    text
}

/// When the roots' lists end, for whoever has to make the next ones.
fn root_lists_metrics(authority: &Authority) -> String {
    let mut text = String::from("# HELP suiyin_ca_root_list_end_seconds When the list of a root that is published ends, Unix seconds.\n# TYPE suiyin_ca_root_list_end_seconds gauge\n");
    for root in authority.issuers.roots() {
        if let Ok(Some(list)) = numbering::head(authority, root.id(), Scope::Whole) {
            text.push_str(&format!("suiyin_ca_root_list_end_seconds{{root=\"{}\"}} {}\n", root.id(), list.next_update));
        }
    }
    text
}

/// Counts that the store keeps: reading them takes no scan.
fn outbox_metrics(authority: &Authority) -> String {
    let mut text = String::from("# HELP suiyin_ca_notices Notices of ending certificates by state.\n# TYPE suiyin_ca_notices gauge\n");
    for state in NoticeState::ALL {
        // What cannot be read is left out; the part `store` tells why.
        if let Ok(count) = authority.store.sum(&state.sum()) {
            text.push_str(&format!("suiyin_ca_notices{{state=\"{}\"}} {count}\n", state.name()));
        }
    }
    text
}
