//! What people give `filing` by mistake, and others on purpose: directories, devices, binary, deep and endless files, dates that no
//! calendar has, certificates at its end. Each is told with what to do next, changes nothing, and ends no command in a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use certs_test::programs::{Said, openssl, program, run};

const CODE: &str = "91440101MAT000018G";
const ID: &str = "01JDPD6Z3SFM7T5K9V8R2Q4XNB";

/// Nothing that any command takes.
const FILES: [&str; 8] = ["directory", "empty", "binary", "deep", "sparse", "text", "broken.pem", "/dev/zero"];

fn files(home: &Path) {
    std::fs::create_dir(home.join("directory")).unwrap();
    let binary: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 256) as u8).collect();
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n";
    for (name, content) in [("empty", &b""[..]), ("binary", &binary), ("deep", &b"[".repeat(1 << 20)), ("text", "姓名,证件号码\n\u{202e}\u{0},1\n".as_bytes()), ("broken.pem", broken.as_bytes())] {
        std::fs::write(home.join(name), content).unwrap();
    }
    std::fs::File::create(home.join("sparse")).unwrap().set_len(64 << 20).unwrap();
    std::fs::write(home.join("pass"), "correct horse battery\n").unwrap();
    run("chmod", &["600", "pass"], home).ok();
}

/// Told: by one of the numbers that mean it, and as a problem that says what to do next.
fn is_told(said: &Said, what: &str) {
    assert!((2..=8).contains(&said.code) && !said.err.contains("panicked"), "{what}: {said:?}");
    let last = said.err.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{what}: {error}: {said:?}"));
    for member in ["code", "message", "next"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: {problem}");
    }
}

/// Every file of the directory with its content: what a command that refused leaves as it was.
fn listing(home: &Path) -> String {
    run("sh", &["-c", "find . -type f ! -name '*.lock' | LC_ALL=C sort | xargs -d '\\n' sha256sum"], home).ok()
}

