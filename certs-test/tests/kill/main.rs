//! kill −9 at any moment of starting, ordering, issuing, replacing, revoking and publishing: nothing acknowledged is lost or
//! doubled, and nothing is signed that nobody knows of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod full;
mod left;
mod load;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, openssl, program, run};
use left::Story;
use serde_json::{Value, json};
use load::{Answer, Socket, State, Told};

/// Kills in the ordinary tests; `SUIYIN_KILLS` asks for more.
const KILLS: u64 = 320;
/// So many at one time, each in a directory of its own: a start waits for the disk as long as it computes.
const LANES: u64 = 2;
/// After so many kills a lane begins anew with a copy of what was founded, so that a long run is not one of ever longer logs.
const EPOCH: u64 = 40;
/// The longest that it works before it is killed, at least.
const WORK: Duration = Duration::from_millis(160);
/// One start in so many is killed before it serves.
const UNBORN: u64 = 6;
/// After one kill in so many OpenSSL looks too.
const LOOKED_AT: u64 = 20;

/// Random, and the same again: a failure names its round.
// spec: SplitMix64 (Steele, Lea, Flood 2014)
fn random(of: u64) -> u64 {
    let mut z = of.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The answer, once there is one: the socket is there a moment after the public address.
fn asked(socket: &Socket, operation: &Value, at: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match socket.ask(operation) {
            Answer::Done(answer) => return answer,
            Answer::Refused(problem) => panic!("{at}: {operation}: {problem}"),
            Answer::Gone => assert!(Instant::now() < until, "{at}: nobody answers"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What callers see right after a restart: certificates and orders as they were told.
fn callers(authority: &Authority, told: &Told, at: &str) {
    let socket = Socket::of(&authority.home.join("ca"));
    asked(&socket, &json!({ "list": { "limit": 1 } }), at);
    for (serial, (state, _)) in told.certificates.iter().take(2) {
        let answer = asked(&socket, &json!({ "show": { "serial": serial } }), at);
        let found = answer["certificate"]["state"].as_str().unwrap().to_owned();
        assert!(found == "revoked" || (found == "good" && *state == State::Good), "{at}: {serial} is {found}, was {state:?}");
    }
}

/// OCSP of some that were told of.
fn statuses(authority: &Authority, told: &Told, at: &str) {
    for (serial, (state, _)) in told.certificates.iter().take(3) {
        let (url, serial_text) = (format!("{}/ocsp", authority.url), format!("0x{serial}"));
        let answers = ["enterprise-ca", "tls-ca"].map(|issuer| {
            let file = format!("ca/{issuer}.pem");
            let said = openssl(&["ocsp", "-issuer", &file, "-CAfile", "ca/root.pem", "-verify_other", &file, "-url", &url, "-serial", &serial_text], &authority.home);
            assert!(said.err.contains("Response verify OK"), "{at}: {said:?}");
            said.out
        });
        let found = answers.iter().find(|answer| !answer.contains(": unknown")).unwrap_or_else(|| panic!("{at}: {serial} is unknown"));
        assert!(found.contains(": revoked") || (found.contains(": good") && *state == State::Good), "{at}: {serial} was {state:?}: {found}");
    }
}

/// What relying parties see: OCSP, and the list as it stands.
fn relying_parties(authority: &Authority, told: &Told, at: &str) {
    statuses(authority, told, at);
    run("curl", &["-sf", "-o", "now.crl", &format!("{}/crl/tls-ca.crl", authority.url)], &authority.home).ok();
    let text = openssl(&["crl", "-inform", "DER", "-in", "now.crl", "-noout", "-text", "-crlnumber"], &authority.home).ok().to_lowercase();
    let number = text.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("crlnumber=0x").or(line.strip_prefix("crlnumber="))?, 16).ok());
    assert!(number.is_some_and(|number| number >= told.number), "{at}: the list has number {number:?} after {}", told.number);
    for serial in &told.listed {
        assert!(text.contains(serial), "{at}: {serial} is no longer on the list");
    }
}

/// One directory, killed `EPOCH` times: how many certificates it came to.
fn epoch(founded: &Authority, lane: u64, from: u64, kills: u64) -> usize {
    let place = tempfile::tempdir().unwrap();
    let mut authority = founded.copied(place.path());
    let directory = authority.home.join("ca");
    let (told, mut story) = (Mutex::new(Told::default()), Story::default());
    // How long a start takes here and now, for kills within it.
    let mut start = Duration::from_millis(200);
    for kill in from..from + kills {
        let (at, chance) = (format!("kill {kill} of lane {lane}"), random(kill * LANES + lane));
        let unborn = chance.is_multiple_of(UNBORN);
        if unborn {
            authority.spawn();
            std::thread::sleep(start.mul_f64((chance >> 32) as f64 / f64::from(u32::MAX)));
            authority.kill();
        } else {
            let begun = Instant::now();
            authority.start();
            start = begun.elapsed();
            let said = told.lock().unwrap();
            callers(&authority, &said, &at);
            if kill % LOOKED_AT == LOOKED_AT - 1 {
                relying_parties(&authority, &said, &at);
            }
            drop(said);
            std::thread::scope(|scope| {
                scope.spawn(|| load::work(&directory, &told, kill));
                // A moment of the work, whichever: most in its thick, some at its very beginning. A machine that starts slowly works slowly.
                std::thread::sleep(start.max(WORK).mul_f64((chance >> 32) as f64 / f64::from(u32::MAX)));
                authority.stop_hard();
            });
            authority.reap();
        }
        story.judge(&directory, !unborn, &at);
        let said = told.lock().unwrap();
        story.holds(&said, &at);
        assert!(said.unavailable.is_empty(), "{at}: {:?}", said.unavailable);
    }
    // It goes on, with everything that it owes done, and the log proves itself.
    authority.start();
    let told = told.into_inner().unwrap();
    relying_parties(&authority, &told, "the end");
    let published = authority.ca(&["--json", "crl", "publish", "tls-ca"]).json();
    let next = published[0]["number"].as_u64().unwrap();
    assert!(next > told.number, "list number {next} after {}", told.number);
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    authority.ca(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
    authority.kill();
    story.judge(&directory, true, "the end");
    story.holds(&told, "the end");
    story.issued()
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let kills: u64 = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let place = tempfile::tempdir().unwrap();
    let founded = Authority::found(place.path());
    let issued: usize = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|lane| {
            let founded = &founded;
            let each = kills.div_ceil(LANES);
            scope.spawn(move || (0..each).step_by(EPOCH as usize).map(|from| epoch(founded, lane, from, EPOCH.min(each - from))).sum::<usize>())
        }).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    assert!(issued as u64 > kills, "only {issued} certificates in {kills} kills");
}

#[test]
fn a_founding_killed_anywhere_begins_anew() {
    let place = tempfile::tempdir().unwrap();
    let whole = Authority::found(place.path());
    let arguments = ["--dir", "new", "--passphrase-file", "pass", "init", "--base-url", "http://127.0.0.1:1", "--root-passphrase-file", "pass"];
    let begun = Instant::now();
    run(program("ca"), &["--dir", "measured", "--passphrase-file", "pass", "init", "--base-url", "http://127.0.0.1:1", "--root-passphrase-file", "pass"], &whole.home).ok();
    let takes = begun.elapsed();
    for step in 0..8 {
        let mut child = Command::new(program("ca")).args(arguments).current_dir(&whole.home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * step / 8);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let listed = |directory: &str| run(program("ca"), &["--dir", directory, "--passphrase-file", "pass", "--json", "list"], &whole.home);
    if !whole.home.join("new/ca.toml").exists() || whole.home.join("new/founding").exists() {
        assert_ne!(listed("new").code, 0);
        run(program("ca"), &arguments, &whole.home).ok();
    }
    // The root, four issuing authorities and their OCSP signers, once each.
    assert_eq!(listed("new").json().as_array().unwrap().len(), 9);
    assert_eq!(run(program("ca"), &arguments, &whole.home).code, 5);
}
