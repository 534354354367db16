//! A filing that is right: receipted, sealed, found again, moved on, mailed.

use filing::desk::flow::mandate::{self, State};
use filing::desk::flow::outbox;
use filing::desk::flow::proceed::proceed;
use filing::desk::problem::DeskError;
use filing::desk::receipt::{Decision, html, pdf};
use filing::desk::record::filing::Status;
use filing::desk::service::shown;
use pki::cades::Signature;
use time::Duration;

use crate::office::{CODE, NOW, OTHER, Office, id, json, receipted, refused, vat};

#[test]
fn a_filing_is_receipted_and_the_receipt_proves_itself() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let sealed = office.receipt(&firm, &filing);
    let receipt = json(&sealed.document);
    let text = |pointer: &str| receipt.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    assert_eq!((text("/status"), text("/kind"), text("/uscc")), ("RECEIVED".into(), "VAT_GENERAL".into(), CODE.into()));
    assert_eq!((receipt["timely"].as_bool(), receipt["log_index"].as_u64()), (Some(true), Some(2)), "two seals were set before");
    assert_eq!((text("/deadline/date"), text("/bureau/name")), ("2026-11-16".into(), "国家税务总局广州市税务局".into()));
    let digest = |bytes: &[u8]| ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((text("/content_digest/sha256"), text("/signer/thumbprint/sha256")), (digest(&filing), digest(&firm.certificate)));
    assert_eq!(receipt["validation"]["path"].as_array().map(Vec::len), Some(3));
    // The seal is the bureau's, over these very octets, with a timestamp.
    let seal = Signature::read(&sealed.seal).unwrap();
    let proved = seal.prove(&sealed.document, &[]).unwrap();
    assert_eq!(text("/bureau/certificate/sha256"), digest(proved.signer_certificate()));
    assert!(seal.is_timestamped() && seal.prove(b"another", &[]).is_err());
    // The leaf of the log that the receipt names is this filing's.
    let leaf = office.desk.store.read_stream("log", 2, 1).unwrap().remove(0);
    let leaf = merkle::Leaf::parse(&leaf).unwrap();
    assert!(leaf.kind() == 1 && leaf.payload().contains(&text("/filing_id")) && !leaf.payload().contains(CODE), "{}", leaf.payload());
    // People read the same.
    let page = html::page(&sealed.document).unwrap();
    assert!(page.contains("lang=\"zh-CN\"") && page.contains("已接收 / received") && page.contains("2026-11-05 12:00:00") && page.contains(&text("/receipt_no")));
    let pdf = pdf::page(&sealed.document).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.5") && pdf.ends_with(b"%%EOF\n"));
}

#[test]
fn what_comes_again_gets_the_receipt_it_got() {
    let office = Office::open();
    let (firm, other) = (office.firm(CODE), office.firm(OTHER));
    let filing = vat(CODE, |_| {});
    let first = office.receipt(&firm, &filing);
    office.clock.advance(Duration::days(3));
    assert_eq!(office.receipt(&firm, &filing), first);
    assert_eq!(office.desk.store.stream_length("log").unwrap(), 4);
    // The same octets by a stranger are no way to somebody's receipt.
    assert_eq!(refused(office.submit(&other, &filing).unwrap())[0], 9);
}

