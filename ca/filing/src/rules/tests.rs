//! The three shipped kinds, judged: the examples of the domain, each rule broken, arithmetic at its edges.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use policies::filing::{Filings, SHIPPED_CALENDAR, SHIPPED_FIGURES};
use proptest::prelude::*;
use time::macros::date;

use super::*;

const TODAY: Date = date!(2026 - 11 - 29);
const VAT: &str = r#"{"general_month":{"l1":"1000000.00","l11":"130000.00","l12":"91000.00","l13":"5000.00","l14":"1000.00","l15":"0.00","l16":"0.00","l17":"95000.00","l18":"95000.00","l19":"35000.00","l20":"0.00","l21":"0.00","l23":"0.00","l24":"35000.00","l28":"0.00","l34":"35000.00","l39":"2450.00","l40":"1050.00","l41":"700.00"}}"#;
const STAFF: &str = r#"{"items":[{"seq":1,"op":"ADD","id_type":"01","id_no":"440105190003010052","name":"测试甲","household":"OTHER_PROVINCE","mobile":"13800000000","hire_date":"2026-11-03","contract":"FIXED","insurances":["110","210","310","410"],"wage_month":"8000.00","reason":"A01"},{"seq":2,"op":"REMOVE","id_type":"01","id_no":"44010218880808003X","name":"测试乙","leave_date":"2026-10-31","insurances":["110","210","310","410"],"last_month":"202610","reason":"R01"}],"totals":{"add":1,"remove":1}}"#;
const WAGE: &str = r#"{"effective_from":"202607","param_set":"GD-SI-2026","items":[{"id_type":"01","id_no":"440105190003010052","name":"测试甲","wage_total":"102000.00","months":12,"wage_avg":"8500.00","base":"8500.00","employee_confirmed":true}],"totals":{"persons":1,"wage_total":"102000.00","base_sum":"8500.00"}}"#;

fn filing(kind: &str, period: &str, payload: &str) -> Filing {
    let version = if kind == "VAT_GENERAL" { r#""form_version":"2021-20","# } else { "" };
    let text = format!(
        r#"{{"attachments":[],"filing_id":"00000000000000000000000001",{version}"kind":"{kind}","payload":{payload},"period":"{period}","revision":1,"signer_role":"operator","uscc":"91440101MAT000018G"}}"#
    );
    Filing::from_value(Value::parse(text.as_bytes()).unwrap()).unwrap()
}

fn value(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap()
}

fn judged(kind: &str, period: &str, payload: &str, history: &History<'_>) -> Judgement {
    let (filing, filings) = (filing(kind, period, payload), Filings::shipped().unwrap());
    let whole = judge(&filing, &filings, history, TODAY);
    // First without what was filed before, as the desk does, it comes to the same.
    let alone = judge(&filing, &filings, &History { staff: history.staff, ..History::default() }, TODAY);
    assert_eq!(judge_by_more(&filing, &filings, history, TODAY, alone), whole);
    whole
}

/// Rule and field of each failure.
fn told(judgement: &Judgement) -> Vec<(&str, &str)> {
    judgement.failures.iter().map(|failure| (failure.rule.as_str(), failure.field.as_str())).collect()
}

#[test]
fn the_examples_of_the_domain_are_kept() {
    for (kind, period, payload, not_judged) in [("VAT_GENERAL", "202610", VAT, &["V13"][..]), ("SI_STAFF_CHANGE", "202611", STAFF, &["S4"]), ("SI_WAGE_BASE", "2026", WAGE, &["W3"])] {
        let judgement = judged(kind, period, payload, &History::default());
        assert!(judgement.is_kept() && judgement.notes.is_empty(), "{kind}: {:?}", judgement.failures);
        assert_eq!(judgement.not_judged.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), not_judged);
    }
}

