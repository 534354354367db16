//! A file for its owner's eyes: not to be read by others, and taking its name only when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Dropped before its end, it leaves nothing under its name.
pub(crate) struct WholeFile {
    pub writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.finished {
            // Where it cannot be removed, the next one of this name removes it.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Only a file is ever replaced: no device, no link, whoever put it there.
pub(crate) fn fits(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !std::fs::metadata(parent)?.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(std::io::Error::other("something that is no file has this name")),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl WholeFile {
    pub fn create(path: &Path) -> std::io::Result<Self> {
        fits(path)?;
        let mut name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        // What was interrupted left; whatever stands there, nothing is written through a link.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { writer: BufWriter::new(file), temporary, path: path.to_owned(), finished: false })
    }

    pub fn finish(mut self) -> std::io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.finished = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_replaces_files_only_and_is_nobody_elses_to_read() {
        let place = tempfile::tempdir().unwrap();
        let (path, link) = (place.path().join("rows.jsonl"), place.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let missing = place.path().join("missing/rows.jsonl");
        for refused in [Path::new("/dev/null"), place.path(), &link, &missing, Path::new("/")] {
            assert!(fits(refused).is_err() && WholeFile::create(refused).is_err(), "{}", refused.display());
        }
        for _ in 0..2 {
            let mut file = WholeFile::create(&path).unwrap();
            file.writer.write_all(b"new").unwrap();
            assert_ne!(std::fs::read(&path).unwrap(), b"");
            file.finish().unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut file = WholeFile::create(&place.path().join("rows.jsonl")).unwrap();
        file.writer.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
