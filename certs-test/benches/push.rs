//! `scripts/bench`: a month's push by the built programs, sealer and gateway each their own process, beside what it
//! stands on — raw P-256 signatures, the store's own durable rate for records of the same size, and all that no push can leave out — in
//! one run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use certs_test::office::{Account, Office, of_another_account};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use store::{Batch, Key, Together};

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
/// Rows of one push.
const PEOPLE: u64 = 10_000;
/// What one commit of a push holds.
const BLOCK: usize = 500;
/// Blocks of what must be done that may wait for their commits while the next is made.
const UNDER_WAY: usize = 2;
/// What encryption adds to a body.
const SEALED: usize = 28;
/// Mailboxes whose statements stand for all.
const EXAMPLES: usize = 8;
/// What is written of a statement besides its body, about, in octets: its message's record, the statement, the account's months and its
/// holder; and its leaf of the log. Two counters and a record of two sums are counted with them.
const RECORDS: [(&str, usize); 4] = [("message", 100), ("item", 400), ("months", 220), ("holder", 24)];
const LEAF: usize = 330;

fn main() {
    // Cargo asks a bench without a harness to list its tests; there are none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let people = std::env::var("SUIYIN_BENCH_PEOPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(PEOPLE);
    let base = std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into());
    let place = tempfile::tempdir_in(base).unwrap();
    println!("an office with {people} mailboxes …");
    let office = Office::open(place.path(), people);
    let (mut signs, mut commits, mut both, mut pushes, mut musts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let programs = [("gateway", office.gateway_id()), ("sealer", office.sealer_id())];
    let before = programs.map(|(_, pid)| pid.and_then(processor_seconds).unwrap_or_default());
    let store = office.home.join("mailgw/store");
    let (held, written) = (bytes_below(&store), office.gateway_id().and_then(bytes_written).unwrap_or_default());
    let mut body = 0;
    for round in 0..ROUNDS {
        signs.push(sign_rate());
        pushes.push(push_rate(&office, round));
        let letters = examples(&office, &place.path().join(format!("examples-{round}")));
        body = stored(&letters);
        let reference = place.path().join(format!("reference-{round}"));
        commits.push(durable_rate(&reference, 1, body));
        both.push(durable_rate(&reference.with_extension("both"), 2, body));
        musts.push(must_rate(&reference.with_extension("must"), &letters));
    }
    let (sign, durable, both, push, must) = (median(signs), median(commits), median(both), median(pushes), median(musts));
    let slower = sign.min(durable);
    println!("raw P-256 signatures, two threads              {sign:>10.0}/s");
    println!("durable records of {body} bytes, {BLOCK} a commit      {durable:>10.0}/s");
    println!("the same, two who commit at once                {both:>10.0}/s   {:.2} of it is what a push comes to", push / both);
    println!("statements pushed: judged, sealed, durable      {push:>10.0}/s   {:.2} of the slower (aim 0.60)", push / slower);
    println!("what no push can leave out of a statement      {must:>10.0}/s   {:.2} of it: its message signed, digested as it was signed and whole, compressed, sealed, its records durable", push / must);
    println!("ten million statements at that rate             {:>10.0} min (aim 60)", 10_000_000.0 / push / 60.0);
    // On a machine that others use, too, this says more than the rate.
    let statements = people as f64 * ROUNDS as f64;
    let [grown, written] = [bytes_below(&store).saturating_sub(held), office.gateway_id().and_then(bytes_written).unwrap_or_default().saturating_sub(written)];
    println!("a statement takes {:.0} bytes of the store at most, journals counted, and {:.0} were written to the disk for it", grown as f64 / statements, written as f64 / statements);
    for ((name, pid), before) in programs.into_iter().zip(before) {
        let took = pid.and_then(processor_seconds).unwrap_or_default() - before;
        println!("the {name:<8} takes {:>6.0} µs of processor a statement, {:>6} MiB of memory at most", took * 1e6 / statements, pid.and_then(peak_mib).unwrap_or_default());
    }
}

/// Two threads, as the sealer has.
fn sign_rate() -> f64 {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let work = || {
        let (began, mut count) = (Instant::now(), 0_u64);
        while began.elapsed() < ROUND {
            pair.sign(&random, b"what a bureau says").unwrap();
            count += 1;
        }
        count as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work() + other.join().unwrap()
    })
}

/// Bodies and their records, as many in a commit as a push has, one commit after another, by each of so many committers.
fn durable_rate(directory: &std::path::Path, committers: u64, body: usize) -> f64 {
    std::fs::create_dir(directory).unwrap();
    let store = store::open("fjall:store", directory).unwrap();
    let mut body = vec![0_u8; body];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut body).unwrap();
    let work = |committer: u64| {
        let (began, mut count) = (Instant::now(), 0_u64);
        while began.elapsed() < ROUND {
            let mut batch = Batch::new();
            for _ in 0..BLOCK {
                let number = count * committers + committer;
                count += 1;
                batch = batch.put(Key::numbered("body", &[], number), body.as_slice());
                batch = batch.put(Key::numbered("message", &[], number), [1_u8; 64].as_slice());
                batch = batch.put(Key::numbered("item", &[], number), [1_u8; 200].as_slice());
                batch.append("log", [1_u8; 300].as_slice());
            }
            store.commit(batch).unwrap();
        }
        count as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..committers).map(|committer| { let work = &work; scope.spawn(move || work(committer)) }).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

