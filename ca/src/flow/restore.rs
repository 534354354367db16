//! Restoring an authority from a backup: verified whole, judged against what is known to have come after it, written
//! into a new directory, leapt over what may have been used, and only then fit to be opened.
//!
//! What a backup cannot know is what came after it. Three things would lie to relying parties if they simply went on:
//! - **CRL numbers**: every list from now on has a number above all that can have been used: one a microsecond since
//!   1970, which no signer reaches, and above what the operator knows.
//! - **The log**: where the newest checkpoint that anybody has covers exactly the entries of the backup, the same log
//!   goes on. Otherwise entries are lost that others may hold proofs of; the same log would then be a fork of itself.
//!   So a log of another name goes on from the entries that are left, says in its first new entry from which log and
//!   where, and contradicts no checkpoint ever signed. That takes the operator's explicit word.
//! - **Intents to sign**: they may have been signed since; their serials are burnt, and nothing is signed twice.
//!
//! Certificates and revocations of the time between are entered by `ca adopt`: by the owner of the directory before it is
//! served for the first time, so that nobody is told the old state, and by administrators afterwards.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::{Evidence, EvidenceError, LogSigner};
use keys::{KeyStore, Passphrase};
use merkle::{Checkpoint, NoteError, Tree, leaf_hash};
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use serde::Serialize;
use store::{Batch, CopyError, Expectation, Key, Store, StoreError};

use super::authorise::Actor;
use super::listing;
use crate::authority::ROOT;
use crate::backup::{Item, Manifest, ManifestError, Measured, RECORDS};
use crate::init::{self, Configuration, InitError, LOG_KEY, RESTORING};
use crate::problem::IssueError;
use crate::record::{CrlHead, CrlIntent, CrlRecord, Intent, IssuerRecord, Scope, Settings, decode, encode, log, serial_text};

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("this is no whole backup: {0}")]
    Manifest(#[from] ManifestError),
    #[error("this is no whole backup: {0}")]
    Copy(#[from] CopyError),
    #[error("this is no whole backup: its log is not the one whose head it holds; use another backup")]
    Head,
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(NoteError),
    #[error("the checkpoint of {size} entries is not of the log in this backup, though the log's key signed it: two logs were kept under one key, so find out which before anything is restored")]
    Forked { size: u64 },
    #[error("a checkpoint of {known} entries is known and the backup has {found}: what came between is lost; restore with --accept-loss, which goes on under another log's name")]
    Lost { known: u64, found: u64 },
    #[error("the newest checkpoint given covers {known} of the backup's {found} entries, so it does not tell what came after them; give a newer one, or restore with --accept-loss")]
    Untold { known: u64, found: u64 },
    #[error("this host's clock is {seconds} s before the backup was taken; set the clock, since dates and numbers of lists follow it")]
    Clock { seconds: i64 },
    #[error("a CRL number is at most 9000000000000000; give the number of the newest list that is known")]
    Number,
    #[error("the store {store:?} does not lie in the directory; give one with --store, such as fjall:store")]
    Place { store: String },
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("{path}: {reason}; check the path and the disk", path = path.display())]
    File { path: PathBuf, reason: String },
}

impl From<IssueError> for RestoreError {
    fn from(error: IssueError) -> Self {
        Self::Init(error.into())
    }
}

