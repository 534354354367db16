//! Engines under trial: killed, cut off from power, on a full disk, damaged. Only in tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod flip;
mod full;
mod kill;
mod power;
mod writer;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use crate::{Batch, CounterSlot, Embedded, Key, Part, Store, StoreError, StreamSlot, Template, Watchdog};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Fjall,
    /// fjall that makes a table of every few records, as a full memtable does.
    FjallFlushing,
    Sled,
    /// sled as it comes: without the `fdatasync` that this crate adds.
    SledAsItIs,
}

impl Engine {
    fn named(name: &str) -> Self {
        [Self::Fjall, Self::FjallFlushing, Self::Sled, Self::SledAsItIs].into_iter().find(|engine| format!("{engine:?}") == name).unwrap()
    }

    fn open(self, directory: &Path) -> Result<Embedded, StoreError> {
        match self {
            Self::Fjall => crate::fjall_engine::start(directory, Watchdog::default(), crate::fjall_engine::MEMTABLE_BYTES),
            Self::FjallFlushing => crate::fjall_engine::start(directory, Watchdog::default(), 100_000),
            Self::Sled => crate::sled_engine::start(directory, Watchdog::default(), std::fs::File::sync_data),
            Self::SledAsItIs => crate::sled_engine::start(directory, Watchdog::default(), |_| Ok(())),
        }
    }

    /// The body of a writer's `number`th record: mostly small, now and then as large as the engine likes.
    fn body(self, number: usize) -> usize {
        match self {
            _ if number % 7 != 3 => 10 + number * 13 % 300,
            Self::Fjall | Self::FjallFlushing => 9_000,
            Self::Sled | Self::SledAsItIs => 3_500,
        }
    }
}

fn how_many(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// A number below `end`, another one each time.
fn random(end: u64) -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish() % end
}

/// What one acknowledged commit told: where its log entry stands and the token it wrote.
type Acknowledged = (u64, String);

/// A log entry, a record under a number, an index entry, a counter's step and a sum: each says which batch it is of.
fn batch(token: &str, body: usize) -> (Batch, StreamSlot, CounterSlot) {
    let content = [token.as_bytes(), b" ", &vec![b'x'; body]].concat();
    let mut batch = Batch::new();
    let serial = batch.next("serial");
    let place = batch.append("log", Template::new(vec![Part::Counter(serial), Part::Bytes(content.clone())]));
    batch.add("entries", 1);
    let batch = batch
        .put(Template::numbered("record", &[], serial), Template::new(vec![Part::Position(place), Part::Bytes(content)]))
        .put(Key::new("by-token", &[token.as_bytes()]), Template::new(vec![Part::Counter(serial)]))
        .put(Key::new("last", &[]), Template::new(vec![Part::Counter(serial)]));
    (batch, place, serial)
}

/// Reads all of a store of [`batch`]es. It must be whole, whatever it holds; gives how many of `acknowledged` it lost.
fn lost(store: &dyn Store, acknowledged: &[Acknowledged]) -> Result<usize, StoreError> {
    let log = store.read_stream("log", 0, usize::MAX)?;
    let (from, to) = Key::range("record", &[]);
    let records = store.scan(&from, &to, usize::MAX)?;
    let entries = log.len() as u64;
    assert_eq!((records.len(), store.counter("serial")?, store.sum("entries")?), (log.len(), entries, entries), "batches are whole");
    let mut tokens = BTreeSet::new();
    for ((position, entry), (key, record)) in (0..).zip(&log).zip(&records) {
        let (serial, content) = entry.split_at(8);
        assert_eq!((key, serial), (&Key::numbered("record", &[], position + 1), (position + 1).to_be_bytes().as_slice()));
        assert_eq!(*record, [&position.to_be_bytes(), content].concat());
        let token = std::str::from_utf8(content).unwrap().split(' ').next().unwrap();
        assert_eq!(store.get(&Key::new("by-token", &[token.as_bytes()]))?, Some(serial.to_vec()));
        assert!(tokens.insert(token.to_owned()), "{token} is there twice");
    }
    let last = store.get(&Key::new("last", &[]))?;
    assert_eq!(last, (entries > 0).then(|| entries.to_be_bytes().to_vec()));
    let kept = |(position, token): &&Acknowledged| {
        let entry = usize::try_from(*position).ok().and_then(|position| log.get(position));
        entry.is_some_and(|entry| entry[8..].starts_with(format!("{token} ").as_bytes()))
    };
    Ok(acknowledged.iter().filter(|one| !kept(one)).count())
}
