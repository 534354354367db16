//! Orders from their receipt to their end: the store fails at every commit, two come at once, a key is reported between
//! approval and issue; and for each order there is one certificate or none, never two and never one that was lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use std::sync::Arc;

use ca::flow::block::{KeyDigest, block};
use ca::flow::forget::{self, Places};
use ca::flow::order::{Applied, OrderError, OrderQuery, Placed, advance, cancel, cancel_by_possession, list, load, place, place_online, work};
use ca::flow::plan::Words;
use ca::flow::Authorised;
use ca::init::{Opened, open};
use ca::problem::IssueError;
use ca::record::{CertificateRecord, Channel, Evidence, Flag, Intent, OrderId, OrderRecord, OrderState, decode, log};
use ca::registry::FileRegistry;
use office::{CODE, NAME, founded, operates as admin, passphrase, reopened, request};
use runtime::clock::Clock;
use policies::authority::{DuplicateRule, RegistryRule};
use store::{Fault, Faulty, Key, Store};
use time::Duration;

fn applied(key: &str, request: Vec<u8>) -> Applied {
    let applicant = Words { name: Some(NAME.into()), code: Some(CODE.into()), ..Words::default() };
    let evidence = vec![Evidence { kind: "licence".into(), sha256: "ab".repeat(32) }];
    Applied { profile: "enterprise-signing".into(), request, applicant, issuer: None, evidence, key: key.into() }
}

fn fresh(key: &str) -> Applied {
    applied(key, request(&rcgen::KeyPair::generate().unwrap(), None))
}

fn all(store: &dyn Store, table: &str) -> Vec<(Key, Vec<u8>)> {
    let (from, to) = Key::range(table, &[]);
    store.scan(&from, &to, 10_000).unwrap()
}

fn serial(order: &OrderRecord) -> String {
    let OrderState::Issued { serial } = &order.state else { panic!("{order:?} is not issued") };
    serial.clone()
}

/// Certificates of enterprises in the register, by the digest of their key.
fn certificates(store: &dyn Store) -> Vec<CertificateRecord> {
    all(store, CertificateRecord::TABLE).into_iter().map(|(_, bytes)| decode(&bytes).unwrap()).filter(|record: &CertificateRecord| record.profile == "enterprise-signing").collect()
}

/// What holds of every order, whatever happened before.
fn whole(store: &dyn Store, at: &str) {
    assert_eq!(all(store, Intent::TABLE), [], "{at}: an intent is left");
    let certificates = certificates(store);
    let entries = store.read_stream(log::STREAM, 0, 10_000).unwrap();
    let mut open = 0;
    for (key, bytes) in all(store, "order") {
        let id = OrderId::from_bytes(&key.last_part().unwrap()).unwrap();
        let order: OrderRecord = decode(&bytes).unwrap();
        let spki = pki::request::Request::parse(&order.request).unwrap().spki;
        let digest = ring::digest::digest(&ring::digest::SHA256, &spki);
        let of_order = certificates.iter().filter(|record| record.key_digest == digest.as_ref()).count();
        assert_eq!(of_order, usize::from(matches!(order.state, OrderState::Issued { .. })), "{at}: certificates of an order that is {}", order.state.word());
        assert_eq!(store.get(&order.in_state(&id)).unwrap(), Some(id.bytes().to_vec()), "{at}: the place of an order");
        open += u64::from(order.state.is_open());
        // The log tells of its receipt once and of its last state last, by a name that opens nothing.
        let named: Vec<_> = entries.iter().filter(|entry| String::from_utf8_lossy(entry).contains(&id.digest())).collect();
        assert_eq!(named.iter().filter(|entry| entry[1] == 20).count(), 1, "{at}");
        let last = String::from_utf8_lossy(named.last().unwrap()).into_owned();
        assert!(order.state == OrderState::Received || last.contains(&format!("\"to\":\"{}\"", order.state.word())), "{at}: {last}");
        assert!(entries.iter().all(|entry| !String::from_utf8_lossy(entry).contains(&id.to_string())), "{at}: the log tells an order's number");
    }
    assert_eq!(all(store, "order-by-state").len(), all(store, "order").len(), "{at}: a place is left behind");
    assert_eq!(store.sum(OrderRecord::OPEN_SUM).unwrap(), open, "{at}: the number of open orders");
    assert_eq!(all(store, "order-open").len() as u64, open, "{at}: an order stays among the open");
}

