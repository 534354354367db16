//! Founding a hierarchy, once; and opening the one that stands.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::{Evidence, EvidenceError, LogSigner};
use keys::{KeyError, KeyHandle, KeyStore, Passphrase, PinError, Token, TokenError};
use pki::signer::SignatureAlgorithm;
use policies::authority::RegistryRule;
use policies::certificate::HostName;
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::state::{StateDir, StateError};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key, Store};

use crate::administration::Administration;
use crate::authority::{Addresses, Authority, Issuer, ROOT};
pub use crate::documents::ReadPolicies;
use crate::documents::{Documents, DocumentsError};
use crate::flow::{Authorised, issue, listing, own, publish, revoke, take_over};
use crate::in_force::{self, InForce};
use crate::own_name::{self, OwnNames};
use crate::issuers::{Birthplace, Issuers};
use crate::problem::IssueError;
use crate::record::{IssuerRecord, OcspSigner, Scope, Settings, decode, encode, log};
use crate::registry::{FileRegistry, NoRegistry, Registry, RegistryConfiguration, RegistryError};
use crate::steady::Steady;
use crate::time_source::TimeSource;
use crate::token::TokenConfiguration;

/// The issuing authorities and their names in the city's certificates.
const ISSUERS: [(&str, &str); 4] = [("enterprise-ca", "穗印企业证书签发机构"), ("officer-ca", "穗印政务证书签发机构"), ("tls-ca", "穗印服务器证书签发机构"), ("citizen-ca", "穗印市民证书签发机构")];
/// The one that certifies citizens, by their mailboxes.
pub(crate) const CITIZENS: &str = "citizen-ca";
const ROOT_NAME: &str = "穗印根证书机构";
pub(crate) const LOG_KEY: &str = "log";
/// Stands in the directory from before the first key until the hierarchy is whole and its log's head signed.
const FOUNDING: &str = "founding";
/// Stands in the directory from before the first file of a backup until all is restored and the log's head signed.
pub(crate) const RESTORING: &str = "restoring";
/// What founding and restoring make, and all that beginning anew takes away.
const MADE: [&str; 7] = ["ca.toml", "policies", "root-keys", "keys", "blocked-keys", "store", "log-head"];

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

/// Whether a whole authority stands in `path`; one whose founding was cut off does not count.
pub fn stands(path: &Path) -> bool {
    path.join("ca.toml").exists() && !path.join(FOUNDING).exists() && !path.join(RESTORING).exists()
}

/// The directory of a new authority: a new or empty one, or one whose founding or restoring, as `marker` says, was cut
/// off. Nothing in such a one was ever shown to anybody, since `open` refuses it, so it goes and everything is made anew.
pub(crate) fn place(path: &Path, marker: &str) -> Result<StateDir, InitError> {
    let marker = path.join(marker);
    let directory = match StateDir::create(path) {
        Err(StateError::NotEmpty { .. }) if marker.exists() => {
            let directory = StateDir::open(path)?;
            for entry in fs::read_dir(path).map_err(|error| file_error(path, &error))? {
                let entry = entry.map_err(|error| file_error(path, &error))?;
                remove_made(&entry).map_err(|error| file_error(&entry.path(), &error))?;
            }
            directory
        }
        other => other?,
    };
    let made = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&marker).and_then(|file| file.sync_all());
    made.and_then(|()| fs::File::open(path)?.sync_all()).map_err(|error| file_error(&marker, &error))?;
    Ok(directory)
}

