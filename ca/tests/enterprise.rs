//! An enterprise frozen whole: every certificate of its code, and nothing more is issued for it, whatever comes between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use std::collections::BTreeSet;
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::enterprise::{self, EnterpriseOrder};
use ca::flow::hold::{FreezeOrder, Resume, freeze, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::renew::{Renew, renew};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::succeed::SuccessionError;
use ca::flow::Authorised;
use ca::job::{Health, Jobs};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, EnterpriseFreeze, Freeze, Intent, Reason, Status, decode, encode, log, serial_text};
use ca::service::Service;
use office::{CODE, company, founded, new_request, operates as admin, reopened};
use runtime::clock::Clock;
use store::{Between, Fault, Faulty, Key, Store};
use time::Duration;

const OTHER: &str = "91440101MAT000026B";

fn order(code: &str) -> Order {
    Order { profile: "enterprise-signing".into(), request: new_request(), applicant: company(code), issuer: None }
}

fn issued(authority: &Authority, code: &str) -> Vec<u8> {
    issue(authority, admin(), order(code)).unwrap().what().serial.clone()
}

fn freezing(until: i64) -> EnterpriseOrder {
    EnterpriseOrder { code: CODE.into(), authority: "穗城区人民法院".into(), reason: "(2026)穗执2号".into(), until }
}

fn status(authority: &Authority, serial: &[u8]) -> Status {
    ca::register::get(&*authority.store, serial).unwrap().status
}

/// Whether it is frozen with its enterprise.
fn frozen(authority: &Authority, serial: &[u8]) -> bool {
    matches!(status(authority, serial), Status::Held(hold) if hold.freeze.as_ref().is_some_and(|freeze| freeze.enterprise))
}

fn while_other(authority: &Authority, before: u64, other: impl FnOnce(&Authority) + Send + 'static) -> Authority {
    let theirs = authority.over(Arc::clone(&authority.store));
    authority.over(Arc::new(Between::before_commit(Arc::clone(&authority.store), before, move || other(&theirs))))
}

fn all(store: &dyn Store, table: &str) -> Vec<(Key, Vec<u8>)> {
    let (from, to) = Key::range(table, &[]);
    store.scan(&from, &to, 10_000).unwrap()
}

fn logged(authority: &Authority, kind: u8) -> usize {
    authority.store.read_stream(log::STREAM, 0, 10_000).unwrap().iter().filter(|entry| entry[1] == kind).count()
}

