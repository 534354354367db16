//! What signs: a handle that never shows its key. Implemented by `keys`, used by everything built here.

/// The signature algorithms that Suiyin writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    RsaPkcs1Sha256,
}

/// A signature could not be made; the reason never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed: {reason}")]
pub struct SignError {
    pub reason: String,
}

impl SignError {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A private key that others hold.
pub trait Signer: Send + Sync {
    fn algorithm(&self) -> SignatureAlgorithm;
    /// SubjectPublicKeyInfo, DER.
    fn public_key_info(&self) -> &[u8];
    /// The signature as it goes into the BIT STRING: DER for ECDSA.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}
