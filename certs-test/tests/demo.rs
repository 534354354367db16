//! The demonstration city against the rules of the gateway: every person is somebody, every row is kept, and
//! each manifest is that of its file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::Command;

use policies::identity::{Document, DocumentKind, PersonName};
use policies::statement::{Header, Kind, Manifest, Parameters, Row, SHIPPED, Totals};
use time::macros::date;

/// The generator writes no field that needs quotes.
fn fields(line: &str) -> Vec<&str> {
    assert!(!line.contains('"'));
    line.split(',').collect()
}

#[test]
fn every_rule_is_kept_in_any_month() {
    let today = date!(2026 - 11 - 24);
    let parameters = Parameters::parse(SHIPPED).unwrap();
    for period in ["202601", "202606", "202610", "202612"] {
        let directory = tempfile::tempdir().unwrap();
        let city = directory.path().join("city");
        let made = Command::new(env!("CARGO_BIN_EXE_demo-data")).arg("--out").arg(&city).args(["--people", "400", "--period", period]).status();
        assert!(made.unwrap().success());

        let people = fs::read_to_string(city.join("people.csv")).unwrap();
        let mut kinds = Vec::new();
        for line in people.lines().skip(1) {
            let [code, number, name] = fields(line)[..] else { panic!() };
            kinds.push(Document::parse(code, number, today).unwrap().kind());
            PersonName::parse(name).unwrap();
        }
        for kind in [DocumentKind::ResidentCard, DocumentKind::ForeignPermanent, DocumentKind::HmtResidence] {
            assert!(kinds.contains(&kind));
        }

        for kind in Kind::ALL {
            let text = fs::read_to_string(city.join(format!("{kind}.csv"))).unwrap();
            let manifest = Manifest::parse(&fs::read(city.join(format!("{kind}.manifest.json"))).unwrap()).unwrap();
            let mut lines = text.lines();
            let header = Header::parse(kind, &fields(lines.next().unwrap())).unwrap();
            let mut totals = Totals::new(kind);
            for line in lines {
                let fields = fields(line);
                let record = header.record(&fields).unwrap();
                totals.add(&record).unwrap();
                let row = Row::parse(&record, today).unwrap();
                row.belongs_to(&manifest).unwrap();
                let judgement = parameters.judge(&row, None);
                assert!(judgement.is_kept(), "{judgement:?}");
            }
            assert_eq!(totals.agrees_with(&manifest), Ok(()));
            let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            assert_eq!(manifest.agrees_with_digest(digest.as_ref().try_into().unwrap()), Ok(()));
            assert_eq!(totals.rows(), 400);
        }
    }
}
