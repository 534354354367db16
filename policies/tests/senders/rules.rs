//! Every form of a rule that a policy can have, over every kind: right rows pass, and a row that is a fen or a day off is refused by
//! the rule that it breaks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use policies::sender::{Addressee, Field, FieldType, HEAD, LetterHeader, LetterKind, LetterKinds, SHIPPED};
use policies::statement::Money;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use time::Date;
use time::macros::date;

const TODAY: Date = date!(2026 - 11 - 01);
/// The largest amount that can be written, in fen.
const MOST: i64 = 999_999_999_999_999_999;

/// Rules of which the shipped kinds have none: one part, a total that may be left out, three in a row with one that may be.
const FORMS: &str = r#"
kind = "forms"
title_zh = "规则"
title_en = "Rules"
addressee = "person"
consent = false
per_month = 1
evidence = "logged"
retention_days = 1
template_zh = "规则"
template_en = "Rules"
fields = [
  { name = "one", zh = "一", en = "1", type = "fen", min = "-9999999999999999.99" },
  { name = "same", zh = "同", en = "2", type = "fen", min = "-9999999999999999.99" },
  { name = "part", zh = "部分", en = "3", type = "fen", optional = true },
  { name = "less", zh = "减", en = "4", type = "fen", min = "-9999999999999999.99", max = "0.00", optional = true },
  { name = "all", zh = "合计", en = "5", type = "fen", min = "-9999999999999999.99", optional = true },
  { name = "low", zh = "低", en = "6", type = "fen", min = "-9999999999999999.99" },
  { name = "middle", zh = "中", en = "7", type = "fen", min = "-9999999999999999.99", optional = true },
  { name = "high", zh = "高", en = "8", type = "fen", min = "-9999999999999999.99" },
  { name = "first", zh = "先", en = "9", type = "date" },
  { name = "then", zh = "后", en = "10", type = "date", optional = true },
  { name = "last", zh = "末", en = "11", type = "date" },
]
rules = [
  { name = "copy", sum = ["one"], equals = "same" },
  { name = "parts", sum = ["part", "less"], equals = "all" },
  { name = "amounts", ascend = ["low", "middle", "high"] },
  { name = "days", ascend = ["first", "then", "last"] },
]
"#;

#[derive(Clone, Debug)]
enum Asks {
    Sum(Vec<String>, String),
    Ascend(Vec<String>),
}

/// The rules of a kind, as it tells them.
fn rules(kind: &LetterKind) -> Vec<(String, Asks)> {
    let names = |text: &str, by: &str| text.split(by).map(str::to_owned).collect();
    let read = |told: String| {
        let (name, asks) = told.split_once(": ").unwrap();
        let asks = asks.split_once(" = ").map_or_else(|| Asks::Ascend(names(asks, " <= ")), |(of, is)| Asks::Sum(names(of, " + "), is.to_owned()));
        (name.to_owned(), asks)
    };
    kind.rules().map(read).collect()
}

/// Fen of each amount and number of each day; what is left out is not in it.
type Row = BTreeMap<String, i64>;

fn bounds(field: &Field) -> Option<(i64, i64)> {
    match &field.of {
        FieldType::Fen { min, max } => Some((min.fen(), max.fen())),
        FieldType::Date => Some((i64::from(date!(1900 - 01 - 01).to_julian_day()), i64::from(date!(2999 - 12 - 31).to_julian_day()))),
        _ => None,
    }
}

fn bounds_of(kind: &LetterKind, name: &str) -> (i64, i64) {
    bounds(kind.fields().iter().find(|field| field.name == name).unwrap()).unwrap()
}

/// Makes the totals what their parts are; none where a total has no room for it, or is left out and not nought.
fn added(kind: &LetterKind, mut row: Row) -> Option<Row> {
    for (_, asks) in rules(kind) {
        let Asks::Sum(of, is) = asks else { continue };
        let made: i128 = of.iter().filter_map(|name| row.get(name)).copied().map(i128::from).sum();
        let (min, max) = bounds_of(kind, &is);
        let made = i64::try_from(made).ok().filter(|made| (min..=max).contains(made))?;
        match row.get_mut(&is) {
            Some(total) => *total = made,
            None if made == 0 => {}
            None => return None,
        }
    }
    Some(row)
}

/// A row that keeps every rule of its kind.
fn right(kind: &LetterKind, raw: &[i64], left_out: &[bool]) -> Row {
    let mut row = Row::new();
    for ((field, raw), left_out) in kind.fields().iter().zip(raw).zip(left_out) {
        if let Some((min, max)) = bounds(field).filter(|_| !(field.optional && *left_out)) {
            let raw = if field.of == FieldType::Date { 2_461_000 + raw % 200 } else { *raw };
            row.insert(field.name.clone(), raw.clamp(min, max));
        }
    }
    // What no total has room for is nought, one part after the other.
    let parts: Vec<String> = rules(kind).into_iter().flat_map(|(_, asks)| if let Asks::Sum(of, _) = asks { of } else { Vec::new() }).collect();
    for part in &parts {
        if added(kind, row.clone()).is_none() {
            row.entry(part.clone()).and_modify(|fen| *fen = 0);
        }
    }
    row = added(kind, row).unwrap();
    for (_, asks) in rules(kind) {
        let Asks::Ascend(names) = asks else { continue };
        let mut least = i64::MIN;
        for name in names {
            least = *row.entry(name).and_modify(|value| *value = (*value).max(least)).or_insert(least);
        }
        row.retain(|_, value| *value != i64::MIN);
    }
    row
}

