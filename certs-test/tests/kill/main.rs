//! kill −9 at any moment of issuing, revoking and publishing: nothing acknowledged is lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, openssl, program, run};

/// Rounds in the ordinary tests; `SUIYIN_KILLS` asks for more.
const ROUNDS: u64 = 40;

/// What callers were told, and what must therefore be so for ever.
#[derive(Default)]
struct Told {
    /// By serial; the last state told.
    states: HashMap<String, &'static str>,
    /// Serials in the order in which they were told of.
    order: Vec<String>,
    /// Revoked before a list was published.
    listed: HashSet<String>,
    number: u64,
}

impl Told {
    fn state(&mut self, serial: String, state: &'static str) {
        if self.states.insert(serial.clone(), state).is_none() {
            self.order.push(serial);
        }
    }
}

/// Issues, revokes and publishes until a command fails or the end is told; what is acknowledged goes into `told`.
fn work(authority: &Authority, csr: &str, ended: &AtomicBool, told: &mut Told) {
    // Without a service a command opens the store itself: the end has to be told.
    while !ended.load(Ordering::Relaxed) {
        let said = authority.ca(&["--json", "issue", "enterprise-signing", "--request", csr, "--name", "甲", "--code", "91440101MAT000018G"]);
        if said.code != 0 {
            return;
        }
        let serial = said.json()["serial"].as_str().unwrap().to_owned();
        told.state(serial.clone(), "good");
        if authority.ca(&["--json", "revoke", &serial, "--reason", "superseded"]).code != 0 {
            return;
        }
        told.state(serial.clone(), "revoked");
        let said = authority.ca(&["--json", "crl", "publish", "enterprise-ca"]);
        if said.code != 0 {
            return;
        }
        told.number = said.json()[0]["number"].as_u64().unwrap();
        told.listed.insert(serial);
    }
}

/// The register knows all that was told of, each once.
fn register(authority: &Authority, told: &Told, at: &str) {
    let mut states = HashMap::new();
    let mut after = String::new();
    loop {
        let mut arguments = vec!["--json", "list", "--code", "91440101MAT000018G", "--limit", "1000"];
        if !after.is_empty() {
            arguments.extend(["--after", &after]);
        }
        let page = authority.ca(&arguments).json();
        for one in page.as_array().unwrap() {
            let (serial, state) = (one["serial"].as_str().unwrap().to_owned(), one["state"].as_str().unwrap().to_owned());
            assert_eq!(states.insert(serial.clone(), state), None, "a serial twice in {at}");
            after = serial;
        }
        if page.as_array().unwrap().len() < 1_000 {
            break;
        }
    }
    for (serial, state) in &told.states {
        let found = states.get(serial).unwrap_or_else(|| panic!("{at}: {serial} is lost"));
        // A revocation may have been done and not acknowledged; never the other way round.
        assert!(found == state || (*state == "good" && found == "revoked"), "{at}: {serial} is {found}, was {state}");
    }
}

/// What relying parties see right after a restart: OCSP of the last that were told of, and the list as it stands.
fn relying_parties(authority: &Authority, told: &Told, at: &str) {
    for serial in told.order.iter().rev().take(3) {
        let (url, serial_text) = (format!("{}/ocsp", authority.url), format!("0x{serial}"));
        let said = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-verify_other", "ca/enterprise-ca.pem", "-url", &url, "-serial", &serial_text], &authority.home);
        let all = said.out.clone() + &said.err;
        assert!(all.contains("Response verify OK"), "{at}: {all}");
        let (good, revoked) = (all.contains(": good"), all.contains(": revoked"));
        assert!(revoked || (good && told.states[serial] == "good"), "{at}: {serial} was {}: {all}", told.states[serial]);
    }
    run("curl", &["-sf", "-o", "now.crl", &format!("{}/crl/enterprise-ca.crl", authority.url)], &authority.home).ok();
    let text = openssl(&["crl", "-inform", "DER", "-in", "now.crl", "-noout", "-text", "-crlnumber"], &authority.home).ok().to_lowercase();
    let number = text.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("crlnumber=0x").or(line.strip_prefix("crlnumber="))?, 16).ok());
    assert!(number.is_some_and(|number| number >= told.number), "{at}: the list has number {number:?} after {}", told.number);
    for serial in &told.listed {
        assert!(text.contains(serial), "{at}: {serial} is no longer on the list");
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.request("a", "/C=CN");
    let csr = authority.path("a.csr");
    let mut told = Told::default();
    for round in 0..rounds {
        let at = format!("round {round}");
        authority.start();
        register(&authority, &told, &at);
        relying_parties(&authority, &told, &at);
        // A delay that walks over all phases of the work: deterministic, so that a failure can be met again.
        let delay = Duration::from_millis((round * 37) % 400);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (working, csr, ended, told) = (&authority, &csr, &ended, &mut told);
            scope.spawn(move || work(working, csr, ended, told));
            std::thread::sleep(delay);
            authority.stop_hard();
            ended.store(true, Ordering::Relaxed);
        });
        authority.reap();
    }
    assert!(told.states.len() as u64 > rounds / 4, "only {} certificates in {rounds} rounds", told.states.len());
    authority.start();
    register(&authority, &told, "the end");
    let published = authority.ca(&["--json", "crl", "publish", "enterprise-ca"]).json();
    let next = published[0]["number"].as_u64().unwrap();
    assert!(next > told.number, "CRL number {next} after {}", told.number);
    told.number = next;
    told.listed = told.states.iter().filter(|(_, state)| **state == "revoked").map(|(serial, _)| serial.clone()).collect();
    relying_parties(&authority, &told, "the end");
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    authority.ca(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
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
