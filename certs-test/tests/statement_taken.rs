//! A statement taken out in every way there is — fetched, exported, on paper, by mail, for a court — by the built programs, judged by others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::time::{Duration, Instant};

use certs_test::office::{DOMAIN, Office, bureau_of};
use certs_test::programs::{openssl, run};
use serde_json::json;

const KIND: &str = "housing-fund";

fn curl(office: &Office, person: usize, arguments: &[&str]) -> String {
    let account = &office.people[person];
    let user = format!("{}:{}", account.address, account.password);
    run("curl", &[&["-sS", "--cacert", "ca/root.pem", "-u", &user], arguments].concat(), &office.home).ok()
}

fn fetch(office: &Office, person: usize, uid: u32, file: &str) -> Vec<u8> {
    curl(office, person, &[&format!("imaps://localhost:{}/INBOX;UID={uid}", office.imaps), "-o", file]);
    std::fs::read(office.home.join(file)).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn every_way_out_gives_the_same_statement_and_proves_it() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 6);
    // The demonstration's host has no time service; evidence is stamped from here on.
    let append = |name: &str, text: &str| write!(std::fs::File::options().append(true).open(office.home.join(name)).unwrap(), "{text}").unwrap();
    append("ca/ca.toml", "\n[timestamp]\nsource = \"unchecked\"\n");
    let gateway = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    std::fs::write(office.home.join("mailgw/mailgw.toml"), format!("timestamp = \"{}/timestamp\"\n{gateway}", office.authority.url)).unwrap();
    office.authority.kill();
    office.authority.start();
    office.kill_gateway();
    office.start_gateway();
    assert_eq!(office.push(KIND).json()["counts"]["delivered"], 6);
    let code = bureau_of(KIND).code;
    let rows: Vec<serde_json::Value> = std::fs::read_to_string(office.home.join(format!("{KIND}.jsonl"))).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Whose statement is the first person's: by what the mailbox holds.
    let message = fetch(&office, 0, 1, "fetched.eml");
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &message).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let row = rows.iter().find(|row| row["message"] == digest.as_str()).expect("a row of the report is about what was fetched");
    let statement = row["stmt_id"].as_str().unwrap();

    // Exported: octet for octet.
    office.mailgw(&["mailbox", "archive", &office.people[0].address, "--statements", "--octets", "--request", "form 1", "--out", "taken"]).ok();
    office.mailgw(&["mailbox", "verify", "taken", "--anchor", "ca/root.pem"]).ok();
    let files: Vec<_> = std::fs::read_dir(office.home.join("taken/mail/INBOX/cur")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((files.len(), std::fs::read(&files[0]).unwrap() == message), (1, true));

    // On paper, for the operator; OpenSSL proves the bureau's seal, and a reader of PDF finds the statement's number.
    office.mailgw(&["statement", "pdf", "--bureau", code, statement, "--out", "s.pdf", "--seal", "s.p7s"]).ok();
    openssl(&["cms", "-verify", "-binary", "-inform", "DER", "-in", "s.p7s", "-content", "s.pdf", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &office.home).ok();
    run("pdftotext", &["-layout", "s.pdf", "s.txt"], &office.home).ok();
    assert!(std::fs::read_to_string(office.home.join("s.txt")).unwrap().contains(statement));

    // By mail, to its owner and to nobody else.
    let mailed = |person: usize| {
        let from = &office.people[person].address;
        office.write("ask.eml", format!("From: <{from}>\r\nTo: <statement-pdf@{DOMAIN}>\r\nSubject: {statement}\r\nDate: Sun, 29 Nov 2026 08:00:00 +0800\r\n\r\nPlease.\r\n").as_bytes());
        curl(&office, person, &[&format!("smtps://localhost:{}", office.submissions), "--mail-from", from, "--mail-rcpt", &format!("statement-pdf@{DOMAIN}"), "-T", "ask.eml"]);
    };
    let held = |person: usize| curl(&office, person, &[&format!("imaps://localhost:{}/", office.imaps), "-X", "STATUS INBOX (MESSAGES)"]);
    mailed(0);
    mailed(1);
    until("a page, and a refusal", || held(0).contains("MESSAGES 2") && held(1).contains("MESSAGES 2"));
    let page = String::from_utf8(fetch(&office, 0, 2, "page.eml")).unwrap();
    assert!(page.contains("application/pdf"));
    openssl(&["cms", "-verify", "-in", "page.eml", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &office.home).ok();
    assert!(!String::from_utf8(fetch(&office, 1, 2, "refusal.eml")).unwrap().contains("application/pdf"));
    // From outside the address is nobody's.
    office.write("outside.eml", b"From: <a@b.example>\r\n\r\nx\r\n");
    let outside = run("curl", &["-sS", &format!("smtp://localhost:{}", office.smtp), "--mail-from", "a@b.example", "--mail-rcpt", &format!("statement-pdf@{DOMAIN}"), "-T", "outside.eml"], &office.home);
    assert_ne!(outside.code, 0);

    // For a court, once the evidence is stamped and the fetch is recorded; offline, by the anchor alone.
    let court = |out: &str| office.mailgw(&["--json", "evidence", "court", "--bureau", code, statement, "--order", "(2026)粤01民初123号", "--out", out]).json();
    until("evidence has its timestamp", || {
        office.mailgw(&["evidence", "export", "--bureau", code, "--batch", rows_batch(&office), "--row", &row["row"].to_string(), "--out", "row.jsonl"]).ok();
        let said = office.mailgw(&["--json", "evidence", "verify", "row.jsonl", "--anchor", "ca/root.pem"]).json();
        said["items"] == 3 && said["stamped"] == said["batches"]
    });
    assert_eq!(court("case")["items"], 3);
    office.kill_gateway();
    let proved = run(certs_test::programs::program("mailgw"), &["--json", "evidence", "court-verify", "case", "--anchor", "ca/root.pem"], &office.home).json();
    assert_eq!(proved["events"], json!({ "ContentAccessTracking": 1, "ContentConsignment": 1, "SubmissionAcceptance": 1 }));
    assert_eq!(std::fs::read(office.home.join("case/statement.eml")).unwrap(), message);
    openssl(&["cms", "-verify", "-binary", "-inform", "DER", "-in", "case/package.p7s", "-content", "case/package.json", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &office.home).ok();
}

/// The batch of the city's own manifest.
fn rows_batch(office: &Office) -> &'static str {
    let manifest: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(office.home.join(format!("city/{KIND}.manifest.json"))).unwrap()).unwrap();
    manifest["batch_id"].as_str().unwrap().to_owned().leak()
}
