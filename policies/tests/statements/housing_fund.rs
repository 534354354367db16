//! V1 to V8.

use policies::statement::{Kind, Rule, Verdict};

use super::Line;

const NAMES: [&str; 18] = [
    "acct_no", "unit_acct_no", "period", "base", "unit_rate", "person_rate", "unit_amt", "person_amt", "month_amt", "open_bal", "paid_in",
    "backpay", "withdraw", "interest", "close_bal", "carry_bal", "cur_bal", "status",
];

fn line(listed: &str) -> Line {
    NAMES.iter().zip(listed.split(',')).fold(Line::new(Kind::HousingFund), |line, (name, value)| line.with(name, value))
}

/// The listing of the domain's reference, rates as files carry them.
fn published() -> [Line; 5] {
    [
        "GJJ000000000001,DW0000001,202605,12000.00,10.00,10.00,1200.00,1200.00,2400.00,66000.00,2400.00,0.00,0.00,0.00,68400.00,42000.00,26400.00,01",
        "GJJ000000000001,DW0000001,202606,12000.00,10.00,10.00,1200.00,1200.00,2400.00,68400.00,2400.00,0.00,0.00,864.00,71664.00,71664.00,0.00,01",
        "GJJ000000000002,DW0000001,202605,6733.00,5.00,5.00,336.65,336.65,673.30,10170.27,673.30,0.00,2000.00,0.00,8843.57,6150.37,2693.20,01",
        "GJJ000000000003,DW0000002,202605,27500.00,12.00,12.00,3300.00,3300.00,6600.00,209400.00,6600.00,6600.00,80000.00,0.00,142600.00,70000.00,72600.00,01",
        "GJJ000000000004,DW0000003,202605,5000.00,5.00,5.00,250.00,250.00,500.00,3120.55,0.00,0.00,0.00,0.00,3120.55,3120.55,0.00,02",
    ]
    .map(line)
}

#[test]
fn the_published_rows_keep_every_rule() {
    let lines = published();
    for line in &lines {
        let judgement = line.judge(None);
        assert!(judgement.is_kept(), "{judgement:?}");
        let not_judged: Vec<_> = judgement.not_judged().collect();
        assert_eq!(not_judged, [(Rule::V7, "the month before is not at hand")]);
        assert_eq!(judgement.verdicts().len(), 8);
    }
    let june = lines[1].judge(Some(&lines[0].previous()));
    assert!(june.verdicts().iter().all(|(_, verdict)| *verdict == Verdict::Kept), "{june:?}");
    // Another month than the one before says nothing.
    assert!(lines[1].judge(Some(&lines[1].previous())).not_judged().any(|(rule, _)| rule == Rule::V7));
}

#[test]
fn each_figure_changed_breaks_its_rules_and_no_other() {
    for (at, line) in published().into_iter().enumerate() {
        let june = line.get("period") == "202606";
        let sealed = line.get("status") == "02";
        let before = line.clone().with("period", if june { "202605" } else { "202604" }).with("close_bal", line.get("open_bal")).previous();
        for (column, by, broken) in [
            ("base", 100, "V3"),
            ("unit_amt", 1, "V3"),
            ("person_amt", 1, "V3"),
            ("month_amt", 1, "V3"),
            ("unit_rate", 1, if at == 3 { "V3 V4" } else { "V3" }),
            ("person_rate", -1, if matches!(at, 2 | 4) { "V3 V4" } else { "V3" }),
            ("open_bal", 1, "V1 V7"),
            ("paid_in", 1, if sealed { "V1 V8" } else { "V1" }),
            ("backpay", 1, "V1"),
            ("transfer_in", 1, "V1"),
            ("withdraw", 1, "V1"),
            ("transfer_out", 1, "V1"),
            ("interest", 1, if june { "V1" } else { "V1 V6" }),
            ("adjust", 1, "V1"),
            ("adjust", -1, "V1"),
            ("close_bal", 1, "V1 V2"),
            ("carry_bal", 1, "V2"),
            ("cur_bal", 1, "V2"),
        ] {
            assert_eq!(line.clone().more(column, by).broken(Some(&before)), broken, "row {at}, {column}");
        }
    }
}

#[test]
fn bounds_and_statuses() {
    let [may, june, _, _, sealed] = published();
    let base = |base: &str, each: &str, both: &str| {
        may.clone().with("base", base).with("unit_amt", each).with("person_amt", each).with("month_amt", both).broken(None)
    };
    assert_eq!(base("45000.00", "4500.00", "9000.00"), "");
    assert_eq!(base("45000.10", "4500.01", "9000.02"), "V5");
    assert_eq!(base("999.90", "99.99", "199.98"), "V5");
    // Interest of June up to one and a half times a year's: 71 664 at 1.5 percent are 1 074.96.
    let interest = |more| june.clone().more("interest", more).more("close_bal", more).more("carry_bal", more).broken(None);
    assert_eq!(interest(70_000), "");
    assert_eq!(interest(90_000), "V6");
    // With a correction interest may come in any month.
    let corrected = |adjust| may.clone().more("interest", 100).more("adjust", adjust).more("close_bal", 100 + adjust).more("carry_bal", 100 + adjust);
    assert_eq!(corrected(0).broken(None), "V6");
    assert_eq!(corrected(-50).broken(None), "");
    // Closed: empty, and interest is paid with it.
    let closed = |status: &str, left: &str, withdrawn: &str| {
        let line = may.clone().with("status", status).with("paid_in", "0.00").with("interest", "100.00").with("withdraw", withdrawn);
        line.with("close_bal", left).with("carry_bal", left).with("cur_bal", "0.00").broken(None)
    };
    for status in ["03", "04", "05"] {
        assert_eq!(closed(status, "0.00", "66100.00"), "");
        assert_eq!(closed(status, "100.00", "66000.00"), "V8");
    }
    assert_eq!(closed("06", "0.00", "66100.00"), "V6");
    // A sealed account without a base is not held to the bounds; a paying one is.
    let empty = |line: &Line| {
        ["base", "unit_rate", "person_rate", "unit_amt", "person_amt", "month_amt"].iter().fold(line.clone(), |line, name| line.with(name, "0.00"))
    };
    let judgement = empty(&sealed).judge(None);
    assert!(judgement.is_kept());
    assert_eq!(judgement.not_judged().map(|(rule, _)| rule.code()).collect::<Vec<_>>(), ["V4", "V5", "V7"]);
    assert_eq!(empty(&may).broken(None), "V4 V5");
    // Before the first figures nothing is known, so nothing is taken on trust.
    assert_eq!(may.with("period", "201512").with("paid_to", "201512").broken(None), "V3 V4 V5 V6");
}

#[test]
fn reasons_carry_the_figures() {
    let [may, ..] = published();
    let judgement = may.more("close_bal", 1).judge(None);
    let reasons: Vec<_> = judgement.broken().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
    assert_eq!(
        reasons,
        ["V1: close_bal is 68400.01, but the movements make 68400.00", "V2: close_bal is 68400.01, but carry_bal and cur_bal make 68400.00"]
    );
}
