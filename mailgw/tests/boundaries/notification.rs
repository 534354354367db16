//! That something arrived is told on a phone or in another mailbox to who enrolled, and what came of it is evidence.

use std::io::Cursor;
use std::sync::Mutex;

use mailgw::bureau::trust::Anchors;
use mailgw::erds::{self, Event as Delivery, Item as Evidence};
use mailgw::flow::evidence::Wanted;
use mailgw::flow::notification::{self, Collector, NotificationError, Request, Word};
use mailgw::queue::Listed;
use mailgw::queue::decide::Outcome;
use mailgw::record::body::BodyId;
use mailgw::record::notification::{Channel, Going, Place, Says};
use mailgw::record::queue::Said;
use mailgw::texts::{Answer, BUSY, REFUSED, Text, Texts};
use store::Batch;
use time::Duration;

use super::evidence::install;
use super::paper::{inbox, mailbox_of};
use super::*;

const PHONE: &str = "13800138000";

/// Whoever sends texts: what came, and what is answered.
struct Phones {
    came: Mutex<Vec<Text>>,
    answer: Mutex<Answer>,
}

impl Phones {
    fn new() -> Self {
        Self { came: Mutex::default(), answer: Mutex::new(Answer::Taken) }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn take(&self) -> Vec<Text> {
        std::mem::take(&mut self.came.lock().unwrap())
    }
}

impl Texts for Phones {
    fn send(&self, text: &Text, _: i64) -> Answer {
        self.came.lock().unwrap().push(text.clone());
        *self.answer.lock().unwrap()
    }
}

fn turn(gateway: &Gateway, phones: &Phones) -> Result<notification::Done, NotificationError> {
    notification::turn(gateway, Some(phones), &mut Collector::default(), &|| true)
}

fn name(channel: Channel, address: &str) -> Word {
    Word::Name { channel, address: address.into() }
}

/// Whoever it is enrols a phone: the code comes there and is said.
fn enrolled(gateway: &Gateway, phones: &Phones, mailbox: &str, number: &str) {
    notification::say(gateway, mailbox, Some(&name(Channel::Text, number))).unwrap();
    turn(gateway, phones).unwrap();
    let code = phones.take().pop().unwrap().code.unwrap();
    let shown = notification::say(gateway, mailbox, Some(&Word::Confirm { code })).unwrap();
    assert_eq!((shown.places.len(), shown.places[0].state.as_str()), (1, "confirmed"));
}

fn told(city: &City, gateway: &Gateway, bureau: &str, batch: &str) -> Vec<Evidence> {
    let file = city.path("told.jsonl");
    mailgw::flow::evidence::export(gateway, &city.lists, &Wanted { bureau: bureau.into(), batch: batch.into(), row: None, file: file.clone() }).unwrap();
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let (bytes, mut found) = (std::fs::read(file).unwrap(), Vec::new());
    assert!(!String::from_utf8_lossy(&bytes).contains("138001") && !String::from_utf8_lossy(&bytes).contains("c.cn"));
    erds::verify(Cursor::new(bytes), &anchors, &mut |judged| found.push(judged.item)).unwrap();
    found.into_iter().filter(|item| item.notification.is_some()).collect()
}

fn open(city: &City) -> Gateway {
    let gateway = city.gateway(Arc::clone(&city.store));
    gateway.notifications.offer(true, true);
    gateway
}

#[test]
fn who_enrolled_is_told_once_of_what_came_together_and_nobody_else_is() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let (mine, theirs) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1));
    enrolled(&gateway, &phones, &mine, PHONE);
    // Who did not say the code is told nothing.
    notification::say(&gateway, &theirs, Some(&name(Channel::Text, "13900139000"))).unwrap();
    turn(&gateway, &phones).unwrap();
    phones.take();
    for batch in ["one", "two"] {
        pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", batch, 6)).unwrap();
    }
    assert_eq!(all(&*city.store, "notification arrived").len(), 4, "of the enrolled person alone");
    turn(&gateway, &phones).unwrap();
    assert!(phones.take().is_empty(), "what comes within some minutes is told of in one");
    city.clock.set(NOW + Duration::minutes(10));
    turn(&gateway, &phones).unwrap();
    let texts = phones.take();
    assert_eq!((texts.len(), texts[0].to.as_str(), texts[0].template), (1, "+8613800138000", "arrived"));
    for told in ["陈秀英", "公积金", "163492", "one", &mine, "440106"] {
        assert!(!texts[0].text.contains(told), "{told}");
    }
    for batch in ["one", "two"] {
        let found = told(&city, &gateway, FUND, batch);
        assert_eq!(found.len(), 2, "{batch}");
        for item in &found {
            let notification = item.notification.as_ref().unwrap();
            assert_eq!((item.event, notification.channel.as_str(), notification.notice.as_str(), item.event_time), (Delivery::ConsignmentNotification, "text", texts[0].id.as_str(), NOW + Duration::minutes(10)));
            assert!(item.recipient_details.as_ref().unwrap().starts_with(&mine) && item.user_content_info.is_some());
        }
    }
    assert!(["notification arrived", "notification going"].iter().all(|kind| all(&*city.store, kind).is_empty()));
    // At night nobody is disturbed, and after three in a day nobody is.
    city.clock.set(NOW + Duration::hours(6));
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "night", 3)).unwrap();
    city.clock.set(NOW + Duration::hours(7));
    turn(&gateway, &phones).unwrap();
    assert!(phones.take().is_empty());
    city.clock.set(NOW + Duration::hours(16));
    turn(&gateway, &phones).unwrap();
    assert_eq!(phones.take().len(), 1);
    // Who withdrew is told no more, of what came before either.
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "late", 3)).unwrap();
    let request = Request::read(b"Message-ID: <a@x>\r\nSubject: stop\r\n\r\n", true).unwrap();
    gateway.store.commit(request.put(Batch::new(), &gateway, &mine, "a", NOW).unwrap()).unwrap();
    turn(&gateway, &phones).unwrap();
    city.clock.set(NOW + Duration::hours(17));
    turn(&gateway, &phones).unwrap();
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "later", 3)).unwrap();
    assert!(phones.take().is_empty() && all(&*city.store, "notification arrived").is_empty() && all(&*city.store, "notification wish").is_empty());
    // Neither log nor records say whose phone it is.
    let leaves = city.store.read_stream(STREAM, 0, usize::MAX).unwrap();
    assert!(leaves.iter().all(|leaf| !String::from_utf8_lossy(leaf).contains("138001")));
    let states: Vec<String> = events(&*city.store).into_iter().filter_map(|event| if let Event::NotificationPlaceSet(place) = event { Some(place.state) } else { None }).collect();
    assert_eq!(states, ["asked", "confirmed", "asked", "withdrawn"]);
}

