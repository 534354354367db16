//! What is remembered of a push ends with its kind's days; messages stay, an order of a court beats the policy, and a trial ends nothing.

use mailgw::flow::evidence::{self as kept, EvidenceError, Wanted};
use mailgw::flow::approval::{ApprovalError, SignedRequest};
use mailgw::flow::hold::{Word, lift as lifted, set};
use mailgw::flow::push::Order;
use mailgw::flow::retention::{By, RetentionError, hold as held_by, holds, release as released, retain};
use mailgw::record::hold::Held;
use runtime::clock::{Clock as _, FakeClock};

use super::archive::lifting;
use super::evidence::install;
use super::month::order;
use super::recovery::Officer;
use super::*;
use crate::city::DOMAIN;

/// A kind whose evidence ends after ten days.
const GAS: &str = r#"
kind = "gas-bill"
title_zh = "燃气账单"
title_en = "Gas bill"
senders = ["gz-housing-fund"]
addressee = "person"
consent = false
per_month = 9
evidence = "registered"
retention_days = 10
total = "fee"
template_zh = "费用 {fee}。"
template_en = "Fee {fee}."

[[fields]]
name = "fee"
zh = "费用"
en = "Fee"
type = "fen"
max = "500.00"
"#;

const COURT: &str = "广州市中级人民法院";

fn hold(gateway: &Gateway, held: &Held, order: &str) -> Result<usize, RetentionError> {
    let by = By { authority: COURT.into(), order: order.into(), until_unix_millis: None };
    held_by(gateway, held, &by).map(|all| all.len())
}