#[test]
fn an_officer_moves_it_on_and_receipts_are_chained() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let first = office.receipt(&firm, &filing);
    let id = json(&first.document)["filing_id"].as_str().unwrap().to_owned();
    let decision = Decision { amount_due: Some(3_920_000), next_step: Some("请缴款".into()), ..Decision::default() };
    assert!(matches!(proceed(&office.desk, &id, Status::Processed, &decision), Err(DeskError::Transition { .. })));
    let second = proceed(&office.desk, &id, Status::Accepted, &Decision::default()).unwrap();
    let third = proceed(&office.desk, &id, Status::Processed, &Decision { close: true, ..decision }).unwrap();
    let digest = |bytes: &[u8]| ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(json(&second.document)["prev_receipt_digest"]["sha256"], digest(&first.document));
    assert_eq!(json(&third.document)["prev_receipt_digest"]["sha256"], digest(&second.document));
    assert_eq!(json(&third.document)["amounts_due"], "39200.00");
    assert!(Signature::read(&third.seal).unwrap().prove(&third.document, &[]).is_ok());
    let shown = shown(&office.desk, &id).unwrap();
    assert_eq!((shown.record.status, shown.issued.len()), (Status::Processed, 3));
    assert!(proceed(&office.desk, &id, Status::Rejected, &Decision::default()).is_err());
    // The period is closed: the next revision is not taken.
    let next = vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = id.clone().into();
        crate::office::corrected(filing);
    });
    assert!(office.refused(&firm, &next).contains(&12));
}

#[test]
fn the_gateway_takes_every_letter_until_it_says_it_delivered_it() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let sealed = office.receipt(&firm, &vat(CODE, |_| {}));
    let number = json(&sealed.document)["receipt_no"].as_str().unwrap().to_owned();
    let page = outbox::collect(&office.desk).unwrap();
    let letter = serde_json::to_value(&page.letters[0]).unwrap();
    assert_eq!((letter["id"].as_str(), letter["to"]["mailbox"].as_str()), (Some(number.as_str()), Some("1234567897@mail.example.cn")));
    assert!(letter["subject"].as_str().unwrap().starts_with("申报回执 VAT_GENERAL 202610（已接收") && page.from.mailbox.contains('@'));
    assert_eq!(letter["files"][0]["media_type"], "application/json");
    let told = |outcome: serde_json::Value| outbox::done(&office.desk, &[serde_json::from_value(serde_json::json!({"id": number, "outcome": outcome})).unwrap()]).unwrap();
    // Asked again it is handed over again; not now means later.
    assert_eq!(outbox::collect(&office.desk).unwrap().letters.len(), 1);
    told(serde_json::json!({"later": "mailbox-full"}));
    assert!(outbox::collect(&office.desk).unwrap().letters.is_empty());
    office.clock.advance(Duration::minutes(2));
    assert_eq!(outbox::collect(&office.desk).unwrap().letters.len(), 1);
    told(serde_json::json!({"delivered": "ab".repeat(32)}));
    office.clock.advance(Duration::days(30));
    assert!(outbox::collect(&office.desk).unwrap().letters.is_empty());
    told(serde_json::json!({"refused": "unknown-mailbox"}));
    assert_eq!(serde_json::to_value(shown(&office.desk, number.trim_end_matches("-1")).unwrap().issued[0].letter).unwrap(), "sent");
}

