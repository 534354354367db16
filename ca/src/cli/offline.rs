//! Commands that need no running service: founding, reading, proving.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keys::Passphrase;
use pki::request::{MAX_BYTES, Request};
use policies::certificate::HostName;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask::{Place, denied};
use super::print;
use crate::administration::Administration;
use crate::founding::request::waits;
use crate::init::{Configuration, InitError, Opened};
use crate::problem::IssueError;
use crate::token::TokenConfiguration;

/// The issuing keys go into a token when both a module and a label are given.
#[derive(Debug, clap::Args)]
pub struct TokenPlace {
    /// A PKCS#11 module: the issuing keys are made in its token and never leave it.
    #[arg(long, value_name = "FILE", requires = "token_label")]
    token_module: Option<PathBuf>,
    /// The token's label or serial number.
    #[arg(long, value_name = "LABEL", requires = "token_module")]
    token_label: Option<String>,
    /// A file (mode 0600) with the token's user PIN; else the service credential `ca-token-pin`.
    #[arg(long, value_name = "FILE", requires = "token_module")]
    token_pin_file: Option<PathBuf>,
}

impl TokenPlace {
    /// The token, for this command alone.
    pub(super) fn open(self) -> Result<Option<keys::Token>, Problem> {
        Ok(self.configuration()?.map(|token| token.open()).transpose()?)
    }

    /// The service is started elsewhere than this command: paths are written whole.
    fn configuration(self) -> Result<Option<TokenConfiguration>, Problem> {
        let (Some(module), Some(label)) = (self.token_module, self.token_label) else { return Ok(None) };
        let pin_file = self.token_pin_file.as_deref().map(absolute).transpose()?;
        Ok(Some(TokenConfiguration { module: absolute(&module)?, label, pin_file }))
    }
}

/// Officers call from other machines when both are given.
#[derive(Debug, clap::Args)]
pub struct OfficersPlace {
    /// Where officers call from other machines, over TLS: such as 10.0.0.1:8441.
    #[arg(long, value_name = "ADDRESS", requires = "officers_host")]
    officers_listen: Option<SocketAddr>,
    /// The host name or address by which they call.
    #[arg(long, value_name = "HOST", requires = "officers_listen")]
    officers_host: Option<String>,
}

impl OfficersPlace {
    fn configuration(self) -> Result<Option<Administration>, Problem> {
        let (Some(listen), Some(host)) = (self.officers_listen, self.officers_host) else { return Ok(None) };
        let configured = Administration { listen, host };
        configured.words()?;
        Ok(Some(configured))
    }
}

/// What an authority is founded as, wherever the root's key is.
#[derive(Debug, clap::Args)]
pub struct Founding {
    /// The public address, written into every certificate and never changed.
    #[arg(long)]
    base_url: String,
    /// Where `serve` listens.
    #[arg(long, default_value = "127.0.0.1:8440")]
    listen: SocketAddr,
    /// What stands after the `@` of the citizens' mailboxes: the authority that certifies them can certify no others, and
    /// no host. May be said several times; once founded it is changed by a ceremony alone.
    #[arg(long, value_name = "DOMAIN")]
    mail_domain: Vec<String>,
    #[command(flatten)]
    token: TokenPlace,
    #[command(flatten)]
    officers: OfficersPlace,
}

impl Founding {
    /// The public address, what `ca.toml` will say, and what citizens are bound to.
    pub(super) fn read(self) -> Result<(String, Configuration, Vec<HostName>), Problem> {
        let administration = self.officers.configuration()?;
        let mail_domains = crate::flow::plan::mail_domains(&self.mail_domain)?;
        let configuration = Configuration { token: self.token.configuration()?, administration, ..Configuration::new(self.listen) };
        Ok((self.base_url, configuration, mail_domains))
    }
}

/// Before anybody is asked for a passphrase: what stands here is never founded anew.
pub(super) fn not_founded(place: &Place) -> Result<(), Problem> {
    if !crate::init::stands(&place.directory) {
        return Ok(());
    }
    let message = format!("{} holds an authority already", place.directory.display());
    Err(Problem::new(Exit::Conflict, "founded", message, "start it with `ca serve`, or choose another directory"))
}

