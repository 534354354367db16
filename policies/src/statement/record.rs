//! A record of a file: the first line says which field is which column; the JSON twin names each value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use time::Date;

use super::column::{Column, Form};
use super::recipient::Recipient;
use super::row::RowError;
use super::value::{StatementId, ValueError};
use super::Kind;

/// The most bytes of one value.
pub const MAX_VALUE_BYTES: usize = 512;

/// The most bytes of one line of the JSON twin.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Why the first line of a file was refused. A file without one begins with a person's data, so nothing of
/// it is repeated unless it looks like a column's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the file begins with a byte order mark; save it as UTF-8 without BOM")]
    ByteOrderMark,
    #[error("field {field} of the first line{} is no column of a {kind} statement; the first line names the columns", named(name))]
    Unknown { kind: Kind, field: usize, name: Option<String> },
    #[error("column {column} stands twice; keep one")]
    Doubled { column: &'static str },
    #[error("missing in the first line: {}; every column of a {kind} statement is needed", columns.join(", "))]
    Missing { kind: Kind, columns: Vec<&'static str> },
}

fn named(name: &Option<String>) -> String {
    match name.as_deref() {
        None => String::new(),
        // What a person gave a sender stands where a number would, so that a file may hold both.
        Some("person_ref") => " (person_ref: write the token in id_no, and token in id_type)".to_owned(),
        Some(name) => format!(" ({name})"),
    }
}

/// Which field of a line is which column. Every column stands in it once; their order is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    kind: Kind,
    /// For each column the place of its field.
    places: Vec<usize>,
    /// The place of [`SUPERSEDES`], in a file of corrected statements.
    supersedes: Option<usize>,
}

/// The column of corrected statements that names the one each row supersedes; it may stand anywhere.
pub const SUPERSEDES: &str = "supersedes";

impl Header {
    /// The fields of the first line. Readers of CSV may drop a byte order mark without a word: look for it in the
    /// bytes before they begin.
    pub fn parse(kind: Kind, fields: &[&str]) -> Result<Self, HeaderError> {
        let columns = kind.columns();
        let mut places = vec![None; columns.len()];
        for (at, field) in fields.iter().enumerate() {
            if at == 0 && field.starts_with('\u{feff}') {
                return Err(HeaderError::ByteOrderMark);
            }
            let place = columns.iter().zip(&mut places).find(|(column, _)| column.name == *field);
            let Some((column, place)) = place else {
                let plain = (1..=32).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                return Err(HeaderError::Unknown { kind, field: at + 1, name: plain.then(|| (*field).to_owned()) });
            };
            if place.replace(at).is_some() {
                return Err(HeaderError::Doubled { column: column.name });
            }
        }
        let missing: Vec<_> = columns.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(column, _)| column.name).collect();
        if missing.is_empty() {
            Ok(Self { kind, places: places.into_iter().flatten().collect(), supersedes: None })
        } else {
            Err(HeaderError::Missing { kind, columns: missing })
        }
    }

    /// As `parse`, for corrected statements: with the column [`SUPERSEDES`] besides.
    pub fn correcting(kind: Kind, fields: &[&str]) -> Result<Self, HeaderError> {
        let at = fields.iter().position(|field| *field == SUPERSEDES).ok_or(HeaderError::Missing { kind, columns: vec![SUPERSEDES] })?;
        let others: Vec<&str> = fields.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, field)| *field).collect();
        let mut header = Self::parse(kind, &others)?;
        header.places.iter_mut().filter(|place| **place >= at).for_each(|place| *place += 1);
        header.supersedes = Some(at);
        Ok(header)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The statement that a line corrects.
    pub fn supersedes(&self, fields: &[&str]) -> Result<Option<StatementId>, RowError> {
        let Some(at) = self.supersedes else { return Ok(None) };
        let text = fields.get(at).ok_or(RowError::Missing { column: SUPERSEDES })?;
        StatementId::parse(text).map(Some).map_err(|error| RowError::Value { column: SUPERSEDES, error })
    }

    /// The number of a row that cannot be read as a whole, where it is known to say nothing of the person.
    pub fn statement(&self, fields: &[&str], today: Date) -> Option<StatementId> {
        self.record(fields).ok()?;
        let value = |name| self.kind.columns().iter().zip(&self.places).find(|(column, _)| column.name == name).and_then(|(_, at)| fields.get(*at).copied());
        let recipient = Recipient::parse(value("id_type")?, value("id_no")?, today).ok()?;
        StatementId::parse(value("stmt_id")?).ok().filter(|statement| !recipient.stands_in(statement.as_str()))
    }

    /// The fields of a line under this header.
    pub fn record<'a>(&self, fields: &[&'a str]) -> Result<Record<'a>, RowError> {
        let expected = self.places.len() + usize::from(self.supersedes.is_some());
        if fields.len() != expected {
            return Err(RowError::Fields { expected, found: fields.len() });
        }
        let mut values = Vec::with_capacity(fields.len());
        for (column, field) in self.kind.columns().iter().zip(self.places.iter().filter_map(|&at| fields.get(at))) {
            values.push(bounded(column, Cow::Borrowed(*field))?);
        }
        Ok(Record { kind: self.kind, values })
    }
}