fn releasing(held: &Held, authority: &str, of: &str) -> String {
    let held = serde_json::to_string(held).unwrap();
    format!(r#"{{"kind":"suiyin retention release v1","domain":"{DOMAIN}","held":{held},"authority":"{authority}","of":"{of}","order":"(2026)粤01民初8号","papers":"counter 12, form 91"}}"#)
}

/// Two officers' keys, in a place of their own.
fn officers(city: &City, place: &str) -> [Officer; 2] {
    let keys = KeyStore::create(&city.path(place).join("keys"), &city::passphrase()).unwrap();
    [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(city, &keys, serial, number, "6.1"))
}

/// Officers' lists are of these days: what is set then is ended then.
fn in_the_first_days<T>(clock: &FakeClock, does: impl FnOnce() -> T) -> T {
    let now = clock.now();
    clock.set(NOW);
    let done = does();
    clock.set(now);
    done
}

/// A court's word on a mailbox, and its end.
fn hold_mailbox(clock: &FakeClock, gateway: &Gateway, mailbox: &str, reason: &str) -> u64 {
    let word = Word { authority: COURT.into(), reason: reason.into(), until_unix_millis: None };
    in_the_first_days(clock, || set(gateway, mailbox, &word).unwrap().last().unwrap().number)
}

fn lift(city: &City, gateway: &Gateway, mailbox: &str, number: u64) {
    let request = lifting(mailbox, number, COURT);
    let approvals = officers(city, &format!("officers of hold {number}")).map(|officer| officer.signs(&request, NOW)).to_vec();
    in_the_first_days(&city.clock, || lifted(gateway, &city.more_lists(), mailbox, &SignedRequest { request, approvals }).unwrap());
}

fn city() -> City {
    let city = City::found();
    std::fs::write(city.path("policies").join("senders").join("gas-bill.toml"), GAS).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    city.register_kinds(&gateway, FUND, &["gas-bill", "housing-fund"]).unwrap();
    install(&city, &gateway);
    city
}

fn bills(city: &City, batch: &str) -> Order {
    let lines: Vec<String> = PEOPLE.iter().enumerate().map(|(at, (id_type, id_no, name))| format!("{batch}-{at},202610,{id_type},{id_no},{name},1.00")).collect();
    let text = format!("stmt_id,period,id_type,id_no,name,fee\r\n{}\r\n", lines.join("\r\n"));
    order(city, FUND, "gas-bill", batch, &text, 3, [300, 0], None)
}

fn go(city: &City, gateway: &Gateway, order: &Order) -> Result<Report, PushError> {
    push(gateway, &Watched::new(city, Arc::clone(&city.sealing), None), &city.lists, order, &mut |_| true)
}

/// Records that a push leaves behind beside its messages.
fn left(city: &City) -> [usize; 6] {
    ["push rows", "push item", "evidence batch", "evidence place", "evidence seal", "statement access"].map(|kind| all(&*city.store, kind).len())
}

#[test]
fn what_is_over_ends_messages_stay_and_a_hold_beats_the_policy() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let (first, second) = (bills(&city, "first"), bills(&city, "second"));
    for one in [&first, &second] {
        assert_eq!(go(&city, &gateway, one).unwrap().counts.delivered, 3);
    }
    // A statement has no such days.
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month(&city, "housing-fund", "fund", 3)).unwrap();
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    view.messages.iter().for_each(|message| drop(gateway.messages.show(&mailbox, &view.folder, message.uid, 1).unwrap()));
    mailgw::flow::access::record(&gateway).unwrap();
    kept::seal(&gateway, &city.lists).unwrap();
    let (before, messages) = (left(&city), delivered(&city, &gateway).len());
    assert!(retain(&gateway, false).unwrap().over.is_empty());
    city.clock.set(NOW + time::Duration::days(11));
    // A trial says it and does nothing.
    let names = |over: &[mailgw::flow::retention::Over]| over.iter().map(|over| (over.batch.clone(), over.held_by.is_some())).collect::<Vec<_>>();
    let trial = retain(&gateway, true).unwrap();
    assert_eq!((names(&trial.over), left(&city)), (vec![("first".into(), false), ("second".into(), false)], before));
    // Both are held: one by its name, one by a mailbox that it speaks of.
    let of = |batch: &str| Held::Push { bureau: FUND.into(), batch: batch.into() };
    assert!(matches!(hold(&gateway, &of("none"), "x"), Err(RetentionError::UnknownBatch { .. })));
    assert!(matches!(hold(&gateway, &of("first"), ""), Err(RetentionError::Word { .. })));
    let until = |hours: i64| By { authority: "a".into(), order: "b".into(), until_unix_millis: Some(u64::try_from((NOW + time::Duration::days(11) + time::Duration::hours(hours)).unix_timestamp() * 1_000).unwrap()) };
    assert!(matches!(held_by(&gateway, &of("first"), &until(0)), Err(RetentionError::Until)));
    in_the_first_days(&city.clock, || hold(&gateway, &of("first"), "(2026)粤01民初1号")).unwrap();
    let number = hold_mailbox(&city.clock, &gateway, &mailbox, "(2026)粤01民初2号");
    assert_eq!((names(&retain(&gateway, false).unwrap().over), left(&city)), (vec![("first".into(), true), ("second".into(), true)], before));
    lift(&city, &gateway, &mailbox, number);
    assert_eq!(holds(&gateway).unwrap().len(), 1);
    // One ends: nothing of it is left but its name and the messages.
    retain(&gateway, false).unwrap();
    let export = |batch: &str| kept::export(&gateway, &city.lists, &Wanted { bureau: FUND.into(), batch: batch.into(), row: None, file: city.path("e.jsonl") });
    assert!(matches!(export("second"), Err(EvidenceError::UnknownPush { .. })));
    assert!(export("first").is_ok() && export("fund").is_ok());
    assert_eq!(delivered(&city, &gateway).len(), messages);
    // Revocation lists of the trial are of its first days.
    city.clock.set(NOW);
    assert!(matches!(go(&city, &gateway, &second), Err(PushError::Removed { .. })), "it is not delivered twice");
    city.clock.set(NOW + time::Duration::days(11));
    // A hold that has its end holds until then, and not a moment longer; another authority's ends none.
    held_by(&gateway, &of("first"), &until(1)).unwrap();
    assert_eq!(holds(&gateway).unwrap().len(), 2);
    let request = releasing(&of("first"), COURT, "(2026)粤01民初1号");
    let approvals = officers(&city, "officers").map(|officer| officer.signs(&request, NOW)).to_vec();
    assert_eq!(in_the_first_days(&city.clock, || released(&gateway, &city.more_lists(), &SignedRequest { request, approvals })).unwrap().len(), 1);
    assert_eq!(names(&retain(&gateway, false).unwrap().over), vec![("first".into(), true)]);
    city.clock.set(NOW + time::Duration::days(11) + time::Duration::hours(1));
    assert_eq!(holds(&gateway).unwrap().iter().map(|hold| hold.holds).collect::<Vec<_>>(), [false], "it is shown as over");
    retain(&gateway, true).unwrap();
    assert_eq!(holds(&gateway).unwrap().len(), 1);
    retain(&gateway, false).unwrap();
    assert!(holds(&gateway).unwrap().is_empty(), "one whose time is over is forgotten");
    // What is left is the statements', with the evidence of accesses that speaks of them too.
    assert_eq!(left(&city), [1, 3, 2, 1, 2, 1]);
    assert_eq!(delivered(&city, &gateway).len(), messages);
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::RetentionEnded(ended) = event { Some(ended.batch) } else { None }).collect();
    assert_eq!((log, retain(&gateway, false).unwrap().over), (vec!["second".to_owned(), "first".to_owned()], vec![]));
}

