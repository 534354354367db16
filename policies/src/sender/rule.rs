//! Rules over several amounts or days of a row.

use std::fmt;

use serde::Deserialize;

use super::field::{Field, FieldType, name};
use super::row::LetterFigure;
use crate::statement::Money;

/// A rule by its name, and what it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub name: String,
    asks: Asks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asks {
    /// The amounts add up to the last; a field without a value counts nothing.
    Sum { of: Vec<String>, is: String },
    /// The amounts or days do not fall from one to the next.
    Ascend { fields: Vec<String> },
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asks {
            Asks::Sum { of, is } => write!(formatter, "{}: {} = {is}", self.name, of.join(" + ")),
            Asks::Ascend { fields } => write!(formatter, "{}: {}", self.name, fields.join(" <= ")),
        }
    }
}

/// A rule that a row does not keep; the reason tells figures, never names or numbers of persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: String,
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    name: String,
    sum: Option<Vec<String>>,
    equals: Option<String>,
    ascend: Option<Vec<String>>,
}

impl WrittenRule {
    pub(super) fn check(self, fields: &[Field]) -> Result<Rule, String> {
        let name = name(&self.name, b'-').ok_or_else(|| format!("{:?} is no name of a rule; use lower-case letters, digits and hyphens", self.name))?;
        let of_type = |wanted: &str, fits: &dyn Fn(&FieldType) -> bool, names: &[String]| {
            let one = |name: &String| fields.iter().any(|field| field.name == *name && fits(&field.of));
            if (1..=32).contains(&names.len()) && names.iter().all(one) { Ok(()) } else { Err(format!("rule {}: name fields of type {wanted}", self.name)) }
        };
        let amount = |of: &FieldType| matches!(of, FieldType::Fen { .. });
        let asks = match (&self.sum, &self.equals, &self.ascend) {
            (Some(of), Some(is), None) => {
                of_type("fen", &amount, of)?;
                of_type("fen", &amount, std::slice::from_ref(is))?;
                Asks::Sum { of: of.clone(), is: is.clone() }
            }
            (None, None, Some(names)) => {
                if of_type("fen", &amount, names).is_err() {
                    of_type("fen, or of type date", &|of| matches!(of, FieldType::Date), names)?;
                }
                Asks::Ascend { fields: names.clone() }
            }
            _ => return Err(format!("rule {}: it has sum and equals, or ascend", self.name)),
        };
        Ok(Rule { name, asks })
    }
}

impl Rule {
    pub(super) fn judge(&self, figures: &[LetterFigure]) -> Option<Broken> {
        let value = |name: &String| figures.iter().find(|figure| figure.key == *name).map(|figure| figure.value.as_str());
        let fen = |name: &String| value(name).and_then(|text| Money::parse(text).ok()).map(|money| i128::from(money.fen()));
        let broken = |reason: String| Some(Broken { rule: self.name.clone(), reason });
        match &self.asks {
            Asks::Sum { of, is } => {
                let made: i128 = of.iter().filter_map(fen).sum();
                let stated = fen(is).unwrap_or(0);
                let told = || format!("{is} is {}, but {} make {}", value(is).unwrap_or("not given"), of.join(", "), crate::statement::yuan(made));
                if made == stated { None } else { broken(told()) }
            }
            Asks::Ascend { fields } => {
                let given: Vec<(&String, &str)> = fields.iter().filter_map(|name| Some((name, value(name)?))).collect();
                // Days are written so that they are ordered as their texts are; amounts are not.
                let key = |name: &String, text: &str| fen(name).map_or_else(|| (0, text.to_owned()), |fen| (fen, String::new()));
                let falls = given.windows(2).find(|pair| matches!(pair, [(one, first), (other, next)] if key(one, first) > key(other, next)));
                match falls {
                    Some([(one, first), (other, next)]) => broken(format!("{one} is {first}, but {other} is {next}")),
                    _ => None,
                }
            }
        }
    }
}
