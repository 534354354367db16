//! An authority whose last administrator is gone, and its owner at the machine: the built `ca`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, free_port, openssl, program, run};

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

#[test]
fn the_officers_authority_comes_back_though_it_is_revoked_itself() {
    let place = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut authority = Authority::found_with(place.path(), &["--officers-listen", &format!("127.0.0.1:{port}"), "--officers-host", "localhost"], Vec::new());
    std::fs::rename(authority.home.join("ca/root-keys"), authority.home.join("root-keys")).unwrap();
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("root.pem")).unwrap();
    for (name, number, power) in [("op", "B-1", "operator"), ("adm", "A-1", "administrator")] {
        authority.ca(&["officer", "identity", "new", name, "--name", "陈一", "--number", number]).ok();
        let out = format!("{name}.pem");
        let issued = authority.ca(&["--json", "issue", "officer", "--request", &format!("{name}/officer.csr"), "--officer", "陈一", "--number", number, "--out", &out]).json();
        authority.ca(&["officer", "identity", "install", name, &out, "--root", "ca/root.pem"]).ok();
        authority.ca(&["officer", "grant", issued["serial"].as_str().unwrap(), power]).ok();
    }
    authority.start();
    let server = format!("https://localhost:{port}");
    let as_officer = |name: &str, arguments: &[&str]| run(program("ca"), &[&["--json", "--passphrase-file", "pass", "--server", &server, "--identity", name][..], arguments].concat(), &authority.home);
    let serial = openssl(&["x509", "-in", "ca/officer-ca.pem", "-noout", "-serial"], &authority.home).ok().trim().trim_start_matches("serial=").to_lowercase();
    std::fs::write(authority.home.join("serials.txt"), format!("{serial}\n")).unwrap();
    for alone in [&["revoke", &serial, "--reason", "key-compromise"][..], &["key", "block", "--certificate", "ca/officer-ca.pem"]] {
        let refused = as_officer("op", alone);
        assert!(refused.code == 8 && refused.err.contains("\"authority-certificate\""), "{refused:?}");
    }
    as_officer("adm", &["bulk", "revoke", "--incident", "INC-1", "--reason", "key-compromise", "--file", "serials.txt", "--execute"]).ok();
    assert_eq!(as_officer("adm", &["officer", "list"]).code, 8);
    assert!(authority.ca(&["doctor"]).out.contains("ca issuer request officer-ca --recover"));
    authority.kill();
    let recover = ["officer", "recover", "--request", "next/officer.csr", "--officer", "李二", "--number", "A-2", "--reason", REASON, "--out", "next.pem"];
    authority.ca(&["officer", "identity", "new", "next", "--name", "李二", "--number", "A-2"]).ok();
    assert_ne!(authority.ca(&recover).code, 0);
    assert_eq!(authority.ca(&["issuer", "request", "enterprise-ca", "--recover", "--out", "other.csr"]).code, 8);
    authority.ca(&["issuer", "request", "officer-ca", "--recover", "--out", "officer-ca.csr"]).ok();
    let sha256 = |file: &str| run("sha256sum", &[file], &authority.home).ok().split(' ').next().unwrap().to_owned();
    let date = |when: &str| run("date", &["-u", "-d", when, "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok().trim().to_owned();
    let key = openssl(&["x509", "-in", "root.pem", "-noout", "-ext", "subjectKeyIdentifier"], &authority.home).ok();
    let policies = authority.ca(&["--json", "policy", "check"]).json()["sha256"].as_str().unwrap().to_owned();
    let text = format!(
        "kind = \"issuing\"\nroot = {{ file = \"root.pem\", sha256 = \"{}\" }}\nroot_key_id = \"{}\"\npresent = [\"甲\", \"乙\"]\nrequest = {{ file = \"officer-ca.csr\", sha256 = \"{}\" }}\nname = \"穗印政务证书签发机构 2\"\nnot_before = \"{}\"\nnot_after = \"{}\"\npath_length = 0\nbase_url = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\n",
        sha256("root.pem"), key.lines().nth(1).unwrap().trim(), sha256("officer-ca.csr"), date("now"), date("+3600 days"), authority.url
    );
    std::fs::write(authority.home.join("ceremony.toml"), text).unwrap();
    let reviewed = sha256("ceremony.toml");
    run(program("ca"), &["ceremony", "run", "ceremony.toml", "--root-keys", "root-keys", "--root-passphrase-file", "pass", "--sha256", &reviewed, "--out", "out"], &authority.home).ok();
    authority.ca(&["issuer", "install", "out/certificate.pem", "--recover"]).ok();
    authority.ca(&recover).ok();
    openssl(&["verify", "-CAfile", "root.pem", "-untrusted", "next.pem", "next.pem"], &authority.home).ok();
    assert_eq!(authority.ca(&["issuer", "request", "officer-ca", "--recover", "--out", "again.csr"]).code, 8);
}
