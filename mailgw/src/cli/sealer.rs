//! `mailgw sealer …`: the process that holds the bureaus' sealing keys. Its `--dir` is a directory of its own.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::Method;
use axum::routing::post;
use axum::{Extension, Json, Router};
use clap::Subcommand;
use evidence::Standing;
use keys::Passphrase;
use runtime::admin::{AdminClient, AdminSocket, CallError, SOCKET};
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;
use runtime::shutdown::Shutdown;
use runtime::terminal::{json, line};
use serde_json::json as object;

use super::ask::{Place, denied, internal};
use super::found::{absolute, read_text};
use crate::sealer::{CONFIGURATION, Configuration, MAX_REQUEST, Operation, Outcome, PATH, Sealer};

const PROMPT: &str = "Passphrase of the sealing keys";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a sealer: its keys and its log.
    #[command(after_help = "Example:\n  mailgw --dir sealer-state sealer init --name mx.mail.example.cn --root ca-state/root.pem --passphrase-file sealer.pass")]
    Init {
        /// The host its log is named after.
        #[arg(long)]
        name: String,
        /// PEM: the CA's root, under which bureaus are believed.
        #[arg(long)]
        root: PathBuf,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
        /// The engine of the store.
        #[arg(long, default_value = "fjall:store")]
        store: String,
    },
    /// Seal for the gateway until stopped.
    #[command(after_help = "Example:\n  mailgw --dir sealer-state sealer serve --passphrase-file sealer.pass")]
    Serve,
    /// Make a sealing key for a bureau and a request for it (PKCS#10, PEM).
    #[command(after_help = "Example:\n  mailgw --dir sealer-state sealer request gz-housing-fund --name 广州住房公积金管理中心 --out seal.csr")]
    Request {
        bureau: String,
        /// The bureau's registered name.
        #[arg(long)]
        name: String,
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Tell which certificates a bureau signs manifests with and is sealed by.
    #[command(after_help = "Example:\n  mailgw --dir sealer-state sealer bureau gz-housing-fund --client client.pem --seal seal.pem")]
    Bureau {
        bureau: String,
        /// PEM: a certificate for manifests, and its issuers; may be repeated.
        #[arg(long, required = true)]
        client: Vec<PathBuf>,
        /// PEM: the sealing certificate, and its issuers.
        #[arg(long)]
        seal: PathBuf,
    },
    /// Write the sealer's log as tiles into a new directory; `mailgw log verify` proves it.
    #[command(after_help = "Example:\n  mailgw --dir sealer-state sealer export-log /srv/audit/sealer-2026-11")]
    ExportLog { directory: PathBuf },
}

pub fn run(place: &Place, command: Command) -> Result<(), Problem> {
    let operation = match command {
        Command::Init { name, root, policy_arc, store } => return init(place, &name, &Configuration { store, policy_arc }, &root),
        Command::Serve => return serve(place),
        Command::Request { bureau, name, out } => {
            let Outcome::Request(pem) = ask(place, Operation::Request { bureau, name })? else { return Err(unexpected()) };
            return super::print::request_pem(&pem, out.as_deref(), place.json);
        }
        Command::Bureau { bureau, client, seal } => {
            let clients = client.iter().map(|path| read_text(path)).collect::<Result<_, _>>()?;
            Operation::Bureau { bureau, clients, seal: read_text(&seal)? }
        }
        Command::ExportLog { directory } => Operation::ExportLog { directory: absolute(&directory)? },
    };
    match ask(place, operation)? {
        Outcome::Exported(exported) => super::print::exported(&exported, place.json),
        _ if place.json => json(&object!({ "done": true })),
        _ => line("done"),
    }
}

fn unexpected() -> Problem {
    Problem::new(Exit::Internal, "sealer-answer", "the sealer answered something else than it was asked", "run the same version of mailgw on both sides")
}

fn init(place: &Place, name: &str, configuration: &Configuration, root: &std::path::Path) -> Result<(), Problem> {
    if place.directory.join(CONFIGURATION).exists() {
        let message = format!("{} holds a sealer already", place.directory.display());
        return Err(Problem::new(Exit::Conflict, "founded", message, "start it with `mailgw sealer serve`, or choose another directory with --dir"));
    }
    let anchors = read_text(root)?;
    let passphrase = Passphrase::obtain_new(place.passphrase_file.as_deref(), "sealer-passphrase", "New passphrase of the sealing keys").map_err(denied)?;
    let (sealer, _directory) = crate::sealer::init(&place.directory, name, configuration, anchors.as_bytes(), &passphrase, Arc::new(SystemClock))?;
    let vkey = sealer.evidence.verifier()?.to_string();
    if place.json {
        return json(&object!({ "directory": place.directory, "log_key": vkey }));
    }
    line(&format!("founded in {}", place.directory.display()))?;
    line(&format!("  log key  {vkey}"))
}

