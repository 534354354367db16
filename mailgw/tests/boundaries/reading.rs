//! Evidence of reading: by an act of the owner under the owner's own login, once; never by a fetch, a program or a wrong code.

use std::io::Cursor;

use mailgw::bureau::trust::Anchors;
use mailgw::directory::Credential;
use mailgw::erds::{self, Event as Delivery, Item as Evidence};
use mailgw::flow::evidence::Wanted;
use mailgw::flow::reading::{Request, answer_all};
use mailgw::wire::accounts::Login;
use policies::mailbox::MailboxNumber;
use store::Batch;
use time::Duration;

use super::evidence::install;
use super::paper::{inbox, mailbox_of};
use super::*;

fn read(city: &City, gateway: &Gateway, batch: &str) -> Vec<Evidence> {
    let file = city.path("read.jsonl");
    mailgw::flow::evidence::export(gateway, &city.lists, &Wanted { bureau: FUND.into(), batch: batch.into(), row: None, file: file.clone() }).unwrap();
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let (bytes, mut found) = (std::fs::read(file).unwrap(), Vec::new());
    erds::verify(Cursor::new(bytes), &anchors, &mut |judged| found.push(judged.item)).unwrap();
    found.into_iter().filter(|item| item.event == Delivery::ContentHandover).collect()
}

/// The owner's login.
fn by(mailbox: &str, credential: Credential) -> Login {
    Login { number: MailboxNumber::parse(mailbox).unwrap(), credential, operator: None }
}

#[test]
fn who_returns_the_code_has_read_and_nobody_else() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month(&city, "housing-fund", "p", 3)).unwrap();
    let (mine, theirs) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1));
    let mut token = 0;
    let mut write_as = |mailbox: &str, subject: &str, login: Login| {
        token += 1;
        let request = Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), login).unwrap();
        gateway.store.commit(request.put(Batch::new(), &gateway, mailbox, &token.to_string(), city_now(&city)).unwrap()).unwrap();
        assert_eq!(answer_all(&gateway).unwrap(), 1);
        mail_parser::MessageParser::new().parse(inbox(&gateway, mailbox).last().unwrap()).unwrap().body_text(0).unwrap().into_owned()
    };
    let code = |text: &str| text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned();
    // An operator by the own certificate, or by whatever else: never the institution's own word, neither to ask nor to return a code.
    for credential in [Credential::Certificate([7; 32]), Credential::App(1), Credential::Password] {
        for subject in ["p-0", "123456"] {
            assert!(write_as(&mine, subject, Login { operator: Some(1), ..by(&mine, credential) }).contains("as an operator"), "{credential:?} {subject}");
        }
    }
    let mut write = |mailbox: &str, subject: &str, credential: Credential| write_as(mailbox, subject, by(mailbox, credential));
    assert!(write(&theirs, "p-0", Credential::Password).contains("was not found"), "another's");
    assert!(write(&mine, "p-0", Credential::App(1)).contains("a program holds"));
    assert!(write(&mine, "123456", Credential::Password).contains("was not found"), "a code that nobody sent");
    let first = code(&write(&mine, "p-0", Credential::Password));
    let wrong = if first == "000000" { "000001" } else { "000000" };
    assert!(write(&mine, wrong, Credential::Password).contains("not the code"));
    // Another's code proves nothing here.
    assert!(write(&theirs, &first, Credential::Password).contains("was not found"));
    assert!(read(&city, &gateway, "p").is_empty());
    assert!(write(&mine, &format!("Re: {first}"), Credential::Certificate([7; 32])).contains("recorded"));
    let found = read(&city, &gateway, "p");
    assert_eq!(found.len(), 1);
    let (item, act) = (&found[0], found[0].act.as_ref().unwrap());
    assert_eq!((item.submission.row, act.login.as_str(), act.deed.as_str()), (1, "certificate", "code-returned"));
    assert!(item.recipient_details.as_ref().unwrap().starts_with(&mine));
    // Once.
    let again = code(&write(&mine, "p-0", Credential::Password));
    assert!(write(&mine, &again, Credential::Password).contains("recorded"));
    assert_eq!(read(&city, &gateway, "p").len(), 1);
    // An hour later it is over, and so it is after five that are wrong.
    let late = code(&write(&mine, "p-0", Credential::Password));
    city.clock.set(NOW + Duration::hours(1));
    assert!(write(&mine, &late, Credential::Password).contains("is over"));
    let tried = code(&write(&mine, "p-0", Credential::Password));
    let wrong = if tried == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert!(write(&mine, wrong, Credential::Password).contains("not the code"));
    }
    assert!(write(&mine, &tried, Credential::Password).contains("is over"));
    assert!(Request::read(b"Auto-Submitted: auto-replied\r\nSubject: 123456\r\n\r\n", by(&mine, Credential::Password)).is_none());
}

fn city_now(city: &City) -> time::OffsetDateTime {
    use runtime::clock::Clock as _;
    city.clock.now()
}

#[test]
fn a_fault_at_the_commit_that_records_it_doubles_nothing() {
    for fault in FAULTS {
        let city = City::found();
        let gateway = city.gateway(Arc::clone(&city.store));
        install(&city, &gateway);
        pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month(&city, "housing-fund", "p", 3)).unwrap();
        let mine = mailbox_of(&gateway, 0);
        let write = |subject: &str, token: &str| {
            let request = Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), by(&mine, Credential::Password)).unwrap();
            gateway.store.commit(request.put(Batch::new(), &gateway, &mine, token, NOW).unwrap()).unwrap();
        };
        write("p-0", "a");
        answer_all(&gateway).unwrap();
        let text = mail_parser::MessageParser::new().parse(inbox(&gateway, &mine).last().unwrap()).unwrap().body_text(0).unwrap().into_owned();
        let code = text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned();
        write(&code, "b");
        // The first commit of a process takes numbers for bodies.
        assert!(answer_all(&city.gateway(faulty(&city.store, Some((1, fault))))).is_err(), "{fault:?}");
        answer_all(&city.gateway(Arc::clone(&city.store))).unwrap();
        assert_eq!(read(&city, &gateway, "p").len(), 1, "{fault:?}");
    }
}
