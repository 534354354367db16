//! Backups on the command line, and coming back from one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::terminal::progress;
use serde_json::json;

use super::ask::{self, Place, passphrase};
use super::print::{self, date, line};
use crate::flow::adopt::{CERTIFICATE_LIMIT, read_list};
use crate::flow::backup::BackedUp;
use crate::flow::restore::{self, Order, Restored, Word};
use crate::flow::adopt::Succeeds;
use crate::operation::Operation;
use crate::record::Act;

/// The longest list that goes inside a request: base64 makes it a third longer, and a request has 48 MiB.
const INLINE: u64 = 32 << 20;

#[derive(Debug, Args)]
pub struct Restore {
    /// The directory that `ca backup` made.
    backup: PathBuf,
    /// The newest checkpoint of the log that anybody has: a follower's, or what is left of the file `log-head`.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// What came after the backup is lost: go on with a log of another name.
    #[arg(long)]
    accept_loss: bool,
    /// The highest number of a list that is known; numbers leap above it in any case, by the clock.
    #[arg(long, value_name = "NUMBER")]
    crl_number_at_least: Option<u64>,
    /// Another engine for the store than before: `fjall:store` or `sled:store`.
    #[arg(long, value_name = "ENGINE")]
    store: Option<String>,
    /// Only verify that the backup is whole; nothing is written.
    #[arg(long, conflicts_with_all = ["accept_loss", "crl_number_at_least", "store"])]
    check: bool,
}

#[derive(Debug, Args)]
pub struct Adopt {
    /// Certificates and revocation lists, PEM or DER.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The profile of the certificates, where their content leaves a choice.
    #[arg(long)]
    profile: Option<String>,
    /// The certificate whose place it took: of one certificate.
    #[arg(long, value_name = "SERIAL")]
    succeeds: Option<String>,
    /// Why it took that place.
    #[arg(long, value_enum, default_value = "renewed", requires = "succeeds")]
    act: Act,
}

/// What the backup holds, and what it does not.
pub fn done(done: &BackedUp) -> Result<(), Problem> {
    line(&format!("backed up {} records and {} files ({} bytes) as of {}: {}", done.records, done.files, done.bytes, date(done.taken), done.directory.display()))?;
    print::unrecorded(done.unrecorded)?;
    line(&format!("sha256   {}", done.sha256))?;
    line(&format!("log key  {}", done.vkey))?;
    for name in &done.left_out {
        line(&format!("left out {}", print::plain(name)))?;
    }
    for issuer in &done.in_token {
        line(&format!("in token {issuer}: back the token up by its own means"))?;
    }
    line("Keys in it open with the passphrase alone: keep that elsewhere. Try it: ca restore DIR --check")
}

pub fn restore(place: &Place, wanted: Restore) -> Result<(), Problem> {
    // Before anybody is asked for a passphrase: what stands is never overwritten.
    if !wanted.check && crate::init::stands(&place.directory) {
        let message = format!("{} holds an authority already", place.directory.display());
        return Err(Problem::new(Exit::Conflict, "founded", message, "restore into another directory"));
    }
    let checkpoint = wanted.checkpoint.as_deref().map(restore::read_checkpoint).transpose()?;
    let passphrase = passphrase(place)?;
    let mut tell = |what: &str| progress(&format!("verifying {what}"), false);
    let verified = restore::verify(&wanted.backup, &passphrase, checkpoint.as_deref(), &mut tell)?;
    let (sha256, taken, entries, files) = (verified.sha256.clone(), verified.manifest.taken, verified.entries, verified.manifest.files.len());
    progress(&format!("verified {files} files"), true);
    if wanted.check {
        if place.json {
            return print::json(&json!({ "sha256": sha256, "taken": taken, "log_entries": entries, "files": files, "log_key": verified.vkey }));
        }
        return line(&format!("the backup of {} is whole: {files} files, {entries} log entries, sha256 {sha256}", date(taken)));
    }
    let word = Word { accept_loss: wanted.accept_loss, crl_number: wanted.crl_number_at_least };
    let order = Order { directory: &place.directory, verified, word, store: wanted.store, passphrase: &passphrase, clock: Arc::new(SystemClock), user: rustix::process::geteuid().as_raw() };
    let restored = restore::restore(order, &mut |text| progress(text, false))?;
    progress("restored", true);
    told(&restored, place.json)
}

