//! Who logs in to the built gateway and how: app passwords, SCRAM, certificates; POP3; and the settings mail programs find. Judged by
//! imaplib, smtplib, poplib, curl and OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{DOMAIN, HOST, Office};
use certs_test::programs::{free_port, openssl, oracle, program, run};
use serde_json::{Value, json};

/// The office's gateway started anew, with what it does not offer as it is founded.
fn open(place: &std::path::Path) -> (Office, Value) {
    let mut office = Office::open(place, 3);
    let (pop3, pop3s, autoconfig) = (free_port(), free_port(), free_port());
    office.kill_gateway();
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    let more = format!("[listen]\npop3 = \"127.0.0.1:{pop3}\"\npop3s = \"127.0.0.1:{pop3s}\"\nautoconfig = \"127.0.0.1:{autoconfig}\"\n");
    office.write("mailgw/mailgw.toml", configuration.replace("[listen]\n", &more).as_bytes());
    let clients = std::fs::read_to_string(office.home.join("mailgw/policies/mailbox/clients.toml")).unwrap();
    let everywhere = "scram = [\"imap\", \"imaps\", \"submission\", \"submissions\", \"pop3\", \"pop3s\"]";
    office.write("mailgw/policies/mailbox/clients.toml", clients.replace("scram = []", everywhere).as_bytes());
    office.start_gateway();
    for port in [pop3, pop3s, autoconfig] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
    let ports = json!({ "imap": office.imap, "imaps": office.imaps, "submission": office.submission, "submissions": office.submissions, "pop3": pop3, "pop3s": pop3s, "autoconfig": autoconfig });
    (office, ports)
}

fn judged(office: &Office, given: &Value, step: &str) {
    office.write("access.json", given.to_string().as_bytes());
    let (script, home) = (format!("{}/oracles/access_client.py", env!("CARGO_MANIFEST_DIR")), office.path(""));
    let said = run(oracle("python"), &[script.as_str(), home.as_str(), step], &office.home);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "{step}: {}\n{}\n{}", said.out, said.err, log.lines().rev().take(15).collect::<Vec<_>>().join("\n"));
    print!("{}", said.out);
}

fn made(office: &Office, mailbox: &str, scopes: &str, name: &str) -> String {
    let made = office.mailgw(&["--json", "mailbox", "app-password", "new", mailbox, "--scope", scopes, "--name", name]).json();
    assert_eq!(made["app_password"]["name"], name);
    made["password"].as_str().unwrap().to_owned()
}

#[test]
fn app_passwords_proved_told_and_withdrawn() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    let user = office.people.first().unwrap().address.clone();
    let (every, reading) = (made(&office, &user, "imap,smtp,pop3", "手机"), made(&office, &user, "imap", "平板"));
    let mailgw = program("mailgw").to_string_lossy().into_owned();
    let withdraw = [mailgw.as_str(), "--dir", "mailgw", "--passphrase-file", "pass", "mailbox", "app-password", "withdraw", &user, "2"].map(str::to_owned);
    let given = json!({ "ports": ports, "user": user, "every": every, "reading": reading, "nobody": format!("2234567898@{DOMAIN}"), "withdraw": withdraw });
    for step in ["app_passwords", "bound", "settings", "withdrawn"] {
        judged(&office, &given, step);
    }
    let listed = office.mailgw(&["--json", "mailbox", "app-password", "list", &user]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0]["last_used"].is_string() && !listed.to_string().contains(&every));
    // Neither a password nor what its owner calls it stands in a log.
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap();
    assert!(![every.as_str(), reading.as_str(), "手机"].iter().any(|word| log.contains(word)));
}

#[test]
fn an_old_mail_program_empties_its_maildrop() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    let user = office.people.first().unwrap().address.clone();
    let every = made(&office, &user, "imap,pop3", "旧电脑");
    let mails = [
        "From: a@peer.example\r\nSubject: one\r\n\r\none\r\n", "From: a@peer.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\nend\r\n",
        "From: a@peer.example\r\nSubject: =?utf-8?b?5LiJ?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n穗印\r\n",
    ];
    for (number, mail) in mails.iter().enumerate() {
        office.write("one.eml", mail.as_bytes());
        let to = format!("smtp://127.0.0.1:{}", office.smtp);
        run("curl", &["-s", "--url", &to, "--mail-from", "a@peer.example", "--mail-rcpt", &user, "--upload-file", "one.eml"], &office.home).ok();
        assert!(number < 3);
    }
    judged(&office, &json!({ "ports": ports, "user": user, "every": every, "mails": mails }), "maildrop");
}

#[test]
fn a_citizens_certificate_opens_the_mailbox_until_it_is_revoked() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    office.mailgw(&["registrar", "request", "--out", "registrar.csr"]).ok();
    let serial = office.authority.issue("registrar", "registrar", &["--dns", HOST]);
    office.mailgw(&["registrar", "install", "registrar.pem", "--authority", &office.authority.url]).ok();
    office.authority.ca(&["registrar", "set", &serial, "--domain", DOMAIN]).ok();
    let (user, other) = (office.people.first().unwrap().address.clone(), office.people.get(1).unwrap().address.clone());
    office.authority.request("anna", "/C=CN");
    office.mailgw(&["--json", "mailbox", "certificate", &user, "--request", "anna.csr", "--out", "anna.pem"]).ok();
    // One that says the same and that nobody we know has signed.
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/C=CN", "-addext", &format!("subjectAltName=email:{user}"), "-days", "2"], &office.home).ok();
    let anna = openssl(&["x509", "-in", "anna.pem", "-noout", "-serial"], &office.home).ok().trim().trim_start_matches("serial=").to_lowercase();
    let ca = program("ca").to_string_lossy().into_owned();
    let revoke = [ca.as_str(), "--dir", "ca", "--passphrase-file", "pass", "revoke", &anna, "--reason", "key-compromise"].map(str::to_owned);
    let given = json!({ "ports": ports, "user": user, "other": other, "every": made(&office, &user, "imap,smtp", "手机"), "revoke": revoke });
    judged(&office, &given, "certificate");
}
