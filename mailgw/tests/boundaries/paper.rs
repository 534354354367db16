//! A statement on paper says what was sealed, is sealed like it, and is made of nothing else.

use std::process::Command;

use mail_parser::{MessageParser, MimeHeaders as _};
use mailgw::flow::paper::{self, PaperError, Request, Wanted};
use mailgw::sealer::Page;
use mailgw::statement::{PaperError as Unmade, paper as made_of, sealed_part};
use runtime::exit::Problem;
use store::Batch;

use super::*;

pub(crate) fn mailbox_of(gateway: &Gateway, person: usize) -> String {
    let (id_type, id_no, _) = PEOPLE[person];
    gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().mailbox()
}

pub(crate) fn inbox(gateway: &Gateway, mailbox: &str) -> Vec<Vec<u8>> {
    let view = gateway.messages.view(mailbox, "INBOX").unwrap();
    view.messages.iter().map(|message| gateway.messages.load(&view.folder, message.uid).unwrap()).collect()
}

fn text_of(city: &City, pdf: &[u8]) -> String {
    let path = city.path("shown.pdf");
    std::fs::write(&path, pdf).unwrap();
    let out = Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&path).arg("-").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// OpenSSL finds the seal good, with the root alone.
fn openssl_verifies(city: &City, pdf: &[u8], seal: &[u8]) {
    for (name, bytes) in [("root.pem", city.root_pem.as_bytes()), ("s.pdf", pdf), ("s.p7s", seal)] {
        std::fs::write(city.path(name), bytes).unwrap();
    }
    let out = Command::new("openssl")
        .args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-attime", &NOW.unix_timestamp().to_string()])
        .arg("-in").arg(city.path("s.p7s")).arg("-content").arg(city.path("s.pdf")).arg("-CAfile").arg(city.path("root.pem")).args(["-out", "/dev/null"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn wanted(bureau: &str, statement: &str) -> Wanted {
    Wanted { bureau: bureau.into(), statement: statement.into(), file: None, seal: None, deliver: false }
}

#[test]
fn the_page_has_the_figures_of_the_message_and_the_bureaus_seal() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    for kind in ["pension", "housing-fund"] {
        let month = month(&city, kind, kind, 3);
        pushed(&city, &gateway, &sealer, &month).unwrap();
        let (file, seal) = (city.path("paper.pdf"), city.path("paper.p7s"));
        let asked = Wanted { file: Some(file.clone()), seal: Some(seal.clone()), deliver: true, ..wanted(month.bureau, &format!("{kind}-1")) };
        let made = paper::make(&gateway, &sealer, &city.lists, &asked).unwrap();
        let pdf = std::fs::read(&file).unwrap();
        assert_eq!((made.sha256, made.delivered), (hex(&digest(&pdf)), true));
        openssl_verifies(&city, &pdf, &std::fs::read(&seal).unwrap());
        // One value, rendered four times.
        let mail = inbox(&gateway, &mailbox_of(&gateway, 1));
        let [.., original, brought] = mail.as_slice() else { panic!("a statement and its page") };
        let parsed = MessageParser::new().parse(original).unwrap();
        let (text, html) = (parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap());
        let json: serde_json::Value = serde_json::from_slice(parsed.attachments().find(|part| part.attachment_name().is_some_and(|name| name.ends_with(".json"))).unwrap().contents()).unwrap();
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect::<String>();
        let (page, text, html) = (plain(&text_of(&city, &pdf)), plain(&text), plain(&html));
        let mut amounts = 0;
        for (name, value) in json.as_object().unwrap() {
            let Some(amount) = value.as_str().filter(|value| value.contains('.') && value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))) else { continue };
            amounts += 1;
            for (rendering, content) in [("PDF", &page), ("text", &text), ("HTML", &html)] {
                assert!(content.contains(amount), "{kind} {name} {amount} is not in the {rendering}");
            }
        }
        assert!(amounts > 10 && page.contains("第1页") && page.contains(&hex(&digest(sealed_part(original).unwrap().0))[..20]), "{page}");
        for (_, number, name) in PEOPLE {
            assert!(!page.contains(number) && !page.contains(name));
        }
        // The message that brings it is sealed too, and answers the first one.
        let (entity, seal) = sealed_part(brought).unwrap();
        openssl_verifies(&city, entity, &seal);
        let parsed_page = MessageParser::new().parse(brought).unwrap();
        assert_eq!(parsed_page.in_reply_to().as_text(), parsed.message_id());
        assert_eq!(parsed_page.attachments().find(|part| part.attachment_name() == Some("statement-202610.pdf")).unwrap().contents(), pdf);
    }
    let papered = events(&*city.store).into_iter().filter(|event| matches!(event, Event::StatementPapered(_))).count();
    let intended = events(&*city.sealing).into_iter().filter(|event| matches!(event, Event::PaperIntended(_))).count();
    assert_eq!((papered, intended), (2, 2));
}