#[test]
fn a_notice_that_fails_is_evidence_of_its_own_and_the_delivery_stands() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let mine = mailbox_of(&gateway, 0);
    enrolled(&gateway, &phones, &mine, PHONE);
    let months = ["refused", "busy"].map(|batch| month(&city, "housing-fund", batch, 3));
    pushed(&city, &gateway, &sealer, &months[0]).unwrap();
    phones.answers(Answer::Refused(REFUSED));
    city.clock.set(NOW + Duration::minutes(10));
    assert_eq!(turn(&gateway, &phones).unwrap().failed, 1);
    let found = told(&city, &gateway, FUND, "refused");
    assert_eq!(found.iter().map(|item| (item.event, item.event_reasons.join(","))).collect::<Vec<_>>(), [(Delivery::ConsignmentNotificationFailure, "refused".to_owned())]);
    // One that is busy for a day has failed; every try bears the same name.
    pushed(&city, &gateway, &sealer, &months[1]).unwrap();
    phones.take();
    phones.answers(Answer::Later(BUSY));
    for minutes in (20..60 * 25).step_by(30) {
        city.clock.set(NOW + Duration::minutes(10 + minutes));
        turn(&gateway, &phones).unwrap();
    }
    let tries = phones.take();
    assert!(tries.len() > 10 && tries.iter().all(|text| text.id == tries[0].id));
    let found = told(&city, &gateway, FUND, "busy");
    assert_eq!(found.iter().map(|item| (item.event, item.event_reasons.join(","))).collect::<Vec<_>>(), [(Delivery::ConsignmentNotificationFailure, BUSY.to_owned())]);
    assert!(all(&*city.store, "notification going").is_empty());
    assert_eq!(inbox(&gateway, &mine).len(), 2);
}

