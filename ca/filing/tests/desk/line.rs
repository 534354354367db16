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
    let sm3 = text("/content_digest/sm3");
    assert!(sm3.len() == 64 && html::page(&sealed.document).unwrap().contains(&sm3));
    assert_eq!(receipt["validation"]["path"].as_array().map(Vec::len), Some(3));
    // The seal is the bureau's, over these very octets, with a timestamp.
    let seal = Signature::read(&sealed.seal).unwrap();
    let proved = seal.prove(&sealed.document, &[]).unwrap();
    assert_eq!(text("/bureau/certificate/sha256"), digest(proved.signer_certificate()));
    assert!(seal.is_timestamped() && seal.prove(b"another", &[]).is_err());
    // The leaf of the log that the receipt names is this filing's.
    let leaf = office.desk.store.read_stream("log", 2, 1).unwrap().remove(0);
    let leaf = merkle::Leaf::parse(&leaf).unwrap();
    assert!(leaf.kind() == 120 && !leaf.payload().contains(&text("/filing_id")) && !leaf.payload().contains(CODE), "{}", leaf.payload());
    let read = filing::keep::Receipt::parse(&sealed.document).unwrap();
    assert_eq!((read.log_index(), traced(&office, &sealed.document)), (Some(2), Ok(Some(2))));
    // Another receipt of this number, sealed by whoever took the bureau's key, is not the one that the log tells of.
    let forged = String::from_utf8(sealed.document.clone()).unwrap().replace("等待受理", "不再受理");
    assert!(forged.as_bytes() != sealed.document && traced(&office, forged.as_bytes()) == Err(filing::keep::ReceiptError::Log));
    // Whoever guesses what was filed finds no digest of it there.
    assert!(!leaf.payload().contains(&digest(&filing)), "{}", leaf.payload());
    // People read the same.
    let page = html::page(&sealed.document).unwrap();
    assert!(page.contains("lang=\"zh-CN\"") && page.contains("已接收 / received") && page.contains("2026-11-05 12:00:00") && page.contains(&text("/receipt_no")));
    let pdf = pdf::page(&sealed.document).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.5") && pdf.ends_with(b"%%EOF\n"));
    assert_eq!(pages(&pdf), 1);
}

/// What the desk's whole log tells of a receipt.
fn traced(office: &Office, receipt: &[u8]) -> Result<Option<u64>, filing::keep::ReceiptError> {
    let receipt = filing::keep::Receipt::parse(receipt)?;
    let mut trace = receipt.trace()?;
    let log = office.desk.store.read_stream("log", 0, 1_000).unwrap();
    log.iter().zip(0..).for_each(|(entry, at)| trace.see(at, entry));
    trace.end()
}

fn pages(pdf: &[u8]) -> usize {
    pdf.windows(b"/Type /Page ".len()).filter(|window| *window == b"/Type /Page ").count()
}

#[test]
fn a_long_receipt_has_as_many_pages_as_it_takes() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let id = json(&office.receipt(&firm, &vat(CODE, |_| {})).document)["filing_id"].as_str().unwrap().to_owned();
    let decision = Decision { reasons: (0..32).map(|at| format!("第 {at} 处：{}", "附表与主表不符".repeat(60))).collect(), ..Decision::default() };
    let sealed = proceed(&office.desk, &id, Status::Rejected, &decision, &crate::office::officer()).unwrap();
    let pdf = pdf::page(&sealed.document).unwrap();
    assert!(pages(&pdf) > 5, "{}", pages(&pdf));
    // Every reference of the table finds its object.
    let text = String::from_utf8_lossy(&pdf);
    for (number, line) in text.lines().skip_while(|line| !line.starts_with("0000000000 65535")).skip(1).take_while(|line| line.ends_with("n ")).enumerate() {
        let at: usize = line[..10].parse().unwrap();
        assert!(pdf[at..].starts_with(format!("{} 0 obj", number + 1).as_bytes()), "{number}");
    }
    // Whatever stands in the JSON stands on a page, line after line: the last reason too.
    let in_the_column = |line: &&str| line.split_once(" Tf ").and_then(|(_, place)| place.split(' ').next()?.parse::<f32>().ok()).is_some_and(|x| x >= 210.0);
    let values: String = text.lines().filter(in_the_column).filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0)).collect();
    let last: String = "第 31 处".encode_utf16().map(|unit| format!("{unit:04X}")).collect();
    assert!(values.contains(&last));
}

