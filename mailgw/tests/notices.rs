//! Notices of an authority: delivered once whatever fails, told only when durable, and never relayed or forged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keys::{KeyStore, Passphrase};
use mailgw::bureau::trust::Anchors;
use mailgw::directory::{Applicant, NewPassword, Words, today};
use mailgw::flow::notices::{Collected, collect};
use mailgw::gateway::Gateway;
use mailgw::outbox::{Done, From, Letter, Outbox, Outcome, Page, Recipient, Unread};
use mailgw::policy;
use mailgw::record::event::{Event, STREAM};
use mailgw::record::settings::Settings;
use runtime::clock::FakeClock;
use runtime::exit::{Exit, Problem};
use store::{Fault, Faulty, Memory, Store};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-29 01:00 UTC);
const DOMAIN: &str = "mail.gz.example";

struct City {
    place: tempfile::TempDir,
    store: Arc<Memory>,
    keys: Arc<KeyStore>,
    root: String,
}

impl City {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        mailgw::policy::read(&ship(&place)).unwrap();
        Self { store: Arc::new(Memory::new()), keys: Arc::new(keys), root, place }
    }

    fn gateway(&self, store: Arc<dyn Store>) -> Gateway {
        let settings = Settings { domain: DOMAIN.into(), host: "mx.mail.gz.example".into(), log_origin: "mx/mailgw".into(), log_key: "unused".into() };
        let anchors = Anchors::parse(self.root.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
        let policies = policy::read(&self.place.path().join("policies")).unwrap();
        Gateway::open(store, settings, Arc::clone(&self.keys), anchors, policies, Arc::new(FakeClock::new(NOW))).unwrap()
    }

    fn whole(&self) -> Gateway {
        self.gateway(Arc::clone(&self.store) as Arc<dyn Store>)
    }
}

fn ship(place: &tempfile::TempDir) -> std::path::PathBuf {
    let path = place.path().join("policies");
    for (below, shipped) in [("mailbox", &policies::mailbox::SHIPPED[..]), ("push", &policies::push::SHIPPED[..]), ("senders", &policies::sender::SHIPPED[..]), ("statements", &policies::statement::SHIPPED[..])] {
        std::fs::create_dir_all(path.join(below)).unwrap();
        shipped.iter().for_each(|(file, text)| std::fs::write(path.join(below).join(file), text).unwrap());
    }
    path
}

fn open(gateway: &Gateway, words: Words) -> String {
    let applicant = Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
    gateway.directory.open(applicant, NewPassword::Generated, NOW).unwrap().account.mailbox()
}

fn citizen(gateway: &Gateway) -> String {
    open(gateway, Words { id_type: Some("01".into()), id_no: Some("440106189602290015".into()), name: Some("陈秀英".into()), ..Words::default() })
}

fn operator(gateway: &Gateway) -> String {
    open(gateway, Words { code: Some("12440100MAT9901707".into()), name: Some("运营中心".into()), aliases: vec!["postmaster".into()], operator: true, ..Words::default() })
}

/// An authority's outbox that keeps a letter until it is told of it, and may not hear.
#[derive(Default)]
struct Letters {
    waiting: Mutex<Vec<Letter>>,
    told: Mutex<BTreeMap<String, Outcome>>,
    deaf: bool,
}

impl Letters {
    fn of(letters: Vec<Letter>) -> Self {
        Self { waiting: Mutex::new(letters), ..Self::default() }
    }

    fn outcome(&self, id: &str) -> Option<Outcome> {
        self.told.lock().unwrap().get(id).cloned()
    }
}

impl Outbox for Letters {
    fn collect(&self) -> Result<Page, Problem> {
        let from = From { name: "穗印认证中心".into(), mailbox: "postmaster".into() };
        Ok(Page { authority: "ca.example/ca+1a2b3c4d+key".into(), from, letters: self.waiting.lock().unwrap().clone() })
    }

    fn done(&self, told: &[Done]) -> Result<(), Problem> {
        if self.deaf {
            return Err(Problem::new(Exit::Unavailable, "away", "the authority is away", "start it"));
        }
        self.waiting.lock().unwrap().retain(|letter| told.iter().all(|done| done.id != letter.id));
        self.told.lock().unwrap().extend(told.iter().map(|done| (done.id.clone(), done.outcome.clone())));
        Ok(())
    }
}

fn letter(id: &str, to: Recipient) -> Letter {
    Letter { id: id.into(), to, subject: "企业签名证书还剩 30 天到期 / ends in 30 days".into(), text: "您好：\n\n序列号 0a\n".into(), files: Vec::new() }
}

fn to(address: &str) -> Recipient {
    Recipient::Mailbox(address.into())
}

fn inbox(gateway: &Gateway, mailbox: &str) -> Vec<Vec<u8>> {
    let view = gateway.messages.view(mailbox, "INBOX").unwrap();
    view.messages.iter().map(|message| gateway.messages.load(&view.folder, message.uid).unwrap()).collect()
}