#[test]
fn no_file_ends_a_command_in_a_panic_or_changes_anything() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    files(home);
    let filing = |arguments: &[&str]| run(program("filing"), &[arguments, &["--json"]].concat(), home);
    filing(&["key", "new", "--dir", "firm", "--name", "广州某某有限公司", "--passphrase-file", "pass"]).ok();
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key", "-subj", "/CN=root", "-days", "3650", "-out", "root.pem"], home).ok();
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]).ok();
    std::fs::write(home.join("filing.json"), format!("{{\"attachments\":[],\"filing_id\":\"00000000000000000000000001\",\"kind\":\"VAT_GENERAL\",\"payload\":{{}},\"period\":\"202610\",\"revision\":1,\"signer_role\":\"operator\",\"uscc\":\"{CODE}\"}}")).unwrap();
    let before = listing(home);
    let table = ["--kind", "si-staff-change", "--period", "202611", "--code", CODE];
    let away = ["--server", "https://127.0.0.1:1", "--wait", "0", "--passphrase-file", "pass"];
    // `@` stands for the file.
    let firm = ["--dir", "firm"];
    let commands: Vec<Vec<&str>> = vec![
        [&["new", "--from", "@", "--out", "out"], &table[..]].concat(),
        [&["check", "@"], &table[..]].concat(),
        vec!["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--revises", "@", "--out", "out"],
        vec!["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--policies", "@", "--out", "out"],
        vec!["check", "@"],
        vec!["sign", "@", "--passphrase-file", "pass"],
        vec!["sign", "vat.jsonc", "--certificate", "@", "--passphrase-file", "pass"],
        [&["submit", "@"], &away[..], &firm].concat(),
        [&["status", ID, "--anchor", "@", "--server", "https://127.0.0.1:1", "--wait", "0"], &firm[..]].concat(),
        [&["key", "new", "--name", "x", "--passphrase-file", "@"], &firm[..]].concat(),
        vec!["key", "new", "--dir", "other", "--name", "x", "--token-module", "@", "--token-label", "x"],
        [&["request", "--authority", "http://127.0.0.1:1", "--name", "x", "--code", CODE, "--evidence", "licence=@"], &firm[..]].concat(),
        [&["fetch", "--anchor", "@"], &firm[..]].concat(),
        [&["renew", "--authority", "http://127.0.0.1:1", "--passphrase-file", "pass", "--anchor", "@"], &firm[..]].concat(),
        [&["correct", "--name", "y", "--authority", "http://127.0.0.1:1", "--passphrase-file", "@"], &firm[..]].concat(),
        [&["mandate", "give", "--agent", "91440101MAT000026B", "--kind", "vat-general", "--until", "2036-12-31", "--certificate", "@"], &away[..]].concat(),
        [&["mandate", "list", "--certificate", "@"], &away[..]].concat(),
        [&["operator", "authorise", "--key-of", "@", "--name", "x", "--kind", "vat-general", "--until", "2036-12-31"], &away[..], &firm].concat(),
        [&["keep", ID, "--out", "kept", "--anchor", "@"], &firm[..]].concat(),
        vec!["receipt", "verify", "@", "--anchor", "root.pem"],
        vec!["verify", "@", "--signature", "@", "--anchor", "@"],
        vec!["verify", "vat.jsonc", "--signature", "@", "--anchor", "root.pem", "--crl", "@"],
        vec!["verify", "filing.json", "--signature", "filing.json", "--anchor", "root.pem", "--policies", "@"],
        vec!["verify", "filing.json", "--signature", "filing.json", "--anchor", "root.pem", "--registry", "@"],
        vec!["verify", "filing.json", "--signature", "filing.json", "--anchor", "root.pem", "--staff", "@"],
        vec!["verify", "filing.json", "--signature", "filing.json", "--anchor", "root.pem", "--word", "@"],
        vec!["verify", "filing.json", "--signature", "filing.json", "--anchor", "root.pem", "--earlier", "@"],
        vec!["desk", "--desk-dir", "@", "--desk-passphrase-file", "pass", "doctor"],
        vec!["desk", "--desk-dir", "desk", "--desk-passphrase-file", "pass", "init", "--host", "x", "--base-url", "https://x", "--root", "@", "--timestamp", "http://x"],
        vec!["desk", "log", "verify", "@", "--vkey", "x+1a2b3c4d+AbC"],
    ];
    for command in &commands {
        for file in FILES {
            let arguments: Vec<String> = command.iter().map(|word| word.replace('@', file)).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            // Bytes that are no signature are a verdict, not a mistake of whoever asks.
            let said = filing(&arguments);
            if command[0] == "verify" && !said.out.is_empty() {
                assert!([3, 7].contains(&said.code) && said.err.is_empty(), "{arguments:?}: {said:?}");
                continue;
            }
            is_told(&said, &arguments.join(" "));
        }
    }
    // A file that is one may be attached whatever is in it; no directory and no device may.
    for file in ["directory", "/dev/zero", "/dev/null", "none"] {
        is_told(&filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--attach", file, "--out", "out"]), file);
    }
    // A file that is called by octets that are no text, with a word too many.
    let called = std::process::Command::new(program("filing")).args([OsStr::new("check"), OsStr::from_bytes(b"\xc9\xea\xb1\xa8.jsonc"), OsStr::new("--nothing")]).current_dir(home).output().unwrap();
    let told = String::from_utf8_lossy(&called.stderr).into_owned();
    assert!(called.status.code() == Some(2) && !told.contains("panicked"), "{told}");
    assert_eq!(listing(home), before);
}

