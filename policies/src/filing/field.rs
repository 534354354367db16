//! What a form asks for: fields, and the groups and lists they stand in.

use std::fmt;

use crate::document::named;

use super::ratio::Ratio;

/// Where a field stands in the payload: `general_month.l1`, `items[].id_no`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Member(String),
    /// Every item of a list.
    Each,
}

const MOST_STEPS: usize = 8;

impl Path {
    /// Members with dots between; `[]` after one means each item of it. The empty text is the payload.
    pub fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let (name, each) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
            let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !(1..=40).contains(&name.len()) || !letters {
                return None;
            }
            steps.push(Step::Member(name.to_owned()));
            if each {
                steps.push(Step::Each);
            }
        }
        (steps.len() <= MOST_STEPS).then_some(Self(steps))
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// The last member's name.
    pub fn name(&self) -> &str {
        self.0.iter().rev().find_map(|step| if let Step::Member(name) = step { Some(name.as_str()) } else { None }).unwrap_or_default()
    }

    pub fn has_lists(&self) -> bool {
        self.0.contains(&Step::Each)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at > 0 => write!(formatter, ".{name}")?,
                Step::Member(name) => formatter.write_str(name)?,
                Step::Each => formatter.write_str("[]")?,
            }
        }
        Ok(())
    }
}

/// An object within the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub path: Path,
    pub zh: String,
    pub en: String,
    pub optional: bool,
}

/// A list of objects. `path` is of the list, without its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub path: Path,
    pub zh: String,
    pub en: String,
    pub min: usize,
    pub max: usize,
}

/// One value that a form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub path: Path,
    pub kind: FieldKind,
    pub zh: String,
    pub en: String,
    pub optional: bool,
    /// What rules take it for when it is left out.
    pub absent: Option<Ratio>,
}

/// A value's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Yuan as a text with two decimals, of at most so many digits before the point.
    Amount { digits: u8, negative: bool },
    /// Percent as a text with two decimals.
    Rate,
    Integer { min: i64, max: i64 },
    /// At most so many characters.
    Text { max: usize },
    /// `2026-11-03`
    Date,
    /// `202611`
    Month,
    Boolean,
    Choice(Vec<Choice>),
    /// Some of them, each once, at least one.
    Choices(Vec<Choice>),
    /// A code of JGJ/T 320, as [`crate::identity::DocumentKind`] has them.
    DocumentType,
    DocumentNumber,
    PersonName,
    /// A mobile number of the mainland.
    Mobile,
}

named! {
    /// How a policy document names a field's form.
    FieldWord {
        Amount = "amount",
        Rate = "rate",
        Integer = "integer",
        Text = "text",
        Date = "date",
        Month = "month",
        Boolean = "boolean",
        Choice = "choice",
        Choices = "choices",
        DocumentType = "document-type",
        DocumentNumber = "document-number",
        PersonName = "person-name",
        Mobile = "mobile",
    }
}

/// One of the values a field may have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub code: String,
    pub zh: String,
    pub en: String,
}

impl FieldKind {
    /// Whether the value tells of a person and is never shown whole.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::DocumentNumber | Self::PersonName | Self::Mobile)
    }

    /// What a value of it looks like, Chinese and English.
    pub fn form(&self) -> (String, String) {
        let codes = |choices: &[Choice], zh: bool| choices.iter().map(|choice| format!("{}={}", choice.code, if zh { &choice.zh } else { &choice.en })).collect::<Vec<_>>().join(if zh { "、" } else { ", " });
        match self {
            Self::Amount { digits, negative: false } => (format!("金额，元，写成文字，两位小数，不为负，整数部分至多 {digits} 位，如 \"12.50\""), format!("an amount in yuan as a text with two decimals, not negative, at most {digits} digits before the point, as \"12.50\"")),
            Self::Amount { digits, negative: true } => (format!("金额，元，写成文字，两位小数，可为负，整数部分至多 {digits} 位，如 \"-12.50\""), format!("an amount in yuan as a text with two decimals, which may be negative, at most {digits} digits before the point, as \"-12.50\"")),
            Self::Rate => ("百分比，写成文字，两位小数，如 \"8.00\"".into(), "percent as a text with two decimals, as \"8.00\"".into()),
            Self::Integer { min, max } => (format!("整数，{min} 至 {max}"), format!("a whole number from {min} to {max}")),
            Self::Text { max } => (format!("文字，1 至 {max} 字"), format!("a text of 1 to {max} characters")),
            Self::Date => ("日期，如 \"2026-11-03\"".into(), "a day, as \"2026-11-03\"".into()),
            Self::Month => ("月份，如 \"202611\"".into(), "a month, as \"202611\"".into()),
            Self::Boolean => ("true 或 false".into(), "true or false".into()),
            Self::Choice(choices) => (format!("其中之一：{}", codes(choices, true)), format!("one of: {}", codes(choices, false))),
            Self::Choices(choices) => (format!("其中若干，不重复：{}", codes(choices, true)), format!("some of, each once: {}", codes(choices, false))),
            Self::DocumentType => ("证件类型，01 至 07 或 99（01 居民身份证）".into(), "a document type, 01 to 07 or 99 (01 resident identity card)".into()),
            Self::DocumentNumber => ("证件号码，写成文字".into(), "the document's number, as a text".into()),
            Self::PersonName => ("姓名，与证件一致".into(), "the name, as on the document".into()),
            Self::Mobile => ("手机号码，11 位".into(), "a mobile number of 11 digits".into()),
        }
    }
}

/// All that a form asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schema {
    pub groups: Vec<Group>,
    pub lists: Vec<List>,
    pub fields: Vec<Field>,
}

impl Schema {
    pub fn field(&self, path: &Path) -> Option<&Field> {
        self.fields.iter().find(|field| field.path == *path)
    }

    pub fn index(&self, path: &Path) -> Option<usize> {
        self.fields.iter().position(|field| field.path == *path)
    }

    pub fn list(&self, path: &Path) -> Option<&List> {
        self.lists.iter().find(|list| list.path == *path)
    }

    /// Whether a path ends at an object: the payload, a group, an item of a list.
    pub fn is_scope(&self, path: &Path) -> bool {
        match path.0.split_last() {
            None => true,
            Some((Step::Each, list)) => self.lists.iter().any(|known| known.path.0 == list),
            Some((Step::Member(_), _)) => self.groups.iter().any(|group| group.path == *path),
        }
    }
}
