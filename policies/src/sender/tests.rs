#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use proptest::prelude::*;
use time::macros::date;

use super::*;
use crate::statement::{Recipient, SUPERSEDES};

const TODAY: time::Date = date!(2026 - 11 - 01);

fn shipped() -> LetterKinds {
    LetterKinds::parse(SHIPPED).unwrap()
}

/// A gas bill's fields in the order of its columns.
fn bill() -> Vec<&'static str> {
    vec!["GAS-1", "202610", "01", "440106189602290015", "陈秀英", "gas", "88001234", "120.50", "", "0.00", "-20.50", "100.00", "2026-11-20"]
}

fn columns(kind: &LetterKind) -> Vec<&str> {
    ["stmt_id", "period", "id_type", "id_no", "name"].into_iter().chain(kind.fields().iter().map(|field| field.name.as_str())).collect()
}

fn read(fields: &[&str]) -> Result<Letter, String> {
    let kinds = shipped();
    let kind = kinds.get("utility-bill").unwrap();
    let header = LetterHeader::parse(kind, &columns(kind), false).unwrap();
    header.record(fields)?.letter(kind, TODAY)
}

#[test]
fn a_row_is_read_and_judged_by_its_kind() {
    let kinds = shipped();
    let kind = kinds.get("utility-bill").unwrap();
    let letter = read(&bill()).unwrap();
    let values: Vec<(&str, &str)> = letter.figures.iter().map(|figure| (figure.key.as_str(), figure.value.as_str())).collect();
    assert_eq!(values, [("service", "gas"), ("account", "88001234"), ("usage_fee", "120.50"), ("arrears", "0.00"), ("credit", "-20.50"), ("due", "100.00"), ("pay_by", "2026-11-20")]);
    assert_eq!(letter.figures[0].meaning, Some(("燃气".into(), "gas".into())));
    assert_eq!(kind.judge(&letter.figures), None);
    let wrong = read(&{ let mut row = bill(); row[11] = "100.01"; row }).unwrap();
    assert_eq!(kind.judge(&wrong.figures).unwrap(), Broken { rule: "sum".into(), reason: "due is 100.01, but usage_fee, basic_fee, arrears, credit make 100.00".into() });
    let filled = kind.template().0.filled("2026年10月", &letter.figures, |figure| figure.meaning.as_ref().map_or(figure.value.clone(), |(chinese, _)| chinese.clone()));
    assert_eq!(filled[0], "您2026年10月的燃气账单：本期应缴 100.00，请在 2026-11-20 前缴清。");
    // Days and amounts must not fall.
    let tax = kinds.get("tax-notice").unwrap();
    let figure = |key: &str, value: &str| LetterFigure { key: key.into(), chinese: String::new(), english: String::new(), form: crate::statement::Form::Amount, value: value.into(), meaning: None };
    let of = |withheld, income| vec![figure("withheld", withheld), figure("income", income), figure("withheld_year", withheld)];
    assert_eq!((tax.judge(&of("9.00", "10.00")), tax.judge(&of("10.00", "9.00")).unwrap().rule), (None, "no-more-than-income".into()));
}

#[test]
fn what_is_no_row_is_told_without_its_values() {
    for (at, value, column) in [
        (0, "a b", "stmt_id"), (0, "x-440106189602290015", "stmt_id"), (1, "2026-10", "period"), (3, "440106189602290016", "id_no"), (4, "", "name"), (4, "陈\u{202e}", "name"),
        (5, "coal", "service"), (6, "", "account"), (6, "440106 18960229 0015", "account"), (7, "1e3", "usage_fee"), (7, "-1.00", "usage_fee"), (10, "0.01", "credit"),
        (11, "10000000.00", "due"), (12, "2026-02-30", "pay_by"), (12, "20.11.2026", "pay_by"), (12, "", "pay_by"),
    ] {
        let mut row = bill();
        row[at] = value;
        let told = read(&row).unwrap_err();
        assert!(told.contains(column) && (value.len() < 5 || !told.contains(value)), "{told}");
    }
    assert!(read(&bill()[1..]).is_err());
    let kinds = shipped();
    let kind = kinds.get("utility-bill").unwrap();
    let right = columns(kind);
    assert!(LetterHeader::parse(kind, &right[1..], false).is_err());
    assert!(LetterHeader::parse(kind, &[right.as_slice(), &["salary"]].concat(), false).is_err());
    assert!(LetterHeader::parse(kind, &[right.as_slice(), &["due"]].concat(), false).is_err());
    // Any order, and the column of corrections only where it corrects.
    let turned: Vec<&str> = right.iter().copied().chain([SUPERSEDES]).rev().collect();
    let fields: Vec<&str> = bill().into_iter().chain(["GAS-0"]).rev().collect();
    let letter = LetterHeader::parse(kind, &turned, true).unwrap().record(&fields).unwrap().letter(kind, TODAY).unwrap();
    assert_eq!((letter.figures, letter.supersedes.unwrap().as_str()), (read(&bill()).unwrap().figures, "GAS-0"));
    assert!(LetterHeader::parse(kind, &turned, false).is_err() && LetterHeader::parse(kind, &right, true).is_err());
    let institution = read(&{ let mut row = bill(); (row[2], row[3]) = ("uscc", "91440101MAT000018G"); row }).unwrap();
    assert!(matches!(institution.recipient, Recipient::Institution(_)));
}