#[test]
fn nothing_but_what_was_sealed_becomes_a_page() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let month = month(&city, "housing-fund", "m", 4);
    pushed(&city, &gateway, &sealer, &month).unwrap();
    let message = inbox(&gateway, &mailbox_of(&gateway, 0)).remove(0);
    let (entity, _) = sealed_part(&message).unwrap();
    let altered = String::from_utf8(entity.to_vec()).unwrap().replace("163,492.96", "963,492.96").into_bytes();
    assert!(altered != entity && made_of(&altered).is_ok());
    let page = |row, entity| Page { bureau: FUND, batch: "m", row, entity, at: NOW };
    let crls = city.lists.fetch(&mailgw::bureau::trust::crl_urls(mailgw::bureau::find(&*city.store, FUND).unwrap().seal.as_ref().unwrap()).unwrap(), NOW).unwrap();
    assert!(Seal::page(&sealer, &page(1, entity), &crls).is_ok());
    let length = city.sealing.stream_length(STREAM).unwrap();
    for (row, entity) in [(1, altered.as_slice()), (2, entity), (99, entity)] {
        assert_eq!(Seal::page(&sealer, &page(row, entity), &crls).unwrap_err().code, "not-sealed");
    }
    // Nobody knows whether the seal is revoked: nothing is sealed.
    assert!(Seal::page(&sealer, &page(1, entity), &[]).is_err());
    assert_eq!(city.sealing.stream_length(STREAM).unwrap(), length, "refusals are no intents");
    // What its owner deleted, what nobody sent.
    let make = |statement: &str| paper::make(&gateway, &sealer, &city.lists, &wanted(FUND, statement));
    assert!(matches!(make("none"), Err(PaperError::Unknown { .. })));
    let (mailbox, view) = (mailbox_of(&gateway, 0), gateway.messages.view(&mailbox_of(&gateway, 0), "INBOX").unwrap());
    gateway.messages.store_flags(&mailbox, &view.folder, &[view.messages[0].uid], protocol::imap::exchange::StoreOp::Add, &protocol::imap::exchange::Flags::new().with(protocol::imap::exchange::SystemFlag::Deleted)).unwrap();
    gateway.messages.expunge(&mailbox, &view.folder, &[view.messages[0].uid], 9).unwrap();
    assert!(matches!(make("m-0"), Err(PaperError::Gone)));
    assert!(make("m-1").is_ok());
    // No statement, no page.
    for nothing in [&b""[..], b"Subject: x\r\n\r\ny", &entity[..200]] {
        assert!(made_of(nothing).is_err());
        assert!(sealed_part(nothing).is_err());
    }
    assert_eq!(sealed_part(b"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n\r\nx").unwrap_err(), Unmade::Encrypted);
}

/// A sealer that is away.
struct Away;

