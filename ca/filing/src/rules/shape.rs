//! Whether a payload has what its form asks for, and nothing that it does not.

use policies::filing::{Choice, Field, FieldKind, FilingPeriod, Group, Kind, List, Path, PeriodForm, Ratio, Severity, Step};
use policies::identity::{DocumentKind, PersonName};
use policies::statement::{Money, Rate};
use time::Date;
use time::macros::format_description;

use super::evaluate::Worth;
use super::{Failure, Judgement, pointer, title};
use crate::document::{Object, Value};

const MAX_NUMBER_CHARACTERS: usize = 64;

/// What a value is worth when it has the form of its field.
pub(super) fn worth<'a>(kind: &FieldKind, value: &'a Value) -> Option<Worth<'a>> {
    let text = value.as_text();
    match kind {
        FieldKind::Amount { digits, negative } => amount(text?, usize::from(*digits), *negative),
        FieldKind::Rate => text.filter(|text| Rate::parse(text).is_ok_and(|rate| rate.to_string() == *text)).and_then(Ratio::decimal).map(Worth::Number),
        FieldKind::Integer { min, max } => value.as_integer().filter(|number| (min..=max).contains(&number)).map(|number| Worth::Number(Ratio::whole(number))),
        FieldKind::Text { max } => text.filter(|text| plain(text, *max)).map(Worth::Text),
        FieldKind::Date => text.and_then(date).map(Worth::Date),
        FieldKind::Month => text.filter(|text| FilingPeriod::parse(text).is_some_and(|period| period.form() == PeriodForm::Month)).map(Worth::Text),
        FieldKind::Boolean => if let Value::Boolean(value) = value { Some(Worth::Boolean(*value)) } else { None },
        FieldKind::Choice(choices) => text.filter(|text| is_choice(choices, text)).map(Worth::Text),
        FieldKind::Choices(choices) => some_of(choices, value.as_array()?).map(Worth::Texts),
        FieldKind::DocumentType => text.filter(|text| DocumentKind::from_name(text).is_some()).map(Worth::Text),
        // Its check is a rule of the kind: shape is only that it can be one.
        FieldKind::DocumentNumber => text.filter(|text| plain(text, MAX_NUMBER_CHARACTERS)).map(Worth::Text),
        FieldKind::PersonName => text.filter(|text| PersonName::parse(text).is_ok()).map(Worth::Text),
        FieldKind::Mobile => text.filter(|text| is_mobile(text)).map(Worth::Text),
    }
}

/// One text for one amount: no leading noughts, no minus nought.
fn amount<'a>(text: &str, digits: usize, negative: bool) -> Option<Worth<'a>> {
    let money = Money::parse(text).ok().filter(|money| is_its_own_text(*money, text) && (negative || *money >= Money::ZERO))?;
    let whole = text.trim_start_matches('-').split('.').next().map_or(0, str::len);
    if whole > digits { None } else { Ratio::new(i128::from(money.fen()), 100).map(Worth::Number) }
}

/// Whether an amount is written as what was read from `text`: without making its text, since a form has hundreds.
fn is_its_own_text(money: Money, text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading = digits.starts_with('0') && !digits.starts_with("0.");
    !leading && (digits.len() == text.len() || money != Money::ZERO)
}

fn plain(text: &str, max: usize) -> bool {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    (1..=max).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(hidden)
}

fn date(text: &str) -> Option<Date> {
    // The parser also takes a sign before the year.
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok().filter(|date| text.len() == 10 && (1..=9_999).contains(&date.year()))
}

fn is_choice(choices: &[Choice], text: &str) -> bool {
    choices.iter().any(|choice| choice.code == text)
}

fn some_of<'a>(choices: &[Choice], values: &'a [Value]) -> Option<Vec<&'a str>> {
    let texts: Vec<&str> = values.iter().map(Value::as_text).collect::<Option<_>>()?;
    let good = |(at, text): (usize, &&str)| is_choice(choices, text) && !texts.iter().take(at).any(|other| other == text);
    (!texts.is_empty() && texts.iter().enumerate().all(good)).then_some(texts)
}

fn is_mobile(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 11 && bytes.iter().all(u8::is_ascii_digit) && bytes.first() == Some(&b'1') && bytes.get(1).is_some_and(|second| (b'3'..=b'9').contains(second))
}

/// Every member of the payload that is wrong, unknown or missing.
pub(super) fn judge(payload: &Value, kind: &Kind, judgement: &mut Judgement) {
    let path = Path::default();
    object(payload, &path, &Form::at(&path, kind), None, kind, judgement);
}

/// What may stand in the objects of one place.
struct Form<'k> {
    fields: Vec<&'k Field>,
    groups: Vec<&'k Group>,
    lists: Vec<&'k List>,
    /// Of all of them, in order.
    names: Vec<&'k str>,
}

