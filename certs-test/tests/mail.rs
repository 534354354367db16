//! Mail comes in and is read by the programs people have: smtplib, curl, imaplib, aioimaplib, mutt, mbsync, OpenSSL, GnuTLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};

use certs_test::office::{HOST, Office};
use certs_test::programs::{Said, openssl, oracle, run};

fn judge(office: &Office, script: &str, ports: &[u16]) {
    let script = format!("{}/oracles/{script}.py", env!("CARGO_MANIFEST_DIR"));
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let (script, home) = (script.as_str(), office.path(""));
    let arguments: Vec<&str> = [script, home.as_str()].into_iter().chain(ports.iter().map(String::as_str)).collect();
    let said = run(oracle("python"), &arguments, &office.home);
    assert_eq!(said.code, 0, "judged before: {}\n{}", said.out, said.err);
}

#[test]
fn programs_that_people_have() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 6);
    let (smtp, imap, imaps) = (office.smtp, office.imap, office.imaps);
    judge(&office, "smtp_client", &[smtp, imaps]);
    judge(&office, "imap_client", &[smtp, imap, imaps]);
    judge(&office, "imap_newer", &[imaps]);
    judge(&office, "asyncio_client", &[smtp, imaps]);
    judge(&office, "mail_programs", &[smtp, imaps]);
    other_tls(&office);
    another_certificate(&office);
}

/// MESSAGES says how many.
#[test]
fn a_large_mailbox_is_fetched_whole_by_a_program_that_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 6);
    let count = std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    judge(&office, "mbsync_killed", &[office.imaps, count]);
}

/// `openssl s_client` on a port; `protocol` begins in the clear.
fn connected(office: &Office, port: u16, protocol: Option<&str>, name: &str) -> Said {
    let to = format!("localhost:{port}");
    let mut arguments = vec!["s_client", "-connect", &to, "-CAfile", "ca/root.pem", "-verify_return_error", "-verify_hostname", name];
    arguments.extend(protocol.iter().flat_map(|protocol| ["-starttls", protocol]));
    openssl(&arguments, &office.home)
}

fn other_tls(office: &Office) {
    let doors = [(office.smtp, Some("smtp")), (office.imap, Some("imap")), (office.imaps, None)];
    for (port, protocol) in doors {
        for name in ["localhost", HOST] {
            let said = connected(office, port, protocol, name);
            assert!(said.code == 0 && said.out.contains("Verify return code: 0 (ok)") && said.out.contains("TLSv1.3"), "{protocol:?} {said:?}");
        }
        assert_ne!(connected(office, port, protocol, "elsewhere.example").code, 0);
        let port = port.to_string();
        let mut arguments = vec!["--x509cafile=ca/root.pem", "-p", &port, "localhost"];
        let starttls = protocol.map(|protocol| format!("--starttls-proto={protocol}"));
        arguments.extend(starttls.as_deref());
        let said = run("gnutls-cli", &arguments, &office.home);
        assert!(said.out.contains("The certificate is trusted"), "{protocol:?} {said:?}");
        for old in ["-tls1", "-tls1_1"] {
            let mut arguments = vec!["s_client", old, "-cipher", "ALL:@SECLEVEL=0", "-connect"];
            let to = format!("localhost:{port}");
            arguments.push(&to);
            arguments.extend(protocol.iter().flat_map(|protocol| ["-starttls", protocol]));
            assert_ne!(openssl(&arguments, &office.home).code, 0, "{old} {protocol:?}");
        }
    }
}

/// A new certificate is served on the next connection, without a restart, and connections that stand go on.
fn another_certificate(office: &Office) {
    let serial = |port, protocol| {
        let said = connected(office, port, protocol, "localhost").ok();
        std::fs::write(office.home.join("served.pem"), said).unwrap();
        openssl(&["x509", "-in", "served.pem", "-noout", "-serial"], &office.home).ok().trim().replace("serial=", "").to_ascii_lowercase()
    };
    let doors = [(office.smtp, Some("smtp")), (office.imap, Some("imap")), (office.imaps, None)];
    let before = serial(office.imaps, None);
    let mut standing = std::net::TcpStream::connect(("127.0.0.1", office.imap)).unwrap();
    office.mailgw(&["tls", "request", "--name", "localhost", "--out", "next.csr"]).ok();
    // A chain that is not for this host or not of its key changes nothing.
    office.authority.request("foreign", "/C=CN");
    office.authority.issue("foreign", "tls-server", &["--dns", "localhost"]);
    let other_host = office.mailgw(&["--json", "tls", "install", "foreign.pem"]);
    assert!(other_host.code == 3 && other_host.err.contains("other hosts"), "{other_host:?}");
    // Another key: one key stands for one host's name.
    office.authority.request("foreign", "/C=CN");
    office.authority.issue("foreign", "tls-server", &["--dns", HOST]);
    let other_key = office.mailgw(&["--json", "tls", "install", "foreign.pem"]);
    assert!(other_key.code == 3 && other_key.err.contains("no key made here"), "{other_key:?}");
    assert_eq!(office.mailgw(&["--json", "tls", "install", "next.csr"]).code, 2);
    assert_eq!(serial(office.imaps, None), before);
    let after = office.authority.issue("next", "tls-server", &["--dns", HOST, "--dns", "localhost", "--ip", "127.0.0.1"]);
    office.mailgw(&["tls", "install", "next.pem"]).ok();
    for (port, protocol) in doors {
        assert_eq!(serial(port, protocol), after.to_ascii_lowercase(), "{protocol:?}");
    }
    standing.write_all(b"a NOOP\r\na LOGOUT\r\n").unwrap();
    let mut said = String::new();
    standing.read_to_string(&mut said).unwrap();
    assert!(said.contains("a OK"), "{said}");
}