impl From<EvidenceError> for RestoreError {
    fn from(error: EvidenceError) -> Self {
        Self::Init(error.into())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |error| RestoreError::File { path, reason: error.to_string() }
}

/// A backup whose every byte is as it was signed.
pub struct Verified {
    backup: PathBuf,
    pub manifest: Manifest,
    /// Of the manifest: names the backup.
    pub sha256: String,
    /// Entries of its log.
    pub entries: u64,
    pub vkey: String,
    /// The root of its log where the checkpoint that was given ends.
    known: Option<(Checkpoint, Option<merkle::Hash>)>,
}

/// 1. Every byte of the backup is as it was signed, by the log's key that only the passphrase opens. Writes nothing.
pub fn verify(backup: &Path, passphrase: &Passphrase, checkpoint: Option<&[u8]>, progress: &mut dyn FnMut(&str)) -> Result<Verified, RestoreError> {
    let (manifest, sha256) = Manifest::read(backup)?;
    let keys = KeyStore::open(&backup.join("keys"), passphrase).map_err(InitError::from)?;
    if !keys.contains(LOG_KEY) {
        return Err(ManifestError::Changed { path: format!("keys/{LOG_KEY}.key") }.into());
    }
    let vkey = signer(&keys, &manifest.origin)?.verifier()?;
    Manifest::is_signed(backup, &sha256, &vkey)?;
    let known = checkpoint.map(|note| Checkpoint::open(note, &vkey)).transpose().map_err(RestoreError::Checkpoint)?;
    let head = read_checkpoint(&backup.join(evidence::HEAD))?;
    let head = Checkpoint::open(&head, &vkey).map_err(|_| RestoreError::Head)?;
    // The log is read once: its root where the head ends, and where the checkpoint does.
    let (mut tree, mut at_head, mut at_known) = (Tree::new(), None, None);
    let mut look = |tree: &Tree| {
        if tree.size() == head.size() {
            at_head = Some(tree.root());
        }
        if known.as_ref().is_some_and(|known| known.size() == tree.size()) {
            at_known = Some(tree.root());
        }
    };
    look(&tree);
    for item in &manifest.files {
        progress(&item.path);
        let mut input = measured(backup, item)?;
        if item.path == RECORDS {
            let mut buffered = io::BufReader::with_capacity(1 << 20, &mut input);
            let (records, _) = store::read_through(&mut buffered, log::STREAM, &mut |leaf| {
                tree.append(leaf_hash(leaf));
                look(&tree);
            })?;
            if records != manifest.records {
                return Err(ManifestError::Changed { path: item.path.clone() }.into());
            }
        }
        as_signed(input, item, &backup.join(&item.path))?;
    }
    if at_head != Some(*head.root()) {
        return Err(RestoreError::Head);
    }
    Ok(Verified { backup: backup.to_owned(), manifest, sha256, entries: tree.size(), vkey: vkey.to_string(), known: known.map(|known| (known, at_known)) })
}

fn signer(keys: &KeyStore, origin: &str) -> Result<LogSigner, InitError> {
    Ok(LogSigner { origin: origin.to_owned(), key: keys.note_key(LOG_KEY)? })
}

fn measured(backup: &Path, item: &Item) -> Result<Measured<io::Take<File>>, RestoreError> {
    let path = backup.join(&item.path);
    let file = File::open(&path).map_err(|error| ManifestError::File { path, reason: error.to_string() })?;
    // One octet more than was signed is as wrong as a thousand.
    Ok(Measured::new(file.take(item.size.saturating_add(1))))
}

/// Reads what is left and holds it against the list.
fn as_signed(mut input: Measured<io::Take<File>>, item: &Item, path: &Path) -> Result<(), RestoreError> {
    io::copy(&mut input, &mut io::sink()).map_err(failed(path))?;
    if input.end(&item.path).0 == *item { Ok(()) } else { Err(ManifestError::Changed { path: item.path.clone() }.into()) }
}

/// What the operator says of the time after the backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    pub accept_loss: bool,
    /// The highest number of a list that is known.
    pub crl_number: Option<u64>,
}

/// How the log and the numbers go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The name of the log from now on, when it is another one.
    pub new_origin: Option<String>,
    pub above: u64,
}

/// 2. Whether it may be restored, and how it goes on: a pure question.
pub fn judge(verified: &Verified, word: Word, first_origin: &str, now: time::OffsetDateTime) -> Result<Course, RestoreError> {
    let found = verified.entries;
    let since = now.unix_timestamp() - verified.manifest.taken;
    if since < 0 {
        return Err(RestoreError::Clock { seconds: -since });
    }
    let whole = match &verified.known {
        Some((known, at_known)) if known.size() <= found => match at_known {
            Some(root) if root == known.root() => known.size() == found,
            _ => return Err(RestoreError::Forked { size: known.size() }),
        },
        _ => false,
    };
    let known = verified.known.as_ref().map_or(0, |(known, _)| known.size());
    match (whole, word.accept_loss) {
        (false, false) if known > found => return Err(RestoreError::Lost { known, found }),
        (false, false) => return Err(RestoreError::Untold { known, found }),
        _ => {}
    }
    // Numbers stay exact in JSON readers that count in doubles.
    const MOST: u64 = 1_000_000_000_000_000 * 9;
    let micros = u64::try_from(now.unix_timestamp_nanos() / 1_000).map_err(|_| RestoreError::Number)?;
    let told = word.crl_number.unwrap_or(0);
    if told > MOST {
        return Err(RestoreError::Number);
    }
    // By the second of the restore: one backup may be restored twice, and what both signed under one name would be a fork.
    let new_origin = (!whole).then(|| format!("{first_origin}/{}", now.unix_timestamp()));
    Ok(Course { new_origin, above: micros.max(told) })
}