#[test]
fn another_mailbox_is_told_by_the_outbound_queue() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    install(&city, &gateway);
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let mine = mailbox_of(&gateway, 0);
    for own in [format!("x@{}", city::DOMAIN), format!("x@{HOST}"), "x@[192.0.2.1]".into(), "nobody".into()] {
        assert!(matches!(notification::say(&gateway, &mine, Some(&name(Channel::Mail, &own))), Err(NotificationError::Address)), "{own}");
    }
    notification::say(&gateway, &mine, Some(&name(Channel::Mail, "zhang@c.cn"))).unwrap();
    let queued = || gateway.queue.list(&Listed::default()).unwrap().messages;
    let letter = |shown: &str| {
        let id = BodyId(u64::from_str_radix(shown, 16).unwrap());
        let record = gateway.queue.get(id).unwrap().unwrap();
        (id, String::from_utf8(gateway.queue.message(id, &record).unwrap()).unwrap())
    };
    let settle = |id: BodyId, outcome: Outcome| gateway.queue.settle(id, &[(0, outcome)], NOW).unwrap();
    let said = |status: &str| Said { host: None, code: 0, status: status.into(), text: String::new() };
    let (id, bytes) = letter(&queued()[0].id);
    let text = mail_parser::MessageParser::new().parse(&bytes).unwrap().body_text(0).unwrap().into_owned();
    let code: String = text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned();
    settle(id, Outcome::Sent { said: said("2.0.0"), reports: false });
    notification::say(&gateway, &mine, Some(&Word::Confirm { code })).unwrap();
    for (batch, outcome, event, reason) in [
        ("sent", Outcome::Sent { said: said("2.0.0"), reports: false }, Delivery::ConsignmentNotification, ""),
        ("back", Outcome::Never(said("5.1.1")), Delivery::ConsignmentNotificationFailure, "mail-5.1.1"),
    ] {
        pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", batch, 3)).unwrap();
        city.clock.set(city_now(&city) + Duration::minutes(10));
        turn(&gateway, &phones).unwrap();
        let waiting = queued();
        assert_eq!((waiting.len(), waiting[0].recipients[0].address.as_str()), (1, "zhang@c.cn"), "{batch}");
        let (id, bytes) = letter(&waiting[0].id);
        assert!(!bytes.contains(&mine) && bytes.contains("Auto-Submitted: auto-generated"));
        settle(id, outcome);
        turn(&gateway, &phones).unwrap();
        let found = told(&city, &gateway, FUND, batch);
        assert_eq!(found.iter().map(|item| (item.event, item.event_reasons.join(","))).collect::<Vec<_>>(), [(event, reason.to_owned())], "{batch}");
    }
    assert!(phones.take().is_empty() && ["notification going", "notification settled"].iter().all(|kind| all(&*city.store, kind).is_empty()));
}

fn city_now(city: &City) -> time::OffsetDateTime {
    use runtime::clock::Clock as _;
    city.clock.now()
}

