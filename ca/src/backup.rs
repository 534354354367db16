//! A backup: a directory with all that an authority needs to go on, and a list of it signed by the log's key.
//!
//! | file | |
//! |---|---|
//! | `manifest.json` | every other file with its length and SHA-256, and when and of whom the backup is |
//! | `manifest.note` | a signed note over the digest of `manifest.json`, by the key of the log |
//! | `store.records` | all records of the store as they were at one moment |
//! | `log-head`, `ca.toml`, `policies/`, `keys/`, `blocked-keys/`, `*.pem` | as they stand in the authority's directory; keys sealed |

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use merkle::{NoteError, VerifierKey};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

pub const MANIFEST: &str = "manifest.json";
pub const NOTE: &str = "manifest.note";
pub const RECORDS: &str = "store.records";
/// What is taken from the authority's directory; certificates, `*.pem`, besides. The root's keys never are.
pub const KEPT: [&str; 5] = ["ca.toml", "policies", "keys", "blocked-keys", evidence::HEAD];
/// Files of a backup, and how deep they may lie.
pub const MOST_FILES: usize = 10_000;
pub const DEEPEST: usize = 4;
/// The longest list of files that is read.
const LONGEST: u64 = 16 << 20;
const FIRST_LINE: &str = "suiyin backup 1";

/// What `manifest.json` holds. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    /// When the records were as they are.
    pub taken: i64,
    /// The log's name, as its checkpoints have it.
    pub origin: String,
    pub base_url: String,
    /// Records of the store.
    pub records: u64,
    pub files: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Below the backup's directory, with `/` between.
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{path} cannot be read: {reason}; give the directory that `ca backup` made", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("its {MANIFEST} is not one that this program reads; take the backup again")]
    Form,
    #[error("its {MANIFEST} is not the one that was signed: {0}; use another backup")]
    Note(#[from] NoteError),
    #[error("its file {path} is not the one that was signed; use another backup")]
    Changed { path: String },
}

/// The text that the log's key signs for a manifest of this digest.
pub fn note_text(sha256: &str) -> String {
    format!("{FIRST_LINE}\n{sha256}\n")
}

impl Manifest {
    /// As it stands in a backup, not believed yet, and its digest.
    pub fn read(backup: &Path) -> Result<(Self, String), ManifestError> {
        let bytes = bounded(&backup.join(MANIFEST))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|_| ManifestError::Form)?;
        let whole = manifest.version == 1 && manifest.files.len() <= MOST_FILES && manifest.files.iter().all(Item::is_sound) && manifest.files.is_sorted_by(|a, b| a.path < b.path);
        if whole { Ok((manifest, crate::sha256_hex(&bytes))) } else { Err(ManifestError::Form) }
    }

    /// Whether the key of the log signed a manifest of this digest.
    pub fn is_signed(backup: &Path, sha256: &str, key: &VerifierKey) -> Result<(), ManifestError> {
        let note = bounded(&backup.join(NOTE))?;
        if merkle::open_note(&note, key)? == note_text(sha256) { Ok(()) } else { Err(ManifestError::Changed { path: MANIFEST.into() }) }
    }
}

impl Item {
    /// Below the directory and among what backups hold.
    fn is_sound(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let plain = parts.len() <= DEEPEST && parts.iter().all(|part| !matches!(*part, "" | "." | "..") && !part.contains(['\\', '\0']));
        let known = |first: &str| KEPT.contains(&first) || self.path == RECORDS || (is_certificate(first) && first == self.path);
        plain && parts.first().is_some_and(|first| known(first))
    }
}

/// A certificate of an issuer, put there for people.
pub fn is_certificate(name: &str) -> bool {
    name.strip_suffix(".pem").is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

fn bounded(path: &Path) -> Result<Vec<u8>, ManifestError> {
    let failed = |reason: String| ManifestError::File { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > LONGEST { Err(failed("it is too long".into())) } else { Ok(bytes) }
}

/// Counts and digests what passes through.
pub struct Measured<T> {
    inner: T,
    size: u64,
    context: Context,
}

impl<T> Measured<T> {
    pub fn new(inner: T) -> Self {
        Self { inner, size: 0, context: Context::new(&SHA256) }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.context.update(bytes);
    }

    /// What was measured, and what it was measured on.
    pub fn end(self, path: &str) -> (Item, T) {
        (Item { path: path.to_owned(), size: self.size, sha256: crate::hex(self.context.finish().as_ref()) }, self.inner)
    }
}

impl<T: Write> Write for Measured<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Measured<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.count(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_backups_hold_is_named() {
        let sound = |path: &str| Item { path: path.into(), size: 0, sha256: String::new() }.is_sound();
        for path in ["ca.toml", "keys/tls-ca.key", "policies/certificates/root.toml", "store.records", "tls-ca.pem", "log-head"] {
            assert!(sound(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x.pem", "keys/../../x", "root-keys/root.key", "store/x", "x/tls-ca.pem", "lock", "keys//a", "./ca.toml", "policies/1/2/3/4", "a b.pem", "restoring"] {
            assert!(!sound(path), "{path}");
        }
    }
}
