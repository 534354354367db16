//! The PIN of a token: read once from a file or a service credential, and never shown again.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::passphrase::{PassphraseError, first_line, service_credential, typed};

/// Tokens differ in what they take; outside of this none takes it. In bytes.
const MIN: usize = 4;
const MAX: usize = 255;
/// The service credential looked for when no file is named.
const CREDENTIAL: &str = "ca-token-pin";

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("the PIN file {path} cannot be read: {reason}; check the path", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the PIN file {path} is readable by others (mode {mode:04o}); run: chmod 600 {path}", path = path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("the PIN is not text of 4 to 255 bytes; write the token's user PIN into the file, alone on its first line")]
    Length,
    #[error("no PIN for the token; name its file, or give a service credential named {0}")]
    None(String),
}

impl From<PassphraseError> for PinError {
    fn from(error: PassphraseError) -> Self {
        match error {
            PassphraseError::File { path, reason } => Self::File { path, reason },
            PassphraseError::Mode { path, mode } => Self::Mode { path, mode },
            PassphraseError::None(credential) => Self::None(credential),
            _ => Self::Length,
        }
    }
}

/// Opens a token. `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Pin(SecretString);

impl Pin {
    pub fn new(text: String) -> Result<Self, PinError> {
        // Wrapped first: what is refused is wiped too.
        let text = SecretString::from(text);
        if (MIN..=MAX).contains(&text.expose_secret().len()) { Ok(Self(text)) } else { Err(PinError::Length) }
    }

    /// The first line of `file` (mode 0600) when given, else of the service credential `ca-token-pin`.
    pub fn obtain(file: Option<&Path>) -> Result<Self, PinError> {
        let path = file.map(Path::to_owned).or_else(|| service_credential(CREDENTIAL)).ok_or_else(|| PinError::None(CREDENTIAL.to_owned()))?;
        Self::new(first_line(&path)?)
    }

    /// The first line of `file` (mode 0600) when given, else of the service credential `credential`, else what is typed.
    pub fn obtain_or_ask(file: Option<&Path>, credential: &str, prompt: &str) -> Result<Self, PinError> {
        match file.map(Path::to_owned).or_else(|| service_credential(credential)) {
            Some(path) => Self::new(first_line(&path)?),
            None => Self::new(typed(prompt, credential)?),
        }
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_comes_from_a_file_of_its_owner_and_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        std::fs::write(&path, "271828\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Pin::obtain(Some(&path)), Err(PinError::Mode { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let pin = Pin::obtain(Some(&path)).unwrap();
        assert_eq!(pin.secret().expose_secret(), "271828");
        assert!(!format!("{pin:?}").contains("271828"));
        for wrong in ["12", "", &"1".repeat(256)] {
            assert!(matches!(Pin::new(wrong.to_owned()), Err(PinError::Length)));
        }
        assert!(matches!(Pin::obtain(Some(Path::new("/nonexistent"))), Err(PinError::File { .. })));
    }
}