#[test]
fn a_letter_is_delivered_told_of_and_in_the_log() {
    let city = City::found();
    let gateway = city.whole();
    let (mailbox, postmaster) = (citizen(&gateway), operator(&gateway));
    let address = format!("{mailbox}@{DOMAIN}");
    let outbox = Letters::of(vec![letter("0a.30-days", to(&address)), letter("unaddressed.list-1-0", Recipient::Operator)]);
    assert_eq!(collect(&gateway, &outbox).unwrap(), Collected { delivered: 2, later: 0, refused: 0 });
    let mail = inbox(&gateway, &mailbox);
    let [mail] = mail.as_slice() else { panic!("{}", mail.len()) };
    let text = String::from_utf8(mail.clone()).unwrap();
    assert!(text.contains(&format!("<postmaster@{DOMAIN}>")) && text.contains(&format!("To: {address}\r\n")) && text.contains("Date: Sun, 29 Nov 2026 09:00:00 +0800\r\n"), "{text}");
    assert_eq!(inbox(&gateway, &postmaster).len(), 1);
    let Some(Outcome::Delivered(digest)) = outbox.outcome("0a.30-days") else { panic!("not told") };
    let leaves = city.store.read_stream(STREAM, 0, 100).unwrap();
    let events: Vec<Event> = leaves.iter().map(|leaf| Event::from_leaf(leaf).unwrap().0).collect();
    assert!(events.iter().any(|event| matches!(event, Event::NoticeDelivered(notice) if notice.mailbox == mailbox && notice.digest == digest)));
    // Once more under the same id: the answer is the same, and the mailbox too.
    let again = Letters::of(vec![letter("0a.30-days", to(&address)), letter("0a.14-days", to(&address))]);
    collect(&gateway, &again).unwrap();
    assert_eq!(again.outcome("0a.30-days"), Some(Outcome::Delivered(digest)));
    assert_eq!(inbox(&gateway, &mailbox).len(), 2);
}

#[test]
fn what_has_no_mailbox_here_is_refused_by_its_reason() {
    let city = City::found();
    let gateway = city.whole();
    let mailbox = citizen(&gateway);
    let number = policies::mailbox::MailboxNumber::parse(&mailbox).unwrap();
    gateway.directory.close(number, NOW).unwrap();
    let cases = [
        ("closed", to(&format!("{mailbox}@{DOMAIN}")), Unread::ClosedMailbox),
        ("unknown", to(&format!("nobody@{DOMAIN}")), Unread::UnknownMailbox),
        ("wrong", to(&format!("1234567890@{DOMAIN}")), Unread::UnknownMailbox),
        ("elsewhere", to("office@elsewhere.example"), Unread::Elsewhere),
        ("below", to(&format!("a@sub.{DOMAIN}")), Unread::Elsewhere),
        // There is no postmaster yet.
        ("operator", Recipient::Operator, Unread::UnknownMailbox),
    ];
    let outbox = Letters::of(cases.iter().map(|(id, to, _)| letter(id, to.clone())).collect());
    assert_eq!(collect(&gateway, &outbox).unwrap().refused, cases.len() as u64);
    for (id, _, reason) in cases {
        assert_eq!(outbox.outcome(id), Some(Outcome::Refused(reason)), "{id}");
    }
    let forged = Letter { subject: "a\r\nBcc: everybody@elsewhere.example".into(), ..letter("forged", Recipient::Operator) };
    operator(&gateway);
    let outbox = Letters::of(vec![forged]);
    collect(&gateway, &outbox).unwrap();
    assert_eq!(outbox.outcome("forged"), Some(Outcome::Refused(Unread::Gateway)));
}

#[test]
fn whatever_fails_one_letter_is_one_message() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        for commit in 0..3 {
            let city = City::found();
            let mailbox = citizen(&city.whole());
            let (first, second) = (format!("{mailbox}@{DOMAIN}"), format!("{mailbox}@{DOMAIN}"));
            let mut outbox = Letters::of(vec![letter("0a.30-days", to(&first)), letter("0b.30-days", to(&second))]);
            // The store fails at one commit, and the authority does not hear what was done.
            outbox.deaf = true;
            let failing = Faulty::new(Arc::clone(&city.store) as Arc<dyn Store>).at(commit, fault);
            let _ = collect(&city.gateway(Arc::new(failing)), &outbox);
            assert!(outbox.told.lock().unwrap().is_empty());
            // Both come up again.
            outbox.deaf = false;
            let gateway = city.whole();
            collect(&gateway, &outbox).unwrap();
            assert_eq!(inbox(&gateway, &mailbox).len(), 2, "{fault:?} at {commit}");
            assert!(matches!((outbox.outcome("0a.30-days"), outbox.outcome("0b.30-days")), (Some(Outcome::Delivered(_)), Some(Outcome::Delivered(_)))));
        }
    }
}
