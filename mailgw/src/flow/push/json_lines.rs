//! Rows as JSON Lines: one object of strings a line, each with the same names, which stand for the columns of a CSV file.

use std::fmt;
use std::io::BufRead;

use csv::StringRecord;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::file::{FileError, MAX_ROW_BYTES};

/// More columns than any kind of statement has.
const MAX_NAMES: usize = 256;

/// An object's members in the order they are written; a name that stands twice is refused.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, String)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if members.len() == MAX_NAMES || members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom("a name stands twice, or there are too many"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The next line, without its end; none at the end of all.
pub(super) fn line(lines: &mut impl BufRead, number: u64) -> Result<Option<Vec<u8>>, FileError> {
    let mut text = Vec::new();
    let mut bounded = std::io::Read::take(lines, MAX_ROW_BYTES + 1);
    let read = bounded.read_until(b'\n', &mut text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => FileError::ByteOrderMark,
        _ => FileError::Json { line: number, reason: error.to_string().chars().take(120).collect() },
    })?;
    if text.len() as u64 > MAX_ROW_BYTES {
        return Err(FileError::TooLong { line: number });
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok((read > 0).then_some(text))
}

fn members(text: &[u8], number: u64) -> Result<Vec<(String, String)>, FileError> {
    std::str::from_utf8(text).map_err(|_| FileError::NotUtf8 { line: number })?;
    // Whoever wrote the row reads where it goes wrong, not what stands there: that names a person.
    let refused = |error: serde_json::Error| {
        let what = if error.is_data() { "it is no object of strings, or a name stands twice" } else { "it is not JSON" };
        FileError::Json { line: number, reason: format!("{what}, at character {}", error.column()) }
    };
    Ok(serde_json::from_slice::<Members>(text).map_err(refused)?.0)
}

/// The names of the first line, as a header would have them.
pub(super) fn names(text: &[u8]) -> Result<Vec<String>, FileError> {
    Ok(members(text, 1)?.into_iter().map(|(name, _)| name).collect())
}

/// A line's values, in the order of the header whatever order they are written in.
pub(super) fn row(text: &[u8], header: &[String], number: u64) -> Result<StringRecord, FileError> {
    let members = members(text, number)?;
    if members.len() != header.len() {
        return Err(FileError::Fields { line: number, found: members.len() as u64, wanted: header.len() as u64 });
    }
    let mut fields = StringRecord::new();
    for (at, name) in header.iter().enumerate() {
        // Mostly they stand where the first line had them.
        let found = members.get(at).filter(|(found, _)| found == name).or_else(|| members.iter().find(|(found, _)| found == name));
        let (_, value) = found.ok_or_else(|| FileError::Json { line: number, reason: format!("{name} is missing") })?;
        fields.push_field(value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_follow_the_names_of_the_first() {
        let header = names(br#"{"a":"1","b":"2"}"#).unwrap();
        assert_eq!(header, ["a", "b"]);
        assert_eq!(row("{\"b\":\"x\",\"a\":\"名,\\\"\"}".as_bytes(), &header, 2).unwrap(), StringRecord::from(vec!["名,\"", "x"]));
        for wrong in [r#"{"a":"1"}"#, r#"{"a":"1","b":"2","c":"3"}"#, r#"{"a":"1","c":"2"}"#, r#"{"a":"1","a":"2"}"#, r#"{"a":1,"b":"2"}"#, r#"{"a":"1","b":null}"#, "[]", "", "{", r#"{"a":"1","b":"2"} x"#] {
            assert!(row(wrong.as_bytes(), &header, 2).is_err(), "{wrong}");
        }
        assert!(matches!(row(b"{\"a\":\"\xc4\xe3\",\"b\":\"\"}", &header, 7), Err(FileError::NotUtf8 { line: 7 })));
        let told = row(br#"{"a":"440106189602290015","b":1}"#, &header, 2).unwrap_err().to_string();
        assert!(!told.contains("4401"), "{told}");
        // No memory for a line without an end.
        let endless = vec![b'x'; 1 << 20];
        assert!(matches!(line(&mut endless.as_slice(), 3), Err(FileError::TooLong { line: 3 })));
        assert_eq!(line(&mut b"ab\r\ncd".as_slice(), 1).unwrap().unwrap(), b"ab");
    }
}
