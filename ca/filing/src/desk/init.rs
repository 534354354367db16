//! Founding a desk, once; and opening the one that stands.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidence::{Evidence, EvidenceError, LogSigner};
use keys::{KeyError, KeyStore, Passphrase};
use pki::path::Anchors;
use policies::PolicyError;
use policies::certificate::Arc as PolicyArc;
use runtime::clock::Clock;
use runtime::config::ConfigError;
use runtime::exit::{Exit, Problem};
use runtime::state::{StateDir, StateError};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation};
use tokio::runtime::Handle;

use super::outside::{Network, Outside};
use super::policy::{self, Policies};
use super::problem::DeskError;
use super::record::RecordError;
use super::record::filing::Said;
use super::record::plain;
use super::record::settings::Settings;
use super::tls::{self, CertificateError};
use super::{Desk, flow};

pub const CONFIGURATION: &str = "desk.toml";
const ANCHORS: &str = "anchors";
const ROOT: &str = "root.pem";
const ATTACHMENTS: &str = "attachments";
const LOG_KEY: &str = "log";

/// `desk.toml`: what may change from one start to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// `fjall:DIRECTORY` or `sled:DIRECTORY`, relative to the state directory. sled takes no filing above 4 KiB.
    pub store: String,
    /// The arc that the CA's policies stand under.
    pub policy_arc: String,
    /// How receipts say that they can be asked for, such as `https://desk.example.cn`.
    pub base_url: String,
    /// Where timestamps are asked for.
    pub timestamp: String,
    pub listen: Listen,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Enterprises: TLS.
    pub https: SocketAddr,
    /// `/healthz` and `/metrics` for the operator.
    pub http: SocketAddr,
}

/// What `filing desk init` is told.
pub struct Founding<'a> {
    pub host: &'a str,
    pub configuration: Configuration,
    /// PEM: the roots under which enterprises are believed.
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
    Desk(#[from] DeskError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{path}: {reason}; check the directory", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} is missing; begin with the one that comes with the program", path = path.display())]
    MissingPolicy { path: PathBuf },
    #[error("{path} was never founded to the end; remove it and run `filing desk init` again", path = path.display())]
    Unfinished { path: PathBuf },
    #[error("policies/desk/bureaus.toml and the kinds disagree on {kind} at {bureau}: {reason}; correct one of them and start again")]
    Disagree { bureau: String, kind: String, reason: String },
    #[error("{found:?} is no name or address of a host; write it as in desk.example.cn")]
    Host { found: String },
    #[error("the anchors in {path} cannot be used: {reason}; put the PEM files of roots there", path = path.display())]
    Anchors { path: PathBuf, reason: String },
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

impl From<InitError> for Problem {
    fn from(error: InitError) -> Self {
        let (exit, code) = match error {
            InitError::State(error) => return error.into(),
            InitError::Config(error) => return error.into(),
            InitError::Evidence(error) => return error.into(),
            InitError::Desk(error) => return error.into(),
            InitError::Certificate(error) => return error.into(),
            InitError::Keys(ref error) => super::problem::key_class(error),
            InitError::Record(_) | InitError::Store(store::StoreError::Corrupt { .. }) => (Exit::Damaged, "store-damaged"),
            InitError::Store(_) | InitError::Commit(_) => (Exit::Unavailable, "store-unavailable"),
            InitError::Policy(_) | InitError::MissingPolicy { .. } | InitError::Disagree { .. } => (Exit::Usage, "policy"),
            InitError::File { .. } => (Exit::Unavailable, "file"),
            InitError::Anchors { .. } => (Exit::Usage, "anchors"),
            InitError::LogMissing { .. } | InitError::OtherLogKey => (Exit::Damaged, "log"),
            InitError::Unfinished { .. } => (Exit::Damaged, "unfinished"),
            InitError::Host { .. } => (Exit::Usage, "host-name"),
        };
        super::problem::told(exit, code, &error.to_string())
    }
}

/// A desk with the lock on its directory.
pub struct Opened {
    pub desk: Arc<Desk>,
    pub evidence: Arc<Evidence>,
    pub configuration: Configuration,
    /// Every bureau's roots, DER.
    pub roots: Vec<Vec<u8>>,
    pub directory: StateDir,
}

/// Makes the desk in `path`: configuration, anchors, policies, keys, log, settings.
pub fn init(path: &Path, founding: &Founding<'_>, passphrase: &Passphrase, clock: Arc<dyn Clock>, outside: impl FnOnce(&Configuration, &Policies) -> Arc<dyn Outside>) -> Result<Opened, InitError> {
    let host = host(founding.host)?;
    let arc = arc(&founding.configuration)?;
    tls::chain(founding.anchors)?;
    let directory = StateDir::create(path)?;
    for below in [ANCHORS, ATTACHMENTS] {
        let below = path.join(below);
        std::fs::create_dir(&below).map_err(|error| InitError::file(&below, &error))?;
    }
    write(&path.join(ANCHORS).join(ROOT), founding.anchors)?;
    policy::ship(&path.join(policy::DIRECTORY))?;
    let policies = policy::read(&path.join(policy::DIRECTORY), arc)?;
    let keys = KeyStore::create(&path.join("keys"), passphrase)?;
    let store = store::open(&founding.configuration.store, path)?;
    let signer = LogSigner { origin: format!("{host}/filing"), key: keys.note_key(LOG_KEY)? };
    let settings = Settings { host, log_origin: signer.origin.clone(), log_key: signer.verifier()?.to_string() };
    store.commit(Batch::new().expect(Expectation::Absent(Settings::key())).put(Settings::key(), settings.encode()?).put(Said::newest_alone(), plain(&[])))?;
    let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, path)?);
    policy::note(&*store, &policies, clock.now())?;
    evidence.advance()?;
    // Last of all: without its configuration a directory is one that was never founded to the end.
    let text = toml::to_string(&founding.configuration).map_err(|error| InitError::File { path: path.join(CONFIGURATION), reason: error.to_string() })?;
    write(&path.join(CONFIGURATION), text.as_bytes())?;
    assembled(path, founding.configuration.clone(), directory, Founded { store, keys, settings, policies, evidence }, clock, outside)
}