#[test]
fn an_owner_says_by_mail_where_and_codes_are_tried_few_times() {
    // Another than the example that every answer shows.
    const OWN: &str = "13700137000";
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let mine = mailbox_of(&gateway, 0);
    let ask = |token: &str, subject: &str| {
        let request = Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), true).unwrap();
        gateway.store.commit(request.put(Batch::new(), &gateway, &mine, token, NOW).unwrap()).unwrap();
        let before = inbox(&gateway, &mine).len();
        turn(&gateway, &phones).unwrap();
        let answers = inbox(&gateway, &mine);
        assert!(answers.len() == before + 1 && all(&*city.store, "notification asked").is_empty(), "each is answered once");
        mail_parser::MessageParser::new().parse(answers.last().unwrap()).unwrap().body_text(0).unwrap().into_owned()
    };
    assert!(ask("a", "hello").contains("Nobody is told elsewhere"));
    let answer = ask("b", OWN);
    assert!(answer.contains("phone ****7000 (not confirmed yet") && !answer.contains(OWN), "{answer}");
    let code = phones.take().pop().unwrap().code.unwrap();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for token in ["c", "d", "e", "f"] {
        assert!(ask(token, wrong).contains("not the code"));
    }
    // The fifth ends it, and the right one comes too late.
    assert!(ask("g", wrong).contains("The code is over") && ask("h", &code).contains("The code is over"));
    ask("i", OWN);
    let code = phones.take().pop().unwrap().code.unwrap();
    city.clock.set(NOW + Duration::minutes(30));
    assert!(ask("j", &code).contains("The code is over"));
    ask("k", OWN);
    let code = phones.take().pop().unwrap().code.unwrap();
    let answer = ask("l", &format!("Re: {code}"));
    assert!(answer.contains("phone ****7000\n") || answer.contains("phone ****7000\r\n"), "{answer}");
    // So many codes in a day.
    assert!(ask("m", "13900139000").contains("Too many codes") && phones.take().is_empty());
    assert!(ask("n", "all").contains("Of all mail") && ask("o", "stop").contains("Nobody is told elsewhere"));
    // Where nobody sends texts, nobody enrols for them.
    gateway.notifications.offer(false, false);
    assert!(ask("p", OWN).contains("No phone can be told"));
}

#[test]
fn mail_that_comes_all_the_time_keeps_nobody_from_being_told() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let mine = mailbox_of(&gateway, 0);
    enrolled(&gateway, &phones, &mine, PHONE);
    notification::say(&gateway, &mine, Some(&Word::EveryMail { on: true })).unwrap();
    for (minutes, texts) in [(0, 0), (4, 0), (8, 0), (12, 1), (16, 0), (22, 0), (27, 1)] {
        city.clock.set(NOW + Duration::minutes(minutes));
        let batch = gateway.notifications.mailed(Batch::new(), std::iter::once(mine.as_str()), b"Subject: x\r\n\r\n", gateway.now_unix_millis()).unwrap();
        gateway.store.commit(batch).unwrap();
        assert_eq!(all(&*city.store, "notification arrived").len(), 1);
        turn(&gateway, &phones).unwrap();
        assert_eq!(phones.take().len(), texts, "minute {minutes}");
    }
}

#[test]
fn a_program_sets_no_notices() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let mine = mailbox_of(&gateway, 0);
    enrolled(&gateway, &phones, &mine, PHONE);
    let before = notification::say(&gateway, &mine, None).unwrap();
    for (token, subject) in [("a", "stop"), ("b", "13700137000"), ("c", "all"), ("d", "x@c.cn"), ("e", "123456")] {
        let request = Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), false).unwrap();
        gateway.store.commit(request.put(Batch::new(), &gateway, &mine, token, NOW).unwrap()).unwrap();
        turn(&gateway, &phones).unwrap();
        let answers = inbox(&gateway, &mine);
        let answer = mail_parser::MessageParser::new().parse(answers.last().unwrap()).unwrap().body_text(0).unwrap().into_owned();
        assert!(answer.contains("no program sets your notices"), "{subject}: {answer}");
        assert_eq!(notification::say(&gateway, &mine, None).unwrap(), before, "{subject}");
    }
    assert!(phones.take().is_empty() && all(&*city.store, "notification asked").is_empty());
}