#[test]
fn no_word_that_makes_no_sense_ends_a_command_in_a_panic() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    files(home);
    let filing = |arguments: &[&str]| run(program("filing"), &[arguments, &["--json"]].concat(), home);
    let long = "9".repeat(100_000);
    let nonsense = ["", " ", "0", "-1", "000000", "202613", "20261", "999999", "2026-02-30", "+12026-01-01", "二〇二六", "２０２６１０", "\u{202e}", "99999999999999999999", &long];
    for word in nonsense {
        let joined = |name: &str| format!("{name}={word}");
        let commands: Vec<Vec<String>> = [
            &["new", "--code", CODE, "--kind", "vat-general", &joined("--period"), "--out", "out"][..],
            &["new", "--code", CODE, "--period", "202610", &joined("--kind"), "--out", "out"],
            &["new", "--period", "202610", "--kind", "vat-general", &joined("--code"), "--out", "out"],
            &["new", "--code", CODE, "--kind", "si-wage-base", "--period", "2026", "--from", "text", &joined("--set"), "--out", "out"],
            &["check", "text", "--code", CODE, "--kind", "si-staff-change", &joined("--period")],
            &["mandate", "give", "--agent", CODE, "--kind", "vat-general", &joined("--until"), "--server", "https://127.0.0.1:1", "--wait", "0"],
            &["mandate", "show", &joined("--wait"), ID, "--server", "https://127.0.0.1:1"],
            &["status", &joined("--server"), ID, "--wait", "0"],
            &["keep", &joined("--operator"), ID, "--out", "kept"],
            &["verify", "text", "--signature", "text", "--anchor", "root.pem", &joined("--at")],
            &["verify", "text", "--signature", "text", "--anchor", "root.pem", &joined("--caller")],
            &["verify", "text", "--signature", "text", "--anchor", "root.pem", &joined("--certificate-policy")],
            &["receipt", "verify", "text", "--log", "directory", &joined("--log-key")],
            &["desk", "--desk-dir", "desk", "processed", ID, &joined("--amount-due")],
            &["desk", "--desk-dir", "desk", "list", &joined("--limit"), CODE],
        ]
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        .into();
        for command in &commands {
            let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
            is_told(&filing(&arguments), &arguments.join(" ").chars().take(300).collect::<String>());
        }
    }
    assert!(!home.join("out").exists() && !home.join("kept").exists() && !home.join("filing-state").exists());
}

/// The last seconds of the calendar, which the city's time has not: RFC 5280's certificates that never end. spec: rfc5280#4.1.2.5
#[test]
fn certificates_at_the_calendars_end_are_read() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    files(home);
    let configuration = "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nserial=number\ndefault_md=sha256\npolicy=p\nx509_extensions=e\nunique_subject=no\n[p]\ncommonName=optional\n[e]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";
    for (name, text) in [("openssl.cnf", configuration), ("index", ""), ("number", "01\n")] {
        std::fs::write(home.join(name), text).unwrap();
    }
    openssl(&["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-subj", "/CN=x", "-out", "csr.pem"], home).ok();
    let filing = |arguments: &[&str]| run(program("filing"), arguments, home);
    filing(&["key", "new", "--dir", "firm", "--name", "x", "--passphrase-file", "pass"]).ok();
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]).ok();
    for (begins, ends) in [("20200101000000Z", "99991231235959Z"), ("99991231200000Z", "99991231235959Z"), ("00000101000000Z", "00000101000001Z")] {
        let said = openssl(&["ca", "-config", "openssl.cnf", "-batch", "-selfsign", "-keyfile", "key.pem", "-in", "csr.pem", "-startdate", begins, "-enddate", ends, "-notext", "-out", "firm/certificate.pem"], home);
        if said.code != 0 {
            // What OpenSSL does not write is nobody's certificate.
            assert!(begins.starts_with("0000"), "{said:?}");
            continue;
        }
        // Each command looks first whether the certificate ends soon.
        assert!(!filing(&["list", "--dir", "firm"]).err.contains("panicked"));
        filing(&["check", "vat.jsonc", "--dir", "firm"]).ok();
        for command in [vec!["sign", "vat.jsonc"], vec!["renew", "--authority", "http://127.0.0.1:1"], vec!["correct", "--name", "y", "--authority", "http://127.0.0.1:1"]] {
            is_told(&filing(&[&command[..], &["--dir", "firm", "--passphrase-file", "pass", "--json"]].concat()), begins);
        }
    }
    // And judged as of such a moment.
    for at in ["9999-12-31T23:59:59-12:00", "0000-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"] {
        let said = filing(&["verify", "vat.jsonc", "--signature", "csr.pem", "--anchor", "firm/certificate.pem", "--at", at, "--json"]);
        assert_eq!(said.code, 2, "{said:?}");
        is_told(&said, at);
    }
}
