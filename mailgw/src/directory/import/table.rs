//! The lines of a file of applicants: columns found once, then one row a line, each within bounds.

use std::io::{BufRead, Read as _};

use super::super::applicant::Words;

/// The longest line that is read, in bytes; names and numbers are far below.
const MAX_LINE: usize = 4 * 1_024;
/// More columns than any file of applicants has.
const MAX_COLUMNS: usize = 16;
const CITIZENS: [&str; 3] = ["id_type", "id_no", "name"];
const INSTITUTIONS: [&str; 2] = ["uscc", "name"];
const ALIAS: &str = "alias";

/// Why a file is not read at all. No text of the file is repeated: without a header its first line is a person.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("the file is empty; its first line names the columns: id_type,id_no,name or uscc,name,alias")]
    Empty,
    #[error("the file cannot be read: {0}; look at the file")]
    Read(#[from] std::io::Error),
    #[error("line 1: it is UTF-16; save the file as UTF-8")]
    Utf16,
    #[error("line 1: {0}")]
    Header(RowError),
    #[error("line 1: column {column} is none that is known; the columns are id_type,id_no,name or uscc,name,alias")]
    Unknown { column: usize },
    #[error("line 1: the column {column} stands there twice; keep one")]
    Doubled { column: &'static str },
    #[error("line 1: the column {column} is missing; add it")]
    Missing { column: &'static str },
    #[error("line 1: there are columns of citizens and of institutions; make two files of it")]
    Mixed,
}

/// Why a row is not taken. No text of the row is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("it is longer than {MAX_LINE} bytes; shorten it")]
    TooLong,
    #[error("it is not UTF-8 text; save the file as UTF-8")]
    Encoding,
    #[error("a quotation mark is not closed on the same line; close it")]
    Quote,
    #[error("it has {found} fields and the header {expected}; look for a comma too many or too few")]
    Fields { found: usize, expected: usize },
}

/// Where each field of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    Citizens { id_type: usize, id_no: usize, name: usize },
    Institutions { code: usize, name: usize, alias: Option<usize> },
}

/// The number of a line, counted from one, and what it says.
pub(super) type Row = (u64, Result<Words, RowError>);

pub(super) struct Table<R> {
    reader: R,
    columns: Columns,
    width: usize,
    line: u64,
    bytes: u64,
}

impl<R: BufRead> Table<R> {
    pub fn new(mut reader: R) -> Result<Self, TableError> {
        let mut bytes = 0;
        let first = line(&mut reader, &mut bytes)?.ok_or(TableError::Empty)?.map_err(TableError::Header)?;
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            return Err(TableError::Utf16);
        }
        let header = fields(first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first)).map_err(TableError::Header)?;
        let columns = Columns::of(&header)?;
        Ok(Self { reader, columns, width: header.len(), line: 1, bytes })
    }

    /// The next line that is not blank; none at the end.
    pub fn next(&mut self) -> Result<Option<Row>, std::io::Error> {
        loop {
            let Some(found) = line(&mut self.reader, &mut self.bytes)? else { return Ok(None) };
            self.line += 1;
            let row = match found {
                Ok(text) if text.trim_ascii().is_empty() => continue,
                Ok(text) => fields(&text).and_then(|fields| self.words(&fields)),
                Err(error) => Err(error),
            };
            return Ok(Some((self.line, row)));
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn words(&self, fields: &[String]) -> Result<Words, RowError> {
        if fields.len() != self.width {
            return Err(RowError::Fields { found: fields.len(), expected: self.width });
        }
        let field = |at: usize| fields.get(at).cloned();
        Ok(match self.columns {
            Columns::Citizens { id_type, id_no, name } => {
                Words { id_type: field(id_type), id_no: field(id_no), name: field(name), ..Words::default() }
            }
            Columns::Institutions { code, name, alias } => {
                let aliases = alias.and_then(field).map(|alias| alias.trim().to_owned()).filter(|alias| !alias.is_empty());
                Words { code: field(code), name: field(name), aliases: aliases.into_iter().collect(), ..Words::default() }
            }
        })
    }
}

impl Columns {
    fn of(header: &[String]) -> Result<Self, TableError> {
        let known = || CITIZENS.into_iter().chain(INSTITUTIONS).chain([ALIAS]);
        let mut places: Vec<(&'static str, usize)> = Vec::new();
        for (at, text) in header.iter().enumerate() {
            let text = text.trim().to_ascii_lowercase();
            let column = known().find(|column| *column == text).ok_or(TableError::Unknown { column: at + 1 })?;
            if places.iter().any(|(before, _)| *before == column) {
                return Err(TableError::Doubled { column });
            }
            places.push((column, at));
        }
        let place = |column: &str| places.iter().find(|(name, _)| *name == column).map(|(_, at)| *at);
        let needed = |column: &'static str| place(column).ok_or(TableError::Missing { column });
        let citizens = place("id_type").or(place("id_no")).is_some();
        let institutions = place("uscc").or(place(ALIAS)).is_some();
        match (citizens, institutions) {
            (true, true) => Err(TableError::Mixed),
            (_, true) => Ok(Self::Institutions { code: needed("uscc")?, name: needed("name")?, alias: place(ALIAS) }),
            _ => Ok(Self::Citizens { id_type: needed("id_type")?, id_no: needed("id_no")?, name: needed("name")? }),
        }
    }
}

/// One line without its end; a longer one than is read is passed over to its end. None at the end of the file.
fn line(reader: &mut impl BufRead, bytes: &mut u64) -> Result<Option<Result<Vec<u8>, RowError>>, std::io::Error> {
    let mut text = Vec::new();
    let read = reader.by_ref().take(MAX_LINE as u64 + 2).read_until(b'\n', &mut text)?;
    *bytes += read as u64;
    if read == 0 {
        return Ok(None);
    }
    let ended = text.last() == Some(&b'\n');
    if !ended && text.len() > MAX_LINE + 1 {
        pass_over(reader, bytes)?;
    }
    let text = text.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text)).unwrap_or(&text);
    Ok(Some(if text.len() > MAX_LINE { Err(RowError::TooLong) } else { Ok(text.to_vec()) }))
}