/// A court holds a push, and not the later one that withdrew a statement of it: what is left still makes a package that proves itself.
#[test]
fn a_package_for_a_court_holds_though_the_evidence_of_the_withdrawal_is_over() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "first")).unwrap();
    kept::seal(&gateway, &city.lists).unwrap();
    let reason = serde_json::json!({ "reason": "寄送错误", "reason_en": "Sent in error" });
    let withdrawal = order(&city, FUND, "gas-bill", "second", "stmt_id\r\nfirst-0\r\n", 1, [0, 0], Some(("withdraws", reason)));
    assert_eq!(go(&city, &gateway, &withdrawal).unwrap().counts.delivered, 1);
    kept::seal(&gateway, &city.lists).unwrap();
    let log = city.log(Arc::clone(&city.store));
    let package = |directory: &str| {
        let wanted = kept::CourtWanted { bureau: FUND.into(), statement: "first-0".into(), order: "(2026)粤01民初3号".into(), directory: city.path(directory) };
        let package = kept::court(&gateway, &log, &city.lists, &wanted).unwrap();
        let anchors = mailgw::bureau::trust::Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
        let proved = mailgw::erds::court::verify_package(&package.directory, &anchors).unwrap();
        let readme = std::fs::read_to_string(package.directory.join("README.txt")).unwrap();
        (proved.index.ended.unwrap().batch, proved.index.files.contains_key("notice.eml"), readme.contains("ended with its days"))
    };
    assert_eq!(package("before"), ("second".to_owned(), true, false));
    hold(&gateway, &Held::Push { bureau: FUND.into(), batch: "first".into() }, "(2026)粤01民初3号").unwrap();
    city.clock.set(NOW + time::Duration::days(11));
    retain(&gateway, false).unwrap();
    // Revocation lists of the trial are of its first days.
    city.clock.set(NOW);
    assert_eq!(package("after"), ("second".to_owned(), false, true));
}

/// Between the mark and the end of the sweep a court orders that a mailbox is held: what is still there stays until the order is taken back.
#[test]
fn a_sweep_that_goes_on_after_a_crash_heeds_an_order_that_came_since() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "cut")).unwrap();
    kept::seal(&gateway, &city.lists).unwrap();
    city.clock.set(NOW + time::Duration::days(11));
    // The mark is durable, and the first deletion is not.
    assert!(retain(&city.gateway(faulty(&city.store, Some((1, Fault::Lost)))), false).is_err());
    let before = left(&city);
    let cut = Held::Push { bureau: FUND.into(), batch: "cut".into() };
    assert!(matches!(hold(&gateway, &cut, "late"), Err(RetentionError::Removed { .. })), "nothing is said to be held that is going");
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let number = hold_mailbox(&city.clock, &gateway, &mailbox, "in time");
    retain(&gateway, false).unwrap();
    assert_eq!(left(&city), before);
    lift(&city, &gateway, &mailbox, number);
    retain(&gateway, false).unwrap();
    assert_eq!(left(&city), [0; 6]);
}

/// Nothing of a row was delivered, and what is remembered of it is the mailbox's all the same.
#[test]
fn an_order_on_a_mailbox_holds_what_did_not_reach_it() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let account = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap();
    gateway.directory.close(account.number, NOW).unwrap();
    assert_eq!(go(&city, &gateway, &bills(&city, "closed")).unwrap().counts.undeliverable, 1);
    kept::seal(&gateway, &city.lists).unwrap();
    hold_mailbox(&city.clock, &gateway, &account.mailbox(), "(2026)粤01民初3号");
    city.clock.set(NOW + time::Duration::days(11));
    let over = retain(&gateway, false).unwrap().over;
    assert_eq!(over.iter().map(|over| over.held_by.as_deref()).collect::<Vec<_>>(), [Some("(2026)粤01民初3号")]);
    assert!(left(&city).iter().take(3).all(|records| *records > 0));
}

