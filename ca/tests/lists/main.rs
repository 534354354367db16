//! What lists say: whole ones, parts and deltas, through days of a clock of our own; and dates of invalidity.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dates;
mod deltas;
mod parts;
mod publishing;

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
fn rules_of_lists_are_those_of_the_documents() {
    let rules = Rules::parse(policies::authority::SHIPPED).unwrap().crl;
    let within = |pace: policies::authority::Pace| pace.after_change_seconds <= 30 && pace.valid_seconds > pace.every_seconds;
    assert!(within(rules.partition) && within(rules.delta), "{rules:?}");
    // With what a gateway needs to look, a session by a revoked certificate ends within a minute: a long part is the slowest.
    assert_eq!([rules.partition.after_change(100), rules.partition.after_change(1_000_000)], [10, 30]);
}
