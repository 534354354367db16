//! A cell as its field writes it: what a spreadsheet does to dates, amounts, codes and numbers is undone where it has one
//! meaning. What has none stays as it stands, and the form's rules refuse it.

use policies::filing::{Choice, FieldKind};
use policies::identity::DocumentKind;

use crate::document::Value;

/// What is not the value that stood there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// A number that the spreadsheet rounded: what it was cannot be known.
    Rounded,
    /// A formula where a text belongs: never taken, so that no spreadsheet further on executes it.
    Formula,
}

impl Spoilt {
    /// What is wrong and what to do, Chinese and English.
    pub fn words(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Rounded => [
                ("电子表格把号码变成了科学计数，原号码已丢失", "请把该列设为“文本”格式后重新录入号码"),
                ("the spreadsheet made a number in scientific notation of it, and what it was is lost", "format the column as text and enter the number again"),
            ],
            Self::Formula => [
                ("此格是公式或以 =、+、-、@ 开头，不是文字", "请填写文字本身"),
                ("this cell is a formula or begins as one, with =, +, - or @, and no text", "enter the text itself"),
            ],
        }
    }
}

/// None for an empty cell.
pub(super) fn read(kind: &FieldKind, cell: &str) -> Result<Option<Value>, Spoilt> {
    let bare = bare(cell);
    if bare.is_empty() {
        return Ok(None);
    }
    let text = half_width(bare);
    let text = text.as_str();
    Ok(Some(match kind {
        FieldKind::Amount { .. } | FieldKind::Rate => Value::text(amount(text)),
        FieldKind::Integer { .. } => text.parse().map_or_else(|_| Value::text(text), Value::Integer),
        FieldKind::Boolean => match text.to_lowercase().as_str() {
            "是" | "true" | "yes" | "y" | "1" => Value::Boolean(true),
            "否" | "false" | "no" | "n" | "0" => Value::Boolean(false),
            _ => Value::text(text),
        },
        FieldKind::Date => Value::text(date(text).unwrap_or_else(|| text.to_owned())),
        FieldKind::Month => Value::text(month(text).unwrap_or_else(|| text.to_owned())),
        FieldKind::Choice(choices) => Value::text(choice(choices, text).unwrap_or(text)),
        FieldKind::Choices(choices) => {
            let parts = text.split(['、', ',', ';', '|', '/', ' ', '\n']).map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::text(choice(choices, part).unwrap_or(part))).collect())
        }
        FieldKind::DocumentType => Value::text(document_type(text)),
        FieldKind::DocumentNumber if is_scientific(text) => return Err(Spoilt::Rounded),
        FieldKind::DocumentNumber => Value::text(text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect::<String>()),
        FieldKind::Mobile if is_scientific(text) => return Err(Spoilt::Rounded),
        FieldKind::Mobile => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
            Value::text(digits.strip_prefix("+86").unwrap_or(&digits))
        }
        FieldKind::PersonName | FieldKind::Text { .. } if text.starts_with(['=', '+', '-', '@']) => return Err(Spoilt::Formula),
        // As it was written: names and free text are nobody's to change.
        FieldKind::PersonName | FieldKind::Text { .. } => Value::text(bare),
    }))
}

/// Without blanks around it, and without the marks by which spreadsheets are told that something is text: `'440…`, `="440…"`.
fn bare(cell: &str) -> &str {
    let text = cell.trim();
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.strip_prefix('\'').unwrap_or(text).trim()
}

/// Full-width letters, digits and signs as the half-width ones they stand for.
pub(super) fn half_width(text: &str) -> String {
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' | '\u{a0}' => ' ',
        _ => c,
    };
    text.chars().map(half).collect()
}

/// Two decimals, no thousands' commas. Commas anywhere else stay, and are refused.
fn amount(text: &str) -> String {
    let text = text.trim_start_matches(['¥', '￥']).trim_end_matches('元').trim_end_matches('%').trim();
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.trim_start_matches('-').split(',');
    let in_groups = groups.next().is_some_and(|first| (1..=3).contains(&first.len())) && groups.all(|group| group.len() == 3);
    let whole = if in_groups { whole.replace(',', "") } else { whole.to_owned() };
    match fraction {
        None => format!("{whole}.00"),
        Some(one) if one.len() == 1 => format!("{whole}.{one}0"),
        Some(other) => format!("{whole}.{other}"),
    }
}

/// The groups of digits of a date in Chinese order, of a form that has one meaning.
fn groups(text: &str) -> Option<Vec<&str>> {
    let marks = ['-', '/', '.', '年', '月', '日'];
    let parts: Vec<&str> = text.split(marks).map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())).then_some(parts)
}