#[test]
fn an_order_has_one_certificate_at_whatever_commit_the_store_fails() {
    let place_ = tempfile::tempdir().unwrap();
    let home = place_.path().join("ca");
    let (opened, clock) = founded(&home);
    let counted = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)));
    let first = place(&opened.authority.over(Arc::clone(&counted) as Arc<dyn Store>), &admin(), fresh("first")).unwrap();
    assert!(!serial(&first.order).is_empty());
    // Received, approved, intent, certificate.
    let commits = counted.commits();
    assert_eq!(commits, 4);
    drop((counted, opened));
    for commit in 0..commits {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let application = fresh(&format!("{commit}-{fault:?}"));
            let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault));
            let told = place(&opened.authority.over(faulty as Arc<dyn Store>), &admin(), application.clone());
            // Only an order that is durable is answered for.
            assert_eq!(told.is_ok(), commit > 0, "{at}");
            drop(opened);
            let opened = reopened(&home, &clock);
            let authority = &opened.authority;
            work(authority, None).unwrap();
            whole(&*authority.store, &at);
            // The applicant asks again, as one who heard nothing would.
            let Placed { id, order, before } = place(authority, &admin(), application).unwrap();
            assert_eq!(before, commit > 0 || fault == Fault::DoneReportedLost, "{at}");
            assert_eq!(told.map(|told| told.id).unwrap_or(id), id, "{at}: another order");
            serial(&order);
            whole(&*authority.store, &at);
        }
    }
}

#[test]
fn the_same_key_is_the_same_order_and_another_content_is_refused() {
    let place_ = tempfile::tempdir().unwrap();
    let (opened, _) = founded(&place_.path().join("ca"));
    let authority = &opened.authority;
    let application = fresh("2026-1");
    let first = place(authority, &admin(), application.clone()).unwrap();
    let length = authority.store.stream_length(log::STREAM).unwrap();
    let again = place(authority, &Authorised::by_ownership(8), application.clone()).unwrap();
    assert_eq!((again.id, again.before, serial(&again.order)), (first.id, true, serial(&first.order)));
    let other = |change: fn(&mut Applied)| {
        let mut other = application.clone();
        change(&mut other);
        assert!(matches!(place(authority, &admin(), other), Err(OrderError::KeyUsed)));
    };
    other(|other| other.applicant.name = Some("广州另一家有限公司".into()));
    other(|other| other.evidence.clear());
    other(|other| other.request = fresh("x").request);
    other(|other| other.applicant.mailbox = Some("1234567890@mail.example.cn".into()));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), length, "a repetition changed something");
    // Over the network the key is another applicant's own.
    let online = place_online(authority, fresh("2026-1")).unwrap();
    assert!(online.id != first.id && online.order.state == OrderState::AwaitingApproval && online.order.application.channel == Channel::Online);
    // Two at the very same moment are one.
    let twice = fresh("at-once");
    let placed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| place(authority, &admin(), twice.clone()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(placed.iter().all(|one| one.id == placed[0].id) && placed.iter().filter(|one| !one.before).count() == 1);
    advance(authority, &placed[0].id).unwrap();
    whole(&*authority.store, "at once");
}