fn pass_over(reader: &mut impl BufRead, bytes: &mut u64) -> Result<(), std::io::Error> {
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(buffer.len(), |at| at + 1);
        if length == 0 {
            return Ok(());
        }
        reader.consume(length);
        *bytes += length as u64;
        if end.is_some() {
            return Ok(());
        }
    }
}

/// The fields of one line. spec: rfc4180#2 (a line break within quotes is not taken: no field here has one)
fn fields(text: &[u8]) -> Result<Vec<String>, RowError> {
    let text = std::str::from_utf8(text).map_err(|_| RowError::Encoding)?;
    if text.bytes().filter(|&byte| byte == b'"').count() % 2 == 1 {
        return Err(RowError::Quote);
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(512).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    // What is UTF-8 and one line long is always a record.
    reader.read_record(&mut record).map_err(|_| RowError::Encoding)?;
    if record.len() > MAX_COLUMNS {
        return Err(RowError::Fields { found: record.len(), expected: MAX_COLUMNS });
    }
    Ok(record.iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(file: &[u8]) -> String {
        Table::new(file).err().unwrap().to_string()
    }

    fn columns(header: &str) -> Columns {
        Table::new(header.as_bytes()).ok().unwrap().columns
    }

    #[test]
    fn headers() {
        assert_eq!(columns("id_type,id_no,name\r\n"), Columns::Citizens { id_type: 0, id_no: 1, name: 2 });
        assert_eq!(columns("\u{feff}\"Name\", ID_NO ,id_type"), Columns::Citizens { id_type: 2, id_no: 1, name: 0 });
        assert_eq!(columns("uscc,name\n"), Columns::Institutions { code: 0, name: 1, alias: None });
        assert_eq!(columns("name,alias,uscc\n"), Columns::Institutions { code: 2, name: 0, alias: Some(1) });
        for (file, reason) in [
            (&b""[..], "the file is empty"),
            (b"\xff\xfei\0d\0", "it is UTF-16"),
            (b"\xd0\xd5\xc3\xfb,name\n", "it is not UTF-8"),
            (b"id_type,id_no,name,id_no\n", "the column id_no stands there twice"),
            (b"id_type,id_no\n", "the column name is missing"),
            (b"name\n", "the column id_type is missing"),
            (b"name,alias\n", "the column uscc is missing"),
            (b"uscc,id_no,name\n", "make two files"),
            (b"id_type,id_no,name,\n", "column 4 is none"),
            (b"\"id_type,id_no,name\n", "a quotation mark is not closed"),
        ] {
            assert!(refused(file).contains(reason), "{}", refused(file));
        }
        let long = format!("id_type,id_no,name,{}\n", "x".repeat(MAX_LINE));
        assert!(refused(long.as_bytes()).contains("longer than 4096 bytes"));
    }

    #[test]
    fn without_a_header_nobody_is_named() {
        let told = refused("01,440106189602290015,张伟\n".as_bytes());
        assert!(told.contains("column 1 is none") && !told.contains("4401") && !told.contains('张'), "{told}");
    }

    #[test]
    fn rows_keep_their_line_and_bad_ones_do_not_disturb_the_next() {
        let mut file = b"id_type,id_no,name\n01,1,A\n\r\n  \n01,2\n01,3,\"B,C\"\n01,4,\xd5\xc5\n01,5,\"D\n".to_vec();
        file.extend(format!("01,6,{}\n01,7,{}\n01,8,E", "x".repeat(5_000), "y".repeat(MAX_LINE - 5)).bytes());
        let mut table = Table::new(std::io::BufReader::with_capacity(16, file.as_slice())).unwrap();
        let mut rows = Vec::new();
        while let Some((line, row)) = table.next().unwrap() {
            rows.push((line, row.map(|words| (words.id_no.unwrap(), words.name.unwrap().chars().take(3).collect()))));
        }
        let good = |number: &str, name: &str| Ok((number.to_owned(), name.to_owned()));
        assert_eq!(
            rows,
            [
                (2, good("1", "A")),
                (5, Err(RowError::Fields { found: 2, expected: 3 })),
                (6, good("3", "B,C")),
                (7, Err(RowError::Encoding)),
                (8, Err(RowError::Quote)),
                (9, Err(RowError::TooLong)),
                (10, good("7", "yyy")),
                (11, good("8", "E")),
            ]
        );
        assert_eq!(table.bytes(), file.len() as u64);
    }
}
