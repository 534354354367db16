//! The authority in process: founded, used, closed, opened, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Authorised, publish};
use ca::init::{InitError, Opened, init, open};
use ca::problem::IssueError;
use ca::record::{Reason, serial_text};
use keys::Passphrase;
use runtime::clock::SystemClock;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(directory: &Path) -> Opened {
    init(directory, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// A request made by OpenSSL.
fn request(at: &Path, subject: &str) -> Vec<u8> {
    let (key, csr) = (at.join("k.pem"), at.join("r.csr"));
    let (done, said) = openssl(&["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-subj", subject, "-keyout", key.to_str().unwrap(), "-out", csr.to_str().unwrap()]);
    assert!(done, "{said}");
    std::fs::read(csr).unwrap()
}

fn enterprise() -> Words {
    Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), mailbox: Some("1234567890@mail.example.cn".into()), ..Words::default() }
}

fn order(request: Vec<u8>) -> Order {
    Order { profile: "enterprise-signing".into(), request, applicant: enterprise(), issuer: None }
}

fn admin() -> Authorised<ca::flow::Operator> {
    Authorised::by_ownership(0)
}

fn pem(der: &[u8], label: &str) -> String {
    pem::encode(&pem::Pem::new(label, der))
}

#[test]
fn openssl_verifies_what_is_issued_and_refuses_what_is_revoked() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let first = issue(authority, admin(), order(request(place.path(), "/C=CN/O=广州天河测试有限公司"))).unwrap();
    let second = issue(authority, admin(), order(request(place.path(), "/CN=广州天河测试有限公司"))).unwrap();
    let serial = serial_text(&second.what().serial);
    revoke(authority, &admin(), &Revoke { serial, reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    let issuer = &authority.issuers["enterprise-ca"];
    let crl = publish::publish(authority, &Authorised::by_ownership(0), issuer).unwrap();
    assert_eq!((crl.number, crl.entries), (2, 1));
    let root = authority.issuers["root"].record.der.clone();
    let published = |issuer| -> ca::record::CrlRecord { ca::record::decode(&authority.store.get(&ca::record::CrlRecord::key(issuer)).unwrap().unwrap()).unwrap() };
    let root_crl = published("root");
    std::fs::write(place.path().join("root.pem"), pem(&root, "CERTIFICATE")).unwrap();
    std::fs::write(place.path().join("issuing.pem"), pem(&issuer.record.der, "CERTIFICATE")).unwrap();
    std::fs::write(place.path().join("crls.pem"), pem(&published("enterprise-ca").der, "X509 CRL") + &pem(&root_crl.der, "X509 CRL")).unwrap();
    for (name, issued, good) in [("good", &first, true), ("revoked", &second, false)] {
        let path = place.path().join(format!("{name}.pem"));
        std::fs::write(&path, pem(&issued.what().record.der, "CERTIFICATE")).unwrap();
        let text = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        let (done, said) = openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", &text("crls.pem"), "-CAfile", &text("root.pem"), "-untrusted", &text("issuing.pem"), path.to_str().unwrap()]);
        assert_eq!(done, good, "{name}: {said}");
        assert_eq!(said.contains("certificate revoked"), !good, "{said}");
    }
}

#[test]
fn the_authority_opens_again_with_all_it_had() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let issued = issue(&opened.authority, admin(), order(request(place.path(), "/C=CN"))).unwrap();
    let (serial, der) = (issued.what().serial.clone(), issued.what().record.der.clone());
    opened.evidence.advance().unwrap();
    drop(opened);
    assert!(matches!(init(&home, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)), Err(InitError::State(_))));
    assert!(matches!(open(&home, Some("http://elsewhere"), &passphrase(), Arc::new(SystemClock)), Err(InitError::OtherBaseUrl { .. })));
    let wrong = Passphrase::new("another horse battery".into()).unwrap();
    assert!(matches!(open(&home, None, &wrong, Arc::new(SystemClock)), Err(InitError::Keys(keys::KeyError::WrongPassphrase))));
    let opened = open(&home, Some("http://127.0.0.1:8440/"), &passphrase(), Arc::new(SystemClock)).unwrap();
    assert_eq!(ca::register::get(&*opened.authority.store, &serial).unwrap().der, der);
    let exported = place.path().join("export");
    let size = opened.evidence.export(&exported, &|_, _| {}).unwrap();
    let vkey = opened.evidence.verifier().unwrap().to_string();
    assert_eq!(evidence::verify(&exported, &vkey).unwrap().size, size);
    let bundle = exported.join("tile/entries");
    let file = std::fs::read_dir(&bundle).unwrap().next().unwrap().unwrap().path();
    let file = if file.is_dir() { std::fs::read_dir(file).unwrap().next().unwrap().unwrap().path() } else { file };
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(evidence::verify(&exported, &vkey).is_err());
}

