//! A row of a kind that a policy defines: whom it is for, and its figures.

use std::fmt;

use time::Date;

use super::kind::{HEAD, LetterKind};
use crate::statement::{Form, Money, Period, Recipient, SUPERSEDES, StatementId, ValueError};

/// Why the first line of a file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterHeaderError {
    #[error("column {column} stands twice; keep one")]
    Doubled { column: String },
    #[error("field {field} of the first line is no column of this kind; the first line names the columns")]
    Unknown { field: usize },
    #[error("missing in the first line: {}; every column of the kind is needed", columns.join(", "))]
    Missing { columns: Vec<String> },
}

/// Which field of a line is which column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterHeader {
    /// For each column — the head's, then the kind's, then the one that is superseded — the place of its field.
    places: Vec<usize>,
    correcting: bool,
}

/// A value as its reader sees it: whichever way it is laid out, it is this text.
#[derive(Clone, PartialEq, Eq)]
pub struct LetterFigure {
    pub key: String,
    pub chinese: String,
    pub english: String,
    pub form: Form,
    pub value: String,
    /// What a code means, Chinese and English.
    pub meaning: Option<(String, String)>,
}

impl fmt::Debug for LetterFigure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LetterFigure({})", self.key)
    }
}

/// The fields of a line, one for each column.
pub struct LetterRecord<'a> {
    fields: Vec<&'a str>,
    correcting: bool,
}

/// A row that is valid but for its kind's rules.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    pub stmt_id: StatementId,
    pub period: Period,
    pub recipient: Recipient,
    /// As it was sent; compared with the owner's.
    pub name: String,
    pub supersedes: Option<StatementId>,
    pub figures: Vec<LetterFigure>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Letter({}, {})", self.stmt_id, self.period)
    }
}

impl LetterHeader {
    /// `correcting`: with the column `supersedes` besides.
    pub fn parse(kind: &LetterKind, fields: &[&str], correcting: bool) -> Result<Self, LetterHeaderError> {
        let mut columns: Vec<&str> = HEAD.to_vec();
        columns.extend(kind.fields().iter().map(|field| field.name.as_str()));
        columns.extend(correcting.then_some(SUPERSEDES));
        let mut places = vec![None; columns.len()];
        for (at, field) in fields.iter().enumerate() {
            let place = columns.iter().zip(&mut places).find(|(column, _)| *column == field);
            let (column, place) = place.ok_or(LetterHeaderError::Unknown { field: at + 1 })?;
            if place.replace(at).is_some() {
                return Err(LetterHeaderError::Doubled { column: (*column).to_owned() });
            }
        }
        let missing: Vec<String> = columns.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(column, _)| (*column).to_owned()).collect();
        if missing.is_empty() { Ok(Self { places: places.into_iter().flatten().collect(), correcting }) } else { Err(LetterHeaderError::Missing { columns: missing }) }
    }

    pub fn record<'a>(&self, fields: &[&'a str]) -> Result<LetterRecord<'a>, String> {
        if fields.len() != self.places.len() {
            return Err(format!("the row has {} fields instead of {}", fields.len(), self.places.len()));
        }
        Ok(LetterRecord { fields: self.places.iter().filter_map(|at| fields.get(*at).copied()).collect(), correcting: self.correcting })
    }
}

impl<'a> LetterRecord<'a> {
    /// The values as they were written, in the order of the columns.
    pub fn texts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.fields.iter().copied()
    }

    /// The number of a row that cannot be read as a whole, where it is known to say nothing of the person.
    pub fn statement(&self, today: Date) -> Option<StatementId> {
        let [statement, _, code, number, ..] = self.fields.as_slice() else { return None };
        let recipient = Recipient::parse(code, number, today).ok()?;
        StatementId::parse(statement).ok().filter(|statement| !recipient.stands_in(statement.as_str()))
    }

    /// What the row adds to `sum_close`, where that can be read; a field that may be left out adds nothing.
    pub fn total(&self, kind: &LetterKind) -> Option<Money> {
        let at = kind.fields().iter().position(|field| kind.total() == Some(&field.name))?;
        match *self.fields.get(HEAD.len() + at)? {
            "" if kind.fields().get(at)?.optional => Some(Money::ZERO),
            text => Money::parse(text).ok(),
        }
    }

    /// The row, typed. The reason names a column, never a value.
    pub fn letter(&self, kind: &LetterKind, today: Date) -> Result<Letter, String> {
        let mut values = self.fields.iter().copied();
        let mut next = || values.next().unwrap_or_default();
        let about = |column: &str, error: &dyn fmt::Display| format!("column {column}: {error}");
        let stmt_id = StatementId::parse(next()).map_err(|error| about("stmt_id", &error))?;
        let period = Period::parse(next()).map_err(|error| about("period", &error))?;
        let (code, number) = (next(), next());
        let recipient = Recipient::parse(code, number, today).map_err(|error| about("id_no", &error))?;
        let name = super::field::word(next(), 240).map_err(|reason| about("name", &reason))?;
        let revealing = |column: &str| about(column, &ValueError::Revealing);
        if recipient.stands_in(stmt_id.as_str()) {
            return Err(revealing("stmt_id"));
        }
        let mut figures = Vec::with_capacity(kind.fields().len());
        for field in kind.fields() {
            let text = next();
            if text.is_empty() && field.optional {
                continue;
            }
            let (value, meaning) = field.read(text).map_err(|reason| about(&field.name, &reason))?;
            if recipient.stands_in(&value) {
                return Err(revealing(&field.name));
            }
            figures.push(LetterFigure { key: field.name.clone(), chinese: field.chinese.clone(), english: field.english.clone(), form: field.form(), value, meaning });
        }
        let supersedes = if self.correcting { Some(StatementId::parse(next()).map_err(|error| about(SUPERSEDES, &error))?) } else { None };
        Ok(Letter { stmt_id, period, recipient, name, supersedes, figures })
    }
}
