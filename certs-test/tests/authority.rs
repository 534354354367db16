//! The built `ca`, used as an administrator would and judged by software that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, free_port, openssl, oracle, run};

const ENTERPRISE: [&str; 6] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G", "--mailbox", "1234567890@mail.example.cn"];
const BUREAU: [&str; 6] = ["--name", "广州住房公积金管理中心", "--code", "12440100000000123A", "--mailbox", "gjj@mail.example.cn"];

fn ocsp(authority: &Authority, issuer: &str, more: &[&str]) -> String {
    let (issuer, url) = (format!("ca/{issuer}.pem"), format!("{}/ocsp", authority.url));
    let mut arguments = vec!["ocsp", "-issuer", &issuer, "-CAfile", "ca/root.pem", "-verify_other", &issuer, "-url", &url];
    arguments.extend(more);
    let said = openssl(&arguments, &authority.home);
    let both = said.out.clone() + &said.err;
    assert!(both.contains("Response verify OK"), "{both}");
    both
}

/// The lists of the root and of `issuer`, as one PEM file.
fn fetch_lists(authority: &Authority, issuer: &str) -> String {
    let mut all = String::new();
    for id in ["root", issuer] {
        let file = format!("{id}.crl");
        run("curl", &["-sf", "-o", &file, &format!("{}/crl/{id}.crl", authority.url)], &authority.home).ok();
        all += &openssl(&["crl", "-inform", "DER", "-in", &file], &authority.home).ok();
    }
    let name = format!("{issuer}-lists.pem");
    std::fs::write(authority.home.join(&name), all).unwrap();
    name
}

#[test]
fn openssl_gnutls_and_python_accept_what_is_issued() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    let profiles: [(&str, &str, &str, &[&str]); 5] = [
        ("enterprise-signing", "enterprise-ca", "/C=CN/O=广州天河测试有限公司", &ENTERPRISE),
        ("bureau-seal", "officer-ca", "/C=CN", &BUREAU),
        ("bureau-client", "officer-ca", "/C=CN", &BUREAU[..4]),
        ("officer", "officer-ca", "/CN=陈一", &["--officer", "陈一", "--number", "GZ-0001"]),
        ("tls-server", "tls-ca", "/C=CN", &["--dns", "mail.example.cn", "--ip", "127.0.0.1"]),
    ];
    for (profile, issuer, subject, applicant) in profiles {
        authority.request(profile, subject);
        authority.issue(profile, profile, applicant);
        let (chain, lists, issuing) = (format!("{profile}.pem"), fetch_lists(&authority, issuer), format!("ca/{issuer}.pem"));
        openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", &lists, "-CAfile", "ca/root.pem", "-untrusted", &issuing, &chain], &authority.home).ok();
        for extra in [&["-no_nonce"][..], &["-nonce"], &["-sha256", "-no_nonce"]] {
            let more: Vec<&str> = extra.iter().copied().filter(|flag| *flag == "-sha256").chain(["-cert", &chain]).chain(extra.iter().copied().filter(|flag| *flag != "-sha256")).collect();
            assert!(ocsp(&authority, issuer, &more).contains(": good"), "{profile} {extra:?}");
        }
        let asked = run("ocsptool", &[&format!("--ask={}/ocsp", authority.url), "--load-cert", &chain, "--load-issuer", &issuing, "--load-trust", &issuing], &authority.home);
        assert!(asked.out.contains("Verifying OCSP Response: Success"), "{profile}: {asked:?}");
    }
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/chain.py");
    run(oracle("python"), &[judge, "ca/root.pem", "tls-server.pem", "server", "mail.example.cn"], &authority.home).ok();
    run(oracle("python"), &[judge, "ca/root.pem", "enterprise-signing.pem", "client"], &authority.home).ok();
}

