//! Whoever holds a key revokes its certificates with nothing but OpenSSL and curl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, openssl, run};
use serde_json::Value;

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

/// Says `words` with the key `name`, over HTTP: the status and the answer.
fn say(authority: &Authority, name: &str, words: &str) -> (String, Value) {
    let (key, subject, out) = (format!("{name}.key"), format!("/CN={words}"), "said.csr");
    openssl(&["req", "-new", "-key", &key, "-subj", &subject, "-out", out], &authority.home).ok();
    let url = format!("{}/revoke", authority.url);
    let said = run("curl", &["-s", "-o", "answer.json", "-w", "%{http_code}", "--data-binary", "@said.csr", &url], &authority.home).ok();
    (said, serde_json::from_slice(&std::fs::read(authority.home.join("answer.json")).unwrap()).unwrap())
}

fn state(authority: &Authority, serial: &str) -> Value {
    authority.ca(&["--json", "show", serial]).json()
}

#[test]
fn a_keys_holder_revokes_its_own_certificates_and_no_other() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    for name in ["a", "b"] {
        authority.request(name, "/C=CN");
    }
    let first = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let second = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let other = authority.issue("b", "enterprise-signing", &ENTERPRISE);
    // What says nothing of the kind, and what is said with another key, changes nothing.
    for words in ["广州天河测试有限公司", "revoke", &format!("revoke {first} privilege-withdrawn"), &format!("revoke {first} tired"), "Compromised key", "compromised key/O=x"] {
        let (status, answer) = say(&authority, "a", words);
        assert!(status == "422" && answer["code"] == "not-said", "{words}: {status} {answer}");
    }
    assert_eq!(say(&authority, "b", &format!("revoke {first} superseded")).0, "404");
    authority.request("stranger", "/C=CN");
    // A key that nothing was issued for is blocked all the same, and gets no certificate from then on.
    for _ in 0..2 {
        assert_eq!(say(&authority, "stranger", "compromised key"), ("200".to_owned(), serde_json::json!([])));
    }
    let blocked = authority.ca(&[&["--json", "issue", "enterprise-signing", "--request", "stranger.csr"], &ENTERPRISE[..]].concat());
    assert!(blocked.code == 3 && blocked.err.contains("blocked-key"), "{blocked:?}");
    let broken = run("curl", &["-s", "-o", "answer.json", "-w", "%{http_code}", "--data-binary", "nonsense", &format!("{}/revoke", authority.url)], &authority.home).ok();
    assert_eq!(broken, "422");
    assert!([&first, &second, &other].iter().all(|serial| state(&authority, serial)["state"] == "good"));
    // One certificate, with a reason; said again it is the same answer.
    for _ in 0..2 {
        let (status, answer) = say(&authority, "a", &format!("revoke {first} superseded"));
        assert!(status == "200" && answer[0]["serial"] == first.as_str() && answer[0]["reason"] == "superseded" && answer[1].is_null(), "{answer}");
    }
    assert_eq!(state(&authority, &second)["state"], "good");
    // The key: every certificate of it falls, and no other.
    let (status, answer) = say(&authority, "a", "compromised key");
    assert!(status == "200" && answer.as_array().unwrap().len() == 2, "{answer}");
    for serial in [&first, &second] {
        assert_eq!(state(&authority, serial)["reason"], "key-compromise");
    }
    let url = format!("{}/ocsp", authority.url);
    let asked = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-url", &url, "-cert", "a.pem", "-cert", "b.pem"], &authority.home);
    assert!(asked.out.contains("a.pem: revoked") && asked.out.contains("Reason: keyCompromise") && asked.out.contains("b.pem: good"), "{asked:?}");
    assert_eq!(say(&authority, "a", "compromised key").0, "200");
    let again = authority.ca(&["--json", "issue", "enterprise-signing", "--request", "a.csr", "--name", "x", "--code", "91440101MAT000018G"]);
    assert!(again.code == 3 && again.err.contains("blocked-key"), "{again:?}");
}
