//! The contract, clause by clause, on every engine.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::sync::Arc;

use store::{Batch, CommitError, Expectation, Few, Key, Memory, Part, ReadyRecord, Store, StoreError, Template, Together, open, open_sled};

const ENGINES: [&str; 2] = ["fjall:f", "sled:s"];

fn key(name: &str) -> Key {
    Key::new("table", &[name.as_bytes()])
}

fn a_conflict_changes_nothing(store: &Arc<dyn Store>) {
    store.commit(Batch::new().put(key("a"), b"1".as_slice())).unwrap();
    let mut batch = Batch::new()
        .expect(Expectation::Present(key("a")))
        .expect(Expectation::Absent(key("a")))
        .put(key("b"), b"2".as_slice());
    batch.append("log", b"entry".as_slice());
    batch.next("serial");
    assert_eq!(store.commit(batch), Err(CommitError::Conflict { expectation: 1 }));
    assert_eq!(store.get(&key("b")).unwrap(), None);
    assert_eq!(store.stream_length("log").unwrap(), 0);
    let mut again = Batch::new().expect(Expectation::Equals(key("a"), b"1".to_vec()));
    let slot = again.next("serial");
    assert_eq!(store.commit(again).unwrap().counter(slot), Some(1));
}

fn positions_and_numbers_are_spliced_into_keys_and_values(store: &Arc<dyn Store>) {
    for round in 0..3_u64 {
        let mut batch = Batch::new();
        let uid = batch.next("uid");
        let at = batch.append("log", Template::new(vec![Part::Bytes(b"uid ".to_vec()), Part::Counter(uid)]));
        let place = Template::new(vec![Part::Bytes(b"by-uid/".to_vec()), Part::Counter(uid)]);
        let receipt = store.commit(batch.put(place, Template::new(vec![Part::Position(at)]))).unwrap();
        assert_eq!((receipt.counter(uid), receipt.position(at)), (Some(round + 1), Some(round)));
    }
    let log = store.read_stream("log", 1, 10).unwrap();
    assert_eq!(log, [[&b"uid "[..], &2_u64.to_be_bytes()].concat(), [&b"uid "[..], &3_u64.to_be_bytes()].concat()]);
}

fn a_delete_wins_and_scans_keep_order_and_limit(store: &Arc<dyn Store>) {
    let mut batch = Batch::new();
    for name in ["c", "a", "d", "b"] {
        batch = batch.put(key(name), name.as_bytes());
    }
    store.commit(batch.delete(key("d"))).unwrap();
    let names = |limit| -> Vec<Vec<u8>> {
        store.scan(&key(""), &key("z"), limit).unwrap().into_iter().map(|(_, value)| value).collect()
    };
    assert_eq!(names(10), [b"a", b"b", b"c"]);
    assert_eq!(names(2), [b"a", b"b"]);
    assert_eq!(store.scan(&key("z"), &key("a"), 10).unwrap(), []);
    let everything = store.scan(&Key::new("", &[]), &Key::new("z", &[]), 10).unwrap();
    assert_eq!(everything.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [key("a"), key("b"), key("c")]);
}

fn what_was_made_ready_is_a_record_like_any(store: &Arc<dyn Store>) {
    let ready = |name: &str, head: &[u8], rest: &[u8]| ReadyRecord::new(key(name), head, rest);
    store.commit(Batch::new().put_ready(&ready("a", b"1", b"2")).put_ready(&ready("b", b"", b"")).put(key("c"), b"3".as_slice())).unwrap();
    assert_eq!((store.get(&key("a")), store.get(&key("b"))), (Ok(Some(b"12".to_vec())), Ok(Some(Vec::new()))));
    let all = |limit| store.scan(&key("a"), &key("d"), limit).unwrap().into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    assert_eq!(all(9), [b"12".to_vec(), Vec::new(), b"3".to_vec()]);
    // It is expected, written over and deleted as any other; where a batch does several of these the delete wins, and it wins over a put.
    let batch = Batch::new().expect(Expectation::Equals(key("a"), b"12".to_vec()));
    store.commit(batch.put_ready(&ready("c", b"", b"ready")).put(key("c"), b"put".as_slice()).put_ready(&ready("b", b"4", b"")).delete(key("b"))).unwrap();
    assert_eq!(all(9), [b"12".to_vec(), b"ready".to_vec()]);
    let conflict = store.commit(Batch::new().expect(Expectation::Absent(key("c"))).put_ready(&ready("d", b"", b"5")));
    assert_eq!((conflict, store.get(&key("d"))), (Err(CommitError::Conflict { expectation: 0 }), Ok(None)));
    store.commit(Batch::new().put(key("a"), b"6".as_slice())).unwrap();
    assert_eq!(store.get(&key("a")), Ok(Some(b"6".to_vec())));
    let large = store.commit(Batch::new().put_ready(&ready("e", b"", &vec![0; (128 << 20) + 1])));
    assert!(matches!(large, Err(CommitError::TooLarge { what: "value", .. })) && store.get(&key("e")) == Ok(None));
    let own = ReadyRecord::new(Key::new("\u{1}counter", &[b"serial"]), b"", b"1");
    assert!(matches!(store.commit(Batch::new().put_ready(&own)), Err(CommitError::UnusableKey { .. })));
}

