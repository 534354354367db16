//! Pushes that must not go through: what is wrong is named, and nothing is delivered, kept or logged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use certs_test::demo::people::bureaus;
use certs_test::office::{Office, bureau_of};
use certs_test::programs::{Said, openssl, run};
use serde_json::Value;

const KIND: &str = "housing-fund";
const PEOPLE: u64 = 9;

/// The city's file as `change` made it, under a manifest of batch `name` that states its digest and what `state` says.
fn written(office: &Office, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>, state: impl FnOnce(&mut Value)) {
    let city = office.home.join("city");
    let rows = change(std::fs::read(city.join(format!("{KIND}.csv"))).unwrap());
    let manifest = std::fs::read_to_string(city.join(format!("{KIND}.manifest.json"))).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest["batch_id"] = name.into();
    let digest = ring::digest::digest(&ring::digest::SHA256, &rows);
    manifest["sha256"] = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    state(&mut manifest);
    std::fs::write(city.join(format!("{name}.csv")), rows).unwrap();
    std::fs::write(city.join(format!("{name}.manifest.json")), format!("{manifest:#}\n")).unwrap();
}

fn sign(office: &Office, name: &str) {
    office.sign_file(&bureau_of(KIND), &format!("city/{name}.manifest.json"), &format!("{name}.p7s"));
}

/// What would change if a push went through: entries of both logs, and messages in the first mailbox.
fn state(office: &Office, name: &str) -> (Value, Value, String) {
    let gateway = office.mailgw(&["--json", "log", "export", &format!("logs/{name}.gateway")]).json();
    let sealer = office.sealer(&["--json", "sealer", "export-log", &format!("logs/{name}.sealer")]).json();
    (gateway["entries"].clone(), sealer["entries"].clone(), held(office, 0))
}

fn held(office: &Office, person: usize) -> String {
    let account = &office.people[person];
    let (user, url) = (format!("{}:{}", account.address, account.password), format!("imaps://localhost:{}/", office.imaps));
    run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &url, "-X", "STATUS INBOX (MESSAGES)"], &office.home).ok()
}

fn refused(said: &Said, name: &str, exit: i32, code: &str) -> Value {
    assert_eq!(said.code, exit, "{name}: {said:?}");
    let problem: Value = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{name}: {error}: {said:?}"));
    assert_eq!(problem["code"], code, "{name}: {problem}");
    assert!(problem["next"].as_str().is_some_and(|next| next.len() > 3), "{name}: {problem}");
    problem
}

