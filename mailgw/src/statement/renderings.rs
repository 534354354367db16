//! A figure in text, HTML, JSON and PDF is one value rendered four times: of statements and of every kind that a policy defines.

use std::collections::HashMap;

use policies::sender::{Addressee, Field, FieldType, HEAD, LetterFigure, LetterHeader, LetterKinds, SHIPPED};
use policies::statement::{Form, Kind};
use proptest::prelude::*;
use proptest::string::string_regex;

use super::samples::{any, recipient, sender};
use super::tests::{AT, Read, letter_of, read, run, spoken};
use super::*;

/// What stands behind each name in the text.
fn lines(text: &str) -> HashMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(": ")).collect()
}

/// The cell beside each heading.
fn cells(html: &str) -> HashMap<String, String> {
    let row = |row: &str| {
        let (heading, cell) = row.split_once("<td")?;
        let cell = format!("<td{}", cell.split_once("</td>")?.0);
        Some((spoken(&format!("<tr{heading}")), spoken(&cell)))
    };
    html.split("<tr").skip(1).filter_map(row).collect()
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a PDF from the top down: what stands at the left margin, and what stands in the column of values.
fn rows(pdf: &[u8]) -> Vec<(String, String)> {
    let (mut rows, mut height): (Vec<(String, String)>, _) = (Vec::new(), String::new());
    let file = String::from_utf8_lossy(pdf);
    for shown in file.lines().filter_map(|line| line.strip_prefix("BT /F1 ")) {
        let words: Vec<&str> = shown.split(' ').collect();
        let [_, "Tf", x, y, "Td", hex, ..] = words.as_slice() else { panic!("{shown}") };
        let hex = hex.trim_matches(['<', '>']);
        let units: Vec<u16> = (0..hex.len() / 4).map(|at| u16::from_str_radix(&hex[4 * at..4 * at + 4], 16).unwrap()).collect();
        let text = String::from_utf16(&units).unwrap();
        match (*x, *y) {
            // The foot of the page.
            ("48", "48") => continue,
            ("48", _) => rows.push((text, String::new())),
            (_, same) if same == height => rows.last_mut().unwrap().1 = text,
            _ => rows.push((String::new(), text)),
        }
        height = (*y).to_owned();
    }
    rows
}

/// Whether the page shows these names in this order, and beside each its value, whole.
fn stand_on_the_page(pdf: &[u8], figures: &[(String, String)]) -> Result<(), TestCaseError> {
    let rows = rows(pdf);
    let mut at = 0;
    for (name, value) in figures {
        // The one character of the samples that the font has not.
        let drawn = |text: &str| text.replace('𠅤', "〓");
        let (name, value) = (drawn(name), drawn(value));
        let begins = |(left, right): &(String, String)| !left.is_empty() && !right.is_empty() && name.starts_with(left.as_str()) && value.starts_with(right.as_str());
        let Some(found) = rows.iter().skip(at).position(begins) else { return Err(TestCaseError::fail(format!("{name}: {value} is not on the page"))) };
        at += found;
        let (mut left, mut right) = (String::new(), String::new());
        while left != name || right != value {
            prop_assert!(at < rows.len() && name.starts_with(&left) && value.starts_with(&right), "{}: {} is {}: {} on the page", name, value, left, right);
            left.push_str(&rows[at].0);
            right.push_str(&rows[at].1);
            at += 1;
        }
    }
    Ok(())
}

/// From what people read back to what programs read, by another way than the one that wrote it.
fn again(form: Form, said: &str) -> String {
    match form {
        Form::Amount => said.strip_suffix(" 元").unwrap().replace(',', ""),
        Form::Rate => said.strip_suffix('%').unwrap().to_owned(),
        Form::Count => said.strip_suffix(" 个月").unwrap().to_owned(),
        Form::Month => {
            let (year, month) = said.trim_end_matches('月').split_once('年').unwrap();
            format!("{year}{month:0>2}")
        }
        Form::Date => {
            let (year, rest) = said.trim_end_matches('日').split_once('年').unwrap();
            let (month, day) = rest.split_once('月').unwrap();
            format!("{year}-{month:0>2}-{day:0>2}")
        }
        Form::Text | Form::Number | Form::Code => said.to_owned(),
    }
}

fn plain(json: &serde_json::Value) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// Every type of field, with and without a value: what the shipped kinds have none of, too.
const EVERY: &str = r#"
kind = "every"
title_zh = "各类字段"
title_en = "Every type"
addressee = "institution"
consent = false
per_month = 1
evidence = "logged"
retention_days = 1
template_zh = "{note} {amount} {rate} {from}"
template_en = "{note} {amount} {rate} {from}"
fields = [
  { name = "amount", zh = "金额", en = "Amount", type = "fen", min = "-9999999999999999.99" },
  { name = "rate", zh = "比率", en = "Rate", type = "percent" },
  { name = "from", zh = "自", en = "From", type = "month" },
  { name = "day", zh = "日期", en = "Day", type = "date", optional = true },
  { name = "count", zh = "数", en = "Count, of things; which is a name that is wider than the page has room for", type = "count" },
  { name = "note", zh = "附注", en = "Note", type = "text", max_bytes = 2048, optional = true },
  { name = "other", zh = "其他金额", en = "No. 2, an amount", type = "fen", optional = true },
]
"#;

/// A value of a field, at its edges as often as between them.
fn value(field: &Field) -> BoxedStrategy<String> {
    let value = match &field.of {
        FieldType::Text { max_bytes } => {
            // A character of these has up to four bytes.
            let more = usize::try_from(*max_bytes / 4).unwrap().saturating_sub(2);
            let one = "[㐂䶮𠅤<>&\"'=.:A-Za-z一-十]";
            string_regex(&format!("[A-Za-z:<>&]|{one}|{one}([㐂䶮𠅤<>&\"'=.: A-Za-z一-十]{{0,{more}}}甲)?")).unwrap().prop_filter("it fits", {
                let most = usize::try_from(*max_bytes).unwrap();
                move |text| text.len() <= most
            }).boxed()
        }
        FieldType::Date => (1900..=2999_u32, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}")).boxed(),
        FieldType::Month => (1900..=2999_u32, 1..=12_u32).prop_map(|(year, month)| format!("{year}{month:02}")).boxed(),
        FieldType::Fen { min, max } => {
            let (min, max) = (min.fen(), max.fen());
            let near = prop_oneof![Just(min), Just(max), Just(min + 1), Just(max - 1), Just(0_i64), Just(1_i64), Just(-1_i64), min..=max, -100_000_000..100_000_000_i64];
            near.prop_map(move |fen| Money::from_fen(fen.clamp(min, max)).unwrap().to_string()).boxed()
        }
        FieldType::Percent { min, max } => {
            let (min, max) = (min.hundredths(), max.hundredths());
            prop_oneof![Just(min), Just(max), min..=max].prop_map(|rate| format!("{}.{:02}", rate / 100, rate % 100)).boxed()
        }
        FieldType::Count { max } => {
            let max = (*max).min(999_999_999);
            prop_oneof![Just(0), Just(max), 0..=max].prop_map(|count| count.to_string()).boxed()
        }
        FieldType::Code { codes } => prop::sample::select(codes.iter().map(|(code, ..)| code.clone()).collect::<Vec<_>>()).boxed(),
    };
    if field.optional { prop_oneof![1 => Just(String::new()), 3 => value].boxed() } else { value }
}

fn kinds() -> LetterKinds {
    LetterKinds::parse(SHIPPED.into_iter().chain([("every.toml", EVERY)])).unwrap()
}

/// A message of any kind, with any figures, whether they keep its rules or not.
fn letters() -> impl Strategy<Value = (String, Letter)> {
    let all: Vec<_> = kinds().all().cloned().collect();
    prop::sample::select(all).prop_flat_map(|kind| {
        let values: Vec<_> = kind.fields().iter().map(value).collect();
        (Just(kind), values)
    }).prop_map(|(kind, values)| {
        let who = match kind.addressee() {
            Addressee::Person => ["L-1", "202610", "01", "440106189602290015", "张伟"],
            Addressee::Institution => ["L-1", "202610", "uscc", "91440101MAT000018G", "广州示范科技有限公司"],
        };
        let names: Vec<&str> = HEAD.into_iter().chain(kind.fields().iter().map(|field| field.name.as_str())).collect();
        let values: Vec<&str> = who.into_iter().chain(values.iter().map(String::as_str)).collect();
        let letter = LetterHeader::parse(&kind, &names, false).unwrap().record(&values).unwrap().letter(&kind, AT.date()).unwrap();
        (kind.name().to_owned(), letter)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_four_renderings_of_a_statement_say_the_same(row in any()) {
        let entity = entity(&row, &sender(row.kind()), &recipient(), AT, &Beside::default());
        let Read { text, html, json } = read(&message(&entity, b"signature"));
        let (lines, cells) = (lines(&text), cells(&html));
        let mut figures = row.figures();
        figures.iter_mut().filter(|figure| figure.key == "name").for_each(|figure| figure.value = row.head().name.masked());
        prop_assert_eq!(json.as_object().unwrap().len(), figures.len() + 1);
        for figure in &figures {
            let label = format!("{} {}", figure.zh, figure.en);
            let said = lines[label.as_str()];
            prop_assert_eq!(one_space(said), cells[&label].as_str(), "{}", label);
            let plain = plain(&json[figure.key]);
            prop_assert_eq!(&plain, &figure.value);
            if figure.form != Form::Code {
                prop_assert_eq!(again(figure.form, said), plain, "{}", label);
            }
        }
        // Each name that the text has, the page has, in the same order; some stand twice.
        let named = |(name, value): (&str, &str)| figures.iter().any(|figure| format!("{} {}", figure.zh, figure.en) == name).then(|| (name.to_owned(), value.to_owned()));
        let shown: Vec<_> = text.lines().filter_map(|line| line.split_once(": ")).filter_map(named).collect();
        prop_assert!(shown.len() >= figures.len());
        stand_on_the_page(&paper(entity.bytes()).unwrap(), &shown)?;
    }

    #[test]
    fn the_four_renderings_of_a_kind_of_a_policy_say_the_same((name, sent) in letters()) {
        let kinds = kinds();
        let entity = letter(kinds.get(&name).unwrap(), &sent, &sender(Kind::Pension), &recipient(), AT, None);
        let Read { text, html, json } = read(&message(&entity, b"signature"));
        let (lines, cells) = (lines(&text), cells(&html));
        // A field without a value stands nowhere.
        prop_assert_eq!((json.as_object().unwrap().len(), cells.len()), (sent.figures.len() + 3, sent.figures.len()));
        let mut shown = Vec::new();
        for figure @ LetterFigure { key, form, value, meaning, .. } in &sent.figures {
            let label = format!("{} {}", figure.chinese, figure.english);
            let said = lines[label.as_str()];
            prop_assert_eq!(one_space(said), cells[&label].as_str(), "{}", label);
            prop_assert_eq!(&plain(&json[key]), value);
            prop_assert_eq!(json[key].is_number(), *form == Form::Number);
            match meaning {
                Some((chinese, english)) => prop_assert_eq!(said, format!("{chinese} {english}")),
                None => prop_assert_eq!(&again(*form, said), value, "{}", label),
            }
            // A name that reads as a sentence is set as one, with its value behind it: `paper::pieces`.
            if label.contains('.') || label.chars().count() > 60 {
                let page: String = rows(&paper(entity.bytes()).unwrap()).into_iter().map(|(left, _)| left).collect();
                let whole = format!("{label}: {said}");
                prop_assert!(page.contains(&whole), "{}", whole);
            } else {
                shown.push((label, said.to_owned()));
            }
        }
        stand_on_the_page(&paper(entity.bytes()).unwrap(), &shown)?;
    }
}

/// The same by another program's reading of the page, once for each kind.
#[test]
fn pdftotext_finds_every_figure_of_a_letter() {
    let directory = tempfile::tempdir().unwrap();
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    for kind in LetterKinds::parse(SHIPPED).unwrap().all() {
        let sent = letter_of(kind);
        let entity = letter(kind, &sent, &sender(Kind::Pension), &recipient(), AT, None);
        std::fs::write(directory.path().join("p.pdf"), paper(entity.bytes()).unwrap()).unwrap();
        let page = dense(&run("pdftotext", &["-layout", "-enc", "UTF-8", "p.pdf", "-"], directory.path()));
        let Read { text, .. } = read(&message(&entity, b"signature"));
        for figure in &sent.figures {
            let label = format!("{} {}", figure.chinese, figure.english);
            let beside = dense(&format!("{label}{}", lines(&text)[label.as_str()]));
            assert!(page.contains(&beside), "{}: {beside} is not in {page}", kind.name());
        }
    }
}
