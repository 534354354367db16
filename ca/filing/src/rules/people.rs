//! The checks that are no arithmetic: numbers of documents, ages, and who is insured through an enterprise.

use std::collections::{BTreeMap, BTreeSet};

use policies::filing::{Judged, Kind, NamedCheck, Path, Place, Ratio, Rule};
use policies::identity::Document;
use time::Date;

use super::evaluate::{Context, Unknown, Worth};
use crate::document::Value;

/// Who is insured through an enterprise, and in what. Held in memory only, never printed.
#[derive(Clone, Default)]
pub struct Staff(BTreeMap<String, BTreeSet<String>>);

impl Staff {
    /// How many are insured.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in an accepted filing of staff changes, in the order of filing: what its kind calls an open record.
    pub fn follow(&mut self, kind: &Kind, payload: &Value, today: Date) {
        let record = kind.rules().iter().find_map(|rule| match &rule.judged {
            Judged::Named { check: NamedCheck::OpenRecord, fields, .. } => Some((fields, &rule.scope)),
            _ => None,
        });
        let Some((fields, scope)) = record else { return };
        let [operation, id_type, number, insurances] = fields.as_slice() else { return };
        let text = |item: &'_ Value, place: &Place| super::evaluate::text_at(item, &place.below).map(str::to_owned);
        for item in items(payload, scope) {
            let (Some(operation), Some(document)) = (text(item, operation), document_at(item, id_type, number, today)) else { continue };
            let named = super::evaluate::follow(item, &insurances.below).and_then(Value::as_array).unwrap_or_default();
            let named = named.iter().filter_map(|value| value.as_text().map(str::to_owned));
            let open = self.0.entry(document.canonical()).or_default();
            let named: BTreeSet<String> = named.collect();
            if operation == "ADD" {
                open.extend(named);
            } else {
                open.retain(|insurance| !named.contains(insurance));
            }
            if open.is_empty() {
                self.0.remove(&document.canonical());
            }
        }
    }
}

fn items<'a>(payload: &'a Value, scope: &Path) -> &'a [Value] {
    let Some((_, list)) = scope.steps().split_last() else { return &[] };
    let found = list.iter().try_fold(payload, |value, step| if let policies::filing::Step::Member(name) = step { value.as_object()?.get(name) } else { None });
    found.and_then(Value::as_array).unwrap_or_default()
}

fn document_at(item: &Value, id_type: &Place, number: &Place, today: Date) -> Option<Document> {
    let text = |place: &Place| super::evaluate::text_at(item, &place.below);
    Document::parse(text(id_type)?, text(number)?, today).ok()
}

/// Where the check fails: the field, and the place of the item in its list.
type Broken = Vec<(Path, Option<usize>)>;

pub(super) fn judge(check: NamedCheck, fields: &[Place], at_least: Option<&Ratio>, rule: &Rule, context: &Context<'_>) -> Result<Broken, Unknown> {
    match (check, fields) {
        (NamedCheck::Document, [id_type, number]) => each(rule, context, |item| {
            // What has no type and number is told of as a matter of shape.
            let there = context.value(id_type, item).is_ok() && context.value(number, item).is_ok();
            Ok(!there || document_at(item, id_type, number, context.today).is_some())
        }),
        (NamedCheck::Age, [id_type, number, day]) => each(rule, context, |item| {
            let Worth::Date(day) = context.value(day, item)? else { return Err(Unknown::Absent) };
            let born = document_at(item, id_type, number, context.today).and_then(|document| document.born()).ok_or(Unknown::Absent)?;
            Ok(at_least.is_none_or(|least| Ratio::whole(i64::from(age(born, day))).compare(*least).is_none_or(std::cmp::Ordering::is_ge)))
        }),
        (NamedCheck::DistinctPersons, [list, id_type, number]) => {
            let mut seen = BTreeSet::new();
            let items = super::evaluate::follow(context.payload, &list.whole).and_then(Value::as_array).unwrap_or_default();
            let again = |(at, item): (usize, &Value)| {
                let document = document_at(item, id_type, number, context.today)?;
                (!seen.insert(document.canonical())).then(|| (number.whole.clone(), Some(at)))
            };
            Ok(items.iter().enumerate().filter_map(again).collect())
        }
        (NamedCheck::OpenRecord, [operation, id_type, number, insurances]) => {
            let staff = context.history.staff.ok_or(Unknown::NoHistory)?;
            each(rule, context, |item| {
                let (Worth::Text(operation), Worth::Texts(named)) = (context.value(operation, item)?, context.value(insurances, item)?) else { return Err(Unknown::Absent) };
                let document = document_at(item, id_type, number, context.today).ok_or(Unknown::Absent)?;
                let open = staff.0.get(&document.canonical());
                let is_open = |insurance: &&str| open.is_some_and(|open| open.contains(*insurance));
                Ok(if operation == "ADD" { !named.iter().any(is_open) } else { named.iter().all(is_open) })
            })
        }
        (NamedCheck::WholeStaff, [list, id_type, number]) => {
            let staff = context.history.staff.ok_or(Unknown::NoHistory)?;
            let items = super::evaluate::follow(context.payload, &list.whole).and_then(Value::as_array).unwrap_or_default();
            let named: Vec<Option<String>> = items.iter().map(|item| document_at(item, id_type, number, context.today).map(|document| document.canonical())).collect();
            let stranger = |(at, canonical): (usize, &Option<String>)| canonical.as_ref().filter(|canonical| !staff.0.contains_key(*canonical)).map(|_| (number.whole.clone(), Some(at)));
            let mut broken: Broken = named.iter().enumerate().filter_map(stranger).collect();
            let there: BTreeSet<&String> = named.iter().flatten().collect();
            if staff.0.keys().any(|canonical| !there.contains(canonical)) {
                broken.push((list.whole.clone(), None));
            }
            Ok(broken)
        }
        _ => Err(Unknown::Absent),
    }
}

/// Judges every item in the rule's scope for which its condition holds.
fn each<'a>(rule: &'a Rule, context: &Context<'a>, holds: impl Fn(&'a Value) -> Result<bool, Unknown>) -> Result<Broken, Unknown> {
    let mut broken = Vec::new();
    for (item, index) in context.scopes(&rule.scope) {
        if let Some(when) = &rule.when && !matches!(context.worth(when, item, &rule.scope), Ok(Worth::Boolean(true))) {
            continue;
        }
        match holds(item) {
            Ok(false) => broken.push((rule.blamed.clone(), index)),
            Ok(true) | Err(Unknown::Absent) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(broken)
}

/// Full years; who is born on the last of February is a year older on the first of March of a shorter year.
fn age(born: Date, day: Date) -> i32 {
    let before = (u8::from(day.month()), day.day()) < (u8::from(born.month()), born.day());
    day.year() - born.year() - i32::from(before)
}
