//! A passphrase: read from a file, a service credential or a terminal, and never shown again.

use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The longest passphrase we read, in bytes.
const MAX: u64 = 1_024;
/// The shortest: what guards the city's keys is not a PIN.
const MIN: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    #[error("the passphrase file {path} cannot be read: {reason}; check the path", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the passphrase file {path} is readable by others (mode {mode:04o}); run: chmod 600 {path}", path = path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("the passphrase has {0} characters; at least 12 are needed")]
    TooShort(usize),
    #[error("the passphrase is not UTF-8 text of at most 1024 bytes")]
    NotText,
    #[error("the two passphrases differ; try again")]
    Differ,
    #[error("no passphrase: give --passphrase-file, a service credential named {0}, or run from a terminal")]
    None(String),
}

/// Text that opens a key store. `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

impl Passphrase {
    pub fn new(text: String) -> Result<Self, PassphraseError> {
        let characters = text.chars().count();
        if characters < MIN {
            return Err(PassphraseError::TooShort(characters));
        }
        if text.len() as u64 > MAX {
            return Err(PassphraseError::NotText);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The first line of a file that only its owner can read.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        Self::new(first_line(path)?)
    }

    /// From `file` when given, else the service credential `credential` (systemd's
    /// `$CREDENTIALS_DIRECTORY`), else the terminal.
    pub fn obtain(file: Option<&Path>, credential: &str, prompt: &str) -> Result<Self, PassphraseError> {
        match Self::kept(file, credential)? {
            Some(kept) => Ok(kept),
            None => Self::ask(prompt, credential),
        }
    }

    /// As [`Passphrase::obtain`], but a passphrase typed for a new store is typed twice.
    pub fn obtain_new(file: Option<&Path>, credential: &str, prompt: &str) -> Result<Self, PassphraseError> {
        if let Some(kept) = Self::kept(file, credential)? {
            return Ok(kept);
        }
        let first = Self::ask(prompt, credential)?;
        let second = Self::ask(&format!("{prompt} (again)"), credential)?;
        if first.bytes() == second.bytes() { Ok(first) } else { Err(PassphraseError::Differ) }
    }

    /// What stands in the file, or in the credential if there is one.
    fn kept(file: Option<&Path>, credential: &str) -> Result<Option<Self>, PassphraseError> {
        if let Some(file) = file {
            return Self::from_file(file).map(Some);
        }
        service_credential(credential).map(|path| Self::from_file(&path)).transpose()
    }

    fn ask(prompt: &str, credential: &str) -> Result<Self, PassphraseError> {
        Self::new(typed(prompt, credential)?)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// What is typed at the terminal, unseen; where there is none the credential is what was missing.
pub(crate) fn typed(prompt: &str, credential: &str) -> Result<String, PassphraseError> {
    let none = || PassphraseError::None(credential.to_owned());
    if !std::io::stdin().is_terminal() {
        return Err(none());
    }
    rpassword::prompt_password(format!("{prompt}: ")).map_err(|_| none())
}

/// The first line of a file that only its owner can read.
pub(crate) fn first_line(path: &Path) -> Result<String, PassphraseError> {
    let failed = |error: std::io::Error| PassphraseError::File { path: path.to_owned(), reason: error.to_string() };
    let file = std::fs::File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(PassphraseError::File { path: path.to_owned(), reason: "it is not a file".into() });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PassphraseError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX + 2).read_to_string(&mut text).map_err(|_| PassphraseError::NotText)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The file of a service credential, when the service manager gave one of this name.
pub(crate) fn service_credential(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
    directory.map(|directory| Path::new(&directory).join(name)).filter(|path| path.exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let (_kept, path) = file("穗印 opens the keys\nsecond".as_bytes(), 0o600);
        assert_eq!(Passphrase::from_file(&path).unwrap().bytes(), "穗印 opens the keys".as_bytes());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_kept, path) = file(b"correct horse battery", 0o640);
        assert!(matches!(Passphrase::from_file(&path), Err(PassphraseError::Mode { mode: 0o640, .. })));
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        for (text, mode) in [(&b"short"[..], 0o600), (b"\xff\xfe not text at all", 0o600), (b"", 0o600)] {
            let (_kept, path) = file(text, mode);
            assert!(matches!(Passphrase::from_file(&path), Err(PassphraseError::TooShort(_) | PassphraseError::NotText)));
        }
        assert!(matches!(Passphrase::from_file(Path::new("/nonexistent")), Err(PassphraseError::File { .. })));
        assert!(matches!(Passphrase::from_file(Path::new("/")), Err(PassphraseError::File { .. })));
    }

    #[test]
    fn it_is_never_printed() {
        let shown = format!("{:?}", Passphrase::new("correct horse battery".into()).unwrap());
        assert!(!shown.contains("horse"), "{shown}");
    }
}