#[test]
fn a_founding_cut_off_begins_anew_and_nothing_else_does() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let again = |url: &str| init(&home, url, "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock));
    for wrong in ["https://ca.example.cn", "ftp://x", "http://", "http://-x", "http://x/y", "x"] {
        assert!(matches!(again(wrong), Err(InitError::BaseUrl { .. })), "{wrong}");
        assert!(!home.exists());
    }
    let opened = founded(&home);
    // Once founded, the root signs no more, in this process either.
    assert!(opened.authority.issuers["root"].key.is_none());
    let first = opened.authority.issuers["root"].record.der.clone();
    drop(opened);
    assert!(ca::init::stands(&home));
    std::fs::write(home.join("founding"), "").unwrap();
    std::fs::write(home.join(".ca.toml.1-0.new"), "li").unwrap();
    std::fs::write(home.join("notes.txt"), "not ours").unwrap();
    std::fs::remove_file(home.join("keys/log.key")).unwrap();
    assert!(!ca::init::stands(&home));
    assert!(matches!(open(&home, None, &passphrase(), Arc::new(SystemClock)), Err(InitError::Unfinished { .. })));
    let opened = again("http://127.0.0.1:8440").unwrap();
    let second = opened.authority.issuers["root"].record.der.clone();
    assert_ne!(first, second);
    drop(opened);
    assert_eq!(std::fs::read_to_string(home.join("notes.txt")).unwrap(), "not ours");
    assert!(!home.join(".ca.toml.1-0.new").exists());
    assert_eq!(pem::parse(std::fs::read(home.join("root.pem")).unwrap()).unwrap().contents(), second);
    assert!(matches!(again("http://127.0.0.1:8440"), Err(InitError::State(_))));
    assert_eq!(open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap().authority.issuers["root"].record.der, second);
}

