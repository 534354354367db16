//! Commands that need no running gateway: founding, reading files, proving.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keys::Passphrase;
use policies::statement::Kind;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use serde_json::json;

use super::ask::{Place, denied};
use crate::flow::approval::SignedRequest;
use crate::init::{CONFIGURATION, Configuration, Founding};

/// Far above any file of certificates.
const MAX_FILE: u64 = 1 << 20;

pub fn init(place: &Place, domain: &str, host: &str, configuration: Configuration, root: &Path) -> Result<(), Problem> {
    // Before anybody is asked for a passphrase: what stands here is never founded anew.
    if place.directory.join(CONFIGURATION).exists() {
        let message = format!("{} holds a gateway already", place.directory.display());
        return Err(Problem::new(Exit::Conflict, "founded", message, "start it with `mailgw serve`, or choose another directory"));
    }
    let anchors = read_text(root)?;
    let passphrase = Passphrase::obtain_new(place.passphrase_file.as_deref(), "mailgw-passphrase", "New passphrase of the gateway's keys").map_err(denied)?;
    let founding = Founding { domain, host, configuration, anchors: anchors.as_bytes() };
    let opened = crate::init::init(&place.directory, &founding, &passphrase, Arc::new(SystemClock))?;
    let settings = &opened.gateway.settings;
    if place.json {
        return runtime::terminal::json(&json!({ "directory": place.directory, "domain": settings.domain, "host": settings.host, "log_key": settings.log_key }));
    }
    runtime::terminal::line(&format!("founded in {} for {}", place.directory.display(), settings.domain))?;
    runtime::terminal::line(&format!("  log key  {}", settings.log_key))?;
    runtime::terminal::line("Now have its TLS certificate issued: `mailgw tls request`")
}

pub fn policy_check(place: &Place, directory: Option<PathBuf>) -> Result<(), Problem> {
    let read = crate::policy::read(&directory.unwrap_or_else(|| place.directory.join(crate::policy::DIRECTORY)))?;
    let statements: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind, read.statements.resolved(kind))).collect();
    let letters: Vec<_> = read.letters.all().map(|kind| (kind.name().to_owned(), kind.resolved())).collect();
    if place.json {
        let statements: Vec<_> = statements.iter().map(|(kind, resolved)| json!({ "kind": kind.name(), "resolved": resolved })).collect();
        let letters: Vec<_> = letters.iter().map(|(kind, resolved)| json!({ "kind": kind, "resolved": resolved })).collect();
        return runtime::terminal::json(&json!({ "sha256": read.digest, "mailbox": read.mailbox.resolved(), "push": read.push.resolved(), "statements": statements, "senders": letters }));
    }
    runtime::terminal::line(&read.mailbox.resolved())?;
    statements.iter().try_for_each(|(_, resolved)| runtime::terminal::line(resolved))?;
    letters.iter().try_for_each(|(_, resolved)| runtime::terminal::line(resolved))?;
    runtime::terminal::line(read.push.resolved().trim_end())?;
    runtime::terminal::line(&format!("sha256 {}", read.digest))
}

pub fn log_verify(directory: &Path, vkey: &str, json: bool) -> Result<(), Problem> {
    let verified = evidence::verify(directory, vkey)?;
    let root = crate::hex(&verified.root);
    if json {
        return runtime::terminal::json(&json!({ "entries": verified.size, "root": root }));
    }
    runtime::terminal::line(&format!("the log holds: {} entries, root {root}", verified.size))
}

/// What officers signed, and their signatures.
pub(super) fn signed_request(request: &Path, approvals: &[PathBuf]) -> Result<SignedRequest, Problem> {
    Ok(SignedRequest { request: read_text(request)?, approvals: approvals.iter().map(|path| read_text(path)).collect::<Result<_, _>>()? })
}

/// A small text file, such as certificates in PEM.
pub fn read_text(path: &Path) -> Result<String, Problem> {
    let failed = |reason: String| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {reason}", path.display()), "check the path");
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE { Err(failed(format!("it is larger than {MAX_FILE} bytes"))) } else { Ok(text) }
}

/// The server has another working directory than the caller.
pub fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::new(Exit::Usage, "file", format!("{}: {error}", path.display()), "check the path"))
}
