//! The checks that are no arithmetic: numbers of documents, ages, and who is insured through an enterprise.

use std::collections::{BTreeMap, BTreeSet};

use policies::filing::{Judged, Kind, NamedCheck, Path, Place, Ratio, Rule};
use policies::identity::Document;
use time::Date;

use super::evaluate::{Context, Unknown, Worth};
use crate::document::Value;

/// The most people of one list; of an enterprise with more the list is not kept, and what it would decide not judged.
pub const MOST_PEOPLE: usize = 200_000;

/// Who is insured through an enterprise, and in what, as far as whoever judges knows. Held in memory only, never printed.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    /// By the document, canonical: what of each insurance is known.
    people: BTreeMap<String, Person>,
    /// Everybody is here: who is not is not insured. Else nothing is known of others.
    complete: bool,
}

/// What is known of a person: insurances that run, and such as were left.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    open: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    left: BTreeSet<String>,
}

impl Staff {
    /// A list of everybody: documents and insurances.
    pub fn whole(people: impl IntoIterator<Item = (Document, BTreeSet<String>)>) -> Self {
        let person = |(document, open): (Document, BTreeSet<String>)| (document.canonical(), Person { open, left: BTreeSet::new() });
        Self { people: people.into_iter().map(person).collect(), complete: true }
    }

    /// How many are insured.
    pub fn len(&self) -> usize {
        self.people.values().filter(|person| !person.open.is_empty()).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it tells of everybody.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether it is too long to be kept.
    pub fn is_too_long(&self) -> bool {
        self.people.len() > MOST_PEOPLE
    }

    /// Whether somebody has an insurance; `None` where nothing is known of it.
    fn has(&self, canonical: &str, insurance: &str) -> Option<bool> {
        let person = self.people.get(canonical);
        match person {
            Some(person) if person.open.contains(insurance) => Some(true),
            Some(person) if person.left.contains(insurance) => Some(false),
            _ if self.complete => Some(false),
            _ => None,
        }
    }

    /// Takes in an accepted filing of staff changes, in the order of filing: what its kind calls an open record.
    pub fn follow(&mut self, kind: &Kind, payload: &Value, today: Date) {
        self.change(kind, payload, today, false);
    }

    /// Takes a filing out again that was rejected: who joined by it has not, who left has not. Where not everybody is known
    /// that leaves them unknown: what stood before it was never told, or is forgotten.
    pub fn undo(&mut self, kind: &Kind, payload: &Value, today: Date) {
        self.change(kind, payload, today, true);
    }

    fn change(&mut self, kind: &Kind, payload: &Value, today: Date, back: bool) {
        let Some((fields, scope)) = record(kind) else { return };
        let [operation, id_type, number, insurances] = fields else { return };
        let text = |item: &'_ Value, place: &Place| super::evaluate::text_at(item, &place.below).map(str::to_owned);
        for item in items(payload, scope) {
            let (Some(operation), Some(document)) = (text(item, operation), document_at(item, id_type, number, today)) else { continue };
            let named = super::evaluate::follow(item, &insurances.below).and_then(Value::as_array).unwrap_or_default();
            let joins = (operation == "ADD") != back;
            let person = self.people.entry(document.canonical()).or_default();
            for insurance in named.iter().filter_map(|value| value.as_text().map(str::to_owned)) {
                let (to, from) = if joins { (&mut person.open, &mut person.left) } else { (&mut person.left, &mut person.open) };
                from.remove(&insurance);
                if back && !self.complete {
                    to.remove(&insurance);
                } else {
                    to.insert(insurance);
                }
            }
            if self.complete {
                // Who is not there is not insured: there is nothing to remember.
                person.left.clear();
            }
            if person.open.is_empty() && person.left.is_empty() {
                self.people.remove(&document.canonical());
            }
        }
    }
}

/// The fields of a kind's open records, and where they stand; none of a kind that changes no staff.
fn record(kind: &Kind) -> Option<(&[Place], &Path)> {
    kind.rules().iter().find_map(|rule| match &rule.judged {
        Judged::Named { check: NamedCheck::OpenRecord, fields, .. } => Some((fields.as_slice(), &rule.scope)),
        _ => None,
    })
}

/// Whether filings of a kind change who is insured.
pub fn changes_staff(kind: &Kind) -> bool {
    record(kind).is_some()
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
            // Nothing known of somebody leaves that line open; what is known to be wrong is told all the same.
            let mut untold = false;
            let broken = each(rule, context, |item| {
                let (Worth::Text(operation), Worth::Texts(named)) = (context.value(operation, item)?, context.value(insurances, item)?) else { return Err(Unknown::Absent) };
                let document = document_at(item, id_type, number, context.today).ok_or(Unknown::Absent)?.canonical();
                let known: Vec<Option<bool>> = named.iter().map(|insurance| context.history.staff.and_then(|staff| staff.has(&document, insurance))).collect();
                let wanted = operation != "ADD";
                untold |= known.contains(&None);
                Ok(!known.contains(&Some(!wanted)))
            })?;
            if broken.is_empty() && untold { Err(Unknown::NoHistory) } else { Ok(broken) }
        }
        (NamedCheck::WholeStaff, [list, id_type, number]) => {
            let staff = context.history.staff.filter(|staff| staff.complete).ok_or(Unknown::NoHistory)?;
            let items = super::evaluate::follow(context.payload, &list.whole).and_then(Value::as_array).unwrap_or_default();
            let named: Vec<Option<String>> = items.iter().map(|item| document_at(item, id_type, number, context.today).map(|document| document.canonical())).collect();
            let stranger = |(at, canonical): (usize, &Option<String>)| canonical.as_ref().filter(|canonical| !staff.people.contains_key(*canonical)).map(|_| (number.whole.clone(), Some(at)));
            let mut broken: Broken = named.iter().enumerate().filter_map(stranger).collect();
            let there: BTreeSet<&String> = named.iter().flatten().collect();
            if staff.people.keys().any(|canonical| !there.contains(canonical)) {
                broken.push((list.whole.clone(), None));
            }
            Ok(broken)
        }
        _ => Err(Unknown::Absent),
    }
}

/// Judges every item in the rule's scope for which its condition holds.
fn each<'a>(rule: &'a Rule, context: &Context<'a>, mut holds: impl FnMut(&'a Value) -> Result<bool, Unknown>) -> Result<Broken, Unknown> {
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
