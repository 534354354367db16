//! A receipt is promised only while it can be sealed so that others believe it.

use std::sync::Arc;

use filing::desk::flow::{proceed::proceed, seal, verify};
use filing::desk::problem::DeskError;
use filing::desk::record::filing::{FilingRecord, Status};
use filing::desk::record::receipt::ReceiptNumber;
use filing::desk::{doctor, ready};
use pki::cades::Signature;
use pki::crl::{Entry, Reason};
use pki::view::CertificateView;
use runtime::clock::Clock as _;
use runtime::doctor::Grade;
use store::{Batch, Between, Store};
use time::Duration;

use crate::city::Authority;
use crate::office::{CODE, Founded, NOW, OTHER, Office, json, receipted, set_seal, tsa, vat};

fn nothing_recorded(office: &Office) {
    let (from, to) = FilingRecord::all();
    assert!(office.desk.store.scan(&from, &to, 1).unwrap().is_empty());
}

fn grades(office: &Office, what: &str) -> Vec<Grade> {
    doctor::examine(&office.desk).unwrap().into_iter().filter(|finding| finding.what.starts_with(what)).map(|finding| finding.grade).collect()
}

#[test]
fn a_seal_that_ended_or_was_revoked_takes_no_filing_and_loses_none() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    assert_eq!(grades(&office, "seal of"), [Grade::Ok, Grade::Ok]);
    // Revoked: known after at most a minute.
    let sealing = set_seal(&office.world, &office.desk, "gz-tax", |plan| plan.not_after = NOW + Duration::days(20));
    assert_eq!(grades(&office, "seal of gz-tax"), [Grade::Warn]);
    let serial = CertificateView::parse(&sealing).unwrap().serial.to_vec();
    office.world.listed.lock().unwrap()[0] = vec![Entry { serial, revoked_at: NOW, reason: Reason::Superseded, invalidity_date: None }];
    office.clock.advance(Duration::minutes(2));
    let length = office.desk.store.stream_length("log").unwrap();
    let refused = office.submit(&firm, &filing).unwrap_err();
    assert!(matches!(&refused, DeskError::SealUnfit { bureau, .. } if bureau == "gz-tax"), "{refused}");
    assert!(matches!(verify::answer(&office.desk, office.desk.policies.desk.bureau("gz-tax").unwrap(), &filing, b"x"), Err(DeskError::SealUnfit { .. })));
    assert_eq!(office.desk.store.stream_length("log").unwrap(), length);
    nothing_recorded(&office);
    assert_eq!((grades(&office, "seal of gz-tax"), grades(&office, "seal of gz-social")), (vec![Grade::Fail], vec![Grade::Ok]));
    // Ended, within the minute for which nothing else is asked again.
    set_seal(&office.world, &office.desk, "gz-tax", |plan| plan.not_after = office.clock.now() + Duration::seconds(30));
    ready::seal(&office.desk, "gz-tax").unwrap();
    office.clock.advance(Duration::seconds(31));
    assert!(matches!(office.submit(&firm, &filing), Err(DeskError::SealUnfit { .. })));
    nothing_recorded(&office);
    // With another the very same filing is taken.
    set_seal(&office.world, &office.desk, "gz-tax", |_| {});
    office.receipt(&firm, &filing);
    assert_eq!(grades(&office, "seal of gz-tax"), [Grade::Ok]);
}

#[test]
fn timestamps_that_the_bureau_does_not_believe_take_no_filing() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&firm, &filing), NOW);
    let stranger = Authority::root("穗印根");
    *office.world.stranger_stamps.lock().unwrap() = Some(tsa(&stranger, NOW - Duration::days(1), NOW + Duration::days(100)));
    assert!(matches!(office.submit_signed(&firm, &filing, signed.clone()), Err(DeskError::Away { .. })));
    nothing_recorded(&office);
    assert_eq!(grades(&office, "timestamps for"), [Grade::Fail, Grade::Fail]);
    // Believed, but an hour wrong.
    *office.world.stranger_stamps.lock().unwrap() = None;
    *office.world.stamp_offset.lock().unwrap() = -Duration::hours(1);
    assert!(matches!(office.submit_signed(&firm, &filing, signed.clone()), Err(DeskError::Away { .. })));
    nothing_recorded(&office);
    *office.world.stamp_offset.lock().unwrap() = Duration::ZERO;
    let sealed = receipted(office.submit_signed(&firm, &filing, signed).unwrap());
    // It became a stranger after that: the next receipt waits, and no seal is made that nobody believes.
    let id = json(&sealed.document)["filing_id"].as_str().unwrap().to_owned();
    *office.world.stranger_stamps.lock().unwrap() = Some(tsa(&stranger, NOW - Duration::days(1), NOW + Duration::days(100)));
    assert!(matches!(proceed(&office.desk, &id, Status::Accepted, &Default::default(), &crate::office::officer()), Err(DeskError::Pending { .. })));
    assert_eq!(seal::resume(&office.desk).unwrap(), 1);
    *office.world.stranger_stamps.lock().unwrap() = None;
    assert_eq!(seal::resume(&office.desk).unwrap(), 0);
    assert!(seal::stored(&office.desk, &ReceiptNumber::new(&id, 2)).unwrap().is_some());
}

