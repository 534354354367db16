//! The fields of a kind: what a value is, and within which bounds.

use std::fmt;

use serde::Deserialize;
use time::Date;
use time::macros::format_description;

use crate::identity::is_hidden;
use crate::statement::{Form, Money, Period, Rate, ValueError};

/// The most bytes of a text.
pub(super) const MAX_TEXT: u32 = 2_048;

/// A field of a row, in the order of the file's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its column.
    pub name: String,
    pub chinese: String,
    pub english: String,
    pub of: FieldType,
    /// An empty value stands for none.
    pub optional: bool,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    Text { max_bytes: u32 },
    Date,
    Month,
    Fen { min: Money, max: Money },
    Percent { min: Rate, max: Rate },
    Count { max: u32 },
    /// Code, Chinese and English.
    Code { codes: Vec<(String, String, String)> },
}

/// What a file's author writes there.
impl fmt::Display for FieldType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { max_bytes } => write!(formatter, "text of up to {max_bytes} bytes"),
            Self::Date => formatter.write_str("day, YYYY-MM-DD"),
            Self::Month => formatter.write_str("month, YYYYMM"),
            Self::Fen { min, max } => write!(formatter, "amount from {min} to {max}"),
            Self::Percent { min, max } => write!(formatter, "percent from {min} to {max}"),
            Self::Count { max } => write!(formatter, "whole number up to {max}"),
            Self::Code { codes } => {
                let codes: Vec<String> = codes.iter().map(|(code, chinese, english)| format!("{code} ({chinese} / {english})")).collect();
                write!(formatter, "one of {}", codes.join(", "))
            }
        }
    }
}

/// As a document writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenField {
    name: String,
    zh: String,
    en: String,
    #[serde(rename = "type")]
    of: String,
    #[serde(default)]
    optional: bool,
    min: Option<String>,
    max: Option<String>,
    max_bytes: Option<u32>,
    #[serde(default)]
    codes: Vec<WrittenCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCode {
    code: String,
    zh: String,
    en: String,
}

/// A word that people read: bounded, and nothing hidden in it.
pub(super) fn word(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=max).contains(&text.len()) && !text.chars().any(is_hidden);
    if fits { Ok(text.to_owned()) } else { Err(format!("it is empty, has more than {max} bytes, or has control characters")) }
}

/// Lower-case letters, digits and `joint`, a letter first, up to 32.
pub(super) fn name(text: &str, joint: u8) -> Option<String> {
    let fits = text.len() <= 32 && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    (fits && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)).then(|| text.to_owned())
}

impl WrittenField {
    pub(super) fn check(self) -> Result<Field, String> {
        let name = name(&self.name, b'_').ok_or_else(|| format!("{:?} is no name of a column; use lower-case letters, digits and underscores", self.name))?;
        let about = |reason: String| format!("field {name}: {reason}");
        let of = self.of().map_err(about)?;
        let (chinese, english) = (word(&self.zh, 120).map_err(about)?, word(&self.en, 120).map_err(about)?);
        Ok(Field { name, chinese, english, of, optional: self.optional })
    }