#[test]
fn a_log_without_its_head_or_its_key_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    drop(founded(&home));
    let opened = || open(&home, None, &passphrase(), Arc::new(SystemClock)).map(|_| ());
    for (file, named) in [("log-head", "signed head"), ("keys/log.key", "key")] {
        let (there, away) = (home.join(file), place.path().join("away"));
        std::fs::rename(&there, &away).unwrap();
        match opened() {
            Err(InitError::LogMissing { what, .. }) => assert_eq!(what, named),
            other => panic!("{file}: {other:?}"),
        }
        assert!(!there.exists(), "{file} was made anew");
        std::fs::rename(&away, &there).unwrap();
    }
    opened().unwrap();
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let good = request(place.path(), "/C=CN");
    let length = authority.store.stream_length("log").unwrap();
    let code = |order: Order| runtime::exit::Problem::from(issue(authority, admin(), order).map(|_| ()).unwrap_err()).code;
    assert_eq!(code(Order { profile: "no-such".into(), ..order(good.clone()) }), "unknown-profile");
    assert_eq!(code(order(good[..good.len() / 2].to_vec())), "request");
    assert_eq!(code(order(vec![0x30; 17_000])), "request");
    let inner = Words { code: Some("91440101MAT0000157".into()), ..enterprise() };
    assert_eq!(code(Order { applicant: inner, ..order(good.clone()) }), "credit-code");
    assert_eq!(code(Order { applicant: Words::default(), ..order(good.clone()) }), "no-applicant");
    let both = Words { dns: vec!["a.example.cn".into()], ..enterprise() };
    assert_eq!(code(Order { applicant: both, ..order(good.clone()) }), "stray-word");
    // Nobody outside can name a new authority or OCSP signer.
    assert!(serde_json::from_str::<Words>(r#"{"authority":"x"}"#).is_err());
    assert_eq!(format!("{:?}", enterprise()), r#"{"name", "code", "mailbox"}"#);
    assert_eq!(code(Order { issuer: Some("tls-ca".into()), ..order(good.clone()) }), "wrong-issuer");
    let foreign = order(request(place.path(), "/C=CN/O=another company"));
    assert_eq!(code(foreign), "foreign-name");
    assert_eq!(code(Order { profile: "root".into(), applicant: Words { authority: Some("x".into()), ..Words::default() }, ..order(good.clone()) }), "key-not-allowed");
    assert_eq!(authority.store.stream_length("log").unwrap(), length);
    let issued = issue(authority, admin(), order(good.clone())).unwrap();
    let serial = serial_text(&issued.what().serial);
    let again = |reason, at| revoke(authority, &admin(), &Revoke { serial: serial.clone(), reason, at, invalid_since: None });
    assert!(matches!(again(Reason::Superseded, Some(i64::MAX)), Err(IssueError::RevocationDate(_))));
    again(Reason::KeyCompromise, None).unwrap();
    assert!(matches!(again(Reason::Superseded, None), Err(IssueError::AlreadyRevoked { .. })));
    assert!(matches!(issue(authority, admin(), order(good)), Err(IssueError::BlockedKey)));
}

#[test]
fn a_list_that_is_not_what_the_register_says_is_never_published() {
    use pki::signer::Signer;
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let issuer = &authority.issuers["enterprise-ca"];
    let mut serials = Vec::new();
    for _ in 0..2 {
        let issued = issue(authority, admin(), order(request(place.path(), "/C=CN"))).unwrap();
        let serial = issued.what().serial.clone();
        revoke(authority, &admin(), &Revoke { serial: serial_text(&serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
        serials.push(serial);
    }
    let signed = |prepared: &publish::Prepared| {
        let key = issuer.key.as_ref().unwrap();
        pki::certificate::assemble(&prepared.tbs, Signer::algorithm(key), &Signer::sign(key, &prepared.tbs).unwrap())
    };
    let before = authority.store.get(&ca::record::CrlRecord::key("enterprise-ca")).unwrap();
    // An entry of the register is lost behind the list's back: no recorded decision did that.
    let prepared = publish::prepare(authority, &Authorised::by_ownership(0), issuer).unwrap();
    let lost = ca::record::CertificateRecord::revoked("enterprise-ca", &serials[0]);
    let entry = authority.store.get(&lost).unwrap().unwrap();
    authority.store.commit(store::Batch::new().delete(lost.clone())).unwrap();
    assert!(matches!(publish::accept(authority, &Authorised::by_ownership(0), issuer, signed(&prepared)), Err(IssueError::ListDiffers { .. })));
    assert_eq!(authority.store.get(&ca::record::CrlRecord::key("enterprise-ca")).unwrap(), before);
    authority.store.commit(store::Batch::new().put(lost, entry)).unwrap();
    // A revocation recorded since explains a difference, and stays to be published.
    let prepared = publish::prepare(authority, &Authorised::by_ownership(0), issuer).unwrap();
    let issued = issue(authority, admin(), order(request(place.path(), "/C=CN"))).unwrap();
    revoke(authority, &admin(), &Revoke { serial: serial_text(&issued.what().serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert_eq!(publish::accept(authority, &Authorised::by_ownership(0), issuer, signed(&prepared)).unwrap().entries, 2);
    assert!(authority.store.get(&ca::record::CrlRecord::stale("enterprise-ca")).unwrap().is_some());
    assert_eq!(publish::publish(authority, &Authorised::by_ownership(0), issuer).unwrap().entries, 3);
}

#[test]
fn a_certificate_that_ended_is_listed_once_more_and_then_no_longer() {
    use time::Duration;
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(runtime::clock::FakeClock::new(time::macros::datetime!(2026-11-25 12:00 UTC)));
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), clock.clone()).unwrap();
    let authority = &opened.authority;
    let issuer = &authority.issuers["enterprise-ca"];
    let revoked = || {
        let issued = issue(authority, admin(), order(request(place.path(), "/C=CN"))).unwrap();
        revoke(authority, &admin(), &Revoke { serial: serial_text(&issued.what().serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
        issued.what().serial.clone()
    };
    let listed = || publish::publish(authority, &Authorised::by_ownership(0), issuer).unwrap().entries;
    let first = revoked();
    clock.advance(Duration::days(365));
    let second = revoked();
    assert_eq!(listed(), 2);
    // To the last second of the first, and once after it.
    let end = ca::register::get(&*authority.store, &first).unwrap().not_after;
    clock.set(time::OffsetDateTime::from_unix_timestamp(end).unwrap());
    assert_eq!(listed(), 2);
    clock.advance(Duration::SECOND);
    assert_eq!((listed(), listed(), listed()), (2, 1, 1));
    clock.advance(Duration::days(365));
    assert_eq!((listed(), listed()), (1, 0));
    // Off the list, not out of the register: it is revoked for ever.
    for serial in [first, second] {
        assert!(matches!(ca::register::get(&*authority.store, &serial).unwrap().status, ca::record::Status::Revoked(_)));
    }
}