#[test]
fn every_certificate_is_frozen_and_none_is_issued_until_the_order_ends() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let answers = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), answers, opened.keys, Arc::new(Health::default()));
    let authority = &*service.authority;
    let after = |time: Duration| {
        clock.advance(time);
        (0..20).for_each(|_| jobs.turn());
        jobs.health.check().unwrap();
        assert!(!jobs.health.metrics().contains("} 1"), "{}", jobs.health.metrics());
    };
    let [good, suspended, ordered, revoked] = [0; 4].map(|_| issued(authority, CODE));
    let other = issued(authority, OTHER);
    let now = || clock.now().unix_timestamp();
    suspend(authority, &admin(), &serial_text(&suspended)).unwrap();
    revoke(authority, &admin(), &Revoke { serial: serial_text(&revoked), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    let own = FreezeOrder { serial: serial_text(&ordered), authority: "广州海关".into(), reason: "(2026)穗关1号".into(), until: now() + 86_400 };
    freeze(authority, &admin(), own).unwrap();
    // Nonsense changes nothing.
    let before = authority.store.stream_length(log::STREAM).unwrap();
    for wrong in [EnterpriseOrder { code: "91440101MAT000018H".into(), ..freezing(now() + 60) }, EnterpriseOrder { reason: "\u{1b}[2J".into(), ..freezing(now() + 60) }, freezing(now())] {
        assert!(enterprise::freeze(authority, &admin(), wrong).is_err());
    }
    assert!(matches!(enterprise::lift(authority, &admin(), CODE, &lifting()), Err(IssueError::EnterpriseNotFrozen)));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), before);
    let until = now() + 10 * 86_400;
    let changed = enterprise::freeze(authority, &admin(), freezing(until)).unwrap();
    assert_eq!(changed.certificates.len(), 2);
    assert!(frozen(authority, &good) && frozen(authority, &suspended) && !frozen(authority, &ordered));
    assert!(matches!(status(authority, &revoked), Status::Revoked(_)) && status(authority, &other) == Status::Good);
    assert!(matches!(enterprise::freeze(authority, &admin(), freezing(until)), Err(IssueError::EnterpriseFrozen { .. })));
    // Nothing is issued for this code; for another it is. Neither of its certificates gets out alone.
    assert!(matches!(issue(authority, admin(), order(CODE)), Err(IssueError::EnterpriseFrozen { .. })));
    issued(authority, OTHER);
    assert!(matches!(renew(authority, &admin(), &Renew { serial: serial_text(&good), request: new_request() }), Err(SuccessionError::Issue(IssueError::Frozen { .. }))));
    for freeze in [false, true] {
        assert!(matches!(resume(authority, &admin(), &Resume { serial: serial_text(&good), freeze: freeze.then(lifting) }), Err(IssueError::FrozenWithAll { .. })));
    }
    // One whose own order ends meanwhile comes below the enterprise's in the same commit.
    after(Duration::days(1));
    assert!(frozen(authority, &ordered));
    after(Duration::days(9) - Duration::seconds(1));
    assert!([&good, &suspended, &ordered].iter().all(|serial| frozen(authority, serial)));
    // By its date: good again, suspended as before, and issued again.
    after(Duration::seconds(1));
    assert!(status(authority, &good) == Status::Good && status(authority, &ordered) == Status::Good);
    assert!(matches!(status(authority, &suspended), Status::Held(hold) if hold.freeze.is_none()));
    issued(authority, CODE);
    assert_eq!((all(&*authority.store, "frozen-enterprise").len(), logged(authority, 56), logged(authority, 57)), (0, 1, 1));
    // Lifted before its date.
    enterprise::freeze(authority, &admin(), freezing(now() + 86_400)).unwrap();
    let changed = enterprise::lift(authority, &admin(), CODE, &lifting()).unwrap();
    assert!(changed.order.is_none() && changed.certificates.len() == 4 && status(authority, &good) == Status::Good);
    issued(authority, CODE);
    let entries = authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    assert!(entries.iter().all(|entry| !String::from_utf8_lossy(entry).contains(CODE) && !String::from_utf8_lossy(entry).contains("穗执")));
    // Nor does the digest of an order tell, to whoever tries all codes, whose certificates these are, or which are frozen together.
    let said = |kind: u8| -> Vec<String> { entries.iter().filter(|entry| entry[1] == kind).map(|entry| serde_json::from_slice::<serde_json::Value>(&entry[10..]).unwrap()["order_sha256"].as_str().unwrap().to_owned()).collect() };
    let digest = |order: &EnterpriseFreeze| ring::digest::digest(&ring::digest::SHA256, &encode(order).unwrap()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let kept: Vec<EnterpriseFreeze> = all(&*authority.store, "enterprise-freeze-order").iter().map(|(_, stored)| decode(stored).unwrap()).collect();
    assert_eq!((said(56), said(57)), (kept.iter().map(&digest).collect(), kept.iter().map(&digest).collect()));
    let guess = |kept: &EnterpriseFreeze| EnterpriseFreeze { order: Freeze { salt: None, ..kept.order.clone() }, ..kept.clone() };
    assert!(kept.iter().all(|kept| !said(56).contains(&digest(&guess(kept)))));
    let single = said(31);
    assert_eq!(single.iter().collect::<BTreeSet<_>>().len(), single.len());
}

