//! The service through a quarter of a year and more: its OCSP signers stay young, its lists fresh.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca::flow::Authorised;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::init::{init, open};
use ca::job::{Health, Jobs};
use ca::record::{CrlRecord, IssuerRecord, decode};
use ca::service::Service;
use ca::status::Status;
use keys::Passphrase;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::{Clock, FakeClock};
use time::{Duration, OffsetDateTime};

const ISSUER: &str = "enterprise-ca";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn order() -> Order {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }
}

/// What OpenSSL says, now, of an answer about a certificate.
fn judged(home: &Path, place: &Path, answer: &[u8]) -> String {
    std::fs::write(place.join("answer.der"), answer).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (issuer, root) = (text(&home.join("enterprise-ca.pem")), text(&home.join("root.pem")));
    let (leaf, answer) = (text(&place.join("leaf.pem")), text(&place.join("answer.der")));
    let arguments = ["ocsp", "-issuer", &issuer, "-CAfile", &root, "-verify_other", &issuer, "-no_nonce", "-cert", &leaf, "-respin", &answer];
    let output = Command::new("openssl").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn it_works_after_a_hundred_days_as_on_the_first() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc() - Duration::days(100)));
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&home, "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let status = Arc::new(Status::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let health = Arc::new(Health::default());
    let jobs = Jobs::new(service.clone(), Arc::clone(&status), opened.keys, Arc::clone(&health));
    let authority = &service.authority;
    let issued = issue(authority, Authorised::service(), order()).unwrap();
    std::fs::write(place.path().join("leaf.pem"), pem::encode(&pem::Pem::new("CERTIFICATE", issued.what().record.der.clone()))).unwrap();
    let issuer = &authority.issuers[ISSUER];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &issued.what().serial).unwrap();
    let request = OcspRequest { ids: vec![id], nonce: None };
    let recorded = || -> IssuerRecord { decode(&authority.store.get(&IssuerRecord::key(ISSUER)).unwrap().unwrap()).unwrap() };
    let signer_ends = || {
        let der = recorded().ocsp.unwrap().der;
        x509_parser::parse_x509_certificate(&der).unwrap().1.validity().not_after.timestamp()
    };
    let crl = || -> CrlRecord { decode(&authority.store.get(&CrlRecord::key(ISSUER)).unwrap().unwrap()).unwrap() };
    assert_eq!(recorded().ocsp.unwrap().key, "enterprise-ca-ocsp");
    for _ in 0..100 {
        clock.advance(Duration::days(1));
        // Lists and signers are looked at every twentieth turn.
        for _ in 0..20 {
            jobs.turn();
        }
        health.check().unwrap();
        let now = clock.now().unix_timestamp();
        assert!(signer_ends() - now > 29 * 86_400, "the signer is old");
        assert!(crl().next_update > now + 5 * 86_400, "the list is old");
        let answer = status.remembered(&request).unwrap_or_else(|| status.make(&request));
        assert!(answer.fresh.is_some_and(|fresh| fresh.next_update > clock.now()), "no fresh answer");
    }
    assert_eq!(recorded().ocsp.unwrap().key, "enterprise-ca-ocsp-2");
    let said = judged(&home, place.path(), &status.make(&request).body);
    assert!(said.contains("Response verify OK") && said.contains("leaf.pem: good"), "{said}");
    // The new signers are the ones that stand there after a restart.
    drop((issued, jobs, status, opened.directory));
    drop(service);
    let opened = open(&home, None, &passphrase(), clock).unwrap();
    let said = judged(&home, place.path(), &Status::new(&opened.authority).unwrap().make(&request).body);
    assert!(said.contains("Response verify OK") && said.contains("leaf.pem: good"), "{said}");
}

