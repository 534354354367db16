//! Which column is which field: the first line of a table names them, as the form does in Chinese or in English.

use policies::filing::{Field, Kind, List, Path, Step};

use super::SEQUENCE;
use super::cell::half_width;

/// More than any table of people has.
const MAX_COLUMNS: usize = 256;

/// The columns of a table.
pub(super) struct Columns<'a> {
    /// The field of each; none for a column without a name.
    pub fields: Vec<Option<&'a Field>>,
    /// The form numbers its rows, and the table leaves that to us.
    pub numbers_rows: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the table is empty; its first line names the columns")]
    Empty,
    #[error("line 1, column {column}: `{text}` is no column of this form; the columns are: {known}")]
    Unknown { column: usize, text: String, known: String, known_zh: String },
    #[error("line 1: the column {title} stands there twice; keep one")]
    Doubled { title: String, title_zh: String },
    #[error("line 1: the column {title} is missing; add it")]
    Missing { title: String, title_zh: String },
    #[error("line 1 names more than {MAX_COLUMNS} columns; keep those of the form")]
    TooMany,
}

impl HeaderError {
    pub(super) fn chinese(&self) -> (String, String) {
        match self {
            Self::Empty => ("表格是空的".into(), "第 1 行应写各栏的名称".into()),
            Self::Unknown { column, text, known_zh, .. } => (format!("第 1 行第 {column} 栏“{text}”不是本表的栏目"), format!("可用的栏目：{known_zh}")),
            Self::Doubled { title_zh, .. } => (format!("第 1 行“{title_zh}”一栏重复"), "请只保留一个".into()),
            Self::Missing { title_zh, .. } => (format!("第 1 行缺少“{title_zh}”一栏"), "请补上此栏".into()),
            Self::TooMany => (format!("第 1 行超过 {MAX_COLUMNS} 栏"), "请只保留本表的栏目".into()),
        }
    }
}

/// The name of a field without what explains it: `用工日期（增员必填）`, `first day of work, for those who join`.
pub(super) fn short(title: &str) -> &str {
    title.split(['（', '(', ',']).next().unwrap_or(title).trim()
}

/// For comparison: half-width, small, without blanks and without what explains.
fn plain(text: &str) -> String {
    short(&half_width(text)).chars().filter(|c| !c.is_whitespace() && *c != '*').flat_map(char::to_lowercase).collect()
}

fn fields<'a>(kind: &'a Kind, list: &List) -> Vec<&'a Field> {
    let item = Path::parse(&format!("{}[]", list.path)).unwrap_or_default();
    kind.fields().iter().filter(|field| matches!(field.path.steps().split_last(), Some((Step::Member(_), above)) if above == item.steps())).collect()
}

pub(super) fn of<'a>(header: &csv::StringRecord, kind: &'a Kind, list: &List) -> Result<Columns<'a>, HeaderError> {
    let fields = fields(kind, list);
    if header.len() > MAX_COLUMNS {
        return Err(HeaderError::TooMany);
    }
    let (mut columns, mut seen): (Vec<Option<&Field>>, Vec<&Field>) = (Vec::new(), Vec::new());
    for (at, text) in header.iter().enumerate() {
        let name = plain(text);
        if name.is_empty() {
            columns.push(None);
            continue;
        }
        let is = |field: &&&Field| [field.path.name(), &field.zh, &field.en].iter().any(|title| plain(title) == name);
        let field = *fields.iter().find(is).ok_or_else(|| unknown(at + 1, text, &fields))?;
        if seen.contains(&field) {
            return Err(HeaderError::Doubled { title: field.path.name().into(), title_zh: short(&field.zh).into() });
        }
        seen.push(field);
        columns.push(Some(field));
    }
    // Columns without a name at the end are a spreadsheet's.
    while columns.last().is_some_and(Option::is_none) {
        columns.pop();
    }
    if columns.is_empty() {
        return Err(HeaderError::Empty);
    }
    match fields.iter().find(|field| !field.optional && field.path.name() != SEQUENCE && !seen.contains(field)) {
        Some(field) => Err(HeaderError::Missing { title: field.path.name().into(), title_zh: short(&field.zh).into() }),
        None => Ok(Columns { fields: columns, numbers_rows: fields.iter().any(|field| field.path.name() == SEQUENCE && !seen.contains(field)) }),
    }
}

/// Without a header the first line is a person: only what can be a title is repeated.
fn unknown(column: usize, text: &str, fields: &[&Field]) -> HeaderError {
    let like_a_title = text.chars().count() <= 16 && !text.chars().any(|c| c.is_ascii_digit() || c.is_control());
    let known = |of: &dyn Fn(&Field) -> String, between: &str| fields.iter().map(|field| of(field)).collect::<Vec<_>>().join(between);
    HeaderError::Unknown {
        column,
        text: if like_a_title { text.trim().to_owned() } else { "…".to_owned() },
        known: known(&|field| field.path.name().to_owned(), ", "),
        known_zh: known(&|field| short(&field.zh).to_owned(), "、"),
    }
}
