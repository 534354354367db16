//! Trains the dictionary that bodies are compressed with, on sealed statements of the demonstration city:
//! `cargo build --release --bins && cargo run --release -p mailgw --example train_dictionary -- mailgw/src/record/dictionary-2.zstd`.
//! One that is in use is never overwritten.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use certs_test::office::{KINDS, Office};
use keys::Passphrase;
use runtime::clock::SystemClock;

/// Larger ones help little and slow every message down.
const SIZE: usize = 64 * 1024;
const PEOPLE: u64 = 1_000;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    assert!(!std::path::Path::new(&path).exists(), "{path} exists");
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), PEOPLE);
    for kind in KINDS {
        office.push(kind).json();
    }
    office.kill_gateway();
    let passphrase = Passphrase::from_file(&place.path().join("pass")).unwrap();
    let gateway = mailgw::init::open(&place.path().join("mailgw"), None, &passphrase, Arc::new(SystemClock)).unwrap().gateway;
    let mut samples = Vec::new();
    for account in &office.people {
        let mailbox = account.address.split('@').next().unwrap();
        let view = gateway.messages.view(mailbox, "INBOX").unwrap();
        samples.extend(view.messages.iter().map(|message| gateway.messages.load(&view.folder, message.uid).unwrap()));
    }
    let (train, judge) = samples.split_at(samples.len() * 9 / 10);
    let dictionary = zstd::dict::from_samples(train, SIZE).unwrap();
    let mut with = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
    let whole: usize = judge.iter().map(Vec::len).sum();
    let plain: usize = judge.iter().map(|message| zstd::bulk::compress(message, 3).unwrap().len()).sum();
    let small: usize = judge.iter().map(|message| with.compress(message).unwrap().len()).sum();
    println!("{} messages of {} bytes: {} with zstd alone, {} with the dictionary", judge.len(), whole / judge.len(), plain / judge.len(), small / judge.len());
    std::fs::write(path, dictionary).unwrap();
}
