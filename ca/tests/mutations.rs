//! Certificates that are wrong never reach a signature: each way to be wrong, on each shipped profile, is found by a lint.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ca::authority::{Addresses, Issuer};
use ca::flow::Authorised;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::{Words, certificate_plan, expected};
use ca::init::{Opened, init};
use ca::problem::IssueError;
use ca::record::{Settings, log};
use keys::Passphrase;
use lint::{ProfileFacts, Severity, lint_certificate};
use pki::asn1::{self, Reader, tlv};
use pki::certificate::{assemble, tbs_der};
use pki::signer::SignatureAlgorithm;
use policies::certificate::{KeyAlgorithm, Policies, RequestFacts, SHIPPED};
use runtime::clock::SystemClock;
use time::OffsetDateTime;

fn founded(place: &Path) -> Opened {
    let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
    init(&place.join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn oid(text: &str) -> Vec<u8> {
    asn1::oid(&text.parse().unwrap())
}

/// The bytes to be signed, taken apart.
#[derive(Clone)]
struct Parts {
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    validity: Vec<u8>,
    subject: Vec<u8>,
    key: Vec<u8>,
    /// Unique identifiers.
    odd: Vec<u8>,
    extensions: Vec<Extension>,
}

#[derive(Clone)]
struct Extension {
    oid: Vec<u8>,
    critical: bool,
    value: Vec<u8>,
}

/// Every element of one level, whole.
fn level(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut reader, mut all) = (Reader::new(bytes), Vec::new());
    while !reader.is_empty() {
        all.push(reader.any().unwrap().2.to_vec());
    }
    all
}

fn inside(element: &[u8]) -> &[u8] {
    Reader::new(element).any().unwrap().1
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

impl Parts {
    fn of(tbs: &[u8]) -> Self {
        let fields: [Vec<u8>; 8] = level(inside(tbs)).try_into().unwrap();
        let [version, serial, algorithm, issuer, validity, subject, key, extensions] = fields;
        let extensions = level(inside(inside(&extensions))).into_iter().map(|one| {
            let parts = level(inside(&one));
            Extension { oid: parts[0].clone(), critical: parts.len() == 3, value: inside(parts.last().unwrap()).to_vec() }
        });
        Self { version, serial, algorithm, issuer, validity, subject, key, odd: Vec::new(), extensions: extensions.collect() }
    }

    fn tbs(&self) -> Vec<u8> {
        let written = self.extensions.iter().map(|one| {
            let critical: &[u8] = if one.critical { &[1, 1, 0xff] } else { &[] };
            asn1::seq(&[&one.oid, critical, &tlv(4, &one.value)])
        });
        let extensions = tlv(0xa3, &sequence(&written.collect::<Vec<_>>()));
        let fields = [&self.version, &self.serial, &self.algorithm, &self.issuer, &self.validity, &self.subject, &self.key, &self.odd, &extensions];
        asn1::seq(&fields.map(Vec::as_slice))
    }

    fn find(&mut self, id: &str) -> Option<&mut Extension> {
        self.extensions.iter_mut().find(|one| one.oid == oid(id))
    }

    fn has(&self, id: &str) -> bool {
        self.extensions.iter().any(|one| one.oid == oid(id))
    }

    fn drop(&mut self, id: &str) {
        self.extensions.retain(|one| one.oid != oid(id));
    }

    /// Another value where the extension is there.
    fn value(&mut self, id: &str, value: &[u8]) {
        if let Some(one) = self.find(id) {
            one.value = value.to_vec();
        }
    }

    /// Octets inside an extension's value replaced by as many others.
    fn swap(&mut self, id: &str, from: &[u8], to: &[u8]) {
        if let Some(one) = self.find(id) {
            one.value = swapped(&one.value, from, to);
        }
    }

    /// The list that is the value, with its elements changed.
    fn list(&mut self, id: &str, change: fn(&mut Vec<Vec<u8>>)) {
        if let Some(one) = self.find(id) {
            let mut elements = level(inside(&one.value));
            change(&mut elements);
            one.value = sequence(&elements);
        }
    }

    fn name(&mut self, change: fn(&mut Vec<Vec<u8>>)) {
        let mut parts = level(inside(&self.subject));
        change(&mut parts);
        self.subject = sequence(&parts);
    }

    fn times(&mut self, change: fn(OffsetDateTime, OffsetDateTime) -> (Vec<u8>, Vec<u8>)) {
        let mut reader = Reader::new(inside(&self.validity));
        let (from, until) = change(reader.time().unwrap(), reader.time().unwrap());
        self.validity = sequence(&[from, until]);
    }
}

fn swapped(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match bytes.windows(from.len()).position(|window| window == from) {
        Some(at) => [&bytes[..at], to, &bytes[at + from.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

const AKI: &str = "2.5.29.35";
const SKI: &str = "2.5.29.14";
const USAGE: &str = "2.5.29.15";
const BASIC: &str = "2.5.29.19";
const EXTENDED: &str = "2.5.29.37";
const STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const KEY_PERIOD: &str = "2.5.29.16";
const POLICIES: &str = "2.5.29.32";
const NAMES: &str = "2.5.29.17";
const LISTS: &str = "2.5.29.31";
const ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
const CODE: &str = "1.2.156.10260.4.1.4";

fn two_digit(time: OffsetDateTime) -> Vec<u8> {
    let digits = String::from_utf8(inside(&asn1::generalized(time)).to_vec()).unwrap();
    tlv(0x17, &digits.as_bytes()[2..])
}

fn later(time: OffsetDateTime, days: i64) -> OffsetDateTime {
    time + time::Duration::days(days)
}

fn add(parts: &mut Parts, id: &str, critical: bool, value: &[u8]) {
    parts.extensions.push(Extension { oid: oid(id), critical, value: value.to_vec() });
}

type Mutation = (&'static str, fn(&mut Parts));

/// One thing wrong each.
const MUTATIONS: &[Mutation] = &[
    // The frame.
    ("version 1", |p| p.version.clear()),
    ("version 2", |p| p.version = vec![0xa0, 3, 2, 1, 1]),
    ("serial zero", |p| p.serial = vec![2, 1, 0]),
    ("serial negative", |p| p.serial[2] |= 0x80),
    ("serial of 21 octets", |p| p.serial = tlv(2, &[0x41; 21])),
    ("serial of 4 octets", |p| p.serial = tlv(2, &[0x41; 4])),
    ("serial with a needless zero", |p| p.serial = tlv(2, &[&[0][..], inside(&p.serial)].concat())),
    ("another algorithm inside", |p| p.algorithm = asn1::seq(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]])),
    ("a weak algorithm inside", |p| p.algorithm = asn1::seq(&[&oid("1.2.840.10045.4.1")])),
    ("an algorithm with NULL", |p| p.algorithm = tlv(0x30, &[inside(&p.algorithm), &[5, 0]].concat())),
    ("unique identifiers", |p| p.odd = tlv(0x82, &[0, 1])),
    ("an issuer's unique identifier", |p| p.odd = tlv(0x81, &[0, 1])),
    // Time.
    ("times reversed", |p| p.times(|from, until| (asn1::time(until), asn1::time(from)))),
    ("a day too long", |p| p.times(|from, until| (asn1::time(from), asn1::time(later(until, 1))))),
    ("a second too long", |p| p.times(|from, until| (asn1::time(from), asn1::time(until + time::Duration::SECOND)))),
    ("shorter than planned", |p| p.times(|from, until| (asn1::time(from), asn1::time(later(until, -1))))),
    ("begun a month before", |p| p.times(|from, until| (asn1::time(later(from, -30)), asn1::time(until)))),
    ("moved as a whole", |p| p.times(|from, until| (asn1::time(later(from, 3)), asn1::time(later(until, 3))))),
    ("longer than its issuer", |p| p.times(|from, until| (asn1::time(from), asn1::time(later(until, 9_000))))),
    ("GeneralizedTime before 2050", |p| p.times(|from, until| (asn1::generalized(from), asn1::time(until)))),
    ("UTCTime after 2049", |p| p.times(|from, until| (asn1::time(from), two_digit(later(until, 9_000))))),
    ("a time without seconds", |p| p.times(|from, until| (tlv(0x17, &[&inside(&asn1::time(from))[..10], b"Z"].concat()), asn1::time(until)))),
    ("a time with an offset", |p| p.times(|from, until| (tlv(0x17, &[&inside(&asn1::time(from))[..12], b"+0800"].concat()), asn1::time(until)))),
    // Names.
    ("another issuer", |p| p.issuer = swapped(&p.issuer, "州".as_bytes(), "西".as_bytes())),
    ("no issuer", |p| p.issuer = vec![0x30, 0]),
    ("no subject", |p| p.subject = vec![0x30, 0]),
    ("the subject in another order", |p| p.name(|parts| parts.swap(0, 1))),
    ("without its first attribute", |p| p.name(|parts| { parts.remove(0); })),
    ("without its last attribute", |p| p.name(|parts| { parts.pop(); })),
    ("without organizationIdentifier", |p| p.name(|parts| parts.retain(|one| !one.windows(3).any(|window| window == [0x55, 4, 97])))),
    ("an attribute twice", |p| p.name(|parts| parts.push(parts[1].clone()))),
    ("a unit nobody asked for", |p| p.name(|parts| parts.push(tlv(0x31, &asn1::seq(&[&oid("2.5.4.11"), &tlv(12, b"x")]))))),
    ("two attributes in one part", |p| p.name(|parts| {
        let joined = [inside(&parts[0]), inside(&parts[1])].concat();
        parts.splice(0..2, [tlv(0x31, &joined)]);
    })),
    ("the country in small letters", |p| p.subject = swapped(&p.subject, b"CN", b"cn")),
    ("the country as UTF8String", |p| p.subject = swapped(&p.subject, &[0x13, 2, b'C', b'N'], &[0x0c, 2, b'C', b'N'])),
    ("another country", |p| p.subject = swapped(&p.subject, b"CN", b"US")),
    ("an officer's number as UTF8String", |p| p.subject = swapped(&p.subject, &[6, 3, 0x55, 4, 5, 0x13], &[6, 3, 0x55, 4, 5, 0x0c])),
    ("without the pseudonym", |p| p.name(|parts| parts.retain(|one| !one.windows(3).any(|window| window == [0x55, 4, 65])))),
    ("another's pseudonym", |p| p.subject = swapped(&p.subject, b"P-00000000-00000001", b"P-00000000-00000002")),
    ("a name beside the pseudonym", |p| if p.subject.windows(3).any(|window| window == [0x55, 4, 65]) { p.name(|parts| parts.push(tlv(0x31, &asn1::seq(&[&oid("2.5.4.4"), &tlv(12, "张".as_bytes())])))) }),
    ("another organizationIdentifier", |p| p.subject = swapped(&p.subject, b"018G", b"0157")),
    // The key.
    ("another key", |p| { let end = p.key.len() - 1; p.key[end] ^= 1; }),
    ("a key on no curve of ours", |p| p.key = swapped(&p.key, &oid("1.2.840.10045.3.1.7"), &oid("1.2.840.10045.3.1.1"))),
    ("a compressed point", |p| p.key = swapped(&p.key, &[0, 4], &[0, 2])),
    // Extensions as a whole.
    ("no extensions but one", |p| p.extensions.truncate(1)),
    ("an extension twice", |p| p.extensions.push(p.extensions[0].clone())),
    ("key usage twice", |p| { let usage = p.find(USAGE).unwrap().clone(); p.extensions.push(usage); }),
    ("an unknown critical extension", |p| add(p, "1.3.6.1.4.1.32473.99", true, &[5, 0])),
    ("an unknown extension", |p| add(p, "1.3.6.1.4.1.32473.99", false, &[5, 0])),
    ("name constraints", |p| add(p, "2.5.29.30", true, &[0x30, 0])),
    ("octets after a value", |p| p.find(USAGE).unwrap().value.extend([5, 0])),
    ("an empty value", |p| p.find(USAGE).unwrap().value.clear()),
    ("a length that is BER", |p| {
        let one = p.find(SKI).unwrap();
        one.value = [&[4, 0x81, 20][..], inside(&one.value)].concat();
    }),
    ("an indefinite length", |p| {
        let one = p.find(EXTENDED).or(None);
        if let Some(one) = one {
            one.value = [&[0x30, 0x80][..], inside(&one.value), &[0, 0]].concat();
        }
    }),
    // Key identifiers.
    ("no authority key", |p| p.drop(AKI)),
    ("another authority key", |p| p.value(AKI, &asn1::seq(&[&tlv(0x80, &[7; 20])]))),
    ("an authority key with a serial", |p| {
        if let Some(one) = p.find(AKI) {
            one.value = tlv(0x30, &[inside(&one.value), &[0x82, 1, 7]].concat());
        }
    }),
    ("a critical authority key", |p| p.find(AKI).into_iter().for_each(|one| one.critical = true)),
    ("no subject key", |p| p.drop(SKI)),
    ("another subject key", |p| p.value(SKI, &tlv(4, &[7; 20]))),
    // Usage.
    ("no key usage", |p| p.drop(USAGE)),
    ("key usage not critical", |p| p.find(USAGE).unwrap().critical = false),
    ("keyCertSign for all", |p| p.value(USAGE, if p.has(BASIC) { &[3, 2, 7, 0x80] } else { &[3, 2, 2, 4] })),
    ("cRLSign besides", |p| { let one = p.find(USAGE).unwrap(); one.value = if one.value[3] & 2 == 0 { vec![3, 2, 1, one.value[3] | 2] } else { vec![3, 2, 1, 2] }; }),
    ("keyEncipherment besides", |p| { let one = p.find(USAGE).unwrap(); one.value = vec![3, 2, one.value[2].min(5), one.value[3] | 0x20]; }),
    ("no usage at all", |p| p.value(USAGE, &[3, 1, 0])),
    ("key usage with zero bits after", |p| { let one = p.find(USAGE).unwrap(); one.value[2] = 0; }),
    ("key usage with bits unused but set", |p| { let one = p.find(USAGE).unwrap(); one.value[3] |= 1; }),
    ("CA:TRUE", |p| { p.drop(BASIC); add(p, BASIC, true, &[0x30, 3, 1, 1, 0xff]); }),
    ("CA:FALSE", |p| { p.drop(BASIC); add(p, BASIC, true, &[0x30, 0]); }),
    ("CA:FALSE written out", |p| { p.drop(BASIC); add(p, BASIC, true, &[0x30, 3, 1, 1, 0]); }),
    ("a longer path", |p| { p.drop(BASIC); add(p, BASIC, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 9]); }),
    ("basic constraints not critical", |p| p.find(BASIC).into_iter().for_each(|one| one.critical = false)),
    ("no basic constraints", |p| p.drop(BASIC)),
    ("for anything", |p| { p.drop(EXTENDED); add(p, EXTENDED, false, &asn1::seq(&[&oid("2.5.29.37.0")])); }),
    ("for anything besides", |p| p.list(EXTENDED, |all| all.push(oid("2.5.29.37.0")))),
    ("codeSigning besides", |p| p.list(EXTENDED, |all| all.push(oid("1.3.6.1.5.5.7.3.3")))),
    ("OCSPSigning", |p| { p.drop(EXTENDED); add(p, EXTENDED, false, &asn1::seq(&[&oid("1.3.6.1.5.5.7.3.9"), &oid("1.3.6.1.5.5.7.3.1")])); }),
    ("an extended usage twice", |p| p.list(EXTENDED, |all| all.push(all[0].clone()))),
    ("extended usage critical or not", |p| p.find(EXTENDED).into_iter().filter(|one| one.critical).for_each(|one| one.critical = false)),
    ("timeStamping besides", |p| p.list(EXTENDED, |all| all.push(oid(if all.len() == 1 && all[0] == oid(STAMPING) { "1.3.6.1.5.5.7.3.2" } else { STAMPING })))),
    ("no end of the key", |p| p.drop(KEY_PERIOD)),
    ("a key's end where none is planned", |p| { p.drop(KEY_PERIOD); add(p, KEY_PERIOD, false, &asn1::seq(&[&tlv(0x80, b"20260101000000Z"), &tlv(0x81, b"20270101000000Z")])); }),
    ("a key's end without a beginning", |p| if let Some(one) = p.find(KEY_PERIOD) { one.value = sequence(&level(inside(&one.value))[1..]); }),
    ("a key's end in another form", |p| p.swap(KEY_PERIOD, b"Z", b"z")),
    ("a critical key's end", |p| p.find(KEY_PERIOD).into_iter().for_each(|one| one.critical = true)),
    ("no extended usage", |p| p.drop(EXTENDED)),
    ("an empty extended usage", |p| p.value(EXTENDED, &[0x30, 0])),
    ("no id-pkix-ocsp-nocheck", |p| p.drop(NO_CHECK)),
    ("id-pkix-ocsp-nocheck for all", |p| { p.drop(NO_CHECK); add(p, NO_CHECK, false, &[4, 0]); }),
    // Policies.
    ("no policies", |p| p.drop(POLICIES)),
    ("a policy twice", |p| p.list(POLICIES, |all| all.push(all[0].clone()))),
    ("a policy too many", |p| p.list(POLICIES, |all| all.push(asn1::seq(&[&oid("1.3.6.1.4.1.32473.77")])))),
    ("another practice statement", |p| p.swap(POLICIES, b"/cps", b"/xps")),
    ("no practice statement", |p| p.list(POLICIES, |all| all[0] = sequence(&level(inside(&all[0]))[..1]))),
    // Addresses.
    ("no addresses of status and issuer", |p| p.drop(ACCESS)),
    ("no address of status", |p| p.list(ACCESS, |all| all.retain(|one| !one.windows(4).any(|window| window == b"ocsp")))),
    ("no address of the issuer", |p| p.list(ACCESS, |all| if all.len() > 1 { all.pop(); })),
    ("another authority's issuer address", |p| p.swap(ACCESS, b"/issuer/", b"/issues/")),
    ("another host's status", |p| p.swap(ACCESS, b"127.0.0.1", b"127.0.0.2")),
    ("an address by https", |p| p.swap(ACCESS, b"http://1", b"https://")),
    ("no address of the list", |p| p.drop(LISTS)),
    ("another list", |p| p.swap(LISTS, b".crl", b".crx")),
    ("a list that is a part", |p| p.list(LISTS, |all| all[0] = tlv(0x30, &[inside(&all[0]), &[0x81, 2, 6, 0x40]].concat()))),
    ("two points", |p| p.list(LISTS, |all| all.push(all[0].clone()))),
    // Alternative names.
    ("no alternative names", |p| p.drop(NAMES)),
    ("empty alternative names", |p| { p.drop(NAMES); add(p, NAMES, false, &[0x30, 0]); }),
    ("a name of another kind", |p| { p.drop(NAMES); add(p, NAMES, false, &asn1::seq(&[&tlv(0x86, b"http://x.example")])); }),
    ("a directory name", |p| { p.drop(NAMES); add(p, NAMES, false, &asn1::seq(&[&tlv(0xa4, &[0x30, 0])])); }),
    ("somebody else's mailbox", |p| p.swap(NAMES, b"1234567890@", b"1234567891@")),
    ("somebody else's host", |p| p.swap(NAMES, b"mail.example.cn", b"bank.example.cn")),
    ("another address of the host", |p| p.swap(NAMES, &[0x87, 4, 127], &[0x87, 4, 126])),
    ("a host besides", |p| p.list(NAMES, |all| all.push(tlv(0x82, b"bank.example.cn")))),
    ("a critical alternative name", |p| p.find(NAMES).into_iter().for_each(|one| one.critical = true)),
    // The national extension.
    ("no credit code", |p| p.drop(CODE)),
    ("another credit code", |p| p.swap(CODE, b"018G", b"0157")),
    ("the credit code as UTF8String", |p| p.find(CODE).into_iter().for_each(|one| one.value[0] = 0x0c)),
    ("a critical credit code", |p| p.find(CODE).into_iter().for_each(|one| one.critical = true)),
];

fn organization(mailbox: bool) -> Words {
    let mailbox = mailbox.then(|| "1234567890@mail.example.cn".to_owned());
    Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), mailbox, ..Words::default() }
}

fn host() -> Words {
    Words { dns: vec!["mail.example.cn".into()], ip: vec!["127.0.0.1".parse().unwrap()], ..Words::default() }
}

fn own() -> Words {
    Words { authority: Some("穗印测试机构".into()), ..Words::default() }
}

/// Every profile: its name, its issuer and who asks.
fn profiles() -> [(&'static str, &'static str, Words); 13] {
    [
        ("root", "", own()),
        ("issuing", "root", own()),
        ("ocsp", "tls-ca", own()),
        ("timestamp", "officer-ca", own()),
        ("enterprise-signing", "enterprise-ca", organization(true)),
        ("enterprise-signing", "enterprise-ca", organization(false)),
        ("bureau-seal", "officer-ca", organization(true)),
        ("bureau-client", "officer-ca", organization(false)),
        ("delivery-evidence", "officer-ca", organization(false)),
        ("officer", "officer-ca", Words { officer: Some("陈一".into()), number: Some("GZ-0001".into()), ..Words::default() }),
        ("tls-server", "tls-ca", host()),
        ("registrar", "officer-ca", Words { dns: vec!["mail.example.cn".into()], ..Words::default() }),
        ("citizen", "citizen-ca", Words { pseudonym: Some("P-00000000-00000001".into()), mailbox: Some("1234567890@mail.example.cn".into()), ..Words::default() }),
    ]
}

fn judged<'a>(opened: &'a Opened, profile: &str, issuer: &str, words: &Words) -> (Vec<u8>, SignatureAlgorithm, Option<&'a Issuer>, ProfileFacts) {
    let authority = &opened.authority;
    let issuer = authority.issuers.get(issuer).map(AsRef::as_ref);
    let root = &authority.issuers["root"];
    let (key, spki) = match profile {
        "root" => (KeyAlgorithm::P384, root.public_key_info.clone()),
        _ => (KeyAlgorithm::P256, authority.issuers["tls-ca"].public_key_info.clone()),
    };
    let facts = RequestFacts { key, subject: &[], alternative_names: &[], asks_for_ca: false };
    let signed_by = issuer.map(|issuer| issuer.facts().unwrap());
    // An hour on, so that what is backdated still begins within its issuer's time.
    let now = OffsetDateTime::now_utc() + time::Duration::HOUR;
    let now = if profile == "issuing" { root.not_before } else { now };
    let decided = authority.policies.profile(profile).unwrap().decide(&words.parse().unwrap(), &facts, signed_by.as_ref(), now).unwrap();
    let mut plan = certificate_plan(&decided, issuer, &authority.addresses, spki).unwrap();
    plan.serial = [0x41; 16];
    let algorithm = issuer.map_or(SignatureAlgorithm::EcdsaP384Sha384, |issuer| issuer.algorithm().unwrap());
    (tbs_der(&plan, algorithm).unwrap(), algorithm, issuer, expected(&decided, &plan))
}

#[test]
fn every_mutation_of_every_profile_is_found() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(place.path());
    let mut applied: BTreeMap<&str, usize> = BTreeMap::new();
    let mut passed = Vec::new();
    let covered: BTreeSet<&str> = profiles().iter().map(|(profile, ..)| *profile).collect();
    assert_eq!(covered, opened.authority.policies.profiles().map(|profile| profile.name()).collect(), "a profile is not mutated");
    for (profile, issuer, words) in profiles() {
        let (tbs, algorithm, issuer, facts) = judged(&opened, profile, issuer, &words);
        let found = |tbs: &[u8]| {
            let twin = assemble(tbs, algorithm, &[0x30, 6, 2, 1, 1, 2, 1, 1]);
            lint_certificate(&twin, issuer.and_then(|issuer| issuer.linted.as_ref()), &facts)
        };
        assert_eq!(found(&tbs), [], "{profile}");
        assert_eq!(Parts::of(&tbs).tbs(), tbs, "{profile}");
        for (name, mutate) in MUTATIONS {
            let mut parts = Parts::of(&tbs);
            mutate(&mut parts);
            let mutated = parts.tbs();
            if mutated == tbs {
                continue;
            }
            *applied.entry(name).or_default() += 1;
            if !found(&mutated).iter().any(|finding| finding.severity == Severity::Error) {
                passed.push((profile, name));
            }
        }
    }
    assert!(passed.is_empty(), "no lint found: {passed:?}");
    let never: Vec<_> = MUTATIONS.iter().filter(|(name, _)| !applied.contains_key(name)).map(|(name, _)| name).collect();
    assert!(never.is_empty(), "these changed nothing: {never:?}");
    assert_eq!(applied.len(), MUTATIONS.len(), "a name stands twice");
}

