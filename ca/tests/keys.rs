//! Keys that are never certified: another's, reported ones, listed ones, and weak ones of the authority's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use ca::flow::Authorised;
use ca::flow::block::{KeyDigest, block};
use ca::flow::issue::{Order, issue};
use ca::flow::order::{Applied, place as place_order, place_online};
use ca::flow::plan::Words;
use ca::flow::possession::{About, prove, revoke_by_possession};
use ca::flow::replace::{Correct, Replace, correct, replace};
use ca::init::{InitError, Opened, init, open};
use ca::problem::IssueError;
use ca::record::{OrderState, Reason, Status, log, serial_text};
use ca::register;
use keys::Passphrase;
use rcgen::PublicKeyData;
use runtime::clock::{Clock, SystemClock};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(directory: &Path) -> Opened {
    init(directory, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap()
}

fn admin() -> Authorised<ca::flow::Operator> {
    Authorised::by_ownership(0)
}

fn request(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate().unwrap()
}

fn enterprise(key: &rcgen::KeyPair, name: &str, code: &str) -> Order {
    let applicant = Words { name: Some(name.into()), code: Some(code.into()), ..Words::default() };
    Order { profile: "enterprise-signing".into(), request: request(key), applicant, issuer: None }
}

fn first(key: &rcgen::KeyPair) -> Order {
    enterprise(key, "广州天河测试有限公司", "91440101MAT000018G")
}

fn second(key: &rcgen::KeyPair) -> Order {
    enterprise(key, "广州越秀样例有限公司", OTHER)
}

fn officer(key: &rcgen::KeyPair, name: &str, number: &str) -> Order {
    let applicant = Words { officer: Some(name.into()), number: Some(number.into()), ..Words::default() };
    Order { profile: "officer".into(), request: request(key), applicant, issuer: None }
}

const OTHER: &str = "91440101MAT000026B";

#[test]
fn a_key_stays_with_whom_it_was_certified_for_first() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let ours = key();
    issue(authority, admin(), first(&ours)).unwrap();
    let before = opened.authority.store.stream_length(ca::record::log::STREAM).unwrap();
    assert!(matches!(issue(authority, admin(), second(&ours)), Err(IssueError::KeyOfAnother)));
    assert!(matches!(issue(authority, admin(), officer(&ours, "李四", "A0001")), Err(IssueError::KeyOfAnother)));
    assert_eq!(opened.authority.store.stream_length(ca::record::log::STREAM).unwrap(), before, "a refusal changes nothing");
    // Renewal, and a new registered name, with the same key.
    issue(authority, admin(), first(&ours)).unwrap();
    issue(authority, admin(), enterprise(&ours, "广州天河新名有限公司", "91440101MAT000018G")).unwrap();
    // Without a code the whole subject counts.
    let theirs = key();
    issue(authority, admin(), officer(&theirs, "张三", "A0002")).unwrap();
    issue(authority, admin(), officer(&theirs, "张三", "A0002")).unwrap();
    assert!(matches!(issue(authority, admin(), officer(&theirs, "张三", "A0003")), Err(IssueError::KeyOfAnother)));
    // The authority's own keys are nobody else's.
    let own = authority.issuers["enterprise-ca"].public_key_info.clone();
    let digest = ring::digest::digest(&ring::digest::SHA256, &own);
    assert!(authority.store.get(&ca::record::KeyOwner::key(digest.as_ref())).unwrap().is_some());
}

#[test]
fn of_two_who_claim_a_key_at_once_one_gets_it() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    for _ in 0..12 {
        let shared = key();
        let orders = [first(&shared), second(&shared), first(&shared), second(&shared)];
        let barrier = std::sync::Barrier::new(orders.len());
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = orders.into_iter().map(|order| {
                let (authority, barrier) = (&opened.authority, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    issue(authority, admin(), order).map(|issued| issued.what().record.code.clone())
                })
            }).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut owners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        // The same owner's two orders both pass; the other's two are both refused, for that reason.
        assert_eq!(owners.len(), 2);
        owners.dedup();
        assert_eq!(owners.len(), 1);
        assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| matches!(error, IssueError::KeyOfAnother)));
    }
}

