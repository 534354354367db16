//! A founding whose root's key is made, and stays, elsewhere: three steps with the built `ca`, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, SOFT_TOKEN_MODULE, Said, openssl, program, run, soft_token};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const AWAY: [&str; 4] = ["--root-keys", "away/root-keys", "--root-passphrase-file", "pass"];

/// Every file below a place.
fn files(place: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(place).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => found.push(entry.path().to_string_lossy().into_owned()),
        }
    }
}

fn install(authority: &Authority, made: &str, root_sha256: &str) -> Said {
    authority.ca(&["--json", "hierarchy", "install", made, "--root-sha256", root_sha256])
}

/// The digest that people take home from the ceremony, by OpenSSL.
fn fingerprint(authority: &Authority, file: &str) -> String {
    let said = openssl(&["x509", "-in", file, "-noout", "-fingerprint", "-sha256"], &authority.home).ok();
    said.trim().rsplit_once('=').unwrap().1.to_owned()
}

fn fetch(authority: &Authority, path: &str, kind: &str) -> String {
    run("curl", &["-sf", "-o", "fetched.der", &format!("{}/{path}", authority.url)], &authority.home).ok();
    openssl(&[kind, "-inform", "DER", "-in", "fetched.der"], &authority.home).ok()
}

/// Chain, lists and OCSP of one certificate, by OpenSSL with the root as the ceremony made it.
fn judged(authority: &Authority, root: &str) {
    authority.request("one", "/C=CN");
    authority.issue("one", "enterprise-signing", &ENTERPRISE);
    authority.request("two", "/C=CN");
    let revoked = authority.issue("two", "enterprise-signing", &ENTERPRISE);
    authority.ca(&["revoke", &revoked, "--reason", "superseded"]).ok();
    authority.ca(&["crl", "publish"]).ok();
    let lists = ["crl/root.crl", "crl/enterprise-ca.crl"].map(|path| fetch(authority, path, "crl")).concat();
    std::fs::write(authority.home.join("lists.pem"), lists).unwrap();
    let verify = |certificate: &str| openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", root, "-untrusted", "ca/enterprise-ca.pem", certificate], &authority.home);
    assert_eq!(verify("one.pem").code, 0, "{:?}", verify("one.pem"));
    assert!(verify("two.pem").err.contains("certificate revoked"), "{:?}", verify("two.pem"));
    let url = format!("{}/ocsp", authority.url);
    let said = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", root, "-verify_other", "ca/enterprise-ca.pem", "-url", &url, "-cert", "one.pem", "-cert", "two.pem"], &authority.home);
    assert!(said.err.contains("Response verify OK") && said.out.contains("one.pem: good") && said.out.contains("two.pem: revoked"), "{said:?}");
}

