//! Two at once: another's work done exactly between two steps of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use store::{Batch, CommitError, Key, Receipt, Store, StoreError};

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

type Other = Box<dyn FnOnce() + Send>;

/// Lets another's work happen once: after the first scan of a table, or before the commit of a number.
struct Between {
    inner: Arc<dyn Store>,
    after_scan_of: Option<Key>,
    before_commit: Option<u64>,
    commits: AtomicU64,
    other: Mutex<Option<Other>>,
}

impl Between {
    fn happen(&self) {
        let other = self.other.lock().unwrap().take();
        if let Some(other) = other {
            other();
        }
    }
}

impl Store for Between {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let found = self.inner.scan(from, to, limit);
        if self.after_scan_of.as_ref().is_some_and(|table| from.as_bytes().starts_with(table.as_bytes())) {
            self.happen();
        }
        found
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.read_stream(stream, position, limit)
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        self.inner.stream_length(stream)
    }

    fn snapshot(&self) -> Result<Box<dyn store::Snapshot>, StoreError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if self.before_commit == Some(self.commits.fetch_add(1, Ordering::Relaxed)) {
            self.happen();
        }
        self.inner.commit(batch)
    }
}

fn over(whole: &Authority, store: Arc<dyn Store>) -> Authority {
    Authority {
        store,
        clock: Arc::clone(&whole.clock),
        settings: whole.settings.clone(),
        addresses: whole.addresses.clone(),
        policies: whole.policies.clone(),
        rules: whole.rules.clone(),
        key_lists: Arc::clone(&whole.key_lists),
        own_names: Arc::clone(&whole.own_names),
        registry: Arc::clone(&whole.registry),
        issuers: whole.issuers.clone(),
        founding: None,
        watchers: Vec::new(),
    }
}

/// The authority, seen through a store in which `other` happens at that moment.
fn while_other(authority: &Authority, after_scan_of: Option<&str>, before_commit: Option<u64>, other: impl FnOnce(&Authority) + Send + 'static) -> Authority {
    let theirs = over(authority, Arc::clone(&authority.store));
    let between = Between {
        inner: Arc::clone(&authority.store),
        after_scan_of: after_scan_of.map(|table| Key::new(table, &[])),
        before_commit,
        commits: AtomicU64::new(0),
        other: Mutex::new(Some(Box::new(move || other(&theirs)))),
    };
    over(authority, Arc::new(between))
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
    let ours = while_other(authority, Some("revoked"), None, move |other| {
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
    let ours = while_other(authority, None, Some(1), move |other| {
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
    let ours = while_other(authority, Some(CertificateRecord::BY_KEY), None, move |other| {
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
    let again = Resume { serial: serial_text(&held), freeze: false };
    // Before the fall of a key's certificates is recorded, one of them is resumed: it is decided anew, and both fall.
    suspend(authority, &admin(), &serial_text(&held)).unwrap();
    let resumed = again.clone();
    let ours = while_other(authority, None, Some(0), move |other| {
        resume(other, &admin(), &resumed).unwrap();
    });
    assert_eq!(revoke(&ours, &admin(), &revocation(&first, Reason::KeyCompromise)).unwrap().certificates.len(), 2);
    for serial in [&first, &held] {
        assert!(matches!(status(authority, serial), Status::Revoked(ca::record::Revocation { reason: Reason::KeyCompromise, .. })));
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let [first, held] = [0, 1].map(|_| issue(authority, admin(), order(&key)).unwrap().what().serial.clone());
    let again = Resume { serial: serial_text(&held), freeze: false };
    // While it is being resumed, the key is reported.
    let Status::Held(hold) = suspend(authority, &admin(), &serial_text(&held)).unwrap().record.status else { panic!("not held") };
    let reported = first.clone();
    let ours = while_other(authority, None, Some(0), move |other| {
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
    let ours = while_other(authority, None, Some(0), move |other| {
        resume(other, &admin(), &Resume { serial: text.clone(), freeze: false }).unwrap();
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
    let authority = Authority { watchers: vec![Arc::clone(&told) as _], ..over(&opened.authority, Arc::new(faulty)) };
    assert!(revoke(&authority, &admin(), &revocation(&serial, Reason::Superseded)).is_err());
    assert!(told.0.load(Ordering::Relaxed));
}
