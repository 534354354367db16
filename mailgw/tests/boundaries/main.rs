//! Every write boundary of the gateway and of the sealer: the store fails there, once with the write lost and once with
//! the write done but unheard of; both are opened again on what survived and must be whole, and what was begun must end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod access;
mod accounts;
mod archive;
mod city;
mod corrections;
mod court;
mod drawn;
mod edges;
mod evidence;
mod final_report;
mod held;
mod ham;
mod jobs;
mod hostile;
mod kills;
mod letters;
mod month;
mod names;
mod notification;
mod opening;
mod operators;
mod owner_notices;
mod paper;
mod polling;
mod reading;
mod recovery;
mod retention;
mod secrecy;
mod stamps;
mod stored;
mod trial;
mod verified;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use city::{City, FUND, HOST, INSURANCE, NOW, PEOPLE, Read, Watched};
use keys::KeyStore;
use mailgw::flow::push::{Counts, PushError, Report, push};
use mailgw::directory::today;
use mailgw::gateway::Gateway;
use mailgw::record::body::digest;
use mailgw::record::event::{Event, STREAM};
use mailgw::record::push::{Item, State, item_key};
use mailgw::record::sealing;
use policies::identity::Document;
use mailgw::sealer::Seal;
use mailgw::tls;
use month::{BAD, Month, month};
use store::{Fault, Faulty, Key, Store};

const FAULTS: [Fault; 2] = [Fault::Lost, Fault::DoneReportedLost];

fn all(store: &dyn Store, kind: &str) -> Vec<(Key, Vec<u8>)> {
    let (from, to) = Key::range(kind, &[]);
    store.scan(&from, &to, usize::MAX).unwrap()
}

fn faulty(store: &Arc<dyn Store>, fault: Option<(u64, Fault)>) -> Arc<Faulty> {
    let faulty = Faulty::new(Arc::clone(store));
    Arc::new(match fault {
        Some((commit, fault)) => faulty.at(commit, fault),
        None => faulty,
    })
}

fn pushed(city: &City, gateway: &Gateway, sealer: &dyn Seal, month: &Month) -> Result<Report, PushError> {
    push(gateway, sealer, &city.lists, &month.order, &mut |_| true)
}

/// The people's messages by their digest.
fn delivered(city: &City, gateway: &Gateway) -> BTreeMap<String, Vec<Read>> {
    let mut found: BTreeMap<String, Vec<Read>> = BTreeMap::new();
    let mut known = city.read.lock().unwrap();
    for (id_type, id_no, _) in PEOPLE {
        let document = Document::parse(id_type, id_no, today(NOW)).unwrap();
        let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
        let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
        for message in &view.messages {
            let read = || {
                let bytes = gateway.messages.load(&view.folder, message.uid).unwrap();
                Read { mailbox: mailbox.clone(), message: hex(&digest(&bytes)), entity: entity_digest(&bytes) }
            };
            let read = known.entry((mailbox.clone(), message.uid)).or_insert_with(read).clone();
            found.entry(read.message.clone()).or_default().push(read);
        }
    }
    found
}

