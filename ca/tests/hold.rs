//! Suspensions and freezes through days of a clock of our own: what relying parties are told, and what ends by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use ca::flow::hold::{FreezeOrder, Resume, freeze, orders, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Authorised, Operator};
use ca::init::init;
use ca::job::{Health, Jobs};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, CrlRecord, Freeze, Reason, Revocation, Status, decode, encode, log, serial_text};
use ca::register::{Query, State, list};
use ca::service::Service;
use keys::Passphrase;
use pki::crl::Reason as Told;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::{Clock, FakeClock};
use store::Key;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::FromDer;

const ISSUER: &str = "enterprise-ca";

/// An authority whose jobs run when a test says so.
struct Office {
    clock: Arc<FakeClock>,
    jobs: Jobs,
    _place: tempfile::TempDir,
}

impl Office {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
        let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
        let listen = "127.0.0.1:8440".parse().unwrap();
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let mut authority = opened.authority;
        let status = Arc::new(ca::status::Status::new(&authority).unwrap());
        authority.watchers.push(Arc::clone(&status) as _);
        let service = Service { authority: Arc::new(authority), evidence: opened.evidence };
        Self { clock, jobs: Jobs::new(service, status, opened.keys, Arc::new(Health::default())), _place: place }
    }

    fn authority(&self) -> &ca::authority::Authority {
        &self.jobs.service.authority
    }

    fn issue(&self) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
        let order = Order { profile: "enterprise-signing".into(), request, applicant, issuer: None };
        issue(self.authority(), admin(), order).unwrap().what().serial.clone()
    }

    fn status(&self, serial: &[u8]) -> Status {
        ca::register::get(&*self.authority().store, serial).unwrap().status
    }

    /// After some time, a slow turn of the jobs.
    fn after(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..20 {
            self.jobs.turn();
        }
        self.jobs.health.check().unwrap();
        assert!(!self.jobs.health.metrics().contains("} 1"), "{}", self.jobs.health.metrics());
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }

    /// Whether the list that is published names a serial: since when, and why.
    fn listed(&self, serial: &[u8]) -> Option<(i64, u8)> {
        let list: CrlRecord = decode(&self.authority().store.get(&CrlRecord::key(ISSUER)).unwrap().unwrap()).unwrap();
        let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&list.der).unwrap();
        let found = read.iter_revoked_certificates().find(|entry| entry.raw_serial() == serial)?;
        Some((found.revocation_date.timestamp(), found.reason_code().unwrap().1.0))
    }

    /// The answer of OCSP as it is given now, remembered or made; whether it is `good`.
    fn answered_good(&self, serial: &[u8]) -> bool {
        let issuer = &self.authority().issuers[ISSUER];
        let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, serial).unwrap();
        let request = OcspRequest { ids: vec![id.clone()], nonce: None };
        let answer = self.jobs.status.remembered(&request).unwrap_or_else(|| self.jobs.status.make(&request));
        // After the CertID: 80 00 is good, a1 revoked; a0 03 0a 01 06 the reason certificateHold.
        let at = answer.body.windows(id.der.len()).position(|window| *window == id.der[..]).unwrap() + id.der.len();
        match &answer.body[at..at + 2] {
            [0x80, 0] => true,
            [0xa1, _] => {
                let held = matches!(self.status(serial), Status::Held(_));
                assert_eq!(answer.body[at..at + 24].ends_with(&[0xa0, 3, 0x0a, 1, 6]), held);
                false
            }
            other => panic!("{other:?}"),
        }
    }

    fn logged(&self, kind: u8, by: &str) -> usize {
        let entries = self.authority().store.read_stream(log::STREAM, 0, 1_000).unwrap();
        entries.iter().filter(|entry| entry[1] == kind && String::from_utf8_lossy(entry).contains(&format!("\"by\":\"{by}\""))).count()
    }
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn order(serial: &[u8], until: i64) -> FreezeOrder {
    FreezeOrder { serial: serial_text(serial), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until }
}

fn ending(serial: &[u8], freeze: bool) -> Resume {
    Resume { serial: serial_text(serial), freeze: freeze.then(lifting) }
}

