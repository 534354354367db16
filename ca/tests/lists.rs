//! What lists say: whole ones, parts and deltas, through days of a clock of our own; and dates of invalidity.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ca::authority::Authority;
use ca::flow::hold::{FreezeOrder, Resume, due, freeze, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::listing::{note_partitions, partitions};
use ca::flow::plan::Words;
use ca::flow::publish::{publish, publish_anew, publish_scope, scopes};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Authorised, Operator};
use ca::init::{Opened, init, open};
use ca::job::{Health, Jobs};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, CrlChange, CrlHead, CrlRecord, Listed, Reason, Revocation, Scope, Status, decode, encode, log, serial_text};
use keys::Passphrase;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use pki::path::{Anchors, Oid, PathError, Requirements, RevocationList, Validation};
use policies::authority::Rules;
use proptest::prelude::*;
use runtime::clock::{Clock, FakeClock};
use store::{Batch, Between, Fault, Faulty, Key, Memory, Part, Store, Template};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const ISSUER: &str = "enterprise-ca";

struct Office {
    clock: Arc<FakeClock>,
    authority: Authority,
    _place: tempfile::TempDir,
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(place: &std::path::Path, clock: &Arc<FakeClock>) -> Opened {
    let listen = "127.0.0.1:8440".parse().unwrap();
    init(&place.join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()))
}

impl Office {
    fn found() -> Self {
        let (place, clock) = (tempfile::tempdir().unwrap(), clock());
        let opened = founded(place.path(), &clock);
        Self { clock, authority: opened.authority, _place: place }
    }