fn request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(&key).unwrap().der().to_vec()
}

fn order(profile: &str, applicant: Words) -> Order {
    Order { profile: profile.into(), request: request(), applicant, issuer: None }
}

/// How long the log is. An intent, the step before a signature, stands in it.
fn logged(opened: &Opened) -> u64 {
    opened.authority.store.stream_length(log::STREAM).unwrap()
}

#[test]
fn an_authority_that_is_damaged_stops_before_the_intent() {
    let place = tempfile::tempdir().unwrap();
    let mut opened = founded(place.path());
    let before = logged(&opened);
    let settings = |base_url: &str| Addresses::new(&Settings { base_url: base_url.into(), ..opened.authority.settings.clone() });
    let (good, wrong) = (opened.authority.addresses.clone(), settings("https://127.0.0.1:8440"));
    let refused = |opened: &Opened, rule: &str| match issue(&opened.authority, Authorised::by_ownership(0), order("enterprise-signing", organization(true))) {
        Err(IssueError::Lint { findings }) => assert!(findings.iter().any(|one| one.starts_with(rule)), "{rule}: {findings:?}"),
        Err(other) => panic!("{rule}: {other}"),
        Ok(_) => panic!("{rule}: signed"),
    };
    opened.authority.addresses = wrong;
    refused(&opened, "addresses-are-http");
    opened.authority.addresses = good;
    let whole = opened.authority.issuers["enterprise-ca"].clone();
    let damages: [(&str, fn(&mut Issuer)); 2] = [
        ("issuer-is-issuers-subject", |issuer| issuer.name = vec![0x30, 0]),
        ("key-identifiers", |issuer| issuer.key_id = vec![7; 20]),
    ];
    for (rule, damage) in damages {
        let mut issuer = (*whole).clone();
        damage(&mut issuer);
        opened.authority.issuers.insert("enterprise-ca".into(), Arc::new(issuer));
        refused(&opened, rule);
    }
    assert_eq!(logged(&opened), before, "something was recorded");
}