#[test]
fn what_is_no_application_changes_nothing() {
    let place_ = tempfile::tempdir().unwrap();
    let (opened, _) = founded(&place_.path().join("ca"));
    let authority = &opened.authority;
    let length = authority.store.stream_length(log::STREAM).unwrap();
    let refused = |change: &dyn Fn(&mut Applied)| {
        let mut application = fresh("k");
        change(&mut application);
        place(authority, &admin(), application).unwrap_err()
    };
    for key in ["", "two words", "键", &"k".repeat(65), "a/b"] {
        assert!(matches!(refused(&|application| application.key = key.into()), OrderError::Key), "{key}");
    }
    assert!(matches!(refused(&|application| application.evidence = vec![Evidence { kind: "licence".into(), sha256: "ab".into() }]), OrderError::Evidence));
    assert!(matches!(refused(&|application| application.evidence = vec![Evidence { kind: "a".into(), sha256: "ab".repeat(32) }; 17]), OrderError::Evidence));
    for profile in ["ocsp", "issuing", "root"] {
        assert!(matches!(refused(&|application| application.profile = profile.into()), OrderError::OwnProfile { .. }), "{profile}");
    }
    assert!(matches!(refused(&|application| application.profile = "no-such".into()), OrderError::Issue(IssueError::UnknownProfile { .. })));
    assert!(matches!(refused(&|application| application.applicant.code = Some("91440101MAT000018A".into())), OrderError::Issue(IssueError::CreditCode(_))));
    assert!(matches!(refused(&|application| application.request[50] ^= 1), OrderError::Issue(IssueError::Request(_))));
    assert!(matches!(place_online(authority, Applied { profile: "bureau-seal".into(), ..fresh("k") }), Err(OrderError::NotOnline { .. })));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), length);
    // What the policy refuses is an order that was refused, with the reason at its address.
    let named = applied("named", request(&rcgen::KeyPair::generate().unwrap(), Some("广州另一家有限公司")));
    let Placed { id, order, .. } = place(authority, &admin(), named).unwrap();
    assert!(matches!(&order.state, OrderState::Refused(ground) if ground.code == "foreign-name"), "{:?}", order.state);
    assert!(matches!(cancel(authority, &admin(), &id), Err(OrderError::Decided { state: "refused" })));
    whole(&*authority.store, "refused");
}

