//! Founding an authority. For a laptop one command does it (`here`). Where the root's key has a machine of its own there are
//! three steps: `request` makes the issuing keys and asks for their certificates, a ceremony makes the root and signs, and
//! `install` takes in what it made.
//!
//! The directory is marked from before its first file until all is there and the log's head is signed: one that is marked
//! serves nothing and nobody ever saw anything of it.

mod here;
pub mod install;
pub mod request;

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::{Evidence, LogSigner};
use keys::{KeyHandle, KeyStore, Token};
use runtime::clock::Clock;
use runtime::state::{StateDir, StateError};
use store::{Batch, Expectation, Store};

use crate::authority::{Addresses, Authority, Issuer};
use crate::documents::{Documents, ReadPolicies};
use crate::flow::{Authorised, listing, own, publish};
use crate::in_force;
use crate::init::{Configuration, InitError, LOG_KEY, Opened, append, file_error, own_names_mark};
use crate::issuers::{Birthplace, Issuers};
use crate::own_name::OwnNames;
use crate::problem::IssueError;
use crate::record::{IssuerRecord, OcspSigner, Scope, Settings, encode, log};
use crate::registry::NoRegistry;

pub use here::{init, init_bound, init_with};

/// The issuing authorities and their names in the city's certificates.
const ISSUERS: [(&str, &str); 4] = [("enterprise-ca", "穗印企业证书签发机构"), ("officer-ca", "穗印政务证书签发机构"), ("tls-ca", "穗印服务器证书签发机构"), ("citizen-ca", "穗印市民证书签发机构")];
/// The one that certifies citizens, by their mailboxes.
pub(crate) const CITIZENS: &str = "citizen-ca";
const ROOT_NAME: &str = "穗印根证书机构";
/// Stands in the directory from before the first key until the hierarchy is whole and its log's head signed.
pub(crate) const FOUNDING: &str = "founding";
/// Stands in the directory from before the first file of a backup until all is restored and the log's head signed.
pub(crate) const RESTORING: &str = "restoring";
/// Whose keys wait for the certificates of a ceremony. Beginning anew never takes it away.
pub(crate) const WAITING: &str = "founding-request.json";
/// What founding and restoring make, and all that beginning anew takes away.
const MADE: [&str; 7] = ["ca.toml", "policies", "root-keys", "keys", "blocked-keys", "store", "log-head"];

/// Whether a whole authority stands in `path`; one whose founding was cut off does not count.
pub fn stands(path: &Path) -> bool {
    path.join("ca.toml").exists() && !path.join(FOUNDING).exists() && !path.join(RESTORING).exists()
}

/// The directory of a new authority: a new or empty one, or one whose founding or restoring, as `marker` says, was cut
/// off. Nothing in such a one was ever shown to anybody, since `open` refuses it, so it goes and everything is made anew; but
/// not once requests for its keys were handed out.
pub(crate) fn place(path: &Path, marker: &str) -> Result<StateDir, InitError> {
    let marker = path.join(marker);
    let directory = match StateDir::create(path) {
        Err(StateError::NotEmpty { .. }) if request::waits(path) => return Err(InitError::Awaiting { path: path.to_owned() }),
        Err(StateError::NotEmpty { .. }) if marker.exists() => {
            let directory = StateDir::open(path)?;
            unmade(path, &MADE)?;
            directory
        }
        other => other?,
    };
    let made = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&marker).and_then(|file| file.sync_all());
    made.and_then(|()| fs::File::open(path)?.sync_all()).map_err(|error| file_error(&marker, &error))?;
    Ok(directory)
}

/// Takes away what an attempt that was cut off made: these, half-written files and certificates.
fn unmade(path: &Path, made: &[&str]) -> Result<(), InitError> {
    for entry in fs::read_dir(path).map_err(|error| file_error(path, &error))? {
        let entry = entry.map_err(|error| file_error(path, &error))?;
        remove_made(&entry, made).map_err(|error| file_error(&entry.path(), &error))?;
    }
    Ok(())
}

fn remove_made(entry: &fs::DirEntry, made: &[&str]) -> std::io::Result<()> {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let half_written = name.starts_with('.') && name.ends_with(".new");
    if !(made.contains(&name.as_ref()) || half_written || name.ends_with(".pem")) {
        return Ok(());
    }
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

/// Takes the mark away, durably.
pub(crate) fn finished(path: &Path, marker: &str) -> Result<(), InitError> {
    let marker = path.join(marker);
    fs::remove_file(&marker).and_then(|()| fs::File::open(path)?.sync_all()).map_err(|error| file_error(&marker, &error))
}

/// Takes away what a founding waited for, once it has ended: nothing is decided by it any more, and without the mark it says that keys
/// wait, to nobody.
pub(crate) fn forget_waiting(path: &Path) {
    match fs::remove_file(path.join(WAITING)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = WAITING, "what the founding waited for could not be removed; remove it by hand");
        }
        _ => {}
    }
}

