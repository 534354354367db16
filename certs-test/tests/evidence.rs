//! Evidence of a month's deliveries, proved by `mailgw` offline and by OpenSSL and Python that know nothing of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{Office, bureau_of};
use certs_test::programs::{oracle, run};
use serde_json::{Value, json};

const KIND: &str = "housing-fund";
const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/evidence.py");

fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first message of a person, as it is fetched.
fn fetched(office: &Office, person: usize) -> Vec<u8> {
    let account = &office.people[person];
    let (user, url) = (format!("{}:{}", account.address, account.password), format!("imaps://localhost:{}/INBOX;UID=1", office.imaps));
    run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &url, "-o", "fetched.eml"], &office.home).ok();
    std::fs::read(office.home.join("fetched.eml")).unwrap()
}

#[test]
fn evidence_is_proved_by_others_and_about_the_message_that_was_fetched() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 12);
    let closed = office.people[5].address.clone();
    office.mailgw(&["mailbox", "close", &closed]).ok();
    // Figures that do not add up, and a person whom nobody knows.
    office.amend(KIND, "month", "month", |at, fields| match at {
        1 => fields[23] = "1.00".into(),
        4 => fields[3] = "440105190003010052".into(),
        _ => {}
    });
    office.sign_file(&bureau_of(KIND), "city/month.manifest.json", "month.p7s");
    let report = office.push_signed("month").json();
    assert_eq!(report["counts"], json!({ "delivered": 9, "duplicate": 0, "quarantined": 1, "undeliverable": 2 }), "{report:#}");
    let code = bureau_of(KIND).code;
    let export = |more: &[&str]| office.mailgw(&[&["--json", "evidence", "export", "--bureau", code, "--batch", "month"], more].concat());
    // While the gateway runs, and when it does not.
    assert_eq!(export(&["--out", "all.jsonl"]).json()["items"], 23);
    assert_eq!(export(&["--row", "1", "--out", "one.jsonl"]).json()["items"], 2);
    let expected = json!({ "ContentConsignment": 9, "ContentConsignmentFailure": 2, "SubmissionAcceptance": 11, "SubmissionRejection": 1 });
    let verify = |file: &str, more: &[&str]| office.mailgw(&[&["--json", "evidence", "verify", file, "--anchor", "ca/root.pem"], more].concat());
    let said = verify("all.jsonl", &[]).json();
    assert_eq!((&said["events"], &said["items"], &said["signer"]), (&expected, &json!(23), &json!("穗印示范运营中心")), "{said:#}");
    let judged: Value = run(oracle("python"), &[JUDGE, "all.jsonl", "ca/root.pem"], &office.home).json();
    assert_eq!(judged["events"], expected);
    let one: Value = run(oracle("python"), &[JUDGE, "one.jsonl", "ca/root.pem"], &office.home).json();
    let message = fetched(&office, 0);
    assert_eq!(one["consigned"], json!([sha256(&message)]), "the evidence of row 1 is about what its owner fetched");
    assert_eq!(verify("one.jsonl", &["--message", "fetched.eml"]).json()["about_message"], 2);
    std::fs::write(office.home.join("other.eml"), [message.as_slice(), b"x"].concat()).unwrap();
    assert_eq!(verify("one.jsonl", &["--message", "other.eml"]).code, 3);
    // A bit of it, another root, nothing at all.
    let whole = std::fs::read(office.home.join("all.jsonl")).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        std::fs::write(office.home.join("flipped.jsonl"), flipped).unwrap();
        assert_eq!(verify("flipped.jsonl", &[]).code, 3, "octet {at}");
    }
    assert_eq!(office.mailgw(&["evidence", "verify", "all.jsonl", "--anchor", "mailgw.pem"]).code, 3);
    std::fs::write(office.home.join("empty.jsonl"), "").unwrap();
    assert_eq!(verify("empty.jsonl", &[]).code, 3);
    // No number and no name of a person in any of it.
    let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    for person in city.lines().skip(1) {
        let fields: Vec<&str> = person.split(',').collect();
        assert!(!text.contains(fields[1]) && !text.contains(fields[2]), "a person in the evidence");
    }
    assert_eq!(export(&["--row", "99", "--out", "none.jsonl"]).code, 4);
    // That the message was fetched is evidence of its own, soon after, and never of reading.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while export(&["--row", "1", "--out", "fetched.jsonl"]).json()["items"] != 3 {
        assert!(std::time::Instant::now() < until, "an access was not recorded");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(verify("fetched.jsonl", &[]).json()["events"], json!({ "ContentAccessTracking": 1, "ContentConsignment": 1, "SubmissionAcceptance": 1 }));
    run(oracle("python"), &[JUDGE, "fetched.jsonl", "ca/root.pem"], &office.home).ok();
    office.kill_gateway();
    let again = office.mailgw(&["--json", "evidence", "export", "--bureau", code, "--batch", "month", "--out", "again.jsonl"]);
    assert_eq!(again.json()["items"], 24);
    assert!(std::fs::read(office.home.join("again.jsonl")).unwrap().starts_with(&whole), "evidence is the same whenever it is asked for");
}