#[test]
fn filings_are_listed_from_the_newest_on() {
    use filing::desk::flow::list::{Wanted, list};
    let office = Office::open();
    let firm = office.firm(CODE);
    let mut ids = Vec::new();
    for period in ["202607", "202606", "202605", "202604", "202603"] {
        office.clock.advance(Duration::minutes(1));
        let receipt = json(&office.receipt(&firm, &vat(CODE, |filing| filing["period"] = period.into())).document);
        ids.insert(0, receipt["filing_id"].as_str().unwrap().to_owned());
    }
    proceed(&office.desk, &ids[2], Status::Accepted, &Decision::default(), &crate::office::officer()).unwrap();
    let listed = |wanted: Wanted| {
        let listed = list(&office.desk, CODE, &wanted).unwrap();
        (listed.filings.into_iter().map(|filing| filing.filing_id).collect::<Vec<_>>(), listed.next)
    };
    assert_eq!(listed(Wanted::default()), (ids.clone(), None));
    let first = listed(Wanted { limit: Some(2), ..Wanted::default() });
    assert_eq!(first, (ids[..2].to_vec(), Some(ids[1].clone())));
    assert_eq!(listed(Wanted { limit: Some(9), after: first.1, ..Wanted::default() }), (ids[2..].to_vec(), None));
    assert_eq!(listed(Wanted { status: Some(Status::Accepted), ..Wanted::default() }).0, ids[2..3]);
    assert_eq!(listed(Wanted { period: Some("202603".into()), kind: Some("VAT_GENERAL".into()), ..Wanted::default() }).0, ids[..1]);
    assert!(listed(Wanted { kind: Some("SI_WAGE_BASE".into()), ..Wanted::default() }).0.is_empty());
    // Another's filing is no place to go on from.
    let other = json(&office.receipt(&office.firm(OTHER), &vat(OTHER, |_| {})).document)["filing_id"].as_str().unwrap().to_owned();
    assert!(list(&office.desk, CODE, &Wanted { after: Some(other), ..Wanted::default() }).is_err());
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
    assert!(matches!(proceed(&office.desk, &id, Status::Processed, &decision, &crate::office::officer()), Err(DeskError::Transition { .. })));
    let second = proceed(&office.desk, &id, Status::Accepted, &Decision::default(), &crate::office::officer()).unwrap();
    let third = proceed(&office.desk, &id, Status::Processed, &Decision { close: true, ..decision }, &crate::office::officer()).unwrap();
    let digest = |bytes: &[u8]| ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // The log names who did it.
    let length = office.desk.store.stream_length("log").unwrap();
    let moved: Vec<merkle::Leaf> = office.desk.store.read_stream("log", 0, length as usize).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap()).filter(|leaf| leaf.kind() == 122).collect();
    assert_eq!(moved.len(), 2);
    for (leaf, receipt) in moved.iter().zip([&second, &third]) {
        let at = traced(&office, &receipt.document).unwrap().unwrap();
        assert_eq!(office.desk.store.read_stream("log", at, 1).unwrap()[0], leaf.to_bytes());
    }
    let forged = String::from_utf8(third.document.clone()).unwrap().replace("39200.00", "39201.00");
    assert!(forged.as_bytes() != third.document && traced(&office, forged.as_bytes()) == Err(filing::keep::ReceiptError::Log));
    // No leaf of its whole life tells its id.
    assert!(office.desk.store.read_stream("log", 0, length as usize).unwrap().iter().all(|leaf| !String::from_utf8_lossy(leaf).contains(&id)));
    assert!(moved.iter().all(|leaf| leaf.payload().contains("\"officer\":\"陈一\",\"user\":1000")), "{}", moved[0].payload());
    assert_eq!(json(&second.document)["prev_receipt_digest"]["sha256"], digest(&first.document));
    assert_eq!(json(&third.document)["prev_receipt_digest"]["sha256"], digest(&second.document));
    assert_eq!(json(&third.document)["amounts_due"], "39200.00");
    assert!(Signature::read(&third.seal).unwrap().prove(&third.document, &[]).is_ok());
    let shown = shown(&office.desk, &id).unwrap();
    assert_eq!((shown.record.status, shown.issued.len()), (Status::Processed, 3));
    assert!(proceed(&office.desk, &id, Status::Rejected, &Decision::default(), &crate::office::officer()).is_err());
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
    // Given again it does not live again, and nobody is told that it does.
    let again = give(&principal, &mandate, &office.sign(&principal, &mandate)).unwrap_err().to_string();
    assert!(again.contains("withdrawn"), "{again}");
    // After its last day too.
    office.clock.set(NOW + Duration::days(40));
    assert_eq!(office.refused(&agent, &by_agent("202611"))[0], 10);
}

