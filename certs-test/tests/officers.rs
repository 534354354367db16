//! Officers with the built `ca`: identities made, certified and granted powers, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use certs_test::programs::{Authority, Said, free_port, openssl, run};

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

/// An authority that officers call, and at which port.
fn founded(place: &std::path::Path) -> (Authority, u16) {
    let port = free_port();
    (Authority::found_with(place, &["--officers-listen", &format!("127.0.0.1:{port}"), "--officers-host", "localhost"], Vec::new()), port)
}

fn denied(said: &Said, code: &str) {
    assert!(said.code == 8 && said.err.contains(&format!("\"code\":\"{code}\"")), "{code}: {said:?}");
}

/// What the handshake shows, as OpenSSL tells it, with a certificate of a key that OpenSSL made.
fn handshake(authority: &Authority, port: u16, certificate: &str, more: &[&str]) -> Said {
    let (file, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
    let connect = format!("localhost:{port}");
    let handshake = ["s_client", "-connect", &connect, "-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error", "-status", "-CAfile", "ca/root.pem", "-cert", &file, "-cert_chain", &file, "-key", &key];
    openssl(&[&handshake[..], more].concat(), &authority.home)
}

#[test]
fn officers_call_from_other_machines_each_within_their_power() {
    let place = tempfile::tempdir().unwrap();
    let (mut authority, port) = founded(place.path());
    authority.start();
    let (administrator, operator, auditor) = (enrol(&authority, "a", "A-1"), enrol(&authority, "b", "B-1"), enrol(&authority, "c", "C-1"));
    // One whose key OpenSSL made: no program of ours is needed.
    authority.request("d", "/CN=陈一");
    let plain = authority.issue("d", "officer", &["--officer", "陈一", "--number", "D-1"]);
    authority.request("e", "/C=CN");
    for (serial, power) in [(&operator, "operator"), (&auditor, "auditor"), (&plain, "auditor"), (&administrator, "administrator")] {
        authority.ca(&["officer", "grant", serial, power]).ok();
    }
    let url = format!("https://localhost:{port}");
    let (from, other) = (place.path().join("elsewhere"), place.path());
    std::fs::create_dir(&from).unwrap();
    // From another directory, so that nothing of the authority's own is at hand.
    let call = |who: &str, arguments: &[&str]| {
        let all: Vec<&str> = ["--json", "--server", &url, "--identity"].into_iter().chain([who]).chain(["--passphrase-file", "../pass"]).chain(arguments.iter().copied()).collect();
        run(certs_test::programs::program("ca"), &all, &from)
    };
    let issue = ["issue", "enterprise-signing", "--request", "../e.csr", "--name", "广州天河测试有限公司", "--code", "91440101MAT000018G", "--out", "e.pem"];
    let serial = call("../b", &issue).json()["serial"].as_str().unwrap().to_owned();
    openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", "elsewhere/e.pem"], other).ok();
    for who in ["../a", "../b", "../c"] {
        assert!(call(who, &["list", "--all", "--profile", "enterprise-signing"]).json().as_array().unwrap().len() == 1);
    }
    denied(&call("../a", &issue), "powerless");
    denied(&call("../c", &["revoke", &serial, "--reason", "superseded"]), "powerless");
    denied(&call("../b", &["officer", "grant", &plain, "operator"]), "powerless");
    denied(&authority.ca(&["--json", "revoke", &serial, "--reason", "superseded"]), "powerless");
    assert_eq!(call("../a", &["crl", "publish", "enterprise-ca"]).json()[0]["issuer"], "enterprise-ca");
    assert_eq!(call("../c", &["doctor"]).code, 0);
    let exported = call("../c", &["log", "export", "here"]);
    assert!(exported.code == 3 && exported.err.contains("local-only") && !from.join("here").exists(), "{exported:?}");
    assert_eq!(call("../b", &["revoke", &serial, "--reason", "superseded"]).json()[0]["state"], "revoked");
    // The log says who: the officer by certificate, and by nothing else.
    let vkey = authority.ca(&["--json", "log", "export", "export"]).json()["vkey"].as_str().unwrap().to_owned();
    authority.ca(&["log", "verify", "export", "--vkey", &vkey]).ok();
    let told = run("grep", &["-raoE", "officer:[0-9a-f]{32}|陈一|[ABC]-1", "export"], other).ok();
    assert!(told.contains(&format!("officer:{operator}")) && told.contains(&format!("officer:{administrator}")) && !told.contains('陈') && !told.contains("-1"), "{told}");
    // Withdrawn is refused at once; so is what is suspended, or shown by whom nobody knows.
    call("../a", &["officer", "withdraw", &operator, "operator"]).ok();
    denied(&call("../b", &["list"]), "no-powers");
    let last = call("../a", &["officer", "withdraw", &administrator, "--all"]);
    assert!(last.code == 3 && last.err.contains("last-administrator"), "{last:?}");
    // OpenSSL sees a good answer stapled to the listener's certificate, and curl calls with its own key.
    let shown = handshake(&authority, port, "d", &[]);
    assert!(shown.out.contains("OCSP Response Status: successful") && shown.out.contains("Cert Status: good") && shown.out.contains("Verify return code: 0 (ok)") && shown.out.contains("TLSv1.3"), "{shown:?}");
    let curl = |certificate: &str| {
        let (file, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
        let ask = ["-sS", "--cert-status", "--cacert", "ca/root.pem", "--cert", &file, "--key", &key, "-H", "content-type: application/json", "-d", "\"list-officers\"", &format!("{url}/v1/operation")];
        run("curl", &ask, other)
    };
    let listed = curl("d");
    assert!(listed.code == 0 && listed.out.contains(&administrator), "{listed:?}");
    // Another authority of the same names: its officers are nobody's here, and this one's server is nobody's to them.
    let second = tempfile::tempdir().unwrap();
    let foreign = Authority::found(second.path());
    foreign.request("f", "/CN=陈一");
    let serial = foreign.issue("f", "officer", &["--officer", "陈一", "--number", "A-1"]);
    foreign.ca(&["officer", "grant", &serial, "administrator"]).ok();
    for file in ["f.pem", "f.key"] {
        std::fs::copy(second.path().join(file), other.join(file)).unwrap();
    }
    let refused = curl("f");
    assert!(refused.code != 0 && !refused.out.contains(&administrator), "{refused:?}");
    // In TLS 1.3 the refusal comes after the handshake: it is waited for.
    let refused = handshake(&authority, port, "f", &["-ign_eof"]);
    assert!(refused.err.contains("alert") || refused.out.contains("alert"), "{refused:?}");
    // The service's own log tells of all who were refused, and of nobody's name.
    let served = std::fs::read_to_string(other.join("serve.log")).unwrap();
    for told in [format!("officer:{operator}"), "uid:".to_owned(), "grant-power".to_owned(), "no such power".to_owned(), "the TLS handshake failed".to_owned()] {
        assert!(served.lines().any(|line| line.contains("refused") && line.contains(&told)), "{told}: {served}");
    }
    assert!(!served.contains('陈') && !served.contains("A-1"), "{served}");
    // Nobody asks a server as nobody, and never silently the authority that is at hand.
    let alone = authority.ca(&["--json", "--server", &url, "list"]);
    assert!(alone.code == 2 && alone.err.contains("--identity"), "{alone:?}");
    let misplaced = call("../a", &["serve"]);
    assert!(misplaced.code == 2 && misplaced.err.contains("own machine"), "{misplaced:?}");
    // Suspended by an operator, an auditor is shut out at once.
    call("../a", &["officer", "grant", &operator, "operator"]).ok();
    call("../b", &["suspend", &auditor]).ok();
    denied(&call("../c", &["list"]), "officer-suspended");
    restarted(&mut authority, &call, port);
}

/// All of it is as durable as everything else, and the listener shows the same certificate; a key that is taken is told.
fn restarted(authority: &mut Authority, call: &dyn Fn(&str, &[&str]) -> Said, port: u16) {
    let serial = |said: &Said| said.out.lines().find(|line| line.contains("Serial Number:")).map(str::to_owned);
    let before = serial(&handshake(authority, port, "d", &[]));
    assert!(before.is_some());
    authority.kill();
    let unreachable = call("../b", &["list"]);
    assert!(unreachable.code == 6 && unreachable.err.contains("unreachable"), "{unreachable:?}");
    authority.start();
    let until = Instant::now() + Duration::from_secs(30);
    while call("../b", &["list"]).code != 0 {
        assert!(Instant::now() < until, "officers cannot call after a restart");
        std::thread::sleep(Duration::from_millis(100));
    }
    denied(&call("../c", &["list"]), "officer-suspended");
    assert_eq!(serial(&handshake(authority, port, "d", &[])), before);
    let wrong = call("../nobody", &["list"]);
    assert_eq!(wrong.code, 4, "{wrong:?}");
}

#[test]
fn with_two_administrators_a_power_and_a_large_bulk_act_take_another_officer() {
    let place = tempfile::tempdir().unwrap();
    let (mut authority, port) = founded(place.path());
    let rules = place.path().join("ca/policies/authority/approvals.toml");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, text.replace("above = 100", "above = 1")).unwrap();
    authority.start();
    let (first, second, operator, new) = (enrol(&authority, "a", "A-1"), enrol(&authority, "b", "A-2"), enrol(&authority, "c", "B-1"), enrol(&authority, "d", "B-2"));
    authority.request("e", "/C=CN");
    let holders = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
    let serials: Vec<String> = (0..2).map(|_| authority.issue("e", "enterprise-signing", &holders)).collect();
    std::fs::write(place.path().join("serials.txt"), serials.join("\n")).unwrap();
    authority.ca(&["officer", "grant", &operator, "operator"]).ok();
    authority.ca(&["officer", "grant", &first, "administrator"]).ok();
    let url = format!("https://localhost:{port}");
    let from = place.path().join("elsewhere");
    std::fs::create_dir(&from).unwrap();
    let call = |who: &str, arguments: &[&str]| {
        let all: Vec<&str> = ["--json", "--server", &url, "--identity"].into_iter().chain([who]).chain(["--passphrase-file", "../pass"]).chain(arguments.iter().copied()).collect();
        run(certs_test::programs::program("ca"), &all, &from)
    };
    // The second is granted by the first alone, and from then on it takes both.
    call("../a", &["officer", "grant", &second, "administrator"]).ok();
    let asked = call("../a", &["officer", "grant", &new, "operator"]).json();
    assert_eq!(asked["state"]["code"], "awaiting-approval", "{asked}");
    let id = asked["id"].as_str().unwrap();
    denied(&call("../d", &["list"]), "no-powers");
    let text = run(certs_test::programs::program("ca"), &["--server", &url, "--identity", "../b", "--passphrase-file", "../pass", "order", "show", id], &from).ok();
    assert!(text.starts_with(&format!("awaits approval: {id}")) && text.contains(&format!("the power operator is granted to the holder of certificate {new}")) && text.contains("陈一"), "{text}");
    assert_eq!(call("../b", &["order", "acts"]).json()[0]["id"], id);
    assert_eq!(call("../b", &["order", "approve", id]).code, 2, "nothing is signed unseen");
    denied(&call("../a", &["order", "approve", id, "--yes"]), "own-order");
    denied(&call("../c", &["order", "approve", id, "--yes"]), "powerless");
    let done = call("../b", &["order", "approve", id, "--yes"]).json();
    assert_eq!((&done["state"]["code"], &done["decisions"][0]["officer"]), (&"done".into(), &second.as_str().into()), "{done}");
    call("../d", &["list"]).ok();
    // In bulk: an operator approves the very list, and the service works it off.
    let bulk = ["bulk", "revoke", "--incident", "INC-1", "--reason", "superseded", "--file", "../serials.txt", "--execute"];
    let asked = call("../a", &bulk).json();
    let act = asked["id"].as_str().unwrap();
    assert_eq!(call("../a", &bulk).json()["id"], act);
    assert_eq!(call("../a", &["show", &serials[0]]).json()["state"], "good");
    assert_eq!(call("../c", &["order", "approve", act, "--yes"]).json()["state"]["code"], "done");
    let until = Instant::now() + Duration::from_secs(60);
    while serials.iter().any(|serial| call("../a", &["show", serial]).json()["state"] != "revoked") {
        assert!(Instant::now() < until, "what was approved is not worked off");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Both are proved offline; with a turned bit nothing is.
    let vkey = authority.ca(&["--json", "log", "export", &authority.path("exported")]).json()["vkey"].as_str().unwrap().to_owned();
    for (number, approver) in [(id, &second), (act, &operator)] {
        call("../c", &["order", "export", number, "--out", "proof.json"]).ok();
        let verify = |file: &str| authority.ca(&["--json", "order", "verify", file, "--root", "ca/root.pem", "--vkey", &vkey]);
        let proven = verify("elsewhere/proof.json").json();
        assert_eq!((&proven["state"], &proven["approved_by"][0]), (&"done".into(), &approver.as_str().into()), "{proven}");
        let mut turned = std::fs::read(from.join("proof.json")).unwrap();
        let middle = turned.len() / 2;
        turned[middle] ^= 1;
        std::fs::write(place.path().join("turned.json"), turned).unwrap();
        assert_eq!(verify("turned.json").code, 7);
    }
}

#[test]
fn a_listener_that_cannot_be_is_told_at_the_start() {
    let place = tempfile::tempdir().unwrap();
    let (authority, port) = founded(place.path());
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = authority.ca(&["serve"]);
    assert!(said.code == 6 && said.err.contains(&port.to_string()), "{said:?}");
    let path = authority.home.join("ca/ca.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("localhost", "*.example.cn")).unwrap();
    let said = authority.ca(&["serve"]);
    assert!(said.code != 0 && said.err.contains("host name"), "{said:?}");
}
