//! The directory a service keeps its state in: private to its user, held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use crate::exit::{Exit, Problem};

const LOCK: &str = "lock";
/// How long one who holds the lock is waited for: two seconds.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

#[derive(Debug, Error)]
pub enum StateError {
    #[error("there is no state directory {}; make one with `init`, or name another", path.display())]
    Missing { path: PathBuf },
    #[error("{} is not a directory; name another path, or move the file away", path.display())]
    NotADirectory { path: PathBuf },
    #[error("{} has mode {mode:04o} and lets other users in; run `chmod 700` on it after looking who was there", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} belongs to user {owner}, this process runs as user {user}; run as its owner, or `chown` it", path.display())]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error("{} is not empty; open it with `serve`, or name a new directory", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{} is in use by another process; stop that one, or reach it through its administration socket", path.display())]
    Locked { path: PathBuf },
    #[error("cannot {action} {}: {source}; check the disk and the path", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl StateError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::NotFound,
            Self::NotADirectory { .. } | Self::NotEmpty { .. } => Exit::Conflict,
            Self::Exposed { .. } | Self::Foreign { .. } => Exit::Denied,
            Self::Locked { .. } | Self::Io { .. } => Exit::Unavailable,
        }
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(error.exit(), "state-directory", message, next)
    }
}

/// A state directory, locked by this process for as long as the value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory with mode 0700 (its parent must exist) and locks it. One that exists is taken when it is
    /// private, ours and empty, as a service manager leaves it.
    pub fn create(path: &Path) -> Result<Self, StateError> {
        match DirBuilder::new().mode(0o700).create(path) {
            // The mask may have taken bits away from 0700.
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o700))
                .and_then(|()| sync_directory(parent(path)))
                .map_err(|source| StateError::io("make", path, source))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(StateError::io("make", path, source)),
        }
        let state = Self::open(path)?;
        let entries = fs::read_dir(path).map_err(|source| StateError::io("list", path, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| StateError::io("list", path, source))?;
            if entry.file_name() != LOCK {
                return Err(StateError::NotEmpty { path: path.to_owned() });
            }
        }
        Ok(state)
    }

    /// Locks an existing directory after checking that it is a directory, ours, and closed to group and others.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        check_private(path)?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(|source| StateError::io("open", &lock, source))?;
        let mut tried = file.try_lock();
        // A process that is just ending, or a child between fork and exec of the one before, holds it for a moment more.
        for _ in 0..LOCK_TRIES {
            if !matches!(tried, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            tried = file.try_lock();
        }
        match tried {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StateError::io("lock", &lock, source)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

/// Refuses anything but a directory of this process's user that group and others cannot enter. Reads the mode bits:
/// root passes every permission check, so trying would prove nothing.
pub(crate) fn check_private(path: &Path) -> Result<(), StateError> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StateError::Missing { path: path.to_owned() },
        io::ErrorKind::NotADirectory => StateError::NotADirectory { path: path.to_owned() },
        _ => StateError::io("read", path, source),
    })?;
    if !metadata.is_dir() {
        return Err(StateError::NotADirectory { path: path.to_owned() });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StateError::Foreign { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StateError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Replaces `path` by `bytes` so that a reader, also one after a power failure, finds the old or the new content and
/// nothing between. `mode` is the new file's exactly. Blocks until the disk has it.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}-{number}.new", std::process::id()));
    let temporary = parent(path).join(hidden);
    let written = replace(path, &temporary, bytes, mode);
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn replace(path: &Path, temporary: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a crashed process that had our number is nobody's any more.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(temporary)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_directory(parent(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_directory_is_made_private_and_held_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ca");
        let held = StateDir::create(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert!(matches!(StateDir::open(&path), Err(StateError::Locked { .. })));
        drop(held);
        let held = StateDir::open(&path).unwrap();
        fs::write(held.join("data"), b"x").unwrap();
        drop(held);
        assert!(matches!(StateDir::create(&path), Err(StateError::NotEmpty { .. })));
    }

    #[test]
    fn a_lock_that_is_about_to_be_free_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ca");
        let held = StateDir::create(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || StateDir::open(&path).map(drop)
        });
        std::thread::sleep(LOCK_PAUSE);
        drop(held);
        assert!(waiting.join().unwrap().is_ok());
    }

    #[test]
    fn what_is_not_a_private_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ca");
        assert!(matches!(StateDir::open(&path), Err(StateError::Missing { .. })));
        assert!(matches!(StateDir::create(&path.join("deep")), Err(StateError::Io { .. })));
        fs::write(&path, b"").unwrap();
        assert!(matches!(StateDir::open(&path), Err(StateError::NotADirectory { .. })));
        assert!(matches!(StateDir::create(&path), Err(StateError::NotADirectory { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for exposed in [0o750, 0o701, 0o720, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
            match StateDir::open(&path) {
                Err(StateError::Exposed { mode, .. }) => assert_eq!(mode, exposed),
                other => panic!("{other:?}"),
            }
            assert!(!path.join(LOCK).exists());
        }
        let problem = Problem::from(StateDir::open(&path).unwrap_err());
        assert_eq!(problem.exit, Exit::Denied);
        assert!(problem.message.contains("mode 0777") && problem.next.starts_with("run `chmod 700`"));
    }

    #[test]
    fn a_file_is_replaced_whole_with_the_mode_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("endpoints.json");
        write_atomically(&path, b"old and longer", 0o600).unwrap();
        write_atomically(&path, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o644);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        // A directory cannot be replaced by a file; nothing is left behind.
        fs::create_dir(root.path().join("taken")).unwrap();
        assert!(write_atomically(&root.path().join("taken"), b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
        assert!(write_atomically(Path::new("/"), b"x", 0o600).is_err());
    }
}
