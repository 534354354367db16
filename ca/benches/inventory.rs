//! `scripts/bench`: a register of a million certificates on fjall: what `ca list` and the notices of certificates that end take,
//! and the memory that it all needs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Instant;

use ca::authority::Authority;
use ca::flow::Authorised;
use ca::flow::issue::{Order, issue};
use ca::flow::notice;
use ca::flow::plan::Words;
use ca::record::{CertificateRecord, Reason, Revocation, Status, encode, serial_text};
use ca::register::{Query, State, list};
use pki::signer::SignatureAlgorithm;
use store::{Batch, Store};

const DAY: i64 = 86_400;
/// How long certificates live: their ends lie evenly in the time to come.
const LIFE: i64 = 1_095 * DAY;
const BATCH: u64 = 2_000;

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find(|found| found.starts_with(line)).and_then(|found| found.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}

/// Seconds, and processor seconds of the whole process.
fn measured<T>(work: impl FnOnce() -> T) -> (f64, f64, T) {
    let processor = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    let (began, before) = (Instant::now(), processor());
    let done = work();
    (began.elapsed().as_secs_f64(), processor() - before, done)
}

/// Certificate `n` of many, of a real one: each of an enterprise of its own, every hundredth revoked.
fn certificate(n: u64, of: &CertificateRecord, now: i64) -> ([u8; 16], CertificateRecord) {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut serial = [0x40; 16];
    serial[8..].copy_from_slice(&spread.to_be_bytes());
    let not_after = now + i64::try_from(spread % LIFE.unsigned_abs()).unwrap_or_default();
    let record = CertificateRecord {
        name: format!("广州某某第{n}有限公司"),
        code: Some(format!("{n:018}")),
        not_before: not_after - LIFE,
        not_after,
        key_digest: [of.key_digest[..24].to_vec(), spread.to_be_bytes().to_vec()].concat(),
        shard: Some(u16::from(serial[15]) % 16),
        status: if n.is_multiple_of(100) { Status::Revoked(Revocation::new(now, Reason::Superseded)) } else { Status::Good },
        ..of.clone()
    };
    (serial, record)
}

fn filled(authority: &Authority, of: &CertificateRecord, count: u64, now: i64) {
    for from in (0..count).step_by(BATCH as usize) {
        let batch = (from..count.min(from + BATCH)).map(|n| certificate(n, of, now)).fold(Batch::new(), |batch, (serial, record)| {
            let batch = batch.put(CertificateRecord::key(&serial), encode(&record).unwrap());
            record.indexes(&serial).into_iter().fold(batch, |batch, index| batch.put(index, serial.as_slice()))
        });
        authority.store.commit(batch).unwrap();
    }
}

/// Every page of an answer: how many there are.
fn all(store: &dyn Store, query: &Query, now: i64) -> usize {
    let mut query = query.clone();
    let mut found = 0;
    loop {
        let page = list(store, &query, now).unwrap();
        found += page.len();
        match page.last() {
            Some((last, _)) if page.len() == ca::register::PAGE => query.after = Some(serial_text(last)),
            _ => return found,
        }
    }
}

fn main() {
    let place = tempfile::tempdir_in(std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into())).unwrap();
    let count = std::env::var("SUIYIN_BENCH_CERTIFICATES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let passphrase = keys::Passphrase::new("correct horse battery".into()).unwrap();
    let clock: Arc<dyn runtime::clock::Clock> = Arc::new(runtime::clock::SystemClock);
    let opened = ca::init::init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase, &passphrase, clock).unwrap();
    let authority = opened.authority;
    let holder = keys::KeyStore::create(&place.path().join("keys"), &passphrase).unwrap().generate("holder", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let order = Order {
        profile: "enterprise-signing".into(),
        request: parameters.serialize_request(&holder).unwrap().der().to_vec(),
        applicant: Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), mailbox: Some("1234567897@mail.example.cn".into()), ..Words::default() },
        issuer: None,
    };
    let issued = issue(&authority, Authorised::service(), order).unwrap();
    let now = authority.clock.now().unix_timestamp();
    let (seconds, _, ()) = measured(|| filled(&authority, &issued.what().record, count, now));
    println!("a register of {count} certificates, written in {seconds:.1} s");

    let some = |text: &str| Some(text.to_owned());
    let expiring = Query { expires_from: Some(now), expires_before: Some(now + 30 * DAY + 1), ..Query::default() };
    let asked = [
        ("ca list --expiring 30d", expiring.clone()),
        ("  the same --profile enterprise-signing", Query { profile: some("enterprise-signing"), ..expiring.clone() }),
        ("  the same --state revoked", Query { state: Some(State::Revoked), ..expiring.clone() }),
        ("ca list --code", Query { code: some("000000000000000007"), ..Query::default() }),
        ("ca list --name", Query { name: some("广州某某第777"), ..Query::default() }),
    ];
    for (what, query) in asked {
        let (first, _, page) = measured(|| list(&*authority.store, &query, now).unwrap().len());
        let (whole, processor, found) = measured(|| all(&*authority.store, &query, now));
        println!("  {what:<42} first page of {page:>5} in {:>7.1} ms; all {found:>6} in {whole:>6.2} s ({processor:.2} s of processor)", first * 1e3);
    }

    // From an authority that never told anybody to one that has told everybody.
    let (seconds, processor, (turns, looked, queued, longest)) = measured(|| {
        let (mut turns, mut looked, mut queued, mut longest) = (0, 0, 0, 0.0_f64);
        loop {
            let (took, _, made) = measured(|| notice::due(&authority).unwrap());
            (turns, looked, queued, longest) = (turns + 1, looked + made.looked_at, queued + made.queued, longest.max(took));
            if made.looked_at == 0 {
                return (turns, looked, queued, longest);
            }
        }
    });
    println!("  notices: {looked} looked at, {queued} queued, in {turns} turns of at most {:.0} ms: {seconds:.1} s in all ({processor:.1} s of processor)", longest * 1e3);
    let (seconds, processor, _) = measured(|| (0..20).map(|_| notice::due(&authority).unwrap().looked_at).sum::<usize>());
    println!("  a turn with nobody to tell                 {:>7.2} ms ({:.2} ms of processor)", seconds / 20.0 * 1e3, processor / 20.0 * 1e3);
    println!("  memory now {} MiB, at most {} MiB; the store's files {:.0} MB", memory("VmRSS:"), memory("VmHWM:"), octets(&place.path().join("ca")) as f64 / 1e6);
}

fn octets(path: &std::path::Path) -> u64 {
    // The store may take away what it is done with.
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { octets(&entry.path()) } else { entry.metadata().map_or(0, |found| found.len()) }).sum()
}
