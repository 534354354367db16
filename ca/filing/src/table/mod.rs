//! A table of people, as a spreadsheet writes it (CSV), becomes the list of a form.
//!
//! 1 text     UTF-8, UTF-16 or GB18030, with or without a byte order mark
//! 2 columns  named by the first line, in Chinese or English
//! 3 rows     each cell as its field writes it; what cannot be is left as it stands, for the form's own rules to name
//!
//! Nothing of a cell is ever executed, and no cell of a person is repeated in what is told.

mod cell;
mod column;
mod text;

use column::Columns;
use policies::filing::{FieldKind, Kind, List, Path};

pub use column::HeaderError;
pub use text::{Encoding, TextError, decoded};

use crate::document::{Object, Value};
use crate::rules::Failure;

/// The longest cell; names, numbers and dates are far below.
const MAX_CELL: usize = 1_024;
/// More faults of rows than these are counted and not told.
const MAX_TOLD: usize = 10_000;
const SEQUENCE: &str = "seq";

/// Why a table is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("this kind of filing has no list of people; fill the draft in by hand")]
    NoList,
    #[error("the table has a header and no rows; add them")]
    NoRows,
    #[error("the table has more than {most} rows; make several filings of it")]
    TooMany { most: usize },
    #[error("line {line}: the table cannot be read here; look for a quotation mark that is not closed")]
    Csv { line: u64 },
}

impl TableError {
    /// What is wrong and what to do, for whoever files.
    pub fn chinese(&self) -> (String, String) {
        let said = |zh: String, next: &str| (zh, next.to_owned());
        match self {
            Self::Text(error) => error.chinese(),
            Self::Header(error) => error.chinese(),
            Self::NoList => said("这种申报没有人员明细表".into(), "请直接填写草稿"),
            Self::NoRows => said("表中只有标题行，没有人员".into(), "请逐行填写人员"),
            Self::TooMany { most } => said(format!("人员超过 {most} 行"), "请分成几份申报"),
            Self::Csv { line } => said(format!("第 {line} 行读不出来"), "请检查是否有双引号没有成对"),
        }
    }
}

/// A fault and the line of the table where it stands, counted from one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Located {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(flatten)]
    pub failure: Failure,
}

/// The rows as the items of a list.
#[derive(Default)]
pub struct Table {
    pub items: Vec<Value>,
    /// The line of each item.
    pub lines: Vec<u64>,
    /// What only the table can tell; the form's rules tell the rest.
    pub faults: Vec<Located>,
    /// Faults beyond those told.
    pub left_out: usize,
}

/// The list that a table fills: the form's only one.
pub fn list_of(kind: &Kind) -> Option<&List> {
    if let [list] = kind.lists() { Some(list) } else { None }
}

/// A single value as a cell would be read; none for an empty text or one that a spreadsheet spoilt.
pub fn value(kind: &FieldKind, text: &str) -> Option<Value> {
    cell::read(kind, text).ok().flatten()
}

/// Reads a table for the list of this kind.
pub fn read(bytes: &[u8], kind: &Kind, encoding: Option<Encoding>) -> Result<Table, TableError> {
    let list = list_of(kind).ok_or(TableError::NoList)?;
    // 1
    // Lines are counted by their one end, whatever the spreadsheet writes.
    let text = decoded(bytes, encoding)?.replace("\r\n", "\n").replace('\r', "\n");
    let first = text.lines().next().unwrap_or_default();
    let delimiter = if first.contains('\t') && !first.contains(',') { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(text.as_bytes());
    // 2
    let mut record = csv::StringRecord::new();
    let unread = |error: &csv::Error| TableError::Csv { line: error.position().map_or(1, csv::Position::line) };
    if !reader.read_record(&mut record).map_err(|error| unread(&error))? {
        return Err(HeaderError::Empty.into());
    }
    let columns = column::of(&record, kind, list)?;
    // 3
    let mut table = Table::default();
    while reader.read_record(&mut record).map_err(|error| unread(&error))? {
        let line = record.position().map_or(0, csv::Position::line);
        // What a spreadsheet writes below the last row.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if table.items.len() == list.max {
            return Err(TableError::TooMany { most: list.max });
        }
        row(&record, &columns, (list, line), &mut table);
    }
    if table.items.is_empty() && table.faults.is_empty() { Err(TableError::NoRows) } else { Ok(table) }
}

fn row(record: &csv::StringRecord, columns: &Columns<'_>, (list, line): (&List, u64), table: &mut Table) {
    let at = table.items.len();
    let more = record.iter().skip(columns.fields.len()).any(|cell| !cell.trim().is_empty());
    if record.len() < columns.fields.len() || more {
        let zh = (format!("此行有 {} 栏，标题行有 {} 栏", record.len(), columns.fields.len()), "请检查是否多了或少了逗号");
        let en = (format!("this line has {} cells and the header {}", record.len(), columns.fields.len()), "look for a comma too many or too few");
        return table.fault(line, &list.path, None, (&list.zh, &list.en), zh, en);
    }
    let mut item = Object::default();
    for (cell, column) in record.iter().zip(&columns.fields) {
        let Some(field) = column else { continue };
        let (name, title) = (field.path.name(), (field.zh.as_str(), field.en.as_str()));
        if cell.len() > MAX_CELL {
            let (zh, en) = ((format!("此格超过 {MAX_CELL} 字节"), "请缩短"), (format!("this cell has more than {MAX_CELL} bytes"), "shorten it"));
            table.fault(line, &list.path, Some((at, name)), title, zh, en);
            continue;
        }
        match cell::read(&field.kind, cell) {
            Ok(Some(value)) => {
                item.insert(name, value);
            }
            Ok(None) => {}
            Err(spoilt) => {
                let [(zh, next_zh), (en, next_en)] = spoilt.words();
                table.fault(line, &list.path, Some((at, name)), title, (zh.to_owned(), next_zh), (en.to_owned(), next_en));
            }
        }
    }
    if columns.numbers_rows {
        item.insert(SEQUENCE, Value::Integer(i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1)));
    }
    table.items.push(Value::Object(item));
    table.lines.push(line);
}

impl Table {
    fn fault(&mut self, line: u64, list: &Path, field: Option<(usize, &str)>, title: (&str, &str), zh: (String, &str), en: (String, &str)) {
        if self.faults.len() >= MAX_TOLD {
            self.left_out += 1;
            return;
        }
        let below = field.map(|(at, name)| format!("/{at}/{name}")).unwrap_or_default();
        let failure = Failure {
            rule: "TABLE".into(),
            field: format!("/payload/{}{below}", list.to_string().replace('.', "/")),
            title: title.0.into(),
            title_en: title.1.into(),
            zh: zh.0,
            en: en.0,
            next: zh.1.into(),
            next_en: en.1.into(),
            expected: None,
            found: None,
        };
        self.faults.push(Located { line: Some(line), failure });
    }

    /// The line of the row that a pointer of this list names.
    pub fn line_of(&self, list: &List, pointer: &str) -> Option<u64> {
        let below = pointer.strip_prefix("/payload/")?.strip_prefix(&list.path.to_string().replace('.', "/"))?.strip_prefix('/')?;
        let at: usize = below.split('/').next()?.parse().ok()?;
        self.lines.get(at).copied()
    }
}

#[cfg(test)]
mod tests;
