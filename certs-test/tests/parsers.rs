//! Every parser over its seeds and over mutations of them: nothing panics, and what must hold holds. It runs for long where
//! `SUIYIN_FUZZ_SECONDS` says so; the run that is led by what the code does is in `fuzz/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../ca/tests/http_inputs/counted.rs"]
mod counted;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use certs_test::demo::Dice;
use certs_test::parsers::{TARGETS, Target, mutated};
use counted::Above;

/// Mutations of each target; fewer when a slow machine would make people wait.
const ROUNDS: u64 = 2_000;
const AT_MOST: Duration = Duration::from_secs(2);
/// What reading one input may hold above what is held anyway: so much, and so many times its length. Tables that a parser makes
/// once in a process are made by the seeds, before anything is counted.
const HELD: usize = 1 << 20;
const TIMES: usize = 64;

/// How a run differs from the short one, as the environment says.
struct Length {
    rounds: u64,
    at_most: Duration,
    /// Of the short run always the same; of a long one its own, which is printed.
    seed: u64,
    /// Empty: all.
    targets: Vec<String>,
}

impl Length {
    fn asked() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}: write a whole number")));
        let targets: Vec<String> = std::env::var("SUIYIN_FUZZ_TARGETS").unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for name in &targets {
            assert!(TARGETS.iter().any(|target| target.name == name), "SUIYIN_FUZZ_TARGETS: there is no target {name}; choose of {:?}", TARGETS.map(|target| target.name));
        }
        let Some(seconds) = number("SUIYIN_FUZZ_SECONDS") else { return Self { rounds: ROUNDS, at_most: AT_MOST, seed: 20_261_125, targets } };
        let of_now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let seed = number("SUIYIN_FUZZ_SEED").unwrap_or_else(of_now);
        println!("SUIYIN_FUZZ_SEED={seed} makes the same inputs again");
        Self { rounds: u64::MAX, at_most: Duration::from_secs(seconds), seed, targets }
    }
}

/// Octets held at most while it was read.
fn try_one(target: &Target, input: &[u8]) -> usize {
    let (run, above) = (target.run, Above::now());
    if catch_unwind(|| run(input)).is_err() {
        panic!("{}: the input above breaks it: {}", target.name, input.escape_ascii());
    }
    above.at_most()
}

#[test]
fn no_input_breaks_a_parser() {
    let length = Length::asked();
    for target in TARGETS.iter().filter(|target| length.targets.is_empty() || length.targets.iter().any(|name| name == target.name)) {
        let (seeds, began, mut dice) = ((target.seeds)(), Instant::now(), Dice::new(length.seed));
        assert!(!seeds.is_empty());
        for seed in [Vec::new()].iter().chain(&seeds) {
            try_one(target, seed);
        }
        let mut most = 0;
        for round in 0..length.rounds {
            let (seed, other) = (dice.pick(&seeds).unwrap().clone(), dice.pick(&seeds).unwrap().clone());
            let input = mutated(&seed, &other, &mut dice);
            let held = try_one(target, &input);
            assert!(held <= HELD + TIMES * input.len(), "{}: {held} octets held for {} of {}", target.name, input.len(), input.escape_ascii());
            most = most.max(held);
            if began.elapsed() > length.at_most {
                println!("{}: {round} rounds in the time there is", target.name);
                break;
            }
        }
        println!("{}: {} KiB held at most", target.name, most >> 10);
    }
}

/// A program for each target, and no other, so that nothing is left out of the long run.
#[test]
fn each_target_has_its_fuzz_program() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz");
    let manifest: toml::Table = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let programs: Vec<&str> = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap()).collect();
    assert_eq!(programs, TARGETS.map(|target| target.name));
    for name in programs {
        let text = std::fs::read_to_string(fuzz.join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("certs_test::parsers::run(\"{name}\", input)")), "{name}");
    }
}
