//! A client's own key from its file, for mutual TLS: it goes into the handle and nowhere else.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    #[error("the file holds no private key in PEM; give the key of the client certificate, without a passphrase")]
    Unreadable,
    #[error("TLS has no use for this kind of key; use P-256, P-384 or RSA")]
    Unsupported,
}

/// `pem` is PKCS#8, SEC 1 or PKCS#1; certificates beside the key are passed over.
pub fn client_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, ClientKeyError> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| ClientKeyError::Unreadable)?;
    rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| ClientKeyError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(client_key(text.as_bytes()), Err(ClientKeyError::Unreadable)));
        }
        let text = "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(client_key(text.as_bytes()), Err(ClientKeyError::Unsupported)));
    }
}
