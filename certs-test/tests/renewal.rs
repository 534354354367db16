//! A holder renews with nothing but OpenSSL and curl; an operator replaces and corrects with the built `ca`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use certs_test::programs::{Authority, openssl, run};
use serde_json::Value;

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

/// An authority whose enterprises may renew from the first day of their year on.
fn founded(place: &Path) -> Authority {
    let mut authority = Authority::found(place);
    let rules = place.join("ca/policies/authority/renewal.toml");
    let text = std::fs::read_to_string(&rules).unwrap();
    let entry = "profile = \"enterprise-signing\"\nwindow_days = 60";
    assert!(text.contains(entry) && text.contains("after_days = 1"));
    std::fs::write(&rules, text.replace(entry, "profile = \"enterprise-signing\"\nwindow_days = 366").replace("after_days = 1", "after_days = 0")).unwrap();
    let profile = place.join("ca/policies/certificates/enterprise-signing.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace("days = 730", "days = 365")).unwrap();
    authority.start();
    authority
}

/// Signs `NAME.csr` with the key and certificate of `old`, and sends it: the status and what came; `NAME.pem` when it is done.
fn renew(authority: &Authority, old: &str, name: &str, more: &[&str]) -> (String, String) {
    asked("renew", authority, old, name, more)
}

fn asked(door: &str, authority: &Authority, old: &str, name: &str, more: &[&str]) -> (String, String) {
    let [csr, signer, key, url] = [format!("{name}.csr"), format!("{old}.pem"), format!("{old}.key"), format!("{}/{door}", authority.url)];
    openssl(&[&["cms", "-sign", "-nodetach", "-binary", "-in", &csr, "-signer", &signer, "-inkey", &key, "-outform", "DER", "-out", "renew.der"], more].concat(), &authority.home).ok();
    let said = run("curl", &["-s", "-o", "answer", "-w", "%{http_code}", "--data-binary", "@renew.der", &url], &authority.home).ok();
    let text = std::fs::read_to_string(authority.home.join("answer")).unwrap();
    if said == "200" {
        std::fs::write(authority.home.join(format!("{name}.pem")), &text).unwrap();
    }
    (said, text)
}

fn refused(answer: &(String, String), status: &str, code: &str) {
    let problem: Value = serde_json::from_str(&answer.1).unwrap();
    assert!(answer.0 == status && problem["code"] == code && !problem["next"].as_str().unwrap().is_empty(), "{answer:?}");
}

fn serial(authority: &Authority, name: &str) -> String {
    let said = openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", "-serial"], &authority.home).ok();
    said.trim().trim_start_matches("serial=").to_lowercase()
}

fn verified(authority: &Authority, name: &str) {
    let said = openssl(&["verify", "-x509_strict", "-CAfile", "ca/root.pem", "-untrusted", &format!("{name}.pem"), &format!("{name}.pem")], &authority.home);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_holder_renews_with_openssl_and_curl() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = founded(place.path());
    for name in ["a", "b", "c"] {
        authority.request(name, "/C=CN");
    }
    let old = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let (status, text) = renew(&authority, "a", "b", &[]);
    assert!(status == "200" && text.matches("BEGIN CERTIFICATE").count() == 2, "{status} {text}");
    verified(&authority, "b");
    let new = serial(&authority, "b");
    let subject = |name: &str| openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", "-subject", "-nameopt", "RFC2253"], &authority.home).ok();
    assert_eq!(subject("a"), subject("b"));
    // The same again, after a kill too, is the same certificate; another request is turned away.
    assert_eq!(renew(&authority, "a", "b", &["-nocerts"]), (status.clone(), text.clone()));
    authority.kill();
    authority.start();
    assert_eq!(renew(&authority, "a", "b", &[]), (status, text));
    refused(&renew(&authority, "a", "c", &[]), "409", "succeeded");
    // Both ends of the link are shown.
    let shown = authority.ca(&["--json", "show", &old]).json();
    assert!(shown["state"] == "good" && shown["replaced_by"][0]["serial"] == new.as_str() && shown["replaced_by"][0]["act"] == "renewed", "{shown}");
    let shown = authority.ca(&["--json", "show", &new]).json();
    assert!(shown["replaces"]["serial"] == old.as_str(), "{shown}");
    let text = authority.ca(&["show", &old]).ok();
    assert!(text.contains(&format!("followed by {new} (renewed)")), "{text}");
    // What is not to be: the key again, a stranger's certificate, a suspended one, too much at once.
    refused(&renew(&authority, "b", "b", &[]), "422", "same-key");
    openssl(&["req", "-x509", "-key", "c.key", "-subj", "/CN=stranger", "-days", "30", "-out", "c.pem"], &authority.home).ok();
    std::fs::copy(authority.home.join("c.pem"), authority.home.join("stranger.pem")).unwrap();
    std::fs::copy(authority.home.join("c.key"), authority.home.join("stranger.key")).unwrap();
    refused(&renew(&authority, "stranger", "c", &[]), "404", "not-ours");
    authority.ca(&["suspend", &new]).ok();
    refused(&renew(&authority, "b", "c", &[]), "422", "suspended");
    refused(&renew(&authority, "a", "b", &["-keyid"]), "422", "signature");
    std::fs::write(authority.home.join("large"), vec![0x30; 40_000]).unwrap();
    let large = run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@large", &format!("{}/renew", authority.url)], &authority.home).ok();
    assert_eq!(large, "413");
    let log = std::fs::read_to_string(authority.home.join("serve.log")).unwrap();
    assert!(!log.contains("天河") && !log.contains("91440101MAT000018G"));
}

#[test]
fn a_holder_changes_the_key_and_asks_for_a_correction_with_openssl_and_curl() {
    let place = tempfile::tempdir().unwrap();
    let authority = founded(place.path());
    authority.request("a", "/C=CN");
    let old = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    authority.request("b", &format!("/CN=rekey {old}"));
    refused(&renew(&authority, "a", "b", &[]), "422", "said-otherwise");
    let (status, text) = asked("rekey", &authority, "a", "b", &[]);
    assert!(status == "200" && text.matches("BEGIN CERTIFICATE").count() == 2, "{status} {text}");
    verified(&authority, "b");
    let said = |name: &str, what: &str| openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", what, "-nameopt", "RFC2253"], &authority.home).ok();
    assert_eq!((said("a", "-subject"), said("a", "-enddate")), (said("b", "-subject"), said("b", "-enddate")));
    let (shown, new) = (authority.ca(&["--json", "show", &old]).json(), serial(&authority, "b"));
    let days = (shown["ends_at"].as_i64().unwrap() - authority.ca(&["--json", "show", &new]).json()["not_before"].as_i64().unwrap()) / 86_400;
    assert!(shown["state"] == "good" && days == 5 && shown["replaced_by"][0]["act"] == "rekeyed", "{shown}");
    // Another name is an order, which stands where both sides see it.
    authority.request("c", &format!("/CN=correct {new}/O=广州天河新名有限公司"));
    refused(&asked("rekey", &authority, "b", "c", &[]), "422", "not-said");
    let (status, text) = asked("correct", &authority, "b", "c", &[]);
    let order: Value = serde_json::from_str(&text).unwrap();
    assert!(status == "201" && order["state"]["code"] == "awaiting-approval", "{status} {text}");
    assert_eq!(asked("correct", &authority, "b", "c", &[]).0, "200");
    let shown = authority.ca(&["--json", "order", "show", order["id"].as_str().unwrap()]).json();
    assert_eq!((shown["corrects"]["serial"].as_str(), shown["applicant"]["name"].as_str()), (Some(new.as_str()), Some("广州天河新名有限公司")));
    let told = authority.ca(&["order", "show", order["id"].as_str().unwrap()]).ok();
    assert!(told.contains(&format!("corrects certificate {new}")), "{told}");
}

#[test]
fn an_operator_renews_replaces_and_corrects() {
    let place = tempfile::tempdir().unwrap();
    let authority = founded(place.path());
    for name in ["a", "b", "c", "d"] {
        authority.request(name, "/C=CN");
    }
    let first = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let renewed = authority.ca(&["--json", "renew", &first, "--request", "b.csr", "--out", "b.pem"]).json();
    verified(&authority, "b");
    let second = renewed["serial"].as_str().unwrap();
    assert_eq!((renewed["replaces"]["serial"].as_str(), renewed["not_after"].as_i64() > renewed["not_before"].as_i64()), (Some(first.as_str()), true));
    // Its device is lost: the old one ends at once, and relying parties are told.
    let replaced = authority.ca(&["--json", "replace", second, "--request", "c.csr", "--out", "c.pem"]).json();
    verified(&authority, "c");
    let ocsp = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-url", &format!("{}/ocsp", authority.url), "-cert", "b.pem", "-cert", "c.pem"], &authority.home);
    assert!(ocsp.out.contains("b.pem: revoked") && ocsp.out.contains("Reason: superseded") && ocsp.out.contains("c.pem: good"), "{ocsp:?}");
    // Another name: the code stays, the old one has five days.
    let third = replaced["serial"].as_str().unwrap();
    let refused = authority.ca(&["--json", "correct", third, "--request", "d.csr"]);
    assert!(refused.code == 2 && refused.err.contains("nothing-new"), "{refused:?}");
    let refused = authority.ca(&["--json", "replace", third, "--request", "d.csr", "--reason", "privilege-withdrawn"]);
    assert!(refused.code == 2 && refused.err.contains("\"reason\""), "{refused:?}");
    let refused = authority.ca(&["--json", "replace", third, "--request", "d.csr", "--overlap-days", "31"]);
    assert!(refused.code == 3 && refused.err.contains("overlap"), "{refused:?}");
    let corrected = authority.ca(&["--json", "correct", third, "--request", "d.csr", "--name", "广州天河新名有限公司", "--reason", "affiliation-changed", "--out", "d.pem"]).json();
    verified(&authority, "d");
    assert_eq!((corrected["name"].as_str(), corrected["code"].as_str()), (Some("广州天河新名有限公司"), Some("91440101MAT000018G")));
    let shown = authority.ca(&["--json", "show", third]).json();
    let days = (shown["ends_at"].as_i64().unwrap() - corrected["not_before"].as_i64().unwrap()) / 86_400;
    assert!(shown["state"] == "good" && days == 5, "{shown}");
    assert!(authority.ca(&["show", third]).ok().contains("as another is in its place"));
}
