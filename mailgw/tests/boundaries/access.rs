//! That a client's program fetched a statement is evidence of access, once, for the mailbox it was delivered to.

use std::io::Cursor;

use mailgw::bureau::trust::Anchors;
use mailgw::erds::{self, Event as Delivery, Item as Evidence};
use mailgw::flow::access;
use mailgw::flow::evidence::Wanted;

use super::evidence::install;
use super::*;

/// Fetches every message of everybody, as a client's program does.
fn fetch_all(city: &City, gateway: &Gateway) -> u64 {
    let mut fetched = 0;
    for (id_type, id_no, _) in PEOPLE {
        let document = Document::parse(id_type, id_no, today(NOW)).unwrap();
        let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
        let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
        for message in &view.messages {
            gateway.messages.show(&mailbox, &view.folder, message.uid, mailgw_millis(city)).unwrap();
            fetched += 1;
        }
    }
    fetched
}

fn mailgw_millis(city: &City) -> u64 {
    use runtime::clock::Clock as _;
    u64::try_from(city.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap()
}

fn accessed(city: &City, gateway: &Gateway, bureau: &str, batch: &str, row: Option<u64>) -> Vec<Evidence> {
    let file = city.path("access.jsonl");
    mailgw::flow::evidence::export(gateway, &city.lists, &Wanted { bureau: bureau.into(), batch: batch.into(), row, file: file.clone() }).unwrap();
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let (bytes, mut found) = (std::fs::read(file).unwrap(), Vec::new());
    erds::verify(Cursor::new(bytes), &anchors, &mut |judged| found.push(judged.item)).unwrap();
    found.into_iter().filter(|item| item.event == Delivery::ContentAccessTracking).collect()
}

#[test]
fn the_first_fetch_of_a_statement_is_evidence_of_access_and_the_next_is_none() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let [one, two] = [("pension", "one"), ("housing-fund", "two")].map(|(kind, batch)| month(&city, kind, batch, 3));
    for month in [&one, &two] {
        pushed(&city, &gateway, &sealer, month).unwrap();
    }
    city.clock.set(NOW + time::Duration::HOUR);
    assert_eq!(fetch_all(&city, &gateway), 6);
    city.clock.set(NOW + time::Duration::HOUR * 2);
    fetch_all(&city, &gateway);
    assert_eq!(access::record(&gateway).unwrap(), 6);
    // Nobody is told twice, by this process or by the next.
    fetch_all(&city, &gateway);
    assert_eq!(access::record(&gateway).unwrap(), 0);
    let gateway = city.gateway(Arc::clone(&city.store));
    fetch_all(&city, &gateway);
    assert_eq!(access::record(&gateway).unwrap(), 0);
    let mailboxes = delivered(&city, &gateway);
    for month in [&one, &two] {
        let found = accessed(&city, &gateway, month.bureau, &month.batch, None);
        assert_eq!(found.iter().map(|item| item.submission.row).collect::<BTreeSet<_>>(), (1..=3).collect::<BTreeSet<_>>(), "{}", month.batch);
        for item in &found {
            let copies = &mailboxes[&item.user_content_info.as_ref().unwrap().digest_value];
            assert_eq!(item.recipient_details.as_ref().unwrap(), &format!("{}@{}", copies[0].mailbox, city::DOMAIN));
            assert_eq!(item.event_time, NOW + time::Duration::HOUR, "of the first fetch");
            assert!(item.event_reasons.is_empty() && item.evidence_identifier.ends_with("/ContentAccessTracking"));
        }
        assert_eq!(found.len(), 3);
        assert_eq!(accessed(&city, &gateway, month.bureau, &month.batch, Some(3)).len(), 1);
    }
    // Nothing here ever says that a person read.
    let items = (1..=city.store.counter(mailgw::record::evidence::BATCHES).unwrap()).flat_map(|number| mailgw::record::evidence::items(&*city.store, number).unwrap().unwrap());
    assert!(items.into_iter().all(|line| !line.contains("Handover")));
}

#[test]
fn access_is_recorded_once_after_a_fault_and_waits_while_the_store_is_away() {
    let city = City::found();
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    for (batch, fault) in [("lost", Fault::Lost), ("unheard", Fault::DoneReportedLost)] {
        let month = month(&city, "housing-fund", batch, 3);
        pushed(&city, &city.gateway(Arc::clone(&city.store)), &sealer, &month).unwrap();
        let gateway = city.gateway(faulty(&city.store, Some((0, fault))));
        fetch_all(&city, &gateway);
        assert!(access::record(&gateway).is_err(), "{batch}");
        assert!(gateway.messages.fetched().some(9).len() >= 3, "{batch}: it waits");
        let gateway = city.gateway(Arc::clone(&city.store));
        fetch_all(&city, &gateway);
        assert_eq!(access::record(&gateway).unwrap(), if fault == Fault::Lost { 3 } else { 0 }, "{batch}");
    }
    let recorded = events(&*city.store).into_iter().filter(|event| matches!(event, Event::EvidenceRecorded(_))).count();
    assert_eq!((recorded, all(&*city.store, "statement access").len()), (4, 6));
}

/// What calls itself a statement is one where it is what was delivered under that name to that mailbox.
#[test]
fn a_message_that_claims_to_be_a_statement_is_no_evidence() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let month = month(&city, "housing-fund", "claim", 3);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let read: Vec<Read> = delivered(&city, &gateway).into_values().flatten().collect();
    let view = gateway.messages.view(&read[0].mailbox, "INBOX").unwrap();
    let bytes = gateway.messages.load(&view.folder, view.messages[0].uid).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let named = mailgw::statement::named_by(&bytes, &gateway.directory_key).unwrap();
    assert!(named.bureau == FUND && named.statement.starts_with("claim-"));
    let deliver = |mailbox: &str, bytes: Vec<u8>| {
        let delivery = mailgw::mailbox::Delivery { mailbox: mailbox.into(), folder: "Drafts".into(), content: bytes.into(), unix_millis: 0, flags: protocol::imap::exchange::Flags::new(), event: None, mark: None };
        gateway.messages.deliver(&[delivery], 0).unwrap();
    };
    // Somebody else's copy of it, an altered one, and one that names nothing.
    deliver(&read[1].mailbox, bytes);
    deliver(&read[0].mailbox, text.replace("housing-fund", "HOUSING-FUND").into_bytes());
    deliver(&read[0].mailbox, b"Statement-Reference: nobody x\r\n\r\n".to_vec());
    for mailbox in [&read[0].mailbox, &read[1].mailbox] {
        let view = gateway.messages.view(mailbox, "Drafts").unwrap();
        view.messages.iter().for_each(|message| drop(gateway.messages.show(mailbox, &view.folder, message.uid, 1).unwrap()));
    }
    assert_eq!(access::record(&gateway).unwrap(), 0);
    // And hides nobody's own.
    fetch_all(&city, &gateway);
    assert_eq!(access::record(&gateway).unwrap(), 3);
}