fn many_committers_leave_no_gap_and_no_double(store: &Arc<dyn Store>) {
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(store);
            std::thread::spawn(move || {
                (0..100)
                    .map(|_| {
                        let mut batch = Batch::new();
                        let slot = batch.append("log", b"x".as_slice());
                        store.commit(batch).unwrap().position(slot).unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let given: BTreeSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(given, (0..1600).collect());
    assert_eq!(store.stream_length("log").unwrap(), 1600);
}

fn what_no_engine_takes_is_refused_and_changes_nothing(store: &Arc<dyn Store>) {
    let refused = |batch: Batch| {
        let mut batch = batch.put(key("beside"), b"1".as_slice());
        batch.append("log", b"beside".as_slice());
        let refusal = store.commit(batch).unwrap_err();
        assert_eq!((store.get(&key("beside")), store.stream_length("log")), (Ok(None), Ok(0)));
        refusal
    };
    let large = refused(Batch::new().put(key("a"), vec![0; (128 << 20) + 1]));
    assert!(matches!(large, CommitError::TooLarge { what: "value", .. }), "{large}");
    let large = refused(Batch::new().put(Key::new("table", &[&[1; 65_530]]), b"1".as_slice()));
    assert!(matches!(large, CommitError::TooLarge { what: "key", .. }), "{large}");
    let own = Key::new("\u{1}counter", &[b"serial"]);
    let empty = Template::new(Vec::new());
    for batch in [
        Batch::new().put(own.clone(), b"1".as_slice()),
        Batch::new().put(empty, b"1".as_slice()),
        Batch::new().delete(own.clone()),
        Batch::new().expect(Expectation::Absent(own)),
    ] {
        let refusal = refused(batch);
        assert!(matches!(refusal, CommitError::UnusableKey { .. }), "{refusal}");
    }
}

fn a_large_batch_is_one(store: &Arc<dyn Store>) {
    let mut batch = Batch::new();
    for place in 0..2_000_u64 {
        batch.append("log", vec![7; 4_096]);
        batch = batch.put(Key::numbered("place", &[], place), place.to_be_bytes().as_slice());
    }
    store.commit(batch).unwrap();
    let log = store.read_stream("log", 0, usize::MAX).unwrap();
    assert_eq!((log.len(), log.iter().all(|entry| *entry == [7; 4_096])), (2_000, true));
    let (from, to) = Key::range("place", &[]);
    assert_eq!(store.scan(&from, &to, usize::MAX).unwrap().len(), 2_000);
}

fn a_slot_of_another_batch_is_refused(store: &Arc<dyn Store>) {
    let mut other = Batch::new();
    let slot = other.next("uid");
    let batch = Batch::new().put(key("a"), Template::new(vec![Part::Counter(slot)]));
    assert_eq!(store.commit(batch), Err(CommitError::UnknownSlot));
    assert_eq!(store.get(&key("a")).unwrap(), None);
}

fn a_number_the_store_gave_is_found_again(store: &Arc<dyn Store>) {
    assert_eq!(store.counter("uid/1").unwrap(), 0);
    let folder = 0x0100_u64.to_be_bytes();
    let mut batch = Batch::new();
    for text in [b"first", b"other"] {
        let uid = batch.next("uid/1");
        batch = batch.put(Template::numbered("message", &[&folder], uid), text.as_slice());
    }
    store.commit(batch).unwrap();
    assert_eq!(store.get(&Key::numbered("message", &[&folder], 2)).unwrap(), Some(b"other".to_vec()));
    let (from, to) = Key::range("message", &[&folder]);
    let found: Vec<_> = store.scan(&from, &to, 10).unwrap().iter().map(|(key, _)| key.number("message", &[&folder])).collect();
    assert_eq!(found, [Some(1), Some(2)]);
    assert_eq!(store.counter("uid/1").unwrap(), 2);
}

fn sums_of_many_committers_add_up(store: &Arc<dyn Store>) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for amount in [100, -40] {
                    let mut batch = Batch::new();
                    batch.add("bytes", 5);
                    batch.add("bytes", amount);
                    store.commit(batch).unwrap();
                }
            });
        }
    });
    assert_eq!(store.sum("bytes").unwrap(), 8 * 70);
    let mut batch = Batch::new();
    batch.add("bytes", -1_000);
    store.commit(batch).unwrap();
    assert_eq!(store.sum("bytes").unwrap(), 0);
    assert_eq!(store.counter("bytes").unwrap(), 0);
}

