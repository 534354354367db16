//! One bit of the files flipped: everything reads as before, or the damage is told. What is older than what the keeper
//! of the store remembers, here the length of its log, is told by that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Engine, batch, how_many, random};
use crate::{Embedded, Key, Store, StoreError};

const RECORDS: usize = 400;

/// Every read a caller can make of what was written.
#[derive(Debug, PartialEq)]
struct Reads {
    log: Result<Vec<Vec<u8>>, StoreError>,
    all: Result<Vec<(Key, Vec<u8>)>, StoreError>,
    each: Vec<Result<Option<Vec<u8>>, StoreError>>,
    counters: [Result<u64, StoreError>; 2],
}

fn read(store: &dyn Store) -> Reads {
    let token = |number| Key::new("by-token", &[format!("0.{number}").as_bytes()]);
    Reads {
        log: store.read_stream("log", 0, usize::MAX),
        all: store.scan(&Key::new("", &[]), &Key::new("\u{10ffff}", &[]), usize::MAX),
        each: (0..RECORDS).map(token).chain([Key::new("last", &[]), Key::new("state", &[])]).map(|key| store.get(&key)).collect(),
        counters: [store.counter("serial"), store.sum("entries")],
    }
}

fn fill(store: &Embedded) {
    for number in 0..RECORDS {
        let (batch, _, _) = batch(&format!("0.{number}"), 40);
        // One record that changes all the time: an old value of it would look right by itself.
        store.commit(batch.put(Key::new("state", &[]), format!("state {number}").as_bytes())).unwrap();
    }
}

/// A read is what it was, or it is an error.
fn honest<T: PartialEq>(before: &Result<T, StoreError>, now: &Result<T, StoreError>) -> bool {
    now.is_err() || before == now
}

enum Found {
    /// At the opening, by the length of the log, at a read.
    Refused,
    Behind,
    Told,
    Unharmed,
    Lie(String),
}

fn judge(engine: Engine, directory: &Path, before: &Reads) -> Found {
    let store = match engine.open(directory) {
        Ok(store) => store,
        Err(_) => return Found::Refused,
    };
    // What the keeper does first: its log must be as long as it remembers.
    if store.stream_length("log") != Ok(RECORDS as u64) {
        return Found::Behind;
    }
    let now = read(&store);
    if now == *before {
        return Found::Unharmed;
    }
    let each = before.each.iter().zip(&now.each).filter(|(before, now)| !honest(before, now)).count();
    let counters = before.counters.iter().zip(&now.counters).all(|(before, now)| honest(before, now));
    if honest(&before.log, &now.log) && honest(&before.all, &now.all) && each == 0 && counters {
        return Found::Told;
    }
    Found::Lie(format!("log {} all {} each {each} counters {counters}", honest(&before.log, &now.log), honest(&before.all, &now.all)))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Copies a store; zeros at the end of a file stay a hole.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            let bytes = fs::read(&path).unwrap();
            fs::write(&target, &bytes[..written(&bytes)]).unwrap();
            fs::File::options().write(true).open(&target).unwrap().set_len(bytes.len() as u64).unwrap();
        }
    }
}

fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A store of which copies are damaged.
struct Original {
    engine: Engine,
    place: tempfile::TempDir,
    before: Reads,
}

impl Original {
    fn new(engine: Engine) -> Self {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("original");
        let store = engine.open(&directory).unwrap();
        fill(&store);
        let before = read(&store);
        assert!(before.log.is_ok() && before.all.is_ok() && before.each.iter().all(|read| matches!(read, Ok(Some(_)))), "{before:?}");
        drop(store);
        let original = Self { engine, place, before };
        // Opened once more, so that it is as openings leave it, and a copy is as good.
        assert_eq!(read(&engine.open(&directory).unwrap()), original.before);
        assert!(matches!(original.flipped(Path::new(""), None), Found::Unharmed));
        original
    }

    fn directory(&self) -> PathBuf {
        self.place.path().join("original")
    }

    /// Files by their paths in the store, with what is in them up to the zeros at the end.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut paths = Vec::new();
        files(&self.directory(), &mut paths);
        let named = paths.into_iter().map(|path| {
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(written(&bytes));
            (path.strip_prefix(self.directory()).unwrap().to_owned(), bytes)
        });
        named.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    fn flipped(&self, file: &Path, bit: Option<u64>) -> Found {
        let trial = self.place.path().join("trial");
        copy(&self.directory(), &trial);
        if let Some(bit) = bit {
            let mut bytes = fs::read(trial.join(file)).unwrap();
            bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            fs::write(trial.join(file), bytes).unwrap();
        }
        let (tell, verdict) = channel();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| tell.send(judge(self.engine, &trial, &self.before)));
            verdict.recv_timeout(Duration::from_secs(60))
        });
        fs::remove_dir_all(&trial).unwrap();
        let place = format!("{:?}: bit {bit:?} of {}", self.engine, file.display());
        match found {
            Ok(Found::Lie(lie)) => panic!("{place}: {lie}"),
            Ok(found) => found,
            Err(wrong) => panic!("{place}: a panic escaped, or it hangs: {wrong}"),
        }
    }
}

fn every_flip_is_told_or_harmless(engine: Engine) {
    let original = Original::new(engine);
    let files = original.files();
    let mut found = [0; 4];
    for flip in 0..how_many("SUIYIN_FLIPS", 80) {
        // Small files are as important as large ones: each gets its turn.
        let (file, bytes) = &files[flip % files.len()];
        match original.flipped(file, Some(random(bytes.len() as u64 * 8))) {
            Found::Refused => found[0] += 1,
            Found::Behind => found[1] += 1,
            Found::Told => found[2] += 1,
            Found::Unharmed | Found::Lie(_) => found[3] += 1,
        }
    }
    let [refused, behind, told, unharmed] = found;
    println!("{engine:?}: {refused} refused, {behind} behind its log, {told} told at a read, {unharmed} harmless");
    assert!(refused + told > 0);
}

/// The place of a group in the journal's order stands outside the journal's checksum.
#[test]
fn a_group_of_fjall_in_another_place_is_told_or_harmless() {
    let original = Original::new(Engine::Fjall);
    let (file, journal) = original.files().into_iter().find(|(file, _)| file.extension().is_some_and(|kind| kind == "jnl")).unwrap();
    // A group starts with 1, how many items in four bytes, its place in eight, and its first item with 2.
    let starts: Vec<usize> = journal.windows(14).enumerate().filter(|(_, bytes)| matches!(bytes, [1, 9, 0, 0, 0, _, _, 0, 0, 0, 0, 0, 0, 2])).map(|(at, _)| at).collect();
    assert_eq!(starts.len(), RECORDS);
    let mut told = 0;
    for start in starts.iter().step_by(starts.len() / 16) {
        for bit in [0, 3, 8, 40] {
            told += usize::from(!matches!(original.flipped(&file, Some(*start as u64 * 8 + 40 + bit)), Found::Unharmed));
        }
    }
    assert!(told > 32, "{told}");
}

#[test]
fn a_flipped_bit_of_fjall_is_told_or_harmless() {
    every_flip_is_told_or_harmless(Engine::Fjall);
}

#[test]
fn a_flipped_bit_of_fjall_that_makes_tables_is_told_or_harmless() {
    every_flip_is_told_or_harmless(Engine::FjallFlushing);
}

#[test]
fn a_flipped_bit_of_sled_is_told_or_harmless() {
    every_flip_is_told_or_harmless(Engine::Sled);
}
