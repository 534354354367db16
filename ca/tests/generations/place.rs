//! A directory with its clock, the ceremonies held beside it, and what is asked of what comes of them.

use std::path::PathBuf;
use std::sync::Arc;

use ca::authority::{Authority, ROOT};
use ca::ceremony::{self, CeremonyError};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::take_over::{self};
use ca::flow::{Authorised, Office, Operator, publish};
use ca::init::{Opened, init, open};
use ca::record::{CertificateRecord, CrlRecord, Reason, decode, serial_text};
use ca::status::Status as Responder;
use keys::Passphrase;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::{Clock, FakeClock};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

pub const FIRST: &str = "enterprise-ca";
pub const SECOND: &str = "enterprise-ca-2";
/// OCSPResponseStatus. spec: rfc6960#4.2.1
pub const TRY_LATER: u8 = 3;
pub const UNAUTHORIZED: u8 = 6;
/// The kind of the log's entry about a new OCSP signer.
pub const REPLACED: u8 = 8;
pub const URL: &str = "http://127.0.0.1:8440";

pub struct Place {
    pub home: tempfile::TempDir,
    pub clock: Arc<FakeClock>,
}

pub fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

pub fn admin<R: Office>() -> Authorised<R> {
    Authorised::by_ownership(7)
}

pub fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a ceremony's file says, to be changed line by line.
#[derive(Clone)]
pub struct Said {
    pub request: String,
    pub request_sha256: String,
    pub key_id: String,
    pub from: &'static str,
    pub until: &'static str,
    pub path_length: u8,
    pub policies_sha256: String,
    pub present: &'static str,
    /// Further lines.
    pub more: String,
}

impl Place {
    pub fn new() -> Self {
        let now = time::macros::datetime!(2027-01-15 00:00 UTC);
        Self { home: tempfile::tempdir().unwrap(), clock: Arc::new(FakeClock::new(now)) }
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Founded in January; the ceremonies below are held on the first of March.
    pub fn found(&self) -> Opened {
        let opened = init(&self.path("ca"), URL, "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), self.clock()).unwrap();
        self.clock.advance(Duration::days(45));
        opened
    }

    pub fn open(&self) -> Opened {
        open(&self.path("ca"), None, &passphrase(), self.clock()).unwrap()
    }

    /// The request of the next generation, and what is to be said of it.
    pub fn words(&self, opened: &Opened) -> Said {
        self.words_of(opened, FIRST)
    }

    pub fn words_of(&self, opened: &Opened, issuer: &str) -> Said {
        let requested = take_over::request(&opened.authority, &Authorised::<ca::flow::Administrator>::service(), issuer).unwrap();
        assert_eq!(requested.id, format!("{issuer}-2"));
        std::fs::write(self.path("next.csr"), &requested.request).unwrap();
        let policies = ca::init::read_policies(&self.path("ca/policies")).unwrap();
        let key_id = opened.authority.issuers[ROOT].key_id.iter().map(|byte| format!("{byte:02x}")).collect();
        Said {
            request: "next.csr".into(),
            request_sha256: sha256(requested.request.as_bytes()),
            key_id,
            from: "2027-03-01T00:00:00Z",
            until: "2037-02-01T00:00:00Z",
            path_length: 0,
            policies_sha256: policies.digest,
            present: "[\"a\", \"b\"]",
            more: String::new(),
        }
    }

    /// Writes the file; its digest.
    pub fn file(&self, words: &Said) -> String {
        let root = sha256(&std::fs::read(self.path("ca/root.pem")).unwrap());
        let text = format!(
            "kind = \"issuing\"\nroot = {{ file = \"ca/root.pem\", sha256 = \"{root}\" }}\nroot_key_id = \"{}\"\nrequest = {{ file = \"{}\", sha256 = \"{}\" }}\nname = \"穗印企业证书签发机构 2\"\n\
             not_before = \"{}\"\nnot_after = \"{}\"\npath_length = {}\nbase_url = \"{URL}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{}\"\npresent = {}\n{}",
            words.key_id, words.request, words.request_sha256, words.from, words.until, words.path_length, words.policies_sha256, words.present, words.more
        );
        std::fs::write(self.path("ceremony.toml"), &text).unwrap();
        sha256(text.as_bytes())
    }

    pub fn hold(&self, words: &Said, keys: &str, out: &str, rehearsal: bool) -> Result<ceremony::Done, CeremonyError> {
        let reviewed = self.file(words);
        ceremony::run(&self.path("ceremony.toml"), &reviewed, &self.path(keys), &passphrase(), &self.path(out), rehearsal, &*self.clock)
    }

    pub fn certified(&self, out: &str) -> Vec<u8> {
        pem::parse(std::fs::read(self.path(out).join("certificate.pem")).unwrap()).unwrap().into_contents()
    }
}

pub fn certify(authority: &Authority) -> (Vec<u8>, CertificateRecord) {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let issued = issue(authority, admin::<Operator>(), Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }).unwrap();
    (issued.what().serial.clone(), issued.what().record.clone())
}

pub fn end(authority: &Authority, serial: &[u8]) {
    let order: Revoke = serde_json::from_value(serde_json::json!({ "serial": serial_text(serial), "reason": Reason::Superseded, "at": null })).unwrap();
    revoke(authority, &admin::<Operator>(), &order).unwrap();
}

/// The first octet of the answer's certStatus, after its signature was verified by the issuer's own signer.
pub fn ocsp(authority: &Authority, status: &Responder, issuer: &str, serial: &[u8]) -> u8 {
    let issuer = &authority.issuers[issuer];
    let id = CertId::new(HashAlgorithm::Sha256, &issuer.name, &issuer.public_key_info, serial).unwrap();
    let body = status.make(&OcspRequest { ids: vec![id.clone()], nonce: None }).body;
    let at = body.windows(id.der.len()).position(|window| *window == id.der[..]).unwrap() + id.der.len();
    assert!(body.windows(32).any(|window| window == &issuer.record.ocsp.as_ref().unwrap().der[..32]), "another issuer's signer answered");
    body[at]
}

pub fn listed(authority: &Authority, issuer: &str) -> Vec<Vec<u8>> {
    publish::publish(authority, &admin(), &authority.issuers[issuer]).unwrap();
    let list: CrlRecord = decode(&authority.store.get(&CrlRecord::key(issuer)).unwrap().unwrap()).unwrap();
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&list.der).unwrap();
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&authority.issuers[issuer].public_key_info).unwrap();
    read.verify_signature(&key).unwrap();
    read.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()).collect()
}

pub fn signed_by(record: &CertificateRecord, authority: &Authority) {
    let issuer = &authority.issuers[record.issuer.as_str()];
    let (_, read) = X509Certificate::from_der(&record.der).unwrap();
    let (_, by) = X509Certificate::from_der(&issuer.record.der).unwrap();
    read.verify_signature(Some(by.public_key())).unwrap();
    let told = String::from_utf8_lossy(&record.der).into_owned();
    let list = record.shard.map_or_else(|| format!("{URL}/crl/{}.crl", record.issuer), |shard| format!("{URL}/crl/{}/{shard}.crl", record.issuer));
    assert!(told.contains(&list) && told.contains(&format!("{URL}/issuer/{}.der", record.issuer)));
}
