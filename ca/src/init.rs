//! Opening the authority that stands in a directory, and what its configuration says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::{Evidence, EvidenceError, LogSigner};
use keys::{KeyError, KeyStore, Passphrase, PinError, Token, TokenError};
use policies::authority::RegistryRule;
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::state::{StateDir, StateError};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key, Store};

use crate::administration::Administration;
use crate::authority::{Addresses, Authority, Issuer, ROOT};
pub use crate::documents::ReadPolicies;
use crate::documents::{Documents, DocumentsError};
use crate::flow::{issue, listing, own, revoke, take_over};
pub use crate::founding::{certificate_file, init, init_bound, init_with, stands};
use crate::founding::{FOUNDING, WAITING};
pub(crate) use crate::founding::{CITIZENS, RESTORING, finished, place};
use crate::in_force::{self, InForce};
use crate::own_name::{self, OwnNames};
use crate::issuers::{BirthError, Birthplace, Issuers};
use crate::problem::IssueError;
use crate::record::{IssuerRecord, PublishedRoot, Settings, decode, log};
use crate::registry::{FileRegistry, NoRegistry, Registry, RegistryConfiguration, RegistryError};
use crate::steady::Steady;
use crate::time_source::TimeSource;
use crate::token::TokenConfiguration;

pub(crate) const LOG_KEY: &str = "log";

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error("the key of {issuer} is in a token and ca.toml names none; write its [token] table again")]
    NoToken { issuer: String },
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error(transparent)]
    Policy(#[from] policies::PolicyError),
    #[error(transparent)]
    Config(#[from] runtime::config::ConfigError),
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    #[error("officers approve what changes in the policies, and these in {path} are not as they were accepted: {}; propose them from a directory of their own with `ca policy propose`, and move {path} away to go on as before", places.join(", "), path = path.display())]
    NotAccepted { path: PathBuf, places: Vec<String> },
    #[error("{path}: {reason}; check the directory", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the authority in {path} was never founded to the end; run `ca init` again, which begins anew", path = path.display())]
    Unfinished { path: PathBuf },
    #[error("the keys in {path} wait for the certificates of a ceremony; take in what it made with `ca hierarchy install`, or, to give them up for ever, remove the directory", path = path.display())]
    Awaiting { path: PathBuf },
    #[error("the keys in {path} were made for an authority of another address, or with other settings; ask with the same words as before, or, to give the keys up for ever, remove the directory", path = path.display())]
    OtherRequest { path: PathBuf },
    #[error("the authority in {path} was never restored to the end; run `ca restore` again, which begins anew", path = path.display())]
    Unrestored { path: PathBuf },
    #[error("{what}; mend the documents in policies")]
    Unmatched { what: String },
    #[error("the log's {what} is missing in {path}; restore the whole directory from one backup", path = path.display())]
    LogMissing { path: PathBuf, what: &'static str },
    #[error("the log's key is not the one this authority was founded with; restore the whole directory from one backup")]
    OtherLogKey,
    #[error("the key that made the log's tags of own names is missing or another one; restore the whole directory from one backup")]
    OwnNameKey,
    // Addresses inside certificates are plain http: fetching them must not need a certificate to be judged first.
    #[error("{found:?} is no base URL; write http://HOST[:PORT] without a path")]
    BaseUrl { found: String },
    #[error("this authority was founded as {founded} and its certificates say so; start it without --base-url, or found another in another directory")]
    OtherBaseUrl { founded: String },
    #[error("orders.toml requires a registry and ca.toml names none; write a [registry] table with its file")]
    NoRegistry,
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    KeyLists(#[from] crate::key_lists::ReadError),
    #[error(transparent)]
    Own(#[from] own::OwnError),
}

/// `ca.toml`: what may change from one start to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Where the public side listens, such as `127.0.0.1:8440`.
    pub listen: std::net::SocketAddr,
    /// `fjall:DIRECTORY`.
    pub store: String,
    /// Where the issuing keys are, when not in the key store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenConfiguration>,
    /// Where officers call from other machines; nowhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administration: Option<Administration>,
    /// Who vouches for the clock that timestamps tell; the kernel when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimeSource>,
    /// Where enterprises are looked up, when there is a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryConfiguration>,
    /// Where a mail gateway of another user collects notices; without it, one of this user does at `outbox.sock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxPlace>,
}

impl Configuration {
    pub fn new(listen: std::net::SocketAddr) -> Self {
        Self { listen, store: "fjall:store".into(), token: None, administration: None, timestamp: None, registry: None, outbox: None }
    }

    /// As `ca.toml` of a directory.
    pub(crate) fn write(&self, path: &Path) -> Result<(), InitError> {
        let file = path.join("ca.toml");
        let text = toml::to_string(self).map_err(|error| InitError::File { path: file.clone(), reason: error.to_string() })?;
        write(&file, text.as_bytes())
    }
}

/// A socket outside the state directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxPlace {
    pub socket: PathBuf,
    /// The number of the gateway's user.
    pub user: u32,
}

/// An authority with its evidence, and the lock on its directory.
pub struct Opened {
    pub authority: Authority,
    pub evidence: Arc<Evidence>,
    pub configuration: Configuration,
    /// The text served at `/cps`.
    pub practice_statement: String,
    /// The issuing keys' store, where new OCSP signers get theirs.
    pub keys: Arc<KeyStore>,
    pub token: Option<Token>,
    pub directory: StateDir,
}

pub(crate) fn file_error(path: &Path, error: &std::io::Error) -> InitError {
    InitError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Opens the authority in `path`, resumes what a crash interrupted, and refuses another base URL.
pub fn open(path: &Path, base_url: Option<&str>, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    open_at(path, base_url, passphrase, clock, false)
}

/// As `open`. With `clock_was_ahead` the log may have entries later than the present: that is recorded, and goes on.
pub fn open_at(path: &Path, base_url: Option<&str>, passphrase: &Passphrase, clock: Arc<dyn Clock>, clock_was_ahead: bool) -> Result<Opened, InitError> {
    let directory = StateDir::open(path)?;
    if path.join(FOUNDING).exists() && path.join(WAITING).exists() {
        return Err(InitError::Awaiting { path: path.to_owned() });
    }
    if path.join(FOUNDING).exists() {
        return Err(InitError::Unfinished { path: path.to_owned() });
    }
    if path.join(RESTORING).exists() {
        return Err(InitError::Unrestored { path: path.to_owned() });
    }
    // Where a founding was cut off at its very end.
    crate::founding::forget_waiting(path);
    let configuration: Configuration = runtime::config::read(&path.join("ca.toml"))?;
    let lists = crate::key_lists::read(&path.join(crate::key_lists::DIRECTORY))?;
    let keys = Arc::new(KeyStore::open(&path.join("keys"), passphrase)?);
    let token = configuration.token.as_ref().map(TokenConfiguration::open).transpose()?;
    let store = store::open(&configuration.store, path).map_err(IssueError::from)?;
    let steady = Steady::new(store, Arc::clone(&clock)).map_err(IssueError::from)?;
    let newest = if clock_was_ahead { steady.set_back() } else { None };
    let store: Arc<dyn Store> = Arc::new(steady);
    // What was accepted, not what lies in the directory, where officers have a say in it.
    let InForce { documents, read: ReadPolicies { certificates: policies, rules, practice_statement, digest }, act, brought } = in_force::read(&*store, &path.join("policies"))?;
    let registry: Arc<dyn Registry> = match &configuration.registry {
        Some(registry) => Arc::new(FileRegistry::open(&path.join(&registry.file))?),
        None if rules.orders.registry == RegistryRule::Required => return Err(InitError::NoRegistry),
        None => Arc::new(NoRegistry),
    };
    let settings = store.get(&Settings::key()).map_err(IssueError::from)?.ok_or(IssueError::Damaged { what: "the settings" })?;
    let settings: Settings = decode(&settings).map_err(|_| IssueError::Damaged { what: "the settings" })?;
    if base_url.is_some_and(|asked| asked.trim_end_matches('/') != settings.base_url) {
        return Err(InitError::OtherBaseUrl { founded: settings.base_url });
    }
    // The log before anything else: a store behind its promises issues nothing.
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
    let own_names = Arc::new(own_names(&*store, &keys)?);
    let mut issuers = read_issuers(&*store, &keys, token.as_ref())?;
    issuers.birthplace = Some(Birthplace { keys: Arc::clone(&keys), token: token.clone() });
    let authority = Authority { addresses: Addresses::new(&settings), store, clock, settings, policies, rules, key_lists: Arc::new(lists.keys), own_names, registry, issuers, founding: None, watchers: Vec::new() };
    // Configuration is judged whole before anything is done with it.
    if let Some(what) = authority.unmatched().into_iter().next() {
        return Err(InitError::Unmatched { what });
    }
    for what in authority.dormant() {
        tracing::warn!("{what}; `ca issuer request` and a ceremony found the authority");
    }
    if let Some(newest) = newest {
        append(&authority, Batch::new(), log::Entry::ClockSetBack { newest: newest / 1_000 })?;
    }
    if !in_force::is_read(&*authority.store, &digest)? {
        in_force::adopt(&authority, &documents, act, &brought)?;
    }
    let known = Key::new("authority", &[b"key-lists"]);
    let before = authority.store.get(&known).map_err(IssueError::from)?;
    // An authority without lists never had any to speak of.
    if before.as_deref() != Some(lists.digest.as_bytes()) && (before.is_some() || !authority.key_lists.is_empty()) {
        let entry = log::Entry::KeyListsRead { keys: authority.key_lists.len() as u64, sha256: &lists.digest };
        append(&authority, Batch::new().put(known, lists.digest.as_bytes().to_vec()), entry)?;
    }
    // Before the first certificate is put into one: what was named once is published for good.
    listing::note_partitions(&authority)?;
    issue::resume(&authority)?;
    revoke::resume(&authority)?;
    // A generation that was taken in and whose token is away waits for the service's jobs.
    if let Err(error) = take_over::resume(&authority) {
        tracing::warn!(%error, "a new generation cannot take over yet");
    }
    evidence.advance()?;
    Ok(Opened { authority, evidence, configuration, practice_statement, keys, token, directory })
}

pub(crate) fn base(text: &str) -> Result<String, InitError> {
    let refused = || InitError::BaseUrl { found: text.chars().take(200).collect() };
    let trimmed = text.trim_end_matches('/');
    let host = trimmed.strip_prefix("http://").ok_or_else(refused)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let named = host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    if !named || host.len() > 200 || !host.bytes().all(fits) { Err(refused()) } else { Ok(trimmed.to_owned()) }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).and_then(|()| runtime::state::write_atomically(path, bytes, 0o600)).map_err(|error| file_error(path, &error))
}

/// The policies as they stand in a directory.
pub fn read_policies(path: &Path) -> Result<ReadPolicies, InitError> {
    Ok(Documents::read(path)?.judge()?)
}

/// A commit with its log entry.
pub(crate) fn append(authority: &Authority, mut batch: Batch, entry: log::Entry<'_>) -> Result<(), IssueError> {
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    authority.store.commit(batch)?;
    Ok(())
}

/// With the key that made the tags so far: another one, after a restore in part, would make holders blind.
fn own_names(store: &dyn Store, keys: &KeyStore) -> Result<OwnNames, InitError> {
    let place = own_names_mark();
    let before = store.get(&place).map_err(IssueError::from)?;
    if before.is_some() && !keys.contains(own_name::KEY) {
        return Err(InitError::OwnNameKey);
    }
    let names = OwnNames::open(keys)?;
    match before {
        Some(mark) if mark == names.mark() => Ok(names),
        Some(_) => Err(InitError::OwnNameKey),
        // An authority from before there were tags.
        None => {
            store.commit(Batch::new().expect(Expectation::Absent(place.clone())).put(place, names.mark())).map_err(IssueError::from)?;
            Ok(names)
        }
    }
}

pub(crate) fn own_names_mark() -> Key {
    Key::new("authority", &[b"own-names"])
}

/// Each issuer with its key from where its record says it is.
fn read_issuers(store: &dyn Store, keys: &KeyStore, token: Option<&Token>) -> Result<Issuers, InitError> {
    let (from, to) = Key::range(IssuerRecord::TABLE, &[]);
    let mut issuers = Issuers::default();
    for (_, bytes) in store.scan(&from, &to, 1_000).map_err(IssueError::from)? {
        let record: IssuerRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "an issuer" })?;
        let key = if record.id == ROOT || record.token_key.is_some() { None } else { Some(keys.load(&record.id)?) };
        let ocsp_key = record.ocsp.as_ref().map(|ocsp| keys.load(&ocsp.key)).transpose()?;
        let mut issuer = Issuer::new(record, key, ocsp_key)?;
        if let Some(id) = &issuer.record.token_key {
            let token = token.ok_or_else(|| InitError::NoToken { issuer: issuer.id().to_owned() })?;
            issuer.key = Some(token.key(issuer.id(), id, issuer.algorithm()?, &issuer.public_key_info)?);
        }
        issuers.insert(issuer.id().to_owned(), Arc::new(issuer));
    }
    // Roots of later generations stand beside what leads to them.
    let (from, to) = Key::range(PublishedRoot::TABLE, &[]);
    for (_, bytes) in store.scan(&from, &to, 1_000).map_err(IssueError::from)? {
        let published: PublishedRoot = decode(&bytes).map_err(|_| IssueError::Damaged { what: "a root" })?;
        if let Some(root) = published.issuer() {
            issuers.insert(root.id.clone(), Arc::new(Issuer::new(root, None, None)?));
        }
    }
    Ok(issuers)
}