#[test]
fn retention_is_done_to_the_end_after_a_fault_at_any_write() {
    let city = city();
    for (commit, fault) in (0..3).flat_map(|commit| FAULTS.map(|fault| (commit, fault))) {
        let at = format!("{commit} {fault:?}");
        city.clock.set(NOW);
        let gateway = city.gateway(Arc::clone(&city.store));
        let batch = format!("f{commit}{}", fault == Fault::Lost);
        go(&city, &gateway, &bills(&city, &batch)).unwrap();
        kept::seal(&gateway, &city.lists).unwrap();
        city.clock.set(NOW + time::Duration::days(11));
        assert!(retain(&city.gateway(faulty(&city.store, Some((commit, fault)))), false).is_err(), "{at}");
        retain(&city.gateway(Arc::clone(&city.store)), false).unwrap();
        assert_eq!(left(&city), [0; 6], "{at}");
    }
    let ended = events(&*city.store).into_iter().filter(|event| matches!(event, Event::RetentionEnded(_))).count();
    assert_eq!(ended, 6);
}

/// What is said, after how many commits.
type Said = (usize, Box<dyn FnOnce() + Send>);

/// A store in which somebody else says something right before a commit.
struct Meanwhile {
    inner: Arc<dyn Store>,
    said: std::sync::Mutex<Option<Said>>,
}

impl Meanwhile {
    fn new(city: &City) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(&city.store), said: std::sync::Mutex::new(None) })
    }

    fn says(&self, commits: usize, what: impl FnOnce() + Send + 'static) {
        *self.said.lock().unwrap() = Some((commits, Box::new(what)));
    }
}

impl Store for Meanwhile {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, store::StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, store::StoreError> {
        self.inner.scan(from, to, limit)
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, store::StoreError> {
        self.inner.read_stream(stream, position, limit)
    }

    fn stream_length(&self, stream: &str) -> Result<u64, store::StoreError> {
        self.inner.stream_length(stream)
    }

    fn commit(&self, batch: store::Batch) -> Result<store::Receipt, store::CommitError> {
        let mut waiting = self.said.lock().unwrap();
        match waiting.take() {
            Some((0, said)) => said(),
            Some((commits, said)) => *waiting = Some((commits - 1, said)),
            None => {}
        }
        drop(waiting);
        self.inner.commit(batch)
    }

