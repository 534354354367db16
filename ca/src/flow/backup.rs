//! Taking a backup while the service goes on: the log's head first, then the records at one moment, then the files
//! they name, then the signed list of all that; it has its name only when it is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use evidence::{Evidence, EvidenceError};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{CommitError, CopyError, StoreError};

use crate::authority::Authority;
use crate::backup::{DEEPEST, Item, KEPT, MANIFEST, MOST_FILES, Manifest, Measured, NOTE, RECORDS, is_certificate, note_text};

/// What an authority's directory holds besides what is copied, without being missed.
const UNSAID: [&str; 5] = ["lock", runtime::admin::SOCKET, crate::http::outbox::SOCKET, "store", "."];

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path} stands already; nothing that stands is ever replaced: name a new directory", path = path.display())]
    Exists { path: PathBuf },
    #[error("{path} is left of an earlier one that was cut off; remove it, or name another directory", path = path.display())]
    Unfinished { path: PathBuf },
    #[error("{path} lies in the authority's own directory; name a place on another disk", path = path.display())]
    Inside { path: PathBuf },
    #[error("{path}: {reason}; check the path and the disk", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} is no plain file or directory, or there are too many; see what it does among the authority's files", path = path.display())]
    Strange { path: PathBuf },
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("the store could not be read: {0}; look at the disk")]
    Store(#[from] StoreError),
    #[error("what was to be written is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{what} is not as this program writes it; restore the store from a backup")]
    Record { what: String },
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A backup that is whole and durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackedUp {
    pub directory: PathBuf,
    /// Unix seconds.
    pub taken: i64,
    pub records: u64,
    pub files: u64,
    pub bytes: u64,
    /// Names the backup: SHA-256 of its list of files.
    pub sha256: String,
    /// The log's key, which signed that list.
    pub vkey: String,
    /// What stands in the authority's directory and is not in the backup.
    pub left_out: Vec<String>,
    /// Issuers whose keys are in a token, which has a backup of its own.
    pub in_token: Vec<String>,
    /// The log could not be written any more, and has no entry of this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::File { path, reason: error.to_string() }
}

/// The whole line. `progress` is told the records so far.
pub fn back_up(authority: &Authority, evidence: &Evidence, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<BackedUp, BackupError> {
    // 1. A place of its own beside the name, which it gets at the end: what has the name is whole.
    let place = Place::make(to, evidence.directory())?;
    // 2. The head before the records: what it promises is among them.
    let head = evidence.advance()?;
    let mut items = vec![place.write(evidence::HEAD, &mut head.as_bytes())?];
    // 3. The records as they are at one moment, however much is issued meanwhile.
    let snapshot = authority.store.snapshot()?;
    let taken = authority.clock.now().unix_timestamp();
    let file = place.file(RECORDS)?;
    let mut out = Measured::new(BufWriter::new(file));
    let records = store::write_out(&*snapshot, &mut out, progress)?;
    drop(snapshot);
    let (item, out) = out.end(RECORDS);
    items.push(item);
    let path = place.unfinished.join(RECORDS);
    out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(failed(&path))?;
    // 4. The files after the records: a key that a record names was made before it.
    let found = Found::among(evidence.directory())?;
    for path in &found.files {
        let from = evidence.directory().join(path);
        items.push(place.write(path, &mut File::open(&from).map_err(failed(&from))?)?);
    }
    // 5. The list of all of it, signed.
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest { version: 1, taken, origin: authority.settings.log_origin.clone(), base_url: authority.settings.base_url.clone(), records, files: items };
    let text = serde_json::to_vec_pretty(&manifest)?;
    let sha256 = crate::sha256_hex(&text);
    place.write(MANIFEST, &mut &text[..])?;
    place.write(NOTE, &mut evidence.sign_note(&note_text(&sha256))?.as_bytes())?;
    // 6. Durable, then named.
    place.name(to)?;
    let in_token = authority.issuers.values().filter(|issuer| issuer.record.token_key.is_some()).map(|issuer| issuer.id().to_owned()).collect();
    let bytes = manifest.files.iter().map(|item| item.size).sum();
    let vkey = evidence.verifier()?.to_string();
    Ok(BackedUp { directory: to.to_owned(), taken, records, files: manifest.files.len() as u64, bytes, sha256, vkey, left_out: found.left_out, in_token, unrecorded: false })
}

/// Where a backup, or a wind-down package, is written until it is whole.
pub(super) struct Place {
    unfinished: PathBuf,
}

impl Place {
    pub(super) fn make(to: &Path, of: &Path) -> Result<Self, BackupError> {
        let mut name = to.file_name().ok_or_else(|| BackupError::Exists { path: to.to_owned() })?.to_owned();
        name.push(".unfinished");
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let inside = |parent: &Path| Ok::<_, io::Error>(parent.canonicalize()?.starts_with(of.canonicalize()?));
        if inside(parent).map_err(failed(parent))? {
            return Err(BackupError::Inside { path: to.to_owned() });
        }
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackupError::Exists { path: to.to_owned() });
        }
        let unfinished = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&unfinished) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Unfinished { path: unfinished }),
            made => made.map(|()| Self { unfinished: unfinished.clone() }).map_err(failed(&unfinished)),
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.unfinished.join(path)
    }

    pub(super) fn file(&self, path: &str) -> Result<File, BackupError> {
        let path = self.unfinished.join(path);
        let parent = path.parent().unwrap_or(&self.unfinished);
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed(parent))?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed(&path))
    }

    pub(super) fn write(&self, path: &str, from: &mut dyn io::Read) -> Result<Item, BackupError> {
        let mut out = Measured::new(self.file(path)?);
        io::copy(from, &mut out).map_err(failed(&self.unfinished.join(path)))?;
        let (item, mut file) = out.end(path);
        file.flush().and_then(|()| file.sync_all()).map_err(failed(&self.unfinished.join(path)))?;
        Ok(item)
    }

    pub(super) fn name(self, to: &Path) -> Result<(), BackupError> {
        sync(&self.unfinished).map_err(failed(&self.unfinished))?;
        // An empty directory made meanwhile would be replaced, and holds nothing; any other is not.
        fs::rename(&self.unfinished, to).map_err(failed(to))?;
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed(parent))
    }
}