#[test]
fn a_reported_key_falls_with_all_its_certificates_and_is_never_certified() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let (held, unseen) = (key(), key());
    let issued = issue(&opened.authority, admin(), first(&held)).unwrap();
    let digest = KeyDigest::of(&held.subject_public_key_info());
    let blocked = block(&opened.authority, &admin(), digest.to_string().to_uppercase().parse().unwrap()).unwrap();
    assert!(!blocked.before);
    let [(serial, record)] = &blocked.revoked[..] else { panic!("{}", blocked.revoked.len()) };
    assert_eq!(serial, &issued.what().serial);
    assert!(matches!(record.status, Status::Revoked(revocation) if revocation.reason == Reason::KeyCompromise));
    let again = block(&opened.authority, &admin(), digest).unwrap();
    assert!(again.before && again.revoked.is_empty());
    assert!(block(&opened.authority, &admin(), KeyDigest::of(&unseen.subject_public_key_info())).unwrap().revoked.is_empty());
    opened.evidence.advance().unwrap();
    drop(opened);
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    for key in [&held, &unseen] {
        assert!(matches!(issue(&opened.authority, admin(), first(key)), Err(IssueError::BlockedKey)));
    }
    for wrong in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
        assert!(wrong.parse::<KeyDigest>().is_err(), "{wrong}");
    }
}

/// Said with the key itself, over the network.
fn reported(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "compromised key");
    parameters.serialize_request(key).unwrap().der().to_vec()
}

#[test]
fn a_key_that_its_holder_reports_is_blocked_though_nobody_certified_it() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let opened = founded(&home);
    let (unseen, held) = (key(), key());
    issue(&opened.authority, admin(), first(&held)).unwrap();
    let length = || opened.authority.store.stream_length(log::STREAM).unwrap();
    let before = length();
    assert_eq!(prove(&opened.authority, &reported(&unseen)).unwrap().about, About::NewKey);
    assert_eq!(length(), before);
    assert!(revoke_by_possession(&opened.authority, &reported(&unseen)).unwrap().certificates.is_empty());
    // One entry, by the key itself; said again, nothing changes.
    assert_eq!(prove(&opened.authority, &reported(&unseen)).unwrap().about, About::BlockedKey);
    revoke_by_possession(&opened.authority, &reported(&unseen)).unwrap();
    let entries = opened.authority.store.read_stream(log::STREAM, before, 10).unwrap();
    let digest = KeyDigest::of(&unseen.subject_public_key_info()).to_string();
    assert!(entries.len() == 1 && entries[0][1] == 40 && String::from_utf8_lossy(&entries[0]).contains(&format!("\"by\":\"key:{digest}\"")), "{entries:?}");
    // For enterprises and for officers, and after a restart.
    opened.evidence.advance().unwrap();
    drop(opened);
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    for order in [first(&unseen), officer(&unseen, "张三", "A0002")] {
        assert!(matches!(issue(&opened.authority, Authorised::service(), order), Err(IssueError::BlockedKey)));
    }
    assert_eq!(prove(&opened.authority, &reported(&held)).unwrap().about, About::Certificates);
}

#[test]
fn a_key_certified_at_the_moment_of_its_report_falls() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let held = key();
    // It is certified between the look and the block.
    let (order, theirs) = (first(&held), opened.authority.over(Arc::clone(&opened.authority.store)));
    let between = store::Between::before_commit(Arc::clone(&opened.authority.store), 0, move || drop(issue(&theirs, admin(), order).unwrap()));
    let done = revoke_by_possession(&opened.authority.over(Arc::new(between)), &reported(&held)).unwrap();
    let [(_, record)] = &done.certificates[..] else { panic!("{}", done.certificates.len()) };
    assert!(matches!(record.status, Status::Revoked(revocation) if revocation.reason == Reason::KeyCompromise));
}

#[test]
fn lists_are_read_at_start_and_their_keys_refused() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    drop(founded(&home));
    let lists = home.join("blocked-keys");
    std::fs::create_dir(&lists).unwrap();
    let listed = key();
    std::fs::write(lists.join("known.txt"), format!("# found on the web\n{}\n", KeyDigest::of(&listed.subject_public_key_info()))).unwrap();
    std::fs::write(lists.join("README"), "not a list").unwrap();
    let length = |opened: &Opened| opened.authority.store.stream_length(ca::record::log::STREAM).unwrap();
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    assert!(matches!(issue(&opened.authority, admin(), first(&listed)), Err(IssueError::ListedKey)));
    issue(&opened.authority, admin(), first(&key())).unwrap();
    let logged = length(&opened);
    opened.evidence.advance().unwrap();
    drop(opened);
    // The same lists are logged once.
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    assert_eq!(length(&opened), logged);
    drop(opened);
    std::fs::write(lists.join("wrong.txt"), "abc").unwrap();
    assert!(matches!(open(&home, None, &passphrase(), Arc::new(SystemClock)), Err(InitError::KeyLists(_))));
}

