//! A handle on a private key: what pki, rcgen and rustls sign with.

use std::sync::Arc;

use pki::signer::{SignError, SignatureAlgorithm, Signer};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair};

/// Signs with a key it never shows. Cheap to clone.
#[derive(Clone)]
pub struct KeyHandle {
    signer: Arc<dyn Signer>,
}

impl KeyHandle {
    /// A key that lives elsewhere (a hardware token) under the same handle.
    pub fn from_signer(signer: Arc<dyn Signer>) -> Self {
        Self { signer }
    }

    /// The key for a rustls server or client.
    pub fn rustls(&self) -> Arc<dyn rustls::sign::SigningKey> {
        Arc::new(self.clone())
    }
}

impl std::fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyHandle({:?})", Signer::algorithm(self))
    }
}

impl Signer for KeyHandle {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.algorithm()
    }

    fn public_key_info(&self) -> &[u8] {
        self.signer.public_key_info()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign(message)
    }
}

impl rcgen::PublicKeyData for KeyHandle {
    fn der_bytes(&self) -> &[u8] {
        // The SPKI is of our own making or was checked when the handle was made.
        pki::certificate::key_bits(self.signer.public_key_info()).unwrap_or_default()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.signer.algorithm() {
            SignatureAlgorithm::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            SignatureAlgorithm::EcdsaP384Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            SignatureAlgorithm::RsaPkcs1Sha256 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for KeyHandle {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

fn scheme(algorithm: SignatureAlgorithm) -> rustls::SignatureScheme {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => rustls::SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureAlgorithm::EcdsaP384Sha384 => rustls::SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha256 => rustls::SignatureScheme::RSA_PKCS1_SHA256,
    }
}

impl rustls::sign::SigningKey for KeyHandle {
    fn choose_scheme(&self, offered: &[rustls::SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let own = scheme(self.signer.algorithm());
        offered.contains(&own).then(|| Box::new(self.clone()) as Box<dyn rustls::sign::Signer>)
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        match self.signer.algorithm() {
            SignatureAlgorithm::RsaPkcs1Sha256 => rustls::SignatureAlgorithm::RSA,
            _ => rustls::SignatureAlgorithm::ECDSA,
        }
    }
}

impl rustls::sign::Signer for KeyHandle {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signer.sign(message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> rustls::SignatureScheme {
        scheme(self.signer.algorithm())
    }
}

/// A key held in this process's memory.
pub(crate) struct SoftwareKey {
    pair: EcdsaKeyPair,
    algorithm: SignatureAlgorithm,
    public_key_info: Vec<u8>,
    random: SystemRandom,
}

/// The ring algorithm and the AlgorithmIdentifier of an SPKI, for the algorithms ring makes keys of.
pub(crate) fn ecdsa(algorithm: SignatureAlgorithm) -> Option<(&'static EcdsaSigningAlgorithm, &'static [u8])> {
    // ecPublicKey with the curve as parameter. spec: rfc5480#2.1.1
    const P256: &[u8] = &[0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P384: &[u8] = &[0x30, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 34];
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, P256)),
        SignatureAlgorithm::EcdsaP384Sha384 => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, P384)),
        SignatureAlgorithm::RsaPkcs1Sha256 => None,
    }
}

impl SoftwareKey {
    pub(crate) fn from_pkcs8(algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        let (curve, identifier) = ecdsa(algorithm)?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8, &random).ok()?;
        let public_key_info = pki::asn1::seq(&[identifier, &pki::asn1::bits(pair.public_key().as_ref())]);
        Some(Self { pair, algorithm, public_key_info, random })
    }
}

impl Signer for SoftwareKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| SignError::new("the system gave no randomness"))?;
        Ok(signature.as_ref().to_vec())
    }
}