/// A directory and those in it, names and all.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
}

/// The files to be copied, by their paths in the authority's directory, and what else stands there.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<String>,
    left_out: Vec<String>,
}

impl Found {
    fn among(directory: &Path) -> Result<Self, BackupError> {
        let mut found = Self::default();
        for (name, path) in entries(directory)? {
            match name {
                // Written from what was signed before the records were read.
                name if name == evidence::HEAD || UNSAID.contains(&name.as_str()) => {}
                name if KEPT.contains(&name.as_str()) || is_certificate(&name) => found.collect(name, &path, 1)?,
                name => found.left_out.push(name),
            }
        }
        Ok(found)
    }

    pub(super) fn collect(&mut self, name: String, path: &Path, depth: usize) -> Result<(), BackupError> {
        let strange = || BackupError::Strange { path: path.to_owned() };
        let kind = fs::metadata(path).map_err(failed(path))?.file_type();
        if kind.is_file() && self.files.len() < MOST_FILES {
            self.files.push(name);
            return Ok(());
        }
        if !kind.is_dir() || depth == DEEPEST {
            return Err(strange());
        }
        // What a key store or an atomic write leaves for a moment is no file of its own.
        let lasting = |name: &str| !name.starts_with('.') && !name.ends_with(".new");
        entries(path)?.into_iter().filter(|(below, _)| lasting(below)).try_for_each(|(below, path)| self.collect(format!("{name}/{below}"), &path, depth + 1))
    }
}

fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let name = entry.file_name().into_string().map_err(|_| BackupError::Strange { path: entry.path() })?;
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let (exit, code) = match error {
            BackupError::Evidence(error) => return error.into(),
            BackupError::Exists { .. } | BackupError::Unfinished { .. } => (Exit::Conflict, "backup-exists"),
            BackupError::Inside { .. } => (Exit::Usage, "backup-place"),
            BackupError::Strange { .. } => (Exit::Refused, "backup-file"),
            BackupError::Copy(CopyError::Store(StoreError::Corrupt { .. })) | BackupError::Store(StoreError::Corrupt { .. }) | BackupError::Record { .. } => (Exit::Damaged, "store-damaged"),
            BackupError::File { .. } | BackupError::Copy(_) | BackupError::Store(_) | BackupError::Commit(_) => (Exit::Unavailable, "backup"),
            BackupError::Json(_) => (Exit::Internal, "internal"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
