//! Bulk revocation and re-issue: looked at first, bounded, cut off at every commit, and each certificate exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::bulk::{self, BulkError, BulkOrder, Chosen, Ordered};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::succeed::successors;
use ca::flow::{Administrator, Authorised, Operator, ending};
use ca::init::{Opened, init, open};
use ca::record::{BulkAct, Came, CertificateRecord, Incident, Intent, Reason, Stage, Status, decode, log, serial_text};
use ca::register::Query;
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock};
use store::{Fault, Faulty, Key};
use time::{Duration, OffsetDateTime};

const PROFILE: &str = "enterprise-signing";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(home: &Path) -> (Opened, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(home, "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    // Small portions, so that there are many; and nothing else to be gentle to.
    let rules = "most = 10\nbatch = 4\nparallel = 2\npause_ms = 0\nreissue_overlap_days = 5\n";
    std::fs::write(home.join("policies/authority/bulk.toml"), rules).unwrap();
    drop(opened);
    (reopened(home, &clock), clock)
}

fn reopened(home: &Path, clock: &Arc<FakeClock>) -> Opened {
    open(home, None, &passphrase(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn operator() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn admin() -> Authorised<Administrator> {
    Authorised::by_ownership(7)
}

/// Certificates of as many keys.
fn issued(authority: &Authority, count: usize) -> Vec<Vec<u8>> {
    let one = |_| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
        issue(authority, operator(), Order { profile: PROFILE.into(), request, applicant, issuer: None }).unwrap().what().serial.clone()
    };
    (0..count).map(one).collect()
}

fn texts(serials: &[Vec<u8>]) -> Vec<String> {
    serials.iter().map(|serial| serial_text(serial)).collect()
}

fn order(incident: &str, act: BulkAct, chosen: Chosen) -> BulkOrder {
    BulkOrder { incident: incident.into(), act, reason: Some(Reason::Superseded), chosen, execute: true, confirm: None }
}

/// Until it is done, or somebody fails.
fn worked_off(authority: &Authority, order: &BulkOrder) -> Result<Incident, BulkError> {
    let Ordered::Incident(mut incident) = bulk::order(authority, &admin(), order)? else { panic!("nothing was done") };
    while incident.stage == Stage::Running {
        incident = bulk::step(authority, &admin(), &order.incident, order.act)?;
    }
    Ok(incident)
}

fn status(authority: &Authority, serial: &[u8]) -> Status {
    ca::register::get(&*authority.store, serial).unwrap().status
}

fn entries(authority: &Authority, kind: u8, holding: &str) -> usize {
    let entries = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    entries.iter().filter(|entry| entry[1] == kind && String::from_utf8_lossy(entry).contains(holding)).count()
}

fn came(authority: &Authority, incident: &str, act: BulkAct) -> Vec<Option<Came>> {
    bulk::items(authority, incident, act, 0).unwrap().into_iter().map(|item| item.came).collect()
}

#[test]
fn a_dry_run_changes_nothing_and_what_is_much_is_said_again() {
    let place = tempfile::tempdir().unwrap();
    let (opened, _) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let serials = issued(authority, 11);
    revoke(authority, &operator(), &Revoke { serial: serial_text(&serials[0]), reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    let own = serial_text(&authority.issuers["enterprise-ca"].serial);
    let mut named = texts(&serials[..3]);
    named.extend([own, "4".repeat(32), serial_text(&serials[1])]);
    let length = || authority.store.stream_length(log::STREAM).unwrap();
    let before = length();
    let said = |order: &BulkOrder| bulk::order(authority, &admin(), order);
    let dry = BulkOrder { execute: false, ..order("INC-1", BulkAct::Revoke, Chosen::Serials(named.clone())) };
    let Ordered::WouldDo(preview) = said(&dry).unwrap() else { panic!("it was done") };
    assert_eq!((preview.total, preview.unknown, preview.samples.len()), (5, 1, 5));
    let mut kinds: Vec<(&str, u64)> = preview.kinds.iter().map(|of| (of.profile.as_str(), of.count)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [(PROFILE, 1), (PROFILE, 2), ("issuing", 1)]);
    let query = Chosen::Query(Query { profile: Some(PROFILE.into()), ..Query::default() });
    let many = order("INC-2", BulkAct::Revoke, query.clone());
    assert!(matches!(said(&many), Err(BulkError::Confirm { total: 11, most: 10 })));
    assert!(matches!(said(&BulkOrder { confirm: Some(10), ..many.clone() }), Err(BulkError::Confirm { .. })));
    for wrong in ["", "a b", "../x", "案", &"x".repeat(65)] {
        assert!(matches!(said(&BulkOrder { incident: wrong.into(), ..many.clone() }), Err(BulkError::Name(_))));
    }
    assert!(matches!(said(&BulkOrder { reason: None, ..many.clone() }), Err(BulkError::NoReason)));
    assert!(matches!(said(&order("INC-3", BulkAct::Revoke, Chosen::Incident)), Err(BulkError::Unknown { .. })));
    assert!(matches!(said(&order("INC-3", BulkAct::Revoke, Chosen::Serials(Vec::new()))), Err(BulkError::Nothing)));
    assert!(said(&order("INC-3", BulkAct::Revoke, Chosen::Serials(vec!["zz".into()]))).is_err());
    assert!(matches!(bulk::step(authority, &admin(), "INC-3", BulkAct::Revoke), Err(BulkError::Unknown { .. })));
    assert_eq!(length(), before);
    // What cannot be revoked is told for each, and holds up no other.
    let done = worked_off(authority, &order("INC-1", BulkAct::Revoke, Chosen::Serials(named.clone()))).unwrap();
    assert_eq!((done.total, done.done, done.refused), (5, 2, 3));
    let refused = |code: &str| Some(Came::Refused { code: code.into() });
    assert_eq!(came(authority, "INC-1", BulkAct::Revoke), [refused("already-revoked"), Some(Came::Revoked), Some(Came::Revoked), refused("own-certificate"), refused("not-found")]);
    assert!(authority.store.get(&CertificateRecord::revoked("root", &authority.issuers["enterprise-ca"].serial)).unwrap().is_none());
    // Said again it is the same; with other certificates or another reason it is another matter.
    let length_then = length();
    assert_eq!(worked_off(authority, &order("INC-1", BulkAct::Revoke, Chosen::Serials(named))).unwrap(), done);
    assert_eq!(worked_off(authority, &order("INC-1", BulkAct::Revoke, Chosen::Incident)).unwrap(), done);
    assert!(matches!(said(&order("INC-1", BulkAct::Revoke, query)), Err(BulkError::Differs { .. })));
    assert!(matches!(said(&BulkOrder { reason: Some(Reason::KeyCompromise), ..order("INC-1", BulkAct::Revoke, Chosen::Incident) }), Err(BulkError::Differs { .. })));
    assert_eq!(length(), length_then);
    // As often as it is said: eleven, of which eight were good.
    let done = worked_off(authority, &BulkOrder { confirm: Some(11), ..many }).unwrap();
    assert_eq!((done.done, done.refused, entries(authority, 58, "INC-2"), entries(authority, 59, "INC-2")), (8, 3, 1, 1));
}

#[test]
fn a_compromised_key_takes_its_siblings_in_bulk_too() {
    let place = tempfile::tempdir().unwrap();
    let (opened, _) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let order_of = || Order { profile: PROFILE.into(), request: request.clone(), applicant: applicant.clone(), issuer: None };
    let serials: Vec<Vec<u8>> = (0..3).map(|_| issue(authority, operator(), order_of()).unwrap().what().serial.clone()).collect();
    let named = BulkOrder { reason: Some(Reason::KeyCompromise), ..order("INC-1", BulkAct::Revoke, Chosen::Serials(texts(&serials[..2]))) };
    let done = worked_off(authority, &named).unwrap();
    assert_eq!((done.done, done.refused), (2, 0));
    assert!(serials.iter().all(|serial| matches!(status(authority, serial), Status::Revoked(revocation) if revocation.reason == Reason::KeyCompromise)));
    assert!(serials.iter().all(|serial| entries(authority, 5, &serial_text(serial)) == 1));
    assert!(matches!(issue(authority, operator(), order_of()), Err(ca::problem::IssueError::BlockedKey)));
}

#[test]
fn cut_off_at_any_commit_each_is_revoked_exactly_once() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    drop(opened);
    // The beginning, its certificates, the beginning in the log; three portions of four, four and two.
    for commit in 0..6 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let serials = issued(&opened.authority, 10);
            let incident = format!("INC-{commit}-{fault:?}");
            let order = order(&incident, BulkAct::Revoke, Chosen::Serials(texts(&serials)));
            let faulty = opened.authority.over(Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault)));
            assert!(worked_off(&faulty, &order).is_err(), "{at}: a failed write was answered as done");
            drop((faulty, opened));
            let opened = reopened(&home, &clock);
            let done = worked_off(&opened.authority, &order).unwrap();
            assert_eq!((done.total, done.next, done.done, done.refused), (10, 10, 10, 0), "{at}");
            for serial in &serials {
                assert!(matches!(status(&opened.authority, serial), Status::Revoked(_)), "{at}");
                assert_eq!(entries(&opened.authority, 5, &serial_text(serial)), 1, "{at}: not exactly once");
            }
            assert_eq!((entries(&opened.authority, 58, &format!("{incident}\"")), entries(&opened.authority, 59, &format!("{incident}\""))), (1, 1), "{at}");
            assert!(came(&opened.authority, &incident, BulkAct::Revoke).iter().all(|came| *came == Some(Came::Revoked)), "{at}");
        }
    }
}