impl<'k> Form<'k> {
    fn at(path: &Path, kind: &'k Kind) -> Self {
        let fields: Vec<_> = kind.fields().iter().filter(|field| is_in(&field.path, path)).collect();
        let groups: Vec<_> = kind.groups().iter().filter(|group| is_in(&group.path, path)).collect();
        let lists: Vec<_> = kind.lists().iter().filter(|list| is_in(&list.path, path)).collect();
        let paths = fields.iter().map(|field| &field.path).chain(groups.iter().map(|group| &group.path)).chain(lists.iter().map(|list| &list.path));
        let mut names: Vec<_> = paths.map(Path::name).collect();
        names.sort_unstable();
        Self { fields, groups, lists, names }
    }
}

/// The members that an object at `path` may have.
fn object(value: &Value, path: &Path, form: &Form<'_>, index: Option<usize>, kind: &Kind, judgement: &mut Judgement) {
    let Some(members) = value.as_object() else {
        return judgement.fail(Severity::Refuse, failure(kind, path, index, ("此处应为一组栏目".into(), "an object stands here".into())));
    };
    unknown(members, path, form, index, kind, judgement);
    for field in &form.fields {
        match members.get(field.path.name()) {
            Some(value) if worth(&field.kind, value).is_none() => {
                let (zh, en) = field.kind.form();
                judgement.fail(Severity::Refuse, failure(kind, &field.path, index, (format!("应为{zh}"), format!("this is {en}"))));
            }
            None if !field.optional => judgement.fail(Severity::Refuse, failure(kind, &field.path, index, ("此栏必填".into(), "this must be filled in".into()))),
            _ => {}
        }
    }
    for group in &form.groups {
        match members.get(group.path.name()) {
            Some(value) => object(value, &group.path, &Form::at(&group.path, kind), index, kind, judgement),
            None if !group.optional => judgement.fail(Severity::Refuse, failure(kind, &group.path, index, ("这一部分必填".into(), "this part must be filled in".into()))),
            None => {}
        }
    }
    for list in &form.lists {
        let Some(items) = members.get(list.path.name()).and_then(Value::as_array) else {
            judgement.fail(Severity::Refuse, failure(kind, &list.path, index, ("此处应为一个列表".into(), "a list stands here".into())));
            continue;
        };
        if !(list.min..=list.max).contains(&items.len()) {
            let words = (format!("应有 {} 至 {} 项", list.min, list.max), format!("there are {} to {} items", list.min, list.max));
            judgement.fail(Severity::Refuse, failure(kind, &list.path, index, words));
        }
        let Some(item) = Path::parse(&format!("{}[]", list.path)) else { continue };
        let form = Form::at(&item, kind);
        for (at, value) in items.iter().take(list.max).enumerate() {
            object(value, &item, &form, Some(at), kind, judgement);
        }
    }
}

/// Whether a member's path ends in the object at `path`.
fn is_in(member: &Path, path: &Path) -> bool {
    matches!(member.steps().split_last(), Some((Step::Member(_), above)) if above == path.steps())
}

fn unknown(members: &Object, path: &Path, form: &Form<'_>, index: Option<usize>, kind: &Kind, judgement: &mut Judgement) {
    for (name, _) in members.iter().filter(|(name, _)| form.names.binary_search(name).is_err()) {
        let mut failure = failure(kind, path, index, ("表中没有这一栏".into(), "the form has no such field".into()));
        // A stranger's name could be anything, a person's number too: only what looks like a field's is repeated.
        let like_a_field = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.bytes().filter(u8::is_ascii_digit).count() < 6;
        let name = if like_a_field { name.to_owned() } else { "?".to_owned() };
        failure.field += &format!("/{name}");
        (failure.title, failure.title_en) = (name.clone(), name);
        (failure.next, failure.next_en) = ("请删除此栏，或核对栏目名".into(), "remove it, or check its name".into());
        judgement.fail(Severity::Refuse, failure);
    }
}

fn failure(kind: &Kind, path: &Path, index: Option<usize>, (zh, en): (String, String)) -> Failure {
    let (title, title_en) = title(kind, path);
    Failure { rule: "SHAPE".into(), field: pointer(path, index), title, title_en, zh, en, next: "请按说明填写".into(), next_en: "fill it in as explained".into(), expected: None, found: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_amount_has_one_text(text in "-?(0{0,2}[0-9]{0,3}|[0-9]{1,16})\\.[0-9]{2}") {
            if let Ok(money) = Money::parse(&text) {
                prop_assert_eq!(is_its_own_text(money, &text), money.to_string() == text);
            }
        }
    }
}
