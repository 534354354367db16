//! Two at once: another's work done exactly between two steps of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ca::authority::Authority;
use ca::flow::hold::{Resume, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::publish::publish;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Operator, Authorised};
use ca::init::{Opened, init, open};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, CrlRecord, Reason, Status, decode, log, serial_text};
use keys::Passphrase;
use runtime::clock::SystemClock;
use store::{Batch, Between, Key};

const ISSUER: &str = "enterprise-ca";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(directory: &Path) -> Opened {
    init(directory, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn order(key: &rcgen::KeyPair) -> Order {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(key).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }
}

fn revocation(serial: &[u8], reason: Reason) -> Revoke {
    Revoke { serial: serial_text(serial), reason, at: None, invalid_since: None }
}

enum Moment {
    AfterScan(&'static str),
    BeforeCommit(u64),
}

/// The authority, seen through a store in which `other` happens at that moment.
fn while_other(authority: &Authority, moment: Moment, other: impl FnOnce(&Authority) + Send + 'static) -> Authority {
    let (inner, theirs) = (Arc::clone(&authority.store), authority.over(Arc::clone(&authority.store)));
    let other = move || other(&theirs);
    authority.over(Arc::new(match moment {
        Moment::AfterScan(table) => Between::after_scan(inner, table, other),
        Moment::BeforeCommit(commit) => Between::before_commit(inner, commit, other),
    }))
}

fn list(authority: &Authority) -> CrlRecord {
    decode(&authority.store.get(&CrlRecord::key(ISSUER)).unwrap().unwrap()).unwrap()
}

fn status(authority: &Authority, serial: &[u8]) -> Status {
    ca::register::get(&*authority.store, serial).unwrap().status
}

#[test]
fn an_older_view_never_replaces_a_newer_list() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let serial = issue(authority, admin(), order(&rcgen::KeyPair::generate().unwrap())).unwrap().what().serial.clone();
    // We have read the entries; another revokes and publishes; our list would lack that certificate.
    let ours = while_other(authority, Moment::AfterScan("revoked"), move |other| {
        revoke(other, &admin(), &revocation(&serial, Reason::Superseded)).unwrap();
        publish(other, &Authorised::by_ownership(0), &other.issuers[ISSUER]).unwrap();
    });
    assert!(matches!(publish(&ours, &Authorised::by_ownership(0), &ours.issuers[ISSUER]), Err(IssueError::Race)));
    let found = list(authority);
    assert_eq!((found.number, found.entries), (2, 1));
}

#[test]
fn a_key_compromised_while_we_sign_is_never_good() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let first = issue(authority, admin(), order(&key)).unwrap().what().serial.clone();
    let known = first.clone();
    // The intent is the first commit of a certificate, its record the second.
    let ours = while_other(authority, Moment::BeforeCommit(1), move |other| {
        revoke(other, &admin(), &revocation(&known, Reason::KeyCompromise)).unwrap();
    });
    assert!(matches!(issue(&ours, admin(), order(&key)), Err(IssueError::BlockedKey)));
    let (from, to) = Key::range(CertificateRecord::TABLE, &[]);
    let mut of_key = 0;
    for (at, bytes) in authority.store.scan(&from, &to, 1_000).unwrap() {
        let (serial, record) = (at.last_part().unwrap(), decode::<CertificateRecord>(&bytes).unwrap());
        if record.profile == "enterprise-signing" {
            assert!(matches!(record.status, Status::Revoked(revocation) if revocation.reason == Reason::KeyCompromise));
            assert!(authority.store.get(&CertificateRecord::revoked(ISSUER, &serial)).unwrap().is_some());
            of_key += 1;
        }
    }
    assert_eq!(of_key, 2);
    assert_eq!(publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER]).unwrap().entries, 2);
    drop((ours, opened));
    open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
}

#[test]
fn what_is_recorded_while_siblings_are_sought_falls_too_even_after_a_crash() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let first = issue(authority, admin(), order(&key)).unwrap().what().serial.clone();
    let second = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&second);
    let again = order(&key);
    let ours = while_other(authority, Moment::AfterScan(CertificateRecord::BY_KEY), move |other| {
        *told.lock().unwrap() = issue(other, admin(), again).unwrap().what().serial.clone();
    });
    let done = revoke(&ours, &admin(), &revocation(&first, Reason::KeyCompromise)).unwrap();
    let second = second.lock().unwrap().clone();
    assert_eq!(done.certificates.iter().map(|(serial, _)| serial).collect::<Vec<_>>(), [&first, &second]);
    assert!(matches!(status(authority, &second), Status::Revoked(_)));
    // The same with a crash before the second look: what it left good falls when the authority is opened.
    let mut record = ca::register::get(&*authority.store, &second).unwrap();
    record.status = Status::Good;
    authority.store.commit(Batch::new().put(CertificateRecord::key(&second), ca::record::encode(&record).unwrap())).unwrap();
    drop((ours, opened));
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    assert!(matches!(status(&opened.authority, &second), Status::Revoked(_)));
}