    /// The same issuers over a register in memory, whose whole list and parts are published.
    fn afresh(&self, change: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Authority {
        let authority = self.authority.over(change(Arc::new(Memory::new())));
        note_partitions(&authority).unwrap();
        let lists = scopes(&authority, &authority.issuers[ISSUER]).unwrap();
        lists.into_iter().filter(|scope| *scope != Scope::Delta).for_each(|scope| drop(make(&authority, scope)));
        authority
    }

    fn issue_for(&self, key: &rcgen::KeyPair) -> Vec<u8> {
        issued(&self.authority, key)
    }

    fn issue(&self) -> Vec<u8> {
        self.issue_for(&rcgen::KeyPair::generate().unwrap())
    }

    fn status(&self, serial: &[u8]) -> Status {
        ca::register::get(&*self.authority.store, serial).unwrap().status
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn issued(authority: &Authority, key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(key).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let order = Order { profile: "enterprise-signing".into(), request, applicant, issuer: None };
    issue(authority, admin(), order).unwrap().what().serial.clone()
}

/// Publishes a list, or every list of the issuer.
fn make(authority: &Authority, scope: Scope) -> CrlHead {
    publish_scope(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER], scope).unwrap()
}

fn all(authority: &Authority) {
    scopes(authority, &authority.issuers[ISSUER]).unwrap().into_iter().for_each(|scope| drop(make(authority, scope)));
}

fn published(authority: &Authority, scope: Scope) -> CrlRecord {
    decode(&authority.store.get(&CrlRecord::of(ISSUER, scope)).unwrap().unwrap()).unwrap()
}

fn simple(serial: &[u8], reason: Reason) -> Revoke {
    Revoke { serial: serial_text(serial), reason, at: None, invalid_since: None }
}

/// What a list says of each serial: since when, why, and since when it was not right.
type Said = BTreeMap<Vec<u8>, (i64, u8, Option<i64>)>;

/// A list as a relying party reads it: number, base of a delta, entries.
fn read(der: &[u8]) -> (u64, Option<u64>, Said) {
    let (_, list) = CertificateRevocationList::from_der(der).unwrap();
    let number = |digits: Vec<u64>| digits.first().copied().unwrap_or_default();
    let base = list.extensions().iter().find(|one| one.oid.to_id_string() == "2.5.29.27").map(|one| {
        assert!(one.critical);
        one.value[2..].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
    });
    let entries = list.iter_revoked_certificates().map(|entry| {
        let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
        (entry.raw_serial().to_vec(), (entry.revocation_date.timestamp(), reason, entry.invalidity_date().map(|(_, at)| at.timestamp())))
    });
    (number(list.crl_number().unwrap().to_u64_digits()), base, entries.collect())
}

/// What the register says should be on a list.
fn register(authority: &Authority, (from, to): (Key, Key)) -> BTreeSet<Vec<u8>> {
    authority.store.scan(&from, &to, 10_000).unwrap().into_iter().map(|(key, _)| key.last_part().unwrap()).collect()
}

#[test]
fn a_date_of_invalidity_is_told_by_lists_and_answers() {
    let office = Office::found();
    let authority = &office.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let first = office.issue_for(&key);
    let since = office.now() + 3_600;
    office.clock.advance(Duration::days(10));
    let sibling = office.issue_for(&key);
    let plain = office.issue();
    let order = |serial: &[u8], reason, at, invalid_since| Revoke { serial: serial_text(serial), reason, at, invalid_since };
    for wrong in [i64::MIN, 0, since - 86_400, office.now() + 1, i64::MAX] {
        let length = authority.store.stream_length(log::STREAM).unwrap();
        assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::Superseded, None, Some(wrong))), Err(IssueError::InvalidityDate(_))), "{wrong}");
        assert_eq!((office.status(&first), authority.store.stream_length(log::STREAM).unwrap()), (Status::Good, length));
    }
    // Not after the revocation itself, however early that is set.
    assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::Superseded, Some(since - 1), Some(since))), Err(IssueError::InvalidityDate(_))));
    // Suspended, and therefore not relied on, before it was known.
    suspend(authority, &admin(), &serial_text(&first)).unwrap();
    office.clock.advance(Duration::days(1));
    let at = office.now() - 86_400;
    revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, None, Some(since))).unwrap();
    assert_eq!(office.status(&first), Status::Revoked(Revocation { at, reason: Reason::KeyCompromise, invalid_since: Some(since) }));
    // The sibling was made with a key that was no longer its holder's alone: it was wrong from its beginning.
    let Status::Revoked(fallen) = office.status(&sibling) else { panic!("not revoked") };
    let made = ca::register::get(&*authority.store, &sibling).unwrap().not_before;
    assert_eq!((fallen.invalid_since, made > since), (Some(made), true));
    revoke(authority, &admin(), &order(&plain, Reason::CessationOfOperation, None, None)).unwrap();

    publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER]).unwrap();
    let list = published(authority, Scope::Whole);
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&list.der).unwrap();
    let dated = |serial: &[u8]| {
        let entry = read.iter_revoked_certificates().find(|entry| entry.raw_serial() == serial).unwrap();
        entry.invalidity_date().map(|(critical, at)| (critical, at.timestamp()))
    };
    assert_eq!((dated(&first), dated(&sibling), dated(&plain)), (Some((false, since)), Some((false, made)), None));
    let status = ca::status::Status::new(authority).unwrap();
    let issuer = &authority.issuers[ISSUER];
    let told = |serial: &[u8], at: i64| {
        let id = CertId::new(HashAlgorithm::Sha256, &issuer.name, &issuer.public_key_info, serial).unwrap();
        let date = pki::asn1::tlv(4, &pki::asn1::generalized(OffsetDateTime::from_unix_timestamp(at).unwrap()));
        let body = status.make(&OcspRequest { ids: vec![id], nonce: None }).body;
        let extension = [&[6, 3, 0x55, 0x1d, 24][..], &date].concat();
        (body.windows(5).any(|octets| *octets == extension[..5]), body.windows(extension.len()).any(|octets| *octets == extension[..]))
    };
    assert_eq!((told(&first, since), told(&sibling, made), told(&plain, since)), ((true, true), (true, true), (false, false)));
    let entries = authority.store.read_stream(log::STREAM, 0, 1_000).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry[1] == 50).count(), 2);
}