    fn snapshot(&self) -> Result<Box<dyn store::Snapshot>, store::StoreError> {
        self.inner.snapshot()
    }
}

/// A court's word on a mailbox and the mark that a push's days are over, at one moment: whichever is durable first is heeded by the other.
#[test]
fn a_hold_and_a_mark_at_one_moment() {
    let city = city();
    let gateway = Arc::new(city.gateway(Arc::clone(&city.store)));
    go(&city, &gateway, &bills(&city, "raced")).unwrap();
    kept::seal(&gateway, &city.lists).unwrap();
    city.clock.set(NOW + time::Duration::days(11));
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let before = left(&city);
    // The holds were read and the mark is about to be made: the word comes first.
    let (raced, other, held, clock) = (Meanwhile::new(&city), Arc::clone(&gateway), mailbox.clone(), Arc::clone(&city.clock));
    let racing = city.gateway(Arc::clone(&raced) as Arc<dyn Store>);
    raced.says(0, move || assert_eq!(hold_mailbox(&clock, &other, &held, "(2026)粤01民初4号"), 1));
    retain(&racing, false).unwrap();
    assert_eq!(left(&city), before, "what the court holds is still there");
    let over = retain(&gateway, false).unwrap().over;
    assert_eq!(over.iter().map(|over| over.held_by.as_deref()).collect::<Vec<_>>(), [Some("(2026)粤01民初4号")]);
    lift(&city, &gateway, &mailbox, 1);
    // The word has its number and is about to be durable, and the mark comes first: the word holds from then on, and the push is gone.
    let (other, clock) = (Arc::clone(&gateway), Arc::clone(&city.clock));
    raced.says(1, move || {
        clock.set(NOW + time::Duration::days(11));
        assert_eq!(retain(&other, false).unwrap().over.len(), 1);
        clock.set(NOW);
    });
    let number = hold_mailbox(&city.clock, &racing, &mailbox, "(2026)粤01民初5号");
    assert_eq!(left(&city), [0; 6]);
    lift(&city, &gateway, &mailbox, number);
}

/// `retention hold --mailbox` was there before `mailbox hold`: what it left in a directory still reads, holds, and can be taken back.
#[test]
fn orders_of_before_on_a_mailbox_hold_until_they_are_taken_back() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "first")).unwrap();
    mailgw::flow::evidence::seal(&gateway, &city.lists).unwrap();
    let document = Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap();
    let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
    let officers = officers(&city, "officers");
    // As it was written then.
    let stored = format!(r#"{{"held":{{"mailbox":{{"mailbox":"{mailbox}"}}}},"authority":"广州市中级人民法院","order":"(2026)粤01民初9号","since_unix_millis":1}}"#);
    let key = Key::new("legal hold", &[b"mailbox", mailbox.as_bytes()]);
    city.store.commit(store::Batch::new().put(key, [b"\x01", stored.as_bytes()].concat())).unwrap();
    city.clock.advance(time::Duration::days(11));
    let retained = retain(&gateway, false).unwrap();
    assert_eq!(retained.over.iter().map(|over| over.held_by.as_deref()).collect::<Vec<_>>(), [Some("(2026)粤01民初9号")]);
    let held = Held::Mailbox { mailbox: mailbox.clone() };
    assert_eq!(holds(&gateway).unwrap().iter().map(|hold| hold.held.clone()).collect::<Vec<_>>(), [held.clone()]);
    // None is made any more.
    assert!(matches!(hold(&gateway, &held, "(2026)粤01民初10号"), Err(RetentionError::OfMailbox)));
    let signed = |request: String| SignedRequest { approvals: officers.iter().map(|officer| officer.signs(&request, NOW)).collect(), request };
    let release = |signed: SignedRequest| in_the_first_days(&city.clock, || released(&gateway, &city.more_lists(), &signed)).map(|all| all.len());
    let request = || signed(releasing(&held, COURT, "(2026)粤01民初9号"));
    assert_eq!(release(request()).unwrap(), 0);
    assert!(matches!(release(request()), Err(RetentionError::NotHeld)));
    assert_eq!(retain(&gateway, false).unwrap().over.iter().filter(|over| over.held_by.is_none()).count(), 1);
    assert_eq!(left(&city), [0; 6]);
}

