//! The final report of a push: said once, in the log before it is signed, proved with the root alone.

use mailgw::bureau::trust::Anchors;
use mailgw::erds::{EvidenceError, VerifiedReport, verify_report};
use mailgw::flow::push::signed;

use super::*;

fn verify(city: &City, file: &[u8]) -> Result<VerifiedReport, EvidenceError> {
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    verify_report(file, &anchors)
}

fn file(city: &City, gateway: &Gateway, month: &Month) -> Result<Vec<u8>, PushError> {
    Ok(serde_json::to_vec(&signed(gateway, &city.lists, month.bureau, &month.batch)?).unwrap())
}

#[test]
fn a_report_is_of_a_push_that_has_ended_and_holds_no_person() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let month = month(&city, "housing-fund", "told", 501);
    assert!(matches!(file(&city, &gateway, &month), Err(PushError::UnknownBatch { .. })));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let mut blocks = 0;
    let cut = push(&gateway, &sealer, &city.lists, &month.order, &mut |so_far| {
        blocks += u64::from(so_far.done > 0);
        blocks == 0
    });
    assert!(matches!(cut, Err(PushError::Stopped)));
    assert!(matches!(file(&city, &gateway, &month), Err(PushError::NotEnded { .. })));
    let report = pushed(&city, &gateway, &sealer, &month).unwrap();
    assert!(matches!(file(&city, &gateway, &month), Err(PushError::Evidence(mailgw::flow::evidence::EvidenceError::NoSigner))));
    evidence::install(&city, &gateway);
    let bytes = file(&city, &gateway, &month).unwrap();
    let said = verify(&city, &bytes).unwrap().report;
    assert_eq!((said.rows, said.delivered, said.duplicate, said.quarantined, said.undeliverable), (505, 501, 1, 2, 1));
    let reasons: Vec<(&str, &str, u64)> = said.reasons.iter().map(|kept| (kept.state.as_str(), kept.reason.as_str(), kept.rows)).collect();
    assert_eq!(reasons, [("duplicate", "delivered-before", 1), ("quarantined", "V1", 1), ("quarantined", "V10", 1), ("undeliverable", "unknown-person", 1)]);
    assert_eq!((&said.outcomes, &said.manifest), (&report.outcomes, &report.manifest));
    assert_eq!(said.file, hex(&digest(&std::fs::read(&month.order.rows).unwrap())));
    // The roots are those of the log.
    let recorded: Vec<(u64, String)> = events(&*gateway.store).into_iter().filter_map(|event| if let Event::EvidenceRecorded(batch) = event { Some((batch.items, batch.root)) } else { None }).collect();
    assert_eq!(said.evidence.iter().map(|one| (one.items, one.root.clone())).collect::<Vec<_>>(), recorded);
    let text = String::from_utf8(bytes.clone()).unwrap();
    for (_, number, name) in PEOPLE {
        assert!(!text.contains(number) && !text.contains(name), "a person in the report");
    }
    // The same for ever, and in the log once: what is said, then that it was signed.
    assert_eq!(file(&city, &gateway, &month).unwrap(), bytes);
    let shown: mailgw::erds::SignedReport = serde_json::from_slice(&bytes).unwrap();
    let log: Vec<Event> = events(&*gateway.store).into_iter().filter(|event| matches!(event, Event::ReportIntended(_) | Event::ReportSigned(_))).collect();
    let [Event::ReportIntended(intended), Event::ReportSigned(done)] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!((&intended.report, &done.report), (&hex(&digest(shown.report.as_bytes())), &intended.report));
    assert!(intended.signature.is_none() && done.signature.is_some());
}

#[test]
fn one_flipped_bit_of_a_report_is_refused() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    evidence::install(&city, &gateway);
    let month = month(&city, "housing-fund", "bits", 6);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let bytes = file(&city, &gateway, &month).unwrap();
    let whole = verify(&city, &bytes).unwrap();
    let mut flipped = bytes.clone();
    for at in 0..bytes.len() {
        flipped[at] ^= 1 << (at % 7);
        // A bit that says nothing (a list's own trailing bits) must leave what is said as it was.
        assert!(verify(&city, &flipped).is_err_and(|_| true) || verify(&city, &flipped).is_ok_and(|same| same == whole), "octet {at}");
        flipped[at] = bytes[at];
    }
    // What its own key did not sign, and what that key signed that is no report.
    let shown: mailgw::erds::SignedReport = serde_json::from_slice(&bytes).unwrap();
    let other = mailgw::erds::SignedReport { report: shown.report.replace("\"Delivered\":6", "\"Delivered\":7"), ..shown.clone() };
    assert!(matches!(verify(&city, &serde_json::to_vec(&other).unwrap()), Err(EvidenceError::Signature { .. })));
    let seal = mailgw::record::evidence::Seal::of(&*gateway.store, 1).unwrap().unwrap();
    let statement = mailgw::erds::SignedReport { report: seal.statement, signature: seal.signature, ..shown };
    assert!(matches!(verify(&city, &serde_json::to_vec(&statement).unwrap()), Err(EvidenceError::Line { .. })));
}

#[test]
fn a_report_is_whole_after_a_fault_at_any_write() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    evidence::install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    // Evidence is signed, the report intended, the report signed.
    for (commit, fault) in (0..3).flat_map(|commit| FAULTS.map(|fault| (commit, fault))) {
        let at = format!("commit {commit}, {fault:?}");
        let month = month(&city, "housing-fund", &format!("r{commit}{}", fault == Fault::Lost), 3);
        pushed(&city, &gateway, &sealer, &month).unwrap();
        let store = faulty(&city.store, Some((commit, fault)));
        assert!(file(&city, &city.gateway(Arc::clone(&store) as Arc<dyn Store>), &month).is_err(), "{at}: a failed write was answered as done");
        assert_eq!(store.commits(), commit + 1, "{at}");
        let bytes = file(&city, &gateway, &month).unwrap();
        assert_eq!(verify(&city, &bytes).unwrap().report.delivered, 3, "{at}");
        let told = |event: &Event| matches!(event, Event::ReportIntended(said) | Event::ReportSigned(said) if said.batch == month.batch);
        assert_eq!(events(&*gateway.store).iter().filter(|event| told(event)).count(), 2, "{at}: the log on the report");
    }
}
