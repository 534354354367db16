//! Evidence of a push: in the commit that makes it true, signed once, and proved with the root alone.

use std::io::Cursor;

use mailgw::bureau::trust::Anchors;
use mailgw::erds::{self, Event as Delivery, Item as Evidence};
use mailgw::flow::evidence::{self, EvidenceError, Wanted};
use mailgw::record::evidence::{Seal as Signature, items};

use super::*;

const OPERATOR: &str = "广州市政务邮箱运营中心";

pub(crate) fn install(city: &City, gateway: &Gateway) {
    assert!(evidence::request(gateway, OPERATOR).unwrap().contains("CERTIFICATE REQUEST"));
    evidence::install(gateway, &city.lists, city.evidence_certificate(gateway, "3.2").as_bytes(), NOW).unwrap();
}

fn export(city: &City, gateway: &Gateway, month: &Month, row: Option<u64>) -> Vec<u8> {
    let file = city.path(&format!("{}.evidence.jsonl", month.batch));
    let wanted = Wanted { bureau: month.bureau.into(), batch: month.batch.clone(), row, file: file.clone() };
    evidence::export(gateway, &city.lists, &wanted).unwrap();
    std::fs::read(file).unwrap()
}

fn verify(city: &City, file: &[u8]) -> Result<Vec<Evidence>, erds::EvidenceError> {
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let mut found = Vec::new();
    erds::verify(Cursor::new(file), &anchors, &mut |judged| found.push(judged.item)).map(|_| found)
}

/// Every row has the evidence of its outcome and no other; every signed batch is in the log with its root.
fn proved(city: &City, gateway: &Gateway, month: &Month, at: &str) {
    let found = verify(city, &export(city, gateway, month, None)).unwrap_or_else(|error| panic!("{at}: {error}"));
    let of = |row: u64| found.iter().filter(|item| item.submission.row == row).map(|item| (item.event, item.event_reasons.join(","))).collect::<Vec<_>>();
    let (accepted, consigned) = ((Delivery::SubmissionAcceptance, String::new()), (Delivery::ContentConsignment, String::new()));
    let rejected = |reason: &str| vec![(Delivery::SubmissionRejection, reason.to_owned())];
    let mailboxes = delivered(city, gateway);
    for row in 1..=month.good {
        assert_eq!(of(row), [accepted.clone(), consigned.clone()], "{at}: row {row}");
        let item = found.iter().find(|item| item.submission.row == row && item.event == Delivery::ContentConsignment).unwrap();
        let copies = &mailboxes[&item.user_content_info.as_ref().unwrap().digest_value];
        assert_eq!(item.recipient_details.as_ref().unwrap(), &format!("{}@{}", copies[0].mailbox, city::DOMAIN), "{at}: row {row}");
    }
    assert_eq!(of(month.good + 1), rejected("delivered-before"), "{at}");
    assert_eq!(of(month.good + 2), rejected("V1"), "{at}");
    assert_eq!(of(month.good + 3), [accepted, (Delivery::ContentConsignmentFailure, "unknown-person".to_owned())], "{at}");
    assert_eq!(of(month.good + 4), rejected("V10"), "{at}");
    // Whoever has a wrong name, wrong figures or nobody's number is told of no mailbox.
    assert!(found.iter().filter(|item| item.submission.row > month.good + 1).all(|item| item.recipient_details.is_none()), "{at}");
    assert_eq!(found.len() as u64, 2 * month.good + 5, "{at}");
    let (mut recorded, mut signed) = (Vec::new(), 0);
    for event in events(&*gateway.store) {
        match event {
            Event::EvidenceRecorded(batch) => recorded.push((batch.items, batch.root)),
            Event::EvidenceSealed(seals) => {
                assert_eq!(seals.first, signed + 1, "{at}: a batch was signed twice or passed over");
                signed += seals.count;
            }
            _ => {}
        }
    }
    assert_eq!(recorded.len() as u64, signed, "{at}: batches and signatures");
    for (number, (count, root)) in (1..).zip(recorded) {
        let (items, seal) = (items(&*gateway.store, number).unwrap().unwrap(), Signature::of(&*gateway.store, number).unwrap().unwrap());
        assert_eq!(items.len() as u64, count, "{at}: batch {number}");
        assert!(seal.statement.contains(&root) && seal.statement.contains(&format!("\"Batch\":{number},")), "{at}: {}", seal.statement);
    }
}

#[test]
fn evidence_of_a_push_is_proved_with_the_root_alone() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let first = month(&city, "housing-fund", "first", 501);
    pushed(&city, &gateway, &sealer, &first).unwrap();
    // Deliveries wait for no certificate; evidence does.
    let wanted = Wanted { bureau: first.bureau.into(), batch: "first".into(), row: None, file: city.path("early.jsonl") };
    assert!(matches!(evidence::export(&gateway, &city.lists, &wanted), Err(EvidenceError::NoSigner)));
    assert!(!city.path("early.jsonl").exists());
    install(&city, &gateway);
    proved(&city, &gateway, &first, "first");
    // One row, with its path, in a file that names no other.
    let file = export(&city, &gateway, &first, Some(7));
    let found = verify(&city, &file).unwrap();
    assert_eq!((found.len(), found.iter().all(|item| item.submission.row == 7)), (2, true));
    assert_eq!(String::from_utf8_lossy(&file).matches("EvidenceIdentifier").count(), 2);
    let pushed_file = std::fs::read_to_string(&first.order.rows).unwrap();
    let whole_file = String::from_utf8(export(&city, &gateway, &first, None)).unwrap();
    for (_, number, name) in PEOPLE {
        assert!(pushed_file.contains(number) && !whole_file.contains(number) && !whole_file.contains(name), "a person in the evidence");
    }
    // What is not there is told by its name.
    for (batch, row) in [("none", None), ("first", Some(506)), ("first", Some(0))] {
        let refused = evidence::export(&gateway, &city.lists, &Wanted { batch: batch.into(), row, ..wanted.clone() });
        assert!(matches!(refused, Err(EvidenceError::UnknownPush { .. } | EvidenceError::UnknownRow { .. })), "{batch} {row:?}");
    }
}

