//! A table of people given to `new` or `check`: filled into the form, its totals with it, and judged line by line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use policies::filing::{FieldKind, Filings, Kind, List, Path, Step};
use runtime::exit::{Exit, Problem};
use runtime::terminal::line;
use serde::Serialize;

use super::draft::{Head, written};
use super::enterprise::{Language, Place, judged};
use crate::document::{Filing, FilingError, MAX_BYTES, Object, Value};
use crate::rules::{Failure, NotJudged};
use crate::table::{self, Encoding, Located, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Written {
    Utf8,
    Gb18030,
    Utf16le,
    Utf16be,
}

impl Written {
    fn encoding(self) -> Encoding {
        match self {
            Self::Utf8 => Encoding::Utf8,
            Self::Gb18030 => Encoding::Gb18030,
            Self::Utf16le => Encoding::Utf16Le,
            Self::Utf16be => Encoding::Utf16Be,
        }
    }
}

/// How a table is read.
#[derive(Debug, Args)]
pub struct Tabled {
    /// 表格的编码，缺省自动识别 (how the table is written; found out without it).
    #[arg(long, value_enum)]
    encoding: Option<Written>,
    /// 明细表以外的栏目 (a field of the form outside the table), as effective_from=202607; may be said again.
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

/// The form filled from a table.
pub(super) struct Filled {
    pub text: String,
    pub found: Found,
}

/// What is wrong with it.
#[derive(Default, Serialize)]
pub(super) struct Found {
    pub failures: Vec<Located>,
    pub notes: Vec<Located>,
    pub not_judged: Vec<NotJudged>,
    pub left_out: usize,
}

impl Found {
    /// Whether a row of the table has to be mended first.
    pub fn has_bad_rows(&self) -> bool {
        self.left_out > 0 || self.failures.iter().any(|one| one.line.is_some())
    }

    pub fn is_kept(&self) -> bool {
        self.failures.is_empty() && self.left_out == 0
    }

    pub fn problem(&self, place: &Place) -> Problem {
        let count = self.failures.len() + self.left_out;
        place.refuse(Exit::Refused, "rules", (&format!("{count} 处不符合规则"), "请按所列各行改正后重试"), (&format!("{count} faults"), "mend each of those listed and try again"))
    }

    /// Each with its line of the table.
    pub fn tell(&self, place: &Place) -> Result<(), Problem> {
        for one in &self.failures {
            line(&format!("{}{}", at(place, one), place.told(&one.failure)))?;
        }
        for one in &self.notes {
            line(&format!("{}{}{}", place.said("提示：", "note: "), at(place, one), place.told(&one.failure)))?;
        }
        if self.left_out > 0 {
            line(&place.format(&format!("另有 {} 处未列出", self.left_out), &format!("{} more are not listed", self.left_out)))?;
        }
        for one in &self.not_judged {
            line(&format!("{} {}: {}", one.rule, place.said("未核对", "not judged"), place.said(one.why, one.why_en)))?;
        }
        Ok(())
    }
}

fn at(place: &Place, one: &Located) -> String {
    one.line.map(|line| place.format(&format!("第 {line} 行 "), &format!("line {line}: "))).unwrap_or_default()
}

/// 1 the rows · 2 the other fields · 3 totals as the form's own rules ask for · 4 judged as a draft is.
pub(super) fn fill(place: &Place, filings: &Filings, head: &Head<'_>, file: &PathBuf, tabled: &Tabled) -> Result<Filled, Problem> {
    // 1.
    let bytes = place.read(file, MAX_BYTES as u64)?;
    let read = table::read(&bytes, head.kind, tabled.encoding.map(Written::encoding)).map_err(|error| {
        let ((zh, next_zh), en) = (error.chinese(), error.to_string());
        let (en, next) = en.rsplit_once("; ").unwrap_or((&en, "mend it and try again"));
        place.refuse(Exit::Refused, "table", (&zh, &next_zh), (en, next))
    })?;
    let list = table::list_of(head.kind).ok_or_else(|| Problem::new(Exit::Internal, "table", "no list", "report this"))?;
    // 2.
    let mut payload = Object::default();
    for one in &tabled.set {
        set(place, head.kind, one, &mut payload)?;
    }
    put(&mut payload, list.path.steps(), Value::Array(read.items.clone()));
    for field in head.kind.fields().iter().filter(|field| is_total(&field.path)) {
        let nought = if matches!(field.kind, FieldKind::Integer { .. }) { Value::Integer(0) } else { Value::text("0.00") };
        put(&mut payload, field.path.steps(), nought);
    }
    // 3.
    let draft = |payload: &Object| {
        let text = written(head, Some(payload), place.lang == Language::Zh);
        let filing = Value::parse_draft(text.as_bytes()).map_err(FilingError::from).and_then(Filing::from_value).map_err(|error| place.misread(&error))?;
        Ok::<_, Problem>((text, filing))
    };
    let first = judged(filings, &draft(&payload)?.1);
    for failure in &first.failures {
        let path = failure.field.trim_start_matches("/payload/").replace('/', ".");
        let total = head.kind.fields().iter().find(|field| is_total(&field.path) && field.path.to_string() == path);
        if let (Some(field), Some(expected)) = (total, &failure.expected) {
            let value = if matches!(field.kind, FieldKind::Integer { .. }) { expected.parse().map_or(Value::Null, Value::Integer) } else { Value::text(expected.as_str()) };
            put(&mut payload, field.path.steps(), value);
        }
    }
    // 4.
    let (text, filing) = draft(&payload)?;
    let judgement = judged(filings, &filing);
    let located = |failures: Vec<Failure>| failures.into_iter().map(|failure| Located { line: read.line_of(list, &failure.field), failure }).collect::<Vec<_>>();
    let mut found = Found { failures: located(judgement.failures), notes: located(judgement.notes), not_judged: judgement.not_judged, left_out: judgement.left_out + read.left_out };
    merge(&mut found.failures, &read, list);
    Ok(Filled { text, found })
}

/// What the table knows of a cell stands in the place of what the form's rules say of it, since the cell was left out.
fn merge(failures: &mut Vec<Located>, read: &Table, list: &List) {
    let known: std::collections::BTreeSet<&str> = read.faults.iter().map(|one| one.failure.field.as_str()).filter(|field| read.line_of(list, field).is_some()).collect();
    failures.retain(|one| !known.contains(one.failure.field.as_str()));
    failures.extend(read.faults.iter().cloned());
    failures.sort_by_key(|one| one.line.unwrap_or(u64::MAX));
}

/// In a group and in no list: what is counted or summed.
fn is_total(path: &Path) -> bool {
    path.steps().len() > 1 && !path.has_lists()
}

fn put(object: &mut Object, steps: &[Step], value: Value) {
    match steps {
        [Step::Member(name)] => {
            object.insert(name, value);
        }
        [Step::Member(name), below @ ..] => {
            let mut inner = match object.get(name) {
                Some(Value::Object(inner)) => inner.clone(),
                _ => Object::default(),
            };
            put(&mut inner, below, value);
            object.insert(name, Value::Object(inner));
        }
        _ => {}
    }
}

fn set(place: &Place, kind: &Kind, one: &str, payload: &mut Object) -> Result<(), Problem> {
    let outside: Vec<String> = kind.fields().iter().filter(|field| !field.path.has_lists() && !is_total(&field.path)).map(|field| field.path.to_string()).collect();
    let wrong = || {
        let shown = if outside.is_empty() { place.format("（无）", "none") } else { outside.join(", ") };
        place.refuse(Exit::Usage, "set", (&format!("“{one}”不是 栏目=数值"), &format!("明细表以外的栏目：{shown}")), (&format!("`{one}` is no FIELD=VALUE"), &format!("the fields outside the table are: {shown}"))).at("set")
    };
    let (name, value) = one.split_once('=').filter(|(name, _)| outside.iter().any(|known| known == name)).ok_or_else(wrong)?;
    let field = kind.fields().iter().find(|field| field.path.to_string() == name).ok_or_else(wrong)?;
    if let Some(value) = table::value(&field.kind, value) {
        put(payload, field.path.steps(), value);
    }
    Ok(())
}
