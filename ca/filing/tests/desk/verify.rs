//! What a signature is worth, asked by a third party, and kept provable for ten years.

use filing::desk::flow::{archive, verify};
use filing::desk::record::filing::{signature, signature_key};
use filing::desk::record::receipt::{ReceiptNumber, read_seal};
use filing::verify::{Asked, Terms};
use pki::cades::Signature;
use pki::path::Anchors;
use policies::filing::Archive;
use time::Duration;
use time::macros::datetime;

use crate::office::{CODE, Office, json, vat};

#[test]
fn a_third_party_gets_a_verdict_under_seal() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&firm, &filing), office.clock_now());
    let bureau = office.desk.policies.desk.bureaus().first().unwrap();
    let answered = verify::answer(&office.desk, bureau, &filing, &signed).unwrap();
    let told = json(&answered.document);
    assert_eq!((told["verdict"].as_str(), told["level"].as_str(), told["signer"]["uscc"].as_str()), (Some("TOTAL-PASSED"), Some("B-T"), Some(CODE)));
    assert!(told["revocation_answers"].as_array().is_some_and(|list| list.len() == 3) && answered.ocsp.len() == 1);
    // The seal is over these octets, and its maker the bureau's.
    let seal = Signature::read(&answered.seal).unwrap();
    assert!(seal.is_timestamped() && seal.prove(&answered.document, &[]).is_ok());
    // It stands in the log: these octets, this seal, and nothing of what was asked.
    let newest = || merkle::Leaf::parse(&office.desk.store.read_stream("log", office.desk.store.stream_length("log").unwrap() - 1, 1).unwrap().remove(0)).unwrap();
    let (leaf, hex) = (newest(), |bytes: &[u8]| ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let expected = serde_json::json!({"bureau": bureau.code.as_str(), "content": hex(&answered.document), "seal": hex(&answered.seal)});
    assert_eq!((leaf.kind(), serde_json::from_str::<serde_json::Value>(leaf.payload()).unwrap()), (16, expected));
    // Nobody stamps: no seal, and none in the log.
    let length = office.desk.store.stream_length("log").unwrap();
    *office.world.stamps_fail.lock().unwrap() = 1;
    assert!(verify::answer(&office.desk, bureau, &filing, &signed).is_err());
    assert_eq!(office.desk.store.stream_length("log").unwrap(), length);
    let told = json(&verify::answer(&office.desk, bureau, b"other", &signed).unwrap().document);
    assert_eq!((told["verdict"].as_str(), told["sub_indication"].as_str()), (Some("TOTAL-FAILED"), Some("HASH_FAILURE")));
    // Who answers is away: the verdict stays open, and says so.
    *office.world.responder_fails.lock().unwrap() = true;
    let told = json(&verify::answer(&office.desk, bureau, b"other", b"no signature").unwrap().document);
    assert_eq!(told["sub_indication"].as_str(), Some("FORMAT_FAILURE"));
}

/// Keys of the timestamp authority come and go, the signer's and the bureau's certificates end, and with the root alone the
/// filing and its receipt still pass; one bit of either and they do not.
#[test]
fn ten_years_of_the_archive() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let sealed = office.receipt(&firm, &filing);
    let number = ReceiptNumber::parse(json(&sealed.document)["receipt_no"].as_str().unwrap()).unwrap();
    // Within the grace nothing is touched; then once, and no further while the proof is young.
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 0);
    office.clock.advance(Duration::hours(27));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 2);
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 0);
    let leaf = merkle::Leaf::parse(&office.desk.store.read_stream("log", office.desk.store.stream_length("log").unwrap() - 1, 1).unwrap().remove(0)).unwrap();
    assert!(leaf.kind() == 15 && leaf.payload().contains("B-LTA"), "{}", leaf.payload());
    for year in 2027..=2037 {
        office.clock.set(time::Date::from_calendar_date(year, time::Month::August, 1).unwrap().midnight().assume_utc());
        if year % 2 == 0 {
            office.world.roll(office.clock_now() + Duration::days(1_100));
        }
        let passed = archive::pass(&office.desk, &|| false).unwrap();
        assert_eq!(passed.failed, 0, "{year}");
    }
    let now = office.clock_now();
    let anchors = Anchors::new(std::slice::from_ref(&office.world.root.certificate)).unwrap();
    let terms = Terms::new(&Archive::shipped().unwrap());
    let judged = |document: &[u8], signature: &[u8]| {
        let asked = Asked { document, signature, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &[], credit_code: Some(CODE), answers: &[], existed_at: None };
        filing::verify::verify(&asked, now)
    };
    let stored = office.desk.store.get(&signature_key(&number.filing)).unwrap().unwrap();
    let seal = office.desk.store.get(&number.seal()).unwrap().unwrap();
    for (document, signed) in [(&filing, signature(&stored).unwrap()), (&sealed.document, read_seal(&seal).unwrap())] {
        let verdict = judged(document, signed);
        assert!(verdict.passed(), "{verdict:?}");
        assert_eq!((verdict.level, verdict.best_signature_time.as_deref().map(|at| &at[..10])), (Some("B-LTA"), Some("2026-11-05")));
        assert!(verdict.timestamps.len() >= 5, "{}", verdict.timestamps.len());
        for at in (0..document.len()).step_by(97) {
            let mut damaged = document.clone();
            damaged[at] ^= 1;
            assert!(!judged(&damaged, signed).passed());
        }
    }
}