#[test]
fn duplicates_and_the_registry_decide_by_their_rules() {
    let place_ = tempfile::tempdir().unwrap();
    let (mut opened, _) = founded(&place_.path().join("ca"));
    let file = place_.path().join("registry.csv");
    std::fs::write(&file, format!("code,name,state\n{CODE},{NAME},in-business\n91440101MAT000026B,已注销公司,struck-off\n")).unwrap();
    opened.authority.registry = Arc::new(FileRegistry::open(&file).unwrap());
    let first = place(&opened.authority, &admin(), fresh("1")).unwrap();
    assert!(first.order.flags.is_empty());
    let flagged = place(&opened.authority, &admin(), fresh("2")).unwrap();
    assert_eq!(flagged.order.flags, [Flag::DuplicateCertificate]);
    let code = |state: &OrderState| if let OrderState::Refused(ground) = state { ground.code.clone() } else { panic!("{}", state.word()) };
    let of = |opened: &Opened, key: &str, name: &str, code: &str| {
        let applicant = Words { name: Some(name.into()), code: Some(code.into()), ..Words::default() };
        place(&opened.authority, &admin(), Applied { applicant, ..fresh(key) }).unwrap().order.state
    };
    assert_eq!(code(&of(&opened, "3", "已注销公司", "91440101MAT000026B")), "struck-off");
    assert_eq!(code(&of(&opened, "4", "广州天河测试公司", CODE)), "other-name");
    assert!(matches!(of(&opened, "5", "登记外个体户", "92440101MAT0000A11"), OrderState::Issued { .. }));
    opened.authority.rules.orders.registry = RegistryRule::Required;
    opened.authority.rules.orders.duplicates = DuplicateRule::Refuse;
    assert_eq!(code(&of(&opened, "6", "登记外个体户", "92440101MAT0000A11")), "not-in-registry");
    assert_eq!(code(&of(&opened, "7", NAME, CODE)), "duplicate-certificate");
    // Of orders at the same moment exactly one goes on.
    opened.authority.rules.orders.registry = RegistryRule::None;
    let authority = &opened.authority;
    let states: Vec<_> = std::thread::scope(|scope| {
        let one = |number: usize| {
            let applicant = Words { name: Some("粤海测试中心".into()), code: Some("12440100000000123A".into()), ..Words::default() };
            place_online(authority, Applied { applicant, ..fresh(&format!("race-{number}")) }).unwrap().order.state
        };
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(states.iter().filter(|state| **state == OrderState::AwaitingApproval).count(), 1, "{states:?}");
    whole(&*authority.store, "duplicates");
}

#[test]
fn an_order_is_cancelled_by_its_key_alone_and_ends_when_nobody_decides() {
    let place_ = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place_.path().join("ca"));
    let authority = &opened.authority;
    let (key, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let Placed { id, .. } = place_online(authority, applied("a", request(&key, None))).unwrap();
    let said = format!("cancel order {id}");
    for wrong in [request(&other, Some(&said)), request(&key, Some("cancel order")), request(&key, None), request(&key, Some(&said.to_uppercase()))] {
        assert!(matches!(cancel_by_possession(authority, &id, &wrong), Err(OrderError::NotSaid)));
    }
    let length = || authority.store.stream_length(log::STREAM).unwrap();
    for _ in 0..2 {
        assert_eq!(cancel_by_possession(authority, &id, &request(&key, Some(&said))).unwrap().state, OrderState::Cancelled);
    }
    let before = length();
    cancel(authority, &admin(), &id).unwrap();
    assert_eq!(length(), before, "said again it changed something");
    let waiting = place_online(authority, fresh("b")).unwrap().id;
    clock.advance(Duration::days(30) - Duration::seconds(1));
    assert_eq!(work(authority, None).unwrap().expired, 0);
    clock.advance(Duration::seconds(1));
    assert_eq!(work(authority, None).unwrap().expired, 1);
    assert_eq!(load(authority, &waiting).unwrap().1.state, OrderState::Expired);
    assert_eq!(list(authority, &OrderQuery::default()).unwrap().len(), 0);
    assert_eq!(list(authority, &OrderQuery { code: Some(CODE.into()), ..OrderQuery::default() }).unwrap().len(), 2);
    assert_eq!(list(authority, &OrderQuery { state: Some("expired".into()), ..OrderQuery::default() }).unwrap()[0].0, waiting);
    whole(&*authority.store, "ended");
}

#[test]
fn many_orders_of_strangers_keep_strangers_waiting_and_never_the_counter() {
    let place_ = tempfile::tempdir().unwrap();
    let (mut opened, _) = founded(&place_.path().join("ca"));
    opened.authority.rules.orders.open_at_most = 2;
    let authority = &opened.authority;
    place_online(authority, fresh("1")).unwrap();
    place_online(authority, fresh("2")).unwrap();
    assert!(matches!(place_online(authority, fresh("3")), Err(OrderError::TooMany)));
    serial(&place(authority, &admin(), fresh("counter")).unwrap().order);
    whole(&*authority.store, "full");
}

#[test]
fn what_anybody_may_order_somebody_approves() {
    let place_ = tempfile::tempdir().unwrap();
    let home = place_.path().join("ca");
    let (opened, clock) = founded(&home);
    assert_eq!(opened.authority.unmatched(), Vec::<String>::new());
    drop(opened);
    let document = home.join("policies/authority/approvals.toml");
    let text = std::fs::read_to_string(&document).unwrap();
    for without in [text.replace("online = 1\n", "online = 0\n").replace("counter = 1\n", "counter = 0\n"), text[..text.find("[issue").unwrap()].to_owned() + "[issue]\n"] {
        std::fs::write(&document, without).unwrap();
        let refused = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).err().unwrap().to_string();
        assert!(refused.contains("order certificates of enterprise-signing over the network"), "{refused}");
    }
}

#[test]
fn an_enterprise_struck_off_before_the_order_is_issued_gets_nothing() {
    let place_ = tempfile::tempdir().unwrap();
    let (mut opened, _) = founded(&place_.path().join("ca"));
    let file = place_.path().join("registry.csv");
    let registry = |state: &str| {
        std::fs::write(&file, format!("code,name,state\n{CODE},{NAME},{state}\n")).unwrap();
        Arc::new(FileRegistry::open(&file).unwrap())
    };
    opened.authority.registry = registry("in-business");
    // Approved; days later somebody or the jobs go on.
    let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(2, Fault::Lost));
    let placed = place(&opened.authority.over(faulty as Arc<dyn Store>), &admin(), fresh("a")).unwrap();
    assert_eq!(placed.order.state, OrderState::Approved);
    opened.authority.registry = registry("struck-off");
    work(&opened.authority, None).unwrap();
    let order = load(&opened.authority, &placed.id).unwrap().1;
    assert!(matches!(&order.state, OrderState::Refused(ground) if ground.code == "struck-off"), "{:?}", order.state);
    whole(&*opened.authority.store, "struck off");
}