#[test]
fn a_root_that_was_never_here_founds_an_authority_and_every_step_can_be_cut_off() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::nowhere(place.path(), Vec::new());
    let refused = |said: Said, code: &str| assert!(said.code != 0 && said.err.contains(&format!("\"{code}\"")), "{said:?}");
    // Nothing to take in before anything was asked for.
    refused(install(&authority, "away/founded", "00"), "not-waiting");
    // 1. Keys and requests. Nothing can be served yet, nor founded over them; asked again the same keys ask.
    authority.request_hierarchy(&[], "founding").ok();
    refused(authority.ca(&["--json", "list"]), "unfinished");
    refused(authority.ca(&["--json", "serve"]), "unfinished");
    refused(authority.ca(&["--json", "init", "--base-url", &authority.url, "--root-passphrase-file", "pass"]), "unfinished");
    refused(authority.ca(&["--json", "hierarchy", "request", "--base-url", "http://other.example.cn", "--out", "other"]), "unfinished");
    refused(authority.request_hierarchy(&[], "founding"), "ceremony-exists");
    let asked = authority.request_hierarchy(&[], "again").json();
    let read = |name: &str| std::fs::read(authority.home.join(name)).unwrap();
    for id in ["enterprise-ca", "officer-ca", "tls-ca", "citizen-ca"] {
        assert_eq!(read(&format!("founding/{id}.csr")), read(&format!("again/{id}.csr")));
        assert!(openssl(&["req", "-in", &format!("founding/{id}.csr"), "-noout", "-verify"], &authority.home).err.contains("verify OK"));
    }
    // 2. The ceremony: rehearsed, refused before a key is born when people or inputs are not those that were reviewed.
    let text = String::from_utf8(read("founding/hierarchy.toml")).unwrap();
    let nobody = text.lines().map(|line| if line.starts_with("present") { "present = []\n".into() } else { format!("{line}\n") }).collect::<String>();
    let shared = text.replacen(&hex(&authority, "founding/tls-ca.csr"), &hex(&authority, "founding/officer-ca.csr"), 1).replace("tls-ca.csr", "officer-ca.csr");
    let longer = text.replacen("path_length = 0", "path_length = 1", 1);
    for (name, text) in [("nobody", &nobody), ("shared", &shared), ("longer", &longer)] {
        std::fs::create_dir(authority.home.join(name)).unwrap();
        run("cp", &["-r", "founding/.", name], &authority.home).ok();
        std::fs::write(authority.home.join(name).join("hierarchy.toml"), text).unwrap();
        refused(authority.found_root(name, "away/founded", &AWAY), "ceremony");
    }
    std::fs::write(authority.home.join("longer/hierarchy.toml"), &text).unwrap();
    std::fs::copy(authority.home.join("founding/tls-ca.csr"), authority.home.join("longer/officer-ca.csr")).unwrap();
    refused(authority.found_root("longer", "away/founded", &AWAY), "not-reviewed");
    // A key that this directory refuses is refused there too, by the very lists that were reviewed.
    let of_tls = asked["authorities"].as_array().unwrap().iter().find(|one| one["id"] == "tls-ca").unwrap()["key_sha256"].as_str().unwrap();
    let known = authority.home.join("ca/blocked-keys");
    std::fs::create_dir(&known).unwrap();
    std::fs::write(known.join("known.txt"), format!("{of_tls} # somebody published it\n")).unwrap();
    authority.request_hierarchy(&[], "listed").ok();
    assert_eq!(read("listed/blocked-keys/known.txt"), read("ca/blocked-keys/known.txt"));
    refused(authority.found_root("listed", "away/founded", &AWAY), "listed-key");
    std::fs::remove_file(authority.home.join("listed/blocked-keys/known.txt")).unwrap();
    refused(authority.found_root("listed", "away/founded", &AWAY), "not-reviewed");
    std::fs::remove_dir_all(&known).unwrap();
    authority.found_root("founding", "away/founded", &[&AWAY[..], &["--dry-run"]].concat()).ok();
    assert!(!authority.home.join("away/root-keys").exists() && !authority.home.join("away/founded").exists());
    // What a ceremony that was cut off left is looked at by somebody before there is another root's key.
    std::fs::create_dir(authority.home.join("away/founded.unfinished")).unwrap();
    refused(authority.found_root("founding", "away/founded", &AWAY), "ceremony-exists");
    assert!(!authority.home.join("away/root-keys").exists());
    std::fs::remove_dir(authority.home.join("away/founded.unfinished")).unwrap();
    let held = authority.found_root("founding", "away/founded", &AWAY).json();
    // The first list begins with the root, whatever the clock of that machine says.
    let first = |kind: &[&str]| openssl(kind, &authority.home).ok().trim().rsplit_once('=').unwrap().1.to_owned();
    assert_eq!(first(&["crl", "-inform", "DER", "-in", "away/founded/root.crl", "-noout", "-lastupdate"]), first(&["x509", "-in", "away/founded/root.pem", "-noout", "-startdate"]));
    let sha256 = held["root_sha256"].as_str().unwrap().to_owned();
    assert_eq!(fingerprint(&authority, "away/founded/root.pem").replace(':', "").to_lowercase(), sha256);
    refused(authority.found_root("founding", "away/founded", &AWAY), "ceremony-exists");
    let proved = run(program("ca"), &["--json", "ceremony", "verify", "away/founded", "--root", "away/founded/root.pem"], &authority.home).json();
    assert_eq!((proved["kind"].as_str(), proved["outputs"].as_array().unwrap().len()), (Some("hierarchy"), 6));
    // 3. Refused while anything is not what was asked for, and the directory goes on waiting: another root, what another
    //    ceremony made of other requests, a certificate or a list of another ceremony, a damaged transcript.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::found_offline(elsewhere.path(), &[], Vec::new());
    run("cp", &["-r", &other.path("away/founded"), "other-founded"], &authority.home).ok();
    refused(install(&authority, "away/founded", &"0".repeat(64)), "other-root");
    refused(install(&authority, "other-founded", &sha256), "other-root");
    refused(install(&authority, "other-founded", &fingerprint(&authority, "other-founded/root.pem")), "not-requested");
    for (file, of) in [("tls-ca.pem", "other-founded/tls-ca.pem"), ("root.crl", "other-founded/root.crl"), ("tls-ca.pem", "away/founded/officer-ca.pem"), ("transcript.jsonl", "other-founded/transcript.jsonl")] {
        run("rm", &["-rf", "mixed"], &authority.home).ok();
        run("cp", &["-r", "away/founded", "mixed"], &authority.home).ok();
        std::fs::copy(authority.home.join(of), authority.home.join("mixed").join(file)).unwrap();
        refused(install(&authority, "mixed", &sha256), "transcript");
    }
    refused(authority.ca(&["--json", "list"]), "unfinished");
    // Killed anywhere it serves nothing, and said again it is done.
    let arguments = ["--dir", "ca", "--passphrase-file", "pass", "hierarchy", "install", "away/founded", "--root-sha256", &sha256];
    let begun = Instant::now();
    run("cp", &["-r", "ca", "measured"], &authority.home).ok();
    run(program("ca"), &[&["--dir", "measured"][..], &arguments[2..]].concat(), &authority.home).ok();
    let takes = begun.elapsed();
    for step in 0..8 {
        let mut child = Command::new(program("ca")).args(arguments).current_dir(&authority.home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * step / 8 + Duration::from_millis(1));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(authority.home.join("ca/founding").exists() == (authority.ca(&["list"]).code != 0));
    }
    if authority.home.join("ca/founding").exists() {
        install(&authority, "away/founded", &sha256).ok();
    }
    assert_eq!(install(&authority, "away/founded", &sha256).code, 5);
    // The root, four issuing authorities and their OCSP signers, once each.
    assert_eq!(authority.ca(&["--json", "list"]).json().as_array().unwrap().len(), 9);
    // As one that was cut off at its very end leaves it.
    std::fs::write(authority.home.join("ca/founding-request.json"), "{}").unwrap();
    authority.start();
    judged(&authority, "away/founded/root.pem");
    // The root's key is nowhere below the authority, its next list is signed where it is, and the doctor has nothing to say of it.
    let mut found = Vec::new();
    files(&authority.home.join("ca"), &mut found);
    assert!(!found.iter().any(|file| file.contains("root.key") || file.contains("root-keys") || file.contains("founding")), "{found:?}");
    assert!(!authority.ca(&["doctor"]).out.contains("within reach"));
    let prepared = authority.ca(&["--json", "crl", "root", "prepare", "--present", "甲", "--present", "乙", "--out", "next"]).json();
    authority.sign_root_list(&prepared, &AWAY, "next-signed").ok();
    let published = authority.ca(&["--json", "crl", "root", "publish", "next-signed/root.crl"]).json();
    assert_eq!(published[0]["number"], 2);
    run("cp", &["-r", "away/root-keys", "root-keys"], &authority.home).ok();
    assert!(authority.ca(&["doctor"]).out.contains("within reach"));
    // All of it is in the log, with the digests of what was held.
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    authority.ca(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
    let mut entries = Vec::new();
    files(&authority.home.join("export"), &mut entries);
    assert!(entries.iter().any(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains(&format!("\"root_sha256\":\"{sha256}\""))));
}

