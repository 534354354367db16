//! Owners are told on their phones that a statement arrived, and say that they read it: by the built programs, with a gateway of text
//! messages that checks what it gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certs_test::office::{DOMAIN, Office, bureau_of};
use certs_test::programs::{program, run};
use serde_json::{Value, json};

const KIND: &str = "housing-fund";
const SECRET: &str = "a secret of both ends for this test alone";
/// The second one is told nothing: whoever sends texts refuses it, but for the code.
const PHONES: [&str; 2] = ["13700137000", "13900139009"];

/// What was posted: its header and its body.
type Posted = Arc<Mutex<Vec<(String, String)>>>;

/// Takes texts, one call a connection.
fn phones() -> (std::net::SocketAddr, Posted) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, posted) = (listener.local_addr().unwrap(), Posted::default());
    let taken = Arc::clone(&posted);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, mut asked, mut piece) = (connection.unwrap(), Vec::new(), [0; 4_096]);
            while !asked.ends_with(b"}") {
                match connection.read(&mut piece).unwrap() {
                    0 => break,
                    count => asked.extend_from_slice(piece.get(..count).unwrap()),
                }
            }
            let Some((head, body)) = String::from_utf8(asked).ok().and_then(|text| text.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned()))) else { continue };
            let text: Value = serde_json::from_str(&body).unwrap();
            let refused = text["template"] == "arrived" && text["to"].as_str().unwrap().ends_with('9');
            let status = if refused { "400 Bad Request" } else { "200 OK" };
            write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            taken.lock().unwrap().push((head, body));
        }
    });
    (address, posted)
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn curl(office: &Office, person: usize, arguments: &[&str]) -> String {
    let account = office.people.get(person).unwrap();
    let user = format!("{}:{}", account.address, account.password);
    run("curl", &[&["-sS", "--cacert", "ca/root.pem", "-u", &user], arguments].concat(), &office.home).ok()
}

/// Writes to one of the gateway's own addresses, under this person's login.
fn write(office: &Office, person: usize, to: &str, subject: &str) {
    let from = &office.people.get(person).unwrap().address;
    office.write("ask.eml", format!("From: <{from}>\r\nTo: <{to}@{DOMAIN}>\r\nSubject: {subject}\r\nDate: Sun, 29 Nov 2026 08:00:00 +0800\r\n\r\n.\r\n").as_bytes());
    curl(office, person, &[&format!("smtps://localhost:{}", office.submissions), "--mail-from", from, "--mail-rcpt", &format!("{to}@{DOMAIN}"), "-T", "ask.eml"]);
}

/// The message with this UID once it is there, its text decoded.
fn message(office: &Office, person: usize, uid: u32) -> String {
    until("a message", || {
        let held = curl(office, person, &[&format!("imaps://localhost:{}/", office.imaps), "-X", "STATUS INBOX (UIDNEXT)"]);
        let next: u32 = held.split("UIDNEXT ").nth(1)?.split(')').next()?.parse().ok()?;
        (next > uid).then(|| curl(office, person, &[&format!("imaps://localhost:{}/INBOX;UID={uid}", office.imaps)]).replace("=\r\n", "").replace("=\n", ""))
    })
}

fn six_digits(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).expect("a code").to_owned()
}