#[test]
fn a_key_reported_before_the_order_is_issued_refuses_it() {
    let place_ = tempfile::tempdir().unwrap();
    let home = place_.path().join("ca");
    let (opened, clock) = founded(&home);
    let key = rcgen::KeyPair::generate().unwrap();
    // The approval is durable and what follows it is not.
    let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(2, Fault::Lost));
    let placed = place(&opened.authority.over(faulty as Arc<dyn Store>), &admin(), applied("a", request(&key, None))).unwrap();
    assert_eq!(placed.order.state, OrderState::Approved);
    drop(opened);
    let opened = reopened(&home, &clock);
    let spki = pki::request::Request::parse(&request(&key, None)).unwrap().spki;
    block(&opened.authority, &admin(), KeyDigest::of(&spki)).unwrap();
    work(&opened.authority, None).unwrap();
    let order = load(&opened.authority, &placed.id).unwrap().1;
    assert!(matches!(&order.state, OrderState::Refused(ground) if ground.code == "blocked-key"), "{:?}", order.state);
    whole(&*opened.authority.store, "reported");
}

#[test]
fn an_order_whose_intent_a_restore_dropped_ends_and_may_be_placed_again() {
    let place_ = tempfile::tempdir().unwrap();
    let (opened, _clock) = founded(&place_.path().join("ca"));
    let authority = &opened.authority;
    let faulty = Arc::new(Faulty::new(Arc::clone(&authority.store)).at(3, Fault::Lost));
    let Placed { id, .. } = place(&opened.authority.over(faulty as Arc<dyn Store>), &admin(), fresh("lost")).unwrap();
    // While the intent stands it waits for its certificate.
    work(authority, None).unwrap();
    assert!(matches!(load(authority, &id).unwrap().1.state, OrderState::Issuing { .. }));
    for (intent, _) in all(&*authority.store, Intent::TABLE) {
        authority.store.commit(store::Batch::new().delete(intent)).unwrap();
    }
    assert_eq!(work(authority, None).unwrap().advanced, 1);
    let ended = load(authority, &id).unwrap().1.state;
    assert!(matches!(&ended, OrderState::Refused(ground) if ground.code == "lost"), "{ended:?}");
    whole(&*authority.store, "dropped");
    let again = place(authority, &admin(), fresh("again")).unwrap();
    assert!(!serial(&again.order).is_empty());
    whole(&*authority.store, "again");
}