/// What was founded, for people and for programs.
pub(super) fn founded(place: &Place, opened: &Opened, root_keys: Option<&Path>) -> Result<(), Problem> {
    let vkey = opened.authority.settings.log_key.clone();
    let mut issuers = Vec::new();
    for issuer in opened.authority.issuers.values() {
        let path = crate::init::certificate_file(&place.directory, issuer.id());
        issuers.push(json!({ "id": issuer.id(), "certificate": path }));
    }
    if place.json {
        let mut told = json!({ "directory": place.directory, "issuers": issuers, "log_key": vkey });
        if let Some(root_keys) = root_keys {
            told["root_keys"] = json!(root_keys);
        }
        return print::json(&told);
    }
    print::line(&format!("founded in {}", place.directory.display()))?;
    for issuer in &issuers {
        print::line(&format!("  {:<14} {}", issuer["id"].as_str().unwrap_or_default(), issuer["certificate"].as_str().unwrap_or_default()))?;
    }
    print::line(&format!("  log key        {vkey}"))
}

pub fn init(place: &Place, founding: Founding, root_file: Option<&Path>) -> Result<(), Problem> {
    not_founded(place)?;
    let (base_url, configuration, mail_domains) = founding.read()?;
    if waits(&place.directory) {
        return Err(InitError::Awaiting { path: place.directory.clone() }.into());
    }
    let root = Passphrase::obtain_new(root_file, "ca-root-passphrase", "New passphrase of the root").map_err(denied)?;
    let passphrase = Passphrase::obtain_new(place.passphrase_file.as_deref(), "ca-passphrase", "New passphrase of the issuing keys").map_err(denied)?;
    let opened = crate::init::init_bound(&place.directory, &base_url, configuration, &mail_domains, &root, &passphrase, Arc::new(SystemClock))?;
    let root_keys = place.directory.join("root-keys");
    founded(place, &opened, Some(&root_keys))?;
    if place.json {
        return Ok(());
    }
    print::line(&format!("Now move {} to a place without a network; `ca serve` does not need it.", root_keys.display()))?;
    print::line("Where the root's key must never have been on this machine: `ca hierarchy request` instead.")
}

pub fn read_request(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    // One byte more than is read: the parser says what is too large.
    let bound = MAX_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    read.map_err(|error| Problem::new(Exit::Usage, "request-file", format!("{} cannot be read: {error}", path.display()), "check the path"))?;
    Ok(bytes)
}

pub fn request_show(path: &Path, json: bool) -> Result<(), Problem> {
    let bytes = read_request(path)?;
    let request = Request::parse(&bytes).map_err(IssueError::from)?;
    let key = request.key;
    let subject: Vec<_> = request.subject.iter().map(|(oid, value)| json!({ "type": oid.to_string(), "value": value })).collect();
    let extensions: Vec<String> = request.requested_extensions.iter().map(ToString::to_string).collect();
    let spki = crate::sha256_hex(&request.spki);
    if json {
        return print::json(&json!({ "subject": subject, "key": format!("{key:?}"), "key_sha256": spki, "extensions": extensions, "asks_for_ca": request.asks_for_ca() }));
    }
    print::line("the sender holds the key")?;
    print::line(&format!("  key         {key:?}, sha256 {spki}"))?;
    for (oid, value) in &request.subject {
        print::line(&format!("  subject     {oid} = {}", print::plain(value)))?;
    }
    for extension in &extensions {
        print::line(&format!("  asks for    extension {extension}"))?;
    }
    if request.asks_for_ca() {
        print::line("  asks for    CA:TRUE (every profile refuses that)")?;
    }
    Ok(())
}

pub fn log_verify(directory: &Path, vkey: &str, json: bool) -> Result<(), Problem> {
    let verified = evidence::verify(directory, vkey)?;
    let root = crate::hex(&verified.root);
    if json {
        return print::json(&json!({ "entries": verified.size, "root": root }));
    }
    print::line(&format!("the log holds: {} entries, root {root}", verified.size))
}

pub fn instant(text: &str) -> Result<i64, Problem> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map(OffsetDateTime::unix_timestamp);
    parsed.map_err(|_| Problem::new(Exit::Usage, "date", format!("{text:?} is no date"), "write it like 2026-11-24T12:00:00Z"))
}

/// The server has another working directory than the caller.
pub fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| file(path, &error))
}

fn file(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk")
}
