//! Founding a gateway, once; and opening the one that stands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::{Evidence, EvidenceError, LogSigner};
use keys::{KeyError, KeyStore, Passphrase};
use policies::PolicyError;
use runtime::clock::Clock;
use runtime::config::ConfigError;
use runtime::exit::{Exit, Problem};
use runtime::state::{StateDir, StateError};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation};

use crate::bureau::trust::{Anchors, TrustError};
use crate::gateway::{Gateway, GatewayError, unix_millis};
use crate::policy;
use crate::record::RecordError;
use crate::record::settings::Settings;

pub(crate) const CONFIGURATION: &str = "mailgw.toml";
const ANCHORS: &str = "anchors.pem";
pub(crate) const LOG_KEY: &str = "log";

/// `mailgw.toml`: what may change from one start to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// `fjall:DIRECTORY` or `sled:DIRECTORY`, relative to the state directory.
    pub store: String,
    /// The state directory of the sealer, a process of its own.
    pub sealer: PathBuf,
    /// The sockets at which the CA and filing desks hand over their letters; without one none are asked for. One may stand
    /// without brackets.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub outbox: Vec<PathBuf>,
    /// The arc that the CA's policies stand under.
    pub policy_arc: String,
    pub listen: Listen,
    /// The ports at which mail programs reach this gateway, where they are others than it listens at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<Announced>,
    /// Where timestamps over evidence are asked for, such as `http://ca.example.cn/timestamp`; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Without it no mail is taken for elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending: Option<Sending>,
    /// How texts go to phones; without it no phone is told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<crate::texts::Configuration>,
    /// The identity provider whose tokens open mailboxes; without it none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<crate::tokens::Configuration>,
}

/// Ports as the world sees them; one that is missing is the one that is listened at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Announced {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imaps: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submissions: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop3s: Option<u16>,
}

/// How mail goes elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sending {
    /// The resolver that is asked for the servers of a domain.
    pub resolver: SocketAddr,
    /// The port at which other servers take mail.
    #[serde(default = "smtp_port")]
    pub port: u16,
    /// Addresses of this machine may be sent to: for trials on one machine.
    #[serde(default)]
    pub loopback: bool,
    /// PEM: the authorities of the world, under which other domains' policies (MTA-STS) are believed.
    #[serde(default = "world")]
    pub roots: PathBuf,
    /// The port at which those policies are fetched.
    #[serde(default = "https_port")]
    pub https_port: u16,
}

impl Sending {
    pub fn by(resolver: SocketAddr) -> Self {
        Self { resolver, port: smtp_port(), loopback: false, roots: world(), https_port: https_port() }
    }
}

/// Of Debian's package ca-certificates.
fn world() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

fn https_port() -> u16 {
    443
}

fn smtp_port() -> u16 {
    25
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(read: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Places {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(match Places::deserialize(read)? {
        Places::One(place) => vec![place],
        Places::Many(places) => places,
    })
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Mail from other hosts: STARTTLS.
    pub smtp: SocketAddr,
    /// Mail clients: STARTTLS.
    pub imap: SocketAddr,
    /// Mail clients: TLS from the first byte.
    pub imaps: SocketAddr,
    /// Mail of those who log in: TLS from the first byte, and STARTTLS. Without an address it is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submissions: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<SocketAddr>,
    /// Old mail clients, POP3: STLS, and TLS from the first byte. Without an address it is not spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pop3: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pop3s: Option<SocketAddr>,
    /// HTTPS at which mail programs find their settings. Without an address they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoconfig: Option<SocketAddr>,
    /// HTTPS at which mailboxes are applied for. Without an address they are applied for at a desk alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<SocketAddr>,
    /// Bureaus' own systems, mutual TLS. Without an address nobody pushes over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<SocketAddr>,
    /// Neighbours on this machine, LMTP: `unix:/PATH` or an address of the loopback. Without one none come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lmtp: Option<crate::wire::smtp::neighbours::Place>,
    /// `/healthz` and `/metrics` for the operator.
    pub http: SocketAddr,
}

/// What `mailgw init` is told.
pub struct Founding<'a> {
    pub domain: &'a str,
    pub host: &'a str,
    pub configuration: Configuration,
    /// PEM: the roots under which bureaus' certificates are believed.
    pub anchors: &'a [u8],
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Commit(#[from] store::CommitError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("{path}: {reason}; check the directory", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} was never founded to the end; remove it and run `mailgw init` again", path = path.display())]
    Unfinished { path: PathBuf },
    #[error("{found:?} is no name of a host or domain; write letters, digits, `-` and `.` as in mail.example.cn")]
    HostName { found: String },
    #[error("this gateway was founded for {founded} and every address says so; start it without --domain, or found another in another directory")]
    OtherDomain { founded: String },
    #[error("the log's {what} is missing in {path}; restore the whole directory from one backup", path = path.display())]
    LogMissing { path: PathBuf, what: &'static str },
    #[error("the log's key is not the one it was founded with; restore the whole directory from one backup")]
    OtherLogKey,
}

impl InitError {
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), reason: error.to_string() }
    }
}

