//! The service: listeners, administration socket, and the jobs between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Json, Router};
use ::evidence::Standing;
use runtime::admin::AdminSocket;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::http::{Caller, Limits};
use runtime::metrics::Registry;
use runtime::request::Requests;
use ring::rand::SystemRandom;
use runtime::shutdown::Shutdown;
use rustls::{DistinguishedName, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;

use protocol::smtp::exchange::Domain;

use super::ask::{LONG_PATH, PATH, Place, internal, passphrase};
use crate::flow::accept::{Reception, Recipients, register_verdicts};
use crate::flow::callers::Callers;
use crate::flow::certificate_login::{CertificateLogins, KeptLists, Lists};
use crate::flow::evidence::RemoteTimestamps;
use crate::flow::login::Logins;
use crate::flow::submit::Submission;
use crate::flow::token_login::TokenLogins;
use crate::flow::verified::Senders;
use crate::autoconfig::Places;
use crate::daily_report::{self, dmarc, tls as tls_report};
use crate::init::{Configuration, Sending};
use crate::job::{Background, NoticeMetrics, NotificationMetrics};
use crate::outbox::{Outbox, RemoteOutbox};
use crate::sending::protection::{Means, Security};
use crate::sending::route::Dns;
use crate::sending::{self, Sender};
use crate::service::{LongOperation, Operation, Outcome, Service, Told};
use crate::verdict::Verifier;
use crate::wire::accounts::Accounts;
use crate::wire::smtp::Door;
use crate::wire::{autoconfig, granted, imap, opening, pop3, push, smtp};

pub fn serve(place: &Place, domain: Option<&str>) -> Result<(), Problem> {
    runtime::log::init();
    runtime::room::check(&place.directory)?;
    let opened = crate::init::open(&place.directory, domain, &passphrase(place)?, Arc::new(SystemClock))?;
    runtime::room::check(&store::place(&opened.configuration.store, &place.directory))?;
    let (tls, _) = watch::channel(crate::tls::current(&*opened.gateway.store, &opened.gateway.keys)?);
    // The lock on the directory is held until all work has ended: dropped after the runtime, which waits for it.
    let _directory = opened.directory;
    let runtime = super::ask::runtime()?;
    let mut service = Service::new(opened.gateway, opened.evidence, &opened.configuration.sealer, runtime.handle());
    service.tls = Some(tls);
    runtime.block_on(run(service.clone(), &opened.configuration, &place.directory))?;
    drop(runtime);
    service.evidence.advance()?;
    tracing::info!("ended");
    Ok(())
}

async fn run(mut service: Service, configuration: &Configuration, directory: &Path) -> Result<(), Problem> {
    let Configuration { listen, sending, outbox: outboxes, .. } = configuration;
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    service.shutdown = shutdown.clone();
    let long_work = Arc::clone(&service.long_work);
    let metrics = Registry::new();
    let http = runtime::http::bind(listen.http).await?;
    let (smtp, imap, imaps) = (runtime::http::bind(listen.smtp).await?, runtime::http::bind(listen.imap).await?, runtime::http::bind(listen.imaps).await?);
    let (submissions, submission, push) = (bound(listen.submissions).await?, bound(listen.submission).await?, bound(listen.push).await?);
    let (pop3, pop3s) = (bound(listen.pop3).await?, bound(listen.pop3s).await?);
    let (settings, applications) = (bound(listen.autoconfig).await?, bound(listen.applications).await?);
    let neighbours = match &listen.lmtp {
        Some(place) => Some(smtp::neighbours::Listener::bind(place).await.map_err(|error| Problem::new(Exit::Unavailable, "lmtp", error.to_string(), "look at `lmtp` in mailgw.toml"))?),
        None => None,
    };
    let admin = AdminSocket::bind(directory).await?;
    let standing = Arc::new(Standing::new(Arc::clone(&service.evidence), store::place(&configuration.store, directory)).bounded());
    let mut background = Background::default();
    background.begin("pushes", crate::job::pushes(service.clone(), shutdown.clone()));
    background.begin("papers", crate::job::papers(service.clone(), shutdown.clone()));
    background.begin("accesses", accesses(&service, &metrics, shutdown.clone())?);
    if let Some(url) = configuration.timestamp.as_deref() {
        background.begin("stamps", stamps(&service, url, &metrics, shutdown.clone())?);
    }
    background.begin("evidence", evidence(&service, &metrics, shutdown.clone())?);
    background.begin("notices", notices(&service, outboxes, &metrics, shutdown.clone())?);
    background.begin("notifications", notifications(&service, configuration.texts.as_ref(), Arc::clone(&standing), &metrics, shutdown.clone())?);
    background.begin("owner notices", crate::job::owner_notices(Arc::clone(&service.gateway), shutdown.clone()));
    background.begin("warnings", crate::job::warnings(Arc::clone(&service.gateway), shutdown.clone()));
    background.begin("forgetting", crate::job::forgetting(Arc::clone(&service.gateway), shutdown.clone()));
    background.begin("log", crate::job::head(Arc::clone(&standing), shutdown.clone()));
    let requests = Requests::new();
    let counts = requests.clone();
    let bureaus = Arc::new(push::BureausTls::new(&service.gateway.anchors, tls(&service)?)?);
    let (told, shown) = (requests.counted(autoconfig::router(places(&service, configuration))), Arc::new(autoconfig::Tls(tls(&service)?)));
    let (applicants, applicants_tls) = (requests.counted(opening::router(service.clone())), Arc::new(autoconfig::Tls(tls(&service)?)));
    let bureaus_desk = requests.counted(push::router(service.clone()));
    let gateway = &service.gateway;
    let certificates = Arc::new(CertificateLogins::new(Arc::clone(&gateway.directory), Arc::clone(&gateway.anchors), Arc::new(KeptLists::new(Arc::clone(&service.lists))) as Arc<dyn Lists>, Arc::clone(&gateway.clock)));
    background.begin("certificates", crate::job::certificates(Arc::clone(&certificates), shutdown.clone()));
    let tokens = match &configuration.tokens {
        Some(tokens) => {
            let provider = crate::tokens::Provider::open(tokens, directory)?;
            let logins = Arc::new(TokenLogins::new(Arc::clone(&gateway.directory), provider, Arc::clone(&gateway.clock)));
            background.begin("tokens", crate::job::tokens(Arc::clone(&logins), shutdown.clone()));
            Some(logins)
        }
        None => None,
    };
    let logins = Arc::new(Logins { directory: Arc::clone(&gateway.directory), clock: Arc::clone(&gateway.clock), certificates: Some(certificates), tokens });
    let reports = sending.as_ref().filter(|_| service.gateway.directory.policy().inbound().dmarc_reports).map(|sending| (sending.resolver, Arc::new(dmarc::Tallies::default())));
    if let Some((resolver, tallies)) = &reports {
        let reports = dmarc::DmarcReports::new(*resolver).map_err(|error| wrong(&error.to_string()))?;
        background.begin("dmarc-reports", daily_report::run(Arc::clone(&service.gateway), Arc::clone(tallies), reports, shutdown.clone()));
    }
    let reception = reception(&service, sending.as_ref(), reports.map(|(_, tallies)| tallies), &metrics)?;
    let lmtp = lmtp(&service, &reception, &metrics)?;
    let (reception, senders, clients) = (exchange(&service, &reception, &metrics)?, senders(&service, &logins, sending.is_some(), &metrics)?, clients(&service, &logins, &metrics)?);
    let old_clients = old_clients(&service, &logins, &metrics)?;
    let tallies = Arc::new(tls_report::Tallies::default());
    let sender = sending.as_ref().map(|sending| sender(&service, sending, &tallies, &metrics)).transpose()?;
    let reporting = match sending {
        Some(sending) => {
            let resolver = crate::dns::resolver(sending.resolver).map_err(|error| wrong(&error.to_string()))?;
            Some(daily_report::run(Arc::clone(&service.gateway), tallies, tls_report::TlsReports(resolver), shutdown.clone()))
        }
        None => None,
    };
    let owed = crate::job::owed(&metrics).map_err(|error| wrong(&error.to_string()))?;
    background.begin("endings", crate::job::endings(Arc::clone(&service.gateway), Arc::clone(&service.authority), owed, shutdown.clone()));
    let listeners = *service.gateway.directory.policy().listeners();
    let looked_at = Arc::clone(&standing);
    let public = runtime::http::health(move || looked_at.check()).merge(runtime::http::metrics(move || metrics.render() + &counts.render()));
    tracing::info!(smtp = %listen.smtp, imap = %listen.imap, imaps = %listen.imaps, domain = service.gateway.settings.domain, "serving");
    tokio::join!(
        reception.serve(smtp, Door::StartTls, shutdown.clone()),
        where_given(neighbours, |listener| lmtp.serve_neighbours(listener, shutdown.clone())),
        where_given(submissions, |listener| Arc::clone(&senders).serve(listener, Door::Tls, shutdown.clone())),
        where_given(submission, |listener| Arc::clone(&senders).serve(listener, Door::StartTls, shutdown.clone())),
        clients.serve(imap, imaps, shutdown.clone()),
        where_given(pop3, |listener| Arc::clone(&old_clients).serve(listener, pop3::Door::StartTls, shutdown.clone())),
        where_given(pop3s, |listener| Arc::clone(&old_clients).serve(listener, pop3::Door::Tls, shutdown.clone())),
        where_given(settings, |listener| runtime::http::serve_tls(listener, shown, told, autoconfig::limits(listeners.settings), shutdown.clone())),
        where_given(applications, |listener| runtime::http::serve_tls(listener, applicants_tls, applicants, opening::limits(listeners.applications), shutdown.clone())),
        where_given(sender, |sender| sender.run(Arc::clone(&standing), shutdown.clone())),
        where_given(reporting, |reporting| reporting),
        where_given(push, |listener| runtime::http::serve_tls(listener, bureaus, bureaus_desk, push::limits(), shutdown.clone())),
        runtime::http::serve(http, requests.counted(public), Limits::default(), shutdown.clone()),
        admin.serve(requests.counted(administration(service)), shutdown.clone()),
    );
    // Work whose caller has left still ends at its next commit; it needs this runtime until then.
    drop(long_work.write().await);
    background.ended().await?;
    standing.ended()
}

async fn bound(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Problem> {
    match address {
        Some(address) => Ok(Some(runtime::http::bind(address).await?)),
        None => Ok(None),
    }
}

async fn where_given<T, F: Future<Output = ()>>(listener: Option<T>, serve: impl FnOnce(T) -> F) {
    if let Some(listener) = listener {
        serve(listener).await;
    }
}

/// What the authority tells of certificates that end, and filing desks of receipts.
fn notices(service: &Service, sockets: &[PathBuf], metrics: &Registry, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let reached = |socket: &PathBuf| Arc::new(RemoteOutbox::new(socket, tokio::runtime::Handle::current())) as Arc<dyn Outbox>;
    let registered = NoticeMetrics::register(metrics).map_err(|error| wrong(&error.to_string()))?;
    Ok(crate::job::notices(Arc::clone(&service.gateway), sockets.iter().map(reached).collect(), registered, shutdown))
}

/// That something arrived, told to phones and other mailboxes.
fn notifications(service: &Service, texts: Option<&crate::texts::Configuration>, standing: Arc<Standing>, metrics: &Registry, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let texts = texts.map(|texts| texts.open(&tokio::runtime::Handle::current())).transpose()?.map(Arc::from);
    let registered = NotificationMetrics::register(metrics).map_err(|error| wrong(&error.to_string()))?;
    Ok(crate::job::notifications(Arc::clone(&service.gateway), texts, standing, registered, shutdown))
}

/// Which statements clients' programs fetched.
fn accesses(service: &Service, metrics: &Registry, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let missed = metrics.gauge("suiyin_mail_access_missed", "Fetches of statements that were not noted, since too many waited; the next fetch of each is.", &[]);
    Ok(crate::job::accesses(Arc::clone(&service.gateway), missed.map_err(|error| wrong(&error.to_string()))?, shutdown))
}

/// Evidence of deliveries, signed soon after it came to be.
fn evidence(service: &Service, metrics: &Registry, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let waiting = metrics.gauge("suiyin_mail_evidence_unsigned", "Batches of evidence that wait for their signature.", &[]);
    let waiting = waiting.map_err(|error| wrong(&error.to_string()))?;
    Ok(crate::job::evidence(Arc::clone(&service.gateway), Arc::clone(&service.lists), waiting, shutdown))
}

/// Timestamps over evidence.
fn stamps(service: &Service, url: &str, metrics: &Registry, shutdown: Shutdown) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let waiting = metrics.gauge("suiyin_mail_evidence_unstamped", "Signed batches of evidence that wait for their timestamp.", &[]);
    let authority = Arc::new(RemoteTimestamps::new(tokio::runtime::Handle::current(), url)?);
    Ok(crate::job::stamps(Arc::clone(&service.gateway), Arc::clone(&service.lists), authority, waiting.map_err(|error| wrong(&error.to_string()))?, shutdown))
}

/// How mail from other hosts and from neighbours is taken.
fn reception(service: &Service, sending: Option<&Sending>, reports: Option<Arc<dmarc::Tallies>>, metrics: &Registry) -> Result<Arc<Reception>, Problem> {
    let gateway = &service.gateway;
    let host = Domain::parse(&gateway.settings.host).map_err(|_| wrong("the gateway's host name is none for SMTP"))?;
    let domain = Domain::parse(&gateway.settings.domain).map_err(|_| wrong("the gateway's domain is none for SMTP"))?;
    let policy = gateway.directory.policy().inbound().clone();
    let verifier = sending.map(|sending| Verifier::new(sending.resolver, &host, policy.work)).transpose().map_err(|error| wrong(&error.to_string()))?;
    if verifier.is_none() {
        tracing::warn!("mail from other hosts is not judged: no resolver is named (`mailgw init --resolver`)");
    }
    let verdicts = register_verdicts(metrics).map_err(|error| wrong(&error.to_string()))?;
    let (recipients, callers) = (Arc::clone(&gateway.directory) as Arc<dyn Recipients>, Callers::new(&policy));
    Ok(Arc::new(Reception { recipients, messages: Arc::clone(&gateway.messages), host, domain, policy, verifier, verdicts, callers, queue: sending.map(|_| Arc::clone(&gateway.queue)), reports, senders: Some(bureaus(service)), notifications: Some(Arc::clone(&gateway.notifications)) }))
}

/// Who is believed to be a bureau.
fn bureaus(service: &Service) -> Senders {
    Senders { store: Arc::clone(&service.gateway.store), anchors: Arc::clone(&service.gateway.anchors), lists: Arc::clone(&service.lists) }
}

/// Mail from other hosts.
fn exchange(service: &Service, reception: &Arc<Reception>, metrics: &Registry) -> Result<Arc<smtp::Server>, Problem> {
    let limits = granted::exchange(service.gateway.directory.policy());
    let registered = smtp::Metrics::register(metrics).map_err(|error| wrong(&error.to_string()))?;
    let desk = smtp::Desk::Reception(Arc::clone(reception));
    Ok(smtp::Server::new(desk, Arc::clone(&service.gateway.clock), tls(service)?, limits, registered))
}

/// Mail from neighbours.
fn lmtp(service: &Service, reception: &Arc<Reception>, metrics: &Registry) -> Result<Arc<smtp::Server>, Problem> {
    let registered = smtp::Metrics::register_neighbours(metrics).map_err(|error| wrong(&error.to_string()))?;
    let desk = smtp::Desk::Neighbours(Arc::clone(reception));
    Ok(smtp::Server::new(desk, Arc::clone(&service.gateway.clock), tls(service)?, granted::neighbours(service.gateway.directory.policy()), registered))
}

/// Mail to other hosts.
fn sender(service: &Service, sending: &Sending, tallies: &Arc<tls_report::Tallies>, metrics: &Registry) -> Result<Arc<Sender>, Problem> {
    let gateway = &service.gateway;
    let host = Domain::parse(&gateway.settings.host).map_err(|_| wrong("the gateway's host name is none for SMTP"))?;
    let routes = Dns::new(sending.resolver, &gateway.settings.host, sending.loopback).map_err(|error| wrong(&error.to_string()))?;
    let roots = crate::tls::authorities(&sending.roots);
    if roots.is_empty() {
        tracing::warn!(roots = %sending.roots.display(), "other domains' policies (MTA-STS) are not asked for: no authority of the world is believed; name a PEM file as `roots` in mailgw.toml");
    }
    let means = Means { resolver: sending.resolver, port: sending.port, https_port: sending.https_port, loopback: sending.loopback, roots };
    let security = Security::new(means, Arc::clone(&gateway.store)).map_err(|error| wrong(&error.to_string()))?;
    let metrics = sending::Metrics::register(metrics).map_err(|error| wrong(&error.to_string()))?;
    let (queue, clock, patience) = (Arc::clone(&gateway.queue), Arc::clone(&gateway.clock), gateway.directory.policy().sending().conversation().into());
    Ok(Arc::new(Sender { queue, routes: Arc::new(routes), host, port: sending.port, clock, patience, metrics, security, tallies: Arc::clone(tallies) }))
}

/// Mail of those who log in.
fn senders(service: &Service, logins: &Arc<Logins>, outgoing: bool, metrics: &Registry) -> Result<Arc<smtp::Server>, Problem> {
    let gateway = &service.gateway;
    let host = Domain::parse(&gateway.settings.host).map_err(|_| wrong("the gateway's host name is none for SMTP"))?;
    let domain = Domain::parse(&gateway.settings.domain).map_err(|_| wrong("the gateway's domain is none for SMTP"))?;
    let submission = Submission { gateway: Arc::clone(gateway), accounts: Arc::clone(logins) as Arc<dyn Accounts>, random: Arc::new(SystemRandom::new()), host, domain, outgoing, senders: Some(bureaus(service)) };
    let granted = granted::submission(gateway.directory.policy());
    let limits = smtp::Limits { roots: roots(service), ways: granted.ways.with_tokens(logins.tokens.is_some()), ..granted };
    let registered = smtp::Metrics::register_submission(metrics).map_err(|error| wrong(&error.to_string()))?;
    Ok(smtp::Server::new(smtp::Desk::Submission(Arc::new(submission)), Arc::clone(&gateway.clock), tls(service)?, limits, registered))
}

/// Mail clients.
fn clients(service: &Service, logins: &Arc<Logins>, metrics: &Registry) -> Result<Arc<imap::Imap>, Problem> {
    let gateway = &service.gateway;
    let granted = granted::imap(gateway.directory.policy());
    let limits = imap::Limits { roots: roots(service), ways: granted.ways.with_tokens(logins.tokens.is_some()), ..granted };
    let clients = imap::Imap::new(Arc::clone(&gateway.messages), Arc::clone(logins) as Arc<dyn Accounts>, tls(service)?, Arc::clone(&gateway.clock), limits, metrics);
    Ok(Arc::new(clients.map_err(|error| wrong(&error.to_string()))?))
}

/// Mail clients that speak POP3.
fn old_clients(service: &Service, logins: &Arc<Logins>, metrics: &Registry) -> Result<Arc<pop3::Pop3>, Problem> {
    let gateway = &service.gateway;
    let granted = granted::pop3(gateway.directory.policy());
    let limits = pop3::Limits { roots: roots(service), ways: granted.ways.with_tokens(logins.tokens.is_some()), ..granted };
    let clients = pop3::Pop3::new(Arc::clone(&gateway.messages), Arc::clone(logins) as Arc<dyn Accounts>, tls(service)?, Arc::clone(&gateway.clock), limits, metrics);
    Ok(Arc::new(clients.map_err(|error| wrong(&error.to_string()))?))
}

/// Where mail programs reach the gateway.
fn places(service: &Service, configuration: &Configuration) -> Places {
    let (gateway, listen, announced) = (&service.gateway, &configuration.listen, configuration.announced.unwrap_or_default());
    let submissions = announced.submissions.or(listen.submissions.map(|address| address.port())).unwrap_or(465);
    let pop3s = listen.pop3s.map(|address| announced.pop3s.unwrap_or(address.port()));
    let (domain, host) = (gateway.directory.domain().clone(), gateway.settings.host.clone());
    Places { domain, host, imaps: announced.imaps.unwrap_or(listen.imaps.port()), submissions, pop3s, promise: gateway.directory.policy().inbound().promise }
}

/// Whom clients' certificates are asked for under, as TLS names them.
fn roots(service: &Service) -> Vec<DistinguishedName> {
    let mut store = RootCertStore::empty();
    // What cannot be read asks for nothing.
    store.add_parsable_certificates(service.gateway.anchors.roots().map(|root| CertificateDer::from(root.to_vec())));
    store.subjects()
}

fn tls(service: &Service) -> Result<watch::Receiver<Arc<rustls::ServerConfig>>, Problem> {
    service.tls.as_ref().map(watch::Sender::subscribe).ok_or_else(|| wrong("a service without TLS"))
}

fn wrong(what: &str) -> Problem {
    Problem::new(Exit::Internal, "listener", what, "report this")
}

fn administration(service: Service) -> Router {
    Router::new().route(PATH, post(operate)).route(LONG_PATH, post(operate_long)).with_state(service)
}

async fn operate(State(service): State<Service>, Extension(caller): Extension<Caller>, Json(operation): Json<Operation>) -> Result<Json<Outcome>, Problem> {
    // The socket admits this user and root alone; over any other door nobody is known.
    caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the administration socket"))?;
    let done = runtime::request::spawn_blocking(move || service.perform(operation)).await;
    done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}

async fn operate_long(State(service): State<Service>, Extension(caller): Extension<Caller>, Json(operation): Json<LongOperation>) -> Result<Response, Problem> {
    caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the administration socket"))?;
    Ok(runtime::admin::report(move |reporter| async move {
        let handle = tokio::runtime::Handle::current();
        let under_way = Arc::clone(&service.long_work).read_owned().await;
        let work = move || {
            let _under_way = under_way;
            service.perform_long(operation, &mut |told| match told {
                // Nobody's work waits for one who only watches; passwords must reach somebody.
                Told::Pushed(_) | Told::Indexed { .. } | Told::Exported { .. } | Told::Loaded(_) => reporter.tell_or_drop(&told),
                Told::Imported(_) => handle.block_on(reporter.tell(&told)),
            })
        };
        let done = runtime::request::spawn_blocking(work).await;
        done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?
    }))
}