/// Both read it, under two ids; one who reads for both reads it once.
#[test]
fn what_an_agent_files_is_mailed_to_its_principal_and_to_the_agent() {
    let office = Office::open();
    let at = |code, mailbox: &'static str| office.firm_with(code, |plan| plan.extensions.alternative_names = vec![pki::certificate::AlternativeName::Email(mailbox.into())]);
    let (principal, agent) = (at(CODE, "1234567897@mail.example.cn"), at(OTHER, "agency@mail.example.cn"));
    let mandate_id = id();
    let mandate = serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": "2026-11-01", "until": "2026-11-30"});
    let mandate = filing::document::Value::parse(mandate.to_string().as_bytes()).unwrap().canonical();
    mandate::give(&office.desk, &office.caller(&principal), &mandate, &office.sign(&principal, &mandate)).unwrap();
    let file = |period: &str| {
        let filing = vat(CODE, |filing| {
            filing["signer_role"] = "agent".into();
            filing["mandate"] = mandate_id.clone().into();
            filing["period"] = period.into();
        });
        json(&office.receipt(&agent, &filing).document)["receipt_no"].as_str().unwrap().to_owned()
    };
    let letters = || {
        let page = outbox::collect(&office.desk).unwrap();
        let mut all: Vec<(String, String)> = page.letters.iter().map(|letter| serde_json::to_value(letter).unwrap()).map(|letter| (letter["id"].as_str().unwrap().to_owned(), letter["to"]["mailbox"].as_str().unwrap().to_owned())).collect();
        all.sort();
        all
    };
    let texts = || outbox::collect(&office.desk).unwrap().letters.iter().map(|letter| letter.text.contains("代理的申报") && letter.text.contains("as an agent")).collect::<Vec<_>>();
    let delivered = |id: &str| outbox::done(&office.desk, &[serde_json::from_value(serde_json::json!({"id": id, "outcome": {"delivered": "ab".repeat(32)}})).unwrap()]).unwrap();
    let number = file("202610");
    assert_eq!(letters(), [(number.clone(), "1234567897@mail.example.cn".into()), (format!("{number}/agent"), "agency@mail.example.cn".into())]);
    // Which of the two it is, is said; receipt and seal are named by the receipt in both.
    assert_eq!(texts(), [false, true]);
    assert!(outbox::collect(&office.desk).unwrap().letters.iter().all(|letter| letter.files.iter().all(|file| file.name.starts_with(&format!("receipt-{number}.")))));
    delivered(&number);
    assert_eq!(letters(), [(format!("{number}/agent"), "agency@mail.example.cn".into())]);
    delivered(&format!("{number}/agent"));
    let of = shown(&office.desk, number.trim_end_matches("-1")).unwrap();
    assert_eq!(serde_json::to_value(&of.issued[0]).unwrap(), serde_json::json!({"receipt_no": number, "sealed": true, "letter": "sent", "agent_letter": "sent"}));
    // The bureau was told another address of both: the same one.
    for code in [CODE, OTHER] {
        office.desk.store.commit(store::Batch::new().put(filing::desk::record::letter::mailbox_key(code), [b"\x01".as_slice(), b"both@mail.example.cn"].concat())).unwrap();
    }
    let number = file("202608");
    assert_eq!(letters(), [(number, "both@mail.example.cn".into())]);
}

/// Judged when it was signed and when it came: a signature of the mandate's days that comes later is not filed under it.
#[test]
fn a_mandate_that_ended_covers_nothing_that_comes_after() {
    let office = Office::open();
    let (principal, agent) = (office.firm(CODE), office.firm(OTHER));
    let mandate = |id: &str, from: &str, until: &str| {
        let text = serde_json::json!({"kind": "MANDATE", "mandate_id": id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": from, "until": until});
        filing::document::Value::parse(text.to_string().as_bytes()).unwrap().canonical()
    };
    let give = |document: &[u8]| mandate::give(&office.desk, &office.caller(&principal), document, &office.sign(&principal, document));
    // One that is over already is not given at all.
    assert!(give(&mandate(&id(), "2026-10-01", "2026-11-04")).unwrap_err().to_string().contains("over"));
    let last_day = id();
    give(&mandate(&last_day, "2026-11-01", "2026-11-05")).unwrap();
    let filing = vat(CODE, |filing| {
        filing["signer_role"] = "agent".into();
        filing["mandate"] = last_day.clone().into();
    });
    let signed = office.stamped(&office.sign(&agent, &filing), NOW);
    // Its last day ends in the city, not in Greenwich.
    office.clock.set(time::macros::datetime!(2026-11-05 16:00 UTC));
    assert_eq!(refused(office.submit_signed(&agent, &filing, signed.clone()).unwrap()), [10]);
    office.clock.set(time::macros::datetime!(2026-11-05 15:59:59 UTC));
    receipted(office.submit_signed(&agent, &filing, signed).unwrap());
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