fn replaced(text: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

/// With a place name of the last row as GBK has it.
fn in_gbk(rows: Vec<u8>) -> Vec<u8> {
    let name = "广州".as_bytes();
    let at = rows.windows(name.len()).rposition(|window| window == name).unwrap();
    [&rows[..at], b"\xb9\xe3\xd6\xdd", &rows[at + name.len()..]].concat()
}

/// Without the column at `at`.
fn without(text: Vec<u8>, at: usize) -> Vec<u8> {
    let text = String::from_utf8(text).unwrap();
    let line = |line: &str| line.split(',').enumerate().filter(|(index, _)| *index != at).map(|(_, field)| field).collect::<Vec<_>>().join(",") + "\r\n";
    text.lines().map(line).collect::<String>().into_bytes()
}

#[test]
fn what_cannot_be_proved_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), PEOPLE);
    std::fs::create_dir(office.home.join("logs")).unwrap();
    let before = state(&office, "before");
    let home = office.home.clone();
    let mut all: Vec<(&str, Said, i32, &str, &str)> = Vec::new();

    // Who signed, and what.
    let [fund, insurance] = bureaus();
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=stranger", "-keyout", "stranger.key", "-out", "stranger.pem"], &home).ok();
    openssl(&["cms", "-sign", "-binary", "-in", "city/housing-fund.manifest.json", "-signer", "stranger.pem", "-inkey", "stranger.key", "-outform", "PEM", "-out", "housing-fund.p7s"], &home).ok();
    all.push(("a stranger signed", office.push_signed(KIND), 3, "manifest-signer", "registered"));
    office.sign_file(&insurance, "city/housing-fund.manifest.json", "housing-fund.p7s");
    all.push(("another bureau signed", office.push_signed(KIND), 3, "manifest-signer", "gz-housing-fund"));
    std::fs::copy(home.join("ca/root.pem"), home.join("housing-fund.p7s")).unwrap();
    all.push(("no signature", office.push_signed(KIND), 3, "manifest-signature", ""));
    office.sign(KIND);
    let manifest = std::fs::read(home.join("city/housing-fund.manifest.json")).unwrap();
    std::fs::write(home.join("city/housing-fund.manifest.json"), replaced(manifest.clone(), "202610\"", "202609\"")).unwrap();
    all.push(("a flipped digit of the manifest", office.push_signed(KIND), 3, "manifest-signature", ""));
    std::fs::write(home.join("city/housing-fund.manifest.json"), &manifest[..manifest.len() / 2]).unwrap();
    all.push(("half a manifest", office.push_signed(KIND), 3, "manifest", "line"));
    std::fs::write(home.join("city/housing-fund.manifest.json"), &manifest).unwrap();
    written(&office, "unknown-bureau", |rows| rows, |manifest| manifest["sender_code"] = "nobody".into());
    sign(&office, "unknown-bureau");
    all.push(("an unknown bureau", office.push_signed("unknown-bureau"), 4, "unknown-bureau", "nobody"));
    let pension = std::fs::read_to_string(home.join("city/pension.manifest.json")).unwrap();
    std::fs::write(home.join("city/pension.manifest.json"), pension.replace("gz-social-insurance", "gz-housing-fund")).unwrap();
    office.sign_file(&fund, "city/pension.manifest.json", "pension.p7s");
    all.push(("another bureau's kind", office.push_signed("pension"), 3, "kind-not-allowed", "pension"));

    // What the file holds, under a manifest that is signed as it should be.
    type Change = Box<dyn FnOnce(Vec<u8>) -> Vec<u8>>;
    type State = fn(&mut Value);
    let as_is: State = |_| ();
    let files: [(&str, Change, State, i32, &str, &str); 15] = [
        ("rows", Box::new(|rows| rows), |manifest| manifest["rows"] = 8.into(), 3, "manifest-disagrees", "9 rows"),
        ("sum-close", Box::new(|rows| rows), |manifest| manifest["sum_close"] = "1.00".into(), 3, "manifest-disagrees", "closing balances"),
        ("sum-paid-in", Box::new(|rows| rows), |manifest| manifest["sum_paid_in"] = "1.00".into(), 3, "manifest-disagrees", "paid in"),
        ("digest", Box::new(|rows| rows), |manifest| manifest["sha256"] = "0".repeat(64).into(), 3, "manifest-disagrees", "SHA-256"),
        ("unknown-key", Box::new(|rows| rows), |manifest| manifest["more"] = 1.into(), 3, "manifest", "more"),
        ("bom", Box::new(|rows| [b"\xef\xbb\xbf".as_slice(), &rows].concat()), as_is, 3, "file", "BOM"),
        ("gbk", Box::new(in_gbk), as_is, 3, "file", "line 10 is not UTF-8"),
        ("missing", Box::new(|rows| without(rows, 12)), as_is, 3, "header", "unit_amt"),
        ("doubled", Box::new(|rows| replaced(rows, "person_amt,", "unit_amt,")), as_is, 3, "header", "unit_amt"),
        ("unknown", Box::new(|rows| replaced(rows, "src_batch", "src_batch_2")), as_is, 3, "header", "field 31"),
        ("fields", Box::new(|rows| [rows.as_slice(), b"1,2\r\n"].concat()), as_is, 3, "file", "line 11 has 2 fields"),
        ("cut", Box::new(|mut rows| { rows.truncate(rows.len() - 40); rows }), as_is, 3, "file", "line 10"),
        ("empty", Box::new(|_| Vec::new()), as_is, 3, "file", "header"),
        ("long-line", Box::new(|rows| [rows, vec![b'x'; 10 << 20]].concat()), as_is, 3, "file", "line 11 is longer than"),
        ("long-quoted", Box::new(|rows| [rows, vec![b'"'], b"x,\r\n".repeat(2 << 20)].concat()), as_is, 3, "file", "line 11 is longer than"),
    ];
    for (name, change, manifest, exit, code, word) in files {
        written(&office, name, change, manifest);
        sign(&office, name);
        all.push((name, office.push_signed(name), exit, code, word));
    }
    let rows = std::fs::read(home.join("city/housing-fund.csv")).unwrap();
    let mut flipped = rows.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    std::fs::write(home.join("city/housing-fund.csv"), flipped).unwrap();
    office.sign(KIND);
    all.push(("a flipped bit of the file", office.push_signed(KIND), 3, "manifest-disagrees", "SHA-256"));
    let cut = rows[..rows.len() - 3].iter().rposition(|byte| *byte == b'\n').unwrap();
    std::fs::write(home.join("city/housing-fund.csv"), &rows[..=cut]).unwrap();
    all.push(("a file without its last row", office.push_signed(KIND), 3, "manifest-disagrees", "8 rows"));
    std::fs::remove_file(home.join("city/housing-fund.csv")).unwrap();
    all.push(("no file", office.push_signed(KIND), 2, "file", "housing-fund.csv"));
    std::fs::write(home.join("city/housing-fund.csv"), &rows).unwrap();

    // Who does not answer.
    office.kill_sealer();
    all.push(("no sealer", office.push_signed(KIND), 6, "sealer-not-running", "sealer"));
    office.start_sealer();
    // Lists are kept for a minute; a new process has none.
    office.kill_gateway();
    office.authority.kill();
    office.start_gateway();
    all.push(("no authority", office.push_signed(KIND), 6, "revocation-unknown", "crl"));
    office.authority.start();

    for (name, said, exit, code, word) in &all {
        let problem = refused(said, name, *exit, code);
        assert!(problem.to_string().contains(word), "{name}: {problem}");
        for line in String::from_utf8_lossy(&rows).lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            assert!(!said.err.contains(fields[3]) && !said.err.contains(fields[4]), "{name}: a person in {}", said.err);
        }
    }
    assert_eq!(state(&office, "after"), before);

    // A key that was given up: the bureau has a second one, and its first is revoked.
    office.authority.request("second", "/C=CN");
    let serial = office.authority.issue("second", "bureau-client", &["--name", fund.name, "--code", &fund.credit_code]);
    let (client, seal) = (format!("{}-client.pem", fund.code), format!("{}-seal.pem", fund.code));
    let both = ["--client", &client, "--client", "second.pem", "--seal", &seal];
    office.mailgw(&[&["bureau", "set", fund.code, "--name-en", fund.name_en, "--kind", KIND, "--hotline", fund.hotline], both.as_slice()].concat()).ok();
    office.sealer(&[&["sealer", "bureau", fund.code], both.as_slice()].concat()).ok();
    openssl(&["cms", "-sign", "-binary", "-in", "city/housing-fund.manifest.json", "-signer", "second.pem", "-inkey", "second.key", "-outform", "PEM", "-out", "second.p7s"], &home).ok();
    office.authority.ca(&["revoke", &serial, "--reason", "key-compromise"]).ok();
    office.authority.ca(&["crl", "publish"]).ok();
    office.kill_gateway();
    office.start_gateway();
    std::fs::rename(home.join("housing-fund.p7s"), home.join("first.p7s")).unwrap();
    std::fs::copy(home.join("second.p7s"), home.join("housing-fund.p7s")).unwrap();
    refused(&office.push_signed(KIND), "a revoked key", 3, "certificate-revoked");
    assert_eq!(office.mailgw(&["--json", "bureau", "set", fund.code, "--name-en", "x", "--kind", KIND, "--hotline", "12329", "--client", "second.pem", "--seal", &seal]).code, 3);
    std::fs::rename(home.join("first.p7s"), home.join("housing-fund.p7s")).unwrap();
    assert_eq!(held(&office, 0), before.2);
    let report = office.push_signed(KIND).json();
    assert_eq!(report["counts"]["delivered"], PEOPLE, "{report:#}");
}