/// As the end of a hold on a mailbox: the authority's word, two officers' hands, of today and since it was set, for this gateway, once.
#[test]
fn a_hold_on_a_push_ends_by_two_officers_and_by_nobody_less() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "first")).unwrap();
    let held = Held::Push { bureau: FUND.into(), batch: "first".into() };
    let word = |authority: &str, days: Option<i64>| By { authority: authority.into(), order: "(2026)粤01民初1号".into(), until_unix_millis: days.map(|days| u64::try_from((NOW + time::Duration::days(days)).unix_timestamp()).unwrap() * 1_000) };
    let says = |authority: &str, days| held_by(&gateway, &held, &word(authority, days)).map(|all| all.len());
    // One word makes it longer, and not shorter; another authority's stands beside it.
    assert_eq!([says(COURT, Some(90)).unwrap(), says(COURT, Some(91)).unwrap(), says("广州市公安局", Some(2)).unwrap(), says(COURT, None).unwrap()], [1, 1, 2, 2]);
    assert!(matches!(says(COURT, Some(91)), Err(RetentionError::Shorter)) && matches!(says("广州市公安局", Some(1)), Err(RetentionError::Shorter)));
    let [one, two] = officers(&city, "officers");
    let keys = KeyStore::create(&city.path("others").join("keys"), &city::passphrase()).unwrap();
    let release = |request: &str, approvals: Vec<String>| released(&gateway, &city.more_lists(), &SignedRequest { request: request.into(), approvals });
    let both = |request: &str| vec![one.signs(request, NOW), two.signs(request, NOW)];
    let request = releasing(&held, COURT, "(2026)粤01民初1号");
    let few = |approvals| matches!(release(&request, approvals), Err(RetentionError::Approval(ApprovalError::Officers)));
    let again = Officer::new(&city, &keys, 82, "A-1", "6.1");
    assert!(few(vec![]) && few(vec![one.signs(&request, NOW)]) && few(vec![one.signs(&request, NOW), again.signs(&request, NOW)]));
    for approval in [two.signs("other", NOW), two.signs(&request, NOW - time::Duration::days(2)), two.signs(&request, NOW - time::Duration::seconds(1))] {
        assert!(matches!(release(&request, vec![one.signs(&request, NOW), approval]), Err(RetentionError::Approval(ApprovalError::Signature { number: 2, .. }))));
    }
    let clerk = Officer::new(&city, &keys, 83, "A-3", "6.2");
    assert!(matches!(release(&request, vec![one.signs(&request, NOW), clerk.signs(&request, NOW)]), Err(RetentionError::Approval(ApprovalError::Trust(_)))));
    // Of another kind, another form, another gateway; without papers; of another authority, of a push that is not held.
    let unsaid = request.replace(r#""of":"(2026)粤01民初1号","#, "");
    for wrong in [unsaid, request.replace("release v1", "release v2"), request.replace(DOMAIN, "mail.elsewhere.example"), request.replace(r#""push""#, r#""pull""#), "{}".to_owned(), lifting("1234567897", 1, COURT)] {
        assert!(wrong != request && matches!(release(&wrong, both(&wrong)), Err(RetentionError::Request { .. })), "{wrong}");
    }
    let bare = request.replace("counter 12, form 91", " ");
    assert!(matches!(release(&bare, both(&bare)), Err(RetentionError::Word { what: "papers" })));
    let other = releasing(&held, "somebody", "(2026)粤01民初1号");
    assert!(matches!(release(&other, both(&other)), Err(RetentionError::OtherAuthority)));
    let other = releasing(&held, COURT, "(2026)粤01民初2号");
    assert!(matches!(release(&other, both(&other)), Err(RetentionError::OtherOrder)));
    let none = releasing(&Held::Push { bureau: FUND.into(), batch: "second".into() }, COURT, "(2026)粤01民初1号");
    assert!(matches!(release(&none, both(&none)), Err(RetentionError::NotHeld)));
    assert_eq!(holds(&gateway).unwrap().len(), 2);
    // Two: that authority's alone, and once, though it is held again at that very moment.
    assert_eq!(release(&request, both(&request)).unwrap().iter().map(|hold| hold.authority.as_str()).collect::<Vec<_>>(), ["广州市公安局"]);
    says(COURT, None).unwrap();
    assert!(matches!(release(&request, both(&request)), Err(RetentionError::Spent)));
    let told: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::HoldSet(told) = event { (!told.holds).then_some(told) } else { None }).collect();
    assert_eq!((told.len(), told[0].officers.as_slice(), told[0].request.as_deref()), (1, ["A-1".to_owned(), "A-2".to_owned()].as_slice(), Some(hex(&digest(request.as_bytes())).as_str())));
}

/// Two cases of one court on one push: neither takes the other's place, neither is shortened by it, and each ends by its own end.
#[test]
fn each_order_of_an_authority_holds_by_itself() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "first")).unwrap();
    kept::seal(&gateway, &city.lists).unwrap();
    let held = Held::Push { bureau: FUND.into(), batch: "first".into() };
    let [civil, criminal] = ["(2026)粤01民初1号", "(2026)粤01刑初2号"];
    let says = |order: &str, days: Option<i64>| held_by(&gateway, &held, &until(order, days)).map(|all| all.len());
    assert_eq!([says(civil, None).unwrap(), says(criminal, Some(20)).unwrap(), says(criminal, Some(30)).unwrap()], [1, 2, 2]);
    assert!(matches!(says(criminal, Some(29)), Err(RetentionError::Shorter)) && matches!(says(civil, Some(90)), Err(RetentionError::Shorter)));
    let officers = officers(&city, "officers");
    let release = |of: &str| {
        let request = releasing(&held, COURT, of);
        let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
        released(&gateway, &city.more_lists(), &SignedRequest { request, approvals })
    };
    assert_eq!(release(criminal).unwrap().iter().map(|hold| hold.order.as_str()).collect::<Vec<_>>(), [civil]);
    let ended: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::HoldSet(told) = event { told.set_by } else { None }).collect();
    assert_eq!(ended, [criminal], "the log tells which");
    city.clock.set(NOW + time::Duration::days(11));
    assert_eq!(retain(&gateway, false).unwrap().over[0].held_by.as_deref(), Some(civil));
    city.clock.set(NOW);
    assert!(release(civil).unwrap().is_empty());
}