/// As after months that a program delivered which remembered none of them: what comes now is the first of its account.
fn forget_months(city: &City) {
    let known = ["month before", "account holder"].into_iter().flat_map(|kind| all(&*city.store, kind));
    city.store.commit(known.fold(store::Batch::new(), |batch, (key, _)| batch.delete(key))).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn events(store: &dyn Store) -> Vec<Event> {
    let leaves = store.read_stream(STREAM, 0, usize::MAX).unwrap();
    assert_eq!(leaves.len() as u64, store.stream_length(STREAM).unwrap());
    leaves.iter().map(|leaf| Event::from_leaf(leaf).unwrap().0).collect()
}

/// Whatever happened before, this holds of a month that has ended: every statement stands once in its owner's mailbox, as
/// the bureau's key signed it, and items, outcomes and both logs say the same.
fn whole(city: &City, gateway: &Gateway, month: &Month, report: &Report, at: &str) {
    let good = month.good;
    assert_eq!(report.counts, Counts { delivered: good, duplicate: 1, quarantined: 2, undeliverable: 1 }, "{at}");
    assert_eq!((report.rows, report.ended_unix_millis.is_some()), (good + BAD, true), "{at}");
    let mailboxes = delivered(city, gateway);
    let mut items = BTreeSet::new();
    for id in 0..good {
        let key = item_key(month.bureau, &format!("{}-{id}", month.batch));
        let item = Item::decode(&gateway.store.get(&key).unwrap().unwrap()).unwrap();
        let copies = &mailboxes[&item.message];
        assert_eq!((copies.len(), &item.batch, &copies[0].mailbox), (1, &month.batch, &item.mailbox), "{at}: statement {id}");
        let signed = city.signed.lock().unwrap()[&(report.manifest.clone(), id + 1)].clone();
        let recorded = city.sealing.get(&sealing::row_key(month.bureau, &month.batch, id + 1)).unwrap().unwrap();
        assert_eq!(signed.iter().collect::<Vec<_>>(), [&copies[0].entity], "{at}: row {} was signed with another content", id + 1);
        assert_eq!(sealing::decode(&recorded).unwrap(), copies[0].entity, "{at}: row {} was recorded otherwise", id + 1);
        items.insert(hex(&digest(key.as_bytes())));
    }
    let bodies = all(&*gateway.store, "body").len();
    assert_eq!(bodies, mailboxes.values().map(Vec::len).sum::<usize>(), "{at}: bodies without a message");
    assert_eq!(all(&*gateway.store, "push item").len(), bodies, "{at}: items and messages");
    let (mut begun, mut ended, mut told) = (0, Vec::new(), Vec::new());
    for event in events(&*gateway.store) {
        match event {
            Event::BatchBegun(batch) if batch.batch == month.batch => begun += 1,
            Event::BatchEnded(batch) if batch.batch == month.batch => ended.push(batch.outcome),
            Event::StatementDelivered(statement) if items.contains(&statement.item) => told.push(statement.item),
            _ => {}
        }
    }
    assert_eq!((begun, ended), (1, vec![Some(report.outcomes.clone())]), "{at}: the log on the batch");
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (items.len(), items), "{at}: the log on the statements");
    sealed(city, month, at);
}

/// The sealer's log tells of a month once.
fn sealed(city: &City, month: &Month, at: &str) {
    let (mut accepted, mut intended) = (0, 0);
    for event in events(&*city.sealing) {
        match event {
            Event::ManifestAccepted(batch) if batch.batch == month.batch => accepted += 1,
            Event::SealsIntended(seals) if seals.batch == month.batch => intended += seals.count,
            _ => {}
        }
    }
    assert_eq!((accepted, intended), (1, month.good), "{at}: the sealer's log");
}

/// SHA-256 of what stands between the first two boundaries of a `multipart/signed`.
fn entity_digest(message: &[u8]) -> [u8; 32] {
    let text = std::str::from_utf8(message).unwrap();
    let (_, rest) = text.split_once("boundary=\"").unwrap();
    let boundary = format!("\r\n--{}", rest.split_once('"').unwrap().0);
    let entity = text.split(&boundary).nth(1).unwrap().strip_prefix("\r\n").unwrap();
    digest(entity.as_bytes())
}

/// One fault in the gateway's store or in the sealer's, during one push; then both are started anew and it is pushed again.
fn round(city: &City, month: &Month, in_sealer: bool, fault: (u64, Fault), at: &str) {
    let (gateway_fault, sealer_fault) = if in_sealer { (None, Some(fault)) } else { (Some(fault), None) };
    let (store, sealing) = (faulty(&city.store, gateway_fault), faulty(&city.sealing, sealer_fault));
    let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
    let sealer = Watched::new(city, Arc::clone(&sealing) as Arc<dyn Store>, None);
    assert!(pushed(city, &gateway, &sealer, month).is_err(), "{at}: a failed write was answered as done");
    let struck = if in_sealer { &sealing } else { &store };
    assert_eq!(struck.commits(), fault.0 + 1, "{at}: work went on after the failure");
    drop((gateway, sealer));
    let (gateway, sealer) = (city.gateway(Arc::clone(&city.store)), Watched::new(city, Arc::clone(&city.sealing), None));
    let report = pushed(city, &gateway, &sealer, month).unwrap();
    whole(city, &gateway, month, &report, at);
    assert_eq!(pushed(city, &gateway, &sealer, month).unwrap(), report, "{at}: a batch is answered as the first time");
}

