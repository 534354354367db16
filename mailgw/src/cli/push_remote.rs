//! The reference client of the push interface: opens the job, sends what has not come yet, closes it, and waits for its end.
//! Cut off at any point, the same command goes on.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use clap::Args;
use runtime::admin::{AdminClient, CallError};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::ask::Place;
use super::found::read_text;
use super::push::Push;
use crate::flow::push::job::{Opening, ShownJob};
use crate::flow::push::Trial;
use crate::flow::recipients_asked::{Answers, Person};
use crate::flow::whole_file::WholeFile;
use crate::record::job::Format;

/// Attempts to send rows before a broken connection is told; each goes on where the last one ended.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
/// Seconds that a question about changes is held open.
const WAIT: u32 = 30;

#[derive(Debug, Args)]
pub struct Remote {
    /// Push from here to a gateway elsewhere: `https://HOST[:PORT]`.
    #[arg(long, requires_all = ["client", "client_key", "root"])]
    pub server: Option<String>,
    /// PEM: the bureau's client certificate and its issuers.
    #[arg(long, requires = "server")]
    client: Option<PathBuf>,
    /// PEM: its key.
    #[arg(long, requires = "server")]
    client_key: Option<PathBuf>,
    /// PEM: the root under which the gateway is believed.
    #[arg(long, requires = "server")]
    root: Option<PathBuf>,
    /// Write the evidence of the push here.
    #[arg(long, requires = "server")]
    evidence: Option<PathBuf>,
    /// Write the final report here, signed: `mailgw push verify` proves it.
    #[arg(long, requires = "server")]
    final_report: Option<PathBuf>,
    /// Take the job off again before anything was delivered, instead of sending rows.
    #[arg(long, requires = "server")]
    cancel: bool,
}

impl Remote {
    fn identity(&self) -> Identity<'_> {
        Identity { client: self.client.as_deref(), client_key: self.client_key.as_deref(), root: self.root.as_deref() }
    }
}

pub fn push(place: &Place, push: &Push, server: &str) -> Result<(), Problem> {
    super::ask::runtime()?.block_on(pushed(place, push, server))
}