#[test]
fn a_revocation_shows_within_a_second_and_for_ever() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    assert!(ocsp(&authority, "enterprise-ca", &["-cert", "a.pem", "-no_nonce"]).contains("a.pem: good"));
    // The same question by GET, as caches and browsers ask it.
    openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-cert", "a.pem", "-no_nonce", "-reqout", "ask.der"], &authority.home).ok();
    let text = openssl(&["base64", "-A", "-in", "ask.der"], &authority.home).ok().replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let head = run("curl", &["-sf", "-D", "-", "-o", "answer.der", &format!("{}/ocsp/{text}", authority.url)], &authority.home).ok().to_ascii_lowercase();
    assert!(head.contains("content-type: application/ocsp-response") && head.contains("max-age=300"), "{head}");
    let read = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-verify_other", "ca/enterprise-ca.pem", "-cert", "a.pem", "-no_nonce", "-respin", "answer.der"], &authority.home);
    assert!(read.out.contains("a.pem: good") && read.err.contains("Response verify OK"), "{read:?}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    let asked = |url: &str, more: &[&str]| {
        let mut arguments = vec!["-s", "-o", "asked.der", "-w", "%{http_code}", url];
        arguments.extend(more);
        (run("curl", &arguments, &authority.home).ok(), std::fs::read(authority.home.join("asked.der")).unwrap_or_default())
    };
    let known = format!("If-None-Match: \"x\", W/{tag}");
    assert_eq!(asked(&format!("{}/ocsp/{text}", authority.url), &["-H", &known]).0, "304");
    assert_eq!(asked(&format!("{}/crl/root.crl", authority.url), &["-H", "If-None-Match: \"1\""]).0, "304");
    for broken in ["AAAA", "%ff%fe", "=", "x"] {
        assert_eq!(asked(&format!("{}/ocsp/{broken}", authority.url), &[]), ("200".into(), vec![0x30, 3, 10, 1, 1]), "{broken}");
    }
    std::fs::write(authority.home.join("long"), [0x30; 5_000]).unwrap();
    let long = ["--data-binary", "@long", "-H", "Content-Type: application/ocsp-request"];
    assert_eq!(asked(&format!("{}/ocsp", authority.url), &long).0, "413");
    // Two questions at once are answered at once; nobody is answered for another authority's certificates.
    authority.request("b", "/C=CN");
    authority.issue("b", "enterprise-signing", &ENTERPRISE[..4]);
    let both = ocsp(&authority, "enterprise-ca", &["-cert", "a.pem", "-cert", "b.pem"]);
    assert!(both.contains("a.pem: good") && both.contains("b.pem: good"), "{both}");
    // How far back the responder's knowledge reaches: to the issuer's first day.
    let told = openssl(&["ocsp", "-CAfile", "ca/root.pem", "-url", &format!("{}/ocsp", authority.url), "-issuer", "ca/enterprise-ca.pem", "-cert", "a.pem", "-no_nonce", "-resp_text"], &authority.home);
    let began = openssl(&["x509", "-in", "ca/enterprise-ca.pem", "-noout", "-startdate"], &authority.home).ok();
    let began = began.trim().trim_start_matches("notBefore=").to_owned();
    assert!(told.out.contains(&format!("OCSP Archive Cutoff: \n                {began}")), "{told:?} {began}");
    let url = format!("{}/ocsp", authority.url);
    for others in [&["-issuer", "ca/enterprise-ca.pem", "-cert", "a.pem", "-issuer", "ca/tls-ca.pem", "-cert", "b.pem"][..], &["-issuer", "ca/root.pem", "-cert", "a.pem"]] {
        let refused = openssl(&[&["ocsp", "-CAfile", "ca/root.pem", "-url", &url], others].concat(), &authority.home);
        // spec: rfc6960#2.3 (unauthorized)
        assert!((refused.out.clone() + &refused.err).contains("unauthorized (6)"), "{refused:?}");
    }
    authority.ca(&["revoke", &serial, "--reason", "key-compromise"]).ok();
    let after = ocsp(&authority, "enterprise-ca", &["-cert", "a.pem", "-no_nonce"]);
    assert!(after.contains("a.pem: revoked") && after.contains("Reason: keyCompromise"), "{after}");
    let never = ocsp(&authority, "enterprise-ca", &["-serial", "0x40000000000000000000000000000001", "-no_nonce"]);
    assert!(never.contains(": unknown"), "{never}");
    authority.ca(&["crl", "publish", "enterprise-ca"]).ok();
    let lists = fetch_lists(&authority, "enterprise-ca");
    let said = openssl(&["verify", "-crl_check_all", "-CRLfile", &lists, "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", "a.pem"], &authority.home);
    assert!(said.code != 0 && said.err.contains("certificate revoked"), "{said:?}");
    authority.kill();
    authority.start();
    assert!(ocsp(&authority, "enterprise-ca", &["-cert", "a.pem", "-no_nonce"]).contains("a.pem: revoked"));
    assert_eq!(authority.ca(&["revoke", &serial, "--reason", "superseded"]).code, 5);
    let again = authority.ca(&["--json", "issue", "enterprise-signing", "--request", "a.csr", "--name", "x", "--code", "91440101MAT000018G"]);
    assert!(again.code == 3 && again.err.contains("blocked-key"), "{again:?}");
}

