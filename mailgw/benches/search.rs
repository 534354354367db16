//! `scripts/bench`: SEARCH over TLS in a mailbox of many Chinese letters, with its sealed index, on fjall.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/imap/harness.rs"]
mod harness;
#[path = "../tests/imap/letters.rs"]
mod letters;

use std::sync::Arc;
use std::time::Instant;

use harness::{ONE, quick, start_on};
use letters::{asked, fill};

const LETTERS: usize = 100_000;
const ASKED: usize = 5;
/// A rare character and a rare word, common ones, and one that is nowhere.
const QUESTIONS: [(&str, &str); 10] = [
    ("BODY", "鼉"), ("BODY", "鼉龘"), ("BODY", "积"), ("BODY", "公积"), ("BODY", "公积金"), ("TEXT", "公积金"), ("SUBJECT", "公积金"), ("FROM", "张三"), ("BODY", "住房公积金"), ("TEXT", "没有这个词"),
];

fn main() {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(measured());
}

async fn measured() {
    let count = std::env::var("SUIYIN_BENCH_LETTERS").ok().and_then(|text| text.parse().ok()).unwrap_or(LETTERS);
    let place = tempfile::tempdir_in(std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into())).unwrap();
    let store = Arc::new(store::open_fjall(place.path()).unwrap());
    let server = start_on(store, quick(), "127.0.0.1:0", "127.0.0.1:0").await;
    let begun = Instant::now();
    fill(&server, count);
    println!("a mailbox of {count} letters, delivered in {:.1} s", begun.elapsed().as_secs_f64());
    let (begun, before) = (Instant::now(), octets(place.path()));
    let segments = server.messages.reindex(ONE, &mut |_, _| true).unwrap();
    let (seconds, after) = (begun.elapsed().as_secs_f64(), octets(place.path()));
    println!("  indexed in {seconds:.1} s, {segments} segments; {:.0} MB of files beside {:.0} MB", after.saturating_sub(before) as f64 / 1e6, before as f64 / 1e6);
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    for (keys, text) in QUESTIONS {
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..ASKED {
            let begun = Instant::now();
            found = asked(&mut client, &format!("UNDELETED {keys}"), text).await.split(' ').count() - 2;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("  {keys:<8} {text}: {found:>6} found, median {:>6.0} ms, worst {:>6.0} ms (aim 200 ms)", times[ASKED / 2], times[ASKED - 1]);
    }
}

fn octets(path: &std::path::Path) -> u64 {
    // The store may take away what it is done with.
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { octets(&entry.path()) } else { entry.metadata().map_or(0, |found| found.len()) }).sum()
}