#[test]
fn a_suspension_shows_at_once_and_leaves_nothing_when_it_is_over() {
    let office = Office::found();
    let (authority, serial) = (office.authority(), office.issue());
    assert!(office.answered_good(&serial));
    let since = office.now();
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    assert!(!office.answered_good(&serial));
    assert!(matches!(suspend(authority, &admin(), &serial_text(&serial)), Err(IssueError::AlreadyHeld { .. })));
    office.after(Duration::days(1));
    assert_eq!(office.listed(&serial), Some((since, Told::CertificateHold as u8)));
    let held = list(&*authority.store, &Query { state: Some(State::Held), ..Query::default() }, office.now()).unwrap();
    assert_eq!(held.iter().map(|(serial, _)| serial).collect::<Vec<_>>(), [&serial]);
    assert!(matches!(resume(authority, &admin(), &ending(&serial, true)), Err(IssueError::NotFrozen { .. })));
    resume(authority, &admin(), &ending(&serial, false)).unwrap();
    assert!(office.answered_good(&serial));
    assert!(matches!(resume(authority, &admin(), &ending(&serial, false)), Err(IssueError::NotHeld { .. })));
    // Nobody waits for the daily list: what was resumed leaves it within a minute or two.
    office.after(Duration::minutes(2));
    assert_eq!(office.listed(&serial), None);
    office.after(Duration::days(40));
    assert_eq!(office.status(&serial), Status::Good);
    let (from, to) = Key::range("held", &[]);
    assert_eq!(authority.store.scan(&from, &to, 10).unwrap(), []);
    assert_eq!((office.logged(30, "uid:7"), office.logged(32, "uid:7")), (1, 1));
}

#[test]
fn a_suspension_that_nobody_ends_becomes_a_revocation() {
    let office = Office::found();
    let (authority, serial, other) = (office.authority(), office.issue(), office.issue());
    let since = office.now();
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    office.after(Duration::days(1));
    suspend(authority, &admin(), &serial_text(&other)).unwrap();
    office.after(Duration::days(14) - Duration::seconds(1));
    assert!(matches!(office.status(&serial), Status::Held(_)));
    office.after(Duration::seconds(1));
    assert_eq!(office.status(&serial), Status::Revoked(Revocation::new(since, Reason::PrivilegeWithdrawn)));
    assert!(matches!(office.status(&other), Status::Held(_)));
    assert!(!office.answered_good(&serial));
    assert!(matches!(resume(authority, &admin(), &ending(&serial, false)), Err(IssueError::AlreadyRevoked { .. })));
    office.after(Duration::minutes(2));
    assert_eq!(office.listed(&serial), Some((since, Told::PrivilegeWithdrawn as u8)));
    assert_eq!((office.logged(5, "service"), office.logged(5, "uid:7")), (1, 0));
    // The key was not reported, so it may be certified again.
    assert_eq!(authority.store.scan(&Key::range(CertificateRecord::BLOCKED_KEYS, &[]).0, &Key::range(CertificateRecord::BLOCKED_KEYS, &[]).1, 1).unwrap(), []);
}

