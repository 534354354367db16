//! The log's signed head: what was promised, kept outside the engine, and the export an auditor verifies.
#![forbid(unsafe_code)]

mod prove;
mod standing;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keys::NoteKey;
use merkle::{FULL, Kind, NoteSigner, Rows, Tile, TileWriter, Verified};
use runtime::exit::{Exit, Problem};
use store::{Batch, Store, StoreError};

pub use merkle::{Checkpoint, Hash, Leaf, VerifierKey, leaf_hash, verify_inclusion};
pub use prove::Proved;
pub use standing::Standing;

/// The stream of the store that holds the leaves, in order.
pub const STREAM: &str = "log";
/// Leaves read at a time.
const PAGE: usize = 4_096;
/// The file of the signed head within the service's directory.
pub const HEAD: &str = "log-head";

#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the signed head {path} cannot be believed: {reason}; restore it with the store from one backup", path = path.display())]
    Head { path: PathBuf, reason: String },
    #[error("the store has {found} log entries but {promised} were promised: it lost records; restore it from a backup")]
    Behind { found: u64, promised: u64 },
    #[error("the log in the store is not the one whose head was signed at {size} entries: it was altered or damaged; restore it from a backup")]
    Altered { size: u64 },
    #[error("the checkpoint could not be signed: {0}")]
    Sign(String),
    #[error("the exported log does not hold: {0}")]
    Export(String),
    #[error("nothing was verified: {0}")]
    Key(String),
    #[error("there is no directory {path}; name the one that the log was exported into", path = path.display())]
    NoExport { path: PathBuf },
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        let exit = match &error {
            EvidenceError::Behind { .. } | EvidenceError::Altered { .. } | EvidenceError::Head { .. } | EvidenceError::Export(_) => Exit::Damaged,
            EvidenceError::Store(StoreError::Corrupt { .. }) => Exit::Damaged,
            EvidenceError::File { .. } | EvidenceError::Store(_) => Exit::Unavailable,
            EvidenceError::Sign(_) => Exit::Internal,
            EvidenceError::Key(_) => Exit::Usage,
            EvidenceError::NoExport { .. } => Exit::NotFound,
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "look at the named place and try again"));
        Self::new(exit, "log", message, next)
    }
}

/// The log's key under the log's name.
pub struct LogSigner {
    pub origin: String,
    pub key: NoteKey,
}

impl LogSigner {
    pub fn verifier(&self) -> Result<VerifierKey, EvidenceError> {
        VerifierKey::new(&self.origin, self.key.public_key()).map_err(|error| EvidenceError::Sign(error.to_string()))
    }
}

impl NoteSigner for LogSigner {
    fn name(&self) -> &str {
        &self.origin
    }

    fn key_id(&self) -> [u8; 4] {
        merkle::key_id(&self.origin, &self.key.public_key())
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.key.sign(text).to_vec())
    }
}

/// Follows the log in the store, signs its head and keeps it in a file beside.
pub struct Evidence {
    store: Arc<dyn Store>,
    signer: LogSigner,
    path: PathBuf,
    /// Held by whoever reads on and signs; those who are served tiles wait for neither store nor disk.
    advancing: Mutex<()>,
    rows: RwLock<Rows>,
    /// The last head that was signed and flushed: nothing beyond it is shown to anybody.
    head: RwLock<Option<(Checkpoint, String)>>,
}