#[test]
fn a_policy_document_that_is_wrong_signs_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut opened = founded(place.path());
    let before = logged(&opened);
    let changes = [
        ("key_usage = [\"digitalSignature\", \"nonRepudiation\"]", "key_usage = [\"keyCertSign\"]"),
        ("key_usage = [\"digitalSignature\", \"nonRepudiation\"]", "key_usage = []"),
        ("key_usage = [\"digitalSignature\", \"nonRepudiation\"]", "key_usage = [\"digitalSignature\", \"cRLSign\"]"),
        ("key_usage = [\"digitalSignature\", \"nonRepudiation\"]", "key_usage = [\"digitalSignature\"]\nbasic_constraints = { ca = true, path_length = 0 }"),
        ("extended_key_usage = [\"clientAuth\"]", "extended_key_usage = [\"any\"]"),
        ("extended_key_usage = [\"clientAuth\"]", "extended_key_usage = [\"OCSPSigning\"]"),
        ("days = 730", "days = 73000"),
        ("\".1.1\", ", "\".1.1\", \".1.1\", "),
        ("{ attribute = \"country\", fixed = \"CN\" }", "{ attribute = \"country\", fixed = \"cn\" }"),
        ("{ attribute = \"organization-identifier\", from = \"credit-code\" },", ""),
        ("backdate_minutes = 5", "backdate_minutes = 500000"),
    ];
    for (from, to) in changes {
        let documents = SHIPPED.map(|(file, text)| (file, if file == "enterprise-signing.toml" { text.replacen(from, to, 1) } else { text.to_owned() }));
        assert!(documents.iter().zip(SHIPPED).any(|((_, text), (_, shipped))| text != shipped), "{from}");
        // Either it is not read at all, or the line stops.
        let Ok(policies) = Policies::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))) else { continue };
        opened.authority.policies = policies;
        let issued = issue(&opened.authority, Authorised::by_ownership(0), order("enterprise-signing", organization(true)));
        assert!(matches!(issued, Err(IssueError::Lint { .. } | IssueError::Refused(_))), "{to} was signed");
    }
    assert_eq!(logged(&opened), before, "something was recorded");
}