#[test]
fn a_compromise_learnt_later_keeps_or_moves_the_date() {
    let office = Office::found();
    let authority = &office.authority;
    let (first, second) = (office.issue(), office.issue());
    let began = office.now();
    office.clock.advance(Duration::days(10));
    let order = |serial: &[u8], reason, invalid_since| Revoke { serial: serial_text(serial), reason, at: None, invalid_since };
    let since = |serial: &[u8]| if let Status::Revoked(revocation) = office.status(serial) { revocation.invalid_since } else { panic!("not revoked") };
    for serial in [&first, &second] {
        revoke(authority, &admin(), &order(serial, Reason::Superseded, Some(began + 86_400))).unwrap();
    }
    let before = office.now();
    office.clock.advance(Duration::days(10));
    assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, Some(before + 1))), Err(IssueError::InvalidityDate(_))));
    revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, Some(began + 60))).unwrap();
    revoke(authority, &admin(), &order(&second, Reason::KeyCompromise, None)).unwrap();
    assert_eq!((since(&first), since(&second)), (Some(began + 60), Some(began + 86_400)));
}

#[test]
fn a_certificate_is_in_one_part_for_good() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let (home, opened) = (place.path().join("ca"), founded(place.path(), &clock));
    let authority = &opened.authority;
    let mut known = BTreeMap::new();
    for _ in 0..24 {
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        let record = ca::register::get(&*authority.store, &serial).unwrap();
        known.insert(serial, record.shard.unwrap());
        // The certificate names the list of its part, and nothing else.
        let (_, read) = x509_parser::parse_x509_certificate(&record.der).unwrap();
        let points = read.extensions().iter().find_map(|one| if let ParsedExtension::CRLDistributionPoints(points) = one.parsed_extension() { Some(points) } else { None }).unwrap();
        let [point] = &points.points[..] else { panic!("{points:?}") };
        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { panic!("{point:?}") };
        let url = format!("http://127.0.0.1:8440/crl/{ISSUER}/{}.crl", record.shard.unwrap());
        assert!(matches!(&names[..], [GeneralName::URI(found)] if *found == url), "{names:?}");
    }
    assert!(known.values().all(|shard| *shard < 16) && known.values().collect::<BTreeSet<_>>().len() > 4);
    let (serial, shard) = known.first_key_value().unwrap();
    let other = (*shard + 1) % 16;
    revoke(authority, &admin(), &simple(serial, Reason::Superseded)).unwrap();
    for scope in [Scope::Shard(*shard), Scope::Whole] {
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_some());
        make(authority, scope);
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none());
        assert!(read(&published(authority, scope).der).2.contains_key(serial));
    }
    assert!(authority.store.get(&Scope::Shard(other).stale(ISSUER)).unwrap().is_none());
    assert!(read(&published(authority, Scope::Shard(other)).der).2.is_empty());
    // As the gateway judges it: its own part and the whole list speak of it, another part does not. // spec: rfc5280#6.3.3
    let root: CrlRecord = decode(&authority.store.get(&CrlRecord::key("root")).unwrap().unwrap()).unwrap();
    let anchors = Anchors::new(&[&authority.issuers["root"].record.der]).unwrap();
    let required = Requirements { extended_key_usage: Oid::new_unwrap("1.3.6.1.5.5.7.3.36"), key_usage: vec![0], policies: Vec::new() };
    let judge = |serial: &[u8], scope: Scope| {
        let record = ca::register::get(&*authority.store, serial).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&record.der).unwrap();
        let usage = read.extended_key_usage().unwrap().map(|usage| usage.value.clone()).unwrap();
        let purpose = if usage.client_auth { "1.3.6.1.5.5.7.3.2".to_owned() } else { usage.other[0].to_id_string() };
        let required = Requirements { extended_key_usage: Oid::new(&purpose).unwrap(), ..required.clone() };
        let lists = [&root.der, &published(authority, scope).der].map(|der| RevocationList::parse(der).unwrap());
        Validation { anchors: &anchors, lists: &lists, required: &required, at: clock.now() }.trust(&record.der, &[&authority.issuers[ISSUER].record.der]).map(|_| ())
    };
    assert!(matches!(judge(serial, Scope::Shard(*shard)), Err(PathError::Revoked { .. })));
    assert!(matches!(judge(serial, Scope::Whole), Err(PathError::Revoked { .. })));
    assert!(matches!(judge(serial, Scope::Shard(other)), Err(PathError::RevocationUnknown)));
    let (good, its) = known.iter().find(|(_, its)| *its != shard).unwrap();
    assert_eq!((judge(good, Scope::Shard(*its)), judge(good, Scope::Whole)), (Ok(()), Ok(())));
    // More parts, then fewer: what was named once keeps its list.
    let written = home.join("policies/authority/crl.toml");
    let shipped = std::fs::read_to_string(&written).unwrap();
    drop(opened);
    for (policy, kept) in [(40, 40), (4, 40)] {
        std::fs::write(&written, shipped.replace("enterprise-ca = 16", &format!("enterprise-ca = {policy}"))).unwrap();
        let opened = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let authority = &opened.authority;
        assert_eq!((partitions(authority, ISSUER).unwrap(), partitions(authority, "tls-ca").unwrap(), partitions(authority, "root").unwrap()), (kept, 0, 0));
        assert_eq!(scopes(authority, &authority.issuers[ISSUER]).unwrap().len(), usize::from(kept) + 2);
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        assert!(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap() < policy);
        for (serial, shard) in &known {
            assert_eq!(ca::register::get(&*authority.store, serial).unwrap().shard, Some(*shard));
        }
    }
}

