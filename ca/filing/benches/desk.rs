//! The desk's line in process, on fjall: filings of as many enterprises proved, judged, recorded, receipted, as many at one time
//! as the desk's policy lets in; beside the verifications and signatures that were really made for them, raw, in the same run.
//! The timestamp authority and the responder stand in this process too: their signatures are counted, and cost here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#[path = "../../pki/tests/city/mod.rs"]
mod city;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/desk/office.rs"]
mod office;
#[path = "desk/https.rs"]
mod https;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use city::Key;
use filing::desk::Desk;
use filing::desk::flow::authorise::{Callers, Enterprise};
use filing::desk::flow::receive::{Submission, receive};
use filing::desk::record::filing::Said;
use pki::signature::{DigestAlgorithm, Scheme, verifications};
use pki::signer::Signer as _;
use policies::identity::CreditCode;
use rustls::pki_types::CertificateDer;
use store::Batch;

/// As the program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;
/// What the city's enterprises hand in at the end of a deadline.
const FILINGS: usize = 17_198;
/// A burst is ten times what the desk judges at one time, there at once.
const BURST: usize = 10;

fn main() {
    if std::env::var_os(https::CALLERS).is_some() {
        return https::call();
    }
    let filings = std::env::var("SUIYIN_BENCH_FILINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(FILINGS);
    let base = std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into());
    let place = tempfile::tempdir_in(base).unwrap();
    let founded = office::Founded::new();
    let store = store::open("fjall:store", place.path()).unwrap();
    // As `filing desk init` founds it.
    store.commit(Batch::new().put(Said::newest_alone(), vec![1])).unwrap();
    let desk = Arc::new(founded.desk(store, |_| {}));
    founded.seal(&desk);
    let at_once = usize::try_from(desk.policies.desk.limits.at_once).unwrap();
    println!("{filings} filings, each signed and timestamped by an enterprise of its own, {at_once} at one time …");
    let callers = Callers::default();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let made: Vec<_> = (0..filings).map(|index| prepare(&founded, &desk, &callers, round * filings + index)).collect();
        let before = (verifications(), founded.world.signed.load(Relaxed), memory("VmRSS:"), processor_seconds());
        let (seconds, latencies) = file(&desk, &made, at_once);
        let processor = processor_seconds() - before.3;
        // The desk's own: a seal for each.
        let (verified, signed) = (verifications() - before.0, founded.world.signed.load(Relaxed) - before.1 + filings as u64);
        let grown = memory("VmRSS:").saturating_sub(before.2);
        let (raw, raw_processor) = raw(verified, signed);
        let ratio = raw_processor / processor;
        println!("  round {}: {filings} in {seconds:.1} s, {:.0} µs of processor each, {ratio:.2} of the raw limit", round + 1, processor * 1e6 / filings as f64);
        rounds.push(Round { rate: filings as f64 / seconds, ratio, seconds, raw, raw_processor, processor, verified, signed, grown, p99: at(&latencies, 99), p50: at(&latencies, 50) });
    }
    rounds.sort_by(|one, other| one.ratio.total_cmp(&other.ratio));
    let round = &rounds[ROUNDS / 2];
    println!("filings receipted, durable                      {:>10.0}/s   {filings} in {:.1} s (aim 17198 in 10)", round.rate, round.seconds);
    let micros = |seconds: f64| seconds * 1e6 / filings as f64;
    println!("  {:.1} verifications and {:.1} signatures each; raw they take {:.1} s, {:.2} of the time it took", round.verified as f64 / filings as f64, round.signed as f64 / filings as f64, round.raw, round.raw / round.seconds);
    println!("  {:.0} µs of processor each, the timestamp authority's and the responder's among them; raw {:.0} µs: {:.2} of the raw limit (aim 0.40)", micros(round.processor), micros(round.raw_processor), round.ratio);
    println!("  from hand-in to receipt, {at_once} at one time        p50 {:?}, p99 {:?}", round.p50, round.p99);
    let burst = (at_once * BURST).min(filings);
    let made: Vec<_> = (0..burst).map(|index| prepare(&founded, &desk, &callers, ROUNDS * filings + index)).collect();
    let (began, latencies) = (Instant::now(), Mutex::new(Vec::new()));
    each(&made, at_once, |(caller, submission)| {
        receive(&desk, caller, submission).map(office::receipted).unwrap();
        // All of them came when it began.
        latencies.lock().unwrap().push(began.elapsed());
    });
    println!("  {burst} at one moment                             p99 {:?}", at(&latencies.into_inner().unwrap(), 99));
    https::measure(&founded, &desk, place.path(), ROUNDS * filings + burst, burst, at_once);
    println!("memory grown in a round                         {:>10} MiB   (peak of the process {} MiB, its filings included)", round.grown, memory("VmHWM:"));
}