/// The rule that refuses the row, and none where it is right; nothing where its fields themselves are refused.
fn refused(kind: &LetterKind, row: &Row) -> Option<Option<String>> {
    let text = |field: &Field| match (&field.of, row.get(&field.name)) {
        (FieldType::Fen { .. }, value) => value.map(|fen| Money::from_fen(*fen).map_or_else(|| "x".to_owned(), |money| money.to_string())).unwrap_or_default(),
        (FieldType::Date, value) => value.map(|day| Date::from_julian_day(i32::try_from(*day).unwrap()).unwrap().to_string()).unwrap_or_default(),
        (FieldType::Text { .. }, _) => "甲".to_owned(),
        (FieldType::Month, _) => "202610".to_owned(),
        (FieldType::Percent { min, .. }, _) => min.to_string(),
        (FieldType::Count { .. }, _) => "3".to_owned(),
        (FieldType::Code { codes }, _) => codes.first().unwrap().0.clone(),
    };
    let who = match kind.addressee() {
        Addressee::Person => ["L-1", "202610", "01", "440106189602290015", "张伟"],
        Addressee::Institution => ["L-1", "202610", "uscc", "91440101MAT000018G", "广州示范有限公司"],
    };
    let names: Vec<&str> = HEAD.into_iter().chain(kind.fields().iter().map(|field| field.name.as_str())).collect();
    let values: Vec<String> = who.map(str::to_owned).into_iter().chain(kind.fields().iter().map(text)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let letter = LetterHeader::parse(kind, &names, false).unwrap().record(&values).unwrap().letter(kind, TODAY).ok()?;
    Some(kind.judge(&letter.figures).map(|broken| broken.rule))
}

/// Every way in which `by` breaks a rule and no other, by the name of the rule.
fn wrong(kind: &LetterKind, row: &Row, by: i64) -> Vec<(String, Row)> {
    let mut all = Vec::new();
    for (rule, asks) in rules(kind) {
        match asks {
            Asks::Sum(of, is) => {
                for name in of.iter().chain([&is]) {
                    let off = |by: i64| row.get(name).map(|fen| Row::from_iter(row.clone().into_iter().chain([(name.clone(), fen + by)])));
                    all.extend([by, -by].into_iter().filter_map(off).map(|row| (rule.clone(), row)));
                }
                // What is left out is nought.
                let without = |name: &String| Row::from_iter(row.clone().into_iter().filter(|(key, _)| key != name));
                all.extend(of.iter().chain([&is]).filter(|name| row.get(*name).is_some_and(|fen| *fen != 0)).map(|name| (rule.clone(), without(name))));
            }
            Asks::Ascend(names) => {
                let given: Vec<&String> = names.iter().filter(|name| row.contains_key(*name)).collect();
                for pair in given.windows(2) {
                    let [one, other] = pair else { continue };
                    let (low, high) = (bounds_of(kind, one), row[*other]);
                    let at = high + by;
                    // The first is above the second, by so much; sums that it is a part of follow.
                    let above = Row::from_iter(row.clone().into_iter().chain([((*one).clone(), at)]));
                    all.extend(added(kind, above).filter(|_| at <= low.1).map(|row| (rule.clone(), row)));
                }
            }
        }
    }
    all
}

#[test]
fn right_rows_pass_and_what_is_a_fen_or_a_day_off_is_refused_by_its_rule() {
    let kinds = LetterKinds::parse(SHIPPED.into_iter().chain([("forms.toml", FORMS)])).unwrap();
    let raw = prop_oneof![2 => Just(0_i64), 1 => Just(1_i64), 1 => Just(-1_i64), 1 => Just(MOST), 1 => Just(-MOST), 1 => Just(MOST - 1), 6 => -1_000_000..1_000_000_i64];
    let by = prop_oneof![3 => Just(1_i64), 1 => 1..1_000_i64];
    let rows = (prop::collection::vec(raw, 12), prop::collection::vec(prop::bool::weighted(0.3), 12), by);
    let met = RefCell::new(BTreeSet::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) };
    let each = |(raw, left_out, by): (Vec<i64>, Vec<bool>, i64)| {
        for kind in kinds.all() {
            let row = right(kind, &raw, &left_out);
            prop_assert_eq!(refused(kind, &row), Some(None), "{}: {:?}", kind.name(), row);
            for (rule, changed) in wrong(kind, &row, by) {
                // What its own field refuses never comes to a rule.
                let Some(found) = refused(kind, &changed) else { continue };
                prop_assert_eq!(found.as_ref(), Some(&rule), "{}: {:?}", kind.name(), changed);
                met.borrow_mut().insert((kind.name().to_owned(), rule));
            }
        }
        Ok(())
    };
    TestRunner::new(config).run(&rows, each).unwrap();
    let all: BTreeSet<_> = kinds.all().flat_map(|kind| rules(kind).into_iter().map(|(rule, _)| (kind.name().to_owned(), rule))).collect();
    assert_eq!(met.into_inner(), all, "no rule was left untried");
}