#[test]
fn texts_that_wait_hold_up_no_notice_by_mail() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let (mine, theirs) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1));
    enrolled(&gateway, &phones, &mine, PHONE);
    notification::say(&gateway, &theirs, Some(&name(Channel::Mail, "zhang@c.cn"))).unwrap();
    let queued = || gateway.queue.list(&Listed::default()).unwrap().messages.len();
    let shown = gateway.queue.list(&Listed::default()).unwrap().messages[0].id.clone();
    let id = BodyId(u64::from_str_radix(&shown, 16).unwrap());
    let letter = gateway.queue.message(id, &gateway.queue.get(id).unwrap().unwrap()).unwrap();
    let text = mail_parser::MessageParser::new().parse(&letter).unwrap().body_text(0).unwrap().into_owned();
    let code: String = text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned();
    notification::say(&gateway, &theirs, Some(&Word::Confirm { code })).unwrap();
    for mailbox in [&mine, &theirs] {
        notification::say(&gateway, mailbox, Some(&Word::EveryMail { on: true })).unwrap();
    }
    let batch = gateway.notifications.mailed(Batch::new(), [mine.as_str(), theirs.as_str()].into_iter(), b"Subject: x\r\n\r\n", gateway.now_unix_millis()).unwrap();
    gateway.store.commit(batch).unwrap();
    // So many that no more are made; what they say is nobody's matter here.
    let keys: Vec<Key> = (0..20_000).map(|number| Going::key(Channel::Text, &format!("{number:05}"))).collect();
    for some in keys.chunks(1_000) {
        gateway.store.commit(some.iter().fold(Batch::new(), |batch, key| batch.put(key.clone(), b"\x01waits".as_slice()))).unwrap();
    }
    city.clock.set(NOW + Duration::minutes(10));
    let before = queued();
    assert_eq!(notification::collect(&gateway, &mut Collector::default()).unwrap(), 1);
    assert_eq!((queued(), all(&*city.store, "notification arrived").len()), (before + 1, 1));
    for some in keys.chunks(1_000) {
        gateway.store.commit(some.iter().fold(Batch::new(), |batch, key| batch.delete(key.clone()))).unwrap();
    }
    turn(&gateway, &phones).unwrap();
    assert_eq!((phones.take().len(), all(&*city.store, "notification arrived").len()), (1, 0));
}

/// Somebody asks for a code when the first notice is handed over.
struct Asking<'a> {
    phones: Phones,
    first: Mutex<Option<Box<dyn FnOnce() + Send + 'a>>>,
}

impl Texts for Asking<'_> {
    fn send(&self, text: &Text, now: i64) -> Answer {
        if text.code.is_none() && let Some(ask) = self.first.lock().unwrap().take() {
            ask();
        }
        self.phones.send(text, now)
    }
}

#[test]
fn codes_go_before_notices_and_what_is_over_is_not_tried() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let (mine, theirs, others) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1), mailbox_of(&gateway, 2));
    enrolled(&gateway, &phones, &mine, PHONE);
    let (now, at_once) = (gateway.now_unix_millis(), gateway.directory.policy().notifications().at_once);
    let place = Place { channel: Channel::Text, address: "+8613800138000".into() };
    let notice = |says, made_unix_millis| Going { mailbox: mine.clone(), place: place.clone(), says, of: Vec::new(), made_unix_millis, due_unix_millis: made_unix_millis, tries: 0 };
    let put = |id: String, going: Going| {
        // As they stood before codes had a place of their own, too.
        let key = Going::key(Channel::Text, &id);
        gateway.store.commit(Batch::new().put(key.clone(), going.seal(&key, &gateway.directory_key).unwrap())).unwrap();
    };
    let hour = 3_600_000;
    put("old-notice".into(), notice(Says::Arrived, now - 24 * hour));
    put("old-code".into(), notice(Says::Code("000000".into()), now - hour));
    (0..3 * at_once).for_each(|number| put(format!("{number:04}"), notice(Says::Arrived, now)));
    notification::say(&gateway, &theirs, Some(&name(Channel::Text, "13900139000"))).unwrap();
    let ask = || drop(notification::say(&gateway, &others, Some(&name(Channel::Text, "13700137000"))).unwrap());
    let asking = Asking { phones, first: Mutex::new(Some(Box::new(ask))) };
    let done = notification::turn(&gateway, Some(&asking), &mut Collector::default(), &|| true).unwrap();
    assert_eq!((done.sent, done.failed), (3 * at_once as u64 + 2, 2));
    let texts = asking.phones.take();
    let codes: Vec<(usize, &str)> = texts.iter().enumerate().filter(|(_, text)| text.code.is_some()).map(|(at, text)| (at, text.to.as_str())).collect();
    assert_eq!(codes, [(0, "+8613900139000"), (1 + at_once, "+8613700137000")], "each before the next handful of notices");
    assert!(texts.iter().all(|text| !text.id.starts_with("old")) && all(&*city.store, "notification going").is_empty());
}