#[test]
fn each_relation_of_the_return_is_judged_and_says_what_it_asks_for() {
    for (from, to, expected) in [
        (r#""l17":"95000.00""#, r#""l17":"95000.01""#, &[("V17", "/payload/general_month/l17"), ("V18", "/payload/general_month/l18"), ("V20", "/payload/general_month/l20")][..]),
        (r#""l1":"1000000.00""#, r#""l1":"1000000.00","l2":"1000000.01""#, &[("V1", "/payload/general_month/l1")]),
        (r#""l39":"2450.00""#, r#""l39":"2450.01""#, &[("V39", "/payload/general_month/l39")]),
        (r#""l41":"700.00""#, r#""l41":"0.00""#, &[("V41", "/payload/general_month/l41")]),
        (r#""l24":"35000.00","#, "", &[("V24", "/payload/general_month/l24"), ("V34", "/payload/general_month/l34")]),
        (r#""l28":"0.00""#, r#""l28":"1000.00""#, &[("V27", "/payload/general_month/l27"), ("V34", "/payload/general_month/l34")]),
        (r#""l28":"0.00","l34":"35000.00","l39":"2450.00","l40":"1050.00","l41":"700.00""#, r#""l28":"35000.00","l34":"0.00","l39":"0.00","l40":"0.00","l41":"0.00""#, &[("V27", "/payload/general_month/l27")]),
        (r#""l1":"1000000.00""#, r#""l1":"1000000""#, &[("SHAPE", "/payload/general_month/l1")]),
        (r#""l1":"1000000.00""#, r#""l1":1000000"#, &[("SHAPE", "/payload/general_month/l1")]),
        (r#""l1":"1000000.00""#, r#""l1":"01000000.00""#, &[("SHAPE", "/payload/general_month/l1")]),
        (r#""l1":"1000000.00""#, r#""l1":"-1.00""#, &[("SHAPE", "/payload/general_month/l1")]),
        (r#""l1":"1000000.00""#, r#""l1":"100000000000000.00""#, &[("SHAPE", "/payload/general_month/l1")]),
        (r#""l1":"1000000.00""#, r#""l42":"1.00""#, &[("SHAPE", "/payload/general_month/l42")]),
        ("{\"general_month\"", "{\"surcharge_relief\":\"50.01\",\"general_month\"", &[("V39", "/payload/general_month/l39"), ("V40", "/payload/general_month/l40"), ("V41", "/payload/general_month/l41"), ("V42", "/payload/surcharge_relief")]),
    ] {
        assert!(VAT.contains(from), "{from}");
        let judgement = judged("VAT_GENERAL", "202610", &VAT.replacen(from, to, 1), &History::default());
        assert_eq!(told(&judgement), expected, "{to}");
    }
    let judgement = judged("VAT_GENERAL", "202610", &VAT.replacen("95000.00", "95000.01", 1), &History::default());
    let failure = &judgement.failures[0];
    assert_eq!((failure.expected.as_deref(), failure.found.as_deref()), (Some("95000.00"), Some("95000.01")));
    assert!(failure.title.starts_with("第17栏") && failure.zh.contains("12+13") && !failure.next.is_empty() && !failure.next_en.is_empty());
    assert_eq!(told(&judged("VAT_GENERAL", "202212", VAT, &History::default()))[0], ("ENVELOPE", "/period"));
    assert_eq!(told(&judged("VAT_SMALL", "202610", VAT, &History::default())), [("ENVELOPE", "/kind")]);
    assert_eq!(told(&judged("VAT_GENERAL", "202610", "{}", &History::default())), [("SHAPE", "/payload/general_month")]);
    // A return of a month in which nothing happened.
    assert!(judged("VAT_GENERAL", "202610", r#"{"general_month":{}}"#, &History::default()).is_kept());
}

#[test]
fn the_month_before_and_the_months_of_the_year_are_compared_with() {
    let (september, other) = (value(r#"{"general_month":{"l1":"1.00","l20":"5000.00"}}"#), value(r#"{"general_month":{"l1":"2.00","l20":"4999.99"}}"#));
    let history = History { previous: Some(&september), ..History::default() };
    assert!(judged("VAT_GENERAL", "202610", VAT, &history).not_judged.is_empty());
    let history = History { previous: Some(&other), ..History::default() };
    let judgement = judged("VAT_GENERAL", "202610", VAT, &history);
    assert_eq!((told(&judgement), judgement.failures[0].expected.as_deref()), (vec![("V13", "/payload/general_month/l13")], Some("4999.99")));
    // The year's column adds the months up.
    let year = |l1: &str| VAT.replacen("{\"general_month\"", &format!(r#"{{"general_year":{{"l1":"{l1}","l11":"130000.00","l12":"91000.00","l14":"1000.00","l18":"95000.00","l19":"35000.00","l24":"35000.00"}},"general_month""#), 1);
    let months = [&september, &other];
    let history = History { months: Some(&months), ..History::default() };
    assert_eq!(told(&judged("VAT_GENERAL", "202610", &year("1000003.00"), &history)), []);
    assert_eq!(told(&judged("VAT_GENERAL", "202610", &year("1000000.00"), &history)), [("VY-l1", "/payload/general_year/l1")]);
}

#[test]
fn sales_by_rate_agree_within_what_rounding_makes() {
    let with = |t13: &str| VAT.replacen("{\"general_month\"", &format!(r#"{{"sales_by_rate":{{"s13":"1000000.00","t13":"{t13}"}},"general_month""#), 1);
    assert!(judged("VAT_GENERAL", "202610", &with("130000.00"), &History::default()).is_kept());
    assert_eq!(told(&judged("VAT_GENERAL", "202610", &with("130100.00"), &History::default())), [("VR2", "/payload/sales_by_rate/t13")]);
    assert_eq!(told(&judged("VAT_GENERAL", "202610", &with("130100.01"), &History::default())), [("VR2", "/payload/sales_by_rate/t13"), ("VR3-13", "/payload/sales_by_rate/t13")]);
}

#[test]
fn staff_changes_broken_one_by_one() {
    for (from, to, expected) in [
        ("440105190003010052", "440105190003010053", &[("S1", "/payload/items/0/id_no")][..]),
        ("44010218880808003X", "440105190003010052", &[("S3", "/payload/items/1/id_no")]),
        (r#""mobile":"13800000000","#, "", &[("S5-mobile", "/payload/items/0/mobile")]),
        (r#""mobile":"13800000000","#, r#""mobile":"12800000000","#, &[("SHAPE", "/payload/items/0/mobile")]),
        (r#""leave_date":"2026-10-31","#, "", &[("S6-leave_date", "/payload/items/1/leave_date")]),
        (r#""reason":"A01""#, r#""reason":"R01""#, &[("S7", "/payload/items/0/reason")]),
        ("2026-11-03", "2026-11-30", &[("S8", "/payload/items/0/hire_date")]),
        ("2026-11-03", "2026-11-31", &[("SHAPE", "/payload/items/0/hire_date")]),
        ("202610", "202612", &[("S11", "/payload/items/1/last_month")]),
        (r#""add":1"#, r#""add":2"#, &[("S12", "/payload/totals/add")]),
        (r#""remove":1"#, r#""remove":0"#, &[("S13", "/payload/totals/remove")]),
        (r#"["110","210","310","410"]"#, r#"["110","110"]"#, &[("SHAPE", "/payload/items/0/insurances")]),
        (r#"["110","210","310","410"]"#, r#"["111"]"#, &[("SHAPE", "/payload/items/0/insurances")]),
        (r#""seq":1,"#, "", &[("SHAPE", "/payload/items/0/seq")]),
    ] {
        assert!(STAFF.contains(from), "{from}");
        let judgement = judged("SI_STAFF_CHANGE", "202611", &STAFF.replacen(from, to, 1), &History::default());
        assert_eq!(told(&judgement), expected, "{to}");
        let text = serde_json::to_string(&judgement).unwrap();
        assert!(!text.contains("44010519000301005") && !text.contains("测试"), "{text}");
    }
    assert_eq!(told(&judged("SI_STAFF_CHANGE", "202610", STAFF, &History::default())), [("S10", "/payload/items")]);
    // Late is told of and no reason to refuse: the thirtieth day is the last in time.
    for (hired, notes) in [("2026-10-30", 0), ("2026-10-29", 1)] {
        let judgement = judged("SI_STAFF_CHANGE", "202611", &STAFF.replacen("2026-11-03", hired, 1), &History::default());
        assert!(judgement.is_kept());
        assert_eq!(judgement.notes.len(), notes, "{hired}");
    }
    assert_eq!(told(&judged("SI_STAFF_CHANGE", "202611", r#"{"items":[],"totals":{"add":0,"remove":0}}"#, &History::default())), [("SHAPE", "/payload/items")]);
}

#[test]
fn nobody_is_hired_before_sixteen() {
    // Born on the day; no living person has the number.
    for (born, hired, kept) in [("20101129", "2026-11-29", true), ("20101130", "2026-11-29", false)] {
        let seventeen = format!("440105{born}005");
        let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        let sum: u32 = seventeen.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).unwrap() * weight).sum();
        let number = format!("{seventeen}{}", "10X98765432".chars().nth(usize::try_from(sum % 11).unwrap()).unwrap());
        let payload = STAFF.replacen("440105190003010052", &number, 1).replacen("2026-11-03", hired, 1);
        let judgement = judged("SI_STAFF_CHANGE", "202611", &payload, &History::default());
        assert_eq!(told(&judgement), if kept { vec![] } else { vec![("S2", "/payload/items/0/id_no")] });
    }
}

#[test]
fn who_is_insured_here_is_known_from_what_was_filed() {
    let filings = Filings::shipped().unwrap();
    let change = filing("SI_STAFF_CHANGE", "202611", STAFF);
    let kind = filings.kind(change.kind(), None).unwrap();
    let mut staff = Staff::whole([]);
    let broken = |staff: &Staff, payload: &str| {
        let judgement = judged("SI_STAFF_CHANGE", "202611", payload, &History { staff: Some(staff), ..History::default() });
        told(&judgement).iter().map(|(rule, field)| format!("{rule} {field}")).collect::<Vec<_>>()
    };
    // Nobody is insured: one cannot leave.
    assert_eq!(broken(&staff, STAFF), ["S4 /payload/items/1/id_no"]);
    let both = STAFF.replacen("REMOVE", "ADD", 1);
    staff.follow(kind, &value(&both), TODAY);
    assert_eq!(staff.len(), 2);
    // Both are: one cannot join again.
    assert_eq!(broken(&staff, STAFF), ["S4 /payload/items/0/id_no"]);
    // The same person under another writing of the number.
    assert_eq!(broken(&staff, &STAFF.replacen("44010218880808003X", "44010218880808003x", 1)), ["S4 /payload/items/0/id_no"]);
    let wages = |staff: &Staff| {
        let judgement = judged("SI_WAGE_BASE", "2026", WAGE, &History { staff: Some(staff), ..History::default() });
        told(&judgement).iter().map(|(rule, field)| format!("{rule} {field}")).collect::<Vec<_>>()
    };
    assert_eq!(wages(&staff), ["W3 /payload/items"]);
    staff.follow(kind, &value(STAFF), TODAY);
    assert_eq!(staff.len(), 1);
    assert_eq!(wages(&staff), Vec::<String>::new());
    assert_eq!(wages(&Staff::whole([])), ["W3 /payload/items/0/id_no"]);
    // A rejected filing is taken out again: who left by it is insured, who joined is not.
    staff.undo(kind, &value(STAFF), TODAY);
    assert_eq!(broken(&staff, STAFF), Vec::<String>::new());
}

/// Followed filing by filing from a day on, it knows of some people and of nobody else.
#[test]
fn what_is_not_known_of_the_staff_is_not_judged() {
    let filings = Filings::shipped().unwrap();
    let change = filing("SI_STAFF_CHANGE", "202611", STAFF);
    let kind = filings.kind(change.kind(), None).unwrap();
    let judged = |staff: &Staff, payload: &str| {
        let judgement = judged("SI_STAFF_CHANGE", "202611", payload, &History { staff: Some(staff), ..History::default() });
        (told(&judgement).iter().map(|(rule, field)| format!("{rule} {field}")).collect::<Vec<_>>(), judgement.not_judged.iter().map(|one| one.rule.clone()).collect::<Vec<_>>())
    };
    let mut staff = Staff::default();
    assert_eq!(judged(&staff, STAFF), (vec![], vec!["S4".to_owned()]));
    staff.follow(kind, &value(STAFF), TODAY);
    // Who joined cannot join again, and who left cannot leave again: both are known.
    assert_eq!(judged(&staff, STAFF), (vec!["S4 /payload/items/0/id_no".to_owned(), "S4 /payload/items/1/id_no".to_owned()], vec![]));
    let back = STAFF.replacen("REMOVE", "ADD", 1).replacen("ADD", "REMOVE", 1);
    assert!(judged(&staff, &back).0.iter().all(|failure| !failure.starts_with("S4")));
    // Rejected, it told nothing: neither that who joined is not insured nor that who left is.
    let mut undone = staff.clone();
    undone.undo(kind, &value(STAFF), TODAY);
    assert_eq!(judged(&undone, STAFF), (vec![], vec!["S4".to_owned()]));
    assert_eq!((judged(&undone, &back).1, undone.len()), (vec!["S4".to_owned()], 0));
    // Whether that is everybody nobody knows.
    let wages = crate::rules::judge(&filing("SI_WAGE_BASE", "2026", WAGE), &filings, &History { staff: Some(&staff), ..History::default() }, TODAY);
    assert!(wages.not_judged.iter().any(|one| one.rule == "W3"));
    // It is kept as it is, and read back.
    let kept: Staff = serde_json::from_slice(&serde_json::to_vec(&staff).unwrap()).unwrap();
    assert_eq!(judged(&kept, STAFF), judged(&staff, STAFF));
}

#[test]
fn wages_broken_one_by_one() {
    for (from, to, expected) in [
        (r#""wage_avg":"8500.00""#, r#""wage_avg":"8500.01""#, &[("W4", "/payload/items/0/wage_avg")][..]),
        (r#""base":"8500.00""#, r#""base":"8501.00""#, &[("W5", "/payload/items/0/base"), ("W6A-unemployment", "/payload/items/0/base_unemployment"), ("W6A-medical", "/payload/items/0/base_medical"), ("W6A-injury", "/payload/items/0/base_injury"), ("W11", "/payload/totals/base_sum")]),
        (r#""base":"8500.00""#, r#""base":"8500.00","base_medical":"8499.00""#, &[("W6-medical", "/payload/items/0/base_medical")]),
        ("true", "false", &[("W7", "/payload/items/0/employee_confirmed")]),
        (r#""months":12"#, r#""months":13"#, &[("SHAPE", "/payload/items/0/months")]),
        ("202607", "202707", &[("W8", "/payload/effective_from")]),
        (r#""persons":1"#, r#""persons":2"#, &[("W9", "/payload/totals/persons")]),
        (r#""base_sum":"8500.00""#, r#""base_sum":"8500.10""#, &[("W11", "/payload/totals/base_sum")]),
    ] {
        assert!(WAGE.contains(from), "{from}");
        assert_eq!(told(&judged("SI_WAGE_BASE", "2026", &WAGE.replacen(from, to, 1), &History::default())), expected, "{to}");
    }
    // A figure that is not known and numbers that cannot be computed with are failures: nothing passes unjudged for them.
    let early = judged("SI_WAGE_BASE", "2026", &WAGE.replacen("202607", "202506", 1), &History::default());
    assert!(told(&early).contains(&("W5", "/payload/items/0/base")) && early.failures.iter().any(|failure| failure.zh.contains("尚未公布")), "{early:?}");
    assert_eq!(early.not_judged.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), ["W3"]);
    assert_eq!(told(&judged("SI_WAGE_BASE", "2025", &WAGE.replacen("202607", "202507", 1), &History::default())), [("ENVELOPE", "/period")]);
    // 1000.00 a month: no base is the pension floor but that of medicine, and those that differ are given.
    let low = |given: &str| WAGE.replace("102000.00", "12000.00").replace(r#""base":"8500.00""#, &format!(r#""base":"5510.00"{given}"#)).replace(r#""base_sum":"8500.00""#, r#""base_sum":"5510.00""#).replace("8500.00", "1000.00");
    let both = [("W6A-unemployment", "/payload/items/0/base_unemployment"), ("W6A-injury", "/payload/items/0/base_injury")];
    assert_eq!(told(&judged("SI_WAGE_BASE", "2026", &low(""), &History::default())), both);
    assert_eq!(told(&judged("SI_WAGE_BASE", "2026", &low(r#","base_unemployment":"2500.00","base_injury":"2500.00""#), &History::default())), []);
}

/// A kind that is only a document: no code knows of it.
#[test]
fn a_new_kind_is_a_document() {
    let text = r#"
kind = "WATER_USE"
title = "用水"
title_en = "water"
policies = [".1.9"]
roles = ["operator"]
period = "month"
from = "202601"
revisions = "replace"
deadline = "tax-month"
max_attachments = 0
[[list]]
path = "meters"
zh = "水表"
en = "meters"
min = 1
max = 9
[[field]]
in = ["meters[]"]
name = "used"
type = "integer"
min = 0
max = 1000
zh = "用量"
en = "used"
[[field]]
name = "total"
type = "integer"
min = 0
max = 9000
zh = "合计"
en = "total"
[[rule]]
id = "T1"
check = "total = sum(root.meters, used) and count(root.meters, used > 900) < 2"
zh = "合计"
en = "total"
next = "改"
next_en = "mend"
"#;
    let filings = Filings::parse([("water.toml", text)], SHIPPED_FIGURES, SHIPPED_CALENDAR).unwrap();
    let judged = |payload: &str| judge(&filing("WATER_USE", "202610", payload), &filings, &History::default(), TODAY).is_kept();
    assert!(judged(r#"{"meters":[{"used":1000},{"used":900}],"total":1900}"#));
    assert!(!judged(r#"{"meters":[{"used":1000},{"used":901}],"total":1901}"#));
    assert!(!judged(r#"{"meters":[{"used":1}],"total":2}"#));
}

fn people(count: usize) -> String {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let item = |at: usize| {
        let seventeen = format!("440105{}0101{:03}", 1890 + at / 999, at % 999 + 1);
        let sum: u32 = seventeen.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).unwrap() * weight).sum();
        let check = "10X98765432".chars().nth(usize::try_from(sum % 11).unwrap()).unwrap();
        format!(
            r#"{{"seq":{},"op":"ADD","id_type":"01","id_no":"{seventeen}{check}","name":"测试甲","mobile":"13800000000","hire_date":"2026-11-03","contract":"FIXED","insurances":["110","210","310","410"],"wage_month":"8000.00","reason":"A01"}}"#,
            at + 1
        )
    };
    format!(r#"{{"items":[{}],"totals":{{"add":{count},"remove":0}}}}"#, (0..count).map(item).collect::<Vec<_>>().join(","))
}

#[test]
fn ten_thousand_people_are_judged_at_once() {
    let filings = Filings::shipped().unwrap();
    let filing = filing("SI_STAFF_CHANGE", "202611", &people(10_000));
    let began = std::time::Instant::now();
    let judgement = judge(&filing, &filings, &History::default(), TODAY);
    println!("10,000 people judged in {:?}", began.elapsed());
    assert!(judgement.is_kept(), "{:?}", judgement.failures.first());
    // All of them wrong: every one is told, as many as are told at all.
    let wrong = people(10_000).replace("138000", "038000").replace("FIXED", "FIX");
    let judgement = judged("SI_STAFF_CHANGE", "202611", &wrong, &History::default());
    assert_eq!((judgement.failures.len(), judgement.left_out), (MAX_TOLD, 10_000));
}

fn yuan(fen: i64) -> String {
    format!("{}{}.{:02}", if fen < 0 { "-" } else { "" }, fen.abs() / 100, fen.abs() % 100)
}

proptest! {
    /// A return computed by hand in fen is kept; a fen more on any line that a rule computes is not.
    #[test]
    fn a_return_is_kept_to_the_fen(output in 0_i64..10_i64.pow(15), input in 0_i64..10_i64.pow(15), carried in 0_i64..10_i64.pow(15), paid in 0_i64..10_i64.pow(14), wrong in 0_usize..8) {
        let credits = input + carried;
        let used = credits.min(output);
        let tax = output - used;
        let due = tax - paid;
        let share = |rate: i64| (due.max(0) * rate + 50) / 100;
        let mut lines = vec![("l17", credits), ("l18", used), ("l19", tax), ("l20", credits - used), ("l24", tax), ("l34", due), ("l39", share(7)), ("l40", share(3)), ("l41", share(2)), ("l11", output), ("l12", input), ("l13", carried), ("l28", paid), ("l27", paid)];
        let payload = |lines: &[(&str, i64)]| format!(r#"{{"general_month":{{{}}}}}"#, lines.iter().map(|(name, fen)| format!(r#""{name}":"{}""#, yuan(*fen))).collect::<Vec<_>>().join(","));
        let judgement = judged("VAT_GENERAL", "202610", &payload(&lines), &History::default());
        prop_assert!(judgement.is_kept(), "{:?}", judgement.failures);
        lines[wrong].1 += 1;
        prop_assert!(!judged("VAT_GENERAL", "202610", &payload(&lines), &History::default()).is_kept());
    }

    /// Average and base as whole numbers have it: half up, then floor and cap.
    #[test]
    fn a_base_is_the_rounded_average_within_its_band(total in 0_i64..50_000_000, months in 1_i64..=12) {
        let average = (2 * total + months) / (2 * months);
        let base = ((2 * total + 100 * months) / (200 * months)).clamp(5_510, 27_549) * 100;
        let other = |floor: i64| yuan(((2 * total + 100 * months) / (200 * months)).clamp(floor, 45_000) * 100);
        let others = format!(r#""base_unemployment":"{0}","base_injury":"{0}","base_medical":"{1}","base""#, other(2_500), other(5_510));
        let payload = |base: i64| WAGE
            .replace("102000.00", &yuan(total)).replace("\"months\":12", &format!("\"months\":{months}"))
            .replace("\"wage_avg\":\"8500.00\"", &format!("\"wage_avg\":\"{}\"", yuan(average))).replace("8500.00", &yuan(base)).replacen("\"base\"", &others, 1);
        let judgement = judged("SI_WAGE_BASE", "2026", &payload(base), &History::default());
        prop_assert!(judgement.is_kept(), "{:?}", judgement.failures);
        prop_assert!(!judged("SI_WAGE_BASE", "2026", &payload(base + 100), &History::default()).is_kept());
    }
}
