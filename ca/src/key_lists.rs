//! The operator's lists of keys that the world knows: `blocked-keys/*.txt` of the state directory, read at start.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pki::key::{Blocklist, ListError};

pub const DIRECTORY: &str = "blocked-keys";
/// All lists together; four million digests have some 260 MB.
const LIMIT: u64 = 320 * 1024 * 1024;
const FILES: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{path}: {reason}; correct or remove it", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    List(#[from] ListError),
}

/// The keys of all lists, and one digest over all their texts.
#[derive(Clone, Debug)]
pub struct KeyLists {
    pub keys: Blocklist,
    pub digest: String,
}

/// The same lists in another place, in a new directory.
pub fn copy(from: &Path, to: &Path) -> Result<(), ReadError> {
    let failed = |path: &Path, error: std::io::Error| ReadError::File { path: path.to_owned(), reason: error.to_string() };
    fs::DirBuilder::new().mode(0o700).create(to).map_err(|error| failed(to, error))?;
    for (file, text) in texts(from)? {
        let path = to.join(file);
        fs::File::create_new(&path).and_then(|mut new| new.write_all(text.as_bytes()).and_then(|()| new.sync_all())).map_err(|error| failed(&path, error))?;
    }
    fs::File::open(to).and_then(|directory| directory.sync_all()).map_err(|error| failed(to, error))
}

/// A directory that is missing holds no list.
pub fn read(directory: &Path) -> Result<KeyLists, ReadError> {
    let texts = texts(directory)?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in texts.iter().flat_map(|(file, text)| [file, text]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let keys = Blocklist::parse(texts.iter().map(|(file, text)| -> (&str, &str) { (file, text) }))?;
    Ok(KeyLists { keys, digest: crate::hex(context.finish().as_ref()) })
}

/// By file.
fn texts(directory: &Path) -> Result<BTreeMap<String, String>, ReadError> {
    let mut texts = BTreeMap::new();
    let failed = |path: &Path, reason: &str| ReadError::File { path: path.to_owned(), reason: reason.to_owned() };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(directory, &error.to_string())),
    };
    let mut left = LIMIT;
    for entry in entries.into_iter().flatten() {
        let path = entry.map_err(|error| failed(directory, &error.to_string()))?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let mut text = String::new();
        let read = fs::File::open(&path).and_then(|file| file.take(left + 1).read_to_string(&mut text)).map_err(|error| failed(&path, &error.to_string()))?;
        left = left.checked_sub(read as u64).ok_or_else(|| failed(&path, "the lists together have more than 320 MiB"))?;
        if texts.len() == FILES {
            return Err(failed(&path, "there are more than 256 lists"));
        }
        texts.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    }
    Ok(texts)
}
