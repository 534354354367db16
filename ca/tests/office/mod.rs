//! An authority in a directory of its own, under a clock that tests turn, and officers with keys of their own: what the
//! tests of orders, acts and policies begin with.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::approve::Decided;
use ca::flow::issue::{Order, issue};
use ca::flow::officer::{Grant, grant};
use ca::flow::plan::Words;
use ca::flow::{Administrator, Authorised, Operator, Proven};
use ca::init::{Opened, init, open};
use ca::record::{ActDecision, OrderId, Verdict, log, serial_text};
use keys::{KeyHandle, KeyStore, Passphrase};
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::authority::Power;
use runtime::clock::{Clock, FakeClock};
use time::OffsetDateTime;

pub const CODE: &str = "91440101MAT000018G";
pub const NAME: &str = "广州天河测试有限公司";

pub fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

pub fn founded(home: &Path) -> (Opened, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
    let listen = "127.0.0.1:8440".parse().unwrap();
    (init(home, "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap(), clock)
}

pub fn reopened(home: &Path, clock: &Arc<FakeClock>) -> Opened {
    open(home, None, &passphrase(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// An operator, before there are officers.
pub fn operates() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

/// With no name but, where one is given, a common name.
pub fn request(key: &rcgen::KeyPair, common_name: Option<&str>) -> Vec<u8> {
    named(key, common_name)
}

/// Of a new key.
pub fn new_request() -> Vec<u8> {
    named(&rcgen::KeyPair::generate().unwrap(), None)
}

fn named(key: &impl rcgen::SigningKey, common_name: Option<&str>) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    }
    parameters.serialize_request(key).unwrap().der().to_vec()
}

pub fn company(code: &str) -> Words {
    Words { name: Some(NAME.into()), code: Some(code.into()), ..Words::default() }
}

/// An officer with the own key and certificate.
pub struct Officer {
    pub key: KeyHandle,
    pub serial: String,
    pub der: Vec<u8>,
    pub issuer: Vec<u8>,
}

impl Officer {
    pub fn administers(&self, authority: &Authority) -> Authorised<Administrator> {
        Proven::officer(authority, &self.der).unwrap().acting().unwrap()
    }

    pub fn signed(&self, text: &str, at: OffsetDateTime) -> Vec<u8> {
        let digest: [u8; 32] = ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().try_into().unwrap();
        SignerPlan::new(&self.der, &[&self.issuer]).unwrap().seal(digest, at, &self.key).unwrap()
    }

    /// What is said about an act, signed now.
    pub fn says_of_act(&self, authority: &Authority, id: &OrderId, verdict: Verdict, reason: &str) -> Decided {
        let (_, act) = ca::flow::act::load(authority, id).unwrap();
        let now = authority.clock.now();
        let decision = ActDecision::about(id, &act.asked, verdict, reason.into(), now.unix_timestamp()).text().unwrap();
        Decided { order: *id, signature: self.signed(&decision, now), decision }
    }
}

pub struct Office {
    pub home: PathBuf,
    pub opened: Opened,
    pub clock: Arc<FakeClock>,
    pub keys: KeyStore,
    _place: tempfile::TempDir,
}

impl Office {
    pub fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("ca");
        let (opened, clock) = founded(&home);
        let keys = KeyStore::create(&place.path().join("officers"), &passphrase()).unwrap();
        Self { home, opened, clock, keys, _place: place }
    }

    pub fn reopen(self) -> Self {
        self.changed(|_| {}).unwrap_or_else(|(error, _)| panic!("{error}"))
    }

    /// Opened again after something was done to its directory, or why it cannot be.
    pub fn changed(self, change: impl FnOnce(&Path)) -> Result<Self, (ca::init::InitError, Closed)> {
        let Self { home, opened, clock, keys, _place } = self;
        drop(opened);
        Closed { home, clock, keys, _place }.opened(change)
    }

    pub fn authority(&self) -> &Authority {
        &self.opened.authority
    }

    /// Certified, and granted a power by whoever may.
    pub fn officer(&self, id: &str, number: &str, power: Option<Power>, by: &Authorised<Administrator>) -> Officer {
        let key = self.keys.generate(id, SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let applicant = Words { officer: Some("陈一".into()), number: Some(number.into()), ..Words::default() };
        let order = Order { profile: "officer".into(), request: named(&key, None), applicant, issuer: None };
        let issued = issue(self.authority(), Authorised::service(), order).unwrap();
        let (serial, der) = (serial_text(&issued.what().serial), issued.what().record.der.clone());
        if let Some(power) = power {
            grant(self.authority(), by, &Grant { serial: serial.clone(), power }).unwrap();
        }
        Officer { key, serial, der, issuer: self.authority().issuers["officer-ca"].record.der.clone() }
    }

    pub fn logged(&self, kind: u8) -> Vec<String> {
        let entries = self.authority().store.read_stream(log::STREAM, 0, 10_000).unwrap();
        entries.iter().filter(|entry| entry[1] == kind).map(|entry| String::from_utf8_lossy(&entry[10..]).into_owned()).collect()
    }

    pub fn act_exported(&self, id: &OrderId) -> String {
        ca::act_proof::export(self.authority(), &self.opened.evidence, id).unwrap().text().unwrap()
    }

    pub fn act_verified(&self, proof: &str) -> Result<ca::act_proof::ActProven, ca::order_proof::ProofError> {
        ca::act_proof::verify(proof.as_bytes(), &self.authority().issuers["root"].record.der, &self.authority().settings.log_key, self.officers_policies())
    }

    pub fn officers_policies(&self) -> Vec<const_oid::ObjectIdentifier> {
        self.authority().policies.profile("officer").unwrap().policies().to_vec()
    }

    /// Goes by another text of `approvals.toml`.
    pub fn rules(&mut self, change: impl Fn(&str) -> String) {
        let documents = policies::authority::SHIPPED.map(|(file, text)| (file, if file == "approvals.toml" { change(text) } else { text.to_owned() }));
        self.opened.authority.rules = policies::authority::Rules::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))).unwrap();
    }
}

/// One that is not open.
pub struct Closed {
    pub home: PathBuf,
    clock: Arc<FakeClock>,
    keys: KeyStore,
    _place: tempfile::TempDir,
}

impl Closed {
    pub fn opened(self, change: impl FnOnce(&Path)) -> Result<Office, (ca::init::InitError, Self)> {
        change(&self.home);
        match open(&self.home, None, &passphrase(), Arc::clone(&self.clock) as Arc<dyn Clock>) {
            Ok(opened) => Ok(Office { home: self.home, opened, clock: self.clock, keys: self.keys, _place: self._place }),
            Err(error) => Err((error, self)),
        }
    }
}
