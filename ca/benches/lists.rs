//! `scripts/bench`: the lists of an authority with a million revoked, without and with invalidity dates: time beside writing the
//! same bytes to disk, and memory beside their size. A delta of all of them is what a disaster leaves before the next whole list.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ca::authority::Authority;
use ca::flow::Authorised;
use ca::flow::publish::publish_scope;
use ca::record::{CertificateRecord, CrlChange, CrlRecord, Listed, Reason, Revocation, Scope, encode};
use store::{Batch, Memory, Part, Store, Template};

const ISSUER: &str = "enterprise-ca";
const PARTS: u16 = 16;
const CHANGES: u64 = 10_000;
const BATCH: u64 = 5_000;
const ROUNDS: usize = 3;

/// Of the whole process, in kB: what is resident now, and the peak since it was reset.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn serial(n: u64) -> [u8; 16] {
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut serial = [0; 16];
    serial.iter_mut().zip(spread(n).into_iter().chain(spread(n ^ 0xffff_0000))).for_each(|(to, from)| *to = from);
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}

/// As the flow records it: each on the whole list and on its part, all of them before the next publication.
fn revoked(store: &dyn Store, numbers: std::ops::Range<u64>, at: i64, dated: bool) {
    let revocation = Revocation { invalid_since: dated.then_some(at - 3_600), ..Revocation::new(at, Reason::Superseded) };
    let listed = encode(&Listed::Revoked(revocation)).unwrap();
    let mut from = numbers.start;
    while from < numbers.end {
        let to = numbers.end.min(from + BATCH);
        let mut batch = Batch::new();
        for n in from..to {
            let serial = serial(n);
            let shard = u16::from_be_bytes([serial[14], serial[15]]) % PARTS;
            let number = batch.next(CrlChange::COUNTER);
            batch = batch.put(CertificateRecord::revoked(ISSUER, &serial), listed.clone());
            batch = batch.put(CertificateRecord::revoked_in(ISSUER, shard, &serial), listed.clone());
            batch = batch.put(CrlChange::place(ISSUER, number), CrlChange { at, serial: serial.to_vec() }.value());
            for scope in [Scope::Whole, Scope::Delta, Scope::Shard(shard)] {
                batch = batch.put(scope.stale(ISSUER), Template::new(vec![Part::Counter(number)]));
            }
        }
        store.commit(batch).unwrap();
        from = to;
    }
}

/// Seconds, and the memory it took at most.
fn measured<T>(work: impl FnOnce() -> T) -> (f64, u64, T) {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = resident("VmRSS");
    let began = Instant::now();
    let done = work();
    (began.elapsed().as_secs_f64(), resident("VmHWM").saturating_sub(before), done)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn written(place: &Path, bytes: usize) -> f64 {
    let path = place.join("bytes");
    let bytes = vec![7; bytes];
    let began = Instant::now();
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&bytes).and_then(|()| file.sync_all()).unwrap();
    let took = began.elapsed().as_secs_f64();
    std::fs::remove_file(&path).unwrap();
    took
}

fn lists(what: &str, store: Arc<dyn Store>, founded: &Authority, count: u64, dated: bool, place: &Path) {
    let authority = founded.over(store);
    let now = authority.clock.now().unix_timestamp();
    let make = |scope| publish_scope(&authority, &Authorised::service(), &authority.issuers[ISSUER], scope).unwrap();
    // The base, before anybody is revoked.
    make(Scope::Whole);
    let began = Instant::now();
    revoked(&*authority.store, 0..count, now, dated);
    println!("{what}: {count} revoked, recorded in {:.1} s", began.elapsed().as_secs_f64());
    let size = |scope| authority.store.get(&CrlRecord::of(ISSUER, scope)).unwrap().unwrap().len();
    let say = |what: &str, bytes: usize, seconds: &[f64], peak: u64| {
        let (ours, reference) = (median(seconds.to_vec()), median((0..ROUNDS).map(|_| written(place, bytes)).collect()));
        let (size, taken) = (bytes as f64 / 1e6, peak as f64 * 1_024.0 / 1e6);
        println!("  {what:<34} {size:>6.1} MB in {ours:>6.2} s; the same bytes written in {reference:>5.2} s; memory {taken:>6.1} MB, {:.1} times their size", taken / size);
    };
    let (seconds, peak, head) = measured(|| make(Scope::Delta));
    say(&format!("a delta of {} entries", head.entries), size(Scope::Delta), &[seconds], peak);
    let rounds: Vec<(f64, u64)> = (0..ROUNDS).map(|_| measured(|| make(Scope::Whole))).map(|(seconds, peak, _)| (seconds, peak)).collect();
    let (seconds, peak): (Vec<f64>, Vec<u64>) = rounds.into_iter().unzip();
    say("the whole list (aim 5 s, 4 times)", size(Scope::Whole), &seconds, peak.into_iter().max().unwrap_or_default());
    let (seconds, peak, ()) = measured(|| (0..PARTS).for_each(|shard| drop(make(Scope::Shard(shard)))));
    let parts: usize = (0..PARTS).map(|shard| size(Scope::Shard(shard))).sum();
    println!("  {PARTS} parts, one after the other        {:>6.1} MB in {seconds:>6.2} s; memory {:.1} MB", parts as f64 / 1e6, peak as f64 * 1_024.0 / 1e6);
    revoked(&*authority.store, count..count + CHANGES, now, dated);
    let (seconds, peak, head) = measured(|| make(Scope::Delta));
    say(&format!("a delta of {} entries", head.entries), size(Scope::Delta), &[seconds], peak);
}

fn main() {
    let place = tempfile::tempdir_in(std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into())).unwrap();
    let passphrase = keys::Passphrase::new("correct horse battery".into()).unwrap();
    let opened = ca::init::init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase, &passphrase, Arc::new(runtime::clock::SystemClock)).unwrap();
    let count = std::env::var("SUIYIN_BENCH_REVOKED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    println!("revocation lists");
    lists("in memory", Arc::new(Memory::new()), &opened.authority, count, false, place.path());
    for (what, store, dated) in [("fjall", "fjall:lists", false), ("fjall, with invalidity dates", "fjall:dated", true)] {
        lists(what, store::open(store, place.path()).unwrap(), &opened.authority, count, dated, place.path());
    }
}