fn until(order: &str, days: Option<i64>) -> By {
    By { authority: COURT.into(), order: order.into(), until_unix_millis: days.map(|days| u64::try_from((NOW + time::Duration::days(days)).unix_timestamp()).unwrap() * 1_000) }
}

/// Whoever sets many on one push keeps no other push from being held, none of what stands there from lasting longer, and takes no place for
/// longer than each holds.
#[test]
fn a_push_has_so_many_holds_and_those_that_are_over_are_not_counted() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    for batch in ["first", "second"] {
        go(&city, &gateway, &bills(&city, batch)).unwrap();
    }
    let [first, second] = ["first", "second"].map(|batch| Held::Push { bureau: FUND.into(), batch: batch.into() });
    let says = |held: &Held, order: &str, days| held_by(&gateway, held, &until(order, days)).map(|all| all.len());
    for number in 0..64 {
        says(&first, &number.to_string(), Some(1)).unwrap();
    }
    assert!(matches!(says(&first, "the court's", None), Err(RetentionError::TooMany)));
    assert_eq!([says(&first, "0", Some(2)).unwrap(), says(&second, "the court's", None).unwrap()], [64, 65]);
    city.clock.set(NOW + time::Duration::days(1));
    assert_eq!(says(&first, "the court's", None).unwrap(), 3, "what is over went with it");
    assert!(holds(&gateway).unwrap().iter().all(|hold| hold.holds));
}

/// What stands where it stood before each authority had its own, and before each order had, holds and ends by its order; said again it stands
/// once.
#[test]
fn holds_of_before_hold_and_end() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    go(&city, &gateway, &bills(&city, "first")).unwrap();
    let (one, two) = ("(2026)粤01民初9号", "(2026)粤01民初10号");
    let place: [&[u8]; 4] = [b"push", FUND.as_bytes(), b"first", COURT.as_bytes()];
    let stored = |order: &str| [b"\x01", format!(r#"{{"held":{{"push":{{"bureau":"{FUND}","batch":"first"}}}},"authority":"{COURT}","order":"{order}","since_unix_millis":1}}"#).as_bytes()].concat();
    let before = store::Batch::new().put(Key::new("legal hold", &place[..3]), stored(one)).put(Key::new("legal hold", &place), stored(two));
    city.store.commit(before).unwrap();
    let held = Held::Push { bureau: FUND.into(), batch: "first".into() };
    assert!(matches!(held_by(&gateway, &held, &until(two, Some(1))), Err(RetentionError::Shorter)));
    assert_eq!(hold(&gateway, &held, two).unwrap(), 2);
    let officers = officers(&city, "officers");
    let release = |of: &str| {
        let request = releasing(&held, COURT, of);
        let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
        released(&gateway, &city.more_lists(), &SignedRequest { request, approvals }).unwrap().len()
    };
    assert_eq!([release(one), release(two)], [1, 0]);
}

/// All of an end or nothing of it, whatever becomes of its write.
#[test]
fn a_release_is_whole_after_a_fault() {
    for fault in FAULTS {
        let city = city();
        let gateway = city.gateway(Arc::clone(&city.store));
        go(&city, &gateway, &bills(&city, "first")).unwrap();
        let held = Held::Push { bureau: FUND.into(), batch: "first".into() };
        hold(&gateway, &held, "1").unwrap();
        let request = releasing(&held, COURT, "1");
        let approvals = officers(&city, "officers").map(|officer| officer.signs(&request, NOW)).to_vec();
        let signed = SignedRequest { request, approvals };
        let started = faulty(&city.store, None);
        drop(city.gateway(Arc::clone(&started) as Arc<dyn Store>));
        let struck = city.gateway(faulty(&city.store, Some((started.commits(), fault))));
        assert!(released(&struck, &city.more_lists(), &signed).is_err(), "{fault:?}");
        let gateway = city.gateway(Arc::clone(&city.store));
        let told = events(&*city.store).into_iter().filter(|event| matches!(event, Event::HoldSet(told) if !told.holds)).count();
        assert_eq!(holds(&gateway).unwrap().len() + told, 1, "{fault:?}");
        let again = released(&gateway, &city.more_lists(), &signed);
        assert!(if told == 0 { again.is_ok() } else { matches!(again, Err(RetentionError::NotHeld)) }, "{fault:?} {again:?}");
    }
}