/// A fault at each commit of a turn: what is told is told once in evidence, and the same text never has two names.
#[test]
fn a_fault_at_any_commit_doubles_no_evidence_and_forgets_nobody() {
    for fault in FAULTS {
        let mut commit = 0;
        loop {
            let (city, phones) = (City::found(), Phones::new());
            let gateway = open(&city);
            install(&city, &gateway);
            let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
            enrolled(&gateway, &phones, &mailbox_of(&gateway, 0), PHONE);
            pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "one", 3)).unwrap();
            city.clock.set(NOW + Duration::minutes(10));
            let struck = city.gateway(faulty(&city.store, Some((commit, fault))));
            let done = turn(&struck, &phones);
            let gateway = open(&city);
            turn(&gateway, &phones).unwrap();
            let texts = phones.take();
            assert!(!texts.is_empty() && texts.iter().all(|text| text.id == texts[0].id), "{fault:?} at {commit}");
            assert_eq!(told(&city, &gateway, FUND, "one").len(), 1, "{fault:?} at {commit}");
            assert!(["notification arrived", "notification going"].iter().all(|kind| all(&*city.store, kind).is_empty()), "{fault:?} at {commit}");
            if done.is_ok() {
                break;
            }
            commit += 1;
        }
        assert!(commit >= 2, "{fault:?}: {commit}");
    }
}

/// Whoever is told of anything elsewhere hears so that somebody else may open the mailbox: in it nobody may be reading.
#[test]
fn what_owners_must_hear_is_told_elsewhere_too() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let (mine, theirs) = (mailbox_of(&gateway, 0), mailbox_of(&gateway, 1));
    enrolled(&gateway, &phones, &mine, PHONE);
    for mailbox in [&mine, &theirs] {
        gateway.directory.withdraw_password(policies::mailbox::MailboxNumber::parse(mailbox).unwrap(), true, NOW).unwrap();
    }
    // And of the phone itself, which the counter took in.
    assert_eq!(mailgw::flow::owner_notices::tell_all(&gateway).unwrap(), 3);
    assert_eq!(all(&*city.store, "notification arrived").len(), 1);
    city.clock.set(NOW + Duration::minutes(10));
    turn(&gateway, &phones).unwrap();
    let texts = phones.take();
    assert_eq!((texts.len(), texts[0].template), (1, "arrived"));
}

/// The last text in an inbox.
fn last(gateway: &Gateway, mailbox: &str) -> String {
    let letters = inbox(gateway, mailbox);
    mail_parser::MessageParser::new().parse(letters.last().unwrap()).unwrap().body_text(0).unwrap().into_owned()
}

fn tell_all(gateway: &Gateway) -> u64 {
    mailgw::flow::owner_notices::tell_all(gateway).unwrap()
}