fn open(place: &Place) -> Result<(Sealer, runtime::state::StateDir), Problem> {
    let passphrase = Passphrase::obtain(place.passphrase_file.as_deref(), "sealer-passphrase", PROMPT).map_err(denied)?;
    Ok(crate::sealer::open(&place.directory, &passphrase, Arc::new(SystemClock))?)
}

/// By the running sealer, or here when none runs.
fn ask(place: &Place, operation: Operation) -> Result<Outcome, Problem> {
    let path = place.directory.join(SOCKET);
    let asked: Result<Outcome, CallError> = super::ask::runtime()?.block_on(async {
        let client = AdminClient::connect(&path).await?;
        client.call(Method::POST, PATH, Some(&operation)).await
    });
    match asked {
        Err(CallError::NotRunning { .. }) => {
            let (sealer, _directory) = open(place)?;
            let outcome = sealer.perform(operation)?;
            sealer.evidence.advance()?;
            Ok(outcome)
        }
        done => Ok(done?),
    }
}

fn serve(place: &Place) -> Result<(), Problem> {
    runtime::log::init();
    runtime::room::check(&place.directory)?;
    let (sealer, _directory) = open(place)?;
    let sealer = Arc::new(sealer);
    let configuration: Configuration = runtime::config::read(&place.directory.join(CONFIGURATION))?;
    let store = store::place(&configuration.store, &place.directory);
    runtime::room::check(&store)?;
    let standing = Arc::new(Standing::new(Arc::clone(&sealer.evidence), store).bounded());
    super::ask::runtime()?.block_on(listen(Arc::clone(&sealer), Arc::clone(&standing), &place.directory))?;
    standing.ended()?;
    sealer.evidence.advance()?;
    tracing::info!("ended");
    Ok(())
}

async fn listen(sealer: Arc<Sealer>, standing: Arc<Standing>, directory: &std::path::Path) -> Result<(), Problem> {
    let shutdown = Shutdown::on_signals().map_err(|error| internal(&error))?;
    let admin = AdminSocket::bind(directory).await?;
    let jobs = tokio::spawn(crate::job::head(standing, shutdown.clone()));
    tracing::info!("sealing");
    admin.serve(router(sealer), shutdown).await;
    jobs.await.map_err(|error| Problem::new(Exit::Internal, "job", error.to_string(), "read the log above"))
}

fn router(sealer: Arc<Sealer>) -> Router {
    Router::new().route(PATH, post(operate)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(sealer)
}

async fn operate(State(sealer): State<Arc<Sealer>>, Extension(caller): Extension<Caller>, Json(operation): Json<Operation>) -> Result<Json<Outcome>, Problem> {
    // The socket admits this user and root alone; over any other door nobody is known.
    caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the administration socket"))?;
    let done = tokio::task::spawn_blocking(move || sealer.perform(operation)).await;
    done.map_err(|error| Problem::new(Exit::Internal, "operation", error.to_string(), "report this with the log"))?.map(Json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::sealer::Opening;

    /// The gateway brings revocation lists along, and those of many certificates are large.
    #[test]
    fn large_lists_reach_the_sealer() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sealer");
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        let configuration = Configuration { store: "fjall:store".into(), policy_arc: policies::certificate::DOCUMENTATION_ARC.into() };
        let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
        let (sealer, _directory) = crate::sealer::init(&path, "mx.b.cn", &configuration, root.as_bytes(), &passphrase, Arc::new(SystemClock)).unwrap();
        let refused = super::super::ask::runtime().unwrap().block_on(async {
            let (admin, shutdown) = (AdminSocket::bind(&path).await.unwrap(), Shutdown::new());
            let serving = tokio::spawn(admin.serve(router(Arc::new(sealer)), shutdown.clone()));
            let opening = Opening { manifest: "e30=".into(), signature: String::new(), crls: vec!["AAAA".repeat(1 << 20)] };
            let client = AdminClient::connect(&path.join(SOCKET)).await.unwrap();
            let answer: Result<Outcome, CallError> = client.call(Method::POST, PATH, Some(&Operation::Open(opening))).await;
            shutdown.begin();
            serving.await.unwrap();
            answer
        });
        // It was read whole, and refused for what it says.
        let Err(CallError::Problem(problem)) = refused else { panic!("{refused:?}") };
        assert_eq!(problem.code, "manifest");
    }
}
