//! The drill: a running authority is backed up, goes on, is destroyed and restored by the built `ca`; relying parties
//! are OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, openssl, program, run};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const ISSUER: &str = "enterprise-ca";

/// What an OCSP client is told of `NAME.pem`.
fn ocsp(authority: &Authority, name: &str) -> String {
    let (url, certificate) = (format!("{}/ocsp", authority.url), format!("{name}.pem"));
    let said = openssl(&["ocsp", "-issuer", "enterprise-ca.pem", "-CAfile", "root.pem", "-verify_other", "enterprise-ca.pem", "-url", &url, "-cert", &certificate, "-no_nonce"], &authority.home);
    assert!(said.err.contains("Response verify OK"), "{said:?}");
    let state = said.out.lines().next().and_then(|line| line.rsplit(": ").next()).unwrap_or_default();
    state.to_owned()
}

/// Publishes and fetches the list into `NAME.crl`; its number.
fn list(authority: &Authority, name: &str) -> u64 {
    let number = authority.ca(&["--json", "crl", "publish", ISSUER]).json()[0]["number"].as_u64().unwrap();
    let file = format!("{name}.crl");
    run("curl", &["-sf", "-o", &file, &format!("{}/crl/{ISSUER}.crl", authority.url)], &authority.home).ok();
    let told = openssl(&["crl", "-inform", "DER", "-in", &file, "-noout", "-crlnumber", "-CAfile", "enterprise-ca.pem"], &authority.home);
    assert!(told.code == 0 && told.err.contains("verify OK"), "{told:?}");
    let shown = told.out.trim().trim_start_matches("crlNumber=").trim_start_matches("0x").to_owned();
    assert_eq!(u64::from_str_radix(&shown, 16).unwrap(), number);
    number
}

fn issue(authority: &Authority, name: &str) -> String {
    authority.request(name, "/C=CN");
    authority.issue(name, "enterprise-signing", &ENTERPRISE)
}

#[test]
fn a_destroyed_authority_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    for file in ["root.pem", "enterprise-ca.pem"] {
        std::fs::copy(authority.home.join("ca").join(file), authority.home.join(file)).unwrap();
    }
    authority.start();
    let (kept, before) = (issue(&authority, "kept"), issue(&authority, "before"));
    authority.ca(&["revoke", &before, "--reason", "superseded"]).ok();
    let ended = issue(&authority, "ended");
    // Backed up while others are issued for.
    authority.request("busy", "/C=CN");
    let over = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let working = || {
            while !over.load(Ordering::Relaxed) {
                authority.ca(&[&["issue", "enterprise-signing", "--request", "busy.csr"][..], &ENTERPRISE].concat()).ok();
            }
        };
        scope.spawn(working);
        let done = authority.ca(&["--json", "backup", "backup"]).json();
        over.store(true, Ordering::Relaxed);
        done
    });
    assert_eq!(done["left_out"], serde_json::json!(["root-keys"]));
    let again = authority.ca(&["--json", "backup", "backup"]);
    assert!(again.code == 5 && again.err.contains("\"backup-exists\""), "{again:?}");
    // It goes on: what the backup will not know.
    let after = issue(&authority, "after");
    let gone = issue(&authority, "gone");
    authority.ca(&["revoke", &ended, "--reason", "cessation-of-operation"]).ok();
    authority.ca(&["revoke", &gone, "--reason", "key-compromise"]).ok();
    list(&authority, "one");
    let newest = list(&authority, "newest");
    let vkey = authority.ca(&["--json", "log", "export", "export-before"]).json()["vkey"].as_str().unwrap().to_owned();
    std::fs::copy(authority.home.join("export-before/checkpoint"), authority.home.join("checkpoint")).unwrap();
    authority.kill();
    std::fs::rename(authority.home.join("ca"), authority.home.join("destroyed")).unwrap();
    // Nobody restores it by mistake, and nothing is written before everything is known.
    assert!(authority.ca(&["restore", "backup", "--check"]).ok().contains("is whole"));
    for (arguments, code) in [
        (&["restore", "backup"][..], "\"loss\""),
        (&["restore", "backup", "--checkpoint", "checkpoint"], "\"loss\""),
        (&["restore", "backup", "--checkpoint", "root.pem", "--accept-loss"], "\"checkpoint\""),
        (&["restore", "nothing", "--accept-loss"], "\"no-backup\""),
    ] {
        let refused = authority.ca(&[&["--json"][..], arguments].concat());
        assert!(refused.code != 0 && refused.err.contains(code), "{refused:?}");
        assert!(!authority.home.join("ca").exists());
    }
    let restored = authority.ca(&["--json", "restore", "backup", "--checkpoint", "checkpoint", "--accept-loss"]).json();
    assert_eq!(restored["earlier"], vkey.as_str());
    assert_eq!(authority.ca(&["restore", "backup", "--accept-loss"]).code, 5);
    let pages = authority.ca(&["--json", "list", "--all"]).out;
    assert!(pages.contains(&kept) && pages.contains(&before) && !pages.contains(&after));
    // The newest list that people still have, before anybody is answered: nobody is told that what was revoked is good.
    let told = authority.ca(&["--json", "adopt", "newest.crl"]).json();
    assert_eq!((&told["changed"], &told["unknown"]), (&1.into(), &1.into()));
    authority.start();
    assert_eq!(["kept", "before", "ended", "after", "gone"].map(|name| ocsp(&authority, name)), ["good", "revoked", "revoked", "unknown", "revoked"]);
    assert!(list(&authority, "first") > newest);
    // An older list changes nothing of it, and a delta is no list.
    let told = authority.ca(&["--json", "adopt", "one.crl"]).json();
    assert_eq!(told["changed"], 0);
    run("curl", &["-sf", "-o", "delta.crl", &format!("{}/crl/enterprise-ca-delta.crl", authority.url)], &authority.home).ok();
    let refused = authority.ca(&["--json", "adopt", "delta.crl"]);
    assert!(refused.code != 0 && refused.err.contains("\"delta\""), "{refused:?}");
    assert_eq!(["kept", "before", "ended", "after", "gone"].map(|name| ocsp(&authority, name)), ["good", "revoked", "revoked", "unknown", "revoked"]);
    authority.ca(&["adopt", "after.pem", "gone.pem"]).ok();
    assert_eq!(["after", "gone"].map(|name| ocsp(&authority, name)), ["good", "revoked"]);
    assert_eq!(authority.ca(&["revoke", &gone, "--reason", "superseded"]).code, 5);
    authority.ca(&["revoke", &after, "--reason", "superseded"]).ok();
    assert_eq!(ocsp(&authority, "after"), "revoked");
    let last = list(&authority, "last");
    let text = openssl(&["crl", "-inform", "DER", "-in", "last.crl", "-noout", "-text"], &authority.home).ok().to_lowercase();
    assert!(last > newest && [&before, &ended, &after, &gone].iter().all(|serial| text.contains(serial.as_str())) && !text.contains(&kept));
    // The log goes on under another name; both keys prove what they signed, and neither the other's.
    let exported = authority.ca(&["--json", "log", "export", "export-after"]).json();
    let new = exported["vkey"].as_str().unwrap();
    assert_eq!(new, restored["vkey"].as_str().unwrap());
    authority.ca(&["log", "verify", "export-after", "--vkey", new]).ok();
    authority.ca(&["log", "verify", "export-before", "--vkey", &vkey]).ok();
    assert_ne!(authority.ca(&["log", "verify", "export-after", "--vkey", &vkey]).code, 0);
    authority.ca(&["doctor"]).ok();
}

