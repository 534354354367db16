//! The words that a filing's envelope is made of.

use std::fmt;

use crate::document::named;
use crate::statement::Period;

/// The name of a kind of filing: capitals, digits and underscores, at most 32, as `VAT_GENERAL`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindName(String);

impl KindName {
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let fits = (1..=32).contains(&text.len()) && letters && text.starts_with(|c: char| c.is_ascii_uppercase());
        fits.then(|| Self(text.to_owned()))
    }

    /// As people type it: `vat-general`.
    pub fn parse_typed(text: &str) -> Option<Self> {
        if text.len() > 32 { None } else { Self::parse(&text.to_ascii_uppercase().replace('-', "_")) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people type it.
    pub fn typed(&self) -> String {
        self.0.to_ascii_lowercase().replace('_', "-")
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

named! {
    /// In which role somebody signs for an enterprise.
    Role {
        LegalRepresentative = "legal-representative",
        Operator = "operator",
        Agent = "agent",
    }
}

impl Role {
    pub const ALL: [Self; 3] = [Self::LegalRepresentative, Self::Operator, Self::Agent];

    /// Chinese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LegalRepresentative => ("法定代表人", "legal representative"),
            Self::Operator => ("经办人", "operator"),
            Self::Agent => ("代理", "agent"),
        }
    }
}

named! {
    /// What a kind's period is.
    PeriodForm {
        Month = "month",
        Year = "year",
    }
}

/// The month or the year that a filing is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilingPeriod {
    Year(u16),
    Month(Period),
}

impl FilingPeriod {
    /// `202610` or `2026`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 6 {
            return Period::parse(text).ok().map(Self::Month);
        }
        let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|year| digits && *year >= 1).map(Self::Year)
    }

    pub fn form(self) -> PeriodForm {
        match self {
            Self::Year(_) => PeriodForm::Year,
            Self::Month(_) => PeriodForm::Month,
        }
    }

    pub fn year(self) -> u16 {
        match self {
            Self::Year(year) => year,
            Self::Month(month) => month.year(),
        }
    }

    /// The month itself, or the January of the year.
    pub fn first_month(self) -> Option<Period> {
        match self {
            Self::Month(month) => Some(month),
            Self::Year(year) => Period::parse(&format!("{year:04}01")).ok(),
        }
    }

    /// The one before.
    pub fn before(self) -> Option<Self> {
        match self {
            Self::Year(year) => year.checked_sub(1).filter(|year| *year >= 1).map(Self::Year),
            Self::Month(month) => month.ordinal().checked_sub(1).and_then(|at| Period::parse(&format!("{:04}{:02}", at / 12, at % 12 + 1)).ok()).map(Self::Month),
        }
    }
}

impl fmt::Display for FilingPeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year(year) => write!(formatter, "{year:04}"),
            Self::Month(month) => write!(formatter, "{month}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_periods() {
        assert_eq!(KindName::parse_typed("vat-general"), KindName::parse("VAT_GENERAL"));
        assert_eq!(KindName::parse("VAT_GENERAL").unwrap().typed(), "vat-general");
        for wrong in ["", "vat", "_A", "1A", "A B", "A/B", &"A".repeat(33)] {
            assert_eq!(KindName::parse(wrong), None, "{wrong}");
        }
        let read = |text| FilingPeriod::parse(text).map(|period| period.to_string());
        assert_eq!((read("202610").as_deref(), read("2026").as_deref()), (Some("202610"), Some("2026")));
        for wrong in ["", "0000", "202613", "20261", "2026-1", "+202", "２０２６"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let before = |text| FilingPeriod::parse(text).unwrap().before().map(|period| period.to_string());
        assert_eq!(before("202601").as_deref(), Some("202512"));
        assert_eq!(before("202612").as_deref(), Some("202611"));
        assert_eq!(before("2026").as_deref(), Some("2025"));
    }
}