/// Commits of one undisturbed push: the gateway's and the sealer's.
fn commits(city: &City, month: &Month) -> (u64, u64) {
    let (store, sealing) = (faulty(&city.store, None), faulty(&city.sealing, None));
    let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
    let report = pushed(city, &gateway, &Watched::new(city, Arc::clone(&sealing) as Arc<dyn Store>, None), month).unwrap();
    whole(city, &gateway, month, &report, "undisturbed");
    (store.commits(), sealing.commits())
}

/// A fault at these commits of pushing a month of `good` rows, of the gateway and of the sealer.
fn faults(city: &City, kind: &str, good: u64, gateway: Range<u64>, sealer: Range<u64>) {
    for (in_sealer, commits) in [(false, gateway), (true, sealer)] {
        for commit in commits {
            for fault in FAULTS {
                let at = format!("{kind}, {} commit {commit}, {fault:?}", if in_sealer { "sealer's" } else { "gateway's" });
                let batch = format!("{kind}-{}{commit}{}", if in_sealer { "s" } else { "g" }, fault == Fault::Lost);
                forget_months(city);
                round(city, &month(city, kind, &batch, good), in_sealer, (commit, fault), &at);
            }
        }
    }
}

#[test]
fn a_push_is_whole_after_a_fault_at_any_write() {
    let city = City::found();
    // The gateway: begun, a block of body ids, one block of rows, ended. The sealer: the manifest, the rows.
    for ((kind, good), fault) in [("pension", 3), ("housing-fund", 6)].into_iter().zip(FAULTS) {
        // The first push of a kind makes its dictionary, too, when it has begun.
        round(&city, &month(&city, kind, &format!("{kind}-dictionary"), good), false, (1, fault), &format!("{kind}, its dictionary, {fault:?}"));
        forget_months(&city);
        assert_eq!(commits(&city, &month(&city, kind, kind, good)), (4, 2));
        faults(&city, kind, good, 0..4, 0..2);
    }
}

#[test]
fn a_push_of_several_blocks_is_whole_after_a_fault_at_any_write() {
    let city = City::found();
    assert_eq!(commits(&city, &month(&city, "housing-fund", "whole", 501)), (6, 3));
    // What comes before the first block is the same for every file, and the dictionary is there by now.
    faults(&city, "housing-fund", 501, 2..5, 1..3);
}

#[test]
fn a_push_goes_on_when_the_sealer_was_started_anew() {
    let city = City::found();
    for (order, batch) in [(0, "first"), (1, "second")] {
        let month = month(&city, "housing-fund", batch, 501);
        let (gateway, sealer) = (city.gateway(Arc::clone(&city.store)), Watched::new(&city, Arc::clone(&city.sealing), Some(order)));
        let report = pushed(&city, &gateway, &sealer, &month).unwrap();
        whole(&city, &gateway, &month, &report, batch);
    }
}

/// A sealer that falls over at the rows of the second block.
struct Falling<'a>(Watched<'a>, std::sync::atomic::AtomicU64);

impl Seal for Falling<'_> {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, runtime::exit::Problem> {
        self.0.open(manifest, signature, crls)
    }

    fn seal(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, runtime::exit::Problem> {
        assert_ne!(self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "it falls over");
        self.0.seal(job, rows)
    }

    fn page(&self, page: &mailgw::sealer::Page<'_>, crls: &[Vec<u8>]) -> Result<mailgw::sealer::PaperSeals, runtime::exit::Problem> {
        self.0.page(page, crls)
    }
}

