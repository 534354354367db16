//! The key of a certificate's holder, read from the holder's own file for as long as one command takes.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The largest key file: RSA of 4096 bits takes some three thousand octets.
const MAX: u64 = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum HolderKeyError {
    #[error("{path} cannot be read: {reason}; check the path", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} holds no private key that can be used here; give an unencrypted PKCS#8 key in PEM (openssl pkcs8 -topk8 -nodes)", path = path.display())]
    Form { path: PathBuf },
}

/// Signs requests by rcgen; shows nothing of itself.
pub struct HolderKey(rcgen::KeyPair);

impl HolderKey {
    pub fn read(path: &Path) -> Result<Self, HolderKeyError> {
        let mut text = Zeroizing::new(String::new());
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX).read_to_string(&mut text));
        read.map_err(|error| HolderKeyError::File { path: path.to_owned(), reason: error.to_string() })?;
        rcgen::KeyPair::from_pem(&text).map(Self).map_err(|_| HolderKeyError::Form { path: path.to_owned() })
    }
}

impl rcgen::PublicKeyData for HolderKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        rcgen::PublicKeyData::algorithm(&self.0)
    }
}

impl rcgen::SigningKey for HolderKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}