fn remove_made(entry: &fs::DirEntry) -> std::io::Result<()> {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let half_written = name.starts_with('.') && name.ends_with(".new");
    if !(MADE.contains(&name.as_ref()) || half_written || name.ends_with(".pem")) {
        return Ok(());
    }
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

/// Makes the hierarchy in `path`: offline root, issuing authorities, an OCSP signer for each, the root's CRL.
pub fn init(path: &Path, base_url: &str, listen: std::net::SocketAddr, root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    init_with(path, base_url, Configuration::new(listen), root, passphrase, clock)
}

/// As [`init`], with the issuing keys where `configuration` says.
pub fn init_with(path: &Path, base_url: &str, configuration: Configuration, root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    init_bound(path, base_url, configuration, &[], root, passphrase, clock)
}

/// As [`init_with`], with the authority that certifies citizens bound to mailboxes of these domains.
pub fn init_bound(path: &Path, base_url: &str, configuration: Configuration, mail_domains: &[HostName], root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    let base_url = base(base_url)?;
    let token = configuration.token.as_ref().map(TokenConfiguration::open).transpose()?;
    let text = toml::to_string(&configuration).map_err(|error| InitError::File { path: path.join("ca.toml"), reason: error.to_string() })?;
    let directory = place(path, FOUNDING)?;
    write(&path.join("ca.toml"), text.as_bytes())?;
    let documents = Documents::shipped();
    documents.write_over(&path.join("policies"), &Documents::default())?;
    let ReadPolicies { certificates: policies, rules, practice_statement, .. } = documents.judge()?;
    let root_keys = KeyStore::create(&path.join("root-keys"), root)?;
    let keys = Arc::new(KeyStore::create(&path.join("keys"), passphrase)?);
    let store = store::open(&configuration.store, path).map_err(IssueError::from)?;
    let host = base_url.split_once("://").map_or(base_url.as_str(), |(_, host)| host);
    let signer = LogSigner { origin: format!("{host}/ca"), key: keys.note_key(LOG_KEY)? };
    let settings = Settings { base_url, log_origin: signer.origin.clone(), log_key: signer.verifier()?.to_string(), earlier_logs: Vec::new() };
    let root_key = root_keys.generate(ROOT, SignatureAlgorithm::EcdsaP384Sha384)?;
    let mut authority = Authority {
        addresses: Addresses::new(&settings),
        store: Arc::clone(&store),
        clock,
        settings,
        policies,
        rules,
        key_lists: Arc::default(),
        own_names: Arc::new(OwnNames::open(&keys)?),
        registry: Arc::new(NoRegistry),
        issuers: Issuers::born_in(Birthplace { keys: Arc::clone(&keys), token: token.clone() }),
        founding: Some(root_key.clone()),
        watchers: Vec::new(),
    };
    in_force::adopt(&authority, &documents, None, &[])?;
    let der = own::certify(&authority, "root", None, ROOT_NAME, &root_key)?;
    found(&mut authority, IssuerRecord { id: ROOT.into(), der, ocsp: None, token_key: None, generation: None }, Some(root_key), None)?;
    for (id, name) in ISSUERS {
        let (key, token_key) = match &token {
            None => (keys.generate(id, SignatureAlgorithm::EcdsaP256Sha256)?, None),
            Some(token) => {
                let made = token.generate(id, SignatureAlgorithm::EcdsaP256Sha256)?;
                (made.handle, Some(made.id))
            }
        };
        let der = own::certify_issuing(&authority, name, if id == CITIZENS { mail_domains } else { &[] }, &key)?;
        found(&mut authority, IssuerRecord { id: id.into(), der: der.clone(), ocsp: None, token_key: token_key.clone(), generation: None }, Some(key.clone()), None)?;
        let ocsp_name = format!("{id}-ocsp");
        let ocsp_key = keys.generate(&ocsp_name, SignatureAlgorithm::EcdsaP256Sha256)?;
        let ocsp = own::certify(&authority, "ocsp", Some(id), &format!("{name} OCSP"), &ocsp_key)?;
        let record = IssuerRecord { id: id.into(), der, ocsp: Some(OcspSigner { key: ocsp_name, der: ocsp }), token_key, generation: None };
        found(&mut authority, record, Some(key), Some(ocsp_key))?;
    }
    listing::note_partitions(&authority)?;
    for issuer in authority.issuers.values() {
        // Deltas come with the service: nothing has changed yet.
        for scope in publish::scopes(&authority, issuer)?.into_iter().filter(|scope| *scope != Scope::Delta) {
            publish::publish_scope(&authority, &Authorised::service(), issuer, scope)?;
        }
    }
    for issuer in authority.issuers.values() {
        let text = crate::service::pem("CERTIFICATE", &issuer.record.der);
        let file = certificate_file(path, issuer.id());
        runtime::state::write_atomically(&file, text.as_bytes(), 0o644).map_err(|error| file_error(&file, &error))?;
    }
    let settings = Batch::new().expect(Expectation::Absent(Settings::key())).put(Settings::key(), encode(&authority.settings).map_err(IssueError::from)?).put(own_names_mark(), authority.own_names.mark());
    store.commit(settings).map_err(IssueError::from)?;
    // From here on the root's key is offline.
    authority.founding = None;
    if let Some(root) = authority.issuers.remove(ROOT) {
        authority.issuers.insert(ROOT.to_owned(), Arc::new(Issuer::new(root.record.clone(), None, None)?));
    }
    let evidence = Arc::new(Evidence::open(store, signer, path)?);
    evidence.advance()?;
    // Last of all: with the mark the directory is one that was never founded to the end.
    finished(path, FOUNDING)?;
    Ok(Opened { authority, evidence, configuration, practice_statement, keys, token, directory })
}

/// Takes the mark away, durably.
pub(crate) fn finished(path: &Path, marker: &str) -> Result<(), InitError> {
    let marker = path.join(marker);
    fs::remove_file(&marker).and_then(|()| fs::File::open(path)?.sync_all()).map_err(|error| file_error(&marker, &error))
}

/// Where `init` puts an issuer's certificate, for people and their tools.
pub fn certificate_file(path: &Path, issuer: &str) -> PathBuf {
    path.join(format!("{issuer}.pem"))
}

/// Opens the authority in `path`, resumes what a crash interrupted, and refuses another base URL.
pub fn open(path: &Path, base_url: Option<&str>, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    open_at(path, base_url, passphrase, clock, false)
}

/// As `open`. With `clock_was_ahead` the log may have entries later than the present: that is recorded, and goes on.
pub fn open_at(path: &Path, base_url: Option<&str>, passphrase: &Passphrase, clock: Arc<dyn Clock>, clock_was_ahead: bool) -> Result<Opened, InitError> {
    let directory = StateDir::open(path)?;
    if path.join(FOUNDING).exists() {
        return Err(InitError::Unfinished { path: path.to_owned() });
    }
    if path.join(RESTORING).exists() {
        return Err(InitError::Unrestored { path: path.to_owned() });
    }
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
        append(&authority, log::Entry::ClockSetBack { newest: newest / 1_000 }, None)?;
    }
    if !in_force::is_read(&*authority.store, &digest)? {
        in_force::adopt(&authority, &documents, act, &brought)?;
    }
    let known = Key::new("authority", &[b"key-lists"]);
    let before = authority.store.get(&known).map_err(IssueError::from)?;
    // An authority without lists never had any to speak of.
    if before.as_deref() != Some(lists.digest.as_bytes()) && (before.is_some() || !authority.key_lists.is_empty()) {
        let entry = log::Entry::KeyListsRead { keys: authority.key_lists.len() as u64, sha256: &lists.digest };
        append(&authority, entry, Some((known, lists.digest.as_bytes().to_vec())))?;
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

/// Makes an issuer known, durably and in the log.
fn found(authority: &mut Authority, record: IssuerRecord, key: Option<KeyHandle>, ocsp_key: Option<KeyHandle>) -> Result<(), InitError> {
    let (entry_digest, bytes) = (crate::sha256_hex(&record.der), encode(&record).map_err(IssueError::from)?);
    append(authority, log::Entry::IssuerCreated { issuer: &record.id, sha256: &entry_digest }, Some((IssuerRecord::key(&record.id), bytes)))?;
    let issuer = Issuer::new(record, key, ocsp_key)?;
    authority.issuers.insert(issuer.id().to_owned(), Arc::new(issuer));
    Ok(())
}

fn append(authority: &Authority, entry: log::Entry<'_>, put: Option<(Key, Vec<u8>)>) -> Result<(), IssueError> {
    let mut batch = Batch::new();
    if let Some((key, value)) = put {
        batch = batch.put(key, value);
    }
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

fn own_names_mark() -> Key {
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
    Ok(issuers)
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
            InitError::Unfinished { .. } | InitError::Unrestored { .. } => (Exit::Conflict, "unfinished"),
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