#[test]
fn a_push_whose_thread_falls_over_is_stopped_and_goes_on_later() {
    let city = City::found();
    let month = month(&city, "housing-fund", "falling", 501);
    let gateway = city.gateway(Arc::clone(&city.store));
    let falling = Falling(Watched::new(&city, Arc::clone(&city.sealing), None), std::sync::atomic::AtomicU64::default());
    assert!(matches!(pushed(&city, &gateway, &falling, &month), Err(PushError::BrokeOff)));
    drop((gateway, falling));
    let (gateway, sealer) = (city.gateway(Arc::clone(&city.store)), Watched::new(&city, Arc::clone(&city.sealing), None));
    let report = pushed(&city, &gateway, &sealer, &month).unwrap();
    whole(&city, &gateway, &month, &report, "falling");
}

/// A store that falls over at the commit of a block's outcomes, once.
struct Collapsing(Arc<dyn Store>, std::sync::atomic::AtomicBool);

impl store::Layer for Collapsing {
    fn below(&self) -> &dyn Store {
        &*self.0
    }

    fn commit_over(&self, batch: store::Batch) -> Result<store::Receipt, store::CommitError> {
        // Each letter expects its mailbox to be open.
        let delivers = batch.expectations() > 100;
        assert!(!delivers || self.1.swap(true, std::sync::atomic::Ordering::SeqCst), "it falls over");
        self.0.commit(batch)
    }
}

#[test]
fn a_push_whose_commit_falls_over_is_stopped_told_of_and_goes_on_later() {
    use mailgw::flow::push::job::{self, Act, Jobs, Opening, Turn};

    let city = City::found();
    let month = month(&city, "housing-fund", "collapsing", 501);
    let (at, sealer) = ((month.bureau, month.batch.as_str()), Watched::new(&city, Arc::clone(&city.sealing), None));
    let collapsing = || city.gateway(Arc::new(Collapsing(Arc::clone(&city.store), false.into())) as Arc<dyn Store>);
    // By hand.
    assert!(matches!(pushed(&city, &collapsing(), &sealer, &month), Err(PushError::BrokeOff)));
    assert!(delivered(&city, &city.gateway(Arc::clone(&city.store))).is_empty());
    // By a bureau's own system, which is told; and what nobody expected to fall over, too.
    let (gateway, jobs) = (city.gateway(Arc::clone(&city.store)), Jobs::default());
    let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: mailgw::record::job::Format::Csv };
    job::open(&gateway, &city.lists, &jobs, at, opening).unwrap();
    job::append(&gateway, &jobs, at, 0, std::io::Cursor::new(std::fs::read(&month.order.rows).unwrap())).unwrap();
    job::act(&gateway, &jobs, at, Act::Close).unwrap();
    for (gateway, go_on) in [(collapsing(), &(|| true) as &dyn Fn() -> bool), (collapsing(), &|| panic!("it falls over"))] {
        assert!(matches!(job::run(&gateway, &sealer, &city.lists, &jobs, at, go_on), Ok(Turn::Later(reason)) if reason.contains("broke off")));
        let shown = jobs.watch(&gateway, at.0, at.1).unwrap().borrow().clone();
        assert!(shown.trouble.is_some_and(|trouble| trouble.contains("broke off")));
    }
    assert_eq!(job::run(&gateway, &sealer, &city.lists, &jobs, at, &|| true).unwrap(), Turn::Done);
    let report = pushed(&city, &gateway, &sealer, &month).unwrap();
    whole(&city, &gateway, &month, &report, "collapsing");
}

/// The sealer signs one content for a row, for ever: what cannot be made the same again is told, and holds up nobody else.
#[test]
fn a_push_ends_though_its_bureau_changed_while_it_was_interrupted() {
    let city = City::found();
    let cut = month(&city, "housing-fund", "cut", 6);
    let gateway = city.gateway(faulty(&city.store, Some((2, Fault::Lost))));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    assert!(pushed(&city, &gateway, &sealer, &cut).is_err());
    let gateway = city.gateway(Arc::clone(&city.store));
    city.register(&gateway, FUND, "12333").unwrap();
    let report = pushed(&city, &gateway, &sealer, &cut).unwrap();
    assert_eq!(report.counts, Counts { delivered: 0, duplicate: 0, quarantined: 9, undeliverable: 1 });
    let kept: Vec<u64> = report.not_delivered.iter().filter(|row| row.reason.as_deref() == Some("changed-since-sealed")).map(|row| row.row).collect();
    assert_eq!(kept, [1, 2, 3, 4, 5, 6]);
    // The seventh is the first once more.
    assert!(report.not_delivered.iter().any(|row| row.row == 7 && row.reason.as_deref() == Some("gave-way")));
    assert!(report.not_delivered.iter().all(|row| row.state != State::Delivered) && delivered(&city, &gateway).is_empty());
    // The same statements in another batch arrive.
    let order = cut.order.manifest.replace("\"cut\"", "\"again\"");
    let again = mailgw::flow::push::Order { signature: city.sign(&order), manifest: order, ..cut.order.clone() };
    let report = push(&gateway, &sealer, &city.lists, &again, &mut |_| true).unwrap();
    assert_eq!(report.counts, Counts { delivered: 6, duplicate: 1, quarantined: 2, undeliverable: 1 });
}