/// 1 the job is open · 2 all rows are there · 3 closed · 4 ended, or it is told why not · 5 its outcomes and its evidence are here.
async fn pushed(place: &Place, push: &Push, server: &str) -> Result<(), Problem> {
    let remote = &push.remote;
    let client = AdminClient::remote(server, tls(&remote.identity())?)?;
    // 1
    let manifest = read_text(push.manifest()?)?;
    let said = crate::bureau::manifest::parse(manifest.as_bytes())?;
    let at = format!("/v1/push/{}/{}", said.sender().as_str(), said.batch_id().as_str());
    if remote.cancel {
        // What was never opened is not opened for this.
        let job: ShownJob = client.call(Method::POST, &format!("{at}/cancel"), None::<&()>).await?;
        return told(place, &job);
    }
    let format = if push.rows()?.extension().is_some_and(|extension| extension == "jsonl") { Format::JsonLines } else { Format::Csv };
    let opening = Opening { manifest, signature: read_text(push.signature()?)?, format };
    let mut job: ShownJob = client.call(Method::PUT, &at, Some(&opening)).await?;
    // 2, 3
    if job.state == "receiving" {
        send(place, &client, &at, push, job).await?;
        if push.dry_run {
            let trial: Trial = client.call(Method::POST, &format!("{at}/dry-run"), None::<&()>).await?;
            return super::push::tried(place, &trial);
        }
        job = client.call(Method::POST, &format!("{at}/close"), None::<&()>).await?;
    }
    if push.dry_run {
        return Err(Problem::new(Exit::Conflict, "job-state", format!("job {} is {}", job.batch, job.state), "what is closed is not tried any more: give the rows a new batch_id"));
    }
    // 4
    while !matches!(job.state.as_str(), "ended" | "refused" | "cancelled" | "paused") {
        let asked: Result<ShownJob, CallError> = client.call(Method::GET, &format!("{at}?after={}&wait={WAIT}", job.version), None::<&()>).await;
        match asked {
            Ok(next) => job = next,
            // A gateway that is started anew goes on by itself.
            Err(CallError::Unreachable { .. } | CallError::Io { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
        let done = job.rows - job.waiting.min(job.rows);
        place.progress(&format!("pushing: {done} of {} rows, {} delivered", job.rows, job.counts.delivered), job.waiting == 0);
    }
    ended(&job)?;
    // 5
    for (file, what) in [(&push.report, "outcomes"), (&remote.evidence, "evidence"), (&remote.final_report, "report")] {
        if let Some(path) = file {
            let failed = |error: std::io::Error| Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk");
            let mut file = WholeFile::create(path).map_err(failed)?;
            client.fetch(&format!("{at}/{what}"), |bytes| file.writer.write_all(bytes)).await?;
            file.finish().map_err(failed)?;
        }
    }
    told(place, &job)
}

/// A push that did not end is no success, whatever of it was delivered.
fn ended(job: &ShownJob) -> Result<(), Problem> {
    let ShownJob { batch, state, rows, waiting, .. } = job;
    let (code, message, next) = match state.as_str() {
        "ended" => return Ok(()),
        "refused" => {
            let why = job.trouble.as_deref().unwrap_or("its rows are not those of the manifest");
            ("job-refused", format!("batch {batch} is refused: {why}"), "push again with the file that the manifest speaks of, or sign a manifest with a new batch_id for this one")
        }
        "cancelled" => ("job-cancelled", format!("batch {batch} was cancelled, and nothing of it was delivered"), "sign a manifest with a new batch_id to push these rows after all"),
        _ => ("job-paused", format!("batch {batch} is {state}: {waiting} of {rows} rows wait"), "resume it as `mailgw push explain` shows, then push again: it goes on"),
    };
    Err(Problem::new(if state == "refused" { Exit::Refused } else { Exit::Conflict }, code, message, next))
}

/// Goes on after each break where the gateway says the rows ended.
async fn send(place: &Place, client: &AdminClient, at: &str, push: &Push, mut job: ShownJob) -> Result<(), Problem> {
    let rows = push.rows()?;
    let unreadable = |error: std::io::Error| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {error}", rows.display()), "check the path");
    for attempt in 1.. {
        let mut file = std::fs::File::open(rows).map_err(unreadable)?;
        let whole = file.metadata().map_err(unreadable)?.len();
        if job.bytes > whole {
            return Err(Problem::new(Exit::Conflict, "other-file", "more bytes were sent than this file has", "give the file that the job was begun with, or cancel the job"));
        }
        if job.bytes == whole {
            return Ok(());
        }
        file.seek(SeekFrom::Start(job.bytes)).map_err(unreadable)?;
        place.progress(&format!("sending: {} of {whole} bytes", job.bytes), false);
        let sent: Result<ShownJob, CallError> = client.stream_upload(&format!("{at}/rows?from={}", job.bytes), tokio::fs::File::from_std(file)).await;
        match sent {
            Ok(next) => job = next,
            Err(CallError::Unreachable { .. } | CallError::Io { .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE).await;
                if let Ok(now) = client.call(Method::GET, at, None::<&()>).await {
                    job = now;
                }
            }
            // The rows of a connection that broke were still being written down.
            Err(CallError::Problem(problem)) if problem.code == "offset" && attempt < ATTEMPTS => job = client.call(Method::GET, at, None::<&()>).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// As whom a bureau's own machine calls, and whom it believes.
#[derive(Debug)]
pub struct Identity<'a> {
    pub client: Option<&'a Path>,
    pub client_key: Option<&'a Path>,
    pub root: Option<&'a Path>,
}

/// Asks whether persons can be reached.
pub fn recipients(server: &str, identity: &Identity<'_>, bureau: &str, persons: &[Person]) -> Result<Answers, Problem> {
    let client = AdminClient::remote(server, tls(identity)?)?;
    let at = format!("/v1/push/{bureau}/recipients");
    Ok(super::ask::runtime()?.block_on(client.call(Method::POST, &at, Some(&persons)))?)
}

fn tls(identity: &Identity<'_>) -> Result<ClientConfig, Problem> {
    let refused = |what: &str, reason: String| Problem::new(Exit::Usage, "identity", format!("the {what} cannot be used: {reason}"), "give the bureau's client certificate, its key and the gateway's root, each in PEM");
    // The command line has them wherever it has a server.
    let given = |path: Option<&Path>| read_text(path.ok_or_else(|| refused("identity", "a file is missing".into()))?);
    let mut roots = RootCertStore::empty();
    for root in crate::tls::chain(given(identity.root)?.as_bytes())? {
        roots.add(CertificateDer::from(root)).map_err(|error| refused("root", error.to_string()))?;
    }
    let chain = crate::tls::chain(given(identity.client)?.as_bytes())?.into_iter().map(CertificateDer::from).collect();
    let key = zeroize::Zeroizing::new(given(identity.client_key)?);
    let key = keys::client_key(key.as_bytes()).map_err(|error| refused("key", error.to_string()))?;
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| refused("key", "it is not the certificate's".into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| refused("identity", error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))))
}

fn told(place: &Place, job: &ShownJob) -> Result<(), Problem> {
    if place.json {
        return json(job);
    }
    let counts = job.counts;
    line(&format!("batch {} of {}: {}", job.batch, job.bureau, job.state))?;
    for (count, what) in [(job.rows, "rows"), (counts.delivered, "delivered"), (counts.duplicate, "delivered before"), (counts.quarantined, "quarantined"), (counts.undeliverable, "undeliverable"), (job.waiting, "waiting")] {
        line(&format!("  {count:>9} {what}"))?;
    }
    job.trouble.as_deref().map_or(Ok(()), |trouble| line(&format!("  {trouble}")))
}
