//! Every write boundary of issuing, suspending, freezing, resuming, revoking and publishing: the store fails there, once with the write lost
//! and once with the write done but unheard of; the authority is opened again and must be whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::hold::{FreezeOrder, Resume, freeze, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::publish::publish;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Operator, Authorised};
use ca::init::{Opened, init, open};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, CrlRecord, Intent, Reason, Status, decode, log, serial_text};
use keys::Passphrase;
use runtime::clock::SystemClock;
use store::{Fault, Faulty, Key, Memory, Store};

const ISSUER: &str = "enterprise-ca";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(directory: &Path) -> Opened {
    init(directory, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn reopened(directory: &Path) -> Opened {
    open(directory, None, &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn order() -> Order {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), mailbox: Some("1234567890@mail.example.cn".into()), ..Words::default() };
    Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(0)
}

/// What callers were told is done.
#[derive(Default)]
struct Acknowledged {
    issued: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was last said of the second certificate: held, or good again; nothing while either may be.
    held: Option<(Vec<u8>, bool)>,
    revoked: Vec<Vec<u8>>,
    crl: u64,
}

/// Issue two, suspend the second, freeze it, lift the order, resume it, revoke the first, suspend the second again,
/// publish; stops at the first error.
fn work(authority: &Authority, told: &mut Acknowledged) -> Result<(), IssueError> {
    for _ in 0..2 {
        let issued = issue(authority, admin(), order())?;
        told.issued.push((issued.what().serial.clone(), issued.what().record.der.clone()));
    }
    let second = told.issued[1].0.clone();
    let text = serial_text(&second);
    let until = authority.clock.now().unix_timestamp() + 3_600;
    suspend(authority, &admin(), &text)?;
    told.held = Some((second.clone(), true));
    freeze(authority, &admin(), FreezeOrder { serial: text.clone(), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until })?;
    resume(authority, &admin(), &Resume { serial: text.clone(), freeze: Some(lifting()) })?;
    told.held = None;
    resume(authority, &admin(), &Resume { serial: text.clone(), freeze: None })?;
    told.held = Some((second.clone(), false));
    let serial = told.issued[0].0.clone();
    revoke(authority, &admin(), &Revoke { serial: serial_text(&serial), reason: Reason::KeyCompromise, at: None, invalid_since: None })?;
    told.revoked.push(serial);
    told.held = None;
    suspend(authority, &admin(), &text)?;
    told.held = Some((second, true));
    told.crl = publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER])?.number;
    Ok(())
}

fn all(store: &dyn Store, table: &str) -> Vec<(Key, Vec<u8>)> {
    let (from, to) = Key::range(table, &[]);
    store.scan(&from, &to, 10_000).unwrap()
}

fn crl(store: &dyn Store) -> CrlRecord {
    decode(&store.get(&CrlRecord::key(ISSUER)).unwrap().unwrap()).unwrap()
}

