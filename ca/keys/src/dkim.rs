//! The keys that sign a domain's mail.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

use crate::note::NoteKey;

/// Signs mail; `Debug` shows the algorithm only.
#[derive(Clone)]
pub struct DkimKey(Held);

#[derive(Clone)]
enum Held {
    Ed25519(NoteKey),
    Rsa(Arc<RsaKeyPair>),
}

/// The signature could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mail signature could not be made; look at the host's memory and randomness")]
pub struct DkimFailure;

impl DkimKey {
    pub(crate) fn ed25519(key: NoteKey) -> Self {
        Self(Held::Ed25519(key))
    }

    /// PKCS#8, DER, 2048 to 4096 bits. spec: rfc8301#3.2
    pub(crate) fn rsa(pkcs8: &[u8]) -> Option<Self> {
        Some(Self(Held::Rsa(Arc::new(RsaKeyPair::from_pkcs8(pkcs8).ok()?))))
    }

    /// As `a=` writes it.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Held::Ed25519(_) => "ed25519-sha256",
            Held::Rsa(_) => "rsa-sha256",
        }
    }

    /// The TXT record under the key's selector. spec: rfc6376#3.6.1 rfc8463#4
    pub fn record(&self) -> String {
        match &self.0 {
            Held::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key())),
            Held::Rsa(pair) => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public_key_info(pair.public_key().as_ref()))),
        }
    }

    /// Over the header fields as canonicalised, `b=` empty. spec: rfc6376#3.7, rfc8463#3 Ed25519 signs their digest
    pub fn sign(&self, fields: &[u8]) -> Result<Vec<u8>, DkimFailure> {
        match &self.0 {
            Held::Ed25519(key) => Ok(key.sign(digest(&SHA256, fields).as_ref()).to_vec()),
            Held::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), fields, &mut signature).map_err(|_| DkimFailure)?;
                Ok(signature)
            }
        }
    }
}

impl std::fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DkimKey({})", self.algorithm())
    }
}

/// SubjectPublicKeyInfo around an RSAPublicKey: what records hold in practice. spec: rfc8017#appendix-A.1
fn public_key_info(rsa_public_key: &[u8]) -> Vec<u8> {
    const ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let bits = tagged(0x03, &[&[0], rsa_public_key].concat());
    tagged(0x30, &[ALGORITHM, &bits].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match significant.as_slice() {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        // A length has at most eight octets.
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}
