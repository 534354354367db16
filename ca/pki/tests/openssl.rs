//! OpenSSL makes what we read and reads what we make.
#![allow(clippy::unwrap_used, clippy::panic)]
use pki::certificate::*;
use pki::crl::*;
use pki::name::*;
use pki::request::{Request, RequestError};
use pki::signer::*;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::process::Command;
use time::macros::datetime;

struct Key(EcdsaKeyPair, Vec<u8>);
impl Key {
    fn new() -> Self {
        let rng = ring::rand::SystemRandom::new();
        let p8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
        let k = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, p8.as_ref(), &rng).unwrap();
        let head = [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0];
        let spki = [&head[..], k.public_key().as_ref()].concat();
        Key(k, spki)
    }
}
impl Signer for Key {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }
    fn public_key_info(&self) -> &[u8] {
        &self.1
    }
    fn sign(&self, m: &[u8]) -> Result<Vec<u8>, SignError> {
        let s = self.0.sign(&ring::rand::SystemRandom::new(), m).map_err(|_| SignError::new("ring"))?;
        Ok(s.as_ref().to_vec())
    }
}

fn openssl(args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{args:?}: {text}");
    text
}

#[test]
fn root_and_crl_are_read_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let p = |n: &str| dir.path().join(n).to_str().unwrap().to_owned();
    let key = Key::new();
    let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, "穗印根").unwrap();
    let extensions = Extensions {
        key_usage: vec![5, 6],
        basic_constraints: Some(BasicConstraints { ca: true, path_len: Some(1) }),
        credit_code: Some("91440101MA59ABCD1X".into()),
        cps_uri: Some("http://example.com/cps".into()),
        policies: vec![const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1")],
        crl_urls: vec!["http://example.com/crl".into()],
        ocsp_urls: vec!["http://example.com/ocsp".into()],
        alternative_names: vec![AlternativeName::Email("a@example.com".into())],
        ..Extensions::default()
    };
    let plan = CertificatePlan { serial: [7; 16], issuer: vec![], subject: subject.clone(), not_before: datetime!(2020-01-01 0:00 UTC), not_after: datetime!(2060-01-01 0:00 UTC), spki: vec![], extensions };
    let cert = self_signed(plan, &key).unwrap();
    std::fs::write(p("c.der"), &cert).unwrap();
    openssl(&["x509", "-inform", "DER", "-in", &p("c.der"), "-out", &p("c.pem")]);
    let text = openssl(&["x509", "-in", &p("c.pem"), "-noout", "-text"]);
    for want in ["CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign", "http://example.com/cps", "email:a@example.com", "2060"] {
        assert!(text.contains(want), "{want} not in {text}");
    }
    openssl(&["verify", "-x509_strict", "-CAfile", &p("c.pem"), &p("c.pem")]);
    let head = CrlPlan { issuer: subject.to_der(), this_update: datetime!(2026-01-01 0:00 UTC), next_update: datetime!(2059-01-01 0:00 UTC), number: 200, authority_key_id: key_id(key.public_key_info()).unwrap(), distribution_point: Some("http://example.com/crl".into()), delta_of: None, freshest: None };
    let entry = Entry { serial: vec![0x91], revoked_at: datetime!(2026-01-01 0:00 UTC), reason: Reason::KeyCompromise, invalidity_date: Some(datetime!(2025-01-01 0:00 UTC)) };
    for entries in [vec![], vec![entry]] {
        let some = !entries.is_empty();
        let tbs = build_tbs(&head, key.algorithm(), entries);
        std::fs::write(p("l.der"), assemble(&tbs, key.algorithm(), &key.sign(&tbs).unwrap())).unwrap();
        let text = openssl(&["crl", "-inform", "DER", "-in", &p("l.der"), "-CAfile", &p("c.pem"), "-noout", "-text"]);
        assert!(text.contains("verify OK"), "{text}");
        assert_eq!(text.contains("Key Compromise"), some);
        assert_eq!(text.contains("No Revoked Certificates"), !some);
    }
}

#[test]
fn requests_of_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let p = |n: &str| dir.path().join(n).to_str().unwrap().to_owned();
    openssl(&["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &p("k"), "-subj", "/C=CN/O=Suiyin", "-addext", "basicConstraints=CA:TRUE", "-outform", "DER", "-out", &p("r")]);
    let der = std::fs::read(p("r")).unwrap();
    let r = Request::parse(&der).unwrap();
    assert!(r.asks_for_ca());
    assert_eq!(r.subject[1].1, "Suiyin");
    for n in 0..der.len() {
        assert!(Request::parse(&der[..n]).is_err());
    }
    let mut bad = der.clone();
    let at = bad.windows(6).position(|w| w == b"Suiyin").unwrap();
    bad[at] = b'X';
    assert_eq!(Request::parse(&bad).unwrap_err(), RequestError::Possession);
    assert_eq!(Request::parse(&[0x30; 20_000]).unwrap_err(), RequestError::TooLarge(20_000));
    assert!(matches!(Request::parse(b"-----BEGIN CERTIFICATE-----\n"), Err(RequestError::Label(_))));
}