/// Opens the desk in `path`.
pub fn open(path: &Path, passphrase: &Passphrase, clock: Arc<dyn Clock>, outside: impl FnOnce(&Configuration, &Policies) -> Arc<dyn Outside>) -> Result<Opened, InitError> {
    let directory = StateDir::open(path)?;
    let configuration: Configuration = runtime::config::read(&path.join(CONFIGURATION))?;
    policy::ship_new(&path.join(policy::DIRECTORY))?;
    let policies = policy::read(&path.join(policy::DIRECTORY), arc(&configuration)?)?;
    let keys = KeyStore::open(&path.join("keys"), passphrase)?;
    let store = store::open(&configuration.store, path)?;
    let settings = store.get(&Settings::key())?.ok_or_else(|| InitError::Unfinished { path: path.to_owned() })?;
    let settings = Settings::decode(&settings)?;
    // The log before anything else: a store behind its promises accepts nothing.
    let missing = |what| InitError::LogMissing { path: path.to_owned(), what };
    if !keys.contains(LOG_KEY) {
        return Err(missing("key"));
    }
    if !path.join(evidence::HEAD).exists() {
        return Err(missing("signed head"));
    }
    let signer = LogSigner { origin: settings.log_origin.clone(), key: keys.note_key(LOG_KEY)? };
    if signer.verifier()?.to_string() != settings.log_key {
        return Err(InitError::OtherLogKey);
    }
    let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, path)?);
    policy::note(&*store, &policies, clock.now())?;
    evidence.advance()?;
    flow::attachment::sweep(&path.join(ATTACHMENTS)).map_err(|error| InitError::file(&path.join(ATTACHMENTS), &error))?;
    assembled(path, configuration, directory, Founded { store, keys, settings, policies, evidence }, clock, outside)
}

struct Founded {
    store: Arc<dyn store::Store>,
    keys: KeyStore,
    settings: Settings,
    policies: Policies,
    evidence: Arc<Evidence>,
}

fn assembled(path: &Path, configuration: Configuration, directory: StateDir, parts: Founded, clock: Arc<dyn Clock>, outside: impl FnOnce(&Configuration, &Policies) -> Arc<dyn Outside>) -> Result<Opened, InitError> {
    let Founded { store, keys, settings, policies, evidence } = parts;
    let (anchors, roots) = anchors(&path.join(ANCHORS), &policies)?;
    let outside = outside(&configuration, &policies);
    let base_url = configuration.base_url.trim_end_matches('/').to_owned();
    let parts = super::Parts { store, clock, settings, base_url, keys: Arc::new(keys), policies, anchors, outside, attachments: path.join(ATTACHMENTS) };
    let desk = Desk::new(parts)?;
    Ok(Opened { desk: Arc::new(desk), evidence, configuration, roots, directory })
}

/// What a running desk asks others by.
pub fn network(handle: Handle) -> impl FnOnce(&Configuration, &Policies) -> Arc<dyn Outside> {
    move |configuration, policies| {
        let patience = Duration::from_secs(policies.desk.limits.patience_seconds.into());
        Arc::new(Network::new(handle, configuration.timestamp.clone(), patience))
    }
}

/// The roots of each bureau, and all of them.
type Believed = (HashMap<String, Arc<Anchors>>, Vec<Vec<u8>>);

fn anchors(directory: &Path, policies: &Policies) -> Result<Believed, InitError> {
    let (mut by_bureau, mut all) = (HashMap::new(), BTreeSet::new());
    for bureau in policies.desk.bureaus() {
        let mut roots = Vec::new();
        for name in &bureau.anchors {
            let path = directory.join(name);
            let refused = |reason: String| InitError::Anchors { path: path.clone(), reason };
            let pem = std::fs::read(&path).map_err(|error| refused(error.to_string()))?;
            roots.extend(tls::chain(&pem).map_err(|error| refused(error.to_string().replace("; ", ", ")))?.certificates().map(<[u8]>::to_vec));
        }
        let anchors = Anchors::new(&roots).map_err(|error| InitError::Anchors { path: directory.to_owned(), reason: error.to_string() })?;
        all.extend(roots);
        by_bureau.insert(bureau.code.as_str().to_owned(), Arc::new(anchors));
    }
    Ok((by_bureau, all.into_iter().collect()))
}

fn arc(configuration: &Configuration) -> Result<PolicyArc, PolicyError> {
    PolicyArc::parse(CONFIGURATION, &format!("arc = {:?}", configuration.policy_arc))
}

/// A DNS name or an address. spec: rfc1123#2.1
fn host(text: &str) -> Result<String, InitError> {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(InitError::Host { found: text.chars().take(80).collect() });
    }
    Ok(text.to_ascii_lowercase())
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    runtime::state::write_atomically(path, bytes, 0o600).map_err(|error| InitError::file(path, &error))
}
