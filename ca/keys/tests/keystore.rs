//! The key store as its users meet it: made, closed, opened, damaged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keys::{KeyError, KeyStore, Passphrase};
use pki::signer::{SignatureAlgorithm, Signer};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn keys_survive_closing_and_sign_what_others_verify() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("keys");
    let made = KeyStore::create(&home, &passphrase()).unwrap();
    let (p256, p384) = (made.generate("a", SignatureAlgorithm::EcdsaP256Sha256).unwrap(), made.generate("b", SignatureAlgorithm::EcdsaP384Sha384).unwrap());
    let note = made.note_key("log").unwrap().public_key();
    let index = made.data_key("people").unwrap().index("document", b"01|x");
    drop(made);
    let opened = KeyStore::open(&home, &passphrase()).unwrap();
    assert_eq!(opened.load("a").unwrap().public_key_info(), p256.public_key_info());
    assert_eq!(opened.note_key("log").unwrap().public_key(), note);
    assert_eq!(opened.data_key("people").unwrap().index("document", b"01|x"), index);
    for (id, handle, how) in [("a", p256, &ring::signature::ECDSA_P256_SHA256_ASN1), ("b", p384, &ring::signature::ECDSA_P384_SHA384_ASN1)] {
        let signature = Signer::sign(&opened.load(id).unwrap(), b"message").unwrap();
        let point = pki::certificate::key_bits(handle.public_key_info()).unwrap();
        ring::signature::UnparsedPublicKey::new(how, point).verify(b"message", &signature).expect(id);
        let (_, read) = <x509_parser::x509::SubjectPublicKeyInfo as x509_parser::prelude::FromDer<_>>::from_der(handle.public_key_info()).unwrap();
        assert_eq!(read.subject_public_key.data.as_ref(), point);
    }
}

#[test]
fn the_wrong_passphrase_and_loose_modes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("keys");
    let made = KeyStore::create(&home, &passphrase()).unwrap();
    made.generate("a", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    assert!(matches!(KeyStore::create(&home, &passphrase()), Err(KeyError::Exists { .. })));
    assert!(matches!(made.generate("a", SignatureAlgorithm::EcdsaP256Sha256), Err(KeyError::Taken { .. })));
    let wrong = Passphrase::new("correct horse batterie".into()).unwrap();
    assert!(matches!(KeyStore::open(&home, &wrong), Err(KeyError::WrongPassphrase)));
    mode(&home.join("a.key"), 0o644);
    assert!(matches!(made.load("a"), Err(KeyError::Mode { mode: 0o644, .. })));
    mode(&home, 0o755);
    assert!(matches!(KeyStore::open(&home, &passphrase()), Err(KeyError::Mode { mode: 0o755, .. })));
}

#[test]
fn names_and_kinds_are_held_apart() {
    let directory = tempfile::tempdir().unwrap();
    let made = KeyStore::create(&directory.path().join("keys"), &passphrase()).unwrap();
    for name in ["", "../a", "A", "a.key", "a/b", &"a".repeat(65)] {
        assert!(matches!(made.load(name), Err(KeyError::Name { .. })), "{name}");
    }
    made.data_key("people").unwrap();
    assert!(matches!(made.load("people"), Err(KeyError::NotFound { .. })));
    assert!(matches!(made.note_key("people"), Err(KeyError::Taken { .. })));
    assert!(matches!(made.generate("r", SignatureAlgorithm::RsaPkcs1Sha256), Err(KeyError::Algorithm)));
}

#[test]
fn a_sealed_file_opens_nowhere_else_and_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("keys");
    let made = KeyStore::create(&home, &passphrase()).unwrap();
    made.generate("a", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    std::fs::copy(home.join("a.key"), home.join("b.key")).unwrap();
    assert!(matches!(made.load("b"), Err(KeyError::Damaged { .. })));
    let text = std::fs::read_to_string(home.join("a.key")).unwrap();
    std::fs::write(home.join("a.key"), text.replace("ecdsa-p256", "data")).unwrap();
    assert!(matches!(made.data_key("a"), Err(KeyError::Damaged { .. })));
    std::fs::write(home.join("a.key"), &text[..40]).unwrap();
    assert!(matches!(made.load("a"), Err(KeyError::Damaged { .. })));
}

#[test]
fn rcgen_and_rustls_take_the_handle() {
    let directory = tempfile::tempdir().unwrap();
    let made = KeyStore::create(&directory.path().join("keys"), &passphrase()).unwrap();
    let handle = made.generate("a", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let request = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().serialize_request(&handle).unwrap();
    let parsed = pki::request::Request::parse(request.der()).unwrap();
    assert_eq!(parsed.spki, handle.public_key_info());
    let scheme = rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
    assert!(handle.rustls().choose_scheme(&[rustls::SignatureScheme::RSA_PKCS1_SHA256]).is_none());
    assert_eq!(handle.rustls().choose_scheme(&[scheme]).unwrap().scheme(), scheme);
}
