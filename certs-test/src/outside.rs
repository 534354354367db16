//! The world's DNS on one machine: zones that Knot serves, signed where a test wants it, and Unbound that proves them.

// A harness of tests alone: what it cannot do ends the test with its reason.
#![allow(clippy::panic, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::programs::{free_port, run};

/// A program that is ended with the test.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a zone stands in the DNS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    Unsigned,
    /// Signed, and whoever asks knows its key.
    Signed,
    /// Unsigned though it is known to be signed: what is said of it is nobody's word.
    Bogus,
    /// Its server does not answer.
    Silent,
}

pub struct Names {
    _served: Ended,
    _resolver: Ended,
    /// Of the resolver.
    pub port: u16,
}

impl Names {
    /// `zones`: name, how it stands, and its records below SOA and NS, in Knot's notation. Every other name does not exist.
    pub fn open(home: &Path, zones: &[(&str, Zone, String)]) -> Self {
        let (knot, port, place) = (free_port(), free_port(), home.join("dns"));
        std::fs::create_dir_all(place.join("knot")).expect("a place to write");
        let mut text = format!("server:\n  listen: 127.0.0.1@{knot}\n  rundir: {0}\n  pidfile: {0}/knot.pid\ndatabase:\n  storage: {0}/knot\nlog:\n  - target: stderr\n    any: warning\npolicy:\n  - id: one-key\n    single-type-signing: on\n    algorithm: ecdsap256sha256\nzone:\n", place.display());
        let soa = "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n";
        let served = || zones.iter().filter(|(_, zone, _)| *zone != Zone::Silent);
        for (name, zone, records) in served() {
            let signing = if *zone == Zone::Signed { "    dnssec-signing: on\n    dnssec-policy: one-key\n" } else { "" };
            std::fs::write(place.join(format!("{name}.zone")), format!("$ORIGIN {name}.\n{soa}{records}")).expect("a place to write");
            text.push_str(&format!("  - domain: {name}\n    file: {}/{name}.zone\n    zonefile-sync: -1\n    journal-content: none\n{signing}", place.display()));
        }
        std::fs::write(place.join("root.zone"), format!("$ORIGIN .\n{soa}")).expect("a place to write");
        text.push_str(&format!("  - domain: .\n    file: {}/root.zone\n    zonefile-sync: -1\n    journal-content: none\n", place.display()));
        std::fs::write(place.join("knot.conf"), text).expect("a place to write");
        let log = |name: &str| std::fs::File::create(place.join(name)).expect("a place to write");
        let running = Ended(Command::new("knotd").args(["-c", "knot.conf"]).current_dir(&place).stderr(log("knot.log")).spawn().expect("knotd, of Debian's package knot"));
        let mut anchors = String::new();
        for (name, zone, _) in served() {
            match zone {
                Zone::Signed => anchors.push_str(&format!("  trust-anchor: \"{}\"\n", key_of(&place, name))),
                Zone::Bogus => anchors.push_str(&format!("  trust-anchor: \"{name}. DS 1 13 2 {}\"\n", "ab".repeat(32))),
                Zone::Unsigned | Zone::Silent => {}
            }
        }
        let mut stubs = format!("stub-zone:\n  name: \".\"\n  stub-addr: 127.0.0.1@{knot}\n");
        for (name, zone, _) in zones {
            // Nobody listens at the port of a silent one.
            let at = if *zone == Zone::Silent { free_port() } else { knot };
            stubs.push_str(&format!("stub-zone:\n  name: \"{name}\"\n  stub-addr: 127.0.0.1@{at}\n"));
        }
        let settings = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{0}\"\n  pidfile: \"{0}/unbound.pid\"\n  use-syslog: no\n  do-not-query-localhost: no\n  do-ip6: no\n  num-threads: 1\n  module-config: \"validator iterator\"\n  access-control: 127.0.0.0/8 allow\n  val-log-level: 1\n{anchors}remote-control:\n  control-enable: no\n{stubs}",
            place.display()
        );
        std::fs::write(place.join("unbound.conf"), settings).expect("a place to write");
        let resolver = Ended(Command::new("unbound").args(["-d", "-p", "-c", "unbound.conf"]).current_dir(&place).stderr(log("unbound.log")).spawn().expect("unbound, of Debian's package unbound"));
        let until = Instant::now() + Duration::from_secs(20);
        while !is_up(port) {
            assert!(Instant::now() < until, "{}", std::fs::read_to_string(place.join("unbound.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { _served: running, _resolver: resolver, port }
    }

    /// Tells the gateway of this directory whom to ask, and where others take mail; from its next start on.
    pub fn configure(&self, home: &Path, smtp: u16, more: &str) {
        let path = home.join("mailgw/mailgw.toml");
        let before = std::fs::read_to_string(&path).expect("a gateway's configuration");
        std::fs::write(&path, format!("{before}\n[sending]\nresolver = \"127.0.0.1:{}\"\nport = {smtp}\nloopback = true\n{more}", self.port)).expect("a place to write");
    }
}

/// The key's digest, once Knot has made the key.
fn key_of(place: &Path, name: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let said = run("keymgr", &["-c", "knot.conf", name, "ds"], place);
        // One line for each kind of digest: SHA-256 is 2.
        if let Some(line) = said.out.lines().find(|line| line.split_whitespace().nth(4) == Some("2")) {
            return line.to_owned();
        }
        assert!(Instant::now() < until, "{said:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_up(port: u16) -> bool {
    // A question for the root's SOA.
    const QUESTION: [u8; 17] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
    let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0") else { return false };
    let _ = socket.set_read_timeout(Some(Duration::from_millis(500)));
    let mut buffer = [0; 512];
    socket.send_to(&QUESTION, ("127.0.0.1", port)).is_ok() && socket.recv(&mut buffer).is_ok_and(|length| length > 12 && buffer[3] & 0x0f == 0)
}

/// A Python script of the judges.
pub fn script(name: &str) -> String {
    format!("{}/oracles/{name}.py", env!("CARGO_MANIFEST_DIR"))
}

/// A place below a directory, as text.
pub fn below(home: &Path, name: &str) -> String {
    let path: PathBuf = home.join(name);
    path.to_string_lossy().into_owned()
}