#[test]
fn what_strangers_send_and_comes_to_nothing_is_forgotten_and_what_officers_signed_is_not() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let cancelled = place_online(authority, applied("c", request(&key, None))).unwrap().id;
    cancel_by_possession(authority, &cancelled, &request(&key, Some(&format!("cancel order {cancelled}")))).unwrap();
    let counter = place_at_the_counter(authority, "n");
    cancel(authority, &admin(), &counter).unwrap();
    let open = place_online(authority, fresh("o")).unwrap().id;
    // Decided on by an officer, as its record says.
    let decided = place_online(authority, fresh("d")).unwrap().id;
    let (_, order) = load(authority, &decided).unwrap();
    let order = OrderRecord { decisions: 1, ..order };
    authority.store.commit(store::Batch::new().put(OrderRecord::key(&decided), ca::record::encode(&order).unwrap())).unwrap();
    cancel(authority, &admin(), &decided).unwrap();
    clock.advance(Duration::days(90));
    assert_eq!(forget::due(authority, &Places::default()).unwrap().orders, 0);
    clock.advance(Duration::seconds(1));
    // At a commit that fails, and again.
    let before = all(&*authority.store, "order").len();
    let failing = authority.over(Arc::new(Faulty::new(Arc::clone(&authority.store)).at(0, Fault::Lost)) as Arc<dyn Store>);
    assert!(forget::due(&failing, &Places::default()).is_err());
    assert_eq!(all(&*authority.store, "order").len(), before);
    drop(failing);
    drop(opened);
    let opened = reopened(&place.path().join("ca"), &clock);
    let authority = &opened.authority;
    assert_eq!(forget::due(authority, &Places::default()).unwrap().orders, 1);
    assert_eq!(forget::due(authority, &Places::default()).unwrap().orders, 0);
    assert!(matches!(load(authority, &cancelled), Err(OrderError::NotFound)));
    for kept in [counter, open, decided] {
        load(authority, &kept).unwrap();
    }
    // Nothing of it is left but the log's digests; its key may be used anew.
    for table in ["order", "order-by-key", "order-by-code", "order-by-state", "order-entry", "order-ends"] {
        assert!(all(&*authority.store, table).iter().all(|(place, value)| !place.as_bytes().windows(16).any(|part| part == cancelled.bytes()) && value != cancelled.bytes()), "{table}");
    }
    let entries = authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    assert!(entries.iter().any(|entry| entry[1] == 75 && String::from_utf8_lossy(entry).contains(&cancelled.digest())));
    assert!(!place_online(authority, applied("c", request(&key, None))).unwrap().before);
    whole(&*authority.store, "after forgetting");
}

fn place_at_the_counter(authority: &ca::authority::Authority, key: &str) -> OrderId {
    let mut rules = authority.over(Arc::clone(&authority.store));
    // The counter's waits for one too, so that there is something to cancel.
    let documents = policies::authority::SHIPPED.map(|(file, text)| (file, if file == "approvals.toml" { text.replacen("counter = 0", "counter = 1", 1) } else { text.to_owned() }));
    rules.rules = policies::authority::Rules::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))).unwrap();
    ca::flow::order::place(&rules, &admin(), fresh(key)).unwrap().id
}

#[test]
fn each_state_is_looked_through_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let first = place_online(authority, fresh("s")).unwrap().id;
    let (_, order) = load(authority, &first).unwrap();
    // More of two states than one turn looks at, each decided on and so kept, and at each one's end one that is to go.
    let mut batch = store::Batch::new();
    let mut going = Vec::new();
    for (kind, state) in [OrderState::Cancelled, OrderState::Expired].into_iter().enumerate() {
        for number in 0..=150_u8 {
            let id = OrderId::from_bytes(&[kind as u8, number, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]).unwrap();
            let one = OrderRecord { state: state.clone(), decisions: u32::from(number < 150), ..order.clone() };
            batch = batch.put(OrderRecord::key(&id), ca::record::encode(&one).unwrap()).put(one.in_state(&id), id.bytes().to_vec());
            if number == 150 {
                going.push(id);
            }
        }
    }
    authority.store.commit(batch).unwrap();
    clock.advance(Duration::days(91));
    let (mut places, mut forgotten) = (Places::default(), 0);
    for _ in 0..3 {
        let turn = forget::due(authority, &places).unwrap();
        (places, forgotten) = (turn.next, forgotten + turn.orders);
    }
    assert_eq!(forgotten, 2);
    for id in going {
        assert!(matches!(load(authority, &id), Err(OrderError::NotFound)));
    }
}
