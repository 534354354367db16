//! The way back where nobody is left who can grant powers: narrow, recorded, and told to everybody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use ca::doctor::Grade;
use ca::flow::issue::Order;
use ca::flow::officer::{Grant, grant};
use ca::flow::plan::Words;
use ca::flow::recover::{RecoverError, Recovered, recover};
use ca::flow::{Authorised, Proven, contact, outbox};
use ca::problem::OfficerError;
use ca::operation::Operation;
use ca::record::{NoticeState, Recipient, serial_text};
use ca::service::{Outcome, Service};
use office::{Office, new_request, operates};
use policies::authority::Power;
use time::Duration;

const REASON: &str = "唯一的管理员证书已过期";

fn asked(request: Vec<u8>, name: &str, number: &str) -> Order {
    Order { profile: "officer".into(), request, applicant: Words { officer: Some(name.into()), number: Some(number.into()), ..Words::default() }, issuer: None }
}

fn told(office: &Office) -> Vec<(Grade, String)> {
    let service = Service { authority: std::sync::Arc::new(office.authority().over(std::sync::Arc::clone(&office.authority().store))), evidence: std::sync::Arc::clone(&office.opened.evidence) };
    match service.perform(&Proven::local(office.authority(), 7).unwrap(), Operation::Doctor).map_err(|problem| problem.message).unwrap() {
        Outcome::Examined(examined) => examined.findings.into_iter().filter(|finding| finding.what.starts_with("officers: ")).map(|finding| (finding.grade, finding.what)).collect(),
        _ => panic!("something else"),
    }
}

#[test]
fn where_no_administrator_is_left_the_owner_makes_one_and_nobody_is_left_untold() {
    let office = Office::found();
    let recover = |order: Order, reason: &str| -> Result<Recovered, RecoverError> { recover(office.authority(), 7, order, reason) };
    let owner = Authorised::by_ownership(7);
    assert!(matches!(recover(asked(new_request(), "陈一", "A-1"), REASON), Err(RecoverError::NoneYet)));
    // An administrator and an operator, of whom two have mailboxes; while one administrates there is no way round.
    let first = office.officer("first", "A-1", Some(Power::Administrator), &owner);
    let operator = office.officer("operator", "B-1", Some(Power::Operator), &first.administers(office.authority()));
    let auditor = office.officer("auditor", "C-1", Some(Power::Auditor), &first.administers(office.authority()));
    for (serial, mailbox) in [(&first.serial, "chen@mail.example.cn"), (&operator.serial, "li@mail.example.cn")] {
        contact::set(office.authority(), &operates(), &contact::SetContact { serial: serial.clone(), mailbox: Some(mailbox.into()) }).unwrap();
    }
    assert!(matches!(recover(asked(new_request(), "陈一", "A-1"), REASON), Err(RecoverError::Administered { count: 1 })));
    // All their certificates end. The owner can grant nothing, and the doctor says what to do.
    office.clock.advance(Duration::days(400));
    let local = Proven::local(office.authority(), 7).unwrap();
    assert!(local.acting::<ca::flow::Administrator>().is_err());
    assert!(told(&office).iter().any(|(grade, _)| *grade == Grade::Fail));
    let (entries, listed) = (office.authority().store.stream_length(ca::record::log::STREAM).unwrap(), || ca::register::list(&*office.authority().store, &ca::register::Query { profile: Some("officer".into()), ..Default::default() }, 0).unwrap().len());
    let before = listed();
    for reason in ["", "too short", " 前面有空格的理由也不行", "two\nlines of reasons", &"字".repeat(501)] {
        assert!(matches!(recover(asked(new_request(), "陈一", "A-1"), reason), Err(RecoverError::Reason)), "{reason:?}");
    }
    // Powers that exclude each other are not had in this way either: told before anything is certified.
    assert!(matches!(recover(asked(new_request(), "李二", "b-1"), REASON), Err(RecoverError::Officer(OfficerError::Excluded { .. }))));
    assert!(recover(asked(b"no request".to_vec(), "陈一", "A-1"), REASON).is_err());
    assert_eq!((office.authority().store.stream_length(ca::record::log::STREAM).unwrap(), listed()), (entries, before));
    // The one who was administrator before, with a new key: certified without anybody's approval, once.
    let request = new_request();
    let done = recover(asked(request.clone(), "陈一", "A-1"), REASON).unwrap();
    let serial = serial_text(&done.serial);
    assert_eq!((listed(), done.told), (before + 1, 3));
    let logged = office.logged(101);
    assert!(logged.len() == 1 && logged[0].contains(&serial) && logged[0].contains("\"by\":\"uid:7\"") && !logged[0].contains(REASON), "{logged:?}");
    // Nobody finds the reason by guessing at it.
    let guessed: String = ring::digest::digest(&ring::digest::SHA256, REASON.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!logged[0].contains(&guessed), "{logged:?}");
    assert!(office.logged(10).iter().any(|entry| entry.contains(&serial) && entry.contains("uid:7")));
    assert!(matches!(recover(asked(request, "陈一", "A-1"), REASON), Err(RecoverError::Administered { count: 1 })));
    // Whoever held a power and has a mailbox is told, and the operator; in words that can be looked up.
    let page = outbox::collect(office.authority(), &Authorised::by_outbox(0)).unwrap();
    let ours: Vec<_> = page.letters.iter().filter(|letter| letter.text.contains(REASON)).collect();
    let mut to: Vec<&Recipient> = ours.iter().map(|letter| &letter.to).collect();
    to.sort_by_key(|to| format!("{to:?}"));
    assert_eq!(to, [&Recipient::Mailbox("chen@mail.example.cn".into()), &Recipient::Mailbox("li@mail.example.cn".into()), &Recipient::Operator]);
    assert!(ours.iter().all(|letter| letter.text.contains(&serial) && letter.text.contains("陈一") && letter.subject.contains("The owner of the machine")));
    assert!(outbox::list(office.authority(), Some(NoticeState::Queued), 100).unwrap().len() >= 3);
    // From here on all goes as before: the owner grants nothing, the new administrator does.
    assert!(Proven::local(office.authority(), 7).unwrap().acting::<ca::flow::Administrator>().is_err());
    let administrator = Proven::officer(office.authority(), &done.record.der).unwrap().acting().unwrap();
    let second = office.officer("second", "A-2", None, &owner);
    grant(office.authority(), &administrator, &Grant { serial: second.serial.clone(), power: Power::Administrator }).unwrap();
    drop(auditor);
    // The doctor tells of it for ninety days.
    let shown = |office: &Office| told(office).into_iter().any(|(grade, what)| grade == Grade::Warn && what.contains(REASON) && what.contains(&serial));
    assert!(shown(&office));
    let office = office.reopen();
    office.clock.advance(Duration::days(89));
    assert!(shown(&office));
    office.clock.advance(Duration::days(2));
    assert!(!shown(&office));
}

#[test]
fn a_recovery_that_was_cut_off_is_said_again_with_the_certificate_it_had() {
    let office = Office::found();
    office.officer("first", "A-1", Some(Power::Administrator), &Authorised::by_ownership(7));
    office.clock.advance(Duration::days(400));
    // Certified, and then the power went.
    let key = office.keys.generate("again", pki::signer::SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let made = ca::flow::issue::issue(office.authority(), Authorised::service(), asked(request.clone(), "王三", "A-3")).unwrap();
    let done = recover(office.authority(), 7, asked(request, "王三", "A-3"), REASON).unwrap();
    assert_eq!(done.serial, made.what().serial);
    assert_eq!(office.logged(101).len(), 1);
}
