//! The Ed25519 key that signs a log's checkpoints.

use std::sync::Arc;

use ring::signature::{Ed25519KeyPair, KeyPair};

/// Signs checkpoints; `Debug` shows the public key only.
#[derive(Clone)]
pub struct NoteKey {
    pair: Arc<Ed25519KeyPair>,
}

impl NoteKey {
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        Some(Self { pair: Arc::new(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?) })
    }

    /// 32 bytes, RFC 8032.
    pub fn public_key(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.pair.public_key().as_ref());
        out
    }

    /// 64 bytes, RFC 8032.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

impl std::fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoteKey({:02x?})", self.public_key())
    }
}
