//! Names made durable: neither engine syncs every directory in which it makes a file or directory.

use std::fs::{self, File};
use std::io::Result;
use std::path::Path;

/// The directory, those in it at any depth, and its own name.
pub(crate) fn sync(directory: &Path) -> Result<()> {
    within(directory)?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn within(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            within(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
}
