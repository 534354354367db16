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
    // With the anchor alone it proves itself.
    let (anchors, terms) = (Anchors::new(std::slice::from_ref(&office.world.root.certificate)).unwrap(), Terms::new(&Archive::shipped().unwrap()));
    let of_seal = |document: &[u8], now| {
        let asked = Asked { document, signature: &answered.seal, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &[], credit_code: None, answers: &[], existed_at: None };
        let verdict = filing::verify::verify(&asked, now);
        (verdict.passed(), verdict.level)
    };
    assert_eq!(of_seal(&answered.document, office.clock_now() + Duration::hours(1)), (true, Some("B-LT")));
    assert!(!of_seal(b"another", office.clock_now()).0);
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
    assert!(leaf.kind() == 130 && leaf.payload().contains("B-LTA"), "{}", leaf.payload());
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

/// What the archive believes, with an algorithm that ends on another day; as its text would be, it has another digest.
fn believe(office: &mut Office, from: &str, to: &str) {
    let (file, text) = policies::filing::SHIPPED_ARCHIVE;
    assert!(text.contains(from));
    office.desk.grounds.policies.archive = Archive::parse((file, &text.replace(from, to))).unwrap();
    office.desk.grounds.policies.archive_digest = to.into();
}

fn planned(office: &Office) -> Vec<time::OffsetDateTime> {
    let (from, to) = filing::desk::record::archive::due(i64::MAX - 1);
    let names = office.desk.store.scan(&from, &to, 9).unwrap().into_iter().map(|(_, name)| String::from_utf8(name).unwrap());
    names.map(|name| time::OffsetDateTime::from_unix_timestamp(filing::desk::record::archive::planned(&*office.desk.store, &name).unwrap().unwrap()).unwrap()).collect()
}

/// The archive timestamp is over a SHA-512 imprint and is itself signed by ECDSA with SHA-256, as is its authority's
/// certificate: when SHA-256 ends, so does what it proves.
#[test]
fn the_hash_of_a_timestamps_own_signature_ages() {
    let mut office = Office::open();
    believe(&mut office, "sha256 = 2040-12-31", "sha256 = 2028-03-31");
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    office.receipt(&office.firm(CODE), &vat(CODE, |_| {}));
    office.clock.advance(Duration::hours(27));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 2);
    // Not 180 days before the certificate ends, but before the hash does.
    assert_eq!(planned(&office), [datetime!(2028-04-01 0:00 UTC) - Duration::days(180); 2]);
}

/// The city brings an algorithm's last day forward: what was planned by the old one is looked at at once, once.
#[test]
fn what_was_planned_by_other_terms_is_due_now() {
    let mut office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    office.receipt(&office.firm(CODE), &vat(CODE, |_| {}));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 0);
    office.clock.advance(Duration::hours(27));
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap().renewed, 2);
    let by_certificate = planned(&office);
    assert!(by_certificate.iter().all(|at| *at > datetime!(2028-01-01 0:00 UTC)), "{by_certificate:?}");
    archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!(planned(&office), by_certificate);
    believe(&mut office, "p256 = 2040-12-31", "p256 = 2027-12-31");
    archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!(planned(&office), [datetime!(2028-01-01 0:00 UTC) - Duration::days(180); 2]);
    // A signature that is not archived yet waits for its grace as before.
    office.receipt(&office.firm(CODE), &vat(CODE, |filing| filing["period"] = "202608".into()));
    believe(&mut office, "p256 = 2040-12-31", "p256 = 2030-12-31");
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap(), archive::Passed::default());
    assert_eq!(planned(&office).iter().filter(|at| **at == office.clock_now() + Duration::hours(26)).count(), 2);
}

/// Who answers about revocations is away: nothing is damaged, and it is tried at the next pass.
#[test]
fn who_is_away_damages_nothing_in_the_archive() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    office.receipt(&office.firm(CODE), &vat(CODE, |_| {}));
    office.clock.advance(Duration::hours(27));
    *office.world.responder_fails.lock().unwrap() = true;
    *office.world.lists_fail.lock().unwrap() = true;
    let passed = archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!((passed.renewed, passed.failed, passed.faults), (0, 2, 0));
    *office.world.responder_fails.lock().unwrap() = false;
    *office.world.lists_fail.lock().unwrap() = false;
    assert_eq!(archive::pass(&office.desk, &|| false).unwrap(), archive::Passed { renewed: 2, failed: 0, faults: 0 });
}

/// A mandate in an agent's hands: the principal's certificate has ended, and the timestamp tells that it was signed before; when
/// the authority's has ended too, nobody can tell without what was gathered in time.
#[test]
fn what_was_signed_before_its_certificate_ended_is_judged_as_of_its_timestamp() {
    let office = Office::open();
    office.world.roll(datetime!(2029-01-01 0:00 UTC));
    let firm = office.firm_with(CODE, |plan| plan.not_after = datetime!(2026-12-01 0:00 UTC));
    let document = b"{}".to_vec();
    let signed = office.stamped(&office.sign(&firm, &document), office.clock_now());
    let anchors = Anchors::new(std::slice::from_ref(&office.world.root.certificate)).unwrap();
    let terms = Terms::new(&Archive::shipped().unwrap());
    let judged = |signature: &[u8], document: &[u8], now| {
        let asked = Asked { document, signature, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &[], credit_code: Some(CODE), answers: &[], existed_at: None };
        let verdict = filing::verify::verify_alone(&asked, now);
        let findings: std::collections::BTreeSet<String> = verdict.findings.iter().map(|finding| finding.sub_indication.to_string()).collect();
        findings.into_iter().collect::<Vec<_>>().join(" ")
    };
    let (before, after, too_late) = (datetime!(2026-11-20 0:00 UTC), datetime!(2027-06-01 0:00 UTC), datetime!(2029-06-01 0:00 UTC));
    assert_eq!(judged(&signed, &document, before), "TRY_LATER");
    assert_eq!(judged(&signed, &document, after), "TRY_LATER");
    assert!(judged(&signed, &document, too_late).contains("OUT_OF_BOUNDS_NO_POE"));
    // Without a timestamp it ends with its certificate, and one of nobody's proves nothing.
    assert!(judged(&office.sign(&firm, &document), &document, after).contains("OUT_OF_BOUNDS_NO_POE"));
    *office.world.stranger_stamps.lock().unwrap() = Some(crate::office::tsa(&crate::city::Authority::root("无人所知"), datetime!(2026-01-01 0:00 UTC), datetime!(2030-01-01 0:00 UTC)));
    let strange = office.stamped(&office.sign(&firm, &document), office.clock_now());
    assert!(judged(&strange, &document, after).contains("OUT_OF_BOUNDS_NO_POE"));
    assert!(judged(&signed, b"{ }", after).contains("HASH_FAILURE"));
}
