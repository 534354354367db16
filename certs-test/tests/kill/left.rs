//! What a kill left on the disk, read from a copy before the program sees it again: register, intents and log must tell the
//! same story at every moment, and the story must hold all that callers were told.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use certs_test::programs::run;
use serde_json::Value;
use store::{Key, Store};

use super::load::{State, Told};

/// Kinds of entries of the authority's log, as `ca/src/record/log.rs` froze them.
const INTENDED: u8 = 3;
const ISSUED: u8 = 4;
const REVOKED: u8 = 5;
const PAGE: usize = 10_000;

/// The log's story of one directory, as far as it was read.
#[derive(Default)]
pub struct Story {
    read: u64,
    intended: HashSet<String>,
    issued: HashMap<String, String>,
    revoked: HashSet<String>,
    /// Intents that the last look found unfinished: a start finishes them.
    open: HashSet<String>,
}

impl Story {
    /// Reads on and holds it against the register. `started`: the program was up since the last look.
    pub fn judge(&mut self, directory: &Path, started: bool, at: &str) {
        let copy = tempfile::tempdir().unwrap();
        run("cp", &["-r", "--reflink=auto", &directory.join("store").to_string_lossy(), &copy.path().to_string_lossy()], directory).ok();
        let store = store::open("fjall:store", copy.path()).unwrap_or_else(|error| panic!("{at}: {error}"));
        self.read_log(&*store, at);
        let mut registered = HashSet::new();
        for (serial, json, body) in table(&*store, "certificate") {
            let sha256 = sha256(&body);
            assert_eq!(self.issued.get(&serial), Some(&sha256), "{at}: the log does not tell of {serial} as the register holds it");
            assert_eq!(json["status"].get("revoked").is_some(), self.revoked.contains(&serial), "{at}: log and register disagree whether {serial} is revoked");
            registered.insert(serial);
        }
        let lost: Vec<&String> = self.issued.keys().filter(|serial| !registered.contains(*serial)).collect();
        assert!(lost.is_empty(), "{at}: issued and not in the register: {lost:?}");
        // What was about to be signed and is not in the register is an intent, so that nothing signed is ever unknown.
        let open: HashSet<String> = table(&*store, "intent").into_iter().map(|(serial, ..)| serial).collect();
        let unissued: HashSet<String> = self.intended.iter().filter(|serial| !self.issued.contains_key(*serial)).cloned().collect();
        assert_eq!(open, unissued, "{at}: intents to sign are not those that came to nothing yet");
        if started {
            let forgotten: Vec<&String> = self.open.intersection(&open).collect();
            assert!(forgotten.is_empty(), "{at}: a start did not finish {forgotten:?}");
        }
        self.open = open;
        // The signed head, outside the store, is never ahead of it.
        let head = std::fs::read_to_string(directory.join("log-head")).unwrap();
        let signed: u64 = head.lines().nth(1).unwrap().parse().unwrap();
        assert!(signed <= self.read, "{at}: the head is at {signed} and the log has {}", self.read);
    }

    fn read_log(&mut self, store: &dyn Store, at: &str) {
        let length = store.stream_length("log").unwrap();
        assert!(length >= self.read, "{at}: the log has {length} entries and had {}", self.read);
        while self.read < length {
            for leaf in store.read_stream("log", self.read, PAGE).unwrap() {
                self.read += 1;
                if ![INTENDED, ISSUED, REVOKED].contains(&leaf[1]) {
                    continue;
                }
                let entry: Value = serde_json::from_slice(&leaf[10..]).unwrap();
                let serial = entry["serial"].as_str().unwrap().to_owned();
                match leaf[1] {
                    INTENDED => assert!(self.intended.insert(serial.clone()), "{at}: {serial} was intended twice"),
                    ISSUED => assert!(self.issued.insert(serial.clone(), entry["sha256"].as_str().unwrap().to_owned()).is_none(), "{at}: {serial} was issued twice"),
                    _ => assert!(self.revoked.insert(serial.clone()), "{at}: {serial} was revoked twice"),
                }
            }
        }
    }

    /// All that callers were told is so.
    pub fn holds(&self, told: &Told, at: &str) {
        for (serial, (state, sha256)) in &told.certificates {
            assert_eq!(self.issued.get(serial), Some(sha256), "{at}: {serial} is lost, or another");
            // A revocation may have been done and not told; never the other way round.
            assert!(*state == State::Good || self.revoked.contains(serial), "{at}: {serial} is no longer revoked");
        }
        let mut serials = HashSet::new();
        for (key, serial) in &told.orders {
            assert!(self.issued.contains_key(serial), "{at}: the certificate of order {key} is lost");
            assert!(serials.insert(serial), "{at}: two orders came to {serial}");
        }
        assert!(told.refused.is_empty(), "{at}: refused: {:?}", told.refused);
    }

    pub fn issued(&self) -> usize {
        self.issued.len()
    }
}

/// Serial, JSON and what follows it, of every record of a table.
fn table(store: &dyn Store, name: &str) -> Vec<(String, Value, Vec<u8>)> {
    let (mut from, to) = Key::range(name, &[]);
    let mut found = Vec::new();
    loop {
        let page = store.scan(&from, &to, PAGE).unwrap();
        for (key, bytes) in &page {
            let end = bytes.iter().position(|octet| *octet == 0).unwrap_or(bytes.len());
            let serial = key.last_part().unwrap().iter().map(|octet| format!("{octet:02x}")).collect();
            found.push((serial, serde_json::from_slice(&bytes[..end]).unwrap(), bytes.get(end + 1..).unwrap_or_default().to_vec()));
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return found,
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}