/// `2026-11-03` of `2026/11/3`, `2026年11月3日`, `20261103`, also with a midnight behind it.
fn date(text: &str) -> Option<String> {
    let text = text.split_once(' ').filter(|(_, time)| time.bytes().all(|byte| matches!(byte, b'0' | b':'))).map_or(text, |(day, _)| day);
    match groups(text)?.as_slice() {
        [all] if all.len() == 8 => Some(format!("{}-{}-{}", all.get(..4)?, all.get(4..6)?, all.get(6..)?)),
        [year, month, day] if year.len() == 4 && month.len() <= 2 && day.len() <= 2 => Some(format!("{year}-{month:0>2}-{day:0>2}")),
        _ => None,
    }
}

/// `202611` of `2026-11`, `2026年11月`.
fn month(text: &str) -> Option<String> {
    match groups(text)?.as_slice() {
        [year, month] if year.len() == 4 && month.len() <= 2 => Some(format!("{year}{month:0>2}")),
        _ => None,
    }
}

/// By its code or its word, or by both as in `A01 新招用`.
fn choice<'a>(choices: &'a [Choice], text: &str) -> Option<&'a str> {
    let first = text.split([' ', '=']).next().unwrap_or(text);
    let is = |choice: &&Choice| [text, first].iter().any(|text| choice.code.eq_ignore_ascii_case(text)) || choice.zh == text || choice.en.eq_ignore_ascii_case(text);
    choices.iter().find(is).map(|choice| choice.code.as_str())
}

/// By its code, also where a spreadsheet dropped the nought before it, or by its name.
fn document_type(text: &str) -> &str {
    let named = |kind: &&DocumentKind| {
        let (zh, en) = kind.words();
        kind.code() == text || kind.code().strip_prefix('0') == Some(text) || zh == text || en.eq_ignore_ascii_case(text) || (**kind == DocumentKind::ResidentCard && text == "身份证")
    };
    DocumentKind::ALL.iter().find(named).map_or(text, |kind| kind.code())
}

/// `4.40105E+17`
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    exponent.strip_prefix('+').is_some_and(digits) && mantissa.split('.').all(digits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::filing::Filings;

    use super::*;

    fn kind_of(name: &str) -> FieldKind {
        let filings = Filings::shipped().unwrap();
        filings.kinds().iter().flat_map(|kind| kind.fields().to_vec()).find(|field| field.path.name() == name).unwrap().kind
    }

    #[test]
    fn what_spreadsheets_do_is_undone() {
        for (field, cell, expected) in [
            ("wage_month", "8000", "\"8000.00\""),
            ("wage_month", " 8,000.5 ", "\"8000.50\""),
            ("wage_month", "￥１２，３４５．６７", "\"12345.67\""),
            ("wage_month", "12,34", "\"12,34.00\""),
            ("wage_month", "1.234", "\"1.234\""),
            ("hire_date", "2026/11/3", "\"2026-11-03\""),
            ("hire_date", "2026年11月3日", "\"2026-11-03\""),
            ("hire_date", "20261103", "\"2026-11-03\""),
            ("hire_date", "2026-11-03 0:00:00", "\"2026-11-03\""),
            ("hire_date", "3/11/2026", "\"3/11/2026\""),
            ("hire_date", "46329", "\"46329\""),
            ("last_month", "2026-10", "\"202610\""),
            ("last_month", "202610", "\"202610\""),
            ("op", "增员", "\"ADD\""),
            ("op", "add", "\"ADD\""),
            ("reason", "A01 新招用", "\"A01\""),
            ("insurances", "110、210；310", "[\"110\",\"210\",\"310\"]"),
            ("insurances", "企业养老 失业", "[\"110\",\"210\"]"),
            ("id_type", "1", "\"01\""),
            ("id_type", "身份证", "\"01\""),
            ("id_no", "'44010218880808003x", "\"44010218880808003X\""),
            ("id_no", "=\"440105190003010052\"", "\"440105190003010052\""),
            ("mobile", "138 0000-0000", "\"13800000000\""),
            ("seq", "3", "3"),
            ("seq", "3.5", "\"3.5\""),
            ("employee_confirmed", "是", "true"),
        ] {
            let value = read(&kind_of(field), cell).unwrap().unwrap();
            assert_eq!(String::from_utf8(value.canonical()).unwrap(), expected, "{field} {cell}");
        }
        assert_eq!(read(&kind_of("id_no"), "4.40105E+17"), Err(Spoilt::Rounded));
        assert!(read(&kind_of("id_no"), " \u{3000}").unwrap().is_none());
    }

    #[test]
    fn a_formula_is_refused_as_what_it_is() {
        for cell in ["=cmd|' /C calc'!A0", "+1+1", "@SUM(1)", "=HYPERLINK(\"http://x\")", "＝1", "'=1"] {
            assert_eq!(read(&kind_of("name"), cell), Err(Spoilt::Formula), "{cell}");
        }
        assert_eq!(read(&kind_of("name"), "=\"测试甲\"").unwrap(), Some(Value::text("测试甲")));
    }
}