#[test]
fn a_reissue_gives_each_one_certificate_for_the_same_key_and_ends_the_old() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let count = |authority: &Authority| {
        let (from, to) = Key::range(CertificateRecord::TABLE, &[]);
        authority.store.scan(&from, &to, 10_000).unwrap().len()
    };
    drop(opened);
    for commit in [0, 2, 3, 6, 9, 12] {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let serials = issued(&opened.authority, 6);
            let incident = format!("INC-{commit}-{fault:?}");
            let order = BulkOrder { reason: None, ..order(&incident, BulkAct::Reissue, Chosen::Serials(texts(&serials))) };
            let before = count(&opened.authority);
            let faulty = opened.authority.over(Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault)));
            assert!(worked_off(&faulty, &order).is_err(), "{at}: a failed write was answered as done");
            drop((faulty, opened));
            let opened = reopened(&home, &clock);
            let done = worked_off(&opened.authority, &order).unwrap();
            assert_eq!((done.done, done.refused, count(&opened.authority)), (6, 0, before + 6), "{at}");
            let (from, to) = Key::range(Intent::TABLE, &[]);
            assert_eq!(opened.authority.store.scan(&from, &to, 10).unwrap().len(), 0, "{at}");
            let mut new = BTreeSet::new();
            for (serial, came) in serials.iter().zip(came(&opened.authority, &incident, BulkAct::Reissue)) {
                let links = successors(&opened.authority, serial).unwrap();
                let Some(Came::Reissued { new: told }) = came else { panic!("{at}: {came:?}") };
                assert!(links.len() == 1 && links[0].serial == told && new.insert(told.clone()), "{at}");
                let find = |serial: &[u8]| decode::<CertificateRecord>(&opened.authority.store.get(&CertificateRecord::key(serial)).unwrap().unwrap()).unwrap();
                let (old, new) = (find(serial), find(&ca::register::serial(&told).unwrap()));
                assert!(old.key_digest == new.key_digest && (old.name, old.code) == (new.name, new.code) && old.status == Status::Good, "{at}");
            }
        }
    }
    // The old ones end by the jobs, after their days.
    let opened = reopened(&home, &clock);
    let authority = &opened.authority;
    assert_eq!(ending::due(authority, &operator()).unwrap(), 0);
    clock.advance(Duration::days(5));
    assert_eq!(ending::due(authority, &operator()).unwrap(), 12 * 6);
    assert_eq!(ending::due(authority, &operator()).unwrap(), 0);
}