/// A store or an authority that is away loses nothing: the pass is made again.
#[test]
fn a_pass_that_fails_is_made_again() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    let firm = office.firm(CODE);
    office.receipt(&firm, &vat(CODE, |_| {}));
    office.clock.advance(Duration::hours(27));
    *office.world.stamps_fail.lock().unwrap() = 1;
    let passed = archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!((passed.renewed, passed.failed), (1, 1));
    let passed = archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!((passed.renewed, passed.failed), (1, 0));
}

/// One that is damaged is told of, and holds up no other; a pass that is told to end ends, and the next goes on.
#[test]
fn a_damaged_one_holds_up_no_other_and_a_pass_can_be_ended() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    let ids: Vec<String> = [CODE, crate::office::OTHER].map(|code| json(&office.receipt(&office.firm(code), &vat(code, |_| {})).document)["filing_id"].as_str().unwrap().to_owned()).into();
    let key = filing::desk::record::filing::body_key(&ids[0]);
    let mut body = office.desk.store.get(&key).unwrap().unwrap();
    *body.last_mut().unwrap() ^= 1;
    let whole = office.desk.store.get(&key).unwrap().unwrap();
    office.desk.store.commit(store::Batch::new().put(key.clone(), body)).unwrap();
    // What was kept is in the queue, and nothing is due yet.
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap(), archive::Passed::default());
    office.clock.advance(Duration::hours(27));
    let once = std::cell::Cell::new(0);
    let passed = archive::pass(&office.desk, &|| once.replace(once.get() + 1) == 1).unwrap();
    assert_eq!(passed.renewed + passed.failed, 1);
    let passed = archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!(passed.faults, 1);
    // All but the damaged one are renewed, and none of it is tried again before tomorrow.
    let level = |id: &str| office.desk.store.get(&signature_key(id)).unwrap().unwrap().len();
    assert!(level(&ids[1]) > level(&ids[0]));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap(), archive::Passed { renewed: 0, failed: 0, faults: 1 });
    assert!(filing::desk::doctor::examine(&office.desk).unwrap().iter().any(|finding| finding.what.starts_with("archive: 1 ") && finding.what.contains(&ids[0])));
    // Restored it is renewed the next day, and no fault any more.
    office.desk.store.commit(store::Batch::new().put(key, whole)).unwrap();
    office.clock.advance(Duration::hours(25));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap(), archive::Passed { renewed: 1, failed: 0, faults: 0 });
}

/// A store from before there was a queue is taken over whole, once.
#[test]
fn what_was_kept_before_the_queue_is_queued() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    office.receipt(&office.firm(CODE), &vat(CODE, |_| {}));
    let (from, to) = filing::desk::record::archive::due(i64::MAX - 1);
    let queued = office.desk.store.scan(&from, &to, 9).unwrap();
    assert_eq!(queued.len(), 2);
    let without = queued.into_iter().fold(store::Batch::new(), |batch, (key, name)| batch.delete(key).delete(store::Key::new("archive due", &[name.as_slice()])));
    office.desk.store.commit(without).unwrap();
    office.clock.advance(Duration::hours(27));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 2);
    assert_eq!(office.desk.store.scan(&from, &to, 9).unwrap().len(), 2);
}