#[test]
fn an_agent_files_under_a_mandate_until_it_is_withdrawn() {
    let office = Office::open();
    let (principal, agent) = (office.firm(CODE), office.firm(OTHER));
    let mandate_id = id();
    let mandate = serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": "2026-11-01", "until": "2026-11-30"});
    let mandate = filing::document::Value::parse(mandate.to_string().as_bytes()).unwrap().canonical();
    let by_agent = |period: &str| {
        vat(CODE, |filing| {
            filing["signer_role"] = "agent".into();
            filing["mandate"] = mandate_id.clone().into();
            filing["period"] = period.into();
        })
    };
    // Not before it is given, not by the agent itself, not with another's signature.
    assert_eq!(office.refused(&agent, &by_agent("202610"))[0], 10);
    let give = |firm, document: &[u8], signature: &[u8]| mandate::give(&office.desk, &office.caller(firm), document, signature);
    assert!(matches!(give(&agent, &mandate, &office.sign(&agent, &mandate)), Err(DeskError::NotYours { .. })));
    assert!(matches!(give(&principal, &mandate, &office.sign(&agent, &mandate)), Err(DeskError::Request(_))));
    give(&principal, &mandate, &office.sign(&principal, &mandate)).unwrap();
    give(&principal, &mandate, &office.sign(&principal, &mandate)).unwrap();
    // Both sides see it, and nobody else.
    let seen = |firm| mandate::list(&office.desk, &office.caller(firm), None).unwrap().0.iter().map(|held| (held.mandate.id.as_str().to_owned(), held.state)).collect::<Vec<_>>();
    assert_eq!((seen(&principal), seen(&agent)), (vec![(mandate_id.clone(), State::Live)], vec![(mandate_id.clone(), State::Live)]));
    let stranger = office.firm("91440101MAT0000346");
    assert!(seen(&stranger).is_empty() && matches!(mandate::one(&office.desk, &office.caller(&stranger), &mandate_id), Err(DeskError::NotFound { .. })));
    assert_eq!(mandate::list(&office.desk, &office.caller(&agent), Some(&mandate_id)).unwrap().0.len(), 0);
    let sealed = office.receipt(&agent, &by_agent("202610"));
    assert_eq!(json(&sealed.document)["signer"]["role"], "agent");
    // The principal itself under the agent's name is nobody's agent.
    assert!(office.refused(&principal, &by_agent("202609")).contains(&10));
    let withdrawal = serde_json::json!({"kind": "MANDATE_WITHDRAWAL", "mandate_id": mandate_id, "principal": CODE});
    let withdrawal = filing::document::Value::parse(withdrawal.to_string().as_bytes()).unwrap().canonical();
    mandate::withdraw(&office.desk, &office.caller(&principal), &withdrawal, &office.sign(&principal, &withdrawal)).unwrap();
    assert_eq!(seen(&agent), [(mandate_id.clone(), State::Withdrawn)]);
    assert_eq!(office.refused(&agent, &by_agent("202609"))[0], 10);
    // After its last day too.
    office.clock.set(NOW + Duration::days(40));
    assert_eq!(office.refused(&agent, &by_agent("202611"))[0], 10);
}

#[test]
fn a_mandate_for_some_months_is_for_no_others() {
    let office = Office::open();
    let (principal, agent) = (office.firm(CODE), office.firm(OTHER));
    let mandate_id = id();
    let mandate = serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "first_period": "202609", "last_period": "202610", "from": "2026-11-01", "until": "2026-11-30"});
    let mandate = filing::document::Value::parse(mandate.to_string().as_bytes()).unwrap().canonical();
    mandate::give(&office.desk, &office.caller(&principal), &mandate, &office.sign(&principal, &mandate)).unwrap();
    let by_agent = |period: &str| {
        vat(CODE, |filing| {
            filing["signer_role"] = "agent".into();
            filing["mandate"] = mandate_id.clone().into();
            filing["period"] = period.into();
        })
    };
    assert_eq!(office.refused(&agent, &by_agent("202608"))[0], 10);
    office.receipt(&agent, &by_agent("202609"));
}

#[test]
fn receipts_of_a_later_revision_and_another_mailbox() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let service = filing::desk::record::letter::mailbox_key(CODE);
    let told = [&[1_u8], b"9876543212@mail.example.cn".as_slice()].concat();
    office.desk.store.commit(store::Batch::new().put(service, told)).unwrap();
    let first = office.receipt(&firm, &vat(CODE, |_| {}));
    let previous = json(&first.document)["filing_id"].clone();
    let next = vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = previous;
        crate::office::corrected(filing);
    });
    receipted(office.submit(&firm, &next).unwrap());
    let page = serde_json::to_value(outbox::collect(&office.desk).unwrap()).unwrap();
    assert!(page["letters"].as_array().unwrap().iter().all(|letter| letter["to"]["mailbox"] == "9876543212@mail.example.cn"));
    assert_eq!(page["letters"].as_array().map(Vec::len), Some(2));
}