#[test]
fn a_bureau_is_registered_whole_or_not_at_all() {
    let city = City::found();
    let before = mailgw::bureau::find(&*city.store, FUND).unwrap();
    for (hotline, fault) in [("12330", Fault::Lost), ("12331", Fault::DoneReportedLost)] {
        let length = city.store.stream_length(STREAM).unwrap();
        let (store, sealing) = (faulty(&city.store, Some((0, fault))), faulty(&city.sealing, Some((0, fault))));
        let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
        assert!(city.register(&gateway, FUND, hotline).is_err());
        assert!(city.sealer(sealing).perform(city.sealing_bureau(FUND)).is_err());
        let done = fault == Fault::DoneReportedLost;
        assert_eq!(mailgw::bureau::find(&*city.store, FUND).unwrap().hotline, if done { hotline } else { &before.hotline });
        assert_eq!(city.store.stream_length(STREAM).unwrap(), length + u64::from(done));
        let gateway = city.gateway(Arc::clone(&city.store));
        city.register(&gateway, FUND, &before.hotline).unwrap();
        city.sealer(Arc::clone(&city.sealing)).perform(city.sealing_bureau(FUND)).unwrap();
    }
    assert_eq!(mailgw::bureau::find(&*city.store, FUND).unwrap(), before);
    let month = month(&city, "housing-fund", "after", 3);
    let gateway = city.gateway(Arc::clone(&city.store));
    let report = pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    whole(&city, &gateway, &month, &report, "after");
}

/// A chain for the key that the gateway made last.
fn tls_chain(keys: &KeyStore, number: u64) -> String {
    let key = keys.load(&format!("tls-{number}")).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    parameters.not_before = NOW - time::Duration::days(1);
    parameters.not_after = NOW + time::Duration::days(90);
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn a_tls_certificate_is_taken_whole_or_not_at_all() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let (keys, millis) = (&gateway.keys, gateway.now_unix_millis());
    tls::request(&*city.store, keys, HOST, &[]).unwrap();
    let first = tls_chain(keys, 1);
    tls::install(&*city.store, keys, HOST, first.as_bytes(), millis).unwrap();
    let served = || city.store.get(&mailgw::record::tls::Tls::key()).unwrap().unwrap();
    for fault in FAULTS {
        let before = (served(), city.store.stream_length(STREAM).unwrap());
        // A number that was given and not heard of has no key; the next request takes the next.
        assert!(tls::request(&*faulty(&city.store, Some((0, fault))), keys, HOST, &[]).is_err());
        tls::request(&*city.store, keys, HOST, &[]).unwrap();
        let chain = tls_chain(keys, city.store.counter(mailgw::record::tls::KEYS).unwrap());
        assert!(tls::install(&*faulty(&city.store, Some((0, fault))), keys, HOST, chain.as_bytes(), millis).is_err());
        let done = fault == Fault::DoneReportedLost;
        assert_eq!((served() != before.0, city.store.stream_length(STREAM).unwrap()), (done, before.1 + u64::from(done)));
        tls::current(&*city.store, keys).unwrap();
        tls::install(&*city.store, keys, HOST, chain.as_bytes(), millis).unwrap();
        assert_ne!(served(), before.0);
        tls::current(&*city.store, keys).unwrap();
    }
}
