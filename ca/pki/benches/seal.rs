//! Seals per second beside raw P-256 signatures, interleaved in one run, one core.
#![allow(clippy::unwrap_used)]
#[path = "../tests/city/mod.rs"]
mod city;
use city::{Authority, Key, NOW};
use pki::cms::SignerPlan;
use pki::signer::Signer as _;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 9;
const EACH: u32 = 10_000;

fn rate(mut once: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    (0..EACH).for_each(&mut once);
    f64::from(EACH) / start.elapsed().as_secs_f64()
}

fn main() {
    let root = Authority::root("bench");
    let key = Key::p256();
    let certificate = root.seal(key.public_key_info(), |_| ());
    let plan = SignerPlan::new(&certificate, &[&root.certificate]).unwrap();
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let raw = rate(|n| drop(black_box(key.sign(&[n.to_be_bytes()[3]; 32]))));
            let seals = rate(|n| drop(black_box(plan.seal([n.to_be_bytes()[3]; 32], NOW, &key))));
            (seals, raw)
        })
        .collect();
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (seals, raw) = rounds[ROUNDS / 2];
    println!("seals {seals:.0}/s, raw P-256 signatures {raw:.0}/s, ratio {:.2} (median of {ROUNDS})", seals / raw);
}
