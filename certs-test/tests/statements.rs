//! A month's statements, judged in the mailboxes they came to by OpenSSL, curl and Python.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{KINDS, Office};
use certs_test::programs::{oracle, run};
use serde_json::Value;

const PEOPLE: u64 = 40;

fn judged(office: &Office) -> u64 {
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/statements.py");
    let said = run(oracle("python"), &[judge, &office.path(""), &office.imaps.to_string()], &office.home);
    said.ok().trim().parse().unwrap()
}

/// A report without the outcome of every row, which the log proves by its digest.
fn counts(report: &Value) -> [u64; 4] {
    ["delivered", "duplicate", "quarantined", "undeliverable"].map(|name| report["counts"][name].as_u64().unwrap())
}

fn lines(office: &Office, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(office.home.join(format!("{kind}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_statement_stands_before_other_peoples_software() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), PEOPLE);
    let reports = KINDS.map(|kind| office.push(kind).json());
    for (kind, report) in KINDS.iter().zip(&reports) {
        assert_eq!(counts(report), [PEOPLE, 0, 0, 0], "{report:#}");
        let rows = lines(&office, kind);
        assert!(rows.len() as u64 == PEOPLE && rows.iter().all(|row| row["state"] == "delivered" && row["message"].is_string()));
    }
    assert_eq!(judged(&office), 2 * PEOPLE);

    // The same again is answered with the first result, and doubles nothing.
    for (kind, report) in KINDS.iter().zip(&reports) {
        assert_eq!(office.push(kind).json(), *report);
    }
    // A batch has one manifest, for ever.
    let batch = reports[0]["batch"].as_str().unwrap().to_owned();
    office.amend("housing-fund", "housing-fund-other", &batch, |_, fields| fields[0] += "x");
    let other = push(&office, "housing-fund-other");
    assert!(other.code == 5 && other.err.contains("other-manifest"), "{other:?}");
    // The same rows under another batch were delivered before, all but the one that has other content, and one that is of a month that was delivered under another number.
    office.amend("housing-fund", "housing-fund-again", "another-batch", |at, fields| match at {
        3 => fields[7] += "分公司",
        5 => fields[0] = "HF-NEW".into(),
        _ => {}
    });
    let again = push(&office, "housing-fund-again").json();
    assert_eq!(counts(&again), [0, PEOPLE - 2, 2, 0], "{again:#}");
    let rows = lines(&office, "housing-fund-again");
    assert_eq!((&rows[3]["state"], &rows[3]["reason"]), (&"quarantined".into(), &"other-content".into()));
    assert_eq!((&rows[0]["state"], &rows[0]["reason"]), (&"duplicate".into(), &"delivered-before".into()));
    assert_eq!((&rows[5]["state"], &rows[5]["reason"]), (&"quarantined".into(), &"month-delivered".into()));
    let text = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap();
    let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
    let again = again.to_string();
    let private = city.lines().skip(1).flat_map(|person| person.split(',').skip(1)).chain(office.people.iter().map(|account| account.password.as_str()));
    for word in private {
        assert!(!text.contains(word) && !again.contains(word), "a number, a name or a password in the log or the report");
    }
}

fn push(office: &Office, name: &str) -> certs_test::programs::Said {
    office.sign_file(&certs_test::office::bureau_of("housing-fund"), &format!("city/{name}.manifest.json"), &format!("{name}.p7s"));
    office.push_signed(name)
}
