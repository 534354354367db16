//! The shipped policy of the desk: its meaning, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use policies::certificate::Arc;
use policies::desk::{BureauCode, DeskPolicy, SHIPPED};

fn arc() -> Arc {
    Arc::parse("arc.toml", "arc = \"1.3.6.1.4.1.32473\"").unwrap()
}

/// `SUIYIN_GOLDEN=write cargo test -p policies` writes the file anew; read what changed before it is kept.
#[test]
fn the_meaning_of_the_shipped_policy_is_the_one_we_agreed_to() {
    let (path, policy) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/desk/desk.txt"), DeskPolicy::parse(SHIPPED, arc()).unwrap());
    if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(path, policy.resolved()).unwrap();
    }
    assert_eq!(policy.resolved(), std::fs::read_to_string(path).unwrap_or_default());
    assert_eq!(policy.accepting("SI_WAGE_BASE").unwrap().0.code.as_str(), "gz-social-insurance");
    assert!(policy.accepting("vat-general").is_none() && policy.bureau("gz-tax").is_some());
}

#[test]
fn what_makes_no_sense_is_refused_by_its_line() {
    let [bureaus, limits] = SHIPPED;
    let refused = |change: (&str, &str), of_bureaus: bool| {
        let changed = if of_bureaus { bureaus.1 } else { limits.1 }.replacen(change.0, change.1, 1);
        assert!(changed != bureaus.1 && changed != limits.1, "{change:?}");
        let documents = if of_bureaus { [(bureaus.0, changed.as_str()), limits] } else { [bureaus, (limits.0, changed.as_str())] };
        DeskPolicy::parse(documents, arc()).unwrap_err().reason
    };
    assert!(refused(("code = \"gz-social-insurance\"", "code = \"gz-tax\""), true).contains("twice"));
    assert!(refused(("kind = \"SI_WAGE_BASE\"", "kind = \"VAT_GENERAL\""), true).contains("accepted twice"));
    assert!(refused(("\".1.1\"", "\"1.1.x\""), true).contains("object identifier"));
    assert!(refused(("\"root.pem\"", "\"../root.pem\""), true).contains("without a path"));
    assert!(refused(("anchors = [\"root.pem\"]", "anchors = []"), true).contains("at least one root"));
    assert!(refused(("hotline = \"12366\"", "hotline = \"call us\""), true).contains("telephone"));
    assert!(refused(("late = \"flag\"", "late = \"maybe\""), true).contains("maybe"));
    assert!(refused(("late = \"flag\"", "late = \"flag\"\ncalendar = \"../calendar-a.toml\""), true).contains("calendar-NAME.toml"));
    assert!(refused(("max_bytes = 104857600", "max_bytes = 104857601"), false).contains("104857600"));
    assert!(refused(("enterprise_bytes = 2147483648", "enterprise_bytes = 1"), false).contains("it is"));
    assert!(refused(("in_flight_bytes = 17179869184", "in_flight_bytes = 1"), false).contains("it is"));
    assert!(refused(("at_once_per_enterprise = 16\n", ""), false).contains("go together"));
    assert!(refused(("waiting_bytes = 1073741824", "waiting_bytes = 8388608"), false).contains("it is"));
    assert!(refused(("body_seconds = 30\n", ""), false).contains("go together"));
    assert!(refused(("bodies_per_enterprise = 4", "bodies_per_enterprise = 0"), false).contains("1 to"));
    assert!(refused(("rest_seconds = 120", "rest_seconds = 0"), false).contains("1 to"));
    assert!(refused(("days = 30", "days = 0"), false).contains("1 to 3650"));
    assert!(refused(("days = 30", "days = 30\n[[unnamed]]\nfrom = 2026-01-01\ndays = 60"), false).contains("later day"));
    assert!(refused(("from = 2026-01-01\ndays = 30", "from = 2026-01-01T00:00:00\ndays = 30"), false).contains("later day"));
    assert!(refused(("per_address = 120", "per_address = 0"), false).contains("1 to"));
    assert!(refused(("[patience]", "[patience]\nmore = 1"), false).contains("more"));
}

#[test]
fn a_document_from_before_verdicts_were_asked_for_has_their_limits_as_shipped() {
    let [bureaus, limits] = SHIPPED;
    let (before, rest) = limits.1.split_once("[verify]").unwrap();
    let without = format!("{before}{}", &rest[rest.find("[filing]").unwrap()..]);
    let (old, new) = (DeskPolicy::parse([bureaus, (limits.0, &without)], arc()).unwrap(), DeskPolicy::parse(SHIPPED, arc()).unwrap());
    assert_eq!((old.limits, old.limits.verify.per_address), (new.limits, 120));
    // And one from before uploads were counted.
    let without: String = limits.1.lines().filter(|line| !line.starts_with("at_once = 256") && !line.starts_with("at_once_per") && !line.starts_with("in_flight")).map(|line| format!("{line}\n")).collect();
    assert_eq!(DeskPolicy::parse([bureaus, (limits.0, &without)], arc()).unwrap().limits, new.limits);
    // And one from before files without a filing were removed.
    let without = limits.1.replacen("[[unnamed]]\nfrom = 2026-01-01\ndays = 30\n", "", 1).replacen("rest_seconds = 120\n", "", 1);
    assert_ne!(without, limits.1);
    let old = DeskPolicy::parse([bureaus, (limits.0, &without)], arc()).unwrap();
    assert_eq!((old.unnamed, old.limits), (new.unnamed, new.limits));
    // And one from before what waits was counted in octets.
    let without: String = limits.1.lines().filter(|line| !line.starts_with("waiting_bytes") && !line.starts_with("body_seconds") && !line.starts_with("bodies_per")).map(|line| format!("{line}\n")).collect();
    assert_eq!(DeskPolicy::parse([bureaus, (limits.0, &without)], arc()).unwrap().limits, new.limits);
}

#[test]
fn codes_of_bureaus() {
    for wrong in ["", "a", "1a", "Gz", "gz_tax", "gz tax", &"a".repeat(33)] {
        assert!(BureauCode::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(BureauCode::parse("gz-tax").unwrap().as_str(), "gz-tax");
}

#[test]
fn a_file_is_kept_by_the_days_that_held_when_it_came() {
    let [bureaus, limits] = SHIPPED;
    let text = limits.1.replacen("days = 30\n", "days = 30\n[[unnamed]]\nfrom = 2027-07-01\ndays = 10\n", 1);
    let unnamed = DeskPolicy::parse([bureaus, (limits.0, &text)], arc()).unwrap().unnamed;
    let days = |year, month: u8, day| unnamed.days(time::Date::from_calendar_date(year, month.try_into().unwrap(), day).unwrap());
    assert_eq!((days(2025, 1, 1), days(2027, 6, 30), days(2027, 7, 1), unnamed.least()), (30, 30, 10, 10));
}