fn told(restored: &Restored, json: bool) -> Result<(), Problem> {
    if json {
        return print::json(restored);
    }
    line(&format!("restored as of {} in {}", date(restored.taken), restored.directory.display()))?;
    line(&format!("lists    numbers above {} from now on", restored.crl_numbers_above))?;
    match &restored.earlier {
        None => line(&format!("log      goes on after {} entries: {}", restored.entries, restored.vkey))?,
        Some(earlier) => {
            line(&format!("log      another one goes on after {} entries: {}", restored.entries, restored.vkey))?;
            line(&format!("         publish this key; the log before, {earlier}, has ended"))?;
        }
    }
    for serial in &restored.intents_dropped {
        line(&format!("dropped  {serial} was about to be signed; whoever asked for it may ask again"))?;
    }
    line("Never start the old directory again. Certificates, revocations and powers withdrawn of the time since are not known here.")?;
    line("Enter them BEFORE `ca serve` is started: until then nobody is told the old state.")?;
    line("  ca adopt LIST.crl    the newest whole list of each issuer that anybody has, first; then the newest of each part")?;
    line("  ca adopt CERT.pem    certificates issued since")?;
    line("Powers withdrawn since the backup are held again: look at `ca officer list` first of all.")
}

pub fn adopt(place: &Place, wanted: Adopt) -> Result<(), Problem> {
    if wanted.succeeds.is_some() && wanted.files.len() != 1 {
        return Err(Problem::new(Exit::Usage, "succeeds", "several files take the place of one certificate", "adopt the one that does by itself"));
    }
    let succeeds = wanted.succeeds.map(|old| Succeeds { old, act: wanted.act });
    let mut operations = wanted.files.iter().map(|file| operation(file, wanted.profile.as_deref(), succeeds.as_ref())).collect::<Result<Vec<_>, _>>()?.into_iter();
    let Some(first) = operations.next() else { return Ok(()) };
    ask::ask_on(place, first, |outcome| {
        print::outcome(&outcome, place.json)?;
        Ok(operations.next())
    })
}

/// A long list goes by its path; of a certificate's file the first certificate counts, the rest is
/// its chain.
fn operation(path: &Path, profile: Option<&str>, succeeds: Option<&Succeeds>) -> Result<Operation, Problem> {
    let problem = |reason: String| Problem::new(Exit::Usage, "adopt-file", format!("{}: {reason}", path.display()), "give certificates and lists, PEM or DER");
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(4 * CERTIFICATE_LIMIT as u64).read_to_end(&mut bytes)).map_err(|error| problem(error.to_string()))?;
    let certificate = |der: Vec<u8>| Operation::AdoptCertificate { der, profile: profile.map(str::to_owned), succeeds: succeeds.cloned() };
    if bytes.first() == Some(&0x30) {
        return match x509_parser::parse_x509_certificate(&bytes) {
            Ok(_) => Ok(certificate(bytes)),
            Err(_) => list(path),
        };
    }
    if bytes.starts_with(b"-----BEGIN X509 CRL-----") {
        return list(path);
    }
    let found = pem::parse_many(&bytes).map_err(|_| problem("it is neither DER nor PEM".into()))?;
    let first = found.into_iter().find(|one| one.tag() == "CERTIFICATE").ok_or_else(|| problem("it holds no certificate".into()))?;
    Ok(certificate(first.into_contents()))
}

fn list(path: &Path) -> Result<Operation, Problem> {
    if std::fs::metadata(path).is_ok_and(|found| found.len() <= INLINE) {
        return Ok(Operation::AdoptList { der: read_list(path)? });
    }
    Ok(Operation::AdoptListFile { file: super::offline::absolute(path)? })
}