fn hex(authority: &Authority, file: &str) -> String {
    run("sha256sum", &[file], &authority.home).ok().split(' ').next().unwrap().to_owned()
}

#[test]
fn issuing_keys_and_the_roots_are_in_tokens_from_the_first_day() {
    let place = tempfile::tempdir().unwrap();
    let environment = vec![("SOFTHSM2_CONF", soft_token(place.path(), "suiyin"))];
    let mut authority = Authority::nowhere(place.path(), environment.clone());
    let token = ["--token-module", SOFT_TOKEN_MODULE, "--token-label", "suiyin", "--token-pin-file", "pin"];
    authority.request_hierarchy(&token, "founding").ok();
    let held = authority.found_root("founding", "away/founded", &token).json();
    let key = held["token_key"].as_str().unwrap().to_owned();
    install(&authority, "away/founded", held["root_sha256"].as_str().unwrap()).ok();
    authority.start();
    judged(&authority, "away/founded/root.pem");
    // The service's own token has the root's key: the doctor says so, as of a file beside the directory.
    assert!(authority.ca(&["doctor"]).out.contains("that of root is in the token that the service opens"));
    // The root's next list, by the key that the token alone has.
    let prepared = authority.ca(&["--json", "crl", "root", "prepare", "--present", "甲", "--present", "乙", "--out", "next"]).json();
    authority.sign_root_list(&prepared, &[&token[..], &["--token-key", &key]].concat(), "list").ok();
    authority.ca(&["crl", "root", "publish", "list/root.crl"]).ok();
}