    fn of(&self) -> Result<FieldType, String> {
        let bounds = self.min.is_some() || self.max.is_some();
        let only = |takes_bounds: bool, takes_bytes: bool, takes_codes: bool| {
            let more = (bounds && !takes_bounds) || (self.max_bytes.is_some() && !takes_bytes) || (!self.codes.is_empty() && !takes_codes);
            if more { Err(format!("a field of type {} has no such bounds", self.of)) } else { Ok(()) }
        };
        let money = |text: &Option<String>, otherwise| text.as_deref().map_or(Ok(otherwise), |text| Money::parse(text).map_err(|error| error.to_string()));
        let rate = |text: &Option<String>, otherwise: &str| Rate::parse(text.as_deref().unwrap_or(otherwise)).map_err(|error| error.to_string());
        Ok(match self.of.as_str() {
            "text" => {
                only(false, true, false)?;
                let max_bytes = self.max_bytes.unwrap_or(240);
                if !(1..=MAX_TEXT).contains(&max_bytes) {
                    return Err(format!("max_bytes is 1 to {MAX_TEXT}"));
                }
                FieldType::Text { max_bytes }
            }
            "date" => only(false, false, false).map(|()| FieldType::Date)?,
            "month" => only(false, false, false).map(|()| FieldType::Month)?,
            "fen" => {
                only(true, false, false)?;
                let most = Money::from_fen(999_999_999_999_999_999).unwrap_or(Money::ZERO);
                let (min, max) = (money(&self.min, Money::ZERO)?, money(&self.max, most)?);
                if min > max { return Err("min is above max".to_owned()) }
                FieldType::Fen { min, max }
            }
            "percent" => {
                only(true, false, false)?;
                let (min, max) = (rate(&self.min, "0.00")?, rate(&self.max, "99.99")?);
                if min > max { return Err("min is above max".to_owned()) }
                FieldType::Percent { min, max }
            }
            "count" => {
                only(true, false, false)?;
                if self.min.is_some() { return Err("a count begins at nought; give max alone".to_owned()) }
                let max = self.max.as_deref().map_or(Some(u32::MAX), count).ok_or("max is no whole number")?;
                FieldType::Count { max }
            }
            "code" => {
                only(false, false, true)?;
                if self.codes.is_empty() || self.codes.len() > 100 { return Err("a code has 1 to 100 codes, each with zh and en".to_owned()) }
                let code = |code: &WrittenCode| Ok((word(&code.code, 32)?, word(&code.zh, 120)?, word(&code.en, 120)?));
                let codes: Vec<(String, String, String)> = self.codes.iter().map(code).collect::<Result<_, String>>()?;
                let twice = codes.iter().enumerate().any(|(at, (code, ..))| codes.iter().take(at).any(|(before, ..)| before == code));
                if twice { return Err("a code stands twice".to_owned()) }
                FieldType::Code { codes }
            }
            other => return Err(format!("{other:?} is no type; it is text, date, month, fen, percent, count or code")),
        })
    }
}

/// One to nine digits.
pub(super) fn count(text: &str) -> Option<u32> {
    let shaped = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| shaped)
}

impl Field {
    /// The value in its one form, and what a code means; the reason names no value.
    pub(super) fn read(&self, text: &str) -> Result<(String, Option<(String, String)>), String> {
        let shown = |error: ValueError| error.to_string();
        Ok(match &self.of {
            FieldType::Text { max_bytes } => (word(text, usize::try_from(*max_bytes).unwrap_or(0))?, None),
            FieldType::Date => {
                let date = Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|_| "it is no day; write YYYY-MM-DD".to_owned())?;
                if !(1900..=2999).contains(&date.year()) { return Err("it is a day of no year that is meant".to_owned()) }
                (text.to_owned(), None)
            }
            FieldType::Month => (Period::parse(text).map_err(shown)?.to_string(), None),
            FieldType::Fen { min, max } => {
                let money = Money::parse(text).map_err(shown)?;
                if !(*min..=*max).contains(&money) { return Err(format!("it is not within {min} and {max}")) }
                (money.to_string(), None)
            }
            FieldType::Percent { min, max } => {
                let rate = Rate::parse(text).map_err(shown)?;
                if !(*min..=*max).contains(&rate) { return Err(format!("it is not within {min} and {max}")) }
                (rate.to_string(), None)
            }
            FieldType::Count { max } => {
                let count = count(text).filter(|count| count <= max).ok_or_else(|| format!("it is no whole number up to {max}"))?;
                (count.to_string(), None)
            }
            FieldType::Code { codes } => {
                let (code, chinese, english) = codes.iter().find(|(code, ..)| code == text).ok_or_else(|| shown(ValueError::Code))?;
                (code.clone(), Some((chinese.clone(), english.clone())))
            }
        })
    }

    pub(super) fn form(&self) -> Form {
        match self.of {
            FieldType::Text { .. } => Form::Text,
            FieldType::Date => Form::Date,
            FieldType::Month => Form::Month,
            FieldType::Fen { .. } => Form::Amount,
            FieldType::Percent { .. } => Form::Rate,
            FieldType::Count { .. } => Form::Number,
            FieldType::Code { .. } => Form::Code,
        }
    }
}