fn bounded<'a>(column: &Column, value: Cow<'a, str>) -> Result<Cow<'a, str>, RowError> {
    let error = ValueError::TooLong { max: MAX_VALUE_BYTES };
    if value.len() <= MAX_VALUE_BYTES { Ok(value) } else { Err(RowError::Value { column: column.name, error }) }
}

/// The values of one row, one for each column, not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a> {
    kind: Kind,
    /// In the order of the kind's columns.
    values: Vec<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// Reads a line of the JSON twin: one object, the same names, amounts, rates and months as strings, counts
    /// as numbers, nothing besides.
    pub fn from_json(kind: Kind, line: &'a str) -> Result<Self, RowError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(RowError::LineTooLong { max: MAX_LINE_BYTES });
        }
        let Object(members) = serde_json::from_str(line).map_err(|error| RowError::Json { at: error.column() })?;
        let columns = kind.columns();
        let mut values = vec![None; columns.len()];
        for (name, scalar) in members {
            let place = columns.iter().zip(&mut values).find(|(column, _)| column.name == name);
            let (column, place) = place.ok_or(RowError::UnknownName { kind })?;
            let value = match (column.form == Form::Count, scalar) {
                (false, Scalar::Text(text)) => text,
                (true, Scalar::Whole(number)) => Cow::Owned(number.to_string()),
                (number, _) => {
                    let expected = if number { "whole number" } else { "string" };
                    return Err(RowError::Value { column: column.name, error: ValueError::JsonType { expected } });
                }
            };
            if place.replace(bounded(column, value)?).is_some() {
                return Err(RowError::Doubled { column: column.name });
            }
        }
        let missing = |(column, value): (&Column, Option<_>)| value.ok_or(RowError::Missing { column: column.name });
        let values = columns.iter().zip(values).map(missing).collect::<Result<_, _>>()?;
        Ok(Self { kind, values })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The values as they were written, in the order of the kind's columns whatever that of the file.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|value| &**value)
    }

    pub(super) fn values(&self) -> Values<'_> {
        Values { columns: self.kind.columns().iter(), values: self.values.iter() }
    }

    /// The value of one column, read alone.
    pub(super) fn value<T>(&self, name: &'static str, read: impl FnOnce(&str) -> Result<T, ValueError>) -> Result<T, RowError> {
        let found = self.kind.columns().iter().zip(&self.values).find(|(column, _)| column.name == name);
        let (_, text) = found.ok_or(RowError::Missing { column: name })?;
        read(text).map_err(|error| RowError::Value { column: name, error })
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record({})", self.kind)
    }
}

/// The values of a record, each read once, in the order of the columns.
pub(super) struct Values<'a> {
    columns: std::slice::Iter<'static, Column>,
    values: std::slice::Iter<'a, Cow<'a, str>>,
}

impl Values<'_> {
    pub(super) fn next<T>(&mut self, read: impl FnOnce(&str) -> Result<T, ValueError>) -> Result<T, RowError> {
        // A record has a value for each column, and a row's type reads as many.
        let column = self.columns.next().map_or("", |column| column.name);
        let value = self.values.next().ok_or(RowError::Missing { column })?;
        read(value).map_err(|error| RowError::Value { column, error })
    }
}

/// The members of a JSON object as they stand, doubled ones too. Whatever a value is, reading goes on, so that
/// serde makes no error text that repeats it.
struct Object<'a>(Vec<(Cow<'a, str>, Scalar<'a>)>);

enum Scalar<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Other,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Scalar<'de>>()? {
                    members.push((name.0, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A string, borrowed where nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Whole(number))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_persons_by_reference_is_told_where_it_stands() {
        let columns: Vec<&str> = Kind::Pension.columns().iter().map(|column| if column.name == "id_no" { "person_ref" } else { column.name }).collect();
        let told = Header::parse(Kind::Pension, &columns).map_err(|error| error.to_string()).err().unwrap_or_default();
        assert!(told.contains("person_ref: write the token in id_no, and token in id_type"), "{told}");
    }
}
