//! Suspending and freezing with the built `ca`, judged by OpenSSL before, during and after.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, openssl, oracle, run};

const LIFT: [&str; 4] = ["--authority", "穗城区人民法院", "--reason", "(2026)穗执1号之一"];
const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const ISSUER: &str = "enterprise-ca";

/// What an OCSP client is told of `a.pem`.
fn ocsp(authority: &Authority) -> String {
    let url = format!("{}/ocsp", authority.url);
    let said = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-verify_other", "ca/enterprise-ca.pem", "-url", &url, "-cert", "a.pem", "-no_nonce"], &authority.home);
    assert!(said.err.contains("Response verify OK"), "{said:?}");
    said.out
}

/// What `openssl verify` says of `a.pem` with the list that is published now.
fn verified(authority: &Authority) -> (bool, String) {
    authority.ca(&["crl", "publish", ISSUER]).ok();
    run("curl", &["-sf", "-o", "list.crl", &format!("{}/crl/{ISSUER}.crl", authority.url)], &authority.home).ok();
    let list = openssl(&["crl", "-inform", "DER", "-in", "list.crl"], &authority.home).ok();
    std::fs::write(authority.home.join("list.pem"), list).unwrap();
    let said = openssl(&["verify", "-x509_strict", "-crl_check", "-CRLfile", "list.pem", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", "a.pem"], &authority.home);
    let told = openssl(&["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text"], &authority.home).ok();
    assert!(said.code == 0 || said.err.contains("certificate revoked"), "{said:?}");
    (said.code == 0, told)
}

fn good(authority: &Authority) {
    assert!(ocsp(authority).contains("a.pem: good"));
    let (good, told) = verified(authority);
    assert!(good && told.contains("No Revoked Certificates"), "{told}");
}

fn held(authority: &Authority) {
    let said = ocsp(authority);
    assert!(said.contains("a.pem: revoked") && said.contains("Reason: certificateHold"), "{said}");
    let (good, told) = verified(authority);
    assert!(!good && told.contains("Certificate Hold"), "{told}");
}

#[test]
fn relying_parties_are_told_of_a_suspension_and_of_its_end() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    good(&authority);
    let shown = authority.ca(&["--json", "suspend", &serial]).json();
    assert_eq!(shown["state"], "held");
    let days = (shown["held_until"].as_i64().unwrap() - shown["held_since"].as_i64().unwrap()) / 86_400;
    assert_eq!(days, 15);
    held(&authority);
    let said = run(oracle("lint_crl"), &["lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING", "list.crl"], &authority.home);
    assert!(said.code == 0 && said.out.trim().is_empty(), "{said:?}");
    assert_eq!(authority.ca(&["suspend", &serial]).code, 5);
    // It is as durable as everything else.
    authority.kill();
    authority.start();
    held(&authority);
    assert!(authority.ca(&["show", &serial]).ok().contains("unless resumed"));
    assert_eq!(authority.ca(&["--json", "list", "--state", "held"]).json().as_array().unwrap().len(), 1);
    assert_eq!(authority.ca(&["--json", "resume", &serial]).json()["state"], "good");
    good(&authority);
}

#[test]
fn a_freeze_is_lifted_by_its_own_act_or_by_its_date() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let order = |until: &str| authority.ca(&["--json", "freeze", &serial, "--authority", "穗城区人民法院", "--reason", "(2026)穗执1号", "--until", until]);
    assert_eq!(order("2020-01-01T00:00:00Z").code, 3);
    assert_eq!(order("tomorrow").code, 2);
    good(&authority);
    let shown = order("2090-01-01T00:00:00Z").json();
    assert_eq!((&shown["state"], &shown["freeze"]["authority"]), (&"held".into(), &"穗城区人民法院".into()));
    held(&authority);
    let refused = authority.ca(&["--json", "resume", &serial]);
    assert!(refused.code == 5 && refused.err.contains("\"frozen\""), "{refused:?}");
    let text = authority.ca(&["show", &serial]).ok();
    assert!(text.contains("to 2090-01-01T00:00:00Z, by 穗城区人民法院: (2026)穗执1号"), "{text}");
    assert_eq!(authority.ca(&["resume", &serial, "--freeze"]).code, 2);
    authority.ca(&[&["resume", &serial, "--freeze"][..], &LIFT].concat()).ok();
    good(&authority);
    assert!(authority.ca(&["show", &serial]).ok().contains("order    "));
    // The service ends the next one by itself.
    let soon = run("date", &["-u", "-d", "+3 seconds", "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok();
    order(soon.trim()).json();
    assert!(ocsp(&authority).contains("a.pem: revoked"));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !ocsp(&authority).contains("a.pem: good") {
        assert!(std::time::Instant::now() < until, "the freeze does not end");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    good(&authority);
}

#[test]
fn an_enterprise_is_frozen_whole_and_nothing_is_issued_for_it() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    for name in ["a", "b", "c"] {
        authority.request(name, "/C=CN");
    }
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    authority.issue("b", "enterprise-signing", &ENTERPRISE);
    let words = ["--authority", "穗城区人民法院", "--reason", "(2026)穗执1号", "--until", "2090-01-01T00:00:00Z"];
    assert_eq!(authority.ca(&[&["freeze", &serial, "--code", ENTERPRISE[3]], &words[..]].concat()).code, 2);
    assert_eq!(authority.ca(&[&["freeze"], &words[..]].concat()).code, 2);
    let frozen = authority.ca(&[&["--json", "freeze", "--code", ENTERPRISE[3]], &words[..]].concat()).json();
    assert!(frozen["certificates"].as_array().unwrap().len() == 2 && frozen["freeze"]["authority"] == "穗城区人民法院", "{frozen}");
    held(&authority);
    let refused = authority.ca(&[&["--json", "issue", "enterprise-signing", "--request", "c.csr"], &ENTERPRISE[..]].concat());
    assert!(refused.code == 3 && refused.err.contains("enterprise-frozen") && refused.err.contains("2090-01-01"), "{refused:?}");
    // As durable as everything else; one certificate does not come out alone.
    authority.kill();
    authority.start();
    let ordering = || authority.ca(&[&["--json", "issue", "enterprise-signing", "--request", "c.csr"], &ENTERPRISE[..]].concat());
    assert_eq!(ordering().code, 3);
    let refused = authority.ca(&[&["--json", "resume", &serial, "--freeze"][..], &LIFT].concat());
    assert!(refused.code == 5 && refused.err.contains("enterprise-frozen"), "{refused:?}");
    let lifted = authority.ca(&[&["--json", "resume", "--code", ENTERPRISE[3]][..], &LIFT].concat()).json();
    assert_eq!(lifted["certificates"].as_array().unwrap().len(), 2);
    good(&authority);
    assert_eq!(ordering().code, 0);
    assert_eq!(authority.ca(&[&["--json", "resume", "--code", ENTERPRISE[3]][..], &LIFT].concat()).code, 5);
}