/// Whatever happened before, this holds of an open authority.
fn whole(opened: &Opened, told: &Acknowledged, at: &str) {
    let store = &*opened.authority.store;
    assert_eq!(all(store, Intent::TABLE), [], "{at}: an intent is left");
    for (serial, der) in &told.issued {
        assert_eq!(&ca::register::get(store, serial).unwrap().der, der, "{at}: an acknowledged certificate is another");
    }
    for serial in &told.revoked {
        assert!(matches!(ca::register::get(store, serial).unwrap().status, Status::Revoked(_)), "{at}: an acknowledged revocation is lost");
    }
    if let Some((serial, held)) = &told.held {
        let status = ca::register::get(store, serial).unwrap().status;
        assert!(if *held { matches!(status, Status::Held(_)) } else { status == Status::Good }, "{at}: an acknowledged suspension or its end is lost");
    }
    assert!(crl(store).number >= told.crl, "{at}: an acknowledged list is lost");
    // The log tells of every certificate once, of every intent before it, and the tree fits the stored entries.
    let entries = store.read_stream(log::STREAM, 0, 10_000).unwrap();
    let text: Vec<_> = entries.iter().map(|entry| (entry[1], String::from_utf8_lossy(entry))).collect();
    let certificates = all(store, CertificateRecord::TABLE);
    let mut serials = BTreeSet::new();
    for (key, bytes) in &certificates {
        let serial = key.last_part().unwrap();
        let record: CertificateRecord = decode(bytes).unwrap();
        assert!(serials.insert(serial.clone()), "{at}: a serial twice");
        let named: Vec<_> = text.iter().filter(|(_, entry)| entry.contains(&serial_text(&serial))).collect();
        let revoked = usize::from(matches!(record.status, Status::Revoked(_)));
        let held = usize::from(matches!(record.status, Status::Held(_)));
        let frozen = usize::from(matches!(&record.status, Status::Held(hold) if hold.freeze.is_some()));
        let count = |kind: u8| named.iter().filter(|(found, _)| *found == kind).count();
        assert_eq!(named.len(), 3 + revoked + [30, 31, 32, 33].map(count).iter().sum::<usize>(), "{at}: the log on one certificate: {named:?}");
        assert_eq!((count(3), count(4), count(70)), (1, 1, 1), "{at}: the log on one certificate: {named:?}");
        assert_eq!((count(5), count(30) - count(32), count(31) - count(33)), (revoked, held, frozen), "{at}: the log and the status: {named:?}");
        assert_eq!(store.get(&CertificateRecord::revoked(&record.issuer, &serial)).unwrap().is_some(), revoked + held == 1, "{at}: the index of the revoked");
        let due: Vec<_> = all(store, "held").into_iter().filter(|(_, due)| *due == serial).map(|(key, _)| key).collect();
        let expected: Vec<_> = if let Status::Held(hold) = &record.status { vec![hold.due_key(&serial)] } else { Vec::new() };
        assert_eq!(due, expected, "{at}: what is due");
        for index in [CertificateRecord::by_name(&record.name, &serial), CertificateRecord::by_key(&record.key_digest, &serial)] {
            assert_eq!(store.get(&index).unwrap(), Some(serial.clone()), "{at}: an index");
        }
    }
    opened.evidence.advance().unwrap();
}

/// Runs `work` with one fault, opens again, checks, and goes on as an operator would.
fn round(home: &Path, commit: u64, fault: Fault) {
    let at = format!("commit {commit}, {fault:?}");
    let opened = reopened(home);
    let before = crl(&*opened.authority.store).number;
    let mut told = Acknowledged::default();
    let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault));
    let authority = opened.authority.over(Arc::clone(&faulty) as Arc<dyn Store>);
    assert!(work(&authority, &mut told).is_err(), "{at}: a failed write was answered as done");
    assert_eq!(faulty.commits(), commit + 1, "{at}: work went on after the failure");
    drop((authority, faulty, opened));
    let opened = reopened(home);
    whole(&opened, &told, &at);
    let mut again = Acknowledged::default();
    work(&opened.authority, &mut again).unwrap();
    assert!(again.crl > told.crl.max(before), "{at}: list numbers do not rise");
    let revoked = all(&*opened.authority.store, "revoked").len() as u64;
    assert_eq!(crl(&*opened.authority.store).entries, revoked, "{at}: the next list lacks a revoked certificate");
    assert_eq!(opened.authority.store.get(&CrlRecord::stale(ISSUER)).unwrap(), None, "{at}: the list stays stale");
    whole(&opened, &again, &at);
}

#[test]
fn nothing_acknowledged_is_lost_at_any_write_boundary() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let counted = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)));
    work(&opened.authority.over(Arc::clone(&counted) as Arc<dyn Store>), &mut Acknowledged::default()).unwrap();
    let commits = counted.commits();
    // Two for each certificate, five for holds, one to revoke, three to publish: intent, list, freshness.
    assert_eq!(commits, 13);
    drop((counted, opened));
    for commit in 0..commits {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            round(&home, commit, fault);
        }
    }
}

#[test]
fn a_store_that_was_never_founded_resumes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = opened.authority.over(Arc::new(Memory::new()));
    assert_eq!(ca::flow::issue::resume(&authority).unwrap().len(), 0);
}

/// By whom and why an order is lifted.
fn lifting() -> ca::flow::hold::LiftWords {
    ca::flow::hold::LiftWords { authority: "穗城区人民法院".into(), reason: "(2026)穗执1号之一".into() }
}
