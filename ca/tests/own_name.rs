//! The tag of an own name beside every certificate, and who is told by what it is recognised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use ca::flow::issue::{Order, issue};
use ca::flow::own_name::{new_own_name, own_name, own_name_by_possession};
use ca::flow::plan::Words;
use ca::flow::{Authorised, hold::suspend};
use ca::init::{Opened, init, open};
use ca::own_name::{Asker, Secret};
use ca::problem::IssueError;
use ca::record::{log, serial_text};
use keys::Passphrase;
use merkle::{Kind, Leaf, Tile};
use runtime::clock::SystemClock;
use serde_json::Value;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded() -> (tempfile::TempDir, Opened) {
    let place = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    (place, opened)
}

fn request(key: &rcgen::KeyPair, name: Option<(String, &str)>) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if let Some((name, organisation)) = name {
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, organisation);
    }
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn issued(opened: &Opened, key: &rcgen::KeyPair, code: &str) -> Vec<u8> {
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some(code.into()), ..Words::default() };
    let order = Order { profile: "enterprise-signing".into(), request: request(key, None), applicant, issuer: None };
    issue(&opened.authority, Authorised::by_ownership(0), order).unwrap().what().serial.clone()
}

/// Every entry, as anybody may read it.
fn entries(opened: &Opened) -> Vec<(u8, Value, String)> {
    let leaves = opened.authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    let read = leaves.iter().map(|bytes| Leaf::parse(bytes).unwrap());
    read.map(|leaf| (leaf.kind(), serde_json::from_str(leaf.payload()).unwrap(), leaf.payload().to_owned())).collect()
}

fn told(opened: &Opened, key: &rcgen::KeyPair, serial: &[u8]) -> Result<Secret, IssueError> {
    let asker = Asker::new().unwrap();
    let asked = request(key, Some((format!("own name {}", serial_text(serial)), &asker.text())));
    let sealed = own_name_by_possession(&opened.authority, &asked)?;
    assert_eq!(sealed.serial, serial_text(serial));
    Ok(asker.open(&sealed).expect("the answer is to this question").remove(0))
}

