//! Several persons in an institution's mailbox: an officer names the first, the first names others, each sends as the institution, and which
//! of them it was is known here and told to nobody.

use mailgw::directory::{Applicant, AppPasswordName, Credential, DirectoryError, NewPassword, OperatorError, Ordered, Scope, Somebody, Words};
use mailgw::flow::login::Logins;
use mailgw::flow::operator::{Application, OperatorOrderError, carry_out, end};
use mailgw::flow::submit::Submission;
use mailgw::record::operator::By;
use mailgw::wire::accounts::{Accounts, Login, Visit};
use protocol::sasl::{Offer, Secret};
use protocol::smtp::exchange::{Answer, Domain, Envelope, Output, Refusal, Request};
use protocol::smtp::session::{Role, Session, Settings};
use runtime::clock::Clock;
use ::secrecy::ExposeSecret as _;
use time::Duration;

use super::recovery::Officer;
use super::*;
use crate::city::{DOMAIN, REVOKED};

fn order(mailbox: &str, order: &str, papers: &str) -> String {
    format!(r#"{{"kind":"suiyin mailbox operator v1","mailbox":"{mailbox}@{DOMAIN}","order":{order},"papers":"{papers}"}}"#)
}

/// What an author's own program says, and the domain's mail.
fn envelope(from: &str, to: &str) -> Envelope {
    let settings = Settings { host: Domain::parse(HOST).unwrap(), tls: true, starttls: false, role: Role::Exchange, dsn: false, offer: Offer::default(), budget: protocol::budget::Budget::default(), max_size: 100_000, max_recipients: 10, max_copies: 100_000 };
    let (mut session, _) = Session::new(settings);
    let mut out = session.receive(format!("EHLO x\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\n").as_bytes());
    out.extend(session.answer(Answer::Known));
    out.extend(session.receive(b"DATA\r\nx\r\n.\r\n"));
    out.into_iter().find_map(|output| if let Output::Do(Request::Deliver { envelope, .. }) = output { Some(envelope) } else { None }).unwrap()
}

#[test]
fn an_officer_names_the_first_and_the_first_names_others() {
    let city = City::found();
    let gateway = Arc::new(city.gateway(Arc::clone(&city.store)));
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officer = Officer::new(&city, &keys, 80, "A-1", "6.1");
    let person = |at: usize| gateway.directory.find_person(&Document::parse(PEOPLE[at].0, PEOPLE[at].1, today(NOW)).unwrap()).unwrap().unwrap();
    let (chen, li) = (person(0), person(1));
    let words = Words { code: Some("91440101MAT000018G".into()), name: Some("甲有限公司".into()), aliases: vec!["jia".into()], ..Words::default() };
    let applicant = Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
    let firm = gateway.directory.open(applicant, NewPassword::Generated, NOW).unwrap();
    let (number, mailbox) = (firm.account.number, firm.account.mailbox());
    let done = |request: &str, approval: String| carry_out(&gateway, &city.more_lists(), &Application { request: request.into(), approval });
    let first = order(&mailbox, &format!(r#"{{"citizen":{{"mailbox":"{}@{DOMAIN}","first":true}}}}"#, chen.mailbox()), "letter 17");
    // Another form, other words than were signed, long ago, somebody without that power, one who is an officer no more.
    assert!(matches!(done("{}", officer.signs("{}", NOW)), Err(OperatorOrderError::Request { .. })));
    // For another gateway, or for any.
    for elsewhere in [first.replacen(DOMAIN, "mail.elsewhere.example", 1), first.replace(DOMAIN, "mail.elsewhere.example"), first.replacen(&format!("@{DOMAIN}"), "", 1), first.replace(&format!("@{DOMAIN}\",\"first"), "\",\"first")] {
        assert!(elsewhere != first && matches!(done(&elsewhere, officer.signs(&elsewhere, NOW)), Err(OperatorOrderError::Request { .. })), "{elsewhere}");
    }
    assert!(matches!(done(&first, officer.signs("{}", NOW)), Err(OperatorOrderError::Signature { .. })));
    assert!(matches!(done(&first, officer.signs(&first, NOW - Duration::days(2))), Err(OperatorOrderError::Signature { .. })));
    let (clerk, former) = (Officer::new(&city, &keys, 83, "A-3", "6.2"), Officer::new(&city, &keys, REVOKED, "A-4", "6.1"));
    for other in [clerk, former] {
        assert!(matches!(done(&first, other.signs(&first, NOW)), Err(OperatorOrderError::Trust(_))));
    }
    // A citizen whom nobody named, first.
    let signer = |account: &mailgw::directory::Account, serial: u8| Officer::of(&keys, serial, |key| city.citizen(pki::signer::Signer::public_key_info(key).to_vec(), &gateway.directory.address(account.number), serial, &[0], 24));
    let (own, others) = (signer(&chen, 71), signer(&li, 72));
    assert!(matches!(done(&first, own.signs(&first, NOW)), Err(OperatorOrderError::Stranger)));
    assert!(gateway.directory.operators(number).unwrap().is_empty());
    let shown = done(&first, officer.signs(&first, NOW)).unwrap();
    assert_eq!((shown.number, shown.first, shown.named_by.as_str()), (1, true, "officer A-1"));
    assert!(matches!(done(&first, officer.signs(&first, NOW)), Err(OperatorOrderError::Directory(DirectoryError::Operator(OperatorError::Already { .. } | OperatorError::Spent)))));
    // The first names another, who names nobody.
    let second = order(&mailbox, &format!(r#"{{"citizen":{{"mailbox":"{}@{DOMAIN}"}}}}"#, li.mailbox()), "letter 18");
    let third = order(&mailbox, r#"{"named":{"name":"王五"}}"#, "letter 19");
    assert_eq!(done(&second, own.signs(&second, NOW)).unwrap().named_by, "operator 1");
    assert!(matches!(done(&third, others.signs(&third, NOW)), Err(OperatorOrderError::Stranger)));
    assert_eq!(done(&third, own.signs(&third, NOW)).unwrap().number, 3);
    // Only for that very mailbox.
    let elsewhere = order(&chen.mailbox(), r#"{"named":{"name":"王五"}}"#, "letter 20");
    assert!(matches!(done(&elsewhere, own.signs(&elsewhere, NOW)), Err(OperatorOrderError::Stranger)));

    // Each sends as the institution.
    let logins = Arc::new(Logins { directory: Arc::clone(&gateway.directory), clock: Arc::clone(&city.clock) as Arc<dyn Clock>, certificates: None, tokens: None });
    let submission = Submission {
        gateway: Arc::clone(&gateway), accounts: Arc::clone(&logins) as Arc<dyn Accounts>, random: Arc::new(ring::rand::SystemRandom::new()),
        host: Domain::parse(HOST).unwrap(), domain: Domain::parse(&gateway.settings.domain).unwrap(), outgoing: false, senders: None,
    };
    let visit = Visit { scope: Scope::Smtp, peer: [192, 0, 2, 7].into() };
    let entered = |secret: &str| logins.login(&mailbox, &Secret::new(secret.to_owned()), visit).map(|entered| entered.login);
    let password = |operator| gateway.directory.new_app_password(number, Some(operator), &AppPasswordName::parse("电脑").unwrap(), &[Scope::Smtp], NOW).unwrap().1;
    let (to, from) = (gateway.directory.address(li.number), gateway.directory.address(number));
    let envelope = envelope(&from, &to);
    let send = |login: Login, subject: &str| {
        let message = format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nx\r\n");
        match submission.submit(login, &envelope, message.as_bytes(), NOW) {
            Answer::Durable { id } => id,
            other => panic!("{other:?}"),
        }
    };
    let secrets = [password(1), password(3)];
    let sent: Vec<String> = secrets.iter().map(|secret| entered(secret.expose()).unwrap()).enumerate().map(|(at, login)| send(login, &format!("mail {at}"))).collect();
    let owners = send(entered(firm.password.expose().expose_secret()).unwrap(), "the owner's");
    // Which of them it was is known here.
    let who = |id: &str| gateway.directory.operator_who_sent(number, id).map(|shown| shown.number).ok();
    assert_eq!([who(&sent[0]), who(&sent[1]), who(&owners), who("x")], [Some(1), Some(3), None, None]);
    let told: Vec<(Option<u32>, Option<String>)> = events(&*city.store).into_iter().filter_map(|event| if let Event::MailSubmitted(told) = event { Some((told.operator, told.id)) } else { None }).collect();
    assert_eq!(told, [(Some(1), Some(sent[0].clone())), (Some(3), Some(sent[1].clone())), (None, None)]);
    // And told to nobody: but for what differs from message to message all three read the same.
    let view = gateway.messages.view(&li.mailbox(), "INBOX").unwrap();
    let read: Vec<String> = view.messages.iter().map(|info| String::from_utf8(gateway.messages.load(&view.folder, info.uid).unwrap()).unwrap()).collect();
    assert_eq!(read.len(), 3);
    for (message, id) in read.iter().zip([&sent[0], &sent[1], &owners]) {
        assert!(message.contains(id.as_str()) && !message.contains("perator") && ![chen.mailbox(), PEOPLE[0].2.into(), "王五".into()].iter().any(|name| message.contains(name.as_str())), "{message}");
        assert_eq!(message.lines().count(), read[0].lines().count());
    }

    // The first ends another; at the counter the first is ended, and nobody is named there.
    let mut ended = gateway.directory.ended();
    let over = order(&mailbox, r#"{"end":{"operator":3}}"#, "letter 21");
    // Nobody's end is signed before they are named.
    assert!(matches!(done(&over, own.signs(&over, NOW - Duration::seconds(1))), Err(OperatorOrderError::Signature { .. })));
    let next = order(&mailbox, r#"{"end":{"operator":4}}"#, "letter 21");
    assert!(matches!(done(&next, own.signs(&next, NOW)), Err(OperatorOrderError::Directory(DirectoryError::Operator(OperatorError::NotFound { operator: 4, .. })))));
    assert!(!done(&over, own.signs(&over, NOW)).unwrap().stands);
    assert!(ended.is_of(number, Credential::App(2), Some(3)) && entered(secrets[1].expose()).is_err() && entered(secrets[0].expose()).is_ok());
    assert!(matches!(end(&gateway, number, 1, " "), Err(OperatorOrderError::Request { .. })));
    assert_eq!(end(&gateway, number, 1, "letter 22").unwrap().ended_by.as_deref(), Some("the counter"));
    assert!(entered(secrets[0].expose()).is_err());
    let fourth = order(&mailbox, r#"{"named":{"name":"赵六"}}"#, "letter 23");
    assert!(matches!(done(&fourth, own.signs(&fourth, NOW)), Err(OperatorOrderError::Stranger)));
    // Who sent what stays known.
    assert_eq!([who(&sent[0]), who(&sent[1])], [Some(1), Some(3)]);
}

/// Who is ended, or whose own mailbox is closed, while a mail of theirs is under way has sent nothing; the institution's owner goes on.
#[test]
fn a_mail_under_way_of_one_who_is_ended_goes_nowhere() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let person = |at: usize| gateway.directory.find_person(&Document::parse(PEOPLE[at].0, PEOPLE[at].1, today(NOW)).unwrap()).unwrap().unwrap().number;
    let (chen, li) = (person(0), person(1));
    let words = Words { code: Some("91440101MAT000018G".into()), name: Some("甲有限公司".into()), ..Words::default() };
    let applicant = Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
    let number = gateway.directory.open(applicant, NewPassword::Generated, NOW).unwrap().account.number;
    let named = |somebody: Somebody, request: &str| gateway.directory.name_operator(number, &somebody, false, &Ordered { by: By::Officer("A-1".into()), request: request.into() }, NOW).unwrap().number;
    let operators = [named(Somebody::Citizen(chen), "one"), named(Somebody::Named("王五".into()), "two")];
    let (from, to) = (gateway.directory.address(number), gateway.directory.address(li));
    let (envelope, message) = (envelope(&from, &to), format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: x\r\n\r\nx\r\n"));
    let arrived = || city.gateway(Arc::clone(&city.store)).messages.view(&li.to_string(), "INBOX").unwrap().messages.len();
    let sends = |store: Arc<dyn Store>, operator: Option<u32>, stood: bool| {
        let gateway = Arc::new(city.gateway(store));
        assert!(operator.is_none_or(|operator| gateway.directory.operator_stands(number, operator).unwrap() == stood));
        let logins = Logins { directory: Arc::clone(&gateway.directory), clock: Arc::clone(&city.clock) as Arc<dyn Clock>, certificates: None, tokens: None };
        let domain = Domain::parse(&gateway.settings.domain).unwrap();
        let submission = Submission { gateway, accounts: Arc::new(logins), random: Arc::new(ring::rand::SystemRandom::new()), host: Domain::parse(HOST).unwrap(), domain, outgoing: false, senders: None };
        submission.submit(Login { number, credential: Credential::Certificate([1; 32]), operator }, &envelope, message.as_bytes(), NOW)
    };
    let before = arrived();
    for (operator, closes) in operators.into_iter().zip([true, false]) {
        let other = city.gateway(Arc::clone(&city.store));
        let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || {
            if closes {
                other.directory.close(chen, NOW).unwrap();
            } else {
                end(&other, number, operator, "letter 1").unwrap();
            }
        });
        let sent = sends(Arc::new(racing), Some(operator), true);
        assert!(matches!(sent, Answer::Refused(Refusal::Sender)), "{sent:?}");
        // And so it is of a session that has not heard of it yet.
        assert!(matches!(sends(Arc::clone(&city.store), Some(operator), false), Answer::Refused(Refusal::Sender)));
    }
    assert!(matches!(sends(Arc::clone(&city.store), Some(9), false), Answer::Refused(Refusal::Sender)), "nobody");
    assert_eq!((arrived(), events(&*city.store).iter().filter(|event| matches!(event, Event::MailSubmitted(_))).count()), (before, 0));
    assert!(matches!(sends(Arc::clone(&city.store), None, true), Answer::Durable { .. }));
    assert_eq!(arrived(), before + 1);
}