#[test]
fn the_roots_list_goes_by_way_of_the_roots_key() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    // The root's keys leave the machine; the authority does not miss them.
    std::fs::rename(authority.home.join("ca/root-keys"), authority.home.join("away")).unwrap();
    authority.start();
    let listed = authority.ca(&["--json", "list"]).json();
    let issuing = listed.as_array().unwrap().iter().find(|one| one["name"] == "穗印政务证书签发机构" && one["issuer"] == "root").unwrap();
    authority.ca(&["revoke", issuing["serial"].as_str().unwrap(), "--reason", "cessation-of-operation"]).ok();
    assert_eq!(authority.ca(&["crl", "publish", "root"]).code, 3);
    let prepared = |out: &str| authority.ca(&["--json", "crl", "root", "prepare", "--present", "甲", "--present", "乙", "--out", out]).json();
    let (old, next) = (prepared("old"), prepared("next"));
    assert_eq!((&old["number"], &next["number"], &next["entries"]), (&2.into(), &3.into(), &1.into()));
    // Where something stands no number is taken.
    assert_ne!(authority.ca(&["crl", "root", "prepare", "--out", "next"]).code, 0);
    let sign = |of: &serde_json::Value, keys: &str, out: &str| authority.sign_root_list(of, &["--root-keys", keys, "--root-passphrase-file", "pass"], out);
    // Only the list that was reviewed is signed, and only under the root's key; only the one prepared last is published.
    std::fs::rename(authority.home.join("old/root-crl.tbs"), authority.home.join("kept")).unwrap();
    for wrong in ["ca/root.pem", "next/root-crl.tbs"] {
        std::fs::copy(authority.home.join(wrong), authority.home.join("old/root-crl.tbs")).unwrap();
        assert_eq!(sign(&old, "away", "refused").code, 3, "{wrong}");
    }
    std::fs::rename(authority.home.join("kept"), authority.home.join("old/root-crl.tbs")).unwrap();
    assert_ne!(sign(&next, "ca/keys", "refused").code, 0);
    sign(&old, "away", "signed-old").ok();
    assert_eq!(authority.ca(&["crl", "root", "publish", "signed-old/root.crl"]).code, 5);
    sign(&next, "away", "signed").ok();
    run(certs_test::programs::program("ca"), &["ceremony", "verify", "signed", "--root", "ca/root.pem"], &authority.home).ok();
    let published = authority.ca(&["--json", "crl", "root", "publish", "signed/root.crl"]).json();
    assert_eq!((&published[0]["issuer"], &published[0]["entries"]), (&"root".into(), &1.into()));
    assert_eq!(authority.ca(&["crl", "root", "publish", "signed/root.crl"]).code, 5);
    authority.request("a", "/C=CN");
    assert_eq!(authority.ca(&["issue", "officer", "--request", "a.csr", "--officer", "陈一", "--number", "1"]).code, 3);
    authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let lists = fetch_lists(&authority, "enterprise-ca");
    let verify = |file: &str| openssl(&["verify", "-crl_check_all", "-CRLfile", &lists, "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", file], &authority.home);
    verify("a.pem").ok();
    let refused = verify("ca/officer-ca.pem");
    assert!(refused.code != 0 && refused.err.contains("certificate revoked"), "{refused:?}");
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let home = authority.home.clone();
    authority.request("good", "/C=CN");
    let write = |name: &str, bytes: &[u8]| std::fs::write(home.join(name), bytes).unwrap();
    let good = std::fs::read_to_string(home.join("good.csr")).unwrap();
    write("cut.csr", &good.as_bytes()[..good.len() / 2]);
    write("large.csr", &vec![b'A'; 1 << 20]);
    write("label.csr", good.replace("CERTIFICATE REQUEST", "CERTIFICATE").as_bytes());
    openssl(&["req", "-in", "good.csr", "-outform", "DER", "-out", "der.csr"], &home).ok();
    let mut der = std::fs::read(home.join("der.csr")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    write("forged.csr", &der);
    let made: [(&str, &[&str]); 5] = [
        ("rsa1024", &["-newkey", "rsa:1024"]),
        ("exponent3", &["-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]),
        ("p521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("ca", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext", "basicConstraints=critical,CA:TRUE"]),
        ("san", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext", "subjectAltName=DNS:bank.example"]),
    ];
    for (name, how) in made {
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let mut arguments = vec!["req", "-new", "-nodes", "-subj", "/C=CN", "-keyout", &key, "-out", &csr];
        arguments.extend(how);
        openssl(&arguments, &home).ok();
    }
    authority.request("foreign", "/C=CN/O=another company");
    authority.start();
    // What the service makes for itself at its first start is not what bad input changes.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while authority.ca(&["--json", "list", "--profile", "timestamp"]).json().as_array().is_none_or(Vec::is_empty) {
        assert!(std::time::Instant::now() < until, "no timestamp signer");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let before = authority.ca(&["--json", "list"]).json();
    let refused = |request: &str, profile: &str, code: &str, exit: i32, contains: &str| {
        let said = authority.ca(&["--json", "issue", profile, "--request", request, "--name", "广州天河测试有限公司", "--code", code]);
        assert_eq!(said.code, exit, "{request} {profile} {code}: {said:?}");
        let problem: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert!(said.err.contains(contains), "{request}: {problem}");
        assert!(!problem["next"].as_str().unwrap().is_empty(), "{problem}");
    };
    let right = "91440101MAT000018G";
    for (request, contains) in [("cut.csr", "request"), ("large.csr", "16384"), ("label.csr", "request"), ("forged.csr", "request"), ("rsa1024.csr", "has 1024 bits"), ("exponent3.csr", "exponent"), ("p521.csr", "weak-key"), ("ca.csr", "asks-for-ca"), ("san.csr", "foreign"), ("foreign.csr", "foreign")] {
        refused(request, "enterprise-signing", right, 3, contains);
    }
    refused("good.csr", "enterprise-signing", "91440101MAT0000157", 3, "credit-code");
    refused("good.csr", "no-such-profile", right, 4, "unknown-profile");
    refused("no-such-file", "enterprise-signing", right, 2, "request-file");
    assert_eq!(authority.ca(&["--json", "list"]).json(), before);
    assert_eq!(authority.ca(&["show", "zz"]).code, 2);
    assert_eq!(authority.ca(&["show", "40000000000000000000000000000001"]).code, 4);
}

#[test]
fn wrong_places_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let init = |directory: &str, url: &str| authority.ca(&["init", "--base-url", url, "--root-passphrase-file", "pass", "--dir", directory]);
    assert_eq!(init("ca", "http://127.0.0.1:1").code, 5);
    std::fs::write(authority.home.join("file"), "x").unwrap();
    assert_ne!(init("file", "http://127.0.0.1:1").code, 0);
    assert_eq!(init("new", "ftp://x/y z").code, 2);
    assert!(!authority.home.join("new").exists());
    let other = authority.ca(&["serve", "--base-url", &format!("http://127.0.0.1:{}", free_port())]);
    assert!(other.code == 2 && other.err.contains("founded as"), "{other:?}");
    std::fs::copy(authority.home.join("pass"), authority.home.join("wrong")).unwrap();
    std::fs::write(authority.home.join("wrong"), "wrong horse battery\n").unwrap();
    let wrong = run(certs_test::programs::program("ca"), &["--dir", "ca", "--passphrase-file", "wrong", "list"], &authority.home);
    assert_eq!(wrong.code, 8, "{wrong:?}");
    authority.start();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let second = authority.ca(&["serve", "--listen", &occupied.local_addr().unwrap().to_string()]);
    assert_eq!(second.code, 6, "a second server over one directory: {second:?}");
    authority.kill();
    let third = authority.ca(&["serve", "--listen", &occupied.local_addr().unwrap().to_string()]);
    assert!(third.code == 6 && third.err.contains("listens on"), "{third:?}");
}

#[test]
fn the_log_is_proved_offline_by_two_programs() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::found(place.path());
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    let vkey = exported["vkey"].as_str().unwrap();
    let verified = authority.ca(&["--json", "log", "verify", "export", "--vkey", vkey]).json();
    assert_eq!(verified["entries"], exported["entries"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/verify_log.py");
    run(oracle("python"), &[script, "export", vkey], &authority.home).ok();
    let checkpoint = authority.home.join("export/checkpoint");
    let text = std::fs::read_to_string(&checkpoint).unwrap();
    let size = text.lines().nth(1).unwrap().to_owned();
    std::fs::write(&checkpoint, text.replacen(&format!("\n{size}\n"), "\n1\n", 1)).unwrap();
    assert_eq!(authority.ca(&["log", "verify", "export", "--vkey", vkey]).code, 7);
}