impl Evidence {
    /// Reads the whole log once and holds it against the head that was flushed last: a store behind it, or
    /// another than was signed, is refused.
    pub fn open(store: Arc<dyn Store>, signer: LogSigner, directory: &Path) -> Result<Self, EvidenceError> {
        let path = directory.join(HEAD);
        let head = match std::fs::read(&path) {
            Ok(note) => Some(note),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(EvidenceError::File { path, reason: error.to_string() }),
        };
        let refused = |reason: String| EvidenceError::Head { path: path.clone(), reason };
        let head = match head {
            Some(note) => {
                let checkpoint = Checkpoint::open(&note, &signer.verifier()?).map_err(|error| refused(error.to_string()))?;
                Some((checkpoint, String::from_utf8(note).map_err(|_| refused("it is not text".into()))?))
            }
            None => None,
        };
        let promised = head.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size());
        let found = store.stream_length(STREAM)?;
        if found < promised {
            return Err(EvidenceError::Behind { found, promised });
        }
        let mut rows = Rows::new();
        grow(&*store, 0, promised, |leaf| rows.append(leaf))?;
        if let Some((checkpoint, _)) = &head && rows.tree().root() != *checkpoint.root() {
            return Err(EvidenceError::Altered { size: promised });
        }
        grow(&*store, promised, found, |leaf| rows.append(leaf))?;
        Ok(Self { store, signer, path, advancing: Mutex::new(()), rows: RwLock::new(rows), head: RwLock::new(head) })
    }

    /// Signs the head of all that is durable, flushes it and returns the note. Signs nothing twice.
    pub fn advance(&self) -> Result<String, EvidenceError> {
        // What a panicking thread left are rows that are right or short; they are only ever extended.
        let _advancing = self.advancing.lock().unwrap_or_else(PoisonError::into_inner);
        let length = self.store.stream_length(STREAM)?;
        let known = self.rows.read().unwrap_or_else(PoisonError::into_inner).size();
        grow(&*self.store, known, length, |leaf| self.rows.write().unwrap_or_else(PoisonError::into_inner).append(leaf))?;
        let tree = self.rows.read().unwrap_or_else(PoisonError::into_inner).tree();
        if let Some((checkpoint, note)) = &*self.head.read().unwrap_or_else(PoisonError::into_inner) && checkpoint.size() == tree.size() {
            return Ok(note.clone());
        }
        let sign = |error: merkle::NoteError| EvidenceError::Sign(error.to_string());
        let checkpoint = Checkpoint::new(&self.signer.origin, tree.size(), tree.root()).map_err(sign)?;
        let note = checkpoint.sign(&self.signer).map_err(sign)?;
        let failed = |error: std::io::Error| EvidenceError::File { path: self.path.clone(), reason: error.to_string() };
        runtime::state::write_atomically(&self.path, note.as_bytes(), 0o600).map_err(failed)?;
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Some((checkpoint, note.clone()));
        Ok(note)
    }

    /// Why the store takes nothing more until it is opened again, where it is so. Waits for its turn behind what commits.
    pub fn poisoned(&self) -> Option<String> {
        // An empty commit expects, reads and writes nothing: whatever refuses it refuses all, also a committer that died. A store is
        // closed only when nobody holds it any more, so that a service's end is none.
        self.store.commit(Batch::new()).err().map(|error| error.to_string())
    }

    /// The note that was signed last; none before the first.
    pub fn note(&self) -> Option<String> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, note)| note.clone())
    }

    /// A file of the log by its place, from the store and from hashes that are kept: at most 256 entries are read,
    /// however long the log is. `None` for what the last signed head does not cover whole.
    pub fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>, EvidenceError> {
        let level = match tile.kind() {
            Kind::Entries => 0,
            Kind::Hashes(level) => level,
        };
        let end = tile.index().checked_mul(u64::from(FULL)).and_then(|first| first.checked_add(u64::from(tile.width())));
        if end.is_none_or(|end| end > self.signed() >> (8 * u32::from(level))) {
            return Ok(None);
        }
        if level > 0 {
            return Ok(self.rows.read().unwrap_or_else(PoisonError::into_inner).tile(level, tile.index(), tile.width()));
        }
        let leaves = self.store.read_stream(STREAM, tile.index() * u64::from(FULL), usize::from(tile.width()))?;
        if leaves.len() != usize::from(tile.width()) {
            return Err(EvidenceError::Behind { found: tile.index() * u64::from(FULL) + leaves.len() as u64, promised: self.signed() });
        }
        let mut bytes = Vec::new();
        for leaf in leaves {
            if tile.kind() == Kind::Entries {
                let length = u16::try_from(leaf.len()).map_err(|_| EvidenceError::Export("an entry is too long for a bundle".into()))?;
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&leaf);
            } else {
                bytes.extend_from_slice(&leaf_hash(&leaf));
            }
        }
        Ok(Some(bytes))
    }

    /// A note of another text than a checkpoint's, under the log's key.
    pub fn sign_note(&self, text: &str) -> Result<String, EvidenceError> {
        merkle::sign_note(text, &self.signer).map_err(|error| EvidenceError::Sign(error.to_string()))
    }

    /// Where the head is kept: the service's directory.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// How many entries the head that was signed last covers.
    pub fn signed(&self) -> u64 {
        self.head.read().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |(checkpoint, _)| checkpoint.size())
    }

    pub fn verifier(&self) -> Result<VerifierKey, EvidenceError> {
        self.signer.verifier()
    }

    /// Writes the log as tiles, with its checkpoint and key, into `directory`, which must be new or empty.
    pub fn export(&self, directory: &Path, progress: &dyn Fn(u64, u64)) -> Result<u64, EvidenceError> {
        self.advance()?;
        self.export_first(directory, self.signed(), &mut |at, of, _| progress(at, of))
    }

    /// The same of the first `size` entries, which are durable; each is shown to `visit` with its place and how many there are.
    pub fn export_first(&self, directory: &Path, size: u64, visit: &mut dyn FnMut(u64, u64, &[u8])) -> Result<u64, EvidenceError> {
        // Nothing beyond what was signed and flushed is shown to anybody.
        self.advance()?;
        if size > self.signed() {
            return Err(EvidenceError::Behind { found: self.signed(), promised: size });
        }
        let failed = |path: &Path, error: std::io::Error| EvidenceError::File { path: path.to_owned(), reason: error.to_string() };
        std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        if std::fs::read_dir(directory).map_err(|error| failed(directory, error))?.next().is_some() {
            return Err(EvidenceError::File { path: directory.to_owned(), reason: "it is not empty; export into a new directory".into() });
        }
        let write = |path: PathBuf, bytes: &[u8]| {
            let parent = path.parent().unwrap_or(directory);
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes)).map_err(|error| failed(&path, error))
        };
        let mut writer = TileWriter::new();
        while writer.size() < size {
            let wanted = usize::try_from(size - writer.size()).unwrap_or(PAGE).min(PAGE);
            let leaves = self.store.read_stream(STREAM, writer.size(), wanted)?;
            if leaves.is_empty() {
                return Err(EvidenceError::Behind { found: writer.size(), promised: size });
            }
            for leaf in leaves {
                visit(writer.size(), size, &leaf);
                writer.push(&leaf, |tile, bytes| write(directory.join(tile.path()), bytes)).map_err(|error| EvidenceError::Export(error.to_string()))?;
            }
        }
        writer.partials(|tile, bytes| write(directory.join(tile.path()), bytes)).map_err(|error| EvidenceError::Export(error.to_string()))?;
        // An earlier size of the log whose head is flushed: whoever has both heads sees that one continues the other.
        let sign = |error: merkle::NoteError| EvidenceError::Sign(error.to_string());
        let checkpoint = Checkpoint::new(&self.signer.origin, size, writer.tree().root()).map_err(sign)?;
        write(directory.join("checkpoint"), checkpoint.sign(&self.signer).map_err(sign)?.as_bytes())?;
        write(directory.join("vkey"), format!("{}\n", self.signer.verifier()?).as_bytes())?;
        Ok(size)
    }
}