/// Whoever could silence a place with one word could do the rest unheard: what is withdrawn at the counter is told there for the last time,
/// before an act, right after it, and while what it owes waits to be told.
#[test]
fn a_place_that_the_counter_withdraws_is_told_so_whenever_it_is() {
    for told_meanwhile in [None, Some(false), Some(true)] {
        let (city, phones) = (City::found(), Phones::new());
        let gateway = open(&city);
        install(&city, &gateway);
        let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
        let mine = mailbox_of(&gateway, 0);
        let number = policies::mailbox::MailboxNumber::parse(&mine).unwrap();
        enrolled(&gateway, &phones, &mine, PHONE);
        tell_all(&gateway);
        assert!(last(&gateway, &mine).contains("新登记了接收到信通知的手机") && last(&gateway, &mine).contains("a phone is told from now on"));
        city.clock.set(NOW + Duration::minutes(10));
        turn(&gateway, &phones).unwrap();
        phones.take();
        pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "one", 3)).unwrap();
        let act = || gateway.directory.withdraw_password(number, true, city_now(&city)).unwrap();
        if let Some(told) = told_meanwhile {
            act();
            assert_eq!(if told { tell_all(&gateway) } else { 0 }, u64::from(told));
            city.clock.set(NOW + Duration::minutes(14));
        }
        // Of what waits the last notice tells, and nothing is asked of whoever it is.
        let shown = notification::say(&gateway, &mine, Some(&Word::Withdraw { channel: None })).unwrap();
        assert!(shown.places.is_empty());
        if told_meanwhile.is_none() {
            act();
        }
        // A start later.
        let gateway = open(&city);
        phones.answers(Answer::Later(BUSY));
        turn(&gateway, &phones).unwrap();
        phones.answers(Answer::Taken);
        phones.take();
        city.clock.set(NOW + Duration::minutes(30));
        turn(&gateway, &phones).unwrap();
        let texts = phones.take();
        assert_eq!(texts.iter().map(|text| (text.to.as_str(), text.template)).collect::<Vec<_>>(), [("+8613800138000", "ended")], "{told_meanwhile:?}");
        assert!(texts[0].text.contains("请立即联系服务窗口") && texts[0].text.contains("New mail has arrived") && !texts[0].text.contains(&mine));
        assert_eq!(told(&city, &gateway, FUND, "one").iter().map(|item| item.event).collect::<Vec<_>>(), [Delivery::ConsignmentNotification]);
        tell_all(&gateway);
        let letters: Vec<String> = inbox(&gateway, &mine).iter().map(|letter| mail_parser::MessageParser::new().parse(letter).unwrap().subject().unwrap_or_default().to_owned()).collect();
        assert_eq!(letters.iter().filter(|subject| subject.starts_with("您的到信通知设置已变更")).count(), 2, "{letters:?}");
        city.clock.set(NOW + Duration::minutes(60));
        turn(&gateway, &phones).unwrap();
        assert!(phones.take().is_empty() && all(&*city.store, "notification going").is_empty());
    }
}

/// A place that ended and is told again before it could hear of its end: it hears of what waited for it, and of no end.
#[test]
fn a_place_that_is_told_again_hears_of_what_waited() {
    for waits in [true, false] {
        let (city, phones) = (City::found(), Phones::new());
        let gateway = open(&city);
        install(&city, &gateway);
        let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
        let mine = mailbox_of(&gateway, 0);
        enrolled(&gateway, &phones, &mine, PHONE);
        if waits {
            pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "one", 3)).unwrap();
        }
        notification::say(&gateway, &mine, Some(&Word::Withdraw { channel: None })).unwrap();
        phones.answers(Answer::Later(BUSY));
        turn(&gateway, &phones).unwrap();
        phones.answers(Answer::Taken);
        phones.take();
        enrolled(&gateway, &phones, &mine, PHONE);
        phones.take();
        city.clock.set(NOW + Duration::minutes(30));
        turn(&gateway, &phones).unwrap();
        let templates: Vec<_> = phones.take().iter().map(|text| text.template).collect();
        assert_eq!(templates, if waits { vec!["arrived"] } else { Vec::new() });
        if waits {
            assert_eq!(told(&city, &gateway, FUND, "one").iter().map(|item| item.event).collect::<Vec<_>>(), [Delivery::ConsignmentNotification]);
        }
        assert!(all(&*city.store, "notification going").is_empty());
    }
}

