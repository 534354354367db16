//! An authority whose last administrator is gone, and its owner at the machine: the built `ca`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, openssl, run};

const REASON: &str = "唯一的管理员密钥已泄露，证书已吊销";

#[test]
fn the_owner_brings_an_administrator_back_while_the_service_is_stopped() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.request("admin", "/CN=陈一/serialNumber=A-1");
    let first = authority.issue("admin", "officer", &["--officer", "陈一", "--number", "A-1"]);
    authority.ca(&["officer", "grant", &first, "administrator"]).ok();
    authority.request("next", "/CN=李二/serialNumber=A-2");
    let recover = ["--json", "officer", "recover", "--request", "next.csr", "--officer", "李二", "--number", "A-2", "--reason", REASON, "--out", "next.pem"];
    let refused = authority.ca(&recover);
    assert!(refused.code == 8 && refused.err.contains("\"administered\""), "{refused:?}");
    // Its holder reports the key, and nobody can grant anything any more.
    authority.start();
    openssl(&["req", "-new", "-key", "admin.key", "-subj", "/CN=compromised key", "-out", "said.csr"], &authority.home).ok();
    run("curl", &["-sf", "--data-binary", "@said.csr", &format!("{}/revoke", authority.url)], &authority.home).ok();
    let stuck = authority.ca(&["--json", "officer", "grant", &first, "administrator"]);
    assert!(stuck.code == 8 && stuck.err.contains("powerless"), "{stuck:?}");
    assert!(authority.ca(&["doctor"]).out.contains("ca officer recover"));
    // A service that runs is in the way; over the network it is not done at all.
    let refused = authority.ca(&recover);
    assert!(refused.code == 6 && refused.err.contains("in use by another process"), "{refused:?}");
    assert!(!authority.home.join("next.pem").exists());
    authority.kill();
    let done = authority.ca(&recover).json();
    let serial = done["serial"].as_str().unwrap().to_owned();
    assert_eq!(openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "next.pem", "next.pem"], &authority.home).code, 0);
    authority.start();
    let officers = authority.ca(&["--json", "officer", "list"]).json();
    assert!(officers.as_array().unwrap().iter().any(|one| one["serial"] == serial.as_str() && one["powers"][0] == "administrator"), "{officers}");
    let doctor = authority.ca(&["doctor"]).out;
    assert!(doctor.lines().any(|line| line.starts_with("warn") && line.contains(REASON) && line.contains(&serial)), "{doctor}");
    let shown = authority.ca(&["notice", "list"]).out;
    assert!(shown.contains("recovered-"), "{shown}");
    authority.kill();
    assert_eq!(authority.ca(&recover).code, 8);
}
