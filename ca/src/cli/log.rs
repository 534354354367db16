//! The log on the command line: exported and proved, followed from outside, and asked for one's own name.

use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use keys::HolderKey;
use merkle::VerifierKey;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::fetch::Fetcher;
use runtime::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::{Place, ask, internal};
use super::print::{self, date, line};
use super::offline;
use crate::own_name::{Asker, Sealed, Secret};
use crate::record::serial_text;
use crate::operation::Operation;
use crate::service::Outcome;
use crate::witness::{OwnName, Remembered, Round, Warning, WatchError, Witness};

/// For one answer of the log.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest file of ours that is read back: a checkpoint and a few hashes.
const MAX_FILE: u64 = 256 * 1024;

#[derive(Debug, Subcommand)]
pub enum Log {
    /// Write the whole log as tiles, with checkpoint and key, into a new directory.
    #[command(after_help = "Example:\n  ca log export /srv/audit/2026-11")]
    Export { directory: PathBuf },
    /// Prove an exported log, offline.
    #[command(after_help = "Example:\n  ca log verify /srv/audit/2026-11 --vkey 'ca.example.cn/ca+1a2b3c4d+AbC...'")]
    Verify {
        directory: PathBuf,
        /// The log's key as you know it: never the one that came with the export.
        #[arg(long)]
        vkey: String,
    },
    /// Follow a log from outside as a witness: that it only grows, and what it says of your own name. Needs no state
    /// directory. Ends with exit code 7 when the log was rolled back, rewritten or forged.
    #[command(after_help = "Examples:\n  ca log follow --url http://ca.example.cn/log --vkey 'ca.example.cn/ca+1a2b3c4d+AbC...' --state seen.json\n  ca log follow --url http://ca.example.cn/log --vkey 'ca.example.cn/ca+1a2b3c4d+AbC...' --state seen.json \\\n     --own-name-secret own-name.json --once --json")]
    Follow(Follow),
    /// Get the secret by which certificates in your own name are recognised in the log, with the key of one of them.
    /// For keys in a token the operator writes it: --serial, on the authority's machine.
    #[command(after_help = "Examples:\n  ca log own-name --url http://ca.example.cn/log --certificate c.pem --key k.pem --out own-name.json\n  ca log own-name --new --url http://ca.example.cn/log --certificate c.pem --key k.pem --out own-name.json     # others have the old one\n  ca --dir ca-state log own-name --serial 5f3a0c0de1b2c3d4e5f60718293a4b5c --out own-name.json")]
    OwnName(OwnNameWords),
}

#[derive(Debug, Args)]
pub struct Follow {
    /// Where the log is served: `/checkpoint` and `/tile/…` stand below it.
    #[arg(long)]
    url: String,
    /// The log's key as you know it: never one that came from the same address.
    #[arg(long)]
    vkey: String,
    /// What was seen so far; made when it is not there, and never to be lost.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// What `ca log own-name` wrote: certificates in your name are told, from the first of the log on.
    #[arg(long, value_name = "FILE")]
    own_name_secret: Option<PathBuf>,
    /// Read every entry too, and see that all together have the root that was signed.
    #[arg(long)]
    entries: bool,
    /// One round, then end.
    #[arg(long)]
    once: bool,
    /// Seconds from round to round.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
}