/// An authority restored, and what its operator has to know.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    pub directory: PathBuf,
    pub backup_sha256: String,
    pub taken: i64,
    pub entries: u64,
    /// The verifier key of the log from now on.
    pub vkey: String,
    /// That of the log before, when it is another.
    pub earlier: Option<String>,
    /// Every list from now on has a greater number.
    pub crl_numbers_above: u64,
    /// Serials that were about to be signed and never will be.
    pub intents_dropped: Vec<String>,
}

/// The whole line: makes `directory`, which is new, empty, or left of a restore that was cut off.
pub struct Order<'a> {
    pub directory: &'a Path,
    pub verified: Verified,
    pub word: Word,
    /// Another engine or place than the backup's.
    pub store: Option<String>,
    pub passphrase: &'a Passphrase,
    pub clock: Arc<dyn Clock>,
    /// The user of this machine who has the backup and its passphrase: before an authority stands there are no powers.
    pub user: u32,
}

pub fn restore(order: Order<'_>, progress: &mut dyn FnMut(&str)) -> Result<Restored, RestoreError> {
    let Order { directory, verified, word, store, passphrase, clock, user } = order;
    // 2. Judged before anything is written, as far as the manifest goes; the settings are inside the records.
    judge(&verified, word, &verified.manifest.origin, clock.now())?;
    let mut configuration: Configuration = runtime::config::read(&verified.backup.join("ca.toml")).map_err(InitError::from)?;
    let elsewhere = store.is_some();
    configuration.store = store.unwrap_or(configuration.store);
    within(&configuration.store)?;
    // 3. The marked directory: whoever opens it before the end is refused, and the next restore begins anew.
    let held = init::place(directory, RESTORING)?;
    for item in verified.manifest.files.iter().filter(|item| item.path != RECORDS) {
        copy(&verified.backup, item, directory)?;
    }
    if elsewhere {
        let path = directory.join("ca.toml");
        let text = toml::to_string(&configuration).map_err(|error| RestoreError::File { path: path.clone(), reason: error.to_string() })?;
        runtime::state::write_atomically(&path, text.as_bytes(), 0o600).map_err(failed(&path))?;
    }
    let item = verified.manifest.files.iter().find(|item| item.path == RECORDS).ok_or(ManifestError::Form)?;
    let mut input = measured(&verified.backup, item)?;
    let mut buffered = io::BufReader::with_capacity(1 << 20, &mut input);
    store::take_in(&configuration.store, directory, &mut buffered, &mut |records| progress(&format!("{records} of {} records", verified.manifest.records)))?;
    as_signed(input, item, &verified.backup.join(RECORDS))?;
    // 4. The store as it was, its log held against the head once more.
    let store = store::open(&configuration.store, directory).map_err(IssueError::from)?;
    let keys = KeyStore::open(&directory.join("keys"), passphrase).map_err(InitError::from)?;
    let damaged = |what| IssueError::Damaged { what };
    let before = store.get(&Settings::key()).map_err(IssueError::from)?.ok_or(damaged("the settings"))?;
    let settings: Settings = decode(&before).map_err(|_| damaged("the settings"))?;
    if settings.log_key != verified.vkey {
        return Err(InitError::OtherLogKey.into());
    }
    drop(Evidence::open(Arc::clone(&store), signer(&keys, &settings.log_origin)?, directory)?);
    // 5. How it goes on, recorded in one commit: the log's name, the leap of the numbers, what nobody may sign again.
    let first = settings.earlier_logs.first().map_or(settings.log_origin.as_str(), |vkey| vkey.split('+').next().unwrap_or(vkey)).to_owned();
    let course = judge(&verified, word, &first, clock.now())?;
    let after = match &course.new_origin {
        None => settings.clone(),
        Some(origin) => {
            let earlier_logs = settings.earlier_logs.iter().chain([&settings.log_key]).cloned().collect();
            Settings { log_origin: origin.clone(), log_key: signer(&keys, origin)?.verifier()?.to_string(), earlier_logs, ..settings.clone() }
        }
    };
    let intents = intents(&*store)?;
    let above = record(&*store, &Actor::LocalUser(user), &verified, &course, (&before, &settings, &after), &intents, clock.now())?;
    // 6. The head of the log as it goes on. One of another name takes no head over.
    if course.new_origin.is_some() {
        let head = directory.join(evidence::HEAD);
        fs::remove_file(&head).map_err(failed(&head))?;
    }
    Evidence::open(Arc::clone(&store), signer(&keys, &after.log_origin)?, directory)?.advance()?;
    drop(store);
    super::backup::sync(directory).map_err(failed(directory))?;
    // 7. Last of all: with the mark the directory is one that was never restored to the end.
    init::finished(directory, RESTORING)?;
    drop(held);
    Ok(Restored {
        directory: directory.to_owned(),
        backup_sha256: verified.sha256,
        taken: verified.manifest.taken,
        entries: verified.entries,
        earlier: (after.log_key != verified.vkey).then_some(verified.vkey),
        vkey: after.log_key,
        crl_numbers_above: above,
        intents_dropped: intents.iter().map(|(_, serial)| serial_text(serial)).collect(),
    })
}