/// Starts `ca` and kills it after `delay`.
fn killed(authority: &Authority, arguments: &[&str], delay: Duration) {
    let all: Vec<&str> = ["--dir", "new", "--passphrase-file", "pass"].iter().chain(arguments).copied().collect();
    let mut child = Command::new(program("ca")).args(all).current_dir(&authority.home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn backing_up_and_restoring_killed_anywhere_leave_nothing_half() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::found(place.path());
    issue(&authority, "a");
    std::fs::rename(authority.home.join("ca"), authority.home.join("new")).unwrap();
    let new = |arguments: &[&str]| run(program("ca"), &[&["--dir", "new", "--passphrase-file", "pass"], arguments].concat(), &authority.home);
    let begun = Instant::now();
    new(&["backup", "backup"]).ok();
    let takes = begun.elapsed();
    for step in 0..6 {
        let name = format!("backup-{step}");
        killed(&authority, &["backup", &name], takes * (step + 4) / 10);
        // What has its name is whole.
        if authority.home.join(&name).exists() {
            new(&["restore", &name, "--check"]).ok();
        } else {
            // Cut off between its signature and its name it is whole all the same; and what is called whole comes back whole.
            let cut = format!("{name}.unfinished");
            if new(&["restore", &cut, "--check"]).code == 0 {
                let apart = |arguments: &[&str]| run(program("ca"), &[&["--dir", &format!("of-{name}"), "--passphrase-file", "pass"], arguments].concat(), &authority.home);
                apart(&["restore", &cut, "--accept-loss"]).ok();
                assert_eq!(apart(&["--json", "list"]).json().as_array().unwrap().len(), 10);
            }
        }
    }
    std::fs::rename(authority.home.join("new"), authority.home.join("old")).unwrap();
    let restore = ["restore", "backup", "--accept-loss"];
    let begun = Instant::now();
    run(program("ca"), &[&["--dir", "measured", "--passphrase-file", "pass"], &restore[..]].concat(), &authority.home).ok();
    let takes = begun.elapsed();
    for step in 0..8 {
        killed(&authority, &restore, takes * (step + 2) / 10);
        if authority.home.join("new/restoring").exists() {
            let refused = new(&["--json", "list"]);
            assert!(refused.code == 5 && refused.err.contains("\"unfinished\""), "{refused:?}");
        }
        if authority.home.join("new/ca.toml").exists() && !authority.home.join("new/restoring").exists() {
            break;
        }
    }
    if !authority.home.join("new/ca.toml").exists() || authority.home.join("new/restoring").exists() {
        new(&restore).ok();
    }
    assert_eq!(new(&["--json", "list"]).json().as_array().unwrap().len(), 10);
    new(&["doctor"]).ok();
}
