//! The timestamp service as built: asked with OpenSSL and curl, judged by OpenSSL, Python and Bouncy Castle; its time source away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, Said, openssl, oracle, run};

/// An authority whose time source is what the text says.
fn founded(place: &Path, source: &str) -> Authority {
    let mut authority = Authority::found(place);
    let mut file = std::fs::File::options().append(true).open(place.join("ca/ca.toml")).unwrap();
    write!(file, "\n[timestamp]\n{source}\n").unwrap();
    drop(file);
    authority.start();
    authority
}

/// Sends a query and keeps the reply.
fn asked(authority: &Authority, query: &str, reply: &str) -> Said {
    let body = format!("@{query}");
    run("curl", &["-s", "-o", reply, "-w", "%{http_code} %{content_type}", "-H", "content-type: application/timestamp-query", "--data-binary", &body, &format!("{}/timestamp", authority.url)], &authority.home)
}

/// What OpenSSL reads of a reply.
fn read(authority: &Authority, reply: &str) -> String {
    let said = openssl(&["ts", "-reply", "-in", reply, "-text"], &authority.home);
    said.out + &said.err
}

/// Asks again until the reply says it.
fn until(authority: &Authority, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        asked(authority, "again.tsq", "again.tsr");
        if read(authority, "again.tsr").contains(wanted) {
            return;
        }
        assert!(Instant::now() < until, "{wanted}: {}\n{}", read(authority, "again.tsr"), std::fs::read_to_string(authority.home.join("serve.log")).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn query(authority: &Authority, name: &str, options: &[&str]) {
    let out = format!("{name}.tsq");
    openssl(&[&["ts", "-query", "-data", "content", "-out", &out], options].concat(), &authority.home).ok();
}

#[test]
fn tokens_are_accepted_by_every_judge_and_found_again() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = founded(place.path(), "source = \"unchecked\"");
    std::fs::write(place.path().join("content"), "filing 2026-05\n").unwrap();
    query(&authority, "again", &["-sha256", "-cert"]);
    until(&authority, "Status: Granted.");
    std::fs::create_dir(place.path().join("stamps")).unwrap();
    let policy = ["-tspolicy", "1.3.6.1.4.1.32473.4.1"];
    for (number, options) in [&["-sha256"][..], &["-sha384"], &["-sha512", "-no_nonce"], &["-sha256", policy[0], policy[1]]].iter().enumerate() {
        let name = format!("stamps/{number}");
        query(&authority, &name, &[options, &["-cert"][..]].concat());
        let said = asked(&authority, &format!("{name}.tsq"), &format!("{name}.tsr"));
        assert_eq!(said.out, "200 application/timestamp-reply");
        let verify = |more: &[&str]| openssl(&[&["ts", "-verify", "-in", &format!("{name}.tsr"), "-CAfile", "ca/root.pem", "-x509_strict"], more].concat(), &authority.home);
        // The path travels with the token: the root alone is enough.
        verify(&["-queryfile", &format!("{name}.tsq")]).ok();
        verify(&["-data", "content"]).ok();
        std::fs::write(place.path().join("other"), "filing 2026-06\n").unwrap();
        assert_ne!(verify(&["-data", "other"]).code, 0);
    }
    let judged = run(oracle("python"), &[concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/stamps.py"), "stamps"], &authority.home);
    assert_eq!((judged.code, judged.out.as_str()), (0, "4 timestamps\n"), "{}", judged.err);
    let jars = ["bcprov", "bcpkix", "bcutil"].map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
    let judged = run("java", &["-XX:TieredStopAtLevel=1", "-cp", &jars, concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/Stamps.java"), "stamps"], &authority.home);
    assert_eq!((judged.code, judged.out.as_str()), (0, "4 timestamps\n"), "{}", judged.err);

    // Found by its serial number, after SIGKILL too: it was durable before it was sent.
    let text = read(&authority, "stamps/0.tsr");
    let serial = text.lines().find_map(|line| line.strip_prefix("Serial number: 0x")).unwrap().to_owned();
    let digest = openssl(&["dgst", "-sha256", "-r", "content"], &authority.home).ok();
    for killed in [false, true] {
        if killed {
            authority.kill();
            authority.start();
        }
        let shown = authority.ca(&["--json", "timestamp", "show", &serial]).json();
        assert_eq!(shown["digest"].as_str(), digest.split(' ').next());
        assert_eq!((shown["accuracy_ms"].as_i64(), shown["ordering"].as_bool(), shown["tokens"].as_u64()), (Some(1_000), Some(true), Some(1)));
    }
    assert!(authority.ca(&["timestamp", "show", &serial]).ok().contains("within 1000 ms"));
    assert_eq!(authority.ca(&["timestamp", "show", "41414141414141414141414141414141"]).code, 4);
    // The log that an auditor gets holds the entry.
    authority.ca(&["log", "export", "exported"]).ok();
    let leaf = authority.ca(&["--json", "timestamp", "show", &serial]).json()["log_entry"].as_u64().unwrap();
    assert!(leaf > 10);

    // Who asks otherwise is answered, and gets nothing.
    let sha1 = ["-sha1", "-cert"];
    query(&authority, "sha1", &sha1);
    asked(&authority, "sha1.tsq", "sha1.tsr");
    assert!(read(&authority, "sha1.tsr").contains("unrecognized or unsupported algorithm identifier"));
    query(&authority, "policy", &["-sha256", "-tspolicy", "1.2.3.4"]);
    asked(&authority, "policy.tsq", "policy.tsr");
    assert!(read(&authority, "policy.tsr").contains("the requested TSA policy is not supported by the TSA"));
    std::fs::write(place.path().join("noise"), [7; 200]).unwrap();
    asked(&authority, "noise", "noise.tsr");
    assert!(read(&authority, "noise.tsr").contains("the data submitted has the wrong format"));
    std::fs::write(place.path().join("long"), [0x30; 9_000]).unwrap();
    assert!(asked(&authority, "long", "long.tsr").out.starts_with("413"));
    let url = format!("{}/timestamp", authority.url);
    assert_eq!(run("curl", &["-s", "-o", "x", "-w", "%{http_code}", "--data-binary", "@noise", &url], &authority.home).out, "415");
    assert_eq!(run("curl", &["-s", "-o", "x", "-w", "%{http_code}", &url], &authority.home).out, "405");
    let metrics = run("curl", &["-s", &format!("{}/metrics", authority.url)], &authority.home).ok();
    assert!(metrics.contains("suiyin_timestamps_total{how=\"refused\"} 3"), "{metrics}");
    // What nobody vouches for is said.
    let doctor = authority.ca(&["doctor"]);
    assert!(doctor.out.contains("time source: unchecked") && doctor.out.contains("timestamp signer, its key signs: until"), "{doctor:?}");
    assert!(std::fs::read_to_string(place.path().join("serve.log")).unwrap().contains("nobody vouches"));
    // The certificate that signs is one of the register, like all.
    let listed = authority.ca(&["--json", "list", "--profile", "timestamp"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn a_source_that_goes_away_ends_the_service_until_it_is_back() {
    let place = tempfile::tempdir().unwrap();
    let command = place.path().join("clock-error");
    std::fs::write(&command, "#!/bin/sh\nexec cat \"$1\"\n").unwrap();
    run("chmod", &["+x", "clock-error"], place.path()).ok();
    let word = place.path().join("word");
    let source = format!("source = \"command\"\ncommand = [{:?}, {:?}]\nevery_seconds = 1", command.to_str().unwrap(), word.to_str().unwrap());
    std::fs::write(place.path().join("content"), "x").unwrap();
    let authority = founded(place.path(), &source);
    query(&authority, "again", &["-sha256"]);
    until(&authority, "the TSA's time source is not available");
    let warned = authority.ca(&["doctor"]);
    assert!(warned.out.contains("no timestamps are made"), "{warned:?}");
    for _ in 0..2 {
        std::fs::write(&word, "3.5\n").unwrap();
        until(&authority, "Status: Granted.");
        std::fs::write(&word, "5000\n").unwrap();
        until(&authority, "the TSA's time source is not available");
    }
    // All else goes on meanwhile.
    run("curl", &["-sf", &format!("{}/healthz", authority.url)], &authority.home).ok();
    assert!(run("curl", &["-s", &format!("{}/metrics", authority.url)], &authority.home).ok().contains("how=\"unavailable\"}"));
}

#[test]
fn a_source_that_makes_no_sense_starts_nothing() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::found(place.path());
    let written = std::fs::read_to_string(place.path().join("ca/ca.toml")).unwrap();
    for wrong in ["source = \"sundial\"", "source = \"kernel\"\nmore = 1", "source = \"command\"\ncommand = [\"clock\"]\nevery_seconds = 1"] {
        std::fs::write(place.path().join("ca/ca.toml"), format!("{written}\n[timestamp]\n{wrong}\n")).unwrap();
        let said = authority.ca(&["--json", "list"]);
        assert!(said.code == 2 && said.err.contains("ca.toml"), "{said:?}");
    }
}

#[test]
fn one_address_gets_so_many_in_an_hour() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let rules = place.path().join("ca/policies/authority/timestamp.toml");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, text.replace("per_address = 36000", "per_address = 2")).unwrap();
    authority.start();
    std::fs::write(place.path().join("content"), "filing 2026-05\n").unwrap();
    query(&authority, "again", &["-sha256"]);
    let codes: Vec<String> = (0..3).map(|_| asked(&authority, "again.tsq", "again.tsr").out).collect();
    assert!(codes[..2].iter().all(|code| code.starts_with("200 ")) && codes[2].starts_with("429 "), "{codes:?}");
}