#[test]
fn owners_are_told_on_their_phones_and_what_came_of_it_is_proved() {
    let (place, (address, posted)) = (tempfile::tempdir().unwrap(), phones());
    let mut office = Office::open(place.path(), 6);
    // By day and by night, and at once.
    let policy = office.home.join("mailgw/policies/mailbox/notifications.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, text.split("[[quiet]]").next().unwrap().replace("collect_minutes = 10", "collect_minutes = 0")).unwrap();
    office.write("texts.secret", SECRET.as_bytes());
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    let texts = format!("\n[texts]\nwebhook = \"http://texts.example.cn/v1/messages\"\naddress = \"{address}\"\nsecret = \"{}\"\n", office.path("texts.secret"));
    std::fs::write(office.home.join("mailgw/mailgw.toml"), configuration + &texts).unwrap();
    let mailbox = |person: usize| office.people.get(person).unwrap().address.clone();
    let owners = [mailbox(0), mailbox(1)];
    office.kill_gateway();
    office.start_gateway();
    let last = |template: &'static str, to: &'static str| {
        until("a text", || posted.lock().unwrap().iter().rev().map(|(head, body)| (head.clone(), serde_json::from_str::<Value>(body).unwrap())).find(|(_, text)| text["template"] == template && text["to"] == format!("+86{to}")))
    };

    // One at the counter, one by mail.
    let first = owners.first().unwrap();
    office.mailgw(&["mailbox", "notices", first, "--phone", PHONES[0]]).ok();
    let code = last("code", PHONES[0]).1["code"].as_str().unwrap().to_owned();
    let shown = office.mailgw(&["--json", "mailbox", "notices", first, "--code", &code]).json();
    assert_eq!((&shown["places"][0]["state"], &shown["places"][0]["masked"]), (&json!("confirmed"), &json!("****7000")));
    // What the counter changed is told in the mailbox, and that something arrived on the phone.
    assert!(message(&office, 0, 1).contains("a phone is told from now on"));
    last("arrived", PHONES[0]);
    write(&office, 1, "notice", PHONES[1]);
    let code = last("code", PHONES[1]).1["code"].as_str().unwrap().to_owned();
    assert!(message(&office, 1, 1).contains("****9009"));
    write(&office, 1, "notice", &code);
    assert!(message(&office, 1, 2).contains("Of what bureaus push alone"));
    // A wrong code at the counter, another mailbox where no mail goes elsewhere.
    assert_eq!(office.mailgw(&["mailbox", "notices", first, "--code", "000000"]).code, 3);
    assert_eq!(office.mailgw(&["mailbox", "notices", first, "--mail", "a@b.example"]).code, 3);

    // A month: both are tried, one is told, nobody else is.
    assert_eq!(office.push(KIND).json()["counts"]["delivered"], 6);
    until("both", || (posted.lock().unwrap().len() >= 5).then_some(()));
    let (head, told) = last("arrived", PHONES[0]);
    last("arrived", PHONES[1]);
    assert_eq!(posted.lock().unwrap().len(), 5);
    let body = posted.lock().unwrap().iter().rev().find(|(_, body)| body.contains("arrived") && body.contains("7000")).unwrap().1.clone();
    let signed = head.lines().find_map(|line| line.strip_prefix("suiyin-signature: ")).unwrap();
    let (at, mac) = signed.strip_prefix("t=").and_then(|rest| rest.split_once(",hmac-sha256=")).unwrap();
    office.write("signed", format!("{at}.{body}").as_bytes());
    let judged = run("openssl", &["dgst", "-sha256", "-hmac", SECRET, "-hex", "signed"], &office.home).ok();
    assert!(judged.trim_end().ends_with(mac) && head.contains(&format!("idempotency-key: {}", told["id"].as_str().unwrap())), "{judged} {head}");
    let number = first.split('@').next().unwrap();
    assert!(!body.contains(number) && !told["text"].as_str().unwrap().contains("公积金"));

    // The owner reads it, and says so.
    let rows: Vec<Value> = std::fs::read_to_string(office.home.join(format!("{KIND}.jsonl"))).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    curl(&office, 0, &[&format!("imaps://localhost:{}/INBOX;UID=2", office.imaps), "-o", "statement.eml"]);
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &std::fs::read(office.home.join("statement.eml")).unwrap()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let statement = rows.iter().find(|row| row["message"] == digest.as_str()).unwrap()["stmt_id"].as_str().unwrap();
    write(&office, 0, "statement-read", statement);
    let asked = message(&office, 0, 3);
    let code = six_digits(asked.split("write the code").nth(1).unwrap());
    write(&office, 0, "statement-read", &code);
    assert!(message(&office, 0, 4).contains("Your declaration is recorded"));

    // All of it is evidence that verifies with the root alone, and nobody's number is in it, in the log or in what was logged.
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(office.home.join(format!("city/{KIND}.manifest.json"))).unwrap()).unwrap();
    let events = until("evidence of all", || {
        let export = ["evidence", "export", "--bureau", bureau_of(KIND).code, "--batch", manifest["batch_id"].as_str().unwrap(), "--out", "all.jsonl"];
        office.mailgw(&export).ok();
        let said = run(program("mailgw"), &["--json", "evidence", "verify", "all.jsonl", "--anchor", "ca/root.pem"], &office.home).json();
        (said["items"] == 6 * 2 + 4).then(|| said["events"].clone())
    });
    assert_eq!(events, json!({ "ConsignmentNotification": 1, "ConsignmentNotificationFailure": 1, "ContentAccessTracking": 1, "ContentConsignment": 6, "ContentHandover": 1, "SubmissionAcceptance": 6 }));
    for file in ["all.jsonl", "mailgw.log"] {
        let text = std::fs::read_to_string(office.home.join(file)).unwrap();
        assert!(PHONES.iter().all(|phone| !text.contains(phone)), "{file}");
    }
    // Taken back at the counter, which is told there for the last time.
    let shown = office.mailgw(&["--json", "mailbox", "notices", first, "--withdraw", "all"]).json();
    assert_eq!(shown["places"], json!([]));
    last("ended", PHONES[0]);
    assert!(message(&office, 0, 5).contains("the phone that was told before is told no more"));
}
