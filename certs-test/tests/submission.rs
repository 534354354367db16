//! Mail of those who log in, and mail for other domains: judged by smtplib, curl, aiosmtpd and Knot DNS; kills in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use certs_test::office::Office;
use certs_test::programs::{free_port, oracle, program, run};

fn script(name: &str) -> String {
    format!("{}/oracles/{name}.py", env!("CARGO_MANIFEST_DIR"))
}

/// A program that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The world outside: a server that takes mail, and the DNS that leads to it.
struct Outside {
    _dns: Ended,
    _peer: Ended,
}

const ZONES: [(&str, &str); 5] = [
    ("peer.example", "@ MX 20 mx2\n@ MX 10 mx1\nmx1 A 127.0.0.1\nmx2 A 127.0.0.9\n"),
    ("implicit.example", "@ A 127.0.0.1\n"),
    ("null.example", "@ MX 0 .\n@ A 127.0.0.1\n"),
    ("circle.example", "@ MX 10 mx.mail.suiyin.example.\n"),
    // Nobody listens there.
    ("down.example", "@ MX 10 mx1\nmx1 A 127.0.0.7\n"),
];

impl Outside {
    /// Tells the gateway, which is started anew, to send there.
    fn open(office: &mut Office, tls: bool) -> Self {
        let home = office.home.clone();
        let (dns, smtp) = (free_port(), free_port());
        let mut zones = String::new();
        for (name, records) in ZONES {
            std::fs::write(home.join(format!("{name}.zone")), format!("$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}")).unwrap();
            zones.push_str(&format!("  - domain: {name}\n    file: {}/{name}.zone\n    zonefile-sync: -1\n    journal-content: none\n", home.display()));
        }
        // The root says of every other name that it does not exist.
        std::fs::write(home.join("root.zone"), "$ORIGIN .\n$TTL 60\n@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\nns. A 127.0.0.1\n").unwrap();
        zones.push_str(&format!("  - domain: .\n    file: {}/root.zone\n    zonefile-sync: -1\n    journal-content: none\n", home.display()));
        let configuration = format!("server:\n  listen: 127.0.0.1@{dns}\n  rundir: {0}\n  pidfile: {0}/knot.pid\ndatabase:\n  storage: {0}/knot\nlog:\n  - target: stderr\n    any: warning\nzone:\n{zones}", home.display());
        std::fs::write(home.join("knot.conf"), configuration).unwrap();
        std::fs::create_dir_all(home.join("knot")).unwrap();
        let log = std::fs::File::create(home.join("knot.log")).unwrap();
        let served = Ended(Command::new("knotd").args(["-c", "knot.conf"]).current_dir(&home).stderr(log).spawn().expect("knotd, of Debian's package knot"));
        let peer = peer(&home, smtp, tls);
        office.kill_gateway();
        let path = home.join("mailgw/mailgw.toml");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}\n[sending]\nresolver = \"127.0.0.1:{dns}\"\nport = {smtp}\nloopback = true\n")).unwrap();
        office.start_gateway();
        Self { _dns: served, _peer: peer }
    }
}

fn peer(home: &Path, port: u16, tls: bool) -> Ended {
    let (script, port) = (script("smtp_peer"), port.to_string());
    let mut command = Command::new(oracle("python"));
    command.args([script.as_str(), port.as_str(), "taken.jsonl"]).current_dir(home).stdout(Stdio::piped());
    if tls {
        run("openssl", &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "peer.key", "-out", "peer.pem", "-subj", "/CN=somebody else", "-days", "2"], home).ok();
        command.args(["peer.pem", "peer.key"]);
    }
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Ended(child)
}

fn judged(office: &Office, script_name: &str, arguments: &[&str]) {
    let (script, home) = (script(script_name), office.path(""));
    let arguments: Vec<&str> = [script.as_str(), home.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    let said = run(oracle("python"), &arguments, &office.home);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "judged before: {}\n{}\n{}", said.out, said.err, log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
}

#[test]
fn who_logs_in_sends_as_themselves() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 6);
    let ports = [office.submission, office.submissions, office.imaps].map(|port| port.to_string());
    judged(&office, "submission_client", &ports.each_ref().map(String::as_str));
}

#[test]
fn mail_goes_out_and_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 6);
    let _outside = Outside::open(&mut office, true);
    let (mailgw, submissions, imaps) = (program("mailgw").to_string_lossy().into_owned(), office.submissions.to_string(), office.imaps.to_string());
    judged(&office, "outgoing_client", &[&mailgw, &submissions, &imaps, &office.path("taken.jsonl")]);
}

/// Kills while messages come in and go out: each that was accepted arrives, and none but those under way at a kill arrives twice.
#[test]
fn kills_lose_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 2);
    let _outside = Outside::open(&mut office, false);
    let rounds: u64 = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let mut accepted: Vec<u64> = Vec::new();
    for round in 0..rounds {
        let script = script("outgoing_many");
        let (home, port, first) = (office.path(""), office.submissions.to_string(), (round * 1_000).to_string());
        let mut client = Command::new(oracle("python")).args([&script, &home, &port, &first, "200"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(client.stdout.take().unwrap());
        // At another place in each round: while much waits, while little does.
        let stop = 10 + 37 * usize::try_from(round % 5).unwrap();
        for (at, line) in out.lines().map_while(Result::ok).enumerate() {
            accepted.push(line.parse().unwrap());
            if at + 1 == stop {
                office.stop_gateway_hard();
            }
        }
        client.wait().unwrap();
        office.reap_gateway();
        office.start_gateway();
    }
    let empty = || office.mailgw(&["--json", "queue", "list"]).json()["messages"].as_array().is_some_and(Vec::is_empty);
    let until = Instant::now() + Duration::from_secs(120);
    while !empty() {
        assert!(Instant::now() < until, "{}", office.mailgw(&["queue", "list"]).out);
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut arrived: BTreeMap<u64, u64> = BTreeMap::new();
    for line in std::fs::read_to_string(office.home.join("taken.jsonl")).unwrap().lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = told["to"][0].as_str().unwrap().trim_start_matches('a').split('@').next().unwrap().parse().unwrap();
        *arrived.entry(number).or_default() += 1;
    }
    assert!(accepted.len() > 20, "{}", accepted.len());
    let lost: Vec<&u64> = accepted.iter().filter(|number| !arrived.contains_key(number)).collect();
    let doubled = arrived.values().filter(|count| **count > 1).count();
    println!("accepted {}, arrived {}, lost {}, arrived twice {doubled}, kills {rounds}", accepted.len(), arrived.len(), lost.len());
    assert!(lost.is_empty(), "{lost:?}");
    // No more than were on their way to the one domain at a kill.
    assert!(doubled as u64 <= 5 * rounds, "{doubled}");
    assert!(arrived.values().all(|count| *count <= 1 + rounds), "{arrived:?}");
}