#[test]
fn a_certificate_of_the_time_before_parts_is_on_the_whole_list() {
    let office = Office::found();
    let authority = &office.authority;
    let serial = office.issue();
    // As it was written then: without a word of parts.
    let record = CertificateRecord { shard: None, ..ca::register::get(&*authority.store, &serial).unwrap() };
    let bytes = encode(&record).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("shard"));
    authority.store.commit(Batch::new().put(CertificateRecord::key(&serial), bytes)).unwrap();
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    all(authority);
    assert!(read(&published(authority, Scope::Whole).der).2.contains_key(&serial));
    assert!((0..16).all(|shard| read(&published(authority, Scope::Shard(shard)).der).2.is_empty()));
    resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: false }).unwrap();
    all(authority);
    assert!(read(&published(authority, Scope::Whole).der).2.is_empty());
}

#[derive(Clone, Debug)]
enum Act {
    Suspend(usize),
    Resume(usize, bool),
    Freeze(usize, i64),
    Revoke(usize, bool),
    Issue,
    Pass(i64),
    Publish(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..6_usize).prop_map(Act::Suspend),
        4 => (0..6_usize, any::<bool>()).prop_map(|(which, freeze)| Act::Resume(which, freeze)),
        2 => (0..6_usize, 1..400_000_i64).prop_map(|(which, until)| Act::Freeze(which, until)),
        2 => (0..6_usize, any::<bool>()).prop_map(|(which, since)| Act::Revoke(which, since)),
        1 => Just(Act::Issue),
        3 => prop_oneof![Just(0), 1..100_i64, 1..200_000_i64, Just(40_000_000)].prop_map(Act::Pass),
        8 => (0..3_u8).prop_map(Act::Publish),
    ]
}