/// Sums of a store from before go on in one record, whoever adds to them at that moment.
fn sums_that_were_apart_go_on_together(store: &Arc<dyn Store>) {
    let held = |name: &str| Together::new(format!("held/{name}"), vec![format!("bytes/{name}"), format!("messages/{name}")]);
    let mut batch = Batch::new();
    for (sum, amount) in [("bytes/1", 70), ("messages/1", 2), ("bytes/3", 9)] {
        batch.add(sum, amount);
    }
    store.commit(batch).unwrap();
    assert_eq!((store.sums(&held("1")).unwrap(), store.sums(&held("2")).unwrap()), (vec![70, 2], vec![0, 0]));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let mut batch = Batch::new();
                    for name in ["1", "2"] {
                        batch.add_together(held(name), &[5, 1]);
                        batch.add_together(held(name), &[-1, 0]);
                    }
                    store.commit(batch).unwrap();
                    let [bytes, messages] = store.sums(&held("1")).unwrap().try_into().unwrap();
                    assert_eq!(bytes, 70 + (messages - 2) * 4, "both, whenever they are read");
                }
            });
        }
    });
    assert_eq!((store.sums(&held("1")).unwrap(), store.sums(&held("2")).unwrap()), (vec![70 + 32 * 4, 34], vec![32 * 4, 32]));
    assert_eq!((store.sum("bytes/1").unwrap(), store.sum("messages/1").unwrap(), store.sum("bytes/3").unwrap()), (0, 0, 9), "they are there once");
    let mut batch = Batch::new();
    batch.add_together(held("3"), &[-100, 1]);
    store.commit(batch).unwrap();
    assert_eq!(store.sums(&held("3")).unwrap(), [0, 1]);
    assert!(matches!(store.sums(&Together::new("held/3".into(), vec![String::new()])), Err(StoreError::Corrupt { .. })));
}

/// What few keys are said to be there is answered as before: by who wrote it before and after, and by who deleted it.
fn what_is_known_to_be_absent_changes_no_answer(store: &Arc<dyn Store>) {
    let few = |name: &str| Key::new("few", &[name.as_bytes()]);
    store.commit(Batch::new().put(few("a"), b"1".as_slice()).put(few("b"), b"1".as_slice())).unwrap();
    store.know_absent(&[Few::table("few"), Few::sums("rare/")]);
    let there = |names: &[&str]| names.iter().map(|name| store.get(&few(name)).unwrap().is_some()).collect::<Vec<_>>();
    assert_eq!(there(&["a", "b", "c"]), [true, true, false]);
    let mut batch = Batch::new().delete(few("a")).expect(Expectation::Absent(few("c"))).put(few("c"), b"2".as_slice());
    batch.add("rare/c", 3);
    store.commit(batch).unwrap();
    assert_eq!((there(&["a", "b", "c"]), store.sum("rare/c").unwrap(), store.sum("rare/d").unwrap()), (vec![false, true, true], 3, 0));
    assert_eq!(store.commit(Batch::new().expect(Expectation::Absent(few("c")))), Err(CommitError::Conflict { expectation: 0 }));
    assert_eq!(store.commit(Batch::new().expect(Expectation::Present(few("d")))), Err(CommitError::Conflict { expectation: 0 }));
    // Written by many, read by each at once.
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (few, store) = (&few, &store);
            scope.spawn(move || {
                for number in 0..20 {
                    let key = few(&format!("{writer}-{number}"));
                    assert_eq!(store.get(&key).unwrap(), None);
                    store.commit(Batch::new().put(key.clone(), b"3".as_slice())).unwrap();
                    assert!(store.get(&key).unwrap().is_some());
                }
            });
        }
    });
}

/// A large group takes its time to be put where readers look.
fn nobody_reads_half_of_a_batch(store: &Arc<dyn Store>) {
    const KEYS: u64 = 600;
    let number = |place: u64| store.get(&Key::numbered("half", &[], place)).unwrap().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..=60_u64 {
                let mut batch = Batch::new();
                batch.append("half", round.to_be_bytes().as_slice());
                let batch = (0..KEYS).fold(batch, |batch, place| batch.put(Key::numbered("half", &[], place), round.to_be_bytes().as_slice()));
                store.commit(batch).unwrap();
            }
        });
        while !writer.is_finished() {
            let (first, last) = (number(0), number(KEYS - 1));
            assert!(last >= first, "{last} after {first}");
            let (last, log) = (number(KEYS - 1), store.read_stream("half", 0, usize::MAX).unwrap());
            assert!(log.len() as u64 >= last, "{} entries after {last}", log.len());
        }
    });
}