#[test]
fn a_compromise_learnt_later_counts_and_says_who() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let [first, second] = [0, 1].map(|_| issue(authority, admin(), order(&key)).unwrap().what().serial.clone());
    revoke(authority, &admin(), &revocation(&first, Reason::Superseded)).unwrap();
    let Status::Revoked(before) = status(authority, &first) else { panic!("not revoked") };
    assert!(matches!(revoke(authority, &admin(), &revocation(&first, Reason::CessationOfOperation)), Err(IssueError::AlreadyRevoked { .. })));
    revoke(authority, &admin(), &revocation(&first, Reason::KeyCompromise)).unwrap();
    assert_eq!(status(authority, &first), Status::Revoked(ca::record::Revocation::new(before.at, Reason::KeyCompromise)));
    assert!(matches!(status(authority, &second), Status::Revoked(_)));
    assert!(matches!(issue(authority, admin(), order(&key)), Err(IssueError::BlockedKey)));
    assert!(matches!(revoke(authority, &admin(), &revocation(&first, Reason::KeyCompromise)), Err(IssueError::AlreadyRevoked { .. })));
    let entries = authority.store.read_stream(log::STREAM, 0, 1_000).unwrap();
    for (kind, count) in [(3, 2), (5, 3)] {
        let by = entries.iter().filter(|entry| entry[1] == kind && String::from_utf8_lossy(entry).contains("\"by\":\"uid:7\"")).count();
        assert_eq!(by, count, "kind {kind}");
    }
}

#[test]
fn a_held_certificate_of_a_compromised_key_is_never_good_again() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let [first, held] = [0, 1].map(|_| issue(authority, admin(), order(&key)).unwrap().what().serial.clone());
    let again = Resume { serial: serial_text(&held), freeze: None };
    // Before the fall of a key's certificates is recorded, one of them is resumed: it is decided anew, and both fall.
    suspend(authority, &admin(), &serial_text(&held)).unwrap();
    let resumed = again.clone();
    let ours = while_other(authority, Moment::BeforeCommit(0), move |other| {
        resume(other, &admin(), &resumed).unwrap();
    });
    assert_eq!(revoke(&ours, &admin(), &revocation(&first, Reason::KeyCompromise)).unwrap().certificates.len(), 2);
    for serial in [&first, &held] {
        assert!(matches!(status(authority, serial), Status::Revoked(ca::record::Revocation { reason: Reason::KeyCompromise, .. })));
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let [first, held] = [0, 1].map(|_| issue(authority, admin(), order(&key)).unwrap().what().serial.clone());
    let again = Resume { serial: serial_text(&held), freeze: None };
    // While it is being resumed, the key is reported.
    let Status::Held(hold) = suspend(authority, &admin(), &serial_text(&held)).unwrap().record.status else { panic!("not held") };
    let reported = first.clone();
    let ours = while_other(authority, Moment::BeforeCommit(0), move |other| {
        let fallen = revoke(other, &admin(), &revocation(&reported, Reason::KeyCompromise)).unwrap().certificates;
        assert_eq!(fallen.len(), 2);
    });
    assert!(matches!(resume(&ours, &admin(), &again), Err(IssueError::BlockedKey)));
    // Its revocation begins no later than its suspension did.
    assert_eq!(status(authority, &held), Status::Revoked(ca::record::Revocation::new(hold.at, Reason::KeyCompromise)));
    assert_eq!(authority.store.get(&hold.due_key(&held)).unwrap(), None);
    assert_eq!(publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER]).unwrap().entries, 4);
    assert!(matches!(resume(authority, &admin(), &again), Err(IssueError::AlreadyRevoked { .. })));
}

#[test]
fn a_list_begun_before_a_second_suspension_leaves_it_to_be_done() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let serial = issue(authority, admin(), order(&rcgen::KeyPair::generate().unwrap())).unwrap().what().serial.clone();
    let text = serial_text(&serial);
    suspend(authority, &admin(), &text).unwrap();
    // Resumed and suspended again within the same second: the mark is another one all the same.
    let ours = while_other(authority, Moment::BeforeCommit(0), move |other| {
        resume(other, &admin(), &Resume { serial: text.clone(), freeze: None }).unwrap();
        suspend(other, &admin(), &text).unwrap();
    });
    publish(&ours, &Authorised::by_ownership(0), &ours.issuers[ISSUER]).unwrap();
    assert!(authority.store.get(&CrlRecord::stale(ISSUER)).unwrap().is_some());
    publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER]).unwrap();
    assert_eq!(authority.store.get(&CrlRecord::stale(ISSUER)).unwrap(), None);
}

#[test]
fn a_revoked_authority_certifies_nobody() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    revoke(authority, &admin(), &revocation(&authority.issuers[ISSUER].serial, Reason::CessationOfOperation)).unwrap();
    assert!(matches!(issue(authority, admin(), order(&rcgen::KeyPair::generate().unwrap())), Err(IssueError::IssuerRevoked { .. })));
}

#[test]
fn a_failed_revocation_leaves_no_remembered_answer() {
    struct Told(AtomicBool);
    impl ca::authority::Watcher for Told {
        fn changed(&self, _issuer: &str, _serial: &[u8]) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let serial = issue(&opened.authority, admin(), order(&rcgen::KeyPair::generate().unwrap())).unwrap().what().serial.clone();
    let faulty = store::Faulty::new(Arc::clone(&opened.authority.store)).at(0, store::Fault::DoneReportedLost);
    let told = Arc::new(Told(AtomicBool::new(false)));
    let authority = Authority { watchers: vec![Arc::clone(&told) as _], ..opened.authority.over(Arc::new(faulty)) };
    assert!(revoke(&authority, &admin(), &revocation(&serial, Reason::Superseded)).is_err());
    assert!(told.0.load(Ordering::Relaxed));
}