/// Every whole list that a relying party may hold, brought up to date by the delta, says what the register says.
/// spec: rfc5280#5.2.4 (a whole list from the base on and before the delta)
fn keeps_up(authority: &Authority, wholes: &BTreeMap<u64, Said>) {
    let (number, base, delta) = read(&published(authority, Scope::Delta).der);
    let base = base.unwrap();
    assert!(wholes.contains_key(&base), "the base {base} was never published");
    let now = register(authority, CertificateRecord::all_revoked(ISSUER));
    for (whole, said) in wholes.range(base..=number) {
        let mut said = said.clone();
        for (serial, entry) in &delta {
            if entry.1 == pki::crl::Reason::RemoveFromCrl as u8 { said.remove(serial) } else { said.insert(serial.clone(), *entry) };
        }
        assert_eq!(said.keys().cloned().collect::<BTreeSet<_>>(), now, "whole {whole} with delta {number} to {base}");
        for (serial, entry) in &said {
            // A certificate that ended keeps the word of its last list; every other is told as it stands.
            let status = ca::register::get(&*authority.store, serial).unwrap().status;
            let told = match status {
                Status::Revoked(revocation) => (revocation.at, revocation.reason.crl() as u8, revocation.invalid_since),
                Status::Held(hold) => (hold.at, 6, None),
                Status::Good => panic!("a good certificate is listed"),
            };
            assert_eq!(*entry, told);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_whole_list_with_its_delta_is_the_register(acts in prop::collection::vec(act(), 1..60)) {
        // One hierarchy for all cases; each has a register of its own.
        static OFFICE: std::sync::OnceLock<Office> = std::sync::OnceLock::new();
        let office = OFFICE.get_or_init(Office::found);
        let authority = &office.afresh(|store| store);
        let mut serials: Vec<Vec<u8>> = (0..6).map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap())).collect();
        let mut wholes = BTreeMap::new();
        let note = |wholes: &mut BTreeMap<u64, Said>| {
            let (number, base, said) = read(&published(authority, Scope::Whole).der);
            assert!(base.is_none() && wholes.insert(number, said).is_none(), "{number} twice");
        };
        note(&mut wholes);
        let mut last = 0;
        for act in acts {
            let text = |which: usize| serial_text(&serials[which % serials.len()]);
            // What the state does not allow is refused, and changes nothing.
            match act {
                Act::Suspend(which) => drop(suspend(authority, &admin(), &text(which))),
                Act::Resume(which, freeze) => drop(resume(authority, &admin(), &Resume { serial: text(which), freeze })),
                Act::Freeze(which, until) => {
                    let until = office.now() + until;
                    drop(freeze(authority, &admin(), FreezeOrder { serial: text(which), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until }));
                }
                Act::Revoke(which, since) => {
                    let at = ca::register::get(&*authority.store, &serials[which % serials.len()]).unwrap().not_before;
                    drop(revoke(authority, &admin(), &Revoke { serial: text(which), reason: Reason::AffiliationChanged, at: None, invalid_since: since.then_some(at) }));
                }
                Act::Issue => serials.push(issued(authority, &rcgen::KeyPair::generate().unwrap())),
                Act::Pass(seconds) => {
                    office.clock.set(OffsetDateTime::from_unix_timestamp(office.now() + seconds % 400_000_000).unwrap().min(authority.issuers[ISSUER].not_after - Duration::days(2_000)));
                    due(authority).unwrap();
                }
                Act::Publish(0) => {
                    let number = make(authority, Scope::Whole).number;
                    assert!(number > last);
                    last = number;
                    note(&mut wholes);
                    let (_, _, said) = read(&published(authority, Scope::Whole).der);
                    assert!(register(authority, CertificateRecord::all_revoked(ISSUER)).iter().all(|serial| said.contains_key(serial)));
                }
                Act::Publish(1) => {
                    let number = make(authority, Scope::Delta).number;
                    // Only a delta of the very moment of a whole list shares its number.
                    assert!(number > last || (number == last && wholes.contains_key(&number)));
                    last = number;
                    keeps_up(authority, &wholes);
                }
                Act::Publish(_) => {
                    for serial in &serials {
                        let shard = ca::register::get(&*authority.store, serial).unwrap().shard.unwrap();
                        make(authority, Scope::Shard(shard));
                        let (_, _, said) = read(&published(authority, Scope::Shard(shard)).der);
                        assert!(register(authority, CertificateRecord::all_revoked_in(ISSUER, shard)).iter().all(|serial| said.contains_key(serial)));
                    }
                }
            }
        }
        make(authority, Scope::Delta);
        keeps_up(authority, &wholes);
    }
}