/// The store is made in the new directory and nowhere else.
fn within(store: &str) -> Result<(), RestoreError> {
    let inside = store.split_once(':').is_some_and(|(_, place)| place == "store");
    if inside { Ok(()) } else { Err(RestoreError::Place { store: store.chars().take(200).collect() }) }
}

fn copy(backup: &Path, item: &Item, directory: &Path) -> Result<(), RestoreError> {
    let to = directory.join(&item.path);
    let parent = to.parent().unwrap_or(directory);
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed(parent))?;
    let mut input = measured(backup, item)?;
    let public = item.path.ends_with(".pem");
    let mut out = OpenOptions::new().write(true).create_new(true).mode(if public { 0o644 } else { 0o600 }).open(&to).map_err(failed(&to))?;
    io::copy(&mut input, &mut out).and_then(|_| out.sync_all()).map_err(failed(&to))?;
    // It may have been changed since it was verified.
    as_signed(input, item, &to)
}

/// What was about to be signed: the keys of the intents, and their serials.
fn intents(store: &dyn Store) -> Result<Vec<(Key, Vec<u8>)>, IssueError> {
    let (from, to) = Key::range(Intent::TABLE, &[]);
    let found = store.scan(&from, &to, usize::MAX)?;
    found.into_iter().map(|(key, _)| key.last_part().map(|serial| (key, serial)).ok_or(IssueError::Damaged { what: "an intent to sign" })).collect()
}

fn record(
    store: &dyn Store,
    by: &Actor,
    verified: &Verified,
    course: &Course,
    (stored, settings, after): (&[u8], &Settings, &Settings),
    intents: &[(Key, Vec<u8>)],
    now: time::OffsetDateTime,
) -> Result<u64, RestoreError> {
    let by = by.to_string();
    let root = verified.known.as_ref().map(|(known, _)| crate::hex(known.root()));
    let entry = log::Entry::Restored {
        backup_sha256: &verified.sha256,
        taken: verified.manifest.taken,
        entries: verified.entries,
        before: course.new_origin.as_ref().map(|_| settings.log_key.as_str()),
        checkpoint_entries: verified.known.as_ref().map(|(known, _)| known.size()),
        checkpoint_root: root.as_deref(),
        intents_dropped: intents.len() as u64,
        by: &by,
    };
    // Above the backup's own, as far as one list a microsecond could have come since.
    let since = u64::try_from(now.unix_timestamp() - verified.manifest.taken).unwrap_or(0).saturating_add(1).saturating_mul(1_000_000);
    let above = course.above.max(numbers(store)?.saturating_add(since));
    let leapt = log::Entry::CrlNumbersLeapt { above, by: &by };
    let mut batch = Batch::new().expect(Expectation::Equals(Settings::key(), stored.to_vec()));
    batch = batch.put(Settings::key(), encode(after).map_err(IssueError::from)?).put(CrlRecord::floor(), above.to_be_bytes().as_slice());
    batch = batch.put(unserved(), Vec::new());
    for (intent, _) in intents {
        batch = batch.delete(intent.clone());
    }
    // Every list is due: those in the backup may be older than what relying parties hold.
    let (from, to) = Key::range(IssuerRecord::TABLE, &[]);
    for (_, bytes) in store.scan(&from, &to, 1_000).map_err(IssueError::from)? {
        let issuer: IssuerRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "an issuer" })?;
        // The root's list is made by people, where its key is; it may well be the newest.
        if let Some(head) = store.get(&CrlHead::of(&issuer.id, Scope::Whole)).map_err(IssueError::from)? {
            let head: CrlHead = decode(&head).map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
            batch = batch.put(super::adopt::newest(&issuer.id, Scope::Whole), super::adopt::mark(head.this_update, head.number));
        }
        if issuer.id != ROOT {
            batch = listing::all_stale(batch, &issuer.id, listing::partitions_in(store, &issuer.id)?);
        }
    }
    batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    batch.append(log::STREAM, leapt.leaf(now).map_err(IssueError::from)?);
    store.commit(batch).map_err(IssueError::from)?;
    Ok(above)
}

