//! Content that the holder of a certificate alone can open: CMS AuthEnvelopedData, AES-256-GCM under a key of its own, which is wrapped
//! under a secret agreed with the certificate's P-256 key. The ephemeral key is used once and never leaves this call.
// spec: rfc5083, rfc5084, rfc5753#3.1.1, rfc8551#2.7

use aes_kw::{KeyInit as _, KwAes256};
use pki::asn1::{self, DerError};
use pki::key::{self, KeyAlgorithm};
use pki::view::CertificateView;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// id-ct-authEnvelopedData, id-data, aes256-GCM, aes256-wrap, dhSinglePass-stdDH-sha256kdf-scheme, id-ecPublicKey: the octets of each.
const AUTH_ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const AES256_GCM: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e];
const AES256_WRAP: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d];
const STD_DH_SHA256: &[u8] = &[0x2b, 0x81, 0x04, 0x01, 0x0b, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// An uncompressed point of P-256, at the end of its SubjectPublicKeyInfo.
const POINT: usize = 65;
const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: u8 = 16;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the certificate cannot be read: {0}")]
    Certificate(#[from] DerError),
    #[error("the certificate's key is none on P-256; nothing is sealed to it")]
    Key,
    #[error("the system gave no randomness; nothing was sealed")]
    Randomness,
    #[error("the content could not be sealed; nothing was made")]
    Failed,
}

/// Seals `content` to a certificate, DER, whose key is on P-256: ContentInfo, DER. Whether the certificate is to be trusted is the
/// caller's affair.
pub fn seal_to(certificate: &[u8], content: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let random = SystemRandom::new();
    let view = CertificateView::parse(certificate)?;
    let point = match key::check(view.spki) {
        Ok(KeyAlgorithm::P256) => view.spki.len().checked_sub(POINT).and_then(|at| view.spki.get(at..)).ok_or(EnvelopeError::Key)?,
        _ => return Err(EnvelopeError::Key),
    };
    let (mut content_key, mut nonce) = (Zeroizing::new([0; KEY]), [0; NONCE]);
    random.fill(&mut *content_key).and_then(|()| random.fill(&mut nonce)).map_err(|_| EnvelopeError::Randomness)?;
    // The content, with its tag apart.
    let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*content_key).map_err(|_| EnvelopeError::Failed)?);
    let mut sealed = content.to_vec();
    let tag = sealing.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).map_err(|_| EnvelopeError::Failed)?;
    // Its key, wrapped under the agreed secret.
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| EnvelopeError::Randomness)?;
    let public = ours.compute_public_key().map_err(|_| EnvelopeError::Failed)?;
    let wrap_algorithm = asn1::seq(&[&asn1::tlv(6, AES256_WRAP)]);
    let shared = shared_info(&wrap_algorithm);
    let wrapping = agree_ephemeral(ours, &UnparsedPublicKey::new(&ECDH_P256, point), |secret| derived(secret, &shared)).map_err(|_| EnvelopeError::Key)?;
    let mut wrapped = [0; KEY + 8];
    KwAes256::new_from_slice(&*wrapping).map_err(|_| EnvelopeError::Failed)?.wrap_key(&*content_key, &mut wrapped).map_err(|_| EnvelopeError::Failed)?;
    // As it is told.
    let originator = asn1::tlv(0xa0, &asn1::tlv(0xa1, &[asn1::seq(&[&asn1::tlv(6, EC_PUBLIC_KEY)]), asn1::bits(public.as_ref())].concat()));
    let agreement = asn1::seq(&[&asn1::tlv(6, STD_DH_SHA256), &wrap_algorithm]);
    let holder = asn1::seq(&[view.issuer, &asn1::tlv(2, view.serial)]);
    let keys = asn1::seq(&[&asn1::seq(&[&holder, &asn1::tlv(4, &wrapped)])]);
    let recipient = asn1::tlv(0xa1, &[[2, 1, 3].as_slice(), &originator, &agreement, &keys].concat());
    let parameters = asn1::seq(&[&asn1::tlv(4, &nonce), &[2, 1, TAG]]);
    let encrypted = asn1::seq(&[&asn1::tlv(6, DATA), &asn1::seq(&[&asn1::tlv(6, AES256_GCM), &parameters]), &asn1::tlv(0x80, &sealed)]);
    let data = asn1::seq(&[&[2, 1, 0], &asn1::tlv(0x31, &recipient), &encrypted, &asn1::tlv(4, tag.as_ref())]);
    Ok(asn1::seq(&[&asn1::tlv(6, AUTH_ENVELOPED_DATA), &asn1::tlv(0xa0, &data)]))
}

/// ECC-CMS-SharedInfo: which algorithm the key is for, and its bits. spec: rfc5753#7.2
fn shared_info(wrap_algorithm: &[u8]) -> Vec<u8> {
    let bits = u32::try_from(KEY * 8).unwrap_or(0).to_be_bytes();
    asn1::seq(&[wrap_algorithm, &asn1::tlv(0xa2, &asn1::tlv(4, &bits))])
}

/// One block of the key derivation, which is as long as the key. spec: sec1#3.6.1
fn derived(secret: &[u8], shared: &[u8]) -> Zeroizing<[u8; KEY]> {
    let mut context = Context::new(&SHA256);
    context.update(secret);
    context.update(&1_u32.to_be_bytes());
    context.update(shared);
    let mut key = Zeroizing::new([0; KEY]);
    key.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    /// OpenSSL opens it with the certificate's key, and finds one flipped octet.
    #[test]
    fn the_holder_alone_opens_it() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let openssl = |arguments: &[&str]| Command::new("openssl").args(arguments).current_dir(place.path()).output().unwrap();
        let made = |name: &str, curve: &str| {
            let out = openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}"), "-nodes", "-subj", &format!("/CN={name}"), "-days", "9", "-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let out = openssl(&["x509", "-in", &format!("{name}.pem"), "-outform", "DER", "-out", &format!("{name}.der")]);
            assert!(out.status.success());
            std::fs::read(path(&format!("{name}.der"))).unwrap()
        };
        let (holder, _other) = (made("holder", "P-256"), made("other", "P-256"));
        let opened = |name: &str| openssl(&["cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed.der", "-recip", &format!("{name}.pem"), "-inkey", &format!("{name}.key")]);
        for content in [b"".as_slice(), "住房公积金".as_bytes(), &vec![7; 100_000]] {
            let sealed = seal_to(&holder, content).unwrap();
            std::fs::write(path("sealed.der"), &sealed).unwrap();
            let out = opened("holder");
            assert!(out.status.success() && out.stdout == content, "{}", String::from_utf8_lossy(&out.stderr));
            assert!(!opened("other").status.success());
            let mut flipped = sealed.clone();
            let at = flipped.len() - 1;
            *flipped.get_mut(at).unwrap() ^= 1;
            std::fs::write(path("sealed.der"), &flipped).unwrap();
            assert!(!opened("holder").status.success(), "its tag is altered");
            assert_ne!(sealed, seal_to(&holder, content).unwrap());
        }
        assert_eq!(seal_to(&made("large", "P-384"), b"x"), Err(EnvelopeError::Key));
        assert!(seal_to(b"none", b"x").is_err());
    }
}