#[test]
fn what_is_being_signed_when_the_order_comes_is_held_from_the_first() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let authority = &opened.authority;
    let first = issued(authority, CODE);
    let until = clock.now().unix_timestamp() + 86_400;
    // Before the intent: nothing is signed.
    let count = all(&*authority.store, CertificateRecord::TABLE).len();
    let ours = while_other(authority, 0, move |other| {
        enterprise::freeze(other, &admin(), freezing(until)).unwrap();
    });
    assert!(matches!(issue(&ours, admin(), order(CODE)), Err(IssueError::EnterpriseFrozen { .. })));
    assert_eq!((all(&*authority.store, CertificateRecord::TABLE).len(), all(&*authority.store, Intent::TABLE).len()), (count, 0));
    enterprise::lift(authority, &admin(), CODE, &lifting()).unwrap();
    // Between intent and record: it is known, and never good.
    let ours = while_other(authority, 1, move |other| {
        enterprise::freeze(other, &admin(), freezing(until)).unwrap();
    });
    assert!(matches!(issue(&ours, admin(), order(CODE)), Err(IssueError::EnterpriseFrozen { .. })));
    let held: Vec<Vec<u8>> = all(&*authority.store, CertificateRecord::TABLE)
        .into_iter()
        .filter(|(_, bytes)| matches!(decode::<CertificateRecord>(bytes).unwrap().status, Status::Held(_)))
        .map(|(key, _)| key.last_part().unwrap())
        .collect();
    assert!(held.len() == 2 && held.contains(&first) && held.iter().all(|serial| frozen(authority, serial)));
    let list = ca::flow::publish::publish(authority, &Authorised::by_ownership(7), &authority.issuers["enterprise-ca"]).unwrap();
    assert_eq!(list.entries, 2);
    enterprise::lift(authority, &admin(), CODE, &lifting()).unwrap();
    assert!(held.iter().all(|serial| status(authority, serial) == Status::Good));
    // A suspension that is ended at the very moment of the order.
    suspend(authority, &admin(), &serial_text(&first)).unwrap();
    let ours = while_other(authority, 0, move |other| {
        enterprise::freeze(other, &admin(), freezing(until)).unwrap();
    });
    assert!(resume(&ours, &admin(), &Resume { serial: serial_text(&first), freeze: None }).is_err());
    assert!(frozen(authority, &first));
}

#[test]
fn an_order_that_a_crash_cut_off_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let serials = [0; 2].map(|_| issued(&opened.authority, CODE));
    let until = clock.now().unix_timestamp() + 86_400;
    drop(opened);
    // The order and two certificates; the end, two certificates, and the order is gone.
    for commit in 0..7 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let faulty = opened.authority.over(Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault)));
            let failed = enterprise::freeze(&faulty, &admin(), freezing(until)).is_err() || enterprise::lift(&faulty, &admin(), CODE, &lifting()).is_err();
            assert!(failed, "{at}: a failed write was answered as done");
            drop((faulty, opened));
            let opened = reopened(&home, &clock);
            enterprise::due(&opened.authority).unwrap();
            let now = serials.iter().filter(|serial| frozen(&opened.authority, serial)).count();
            let in_force = (1..=2).contains(&commit) || (commit, fault) == (0, Fault::DoneReportedLost) || (commit, fault) == (3, Fault::Lost);
            assert_eq!(now, if in_force { 2 } else { 0 }, "{at}");
            assert_eq!(matches!(issue(&opened.authority, admin(), Order { profile: "nothing".into(), ..order(CODE) }), Err(IssueError::UnknownProfile { .. })), true);
            assert_eq!(enterprise::lift(&opened.authority, &admin(), CODE, &lifting()).is_ok(), in_force, "{at}");
            assert!(serials.iter().all(|serial| status(&opened.authority, serial) == Status::Good), "{at}");
            assert_eq!(logged(&opened.authority, 56), logged(&opened.authority, 57), "{at}");
        }
    }
}

/// By whom and why an order is lifted.
fn lifting() -> ca::flow::hold::LiftWords {
    ca::flow::hold::LiftWords { authority: "穗城区人民法院".into(), reason: "(2026)穗执1号之一".into() }
}