/// Until the service is started for the first time after a restore, the owner of the directory may enter what came after the
/// backup: whoever asked for a status before that would be told what was true before.
fn unserved() -> Key {
    Key::new("authority", &[b"restored-and-unserved"])
}

/// Whether nobody was answered since the restore.
pub fn is_unserved(store: &dyn Store) -> Result<bool, IssueError> {
    Ok(store.get(&unserved())?.is_some())
}

/// From now on only officers do.
pub fn serves(store: &dyn Store) -> Result<(), IssueError> {
    if is_unserved(store)? {
        store.commit(Batch::new().delete(unserved()))?;
    }
    Ok(())
}

/// The highest number in the backup itself.
fn numbers(store: &dyn Store) -> Result<u64, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the last CRL" };
    let mut highest = store.get(&CrlRecord::floor())?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    let (from, to) = Key::range(IssuerRecord::TABLE, &[]);
    for (_, bytes) in store.scan(&from, &to, 1_000)? {
        let issuer: IssuerRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "an issuer" })?;
        let list = store.get(&CrlRecord::key(&issuer.id))?.map(|bytes| decode::<CrlRecord>(&bytes)).transpose().map_err(damaged)?;
        let meant = store.get(&CrlIntent::key(&issuer.id))?.map(|bytes| decode::<CrlIntent>(&bytes)).transpose().map_err(damaged)?;
        highest = highest.max(list.map_or(0, |list| list.number)).max(meant.map_or(0, |meant| meant.number));
        // Deltas take their numbers from the same sequence, and each part has its own.
        let parts = (0..listing::partitions_in(store, &issuer.id)?).map(Scope::Shard);
        for scope in std::iter::once(Scope::Delta).chain(parts) {
            let head = store.get(&CrlHead::of(&issuer.id, scope))?.map(|bytes| decode::<CrlHead>(&bytes)).transpose().map_err(damaged)?;
            let meant = store.get(&CrlIntent::of(&issuer.id, scope))?.map(|bytes| decode::<CrlIntent>(&bytes)).transpose().map_err(damaged)?;
            highest = highest.max(head.map_or(0, |head| head.number)).max(meant.map_or(0, |meant| meant.number));
        }
    }
    Ok(highest)
}

/// A checkpoint as a follower keeps it: a small file.
pub fn read_checkpoint(path: &Path) -> Result<Vec<u8>, RestoreError> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(merkle::NOTE_LIMIT as u64 + 1).read_to_end(&mut bytes)).map_err(failed(path))?;
    Ok(bytes)
}

impl From<RestoreError> for Problem {
    fn from(error: RestoreError) -> Self {
        let (exit, code) = match error {
            RestoreError::Init(error) => return error.into(),
            RestoreError::Manifest(ManifestError::File { .. }) => (Exit::NotFound, "no-backup"),
            RestoreError::Copy(CopyError::TooLarge { .. }) => (Exit::Refused, "engine"),
            RestoreError::Copy(CopyError::Io(_) | CopyError::Store(StoreError::Unavailable { .. })) | RestoreError::File { .. } => (Exit::Unavailable, "restore"),
            RestoreError::Manifest(_) | RestoreError::Copy(_) | RestoreError::Head => (Exit::Damaged, "backup-damaged"),
            RestoreError::Checkpoint(_) => (Exit::Usage, "checkpoint"),
            RestoreError::Forked { .. } => (Exit::Damaged, "log-forked"),
            RestoreError::Lost { .. } | RestoreError::Untold { .. } => (Exit::Refused, "loss"),
            RestoreError::Clock { .. } => (Exit::Refused, "clock"),
            RestoreError::Number | RestoreError::Place { .. } => (Exit::Usage, "restore"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