#[test]
fn a_delta_tells_of_an_end_and_the_base_moves_once_a_day() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let [first, second] = [0, 1].map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap()));
    let delta = || {
        make(authority, Scope::Delta);
        read(&published(authority, Scope::Delta).der)
    };
    let removed = |said: &Said, serial: &[u8]| said.get(serial).map(|(_, reason, _)| *reason == 8);
    // Nothing changed in the second of the whole list: one number, one information. // spec: rfc5280#5.2.3
    assert_eq!(delta(), (1, Some(1), Said::new()));
    suspend(authority, &admin(), &serial_text(&first)).unwrap();
    let (number, base, said) = delta();
    assert_eq!((number, base, removed(&said, &first)), (2, Some(1), Some(false)));
    // It came and went since the base: whoever saw it between is told that it is over.
    resume(authority, &admin(), &Resume { serial: serial_text(&first), freeze: false }).unwrap();
    office.clock.advance(Duration::hours(1));
    let (number, base, said) = delta();
    assert_eq!((number, base, removed(&said, &first)), (3, Some(1), Some(true)));
    revoke(authority, &admin(), &simple(&second, Reason::Superseded)).unwrap();
    assert_eq!(make(authority, Scope::Whole).number, 4);
    assert_eq!((delta().1, read(&published(authority, Scope::Whole).der).2.len()), (Some(1), 1));
    office.clock.advance(Duration::days(1));
    assert_eq!(make(authority, Scope::Whole).number, 5);
    assert_eq!(delta(), (5, Some(5), Said::new()));
    // Changes that every list has are forgotten.
    assert_eq!(register(authority, Key::range("crl-change", &[])).len(), 0);
    // An ended certificate leaves the whole list after one more, and the delta says so.
    office.clock.advance(Duration::days(2_000));
    make(authority, Scope::Whole);
    let (_, base, said) = delta();
    assert_eq!((base, removed(&said, &second)), (Some(6), Some(true)));
    assert!(read(&published(authority, Scope::Whole).der).2.contains_key(&second));
    make(authority, Scope::Whole);
    assert!(read(&published(authority, Scope::Whole).der).2.is_empty());
}

/// Every number of a sequence that the log tells was intended is used once, and published ones rise.
fn numbers_rise(authority: &Authority) {
    let entries = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    let mut last: BTreeMap<(u8, u64), u64> = BTreeMap::new();
    for entry in entries {
        let kind = entry[1];
        if !matches!(kind, 6 | 7 | 51..=54) {
            continue;
        }
        let told: serde_json::Value = serde_json::from_slice(&entry[10..]).unwrap();
        if told["issuer"] != ISSUER {
            continue;
        }
        let number = told["number"].as_u64().unwrap();
        // Whole lists and deltas take their numbers from one sequence; a delta may share that of the whole list before it.
        // What one address publishes rises too: a delta may overtake a whole list that was begun before it.
        let sequence = if matches!(kind, 51 | 52) { told["shard"].as_u64().unwrap() } else { u64::MAX };
        let step = if matches!(kind, 6 | 51 | 53) { 0 } else { kind };
        let before = last.insert((step, sequence), number).unwrap_or_default();
        assert!(number > before || (number == before && matches!(kind, 53 | 54)), "{kind}: {number} after {before}");
    }
}

#[test]
fn numbers_rise_whoever_publishes() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let serials: Vec<_> = (0..4).map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap())).collect();
    let shard = ca::register::get(&*authority.store, &serials[0]).unwrap().shard.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            for list in [Scope::Whole, Scope::Delta, Scope::Shard(shard)] {
                scope.spawn(move || {
                    for _ in 0..15 {
                        match publish_anew(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER], list) {
                            Ok(_) | Err(IssueError::Race) => {}
                            Err(error) => panic!("{list:?}: {error}"),
                        }
                    }
                });
            }
        }
        for serial in &serials {
            for _ in 0..5 {
                suspend(authority, &admin(), &serial_text(serial)).unwrap();
                resume(authority, &admin(), &Resume { serial: serial_text(serial), freeze: false }).unwrap();
            }
            revoke(authority, &admin(), &simple(serial, Reason::Superseded)).unwrap();
        }
    });
    numbers_rise(authority);
    all(authority);
    assert_eq!(read(&published(authority, Scope::Whole).der).2.len(), 4);
    assert!(read(&published(authority, Scope::Shard(shard)).der).2.contains_key(&serials[0]));
    for scope in scopes(authority, &authority.issuers[ISSUER]).unwrap() {
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none(), "{scope:?} stays stale");
    }
}

