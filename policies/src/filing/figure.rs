//! Floors, caps and rates, each with the month from which it holds and where it is from.

use serde::Deserialize;
use toml::Spanned;

use super::ratio::Ratio;
use crate::document::{PolicyError, named, read};
use crate::statement::{Money, Period, Rate};

const MOST: usize = 1_024;

named! {
    /// What a figure is.
    FigureUnit {
        /// Yuan.
        Amount = "amount",
        /// Percent: `8.00`, eight in an expression.
        Rate = "rate",
        Count = "count",
    }
}

/// One figure and how it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub name: String,
    pub zh: String,
    pub en: String,
    pub unit: FigureUnit,
    /// Oldest first, at least one.
    pub values: Vec<FigureValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureValue {
    pub from: Period,
    pub value: Ratio,
    pub source: String,
    /// Whether the source is an official one that was read.
    pub confirmed: bool,
}

/// Of `figures.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures(Vec<Figure>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    figure: Vec<Spanned<Line>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    zh: String,
    en: String,
    unit: FigureUnit,
    values: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: String,
    value: String,
    source: String,
    confirmed: bool,
}

impl Figures {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        let mut figures: Vec<Figure> = Vec::new();
        for line in document.figure {
            let (span, line) = (line.span(), line.into_inner());
            let refused = |span, reason: &str| PolicyError::at(file, text, Some(span), reason);
            let letters = line.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !letters || !(1..=40).contains(&line.name.len()) || figures.iter().any(|known| known.name == line.name) || figures.len() == MOST {
                return Err(refused(span, "a figure has a name of its own: 1 to 40 small letters, digits and underscores"));
            }
            let mut values: Vec<FigureValue> = Vec::new();
            for written in line.values {
                let (span, written) = (written.span(), written.into_inner());
                let from = Period::parse(&written.from).map_err(|error| refused(span.clone(), &error.to_string()))?;
                let value = match line.unit {
                    FigureUnit::Amount => Money::parse(&written.value).ok().and_then(|_| Ratio::decimal(&written.value)),
                    FigureUnit::Rate => Rate::parse(&written.value).ok().and_then(|_| Ratio::decimal(&written.value)),
                    FigureUnit::Count => written.value.parse::<u16>().ok().map(|count| Ratio::whole(count.into())),
                };
                let value = value.ok_or_else(|| refused(span.clone(), "the value is not written as its unit is: 12.50, 8.00 or 16"))?;
                if values.last().is_some_and(|before| before.from >= from) || values.len() == MOST {
                    return Err(refused(span, "the values stand oldest first, one for a month"));
                }
                if written.source.trim().is_empty() {
                    return Err(refused(span, "source says where the value is from"));
                }
                values.push(FigureValue { from, value, source: written.source, confirmed: written.confirmed });
            }
            if values.is_empty() {
                return Err(refused(span, "a figure has a value at least"));
            }
            figures.push(Figure { name: line.name, zh: line.zh, en: line.en, unit: line.unit, values });
        }
        Ok(Self(figures))
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.iter().any(|figure| figure.name == name)
    }

    /// What holds in a month; none before the first that is known.
    pub fn at(&self, name: &str, month: Period) -> Option<&FigureValue> {
        self.0.iter().find(|figure| figure.name == name)?.values.iter().rev().find(|value| value.from <= month)
    }

    pub fn all(&self) -> &[Figure] {
        &self.0
    }
}