/// A gateway with the lock on its directory.
pub struct Opened {
    pub gateway: Gateway,
    pub evidence: Arc<Evidence>,
    pub configuration: Configuration,
    pub directory: StateDir,
}

/// Makes the gateway in `path`: configuration, keys, log, settings.
pub fn init(path: &Path, founding: &Founding<'_>, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    let (domain, host) = (host_name(founding.domain)?, host_name(founding.host)?);
    let anchors = Anchors::parse(founding.anchors, &founding.configuration.policy_arc)?;
    let directory = StateDir::create(path)?;
    write(&path.join(ANCHORS), founding.anchors)?;
    policy::ship(&path.join(policy::DIRECTORY))?;
    let policies = policy::read(&path.join(policy::DIRECTORY))?;
    let keys = KeyStore::create(&path.join("keys"), passphrase)?;
    let store = store::open(&founding.configuration.store, path)?;
    let signer = LogSigner { origin: format!("{host}/mailgw"), key: keys.note_key(LOG_KEY)? };
    let settings = Settings { domain, host, log_origin: signer.origin.clone(), log_key: signer.verifier()?.to_string() };
    let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, path)?);
    policy::note(&*store, &policies, unix_millis(clock.now()))?;
    evidence.advance()?;
    store.commit(Batch::new().expect(Expectation::Absent(Settings::key())).put(Settings::key(), settings.encode()?))?;
    // Last of all: without its configuration a directory is one that was never founded to the end.
    write_configuration(&path.join(CONFIGURATION), &founding.configuration)?;
    let gateway = Gateway::open(store, settings, keys, anchors, policies, clock)?;
    Ok(Opened { gateway, evidence, configuration: founding.configuration.clone(), directory })
}

/// Opens the gateway in `path` and refuses another domain.
pub fn open(path: &Path, domain: Option<&str>, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    let directory = StateDir::open(path)?;
    let configuration: Configuration = runtime::config::read(&path.join(CONFIGURATION))?;
    let anchors_path = path.join(ANCHORS);
    let anchors = std::fs::read(&anchors_path).map_err(|error| InitError::file(&anchors_path, &error))?;
    let anchors = Anchors::parse(&anchors, &configuration.policy_arc)?;
    policy::ship_new(&path.join(policy::DIRECTORY))?;
    let policies = policy::read(&path.join(policy::DIRECTORY))?;
    let keys = KeyStore::open(&path.join("keys"), passphrase)?;
    let store = store::open(&configuration.store, path)?;
    let settings = store.get(&Settings::key())?.ok_or_else(|| InitError::Unfinished { path: path.to_owned() })?;
    let settings = Settings::decode(&settings)?;
    if domain.is_some_and(|asked| !asked.eq_ignore_ascii_case(&settings.domain)) {
        return Err(InitError::OtherDomain { founded: settings.domain });
    }
    // The log before anything else: a store behind its promises accepts nothing.
    let signer = log_signer(&keys, path, settings.log_origin.clone(), &settings.log_key)?;
    let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, path)?);
    policy::note(&*store, &policies, unix_millis(clock.now()))?;
    evidence.advance()?;
    let gateway = Gateway::open(store, settings, keys, anchors, policies, clock)?;
    gateway.notifications.offer(configuration.texts.is_some(), configuration.sending.is_some());
    Ok(Opened { gateway, evidence, configuration, directory })
}