#[test]
fn every_write_boundary_of_every_kind_of_list_is_gone_over_again() {
    let office = Office::found();
    let inner: Mutex<Option<Arc<dyn Store>>> = Mutex::default();
    let authority = &office.afresh(|store| {
        *inner.lock().unwrap() = Some(Arc::clone(&store));
        store
    });
    let inner = inner.lock().unwrap().clone().unwrap();
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    let mut held = false;
    for scope in [Scope::Whole, shard, Scope::Delta] {
        // The intent, the list, and that it is fresh.
        for commit in 0..3 {
            for fault in [Fault::Lost, Fault::DoneReportedLost] {
                held = !held;
                match held {
                    true => drop(suspend(authority, &admin(), &serial_text(&serial)).unwrap()),
                    false => drop(resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: false }).unwrap()),
                }
                let faulty = Arc::new(Faulty::new(Arc::clone(&inner)).at(commit, fault));
                let broken = authority.over(Arc::clone(&faulty) as Arc<dyn Store>);
                assert!(publish_scope(&broken, &Authorised::by_ownership(0), &broken.issuers[ISSUER], scope).is_err(), "{scope:?} {commit} {fault:?}");
                assert_eq!(faulty.commits(), commit + 1);
                make(authority, scope);
                assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none());
                let (_, _, said) = read(&published(authority, scope).der);
                let there = said.get(&serial).map(|(_, reason, _)| *reason);
                let expected = if held { Some(6) } else if scope == Scope::Delta { Some(8) } else { None };
                assert_eq!(there, expected, "{scope:?} {commit} {fault:?}");
            }
        }
    }
    numbers_rise(authority);
}

#[test]
fn no_kind_of_list_is_published_that_is_not_what_the_register_says() {
    let office = Office::found();
    for part in [true, false] {
        let inner: Arc<dyn Store> = Arc::new(Memory::new());
        let authority = &office.afresh(|_| Arc::clone(&inner));
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        let shard = ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap();
        revoke(authority, &admin(), &simple(&serial, Reason::Superseded)).unwrap();
        // An entry of the register is lost behind the list's back, between making and comparing.
        let (scope, table, lost) = match part {
            true => (Scope::Shard(shard), "revoked-in", CertificateRecord::revoked_in(ISSUER, shard, &serial)),
            false => (Scope::Delta, "crl-change", Key::numbered("crl-change", &[ISSUER.as_bytes()], 1)),
        };
        let before = inner.get(&CrlRecord::of(ISSUER, scope)).unwrap();
        let theirs = Arc::clone(&inner);
        let behind = authority.over(Arc::new(Between::after_scan(Arc::clone(&inner), table, move || drop(theirs.commit(Batch::new().delete(lost)).unwrap()))));
        let refused = publish_scope(&behind, &Authorised::by_ownership(0), &behind.issuers[ISSUER], scope);
        assert!(matches!(refused, Err(IssueError::ListDiffers { .. })), "{scope:?}: {refused:?}");
        assert_eq!(inner.get(&CrlRecord::of(ISSUER, scope)).unwrap(), before);
    }
}

#[test]
fn a_clock_that_steps_back_takes_no_list_back() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    for scope in [Scope::Whole, shard, Scope::Delta] {
        let before = make(authority, scope);
        office.clock.advance(Duration::hours(-2));
        let after = make(authority, scope);
        assert!(after.number > before.number && after.this_update == before.this_update, "{scope:?}");
        office.clock.advance(Duration::hours(3));
        assert!(make(authority, scope).this_update > after.this_update);
    }
    numbers_rise(authority);
}