#[derive(Debug, Args)]
pub struct OwnNameWords {
    /// Where the log is served.
    #[arg(long, required_unless_present = "serial", conflicts_with = "serial")]
    url: Option<String>,
    /// One of your certificates that is good, PEM.
    #[arg(long, value_name = "FILE", requires = "url")]
    certificate: Option<PathBuf>,
    /// Its key: unencrypted PKCS#8, PEM. It leaves this machine in no form.
    #[arg(long, value_name = "FILE", requires = "url", required_unless_present = "serial")]
    key: Option<PathBuf>,
    /// At the counter: the certificate whose holder stands before you.
    #[arg(long)]
    serial: Option<String>,
    /// Have the secret changed first, because others have it: certificates issued from now on are recognised by the new one
    /// alone. The file has the earlier ones too.
    #[arg(long)]
    new: bool,
    /// Where the secret is written (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What the holder keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnNameFile {
    serial: String,
    secret: String,
    /// Those before it, the last first: they find what was issued in their time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

pub fn run(place: &Place, log: Log) -> Result<(), Problem> {
    match log {
        Log::Export { directory } => print::outcome(&ask(place, Operation::ExportLog { directory: offline::absolute(&directory)? })?, place.json),
        Log::Verify { directory, vkey } => offline::log_verify(&directory, &vkey, place.json),
        Log::Follow(words) => follow(&words, place.json),
        Log::OwnName(words) => own_name(place, &words),
    }
}

fn own_name(place: &Place, words: &OwnNameWords) -> Result<(), Problem> {
    let told = match &words.serial {
        Some(serial) => match ask(place, if words.new { Operation::NewOwnName { serial: serial.clone() } } else { Operation::OwnName { serial: serial.clone() } })? {
            Outcome::OwnName { serial, secret, earlier } => OwnNameFile { serial, secret, earlier },
            _ => return Err(Problem::new(Exit::Internal, "own-name", "the answer is another's", "report this")),
        },
        None => asked(words)?,
    };
    let text = serde_json::to_vec_pretty(&told).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
    runtime::state::write_atomically(&words.out, &text, 0o600).map_err(|error| file(&words.out, &error))?;
    if place.json {
        return print::json(&json!({ "serial": told.serial, "out": words.out }));
    }
    line(&format!("the secret is in {}; give it to `ca log follow --own-name-secret`, and to nobody else", words.out.display()))
}

/// By the certificate's own key.
fn asked(words: &OwnNameWords) -> Result<OwnNameFile, Problem> {
    let missing = |what: &str| Problem::new(Exit::Usage, "own-name", format!("{what} is missing"), "give --url, --certificate and --key, or --serial");
    let (Some(url), Some(certificate), Some(key)) = (&words.url, &words.certificate, &words.key) else { return Err(missing("one of the words")) };
    let pem = bounded(certificate)?;
    let der = pem::parse(&pem).map_err(|_| Problem::new(Exit::Usage, "certificate", format!("{} holds no certificate", certificate.display()), "give it in PEM"))?;
    let view = pki::view::CertificateView::parse(der.contents()).map_err(|error| Problem::new(Exit::Usage, "certificate", error.to_string(), "give a certificate of this authority"))?;
    let serial = serial_text(view.serial);
    let key = HolderKey::read(key).map_err(|error| Problem::new(Exit::Usage, "key", error.to_string(), "for a key in a token ask the operator"))?;
    let asker = Asker::new().ok_or_else(|| Problem::new(Exit::Unavailable, "randomness", "the system gave no randomness", "try again"))?;
    let failed = |error: rcgen::Error| Problem::new(Exit::Refused, "request", error.to_string(), "give the certificate's own key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, format!("{}own name {serial}", if words.new { "new " } else { "" }));
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, asker.text());
    let request = parameters.serialize_request(&key).map_err(failed)?.der().to_vec();
    let mut fetcher = Fetcher::new(url, PATIENCE)?;
    let (status, body) = single()?.block_on(fetcher.post("own-name", ("application/pkcs10", request), 64 << 10))?;
    if !status.is_success() {
        let refused = |_| Problem::new(Exit::from_status(status), "http", format!("the answer is {status}"), "see that the address is the log's");
        return Err(serde_json::from_slice::<Problem>(&body).map_or_else(refused, |problem| problem.received(status)));
    }
    let wrong = || Problem::new(Exit::Damaged, "own-name", "the answer is not one to this question", "try again, on another line if it stays so");
    let sealed: Sealed = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let secrets = asker.open(&sealed).filter(|_| sealed.serial == serial).ok_or_else(wrong)?;
    let [secret, earlier @ ..] = secrets.as_slice() else { return Err(wrong()) };
    Ok(OwnNameFile { serial, secret: secret.text(), earlier: earlier.iter().map(Secret::text).collect() })
}

fn follow(words: &Follow, json: bool) -> Result<(), Problem> {
    let key: VerifierKey = words.vkey.trim().parse().map_err(|error: merkle::NoteError| Problem::new(Exit::Usage, "vkey", error.to_string(), "copy it again from the log's operator"))?;
    let own_name = words.own_name_secret.as_deref().map(secret_of).transpose()?;
    let witness = Witness { key, own_name, entries: words.entries };
    let mut remembered = remembered(&words.state)?;
    let mut fetcher = Fetcher::new(&words.url, PATIENCE)?;
    let runtime = single()?;
    let shutdown = runtime.block_on(async { Shutdown::on_signals() }).map_err(|error| internal(&error))?;
    loop {
        let read = |path: &str, limit: usize| {
            runtime.block_on(async {
                tokio::select! {
                    () = shutdown.wait() => Err(runtime::fetch::FetchError::Unreachable { url: fetcher.url(path), reason: "this command was stopped".into() }),
                    fetched = fetcher.get(path, limit) => fetched,
                }
            })
        };
        let progress = |done: u64, all: u64| {
            if done / 25_600 != done.saturating_sub(256) / 25_600 || done == all && all > 25_600 {
                runtime::terminal::progress(&format!("{done} of {all} entries read"), done == all);
            }
        };
        match witness.round(&remembered, read, progress) {
            Ok(round) => {
                // Told before it is remembered: a warning may come twice, and is never lost.
                tell(&round, json)?;
                remembered = round.remembered;
                let text = serde_json::to_vec_pretty(&remembered).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
                runtime::state::write_atomically(&words.state, &text, 0o600).map_err(|error| file(&words.state, &error))?;
            }
            Err(_) if shutdown.is_set() => return Ok(()),
            Err(error @ WatchError::Alarm { .. }) => return Err(kept(&words.state, error)),
            // A log that is away for a while is looked at again.
            Err(error @ (WatchError::Fetch(_) | WatchError::Unproved { .. })) if !words.once => runtime::terminal::problem("ca", &error.into(), json),
            Err(error) => return Err(error.into()),
        }
        if words.once {
            return Ok(());
        }
        let waited = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(words.every), shutdown.wait()).await });
        if waited.is_ok() {
            return Ok(());
        }
    }
}