impl From<BirthError> for InitError {
    fn from(error: BirthError) -> Self {
        match error {
            BirthError::Keys(error) => error.into(),
            BirthError::Token(error) => error.into(),
        }
    }
}

impl From<InitError> for Problem {
    fn from(error: InitError) -> Self {
        let (exit, code) = match error {
            InitError::State(error) => return error.into(),
            InitError::Config(error) => return error.into(),
            InitError::Issue(error) => return error.into(),
            InitError::Evidence(error) => return error.into(),
            InitError::Keys(KeyError::WrongPassphrase | KeyError::Mode { .. }) => (Exit::Denied, "keys"),
            InitError::Keys(KeyError::Damaged { .. }) => (Exit::Damaged, "keys"),
            InitError::Keys(KeyError::Exists { .. }) => (Exit::Conflict, "keys"),
            InitError::Keys(_) => (Exit::Unavailable, "keys"),
            InitError::Token(TokenError::PinRefused { .. }) | InitError::Pin(_) => (Exit::Denied, "token"),
            InitError::Token(_) | InitError::NoToken { .. } => (Exit::Unavailable, "token"),
            InitError::Policy(_) | InitError::Documents(_) | InitError::Unmatched { .. } => (Exit::Usage, "policy"),
            InitError::NotAccepted { .. } => (Exit::Refused, "policies-not-accepted"),
            InitError::KeyLists(_) => (Exit::Usage, "key-lists"),
            InitError::NoRegistry | InitError::Registry(_) => (Exit::Usage, "registry"),
            InitError::BaseUrl { .. } | InitError::OtherBaseUrl { .. } => (Exit::Usage, "base-url"),
            InitError::OwnNameKey => (Exit::Damaged, "own-name"),
            InitError::Unfinished { .. } | InitError::Unrestored { .. } | InitError::Awaiting { .. } | InitError::OtherRequest { .. } => (Exit::Conflict, "unfinished"),
            InitError::LogMissing { .. } | InitError::OtherLogKey => (Exit::Damaged, "log"),
            InitError::File { .. } => (Exit::Unavailable, "file"),
            InitError::Own(own::OwnError::Issue(error)) => return error.into(),
            InitError::Own(own::OwnError::Keys(error)) => return InitError::Keys(error).into(),
            InitError::Own(_) => (Exit::Internal, "request"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