/// Hands on the hashes of the leaves from `from` up to `to`.
fn grow(store: &dyn Store, from: u64, to: u64, mut append: impl FnMut(Hash)) -> Result<(), EvidenceError> {
    let mut at = from;
    while at < to {
        let wanted = usize::try_from(to - at).unwrap_or(PAGE).min(PAGE);
        let leaves = store.read_stream(STREAM, at, wanted)?;
        if leaves.is_empty() {
            return Err(EvidenceError::Behind { found: at, promised: to });
        }
        at += leaves.len() as u64;
        leaves.iter().for_each(|leaf| append(leaf_hash(leaf)));
    }
    Ok(())
}

/// Proves an exported log from its files alone. The key comes from the caller, never from the export.
pub fn verify(directory: &Path, vkey: &str) -> Result<Verified, EvidenceError> {
    proved_export(directory, vkey, |_, _| ())
}

/// The same, handing each entry with its index to `visit`. Believe what was visited only when all of it verified.
pub fn proved_export(directory: &Path, vkey: &str, visit: impl FnMut(u64, &[u8])) -> Result<Verified, EvidenceError> {
    let vkey = VerifierKey::from_str(vkey.trim()).map_err(|error| EvidenceError::Key(error.to_string()))?;
    if !directory.is_dir() {
        return Err(EvidenceError::NoExport { path: directory.to_owned() });
    }
    let read = |path: &str| match std::fs::read(directory.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    merkle::read_export(read, &vkey, None, visit).map_err(|error| EvidenceError::Export(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_store_is_not_one_to_try_again_later() {
        let exit = |error: StoreError| Problem::from(EvidenceError::from(error)).exit;
        assert_eq!(exit(StoreError::Corrupt { reason: "a gap".into() }), Exit::Damaged);
        assert_eq!(exit(StoreError::Unavailable { reason: "no disk".into() }), Exit::Unavailable);
    }
}