fn tell(round: &Round, json: bool) -> Result<(), Problem> {
    for warning in &round.warnings {
        if json {
            let text = serde_json::to_string(warning).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
            line(&text)?;
            continue;
        }
        match warning {
            Warning::OwnName(one) => line(&format!("in your own name: {}, issued {} by {} (entry {})", one.serial, date(one.at), print::plain(&one.issuer), one.entry))?,
            Warning::SecretChanged(one) => line(&format!(
                "the secret of your own name was changed {} in the name of {} of {} (entry {}), and the one before finds nothing issued since; if it was not you, whoever did has the key of that certificate or works at the counter, so tell the authority; fetch the secret anew with `ca log own-name` and follow with a new --state",
                date(one.at), one.serial, print::plain(&one.issuer), one.entry
            ))?,
            Warning::Untagged(one) => line(&format!("without a tag: {}, issued {} by {} (entry {})", one.serial, date(one.at), print::plain(&one.issuer), one.entry))?,
        }
    }
    if json {
        return line(&json!({ "entries": round.size, "new": round.new }).to_string());
    }
    line(&format!("the log holds: {} entries, {} new", round.size, round.new))
}

/// The heads that do not fit are kept beside the state, for others to judge.
fn kept(state: &Path, error: WatchError) -> Problem {
    let WatchError::Alarm { remembered, shown, .. } = &error else { return error.into() };
    let mut directory = state.as_os_str().to_owned();
    directory.push(format!(".alarm-{}", SystemClock.now().unix_timestamp()));
    let directory = PathBuf::from(directory);
    let write = || -> std::io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&directory)?;
        runtime::state::write_atomically(&directory.join("shown"), shown, 0o600)?;
        runtime::state::write_atomically(&directory.join("remembered"), remembered.as_deref().unwrap_or_default().as_bytes(), 0o600)
    };
    let where_kept = match write() {
        Ok(()) => format!("both checkpoints are kept in {}", directory.display()),
        Err(error) => format!("the checkpoints could not be kept in {}: {error}", directory.display()),
    };
    let problem = Problem::from(error);
    Problem { message: format!("{}; {where_kept}", problem.message), ..problem }
}

fn remembered(path: &Path) -> Result<Remembered, Problem> {
    if !path.exists() {
        return Ok(Remembered::default());
    }
    serde_json::from_slice(&bounded(path)?).map_err(|_| WatchError::Remembered.into())
}

fn secret_of(path: &Path) -> Result<OwnName, Problem> {
    let wrong = || Problem::new(Exit::Usage, "own-name", format!("{} holds no secret of an own name", path.display()), "make it with `ca log own-name`");
    let read: OwnNameFile = serde_json::from_slice(&bounded(path)?).map_err(|_| wrong())?;
    let secrets = std::iter::once(&read.secret).chain(&read.earlier).map(|text| Secret::parse(text)).collect::<Option<Vec<_>>>();
    Ok(OwnName { secrets: secrets.ok_or_else(wrong)?, serial: read.serial })
}

fn bounded(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|opened| opened.take(MAX_FILE).read_to_end(&mut bytes)).map_err(|error| file(path, &error))?;
    Ok(bytes)
}

fn file(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk")
}

fn single() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| internal(&error))
}