fn every_engine(clause: impl Fn(&Arc<dyn Store>)) {
    clause(&(Arc::new(Memory::new()) as Arc<dyn Store>));
    let directory = tempfile::tempdir().unwrap();
    for engine in ENGINES {
        clause(&open(engine, directory.path()).unwrap());
    }
}

#[test]
fn contract_a_conflict_changes_nothing() {
    every_engine(a_conflict_changes_nothing);
}

#[test]
fn contract_positions_and_numbers_are_spliced_into_keys_and_values() {
    every_engine(positions_and_numbers_are_spliced_into_keys_and_values);
}

#[test]
fn contract_a_delete_wins_and_scans_keep_order_and_limit() {
    every_engine(a_delete_wins_and_scans_keep_order_and_limit);
}

#[test]
fn contract_what_was_made_ready_is_a_record_like_any() {
    every_engine(what_was_made_ready_is_a_record_like_any);
    // It is what the next one who opens the store finds, too.
    let directory = tempfile::tempdir().unwrap();
    for engine in ENGINES {
        let ready = ReadyRecord::new(key("a"), b"made ", b"ready");
        open(engine, directory.path()).unwrap().commit(Batch::new().put_ready(&ready)).unwrap();
        assert_eq!(open(engine, directory.path()).unwrap().get(&key("a")), Ok(Some(b"made ready".to_vec())), "{engine}");
    }
}

#[test]
fn contract_many_committers_leave_no_gap_and_no_double() {
    every_engine(many_committers_leave_no_gap_and_no_double);
}

#[test]
fn contract_what_no_engine_takes_is_refused_and_changes_nothing() {
    every_engine(what_no_engine_takes_is_refused_and_changes_nothing);
}

#[test]
fn contract_a_large_batch_is_one() {
    every_engine(a_large_batch_is_one);
}

#[test]
fn contract_nobody_reads_half_of_a_batch() {
    every_engine(nobody_reads_half_of_a_batch);
}

#[test]
fn contract_a_slot_of_another_batch_is_refused() {
    every_engine(a_slot_of_another_batch_is_refused);
}

#[test]
fn contract_a_number_the_store_gave_is_found_again() {
    every_engine(a_number_the_store_gave_is_found_again);
}

#[test]
fn contract_sums_of_many_committers_add_up() {
    every_engine(sums_of_many_committers_add_up);
}

#[test]
fn contract_sums_that_were_apart_go_on_together() {
    every_engine(sums_that_were_apart_go_on_together);
}

#[test]
fn contract_what_is_known_to_be_absent_changes_no_answer() {
    every_engine(what_is_known_to_be_absent_changes_no_answer);
}

#[test]
fn sled_takes_small_records_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_sled(directory.path()).unwrap();
    let refusal = store.commit(Batch::new().put(key("a"), vec![0; 4_097]));
    assert_eq!(refusal, Err(CommitError::TooLarge { what: "value", bytes: 4_097, limit: 4_096 }));
    assert_eq!(store.get(&key("a")).unwrap(), None);
    store.commit(Batch::new().put(key("a"), vec![0; 4_096])).unwrap();
}

#[test]
fn a_second_opening_and_a_line_that_names_no_engine_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for engine in ENGINES {
        let _first = open(engine, directory.path()).unwrap();
        let second = open(engine, directory.path()).err().unwrap();
        assert!(matches!(second, StoreError::Unavailable { .. }), "{engine}: {second}");
    }
    for nothing in ["", "fjall", "fjall:", "sled:", "redb:x"] {
        assert!(matches!(open(nothing, directory.path()), Err(StoreError::Unavailable { .. })));
    }
}

#[test]
fn what_was_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    for (engine, bytes) in [("fjall:f", 20_000), ("sled:s", 4_096)] {
        for round in 0..3_u64 {
            let store = open(engine, directory.path()).unwrap();
            assert_eq!(store.stream_length("log").unwrap(), round);
            let mut batch = Batch::new().put(key("last"), round.to_be_bytes().as_slice());
            let slot = batch.append("log", vec![7; bytes]);
            assert_eq!(store.commit(batch).unwrap().position(slot), Some(round));
        }
        let store = open(engine, directory.path()).unwrap();
        assert_eq!(store.get(&key("last")).unwrap(), Some(2_u64.to_be_bytes().to_vec()));
        assert_eq!(store.read_stream("log", 0, 10).unwrap(), vec![vec![7; bytes]; 3]);
    }
}
