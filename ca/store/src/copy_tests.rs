#![allow(clippy::unwrap_used)]
use super::*;
use crate::{Batch, Memory, Store, open};

fn key(name: u32) -> Key {
    Key::new("table", &[&name.to_be_bytes()])
}

/// Records, a stream, a counter and a sum, then more and other ones after the snapshot.
fn changed_since(store: &dyn Store) -> Box<dyn Snapshot> {
    for number in 0..200 {
        let mut batch = Batch::new().put(key(number), vec![number as u8; 300]);
        batch.append("log", number.to_be_bytes().as_slice());
        batch.next("counter");
        batch.add("sum", 2);
        store.commit(batch).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    for number in 0..300 {
        let mut batch = Batch::new();
        batch = if number % 3 == 0 { batch.delete(key(number)) } else { batch.put(key(number), vec![9; 300]) };
        batch.append("log", b"later".as_slice());
        batch.next("counter");
        store.commit(batch).unwrap();
    }
    snapshot
}

fn as_it_was(store: &dyn Store) {
    for number in 0..200 {
        assert_eq!(store.get(&key(number)).unwrap(), Some(vec![number as u8; 300]));
    }
    let (from, to) = Key::range("table", &[]);
    assert_eq!(store.scan(&from, &to, 1_000).unwrap().len(), 200);
    assert_eq!((store.stream_length("log").unwrap(), store.counter("counter").unwrap(), store.sum("sum").unwrap()), (200, 200, 400));
    assert_eq!(store.read_stream("log", 199, 5).unwrap(), [199_u32.to_be_bytes()]);
}

#[test]
fn a_store_moves_from_any_engine_to_any_as_it_was_at_one_moment() {
    let place = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    let stores: [std::sync::Arc<dyn Store>; 3] = [std::sync::Arc::new(Memory::new()), open("fjall:f", place.path()).unwrap(), open("sled:s", place.path()).unwrap()];
    for store in stores {
        let snapshot = changed_since(&*store);
        let mut copy = Vec::new();
        assert_eq!(write_out(&*snapshot, &mut copy, &mut |_| ()).unwrap(), 200 + 200 + 3);
        // In small pages it is the same.
        let (mut paged, mut last) = (0, None);
        loop {
            let page = snapshot.page(last.as_ref(), 1_000).unwrap();
            let Some((end, _)) = page.last() else { break };
            assert!(page.len() < 200);
            (paged, last) = (paged + page.len(), Some(end.clone()));
        }
        assert_eq!(paged, 403);
        copies.push(copy);
    }
    assert!(copies.iter().all(|copy| *copy == copies[0]));
    let mut entries = Vec::new();
    assert_eq!(read_through(&mut &*copies[0], "log", &mut |entry| entries.push(entry.to_vec())).unwrap(), (403, 200));
    assert!(entries.iter().zip(0_u32..).all(|(entry, number)| *entry == number.to_be_bytes()));
    for configuration in ["fjall:new-f", "sled:new-s"] {
        assert_eq!(take_in(configuration, place.path(), &mut &*copies[0], &mut |_| ()).unwrap(), 403);
        as_it_was(&*open(configuration, place.path()).unwrap());
        assert!(matches!(take_in(configuration, place.path(), &mut &*copies[0], &mut |_| ()), Err(CopyError::Store(StoreError::Unavailable { .. }))));
    }
}

#[test]
fn snapshots_taken_while_many_commit_hold_whole_batches() {
    let place = tempfile::tempdir().unwrap();
    for configuration in ["fjall:f", "sled:s"] {
        let store = open(configuration, place.path()).unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let committer = || {
                let mut round = 0_u32;
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut batch = Batch::new();
                    batch.append("log", b"entry".as_slice());
                    store.commit(batch.put(key(0), round.to_be_bytes().as_slice()).put(key(1), round.to_be_bytes().as_slice())).unwrap();
                    round += 1;
                }
            };
            scope.spawn(committer);
            for _ in 0..100 {
                let mut copy = Vec::new();
                write_out(&*store.snapshot().unwrap(), &mut copy, &mut |_| ()).unwrap();
                let mut input = &*copy;
                let mut reader = Reader::new(&mut input).unwrap();
                let (mut ours, mut entries, mut length) = (Vec::new(), 0_u64, 0_u64);
                while let Some((key, value)) = reader.next().unwrap() {
                    match key.as_bytes() {
                        bytes if bytes.starts_with(b"table") => ours.push(value),
                        bytes if bytes.starts_with(b"\x01stream") => entries += 1,
                        bytes if bytes.starts_with(b"\x01length") => length = u64::from_be_bytes(value.try_into().unwrap()),
                        _ => {}
                    }
                }
                assert!(ours.is_empty() || (ours.len() == 2 && ours[0] == ours[1]), "half a batch");
                assert_eq!(entries, length);
            }
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

#[test]
fn what_is_no_whole_copy_is_refused() {
    let store = Memory::new();
    store.commit(Batch::new().put(key(1), b"one".as_slice()).put(key(2), b"two".as_slice())).unwrap();
    let mut copy = Vec::new();
    write_out(&*store.snapshot().unwrap(), &mut copy, &mut |_| ()).unwrap();
    let read = |bytes: &[u8]| -> Result<(), CopyError> {
        let mut input = bytes;
        let mut reader = Reader::new(&mut input)?;
        while reader.next()?.is_some() {}
        Ok(())
    };
    read(&copy).unwrap();
    for end in 0..copy.len() {
        assert!(matches!(read(&copy[..end]), Err(CopyError::Form(_))), "{end}");
    }
    assert!(read(&[&copy[..], b"x"].concat()).is_err());
    let mut long = copy.clone();
    long[HEAD.len()] = 0xff;
    assert!(matches!(read(&long), Err(CopyError::Form(_))));
}