/// The key of a log that was founded: without it or the signed head a store that lost records would pass for whole.
pub(crate) fn log_signer(keys: &KeyStore, path: &Path, origin: String, vkey: &str) -> Result<LogSigner, InitError> {
    let missing = |what| InitError::LogMissing { path: path.to_owned(), what };
    if !keys.contains(LOG_KEY) {
        return Err(missing("key"));
    }
    if !path.join(evidence::HEAD).exists() {
        return Err(missing("signed head"));
    }
    let signer = LogSigner { origin, key: keys.note_key(LOG_KEY)? };
    if signer.verifier()?.to_string() == vkey { Ok(signer) } else { Err(InitError::OtherLogKey) }
}

/// spec: rfc1123#2.1 letters, digits and hyphens, at most 253 octets
pub(crate) fn host_name(text: &str) -> Result<String, InitError> {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(InitError::HostName { found: text.chars().take(80).collect() });
    }
    Ok(text.to_ascii_lowercase())
}

pub(crate) fn write_configuration(path: &Path, configuration: &impl Serialize) -> Result<(), InitError> {
    let text = toml::to_string(configuration).map_err(|error| InitError::File { path: path.to_owned(), reason: error.to_string() })?;
    write(path, text.as_bytes())
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    runtime::state::write_atomically(path, bytes, 0o600).map_err(|error| InitError::file(path, &error))
}

impl From<InitError> for Problem {
    fn from(error: InitError) -> Self {
        let (exit, code) = match error {
            InitError::State(error) => return error.into(),
            InitError::Config(error) => return error.into(),
            InitError::Evidence(error) => return error.into(),
            InitError::Gateway(error) => return error.into(),
            InitError::Trust(error) => return error.into(),
            InitError::Keys(ref error) => crate::problem::key_class(error),
            InitError::Record(_) | InitError::Store(store::StoreError::Corrupt { .. }) => (Exit::Damaged, "store-damaged"),
            InitError::Store(_) | InitError::Commit(_) => (Exit::Unavailable, "store-unavailable"),
            InitError::Policy(_) => (Exit::Usage, "policy"),
            InitError::File { .. } => (Exit::Unavailable, "file"),
            InitError::LogMissing { .. } | InitError::OtherLogKey => (Exit::Damaged, "log"),
            InitError::Unfinished { .. } => (Exit::Damaged, "unfinished"),
            InitError::HostName { .. } => (Exit::Usage, "host-name"),
            InitError::OtherDomain { .. } => (Exit::Usage, "other-domain"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_outbox_or_several_are_configured() {
        let outboxes = |line: &str| {
            let text = format!("store = \"fjall:store\"\nsealer = \"sealer\"\npolicy_arc = \"1.3.6.1.4.1.32473\"\n{line}\n[listen]\nsmtp = \"127.0.0.1:1\"\nimap = \"127.0.0.1:2\"\nimaps = \"127.0.0.1:3\"\nhttp = \"127.0.0.1:4\"\n");
            toml::from_str::<Configuration>(&text).map(|read| read.outbox.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(outboxes("").unwrap(), Vec::<String>::new());
        assert_eq!(outboxes("outbox = \"/a\"").unwrap(), ["/a"]);
        assert_eq!(outboxes("outbox = [\"/a\", \"/b\"]").unwrap(), ["/a", "/b"]);
        assert!(outboxes("outbox = 1").is_err());
    }
}