struct Round {
    rate: f64,
    /// Of processor time: others on the machine take none of it.
    ratio: f64,
    seconds: f64,
    raw: f64,
    raw_processor: f64,
    processor: f64,
    verified: u64,
    signed: u64,
    grown: u64,
    p50: Duration,
    p99: Duration,
}

/// An enterprise that has been let in, and what it hands in: none of this is measured.
fn prepare(founded: &office::Founded, desk: &Desk, callers: &Callers, index: usize) -> (Enterprise, Submission) {
    let code: &'static str = credit_code(index).leak();
    let firm = office::firm(&founded.world.issuer, code, |_| {});
    let filing = office::vat(code, |_| {});
    let signature = office::sign(&founded.world, &firm, &filing, office::NOW);
    let signature = office::stamped(&founded.world, &signature, office::NOW);
    let chain = [CertificateDer::from(firm.certificate), CertificateDer::from(founded.world.issuer.certificate.clone())];
    (callers.authorise(desk, &chain).unwrap(), Submission { filing, signature, received_at: desk.clock.now() })
}

/// The one code with this body whose check letters are right.
fn credit_code(index: usize) -> String {
    let letters = || "0123456789ABCDEFGHJKLMNPQRTUWXY".chars();
    let found = letters().flat_map(|organisation| letters().map(move |last| format!("91440101MA{index:06}{organisation}{last}"))).find(|code| CreditCode::parse(code).is_ok());
    found.unwrap()
}

fn each<T: Sync>(all: &[T], at_once: usize, one: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(found) = all.get(next.fetch_add(1, Relaxed)) {
                    one(found);
                }
            });
        }
    });
}

fn file(desk: &Desk, made: &[(Enterprise, Submission)], at_once: usize) -> (f64, Vec<Duration>) {
    let (began, latencies) = (Instant::now(), Mutex::new(Vec::with_capacity(made.len())));
    each(made, at_once, |(caller, submission)| {
        let begun = Instant::now();
        receive(desk, caller, submission).map(office::receipted).unwrap();
        latencies.lock().unwrap().push(begun.elapsed());
    });
    (began.elapsed().as_secs_f64(), latencies.into_inner().unwrap())
}

/// Seconds that so many verifications and signatures take on every core, with nothing around them; and of processor.
fn raw(verified: u64, signed: u64) -> (f64, f64) {
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    let key = Key::p256();
    let message = [7; 32];
    let signature = key.sign(&message).unwrap();
    let (began, before) = (Instant::now(), processor_seconds());
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (key, signature) = (&key, &signature);
            scope.spawn(move || {
                let share = |all: u64| all / cores + u64::from(core < all % cores);
                (0..share(verified)).for_each(|_| Scheme::Ecdsa(DigestAlgorithm::Sha256).verify(key.public_key_info(), &message, signature).unwrap());
                (0..share(signed)).for_each(|_| drop(std::hint::black_box(key.sign(&message).unwrap())));
            });
        }
    });
    (began.elapsed().as_secs_f64(), processor_seconds() - before)
}

/// Of the whole process so far: on a machine that others use, too, this says more than the clock on the wall.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, counted after the name in parentheses, in hundredths of a second.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn at(latencies: &[Duration], percent: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find(|found| found.starts_with(line)).and_then(|found| found.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