#[test]
fn a_freeze_ends_by_its_date_or_by_its_own_act_only() {
    let office = Office::found();
    let (authority, serial) = (office.authority(), office.issue());
    let until = office.now() + 86_400;
    freeze(authority, &admin(), order(&serial, until)).unwrap();
    assert!(!office.answered_good(&serial));
    assert!(matches!(resume(authority, &admin(), &ending(&serial, false)), Err(IssueError::Frozen { .. })));
    assert!(matches!(freeze(authority, &admin(), order(&serial, until)), Err(IssueError::Frozen { .. })));
    assert!(matches!(suspend(authority, &admin(), &serial_text(&serial)), Err(IssueError::AlreadyHeld { .. })));
    office.after(Duration::days(1) - Duration::seconds(1));
    assert!(!office.answered_good(&serial));
    office.after(Duration::seconds(1));
    assert!(office.answered_good(&serial));
    assert_eq!((office.logged(31, "uid:7"), office.logged(33, "service")), (1, 1));
    // A longer one than any suspension lasts, lifted before its end; both orders are kept.
    freeze(authority, &admin(), order(&serial, office.now() + 60 * 86_400)).unwrap();
    office.after(Duration::days(30));
    assert!(!office.answered_good(&serial));
    // As much words as it took to freeze it, kept and logged: who, why, on whose word; without them nothing is lifted.
    for (by, why) in [("", "x"), ("x", ""), ("穗城区\n人民法院", "x")] {
        let empty = Resume { serial: serial_text(&serial), freeze: Some(ca::flow::hold::LiftWords { authority: by.into(), reason: why.into() }) };
        assert!(resume(authority, &admin(), &empty).is_err(), "{by:?} {why:?}");
    }
    resume(authority, &admin(), &ending(&serial, true)).unwrap();
    let (from, to) = ca::record::Lift::all_kept(&serial);
    let kept = authority.store.scan(&from, &to, 10).unwrap();
    let lift: ca::record::Lift = ca::record::decode(&kept[0].1).unwrap();
    assert_eq!((kept.len(), lift.authority.as_str(), lift.reason.as_str()), (1, "穗城区人民法院", "(2026)穗执1号之一"));
    let entries = authority.store.read_stream(ca::record::log::STREAM, 0, 100_000).unwrap();
    let told: Vec<String> = entries.iter().filter(|entry| entry[1] == 34).map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
    assert!(told.len() == 1 && told[0].contains("穗城区人民法院") && !told[0].contains("穗执1号"), "{told:?}");
    assert!(office.answered_good(&serial));
    let kept = orders(authority, &serial).unwrap();
    assert_eq!((kept.len(), kept[0].until, kept[0].reason.as_str()), (2, until, "(2026)穗执1号"));
    // The log names the authority and proves the order, without its words.
    let entries = authority.store.read_stream(log::STREAM, 0, 1_000).unwrap();
    let entry = entries.iter().find(|entry| entry[1] == 31).map(|entry| String::from_utf8_lossy(entry).into_owned()).unwrap();
    assert!(entry.contains("穗城区人民法院") && !entry.contains("穗执"), "{entry}");
    assert!(!format!("{:?} {:?}", kept, order(&serial, until)).contains("穗"));
    // Whoever guesses all words of an order does not find it in the log; whoever is shown it does.
    let digest = |order: &Freeze| ring::digest::digest(&ring::digest::SHA256, &encode(order).unwrap()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let guessed = Freeze { salt: None, ..kept[0].clone() };
    assert!(entry.contains(&digest(&kept[0])) && !entry.contains(&digest(&guessed)), "{entry}");
    assert!(kept[0].salt != kept[1].salt);
}

#[test]
fn a_suspension_below_a_freeze_goes_on_after_it() {
    let office = Office::found();
    let (authority, serial) = (office.authority(), office.issue());
    let since = office.now();
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    office.after(Duration::days(10));
    freeze(authority, &admin(), order(&serial, office.now() + 20 * 86_400)).unwrap();
    office.after(Duration::days(20));
    let Status::Held(hold) = office.status(&serial) else { panic!("not held") };
    assert_eq!((hold.at, hold.counted_from, hold.freeze), (since, office.now(), None));
    // The days of the freeze, in which nobody could resume it, do not count.
    office.after(Duration::days(14));
    assert!(matches!(office.status(&serial), Status::Held(_)));
    office.after(Duration::days(1));
    assert_eq!(office.status(&serial), Status::Revoked(Revocation::new(since, Reason::PrivilegeWithdrawn)));
}

#[test]
fn what_cannot_be_held_is_named_and_nothing_is_changed() {
    let office = Office::found();
    let (authority, serial) = (office.authority(), office.issue());
    let length = || authority.store.stream_length(log::STREAM).unwrap();
    let before = length();
    let now = office.now();
    let own = list(&*authority.store, &Query::default(), now).unwrap();
    let own: Vec<_> = own.iter().filter(|(_, record)| record.profile != "enterprise-signing").collect();
    // The root, four issuing authorities and their OCSP signers.
    assert_eq!(own.len(), 9);
    for (serial, _) in own {
        assert!(matches!(suspend(authority, &admin(), &serial_text(serial)), Err(IssueError::OwnCertificate { .. })));
        assert!(matches!(freeze(authority, &admin(), order(serial, now + 60)), Err(IssueError::OwnCertificate { .. })));
    }
    for until in [i64::MIN, 0, now, i64::MAX] {
        assert!(matches!(freeze(authority, &admin(), order(&serial, until)), Err(IssueError::FreezeEnd)), "{until}");
    }
    for words in ["", " \n", "a\u{1b}[2J", "a\u{202e}b", &"字".repeat(501)] {
        assert!(matches!(freeze(authority, &admin(), FreezeOrder { reason: words.into(), ..order(&serial, now + 60) }), Err(IssueError::OrderWords { field: "reason", .. })));
        assert!(matches!(freeze(authority, &admin(), FreezeOrder { authority: words.into(), ..order(&serial, now + 60) }), Err(IssueError::OrderWords { field: "authority", .. })));
    }
    for text in ["", "zz", "40000000000000000000000000000001"] {
        assert!(suspend(authority, &admin(), text).is_err() && resume(authority, &admin(), &Resume { serial: text.into(), freeze: None }).is_err());
    }
    assert_eq!(length(), before);
    // A held certificate is revoked from its suspension on, and earlier where that is known.
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    office.clock.advance(Duration::days(1));
    let revocation = |at| Revoke { serial: serial_text(&serial), reason: Reason::Superseded, at, invalid_since: None };
    assert!(matches!(revoke(authority, &admin(), &revocation(Some(now + 1))), Err(IssueError::RevocationDate(_))));
    revoke(authority, &admin(), &revocation(None)).unwrap();
    assert_eq!(office.status(&serial), Status::Revoked(Revocation::new(now, Reason::Superseded)));
    assert!(matches!(suspend(authority, &admin(), &serial_text(&serial)), Err(IssueError::AlreadyRevoked { .. })));
    let second = office.issue();
    office.clock.advance(Duration::days(4_000));
    assert!(matches!(suspend(authority, &admin(), &serial_text(&second)), Err(IssueError::Ended { .. })));
}

/// By whom and why an order is lifted.
fn lifting() -> ca::flow::hold::LiftWords {
    ca::flow::hold::LiftWords { authority: "穗城区人民法院".into(), reason: "(2026)穗执1号之一".into() }
}