#[test]
fn an_incident_goes_both_ways_round() {
    let place = tempfile::tempdir().unwrap();
    let (opened, _) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let serials = issued(authority, 3);
    // Revoked first, then issued anew: the same certificates, with nothing said of them.
    worked_off(authority, &order("INC-1", BulkAct::Revoke, Chosen::Serials(texts(&serials)))).unwrap();
    let done = worked_off(authority, &order("INC-1", BulkAct::Reissue, Chosen::Incident)).unwrap();
    assert_eq!((done.total, done.done), (3, 3));
    // Issued anew first, then revoked, without waiting for the days.
    let serials = issued(authority, 3);
    worked_off(authority, &order("INC-2", BulkAct::Reissue, Chosen::Serials(texts(&serials)))).unwrap();
    let done = worked_off(authority, &order("INC-2", BulkAct::Revoke, Chosen::Incident)).unwrap();
    assert_eq!((done.total, done.done), (3, 3));
    assert!(serials.iter().all(|serial| matches!(status(authority, serial), Status::Revoked(_))));
    // What stopped being theirs is not issued anew: compromised keys, and profiles that are not for bulk.
    let serials = issued(authority, 1);
    worked_off(authority, &BulkOrder { reason: Some(Reason::KeyCompromise), ..order("INC-3", BulkAct::Revoke, Chosen::Serials(texts(&serials))) }).unwrap();
    worked_off(authority, &order("INC-3", BulkAct::Reissue, Chosen::Incident)).unwrap();
    assert_eq!(came(authority, "INC-3", BulkAct::Reissue), [Some(Came::Refused { code: "already-revoked".into() })]);
    assert_eq!(bulk::acts(authority, "INC-3").unwrap().len(), 2);
}