#[test]
fn a_signer_that_is_revoked_signs_nothing_more_and_has_a_successor_at_once() {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc()));
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let mut authority = opened.authority;
    let status = Arc::new(Status::new(&authority).unwrap());
    authority.watchers.push(Arc::clone(&status) as _);
    let service = Service { authority: Arc::new(authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), Arc::clone(&status), opened.keys, Arc::new(Health::default()));
    let authority = &service.authority;
    let issued = issue(authority, Authorised::service(), order()).unwrap();
    let issuer = &authority.issuers[ISSUER];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &issued.what().serial).unwrap();
    let request = OcspRequest { ids: vec![id], nonce: None };
    jobs.turn();
    assert!(status.make(&request).fresh.is_some() && status.remembered(&request).is_some());
    let signer = || decode::<IssuerRecord>(&authority.store.get(&IssuerRecord::key(ISSUER)).unwrap().unwrap()).unwrap().ocsp.unwrap();
    let serial = ca::record::serial_text(x509_parser::parse_x509_certificate(&signer().der).unwrap().1.raw_serial());
    let end = serde_json::from_value(serde_json::json!({ "serial": serial, "reason": "key-compromise", "at": null })).unwrap();
    ca::flow::revoke::revoke(authority, &Authorised::<ca::flow::Operator>::service(), &end).unwrap();
    // OCSPResponseStatus tryLater. spec: rfc6960#4.2.1
    let told = |status: &Status| status.make(&request).body[4];
    assert!(status.remembered(&request).is_none() && told(&status) == 3 && told(&Status::new(authority).unwrap()) == 3);
    let doctor = ca::doctor::examine(&service).unwrap().findings;
    assert!(doctor.iter().any(|finding| finding.grade == ca::doctor::Grade::Fail && finding.what.starts_with("OCSP signer of enterprise-ca: its certificate is revoked")), "{doctor:?}");
    // Not some turns later, as one that only grew old.
    jobs.turn();
    assert_eq!(signer().key, "enterprise-ca-ocsp-2");
    assert!(status.make(&request).fresh.is_some());
    // By a clock that went back before the signer was, nothing is signed either.
    clock.advance(Duration::days(-2));
    assert_eq!(told(&status), 3);
}

#[test]
fn health_tells_of_a_store_that_must_be_opened_again_and_of_the_roots_list() {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc()));
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let mut authority = opened.authority;
    let status = Arc::new(Status::new(&authority).unwrap());
    // With the deltas, which come with the service, the first turn has nothing to publish.
    for issuer in authority.issuers.values().filter(|issuer| issuer.key.is_some()) {
        ca::flow::publish::publish_scope(&authority, &Authorised::service(), issuer, ca::record::Scope::Delta).unwrap();
    }
    // The turn's own empty commit is the first; the second fails.
    authority.store = Arc::new(store::Faulty::new(Arc::clone(&authority.store)).at(1, store::Fault::Lost));
    let service = Service { authority: Arc::new(authority), evidence: opened.evidence };
    let health = Arc::new(Health::default());
    let jobs = Jobs::new(service.clone(), status, opened.keys, Arc::clone(&health));
    jobs.turn();
    health.check().unwrap();
    assert!(!health.metrics().contains("} 1"), "{}", health.metrics());
    assert!(issue(&service.authority, Authorised::service(), order()).is_err());
    jobs.turn();
    let problem = health.check().unwrap_err();
    assert_eq!((problem.code.as_str(), problem.next.as_str()), ("store", "look at the disk and the clock, as the service's log tells: once the disk takes writes the service ends by itself, and is to be started anew"));
    clock.advance(Duration::days(355));
    for _ in 0..20 {
        jobs.turn();
    }
    assert!(health.metrics().contains("suiyin_ca_fault{part=\"root-crl\"} 1"));
}

#[test]
fn an_old_signer_says_nothing_and_a_key_left_by_an_attempt_is_taken_up() {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc() - Duration::days(100)));
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let authority = &opened.authority;
    let status = Status::new(authority).unwrap();
    let issuer = &authority.issuers[ISSUER];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &[0x40; 16]).unwrap();
    let request = OcspRequest { ids: vec![id], nonce: None };
    assert!(status.make(&request).body.len() > 100);
    assert!(ca::flow::own::replace_signer(authority, &opened.keys, ISSUER).unwrap().is_none());
    clock.advance(Duration::days(91));
    // spec: rfc6960#2.3 (tryLater)
    assert_eq!(&*status.make(&request).body, [0x30, 3, 10, 1, 3]);
    // An attempt that was cut off after its key was made.
    let left = opened.keys.generate("enterprise-ca-ocsp-2", pki::signer::SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let (signer, key) = ca::flow::own::replace_signer(authority, &opened.keys, ISSUER).unwrap().unwrap();
    assert_eq!(pki::signer::Signer::public_key_info(&key), pki::signer::Signer::public_key_info(&left));
    status.replace(ISSUER, &signer, key).unwrap();
    assert!(status.make(&request).body.len() > 100);
}
