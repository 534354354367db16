//! A timestamp over each signature of evidence, by an authority under our root; while it is away evidence waits, and is good without.

use std::io::Cursor;

use mailgw::bureau::trust::Anchors;
use mailgw::erds;
use mailgw::flow::evidence::{self, EvidenceError, TimestampAuthority, Wanted, stamp, unstamped};
use pki::timestamp::{Moment, Terms, TimeStampRequest, TokenInfo, TokenPlan, granted};

use super::evidence::install;
use super::*;

/// What the authority does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Away,
    Stamps,
    /// Says the same token to every question.
    Parrot,
}

struct Authority<'a> {
    city: &'a City,
    key: keys::KeyHandle,
    plan: TokenPlan,
    mood: Mutex<(Mood, u8)>,
    last: Mutex<Vec<u8>>,
}

use std::sync::Mutex;

impl<'a> Authority<'a> {
    fn new(city: &'a City, below: &str) -> Self {
        let (key, der, issuer) = city.timestamp_authority(below);
        let plan = TokenPlan::new(&der, &[&issuer]).unwrap();
        Self { city, key, plan, mood: Mutex::new((Mood::Stamps, 1)), last: Mutex::default() }
    }

    fn becomes(&self, mood: Mood) {
        self.mood.lock().unwrap().0 = mood;
    }
}

impl TimestampAuthority for Authority<'_> {
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, String> {
        use runtime::clock::Clock as _;
        let mut mood = self.mood.lock().unwrap();
        match mood.0 {
            Mood::Away => return Err("connection refused".into()),
            Mood::Parrot => return Ok(self.last.lock().unwrap().clone()),
            Mood::Stamps => mood.1 += 1,
        }
        let request = TimeStampRequest::parse(&request).unwrap();
        let terms = Terms { policy: const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.7.1"), accuracy_ms: 1_000, ordering: true };
        let info = TokenInfo::new(&terms, &request, Moment { time: self.city.clock.now(), serial: [mood.1; 16] }).unwrap();
        let answer = granted(&self.plan.token(&info, &self.key).unwrap());
        self.last.lock().unwrap().clone_from(&answer);
        Ok(answer)
    }
}

fn export(city: &City, gateway: &Gateway, month: &Month) -> Vec<u8> {
    let file = city.path("stamped.jsonl");
    evidence::export(gateway, &city.lists, &Wanted { bureau: month.bureau.into(), batch: month.batch.clone(), row: Some(1), file: file.clone() }).unwrap();
    std::fs::read(file).unwrap()
}

fn verify(city: &City, file: &[u8]) -> Result<(erds::Verified, Option<time::OffsetDateTime>), erds::EvidenceError> {
    let (anchors, mut stamped) = (Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap(), None);
    erds::verify(Cursor::new(file), &anchors, &mut |judged| stamped = judged.stamped).map(|verified| (verified, stamped))
}

#[test]
fn evidence_waits_for_its_timestamp_and_proves_it_with_the_root_alone() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let month = month(&city, "housing-fund", "t", 501);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let authority = Authority::new(&city, "6.4");
    // Nothing is stamped that is not signed.
    assert_eq!((stamp(&gateway, &city.lists, &authority).unwrap(), unstamped(&gateway)), (0, 0));
    evidence::seal(&gateway, &city.lists).unwrap();
    authority.becomes(Mood::Away);
    assert!(matches!(stamp(&gateway, &city.lists, &authority), Err(EvidenceError::Timestamp { .. })));
    assert_eq!(unstamped(&gateway), 2);
    // It is good evidence meanwhile.
    let (verified, none) = verify(&city, &export(&city, &gateway, &month)).unwrap();
    assert_eq!((verified.stamped, none), (0, None));
    authority.becomes(Mood::Stamps);
    city.clock.set(NOW + time::Duration::HOUR);
    assert_eq!((stamp(&gateway, &city.lists, &authority).unwrap(), unstamped(&gateway), stamp(&gateway, &city.lists, &authority).unwrap()), (2, 0, 0));
    let file = export(&city, &gateway, &month);
    let (verified, stamped) = verify(&city, &file).unwrap();
    assert_eq!((verified.stamped, stamped), (1, Some(NOW + time::Duration::HOUR)));
    // OpenSSL's word on the token.
    let line: erds::Line = serde_json::from_slice(&file).unwrap();
    let decoded = |text: &str| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    for (name, bytes) in [("token", decoded(&line.timestamp.as_ref().unwrap().token)), ("signature", decoded(&line.signature)), ("root.pem", city.root_pem.clone().into_bytes())] {
        std::fs::write(city.path(name), bytes).unwrap();
    }
    let out = std::process::Command::new("openssl").current_dir(city.home.path()).args(["ts", "-verify", "-token_in", "-in", "token", "-data", "signature", "-CAfile", "root.pem", "-attime", &NOW.unix_timestamp().to_string()]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Over another signature, altered, or without its lists it proves nothing, and says so.
    let mut other = line.clone();
    other.timestamp.as_mut().unwrap().revocation_lists.clear();
    assert!(matches!(verify(&city, &serde_json::to_vec(&other).unwrap()), Err(erds::EvidenceError::Timestamp { .. })));
    let token = decoded(&line.timestamp.as_ref().unwrap().token);
    for at in (0..token.len()).step_by(37) {
        let mut flipped = token.clone();
        flipped[at] ^= 4;
        let mut other = line.clone();
        other.timestamp.as_mut().unwrap().token = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &flipped);
        match verify(&city, &serde_json::to_vec(&other).unwrap()) {
            Err(erds::EvidenceError::Timestamp { .. }) => {}
            // A certificate beside the path may be anything; the time is the same.
            Ok((_, time)) => assert_eq!(time, stamped, "octet {at}"),
            Err(other) => panic!("octet {at}: {other}"),
        }
    }
    let log = events(&*city.store).into_iter().filter_map(|event| if let Event::EvidenceStamped(stamps) = event { Some((stamps.first, stamps.count)) } else { None }).collect::<Vec<_>>();
    assert_eq!(log, [(1, 2)]);
}

#[test]
fn a_token_of_another_question_or_of_a_stranger_is_not_taken_and_a_fault_stamps_once() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let authority = Authority::new(&city, "6.4");
    for (batch, fault) in [("lost", Fault::Lost), ("unheard", Fault::DoneReportedLost)] {
        pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", batch, 3)).unwrap();
        evidence::seal(&gateway, &city.lists).unwrap();
        assert!(stamp(&city.gateway(faulty(&city.store, Some((0, fault)))), &city.lists, &authority).is_err());
        assert_eq!(stamp(&gateway, &city.lists, &authority).unwrap(), u64::from(fault == Fault::Lost), "{batch}");
    }
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "strange", 3)).unwrap();
    evidence::seal(&gateway, &city.lists).unwrap();
    authority.becomes(Mood::Parrot);
    assert!(stamp(&gateway, &city.lists, &authority).unwrap_err().to_string().contains("another question"));
    // Under our root and for timestamps, but not the authority's own service.
    assert!(stamp(&gateway, &city.lists, &Authority::new(&city, "3.1")).is_err());
    let other = City::found();
    assert!(stamp(&gateway, &city.lists, &Authority::new(&other, "6.4")).is_err());
    assert_eq!(unstamped(&gateway), 1);
    authority.becomes(Mood::Stamps);
    assert_eq!(stamp(&gateway, &city.lists, &authority).unwrap(), 1);
}