#[test]
fn one_flipped_bit_is_refused() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let month = month(&city, "housing-fund", "flip", 6);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    for file in [export(&city, &gateway, &month, Some(3)), export(&city, &gateway, &month, None)] {
        let whole = verify(&city, &file).unwrap();
        assert!(!whole.is_empty());
        // Every octet, each with another of its bits; a file that still verified would have to say the same.
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(verify(&city, &flipped).is_err(), "octet {at} of {}: {}", file.len(), String::from_utf8_lossy(&flipped[at.saturating_sub(20)..(at + 20).min(file.len())]));
        }
        // Cut off, doubled items, an item of another push.
        for end in (0..file.len() - 1).step_by(97) {
            assert!(verify(&city, &file[..end]).is_err(), "cut at {end}");
        }
        let mut line: erds::Line = serde_json::from_slice(&file).unwrap();
        line.items.push(line.items[0].clone());
        let doubled = verify(&city, &serde_json::to_vec(&line).unwrap());
        assert!(line.items[0].path.is_some() || doubled.is_err(), "a whole batch has each item once");
        line.items.clear();
        assert!(verify(&city, &serde_json::to_vec(&line).unwrap()).is_err());
    }
}

#[test]
fn only_a_certificate_for_evidence_signs_evidence() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    evidence::request(&gateway, OPERATOR).unwrap();
    // A sender's seal, and a key that is not the gateway's.
    let seal = city.evidence_certificate(&gateway, "3.1");
    assert!(matches!(evidence::install(&gateway, &city.lists, seal.as_bytes(), NOW), Err(EvidenceError::Trust(_))));
    let good = city.evidence_certificate(&gateway, "3.2");
    let other = City::found();
    let strange = other.gateway(Arc::clone(&other.store));
    assert!(matches!(evidence::install(&strange, &other.lists, good.as_bytes(), NOW), Err(EvidenceError::OtherKey)));
    evidence::install(&gateway, &city.lists, good.as_bytes(), NOW).unwrap();
    // Another city's root does not vouch for it.
    let month = month(&city, "housing-fund", "root", 3);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let file = export(&city, &gateway, &month, None);
    assert!(verify(&city, &file).is_ok());
    assert!(matches!(verify(&other, &file), Err(erds::EvidenceError::Signer { .. })));
}

#[test]
fn evidence_is_signed_once_after_a_fault_at_any_write() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    for (batch, fault) in [("lost", Fault::Lost), ("unheard", Fault::DoneReportedLost)] {
        let month = month(&city, "housing-fund", batch, 501);
        pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
        let struck = city.gateway(faulty(&city.store, Some((0, fault))));
        assert!(evidence::seal(&struck, &city.lists).is_err(), "{batch}");
        let waiting = evidence::unsigned(&gateway);
        assert_eq!(waiting, if fault == Fault::Lost { 2 } else { 0 }, "{batch}");
        assert_eq!(evidence::seal(&gateway, &city.lists).unwrap().now, waiting, "{batch}");
        assert_eq!(evidence::seal(&gateway, &city.lists).unwrap().now, 0, "{batch}");
        proved(&city, &gateway, &month, batch);
    }
    // A certificate is taken whole or not at all, and the next key signs from then on.
    let before = city.store.stream_length(STREAM).unwrap();
    evidence::request(&gateway, OPERATOR).unwrap();
    let next = city.evidence_certificate(&gateway, "3.2");
    let struck = city.gateway(faulty(&city.store, Some((0, Fault::Lost))));
    assert!(evidence::install(&struck, &city.lists, next.as_bytes(), NOW).is_err());
    assert_eq!(city.store.stream_length(STREAM).unwrap(), before);
    evidence::install(&gateway, &city.lists, next.as_bytes(), NOW).unwrap();
    let last = month(&city, "housing-fund", "next", 3);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &last).unwrap();
    proved(&city, &gateway, &last, "next key");
}

#[test]
fn evidence_later_than_the_clock_waits_and_is_good_when_it_is_signed() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let month = month(&city, "housing-fund", "back", 3);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let waiting = evidence::unsigned(&gateway);
    // The clock is set back by a minute after the deliveries.
    let now = gateway.clock.now();
    city.clock.set(now - time::Duration::MINUTE);
    assert_eq!(evidence::seal(&gateway, &city.lists).unwrap().now, 0);
    assert_eq!(evidence::unsigned(&gateway), waiting);
    city.clock.set(now);
    assert_eq!(evidence::seal(&gateway, &city.lists).unwrap().now, waiting);
    proved(&city, &gateway, &month, "back");
}