#[test]
fn a_document_that_makes_no_sense_is_refused_with_its_reason() {
    let (file, text) = SHIPPED[4];
    for (from, to, reason) in [
        ("kind = \"utility-bill\"", "kind = \"pension\"", "already"),
        ("kind = \"utility-bill\"", "kind = \"Bill\"", "kind"),
        ("per_month = 8", "per_month = 0", "per_month"),
        ("name = \"account\"", "name = \"id_no\"", "taken"),
        ("name = \"account\"", "name = \"reason\"", "taken"),
        ("name = \"account\"", "name = \"service\"", "taken"),
        ("type = \"date\"", "type = \"day\"", "no type"),
        ("type = \"date\"", "type = \"date\"\nmax = \"1\"", "bounds"),
        ("min = \"-9999999.99\"", "min = \"1.00\"", "above"),
        ("max_bytes = 32", "max_bytes = 0", "max_bytes"),
        ("equals = \"due\"", "equals = \"service\"", "fen"),
        ("equals = \"due\"", "", "sum and equals"),
        ("total = \"due\"", "total = \"service\"", "total"),
        ("{pay_by}", "{payby}", "no field"),
        ("{pay_by}", "{pay_by", "closed"),
        ("{pay_by}", "pay_by}", "closes nothing"),
        ("title_en = \"Utility bill\"", "title_en = \"<b>Utility bill\"", "plain words"),
        ("addressee = \"person\"", "addressee = \"all\"", "addressee"),
        ("code = \"water\"", "code = \"gas\"", "twice"),
        ("consent = true", "consents = true", "consent"),
    ] {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let told = LetterKinds::parse([(file, wrong.as_str())]).unwrap_err().to_string();
        assert!(told.contains(reason) && told.starts_with("utility-bill.toml"), "{to}: {told}");
    }
    assert!(LetterKinds::parse([(file, text), ("again.toml", text)]).is_err());
    assert_eq!(LetterKinds::parse([]).unwrap().all().count(), 0);
}

proptest! {
    #[test]
    fn no_row_and_no_document_panics(fields in proptest::collection::vec("\\PC{0,40}|[0-9.-]{0,12}", 0..16), text in "\\PC{0,400}") {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let _ = (read(&fields), LetterKinds::parse([("x.toml", text.as_str())]));
    }

    /// Whatever amounts are sent, those that are taken add up to the fen.
    #[test]
    fn amounts_that_are_taken_add_up(usage in 0_i64..10_000_000, basic in 0_i64..10_000_000, credit in -10_000_000_i64..=0, off in -2_i64..=2) {
        let money = |fen: i64| crate::statement::Money::from_fen(fen).unwrap().to_string();
        let (due, kinds) = (usage + basic + credit + off, shipped());
        let texts = [money(usage), money(basic), money(credit), money(due)];
        let mut row = bill();
        (row[7], row[8], row[10], row[11]) = (&texts[0], &texts[1], &texts[2], &texts[3]);
        if let Ok(letter) = read(&row) {
            prop_assert_eq!(kinds.get("utility-bill").unwrap().judge(&letter.figures).is_none(), off == 0);
        } else {
            prop_assert!(due < 0);
        }
    }
}