#[test]
fn the_service_has_every_change_on_a_delta_and_a_part_within_a_minute() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let opened = founded(place.path(), &clock);
    let status = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = ca::service::Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let health = Arc::new(Health::default());
    let jobs = Jobs::new(service.clone(), status, opened.keys, Arc::clone(&health));
    let authority = &service.authority;
    // Twenty turns of a quarter of a second.
    let pass = |seconds: i64| {
        for _ in 0..seconds / 5 {
            clock.advance(Duration::seconds(5));
            (0..20).for_each(|_| jobs.turn());
        }
        health.check().unwrap();
    };
    pass(5);
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    for (wait, step) in [(0, 0), (5, 1), (25, 0), (60, 1), (7_200, 0)] {
        pass(wait);
        if step == 0 { suspend(authority, &admin(), &serial_text(&serial)).unwrap() } else { resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: false }).unwrap() };
        pass(55);
        let delta = read(&published(authority, Scope::Delta).der).2;
        assert_eq!(delta.get(&serial).map(|(_, reason, _)| *reason), Some(if step == 0 { 6 } else { 8 }), "after {wait} s");
        assert_eq!(read(&published(authority, shard).der).2.contains_key(&serial), step == 0, "after {wait} s");
    }
    // Nothing is late on any day, and no list is made without need.
    for _ in 0..3 {
        clock.advance(Duration::days(1));
        (0..20).for_each(|_| jobs.turn());
        let made = authority.store.stream_length(log::STREAM).unwrap();
        (0..40).for_each(|_| jobs.turn());
        assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), made);
        let found = ca::doctor::examine(&service).unwrap().findings;
        assert!(found.iter().all(|finding| !finding.what.contains("CRL") || finding.grade == ca::doctor::Grade::Ok), "{found:?}");
    }
    // A restored authority leapt over numbers: no delta changes a list of the time before.
    authority.store.commit(Batch::new().put(CrlRecord::floor(), 1_000_000_u64.to_be_bytes().to_vec())).unwrap();
    assert!(matches!(publish_scope(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER], Scope::Delta), Err(IssueError::NoBase { .. })));
    clock.advance(Duration::days(1));
    (0..20).for_each(|_| jobs.turn());
    let (number, base, _) = read(&published(authority, Scope::Delta).der);
    assert!(number > 1_000_000 && base.unwrap() > 1_000_000);
}

/// Records so many revocations, from the `first` on, as a disaster brings them.
fn revoke_many(authority: &Authority, first: u64, count: u64) {
    let now = authority.clock.now().unix_timestamp();
    let listed = encode(&Listed::Revoked(Revocation::new(now, Reason::Superseded))).unwrap();
    let mut batch = Batch::new();
    for n in first..first + count {
        let serial = [[0x40; 8], n.to_be_bytes()].concat();
        let number = batch.next(CrlChange::COUNTER);
        batch = batch.put(CertificateRecord::revoked(ISSUER, &serial), listed.clone()).put(CrlChange::place(ISSUER, number), CrlChange { at: now, serial }.value());
        for scope in [Scope::Whole, Scope::Delta] {
            batch = batch.put(scope.stale(ISSUER), Template::new(vec![Part::Counter(number)]));
        }
    }
    authority.store.commit(batch).unwrap();
}

#[test]
fn a_delta_that_grew_long_is_followed_by_another_base() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let opened = founded(place.path(), &clock);
    let status = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = ca::service::Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), status, opened.keys, Arc::new(Health::default()));
    let authority = &service.authority;
    let pass = |seconds: i64| {
        for _ in 0..seconds / 5 {
            clock.advance(Duration::seconds(5));
            (0..20).for_each(|_| jobs.turn());
        }
    };
    let entries = |scope| published(authority, scope).entries;
    let large = authority.rules.crl.whole.large.unwrap();
    pass(5);
    revoke_many(authority, 0, large.above + 1);
    pass(120);
    assert_eq!(entries(Scope::Whole), large.above + 1);
    // The whole list is long now and waits for an hour, while its deltas are short.
    revoke_many(authority, 100_000, 10_000);
    pass(120);
    assert_eq!((entries(Scope::Whole), entries(Scope::Delta)), (large.above + 1, 10_000));
    revoke_many(authority, 200_000, 1);
    pass(120);
    assert_eq!(entries(Scope::Whole), large.above + 10_002);
    // And once more it waits.
    revoke_many(authority, 300_000, 5);
    pass(120);
    assert_eq!((entries(Scope::Whole), entries(Scope::Delta)), (large.above + 10_002, 5));
}

#[test]
fn rules_of_lists_are_those_of_the_documents() {
    let rules = Rules::parse(policies::authority::SHIPPED).unwrap().crl;
    let within = |pace: policies::authority::Pace| pace.after_change_seconds <= 30 && pace.valid_seconds > pace.every_seconds;
    assert!(within(rules.partition) && within(rules.delta), "{rules:?}");
}