/// The administrator's own number in the place of the owner's; and what owners change under their own login, of which nobody warns them.
#[test]
fn a_place_that_the_counter_replaces_is_told_so_and_an_owner_who_moves_is_not() {
    let (city, phones) = (City::found(), Phones::new());
    let gateway = open(&city);
    let mine = mailbox_of(&gateway, 0);
    let number = policies::mailbox::MailboxNumber::parse(&mine).unwrap();
    enrolled(&gateway, &phones, &mine, PHONE);
    tell_all(&gateway);
    city.clock.set(NOW + Duration::minutes(10));
    turn(&gateway, &phones).unwrap();
    phones.take();
    gateway.directory.withdraw_password(number, true, city_now(&city)).unwrap();
    // A code that nobody said changes nothing; the same place again neither.
    assert_eq!((notification::say(&gateway, &mine, Some(&name(Channel::Text, PHONE))).unwrap().places.len(), all(&*city.store, "owner notice").len()), (1, 1));
    enrolled(&gateway, &phones, &mine, "13900139000");
    turn(&gateway, &phones).unwrap();
    assert_eq!(phones.take().iter().map(|text| (text.to.clone(), text.template)).collect::<Vec<_>>(), [("+8613800138000".to_owned(), "ended")]);
    assert_eq!(tell_all(&gateway), 2);
    let said = last(&gateway, &mine);
    assert!(said.contains("新登记了接收到信通知的手机，并停止了原先向手机发送的到信通知") && said.contains("the phone that was told before is told no more") && !said.contains("9000"), "{said}");
    // By mail, as the owner.
    let ask = |token: &str, subject: &str| {
        let request = Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), true).unwrap();
        gateway.store.commit(request.put(Batch::new(), &gateway, &mine, token, NOW).unwrap()).unwrap();
        turn(&gateway, &phones).unwrap();
        phones.take()
    };
    let code = ask("a", "13700137000").pop().unwrap().code.unwrap();
    assert!(ask("b", &code).is_empty() && ask("c", "stop").is_empty() && all(&*city.store, "owner notice").is_empty());
    assert!(notification::say(&gateway, &mine, None).unwrap().places.is_empty());
}

/// Another mailbox is told by the outbound queue, in the commit that withdraws it.
#[test]
fn what_a_withdrawal_owes_stands_and_falls_with_it() {
    for fault in FAULTS {
        let (city, phones) = (City::found(), Phones::new());
        let gateway = open(&city);
        let mine = mailbox_of(&gateway, 0);
        notification::say(&gateway, &mine, Some(&name(Channel::Mail, "zhang@c.cn"))).unwrap();
        let queued = |gateway: &Gateway| gateway.queue.list(&Listed::default()).unwrap().messages;
        let id = BodyId(u64::from_str_radix(&queued(&gateway)[0].id, 16).unwrap());
        let letter = gateway.queue.message(id, &gateway.queue.get(id).unwrap().unwrap()).unwrap();
        let text = mail_parser::MessageParser::new().parse(&letter).unwrap().body_text(0).unwrap().into_owned();
        let code: String = text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned();
        notification::say(&gateway, &mine, Some(&Word::Confirm { code })).unwrap();
        gateway.queue.settle(id, &[(0, Outcome::Sent { said: Said { host: None, code: 0, status: "2.0.0".into(), text: String::new() }, reports: false })], NOW).unwrap();
        turn(&gateway, &phones).unwrap();
        let started = faulty(&city.store, None);
        drop(city.gateway(Arc::clone(&started) as Arc<dyn Store>));
        let mut commit = started.commits();
        loop {
            let struck = city.gateway(faulty(&city.store, Some((commit, fault))));
            struck.notifications.offer(true, true);
            let done = notification::say(&struck, &mine, Some(&Word::Withdraw { channel: Some(Channel::Mail) }));
            let gateway = open(&city);
            let (gone, owed) = (notification::say(&gateway, &mine, None).unwrap().places.is_empty(), all(&*city.store, "owner notice").len());
            assert_eq!((owed, queued(&gateway).len()), (1 + usize::from(gone), usize::from(gone)), "{fault:?} at {commit}");
            if gone {
                let id = BodyId(u64::from_str_radix(&queued(&gateway)[0].id, 16).unwrap());
                let letter = gateway.queue.message(id, &gateway.queue.get(id).unwrap().unwrap()).unwrap();
                assert_eq!(mail_parser::MessageParser::new().parse(&letter).unwrap().subject(), Some("到信通知已停止 / Notices of new mail end here"));
                break;
            }
            assert!(done.is_err(), "{fault:?} at {commit}");
            commit += 1;
        }
    }
}
