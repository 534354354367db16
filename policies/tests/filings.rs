//! The shipped kinds of filing: their meaning, and the nonsense that is refused where it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use policies::filing::{FilingPeriod, Filings, KindName, SHIPPED_CALENDAR, SHIPPED_FIGURES, SHIPPED_KINDS};

/// `SUIYIN_GOLDEN=write cargo test -p policies` writes the file anew; read what changed before it is kept.
#[test]
fn the_meaning_of_the_shipped_kinds_is_the_one_we_agreed_to() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/filings/filings.txt");
    let resolved = Filings::shipped().unwrap().resolved();
    if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/filings")).unwrap();
        std::fs::write(path, &resolved).unwrap();
    }
    assert_eq!(resolved, std::fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn the_form_of_a_period_is_found() {
    let filings = Filings::shipped().unwrap();
    let (vat, october) = (KindName::parse("VAT_GENERAL").unwrap(), FilingPeriod::parse("202610").unwrap());
    let form = filings.current(&vat, october).unwrap();
    assert_eq!(form.form_version(), Some("2021-20"));
    assert_eq!(filings.kind(&vat, Some("2021-20")), Some(form));
    assert_eq!(filings.kind(&vat, None), None);
    assert!(filings.current(&vat, FilingPeriod::parse("2026").unwrap()).is_none());
    assert!(filings.current(&vat, FilingPeriod::parse("202212").unwrap()).is_none());
    assert_eq!(filings.deadline(form, october).unwrap().date.to_string(), "2026-11-16");
}

/// Each change makes a document that must be refused: what is replaced, by what, part of the reason.
#[test]
fn documents_that_make_no_sense() {
    let (file, text) = SHIPPED_KINDS.into_iter().find(|(file, _)| *file == "si-wage-base.toml").unwrap();
    for (from, to, why) in [
        ("from = \"2026\"\n", "", "from"),
        ("from = \"2026\"", "from = \"202601\"", "write a period"),
        ("from = \"2026\"", "from = \"2025\"", "$si_pension_floor is not known yet"),
        ("kind = \"SI_WAGE_BASE\"", "kind = \"si\"", "capitals"),
        ("deadline = \"si-year\"", "deadline = \"si-month\"", "no deadline of this name"),
        ("wage_total / months, 0.01)", "wage_total / month, 0.01)", "`month` is no field"),
        ("wage_total / months, 0.01)", "wage_total / months)", "`,` is missing"),
        ("wage_total / months, 0.01)", "wage_total / name, 0.01)", "a Number stands there, not a Text"),
        ("wage_avg = round(", "wage_avg + round(", "a condition says yes or no"),
        ("wage_avg = round(", "wage_avg = rounded(", "`rounded` is no function"),
        ("$si_pension_cap", "$si_pension_top", "no figure of figures.toml"),
        ("= sum(root.items, base)", "= sum(root.people, base)", "`people` is no list"),
        ("= sum(root.items, base)", "= root.items[].base", "is no path to one value"),
        ("check = \"employee_confirmed = true\"", "check = \"employee_confirmed = 1\"", "is not compared"),
        ("check = \"employee_confirmed = true\"", "check = \"employee_confirmed = true\"\nat_least = \"1\"", "a rule has a `check`"),
        ("check = \"employee_confirmed = true\"", "check = \"((((((((((((((((((((((((((true))))))))))))))))))))))))))\"", "more than 24 deep"),
        ("with = [\"items\", \"id_type\", \"id_no\"]", "with = [\"items\", \"id_type\"]", "is given 3 fields"),
        ("id = \"W2\"", "id = \"W3\"", "an id of its own"),
        ("name = \"months\"", "name = \"base\"", "stands above already"),
        ("min = 1\nmax = 12", "min = 13\nmax = 12", "min and max"),
        ("figures_at = \"effective_from\"", "figures_at = \"param_set\"", "type month"),
        ("in = [\"totals\"]", "in = [\"sums\"]", "no group and no list"),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let refused = Filings::parse([(file, changed.as_str())], SHIPPED_FIGURES, SHIPPED_CALENDAR).unwrap_err();
        assert!(refused.reason.contains(why), "{to}: {refused}");
        assert_eq!(refused.file, file);
    }
    let twice = Filings::parse([(file, text), (file, text)], SHIPPED_FIGURES, SHIPPED_CALENDAR).unwrap_err();
    assert!(twice.reason.contains("keep one"));
    for (from, to, why) in [("unit = \"rate\"", "unit = \"amount\"\n", ""), ("value = \"13.00\"", "value = \"13\"", "as its unit is"), ("from = \"201904\"", "from = \"2019\"", ""), ("source = \"placeholder", "source = \"\" #", "")] {
        let changed = SHIPPED_FIGURES.1.replacen(from, to, 1);
        assert_ne!(changed, SHIPPED_FIGURES.1);
        let read = Filings::parse(SHIPPED_KINDS, ("figures.toml", &changed), SHIPPED_CALENDAR);
        assert!(to.starts_with("unit") || read.unwrap_err().reason.contains(why), "{to}");
    }
}
