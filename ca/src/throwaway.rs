//! Signatures that vouch for nothing: the twin of a certificate that the lints look at.

use std::sync::OnceLock;

use pki::signer::SignatureAlgorithm;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm};

use crate::problem::IssueError;

/// `tbs` as a certificate signed by a key that is made once in a process, never stored and certified by nobody.
pub(crate) fn sign(algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<Vec<u8>, IssueError> {
    static P256: OnceLock<Option<EcdsaKeyPair>> = OnceLock::new();
    static P384: OnceLock<Option<EcdsaKeyPair>> = OnceLock::new();
    let pair = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => P256.get_or_init(|| make(&ECDSA_P256_SHA256_ASN1_SIGNING)),
        SignatureAlgorithm::EcdsaP384Sha384 => P384.get_or_init(|| make(&ECDSA_P384_SHA384_ASN1_SIGNING)),
        SignatureAlgorithm::RsaPkcs1Sha256 => return Err(IssueError::Algorithm),
    };
    let pair = pair.as_ref().ok_or(IssueError::Randomness)?;
    let signature = pair.sign(&SystemRandom::new(), tbs).map_err(|_| IssueError::Randomness)?;
    Ok(pki::certificate::assemble(tbs, algorithm, signature.as_ref()))
}

fn make(algorithm: &'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok()?;
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).ok()
}
