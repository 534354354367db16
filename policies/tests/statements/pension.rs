//! P1 to P7.

use policies::statement::{Kind, Rule};

use super::Line;

const NAMES: [&str; 14] = [
    "uscc", "period", "base", "person_rate", "person_amt", "unit_rate", "unit_amt", "year_open", "open_interest", "ytd_credit",
    "ytd_interest", "close", "months_year", "months_actual",
];

fn line(listed: &str) -> Line {
    NAMES.iter().zip(listed.split(',')).fold(Line::new(Kind::Pension), |line, (name, value)| line.with(name, value))
}

/// The listing of the domain's reference, without its first column.
fn published() -> [Line; 5] {
    [
        "91440101MAT000018G,202605,8000.00,8.00,640.00,16.00,1280.00,52340.18,0.00,3200.00,0.00,55540.18,5,101",
        "91440101MAT000018G,202612,8000.00,8.00,640.00,16.00,1280.00,52340.18,785.10,7680.00,62.40,60867.68,12,108",
        "91440101MAT000018G,202605,5510.00,8.00,440.80,16.00,881.60,9872.40,0.00,2204.00,0.00,12076.40,5,41",
        "91440101MAT000026B,202605,27549.00,8.00,2203.92,16.00,4407.84,231508.77,0.00,11019.60,0.00,242528.37,5,187",
        "914401069876543001,202605,6733.00,8.00,538.64,16.00,1077.28,0.00,0.00,538.64,0.00,538.64,1,1",
    ]
    .map(line)
}

/// The same account one month earlier.
fn before(line: &Line) -> Line {
    let count = |name: &str| line.get(name).parse::<i64>().unwrap();
    let month = line.get("period")[4..].parse::<i64>().unwrap();
    let own = line.get("person_amt").replace('.', "").parse::<i64>().unwrap();
    line.clone()
        .with("period", &format!("2026{:02}", month - 1))
        .with("months_year", &(count("months_year") - 1).to_string())
        .with("months_actual", &(count("months_actual") - 1).to_string())
        .more("ytd_credit", -own)
}

#[test]
fn the_published_rows_keep_every_rule() {
    for line in published() {
        let judgement = line.judge(None);
        assert!(judgement.is_kept(), "{judgement:?}");
        assert_eq!(judgement.not_judged().map(|(rule, _)| rule).collect::<Vec<_>>(), [Rule::P3, Rule::P6]);
        let judgement = line.judge(Some(&before(&line).previous()));
        assert!(judgement.is_kept() && judgement.not_judged().next().is_none(), "{judgement:?}");
        assert_eq!(judgement.verdicts().len(), 7);
    }
}

#[test]
fn each_figure_changed_breaks_its_rules_and_no_other() {
    for (at, line) in published().into_iter().enumerate() {
        let december = at == 1;
        let previous = before(&line).previous();
        for (column, by, broken) in [
            ("base", 100, if at == 3 { "P2 P7" } else { "P2" }),
            ("base", -100, if at == 2 { "P2 P7" } else { "P2" }),
            ("person_rate", 1, "P2"),
            ("person_amt", 1, "P2 P3"),
            ("unit_rate", 1, "P2"),
            ("unit_amt", 1, "P2"),
            ("year_open", 1, "P1 P6"),
            ("open_interest", 1, if december { "P1" } else { "P1 P4" }),
            ("ytd_credit", 1, "P1 P3"),
            ("ytd_interest", 1, if december { "P1" } else { "P1 P4" }),
            ("transfer_in", 1, "P1"),
            ("transfer_out", 1, "P1"),
            ("payout", 1, "P1"),
            ("close", 1, "P1"),
        ] {
            assert_eq!(line.clone().more(column, by).broken(Some(&previous)), broken, "row {at}, {column}");
        }
        let months = |column: &str, by: i64| {
            let changed = line.get(column).parse::<i64>().unwrap() + by;
            line.clone().with(column, &changed.to_string()).broken(Some(&previous))
        };
        assert_eq!(months("months_year", 12), "P5");
        assert_eq!((months("months_actual", 1).as_str(), months("months_actual", -1).as_str()), ("P5", ""));
    }
}

#[test]
fn a_new_year_begins_with_the_close_of_december() {
    let [_, december, ..] = published();
    let january = december.clone().with("period", "202701").with("year_open", "60867.68").with("open_interest", "0.00");
    let january = january.with("ytd_interest", "0.00").with("ytd_credit", "640.00").with("close", "61507.68");
    let january = january.with("months_year", "1").with("months_actual", "109");
    assert_eq!(january.broken(Some(&december.previous())), "");
    assert_eq!(january.clone().more("year_open", 1).more("close", 1).broken(Some(&december.previous())), "P6");
    assert_eq!(january.more("ytd_credit", 64_000).more("close", 64_000).broken(Some(&december.previous())), "P3");
}

#[test]
fn months_paid_late_are_counted_with_their_credit() {
    let [may, ..] = published();
    let previous = before(&may).previous();
    let late = |months: i64, credit: i64| {
        let line = may.clone().more("ytd_credit", credit).more("close", credit);
        let count = line.get("months_actual").parse::<i64>().unwrap() + months;
        line.with("months_actual", &count.to_string()).broken(Some(&previous))
    };
    assert_eq!(late(2, 128_000), "");
    // More than two months at the cap can bring, months without their credit, credit without its months.
    assert_eq!(late(2, 2 * 220_392 + 1), "P3");
    assert_eq!(late(2, 0), "P5");
    assert_eq!(late(0, 64_000), "P3");
    // Nothing paid this month: it is not counted.
    let suspended = ["base", "person_rate", "person_amt", "unit_rate", "unit_amt"].iter().fold(may.clone(), |line, name| line.with(name, "0.00"));
    let suspended = suspended.with("status", "暂停").more("ytd_credit", -64_000).more("close", -64_000).with("months_actual", "100");
    let judgement = suspended.judge(Some(&previous));
    assert!(judgement.is_kept(), "{judgement:?}");
    assert_eq!(judgement.not_judged().map(|(rule, _)| rule).collect::<Vec<_>>(), [Rule::P7]);
    // One month paid late is one more month, credited with no more than the cap brings.
    let paid = |credit: i64| suspended.clone().with("months_actual", "101").more("ytd_credit", credit).more("close", credit).broken(Some(&previous));
    assert_eq!((paid(64_000).as_str(), paid(220_392).as_str(), paid(220_393).as_str()), ("", "", "P3"));
    assert_eq!(suspended.with("status", "参保缴费").broken(Some(&previous)), "P2 P7");
}

#[test]
fn interest_has_its_month_and_its_bound() {
    let [may, december, ..] = published();
    let more = |line: &Line, column: &str, by| line.clone().more(column, by).more("close", by).broken(None);
    assert_eq!(more(&may, "open_interest", 100), "P4");
    // At a transfer and at the end it comes in any month.
    let moved = may.clone().with("transfer_in", "1.00").more("close", 100);
    assert_eq!(more(&moved, "open_interest", 100), "");
    assert_eq!(more(&may.clone().with("status", "终止"), "ytd_interest", 100), "");
    // 52 340.18 at 1.5 percent are 785.10, half as much again 1 177.65.
    assert_eq!(more(&december, "open_interest", 39_000), "");
    assert_eq!(more(&december, "open_interest", 40_000), "P4");
    assert_eq!(more(&december, "ytd_interest", 11_100), "P4");
    // Before the first figures nothing is taken on trust.
    assert_eq!(may.with("period", "202305").broken(None), "P2 P4 P7");
}