/// A yuan more.
fn one_more(amount: &str) -> String {
    let (yuan, fen) = amount.split_once('.').unwrap();
    format!("{}.{fen}", yuan.parse::<u64>().unwrap() + 1)
}

#[test]
fn a_row_that_is_wrong_holds_up_no_other() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 12);
    let closed = office.people[5].address.clone();
    office.mailgw(&["mailbox", "close", &closed]).ok();
    // stmt_id 0, period 1, id_type 2, id_no 3, name 4, base 9, unit_rate 10, paid_in 16, interest 21, close_bal 23, carry_bal 24, cur_bal 25, paid_to 26, status 27
    office.amend(KIND, "bad-rows", "bad-rows", |at, fields| match at {
        0 => fields[24] = "0.01".into(),
        1 => fields[23] = "1.00".into(),
        2 => fields[10] = "13.00".into(),
        3 => fields[4] = "别人".into(),
        4 => fields[3] = "440105190003010052".into(),
        // 5: the mailbox is closed.
        6 => fields[3] = "440106189602290016".into(),
        7 => fields[1] = "202609".into(),
        8 => fields[27] = "02".into(),
        9 => {
            fields[21] = "1.00".into();
            [23, 25].iter().for_each(|at| fields[*at] = one_more(&fields[*at]));
        }
        10 => fields[0] = "HF20261000000011".into(),
        _ => {}
    });
    office.sign_file(&bureau_of(KIND), "city/bad-rows.manifest.json", "bad-rows.p7s");
    let report = office.push_signed("bad-rows").json();
    let text = std::fs::read_to_string(office.home.join("bad-rows.jsonl")).unwrap();
    let told: BTreeMap<u64, Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|row| (row["row"].as_u64().unwrap() - 1, row)).collect();
    let expected = [
        (0, "quarantined", "V2"),
        (1, "quarantined", "V1"),
        (2, "quarantined", "V3"),
        (3, "quarantined", "V10"),
        (4, "undeliverable", "unknown-person"),
        (5, "undeliverable", "mailbox-closed"),
        (6, "quarantined", "unreadable"),
        (7, "quarantined", "other-month-or-kind"),
        (8, "quarantined", "V8"),
        (9, "quarantined", "V6"),
    ];
    for (row, state, reason) in expected {
        assert_eq!((&told[&row]["state"], &told[&row]["reason"]), (&state.into(), &reason.into()), "row {row}: {}", told[&row]);
    }
    assert_eq!(told[&10]["state"], "delivered", "{}", told[&10]);
    // The same stmt_id as the row before it, with other content.
    assert_eq!((&told[&11]["state"], &told[&11]["reason"]), (&"quarantined".into(), &"other-content".into()));
    assert_eq!(report["counts"], serde_json::json!({ "delivered": 1, "duplicate": 0, "quarantined": 9, "undeliverable": 2 }));
    let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
    for person in city.lines().skip(1) {
        let fields: Vec<&str> = person.split(',').collect();
        assert!(!text.contains(fields[1]) && !text.contains(fields[2]), "a person in the report");
    }
    // Corrected, the rest goes out under a new batch, and the one that was delivered does not go again.
    office.amend(KIND, "corrected", "corrected", |_, _| ());
    office.sign_file(&bureau_of(KIND), "city/corrected.manifest.json", "corrected.p7s");
    let report = office.push_signed("corrected").json();
    assert_eq!(report["counts"]["undeliverable"], 1, "{report:#}");
    assert_eq!(report["counts"]["delivered"].as_u64().unwrap() + report["counts"]["quarantined"].as_u64().unwrap() + report["counts"]["duplicate"].as_u64().unwrap(), 11, "{report:#}");
    // The day a mailbox is closed it says nothing to anybody.
    let account = &office.people[5];
    let user = format!("{}:{}", account.address, account.password);
    let login = run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &format!("imaps://localhost:{}/INBOX", office.imaps)], &office.home);
    assert_eq!(login.code, 67, "{login:?}");
}