/// Where founding puts an issuer's certificate, for people and their tools.
pub fn certificate_file(path: &Path, issuer: &str) -> PathBuf {
    path.join(format!("{issuer}.pem"))
}

/// Where the keys are of an authority that is being founded, and how it is called.
struct Ground {
    base_url: String,
    keys: Arc<KeyStore>,
    token: Option<Token>,
    clock: Arc<dyn Clock>,
}

impl Ground {
    fn birthplace(&self) -> Birthplace {
        Birthplace { keys: Arc::clone(&self.keys), token: self.token.clone() }
    }
}

/// An authority that is being founded: nobody is certified yet.
struct Begun {
    authority: Authority,
    store: Arc<dyn Store>,
    signer: LogSigner,
    practice_statement: String,
}

/// Over a new store that knows its policies.
fn begin(path: &Path, configuration: &Configuration, ground: &Ground, documents: &Documents) -> Result<Begun, InitError> {
    let Ground { base_url, keys, clock, .. } = ground;
    let ReadPolicies { certificates: policies, rules, practice_statement, .. } = documents.judge()?;
    let store = store::open(&configuration.store, path).map_err(IssueError::from)?;
    let host = base_url.split_once("://").map_or(base_url.as_str(), |(_, host)| host);
    let signer = LogSigner { origin: format!("{host}/ca"), key: keys.note_key(LOG_KEY)? };
    let settings = Settings { base_url: base_url.clone(), log_origin: signer.origin.clone(), log_key: signer.verifier()?.to_string(), earlier_logs: Vec::new() };
    let authority = Authority {
        addresses: Addresses::new(&settings),
        store: Arc::clone(&store),
        clock: Arc::clone(clock),
        settings,
        policies,
        rules,
        key_lists: Arc::default(),
        own_names: Arc::new(OwnNames::open(keys)?),
        registry: Arc::new(NoRegistry),
        issuers: Issuers::born_in(ground.birthplace()),
        founding: None,
        watchers: Vec::new(),
    };
    in_force::adopt(&authority, documents, None, &[])?;
    Ok(Begun { authority, store, signer, practice_statement })
}

/// Makes an issuer known, durably and in the log; `batch` goes with it.
fn found(authority: &mut Authority, mut batch: Batch, record: IssuerRecord, key: Option<KeyHandle>, ocsp_key: Option<KeyHandle>) -> Result<(), InitError> {
    let digest = crate::sha256_hex(&record.der);
    batch = batch.put(IssuerRecord::key(&record.id), encode(&record).map_err(IssueError::from)?);
    append(authority, batch, log::Entry::IssuerCreated { issuer: &record.id, sha256: &digest })?;
    let issuer = Issuer::new(record, key, ocsp_key)?;
    authority.issuers.insert(issuer.id().to_owned(), Arc::new(issuer));
    Ok(())
}

/// An OCSP signer for an issuing authority, which is known again with it.
fn give_signer(authority: &mut Authority, id: &str, name: &str) -> Result<(), InitError> {
    let damaged = || IssueError::Damaged { what: "an issuer" };
    let issuer = Arc::clone(authority.issuers.get(id).ok_or_else(damaged)?);
    let signer = format!("{id}-ocsp");
    let key = authority.issuers.birthplace.as_ref().ok_or_else(damaged)?.kept(&signer)?;
    let der = own::certify(authority, "ocsp", Some(id), &format!("{name} OCSP"), &key)?;
    let record = IssuerRecord { ocsp: Some(OcspSigner { key: signer, der }), ..issuer.record.clone() };
    found(authority, Batch::new(), record, issuer.key.clone(), Some(key))
}

/// The lists of all whose key is here, the certificates as files, the settings — with `entry`, where there is more to tell —
/// and the log's head. Last of all the mark goes: with it the directory is one that was never founded to the end.
fn finish(path: &Path, begun: Begun, ground: Ground, configuration: Configuration, directory: StateDir, entry: Option<log::Entry<'_>>) -> Result<Opened, InitError> {
    let Begun { authority, store, signer, practice_statement } = begun;
    listing::note_partitions(&authority)?;
    for issuer in authority.issuers.values().filter(|issuer| issuer.key.is_some()) {
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
    let mut settings = Batch::new().expect(Expectation::Absent(Settings::key())).put(Settings::key(), encode(&authority.settings).map_err(IssueError::from)?).put(own_names_mark(), authority.own_names.mark());
    if let Some(entry) = entry {
        settings.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    }
    store.commit(settings).map_err(IssueError::from)?;
    let evidence = Arc::new(Evidence::open(store, signer, path)?);
    evidence.advance()?;
    finished(path, FOUNDING)?;
    Ok(Opened { authority, evidence, configuration, practice_statement, keys: ground.keys, token: ground.token, directory })
}
