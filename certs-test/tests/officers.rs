//! Officers with the built `ca`: identities made, certified and granted powers, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, openssl};

/// An identity in `NAME/`, its certificate in `NAME.pem` installed; tells the serial.
fn enrol(authority: &Authority, name: &str, number: &str) -> String {
    authority.ca(&["officer", "identity", "new", name, "--name", "陈一", "--number", number]).ok();
    let out = format!("{name}.pem");
    let issued = authority.ca(&["--json", "issue", "officer", "--request", &format!("{name}/officer.csr"), "--officer", "陈一", "--number", number, "--out", &out]);
    let serial = issued.json()["serial"].as_str().unwrap().to_owned();
    authority.ca(&["officer", "identity", "install", name, &out, "--root", "ca/root.pem"]).ok();
    serial
}

#[test]
fn an_identity_is_made_sealed_and_takes_its_own_certificate_only() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::found(place.path());
    let serial = enrol(&authority, "me", "A-1");
    let listed: Vec<_> = std::fs::read_dir(place.path().join("me")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in &listed {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
        assert!(!std::fs::read_to_string(path).unwrap().contains("PRIVATE KEY"), "{path:?}");
    }
    assert_eq!(listed.len(), 5, "{listed:?}");
    let shown = openssl(&["req", "-in", "me/officer.csr", "-noout", "-verify", "-subject", "-nameopt", "utf8"], place.path());
    assert!(shown.out.contains("serialNumber") && shown.out.contains("A-1"), "{shown:?}");
    openssl(&["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca/root.pem", "-untrusted", "ca/officer-ca.pem", "me/officer.pem"], place.path()).ok();
    // Another's certificate, another profile's, another root, and a second store are refused, and nothing is changed.
    let before = std::fs::read(place.path().join("me/officer.pem")).unwrap();
    enrol(&authority, "other", "A-2");
    authority.request("bureau", "/C=CN");
    authority.issue("bureau", "tls-server", &["--dns", "a.example.cn"]);
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=root", "-keyout", "r.key", "-out", "r.pem"], place.path()).ok();
    let install = |file: &str, more: &[&str]| authority.ca(&[&["--json", "officer", "identity", "install", "me", file], more].concat());
    for (said, code) in [
        (install("other.pem", &[]), "other-key"),
        (install("bureau.pem", &[]), "other-key"),
        (install("me.pem", &["--root", "r.pem"]), "root"),
        (install("nowhere.pem", &[]), "certificate-file"),
        (install("pass", &[]), "certificate-file"),
        (authority.ca(&["--json", "officer", "identity", "new", "me", "--name", "陈一", "--number", "A-1"]), "keys"),
        (authority.ca(&["--json", "officer", "identity", "new", "you", "--name", "陈一", "--number", "44 01"]), "applicant"),
    ] {
        assert!(said.code != 0 && said.err.contains(&format!("\"code\":\"{code}\"")), "{code}: {said:?}");
        assert!(!said.err.contains("陈一"), "{said:?}");
    }
    assert_eq!(std::fs::read(place.path().join("me/officer.pem")).unwrap(), before);
    assert!(!place.path().join("you").exists());
    // Powers, from the command that opens the store itself.
    let granted = authority.ca(&["--json", "officer", "grant", &serial, "administrator"]).json();
    assert_eq!((&granted["powers"][0], &granted["serial"]), (&"administrator".into(), &serial.as_str().into()));
    let list = authority.ca(&["officer", "list"]).ok();
    assert!(list.contains(&serial) && list.contains("administrator"), "{list}");
    let refused = authority.ca(&["--json", "officer", "withdraw", &serial, "--all"]);
    assert!(refused.code == 8 && refused.err.contains("powerless"), "{refused:?}");
    assert_eq!(authority.ca(&["revoke", &serial, "--reason", "superseded"]).code, 8);
    assert_eq!(authority.ca(&["officer", "grant", &serial, "root"]).code, 2);
}
