//! The built gateway, judged by other people's mail clients and by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{KINDS, Office};

#[test]
fn a_month_is_pushed() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 40);
    assert_eq!(office.people.len(), 40);
    for kind in KINDS {
        let report = office.push(kind).json();
        assert_eq!(report["counts"]["delivered"], 40, "{report:#}");
    }
}