/// Between the commit of a receipt's words and its seal another seal is set: the receipt names the one it bears.
#[test]
fn a_receipt_that_waited_is_sealed_with_the_certificate_it_names() {
    let office = Office::open();
    let firm = office.firm(CODE);
    office.receipt(&office.firm(OTHER), &vat(OTHER, |_| {}));
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&firm, &filing), NOW);
    *office.world.stamps_fail.lock().unwrap() = 1;
    assert!(matches!(office.submit_signed(&firm, &filing, signed), Err(DeskError::Pending { .. })));
    let next = set_seal(&office.world, &office.desk, "gz-tax", |_| {});
    assert_eq!(seal::resume(&office.desk).unwrap(), 0);
    let sealed = seal::stored(&office.desk, &ReceiptNumber::new(json(&filing)["filing_id"].as_str().unwrap(), 1)).unwrap().unwrap();
    let seal = Signature::read(&sealed.seal).unwrap();
    let proved = seal.prove(&sealed.document, &[]).unwrap();
    assert_eq!(proved.signer_certificate(), next);
    let digest = ring::digest::digest(&ring::digest::SHA256, &next).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(json(&sealed.document)["bureau"]["certificate"]["sha256"], digest);
    assert_eq!(json(&sealed.document)["log_index"].as_u64(), Some(4));
}

/// Another seal is set while the one before is being opened: nobody seals with the old one afterwards.
#[test]
fn what_was_replaced_is_not_kept() {
    let founded = Founded::new();
    let memory = crate::office::founded_store();
    let first = Arc::new(founded.desk(Arc::clone(&memory), |_| {}));
    founded.seal(&first);
    let before = first.seal_of("gz-tax").unwrap();
    // Set by a desk that knows nothing of the first one's memory.
    let other = founded.desk(Arc::clone(&memory), |_| {});
    let next = set_seal(&founded.world, &other, "gz-tax", |_| {});
    assert_ne!(before.chain.leaf(), next);
    assert_eq!(first.seal_of("gz-tax").unwrap().chain.leaf(), next);
    // And in the middle of a commit that something else makes.
    let (world, setter) = (Arc::clone(&founded.world), Arc::clone(&first));
    let between = Between::before_commit(Arc::clone(&memory), 0, move || drop(set_seal(&world, &setter, "gz-tax", |_| {})));
    between.commit(Batch::new()).unwrap();
    assert_ne!(first.seal_of("gz-tax").unwrap().chain.leaf(), next);
}

/// What stands behind the desk comes after the receipt: an officer, or a bureau's program in an officer's place, moves nothing whose
/// RECEIVED is not sealed, and each later receipt names the one before by its digest.
#[test]
fn nobody_behind_the_desk_moves_a_filing_before_its_receipt_is_sealed() {
    let office = Office::open();
    let firm = office.firm(CODE);
    // Its own timestamp, and the authority known as good: what is missing is the timestamp of the seal.
    office.receipt(&office.firm(OTHER), &vat(OTHER, |_| {}));
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&firm, &filing), NOW);
    *office.world.stamps_fail.lock().unwrap() = 1;
    assert!(matches!(office.submit_signed(&firm, &filing, signed), Err(DeskError::Pending { .. })));
    let id = json(&filing)["filing_id"].as_str().unwrap().to_owned();
    let record = || FilingRecord::decode(&office.desk.store.get(&FilingRecord::key(&id)).unwrap().unwrap()).unwrap();
    *office.world.stamps_fail.lock().unwrap() = 1;
    let length = office.desk.store.stream_length("log").unwrap();
    assert!(proceed(&office.desk, &id, Status::Accepted, &Default::default(), &crate::office::officer()).is_err());
    assert_eq!((record().status, record().receipts, office.desk.store.stream_length("log").unwrap()), (Status::Received, 1, length));
    // Once it can be, RECEIVED is sealed first, whoever asked for what.
    let accepted = proceed(&office.desk, &id, Status::Accepted, &Default::default(), &crate::office::officer()).unwrap();
    let received = seal::stored(&office.desk, &ReceiptNumber::new(&id, 1)).unwrap().unwrap();
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &received.document).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(json(&accepted.document)["prev_receipt_digest"]["sha256"], digest);
    let kinds: Vec<u8> = office.desk.store.read_stream("log", length, 9).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap().kind()).collect();
    assert_eq!(kinds, [121, 122, 121]);
}

/// A bureau that accepts nothing yet seals nothing: nobody is told to mend that.
#[test]
fn the_doctor_asks_for_no_seal_of_a_bureau_that_accepts_nothing() {
    let office = Office::open();
    assert!(office.desk.policies.desk.bureaus().iter().any(|bureau| bureau.accepts.is_empty()));
    let told = doctor::examine(&office.desk).unwrap();
    let seals: Vec<&str> = told.iter().map(|one| one.what.as_str()).filter(|what| what.starts_with("seal of")).collect();
    assert!(seals.len() == 2 && seals[0].contains("gz-tax") && seals[1].contains("gz-social-insurance"), "{seals:?}");
}