/// A request signed with the private key 7, which OpenSSL makes without a word.
fn of_a_small_scalar() -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let mut key = vec![0x30, 0x31, 2, 1, 1, 4, 32];
    key.extend_from_slice(&[0; 31]);
    key.extend_from_slice(&[7, 0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    std::fs::write(place.path().join("key"), key).unwrap();
    let made = std::process::Command::new("openssl").args("req -new -key key -keyform DER -subj /C=CN -outform DER".split(' ')).current_dir(place.path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

/// By every door that takes a request: at the counter, as an order of both channels, in the place of a certificate.
#[test]
fn a_refused_key_gets_nothing_by_any_door() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let old = serial_text(&issue(authority, admin(), first(&key())).unwrap().what().serial);
    let reported_key = key();
    revoke_by_possession(authority, &reported(&reported_key)).unwrap();
    let certificates = || register::list(&*authority.store, &register::Query::default(), SystemClock.now().unix_timestamp()).unwrap().len();
    let before = certificates();
    for (request, code) in [(of_a_small_scalar(), "weak-key"), (request(&reported_key), "blocked-key")] {
        let told = |problem: runtime::exit::Problem| assert_eq!(problem.code, code, "{problem:?}");
        let enterprise = first(&key()).applicant;
        told(issue(authority, admin(), Order { request: request.clone(), ..first(&key()) }).map(drop).unwrap_err().into());
        told(issue(authority, Authorised::service(), Order { request: request.clone(), ..officer(&key(), "张三", "A0002") }).map(drop).unwrap_err().into());
        let applied = |named: &str| Applied { profile: "enterprise-signing".into(), request: request.clone(), applicant: enterprise.clone(), issuer: None, evidence: Vec::new(), key: named.into() };
        for placed in [place_order(authority, &admin(), applied(&format!("{code}-1"))), place_online(authority, applied(&format!("{code}-2")))] {
            // A weak key is no request; a blocked one is refused with the reason, which the applicant reads.
            match placed {
                Ok(placed) => assert!(matches!(&placed.order.state, OrderState::Refused(ground) if ground.code == code), "{:?}", placed.order.state),
                Err(error) => told(error.into()),
            }
        }
        told(replace(authority, &admin(), &Replace { serial: old.clone(), request: request.clone(), compromised: false, overlap_days: None }).map(drop).unwrap_err().into());
        told(correct(authority, &admin(), &Correct { serial: old.clone(), request: request.clone(), name: Some("广州改名有限公司".into()), mailbox: None, reason: Reason::Superseded, overlap_days: None }).map(drop).unwrap_err().into());
    }
    assert_eq!(certificates(), before);
}

/// Officers and the authority's own certificates take the same line: a weak key is refused whoever asks.
#[test]
fn weak_keys_are_refused_whoever_asks() {
    let place = tempfile::tempdir().unwrap();
    let opened = founded(&place.path().join("ca"));
    let script = "openssl req -new -newkey rsa:1024 -nodes -keyout /dev/null -subj /C=CN -outform DER";
    let made = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    let weak = |profile: &str, applicant| Order { profile: profile.into(), request: made.stdout.clone(), applicant, issuer: None };
    let authority = |name: &str| Words { authority: Some(name.into()), ..Words::default() };
    for (profile, applicant) in [
        ("enterprise-signing", first(&key()).applicant),
        ("officer", officer(&key(), "张三", "A0002").applicant),
        ("issuing", authority("穗印企业证书签发机构")),
        ("ocsp", authority("OCSP")),
        ("root", authority("穗印根证书机构")),
    ] {
        let refused = issue(&opened.authority, Authorised::service(), weak(profile, applicant));
        assert!(matches!(refused, Err(IssueError::Request(pki::request::RequestError::WeakKey(_)))), "{profile}");
    }
}