/// What a statement takes when it is compressed beside another and sealed, on the average: its body as the store holds it.
fn stored(letters: &[Vec<u8>]) -> usize {
    let (dictionary, letters) = letters.split_first().unwrap();
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, dictionary).unwrap();
    letters.iter().map(|letter| compressor.compress(letter).unwrap().len() + SEALED).sum::<usize>() / letters.len()
}

/// Statements as this round brought them.
fn examples(office: &Office, place: &std::path::Path) -> Vec<Vec<u8>> {
    std::fs::create_dir(place).unwrap();
    let of = |(at, account): (usize, &Account)| {
        let out = place.join(at.to_string());
        office.mailgw(&["mailbox", "archive", &account.address, "--statements", "--octets", "--format", "maildir", "--request", "a bench", "--out", out.to_str().unwrap()]).ok();
        one_below(&out)
    };
    office.people.iter().take(EXAMPLES).enumerate().map(of).collect()
}

/// One letter of a Maildir.
fn one_below(directory: &std::path::Path) -> Vec<u8> {
    let mut letters = Vec::new();
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                places.push(entry);
            } else if entry.parent().is_some_and(|parent| parent.ends_with("cur") || parent.ends_with("new")) {
                letters.push(entry);
            }
        }
    }
    letters.sort();
    std::fs::read(letters.last().unwrap()).unwrap()
}

/// Two threads that make of real statements what stands in the store, the next block while those before it wait for their commits: without
/// reading a row, judging it, rendering it, finding its person or telling anybody. A push on two cores comes to less.
fn must_rate(directory: &std::path::Path, letters: &[Vec<u8>]) -> f64 {
    std::fs::create_dir(directory).unwrap();
    let store = store::open("fjall:store", directory).unwrap();
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (dictionary, letters) = letters.split_first().unwrap();
    let work = |worker: u64| {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        let mut compressor = zstd::bulk::Compressor::with_dictionary(1, dictionary).unwrap();
        let (began, mut count) = (Instant::now(), 0_u64);
        let (done, committed) = sync_channel::<Result<(), store::CommitError>>(UNDER_WAY);
        let mut waits = 0;
        while began.elapsed() < ROUND {
            let mut batch = Batch::new();
            for _ in 0..BLOCK {
                let number = count * 2 + worker;
                count += 1;
                let letter = &letters[number as usize % letters.len()];
                let signed = digest(&SHA256, letter);
                pair.sign(&random, signed.as_ref()).unwrap();
                let whole = digest(&SHA256, letter);
                let mut body = compressor.compress(letter).unwrap();
                let nonce = Nonce::try_assume_unique_for_key(&whole.as_ref()[..12]).unwrap();
                key.seal_in_place_append_tag(nonce, Aad::from(number.to_be_bytes()), &mut body).unwrap();
                batch = batch.put(Key::numbered("body", &[], number), body);
                for (table, octets) in RECORDS {
                    batch = batch.put(Key::new(table, &[&whole.as_ref()[..16], &number.to_be_bytes()]), vec![1; octets]);
                }
                let mailbox = format!("{number:010}");
                batch.next(&format!("uid/{mailbox}"));
                batch.next(&format!("steps/{mailbox}"));
                let held = Together::new(format!("held/{mailbox}"), vec![format!("bytes/{mailbox}"), format!("messages/{mailbox}")]);
                batch.add_together(held, &[letter.len() as i64, 1]);
                batch.append("log", vec![1; LEAF]);
            }
            if waits == UNDER_WAY {
                committed.recv().unwrap().unwrap();
                waits -= 1;
            }
            let done = done.clone();
            store.commit_then(batch, Box::new(move |outcome| done.send(outcome.map(drop)).unwrap()));
            waits += 1;
        }
        committed.iter().take(waits).for_each(|outcome| outcome.unwrap());
        count as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1));
        work(0) + other.join().unwrap()
    })
}

/// A file that nobody has seen: statements of other accounts of the same people.
fn push_rate(office: &Office, round: usize) -> f64 {
    let name = format!("round-{round}");
    office.amend("housing-fund", &name, &name, |_, fields| of_another_account(fields, &name));
    let (manifest, signature) = (format!("city/{name}.manifest.json"), format!("{name}.p7s"));
    office.sign_file(&certs_test::office::bureau_of("housing-fund"), &manifest, &signature);
    let began = Instant::now();
    let report = office.mailgw(&["--json", "push", &format!("city/{name}.csv"), "--manifest", &manifest, "--signature", &signature]).json();
    let seconds = began.elapsed().as_secs_f64();
    let delivered = report["counts"]["delivered"].as_u64().unwrap();
    assert_eq!(Some(delivered), report["rows"].as_u64(), "{report:#}");
    delivered as f64 / seconds
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Processor seconds of a process so far.
fn processor_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields 14 and 15, counted after the name in parentheses, in hundredths of a second.
    let ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / 100.0)
}

fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// What a process had written to the disk.
fn bytes_written(pid: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// What the files below a directory take of the disk.
fn bytes_below(directory: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(directory).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    entries.iter().map(|entry| if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().map_or(0, |found| found.blocks() * 512) }).sum()
}
