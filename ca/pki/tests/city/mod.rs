//! A small city of keys and certificates of our own making, and OpenSSL beside it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]
use pki::certificate::{self, AlternativeName, BasicConstraints, CertificatePlan, Extensions};
use pki::crl::{CrlPlan, Entry};
use pki::name::{COMMON_NAME, COUNTRY, ORGANIZATION, ORGANIZATION_IDENTIFIER, Subject};
use pki::signer::{SignError, SignatureAlgorithm, Signer};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::path::{Path, PathBuf};
use std::process::Command;
use time::OffsetDateTime;
use time::macros::datetime;

pub const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
pub const POLICY: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.3.1");
pub const ANY_POLICY: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("2.5.29.32.0");
pub const EMAIL: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");

pub struct Key {
    pair: EcdsaKeyPair,
    /// PKCS#8, for programs that read it.
    pub pkcs8: Vec<u8>,
    spki: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

impl Key {
    pub fn p256() -> Self {
        let head = [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0];
        Self::new(&ECDSA_P256_SHA256_ASN1_SIGNING, &head, SignatureAlgorithm::EcdsaP256Sha256)
    }
    pub fn p384() -> Self {
        let head = [0x30, 0x76, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 34, 3, 0x62, 0];
        Self::new(&ECDSA_P384_SHA384_ASN1_SIGNING, &head, SignatureAlgorithm::EcdsaP384Sha384)
    }
    fn new(how: &'static ring::signature::EcdsaSigningAlgorithm, head: &[u8], algorithm: SignatureAlgorithm) -> Self {
        let random = SystemRandom::new();
        let sealed = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(how, sealed.as_ref(), &random).unwrap();
        let spki = [head, pair.public_key().as_ref()].concat();
        Self { pair, pkcs8: sealed.as_ref().to_vec(), spki, algorithm }
    }
}

impl Signer for Key {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
    fn public_key_info(&self) -> &[u8] {
        &self.spki
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

pub fn serial() -> [u8; 16] {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).unwrap();
    serial[0] = serial[0] & 0x3f | 0x40;
    serial
}

pub struct Authority {
    pub key: Key,
    pub certificate: Vec<u8>,
    pub name: Vec<u8>,
}

fn authority_plan(name: &str) -> CertificatePlan {
    CertificatePlan {
        serial: serial(),
        issuer: vec![],
        subject: Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, name).unwrap(),
        not_before: datetime!(2020-01-01 0:00 UTC),
        not_after: datetime!(2046-01-01 0:00 UTC),
        spki: vec![],
        extensions: Extensions {
            key_usage: vec![5, 6],
            basic_constraints: Some(BasicConstraints { ca: true, path_len: None }),
            policies: vec![ANY_POLICY],
            ..Extensions::default()
        },
    }
}

impl Authority {
    pub fn root(name: &str) -> Self {
        let (key, plan) = (Key::p256(), authority_plan(name));
        let name = plan.subject.to_der();
        Self { certificate: certificate::self_signed(plan, &key).unwrap(), key, name }
    }
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificatePlan)) -> Self {
        let (key, mut plan) = (Key::p256(), authority_plan(name));
        plan.spki = key.public_key_info().to_vec();
        let name = plan.subject.to_der();
        change(&mut plan);
        Self { certificate: self.sign(plan), key, name }
    }
    pub fn sign(&self, mut plan: CertificatePlan) -> Vec<u8> {
        plan.issuer.clone_from(&self.name);
        plan.extensions.authority_key_id = Some(certificate::key_id(self.key.public_key_info()).unwrap());
        let tbs = certificate::tbs_der(&plan, self.key.algorithm()).unwrap();
        certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())
    }
    /// A bureau's sealing certificate, changed at will.
    pub fn seal(&self, spki: &[u8], change: impl FnOnce(&mut CertificatePlan)) -> Vec<u8> {
        let mut plan = bureau_plan(spki);
        change(&mut plan);
        self.sign(plan)
    }
    pub fn crl_plan(&self) -> CrlPlan {
        CrlPlan {
            issuer: self.name.clone(),
            this_update: datetime!(2026-06-01 0:00 UTC),
            next_update: datetime!(2026-06-08 0:00 UTC),
            number: 7,
            authority_key_id: certificate::key_id(self.key.public_key_info()).unwrap(),
            distribution_point: None,
            delta_of: None,
            freshest: None,
        }
    }
    pub fn crl(&self, plan: &CrlPlan, entries: Vec<Entry>) -> Vec<u8> {
        let tbs = pki::crl::build_tbs(plan, self.key.algorithm(), entries);
        certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())
    }
}

pub fn bureau_plan(spki: &[u8]) -> CertificatePlan {
    CertificatePlan {
        serial: serial(),
        issuer: vec![],
        subject: Subject::new()
            .with(COUNTRY, "CN")
            .unwrap()
            .with(ORGANIZATION, "穗城住房公积金管理中心")
            .unwrap()
            .with(ORGANIZATION_IDENTIFIER, "NTRCN-91440101MAT000018G")
            .unwrap()
            .with(COMMON_NAME, "穗城住房公积金管理中心")
            .unwrap(),
        not_before: datetime!(2026-01-01 0:00 UTC),
        not_after: datetime!(2027-01-01 0:00 UTC),
        spki: spki.to_vec(),
        extensions: Extensions {
            key_usage: vec![0, 1],
            extended_key_usage: vec![EMAIL],
            policies: vec![POLICY],
            alternative_names: vec![AlternativeName::Email("0123456789@mail.example.cn".into())],
            ocsp_urls: vec!["http://ca.example.cn/ocsp".into()],
            crl_urls: vec!["http://ca.example.cn/crl/2.crl".into()],
            ..Extensions::default()
        },
    }
}

pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.0.path().join(name), bytes).unwrap();
        self.path(name)
    }
    pub fn pem(&self, name: &str, label: &str, der: &[u8]) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        self.put(name, format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).as_bytes())
    }
    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read::<PathBuf>(self.0.path().join(name)).unwrap()
    }
    /// Runs a command given as one line; paths are names on this desk.
    pub fn run(&self, line: &str) -> (bool, String) {
        let mut words = line.split_whitespace();
        let out = Command::new(words.next().unwrap()).args(words).current_dir(Path::new(self.0.path())).output().unwrap();
        (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    }
    pub fn ok(&self, line: &str) -> String {
        let (success, text) = self.run(line);
        assert!(success, "{line}: {text}");
        text
    }
}