#[test]
fn every_certificate_has_a_tag_that_its_holder_alone_recognises() {
    let (place, opened) = founded();
    let keys: Vec<_> = (0..3).map(|_| rcgen::KeyPair::generate().unwrap()).collect();
    let mine = ["91440101MAT000018G"; 2].iter().zip(&keys).map(|(code, key)| issued(&opened, key, code)).collect::<Vec<_>>();
    let other = issued(&opened, &keys[2], "12440100000000123A");
    let log = entries(&opened);
    let pairs: Vec<_> = log.iter().enumerate().filter(|(_, (kind, ..))| *kind == 4).map(|(at, (_, issued, _))| (issued, &log[at + 1])).collect();
    assert_eq!(pairs.len(), 12);
    for (issued, (kind, named, _)) in &pairs {
        assert!(*kind == 70 && named["serial"] == issued["serial"] && named["issuer"] == issued["issuer"] && named["tag"].as_str().unwrap().len() == 64, "{issued} {named}");
    }
    // Nothing in the log is a name or a code, plain or by a digest that anybody could make.
    for (_, _, text) in &log {
        assert!(!text.contains("91440101MAT000018G") && !text.contains("12440100000000123A") && !text.contains('广'), "{text}");
    }
    let secret = told(&opened, &keys[0], &mine[0]).unwrap();
    assert_eq!(told(&opened, &keys[1], &mine[1]).unwrap(), secret);
    let found: Vec<_> = pairs.iter().filter(|(_, (_, named, _))| {
        let serial = ca::register::serial(named["serial"].as_str().unwrap()).unwrap();
        named["tag"] == secret.tag(&serial).as_str()
    }).map(|(issued, _)| issued["serial"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, mine.iter().map(|serial| serial_text(serial)).collect::<Vec<_>>());
    assert_ne!(told(&opened, &keys[2], &other).unwrap(), secret);
    // The counter tells the same; telling is in the log once for each certificate.
    let at_the_counter = own_name(&opened.authority, &Authorised::by_ownership(7), &mine[0]).unwrap();
    assert_eq!(at_the_counter, std::slice::from_ref(&secret));
    assert_eq!(told(&opened, &keys[0], &mine[0]).unwrap(), secret);
    assert_eq!(entries(&opened).iter().filter(|(kind, ..)| *kind == 71).count(), 3);
    drop(opened);
    let opened = open(&place.path().join("ca"), None, &passphrase(), Arc::new(SystemClock)).unwrap();
    assert_eq!(told(&opened, &keys[0], &mine[0]).unwrap(), secret);
}

/// The same request with the other signature that verifies: r and n - s, where s is what stands last in a request.
fn twin(request: &[u8]) -> Vec<u8> {
    // spec: fips186-5, SEC 2 section 2.4.2: the order of P-256
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&ORDER[2 * at..2 * at + 2], 16).unwrap()).collect();
    let (_, read) = <x509_parser::certification_request::X509CertificationRequest as x509_parser::prelude::FromDer<_>>::from_der(request).unwrap();
    let signature = read.signature_value.data.to_vec();
    let r_octets = usize::from(signature[3]);
    let (r, s) = (&signature[4..4 + r_octets], &signature[6 + r_octets..]);
    let (mut other, mut borrowed) = ([0_u8; 32], 0);
    let s = &s[s.len().saturating_sub(32)..];
    let s: Vec<u8> = std::iter::repeat_n(0, 32 - s.len()).chain(s.iter().copied()).collect();
    for at in (0..32).rev() {
        let difference = i32::from(order[at]) - i32::from(s[at]) - borrowed;
        borrowed = i32::from(difference < 0);
        other[at] = difference.rem_euclid(256) as u8;
    }
    let element = |tag: u8, content: &[u8]| {
        let length = match content.len() {
            short @ 0..128 => vec![short as u8],
            middle @ 128..256 => vec![0x81, middle as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        [&[tag][..], &length, content].concat()
    };
    let whole: Vec<u8> = other.iter().copied().skip_while(|octet| *octet == 0).collect();
    let whole = if whole[0] >= 128 { [&[0][..], &whole].concat() } else { whole };
    let signature = element(0x30, &[element(2, r), element(2, &whole)].concat());
    let algorithm = element(0x30, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    element(0x30, &[read.certification_request_info.raw.to_vec(), algorithm, element(3, &[&[0][..], &signature].concat())].concat())
}

#[test]
fn a_secret_that_leaked_is_changed_and_tags_from_then_on_are_of_the_new_one() {
    let (place, opened) = founded();
    let keys: Vec<_> = (0..3).map(|_| rcgen::KeyPair::generate().unwrap()).collect();
    let first = issued(&opened, &keys[0], "91440101MAT000018G");
    let leaked = told(&opened, &keys[0], &first).unwrap();
    let ask_anew = |opened: &Opened, asker: Asker, key: &rcgen::KeyPair| {
        let asked = request(key, Some((format!("new own name {}", serial_text(&first)), &asker.text())));
        own_name_by_possession(&opened.authority, &asked).map(|sealed| (asker.open(&sealed).unwrap(), asked))
    };
    assert!(matches!(ask_anew(&opened, Asker::new().unwrap(), &keys[1]), Err(IssueError::NotOfThisKey)));
    let (secrets, asked) = ask_anew(&opened, Asker::new().unwrap(), &keys[0]).unwrap();
    assert!(secrets.len() == 2 && secrets[0] != leaked && secrets[1] == leaked);
    // The same question sent again by whoever heard it changes nothing more.
    own_name_by_possession(&opened.authority, &asked).unwrap();
    let changes = |opened: &Opened| entries(opened).into_iter().filter(|(kind, ..)| *kind == 95).map(|(_, said, _)| said).collect::<Vec<_>>();
    // Nor does its twin, which anybody makes who knows no key: r and n - s.
    let twin = twin(&asked);
    assert_ne!(twin, asked);
    own_name_by_possession(&opened.authority, &twin).unwrap();
    assert_eq!(changes(&opened).len(), 1);
    assert_eq!(changes(&opened)[0]["tag"], leaked.change_tag(&first).as_str());
    assert_eq!((&changes(&opened)[0]["serial"], &changes(&opened)[0]["changes"]), (&Value::from(serial_text(&first)), &Value::from(1)));
    let second = issued(&opened, &keys[1], "91440101MAT000018G");
    let tag = |opened: &Opened, serial: &[u8]| entries(opened).into_iter().find(|(kind, said, _)| *kind == 70 && said["serial"] == serial_text(serial).as_str()).unwrap().1["tag"].as_str().unwrap().to_owned();
    assert_eq!((tag(&opened, &first), tag(&opened, &second)), (leaked.tag(&first), secrets[0].tag(&second)));
    assert_ne!(tag(&opened, &second), leaked.tag(&second));
    assert_eq!(told(&opened, &keys[1], &second).unwrap(), secrets[0]);
    // Others keep theirs; the counter changes it too, and a start keeps all.
    let other = issued(&opened, &keys[2], "12440100000000123A");
    assert_eq!(own_name(&opened.authority, &Authorised::by_ownership(7), &other).unwrap().len(), 1);
    let third = new_own_name(&opened.authority, &Authorised::by_ownership(7), &second).unwrap();
    assert_eq!((third.len(), &third[1..]), (3, &secrets[..]));
    drop(opened);
    let opened = open(&place.path().join("ca"), None, &passphrase(), Arc::new(SystemClock)).unwrap();
    assert_eq!(own_name(&opened.authority, &Authorised::by_ownership(7), &first).unwrap(), third);
    suspend(&opened.authority, &Authorised::by_ownership(0), &serial_text(&first)).unwrap();
    assert!(matches!(ask_anew(&opened, Asker::new().unwrap(), &keys[0]), Err(IssueError::NotGood { .. })));
    assert_eq!(changes(&opened).len(), 2);
    assert_eq!(changes(&opened)[1]["tag"], secrets[0].change_tag(&second).as_str());
}

#[test]
fn nobody_else_is_told() {
    let (_place, opened) = founded();
    let (mine, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let serial = issued(&opened, &mine, "91440101MAT000018G");
    assert!(matches!(told(&opened, &other, &serial), Err(IssueError::NotOfThisKey)));
    assert!(matches!(told(&opened, &mine, &[0x41; 16]), Err(IssueError::NotOfThisKey)));
    let asker = Asker::new().unwrap().text();
    let number = serial_text(&serial);
    let (asked, zero) = (format!("own name {number}"), "A".repeat(43));
    for (words, key) in [(asked.clone(), "AAAA"), (asked.clone(), &zero), (format!("{asked} x"), &asker), ("own name x".into(), &asker), (format!("revoke {number} superseded"), &asker), ("own name".into(), &asker)] {
        assert!(matches!(own_name_by_possession(&opened.authority, &request(&mine, Some((words.clone(), key)))), Err(IssueError::NotAsked)), "{words}");
    }
    assert!(matches!(own_name_by_possession(&opened.authority, &request(&mine, None)), Err(IssueError::NotAsked)));
    assert!(matches!(own_name_by_possession(&opened.authority, b"nonsense"), Err(IssueError::Request(_))));
    // A certificate that is not good: its key may be in other hands.
    suspend(&opened.authority, &Authorised::by_ownership(0), &serial_text(&serial)).unwrap();
    assert!(matches!(told(&opened, &mine, &serial), Err(IssueError::NotGood { .. })));
    assert!(matches!(own_name(&opened.authority, &Authorised::by_ownership(0), &serial), Err(IssueError::NotGood { .. })));
}

#[test]
fn another_key_for_tags_is_refused_at_the_next_start() {
    let (place, opened) = founded();
    drop(opened);
    let directory = place.path().join("ca");
    let start = || open(&directory, None, &passphrase(), Arc::new(SystemClock)).map(drop).map_err(|error| error.to_string());
    let key = directory.join("keys/own-name.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(start().unwrap_err().contains("tags of own names"));
    assert!(!key.exists());
    let store = keys::KeyStore::open(&directory.join("keys"), &passphrase()).unwrap();
    store.data_key("own-name").unwrap();
    assert!(start().unwrap_err().contains("tags of own names"));
    std::fs::write(&key, kept).unwrap();
    start().unwrap();
}

#[test]
fn tiles_are_served_as_far_as_the_head_is_signed() {
    let (_place, opened) = founded();
    let evidence = &opened.evidence;
    let signed = evidence.signed();
    let tile = |kind, index, width| evidence.tile(&Tile::new(kind, index, width).unwrap()).unwrap();
    let width = u16::try_from(signed).unwrap();
    let leaves = tile(Kind::Hashes(0), 0, width).unwrap();
    assert_eq!(leaves.len(), 32 * usize::from(width));
    assert_eq!(tile(Kind::Entries, 0, 1).unwrap(), tile(Kind::Entries, 0, width).unwrap()[..tile(Kind::Entries, 0, 1).unwrap().len()]);
    issued(&opened, &rcgen::KeyPair::generate().unwrap(), "91440101MAT000018G");
    for (kind, index, width) in [(Kind::Entries, 0, width + 1), (Kind::Hashes(0), 0, width + 1), (Kind::Hashes(1), 0, 1), (Kind::Hashes(7), u64::MAX, 256), (Kind::Entries, u64::MAX, 1)] {
        assert_eq!(tile(kind, index, width), None, "not yet signed");
    }
    evidence.advance().unwrap();
    assert_eq!(evidence.signed(), signed + 3);
    assert_eq!(tile(Kind::Hashes(0), 0, width + 3).unwrap()[..leaves.len()], leaves);
    // A narrower tile than there is now is still the one that an earlier head had.
    assert_eq!(tile(Kind::Hashes(0), 0, width).unwrap(), leaves);
    assert!(evidence.note().unwrap().contains(&format!("\n{}\n", signed + 3)));
}