impl Seal for Away {
    fn open(&self, _: &[u8], _: &[u8], _: &[Vec<u8>]) -> Result<String, Problem> {
        Err(away())
    }

    fn seal(&self, _: &str, _: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem> {
        Err(away())
    }

    fn page(&self, _: &Page<'_>, _: &[Vec<u8>]) -> Result<mailgw::sealer::PaperSeals, Problem> {
        Err(away())
    }
}

fn away() -> Problem {
    Problem::new(runtime::exit::Exit::Unavailable, "sealer-not-running", "away", "start it")
}

#[test]
fn an_owner_asks_by_mail_and_gets_what_is_the_owners() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "p", 3)).unwrap();
    let (mine, theirs) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1));
    let id = MessageParser::new().parse(&inbox(&gateway, &mine)[0]).unwrap().message_id().unwrap().to_owned();
    let ask = |mailbox: &str, token: &str, header: &str| {
        let batch = Request::read(format!("{header}\r\n\r\n").as_bytes()).put(Batch::new(), &gateway, mailbox, token, NOW).unwrap();
        gateway.store.commit(batch).unwrap();
    };
    let answered = |sealer: &dyn Seal| paper::answer_all(&gateway, sealer, &city.lists);
    // By its message, by its number.
    ask(&mine, "1", &format!("Message-ID: <q@x>\r\nIn-Reply-To: <{id}>"));
    ask(&mine, "2", "Subject: p-0");
    // While the sealer is away they wait, and nothing of them can be read in the store.
    assert!(answered(&Away).is_err());
    let waiting = all(&*city.store, "paper asked");
    assert!(waiting.len() == 2 && waiting.iter().all(|(_, value)| !value.windows(3).any(|part| part == b"p-0")));
    assert_eq!((answered(&sealer).unwrap(), answered(&sealer).unwrap()), (2, 0));
    let pages = |mailbox: &str| inbox(&gateway, mailbox).iter().filter(|bytes| MessageParser::new().parse(bytes).unwrap().attachments().any(|part| part.attachment_name().is_some_and(|name| name.ends_with(".pdf")))).count();
    assert_eq!((pages(&mine), pages(&theirs)), (2, 0));
    // Another's, by either name, and what is none: told, and nothing made.
    ask(&theirs, "3", &format!("Message-ID: <r@x>\r\nIn-Reply-To: <{id}>"));
    ask(&theirs, "4", "Subject: p-0");
    ask(&theirs, "5", "Subject: hello");
    assert_eq!(answered(&sealer).unwrap(), 3);
    assert_eq!((pages(&mine), pages(&theirs)), (2, 0));
    let told = inbox(&gateway, &theirs);
    assert_eq!(told.iter().filter(|bytes| String::from_utf8_lossy(bytes).contains("From: =?UTF-8?B?") && String::from_utf8_lossy(bytes).contains("<statement-pdf@")).count(), 3);
    // So many wait at a time, and another mailbox's do not count.
    for number in 0..20 {
        assert!(Request::may_wait(&gateway, &mine).unwrap(), "{number}");
        ask(&mine, &format!("w{number}"), "Subject: hello");
    }
    assert!(!Request::may_wait(&gateway, &mine).unwrap() && Request::may_wait(&gateway, &theirs).unwrap());
    assert_eq!(answered(&sealer).unwrap(), 20);
    // A fault at the commit that answers: once, whatever was heard of it.
    for (token, fault) in [("6", Fault::Lost), ("7", Fault::DoneReportedLost)] {
        ask(&mine, token, "Subject: p-0");
        let before = pages(&mine);
        let struck = city.gateway(faulty(&city.store, Some((1, fault))));
        assert!(paper::answer_all(&struck, &sealer, &city.lists).is_err());
        paper::answer_all(&gateway, &sealer, &city.lists).unwrap();
        assert_eq!(pages(&mine), before + 1, "{fault:?}");
    }
}
