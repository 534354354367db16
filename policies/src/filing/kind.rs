//! A kind of filing, read from its document: who may sign, which fields, which rules.

use serde::Deserialize;
use toml::Spanned;

use super::expression::Type;
use super::field::{Choice, Field, FieldKind, FieldWord, Group, List, Path, Schema};
use super::figure::Figures;
use super::ratio::Ratio;
use super::read_expression::{field_of, read_expression, scope_of};
use super::rule::{Judged, NamedCheck, Rule, Severity};
use super::words::{FilingPeriod, KindName, PeriodForm, Role};
use crate::document::{PolicyError, named, read};

const MOST_FIELDS: usize = 1_024;
const MOST_RULES: usize = 1_024;
const MOST_ITEMS: usize = 20_000;

named! {
    /// What a later revision of a period does.
    Revisions {
        /// It takes the place of the one before: a return.
        Replace = "replace",
        /// It stands beside it: an event.
        Add = "add",
    }
}

/// A form of a kind of filing. Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    name: KindName,
    form_version: Option<String>,
    title: String,
    title_en: String,
    policies: Vec<String>,
    roles: Vec<Role>,
    period: PeriodForm,
    /// The first period that it may be filed for: from then on every figure of its rules is known.
    from: FilingPeriod,
    until: Option<FilingPeriod>,
    revisions: Revisions,
    deadline: String,
    max_attachments: usize,
    /// The field that says from which month on figures count; else the period's first.
    figures_at: Option<Path>,
    schema: Schema,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kind: Spanned<String>,
    form_version: Option<Spanned<String>>,
    title: String,
    title_en: String,
    policies: Spanned<Vec<String>>,
    roles: Spanned<Vec<Role>>,
    period: PeriodForm,
    from: Spanned<String>,
    until: Option<Spanned<String>>,
    revisions: Revisions,
    deadline: Spanned<String>,
    max_attachments: Spanned<usize>,
    figures_at: Option<Spanned<String>>,
    #[serde(default)]
    group: Vec<Spanned<GroupLine>>,
    #[serde(default)]
    list: Vec<Spanned<ListLine>>,
    field: Vec<Spanned<FieldLine>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleLine>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupLine {
    path: String,
    zh: String,
    en: String,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListLine {
    path: String,
    zh: String,
    en: String,
    min: usize,
    max: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldLine {
    /// The groups or lists in which it stands; the payload when left out.
    #[serde(rename = "in")]
    within: Option<Vec<String>>,
    name: String,
    #[serde(rename = "type")]
    word: FieldWord,
    zh: String,
    en: String,
    #[serde(default)]
    optional: bool,
    /// Makes it optional, and says what rules take it for.
    absent: Option<String>,
    digits: Option<u8>,
    #[serde(default)]
    negative: bool,
    min: Option<i64>,
    max: Option<i64>,
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleLine {
    id: String,
    /// The groups or lists whose objects it judges; the payload when left out.
    #[serde(rename = "for")]
    scopes: Option<Vec<String>>,
    /// Written once for each: `@` in id, check, when, field and words stands for it.
    each: Option<Vec<String>>,
    when: Option<String>,
    check: Option<String>,
    named: Option<NamedCheck>,
    #[serde(default)]
    with: Vec<String>,
    at_least: Option<String>,
    field: Option<String>,
    severity: Option<Severity>,
    zh: String,
    en: String,
    next: String,
    next_en: String,
}

impl Kind {
    pub(super) fn parse((file, text): (&str, &str), figures: &Figures, knows: &dyn Fn(&str, PeriodForm) -> bool) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        let at = |span, reason: &str| PolicyError::at(file, text, Some(span), reason);
        // 1. The head.
        let name = KindName::parse(document.kind.get_ref()).ok_or_else(|| at(document.kind.span(), "a kind is named in capitals, digits and underscores"))?;
        let is_version = |text: &str| (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let Some(version) = document.form_version.as_ref().filter(|version| !is_version(version.get_ref())) {
            return Err(at(version.span(), "a form version has 1 to 16 letters, digits or hyphens"));
        }
        let arc = |policy: &String| policy.starts_with('.') && policy.len() <= 32 && policy.split('.').skip(1).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        if document.policies.get_ref().is_empty() || !document.policies.get_ref().iter().all(arc) {
            return Err(at(document.policies.span(), "name certificate policies beneath the arc, as .1.1"));
        }
        if document.roles.get_ref().is_empty() {
            return Err(at(document.roles.span(), "name a role that may sign"));
        }
        if !knows(document.deadline.get_ref(), document.period) {
            return Err(at(document.deadline.span(), "no deadline of this name and form of period stands in calendar.toml, nor in a bureau's own"));
        }
        if *document.max_attachments.get_ref() > 64 {
            return Err(at(document.max_attachments.span(), "a filing has at most 64 attachments"));
        }
        let bound = |written: &Spanned<String>| FilingPeriod::parse(written.get_ref()).filter(|period| period.form() == document.period).ok_or_else(|| at(written.span(), "write a period as this kind's are"));
        let (from, until) = (bound(&document.from)?, document.until.as_ref().map(bound).transpose()?);
        // 2. Objects, then what stands in them.
        let mut schema = Schema::default();
        for line in document.group {
            let (span, GroupLine { path, zh, en, optional }) = (line.span(), line.into_inner());
            let path = Path::parse(&path).filter(|path| !path.has_lists() && !path.steps().is_empty()).ok_or_else(|| at(span, "a group's path has no lists"))?;
            schema.groups.push(Group { path, zh, en, optional });
        }
        for line in document.list {
            let (span, ListLine { path, zh, en, min, max }) = (line.span(), line.into_inner());
            let path = Path::parse(&path).filter(|path| !path.has_lists() && path.steps().len() == 1).ok_or_else(|| at(span.clone(), "a list stands in the payload itself"))?;
            if min > max || max > MOST_ITEMS {
                return Err(at(span, "a list has at most 20000 items, and min is no more than max"));
            }
            schema.lists.push(List { path, zh, en, min, max });
        }
        for line in document.field {
            let span = line.span();
            read_field(line.into_inner(), &mut schema).map_err(|reason| at(span, &reason))?;
        }
        // 3. The rules over them.
        let mut rules = Vec::new();
        for line in document.rule {
            let span = line.span();
            read_rule(line.into_inner(), &schema, figures, &mut rules).map_err(|reason| at(span, &reason))?;
        }
        let unknown = |name: &str| from.first_month().is_none_or(|month| figures.at(name, month).is_none());
        if let Some(name) = rules.iter().flat_map(Rule::figures).find(|name| unknown(name)) {
            return Err(at(document.from.span(), &format!("${name} is not known yet in that period; begin later, or give figures.toml its earlier value")));
        }
        let figures_at = match document.figures_at {
            None => None,
            Some(written) => {
                let path = Path::parse(written.get_ref()).filter(|path| !path.has_lists() && schema.field(path).is_some_and(|field| field.kind == FieldKind::Month));
                Some(path.ok_or_else(|| at(written.span(), "figures_at names a field of type month"))?)
            }
        };
        let Document { title, title_en, policies, roles, period, revisions, deadline, max_attachments, form_version, .. } = document;
        let form_version = form_version.map(Spanned::into_inner);
        let (policies, roles, deadline, max_attachments) = (policies.into_inner(), roles.into_inner(), deadline.into_inner(), max_attachments.into_inner());
        Ok(Self { name, form_version, title, title_en, policies, roles, period, from, until, revisions, deadline, max_attachments, figures_at, schema, rules })
    }

    pub fn name(&self) -> &KindName {
        &self.name
    }

    pub fn form_version(&self) -> Option<&str> {
        self.form_version.as_deref()
    }

    /// Chinese and English.
    pub fn titles(&self) -> (&str, &str) {
        (&self.title, &self.title_en)
    }

    /// Certificate policies beneath the arc, any of which lets a certificate sign it.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn period(&self) -> PeriodForm {
        self.period
    }

    /// Whether this form is the one for a period.
    pub fn takes(&self, period: FilingPeriod) -> bool {
        period.form() == self.period && self.from <= period && self.until.is_none_or(|until| period <= until)
    }

    /// The first period that it may be filed for.
    pub fn from(&self) -> FilingPeriod {
        self.from
    }

    pub fn revisions(&self) -> Revisions {
        self.revisions
    }

    /// The name of its deadline in the calendar.
    pub fn deadline(&self) -> &str {
        &self.deadline
    }

    pub fn max_attachments(&self) -> usize {
        self.max_attachments
    }

    pub fn figures_at(&self) -> Option<&Path> {
        self.figures_at.as_ref()
    }

    pub fn groups(&self) -> &[Group] {
        &self.schema.groups
    }

    pub fn lists(&self) -> &[List] {
        &self.schema.lists
    }

    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    pub fn field(&self, path: &Path) -> Option<&Field> {
        self.schema.field(path)
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

fn read_field(line: FieldLine, schema: &mut Schema) -> Result<(), String> {
    let FieldLine { within, name, word, zh, en, optional, absent, digits, negative, min, max, choices } = line;
    let codes = |choices: Option<Vec<Choice>>| {
        let choices = choices.filter(|choices| (1..=256).contains(&choices.len())).ok_or("it needs its choices")?;
        let distinct = choices.iter().enumerate().all(|(at, one)| !choices.iter().take(at).any(|other| other.code == one.code));
        if distinct { Ok(choices) } else { Err("a choice stands twice") }
    };
    let foreign = (digits.is_some() || negative) && word != FieldWord::Amount;
    if foreign || (min.is_some() && word != FieldWord::Integer) || (max.is_some() && !matches!(word, FieldWord::Integer | FieldWord::Text)) {
        return Err(format!("a field of type {word} has no such bound"));
    }
    let kind = match word {
        FieldWord::Amount => FieldKind::Amount { digits: digits.filter(|digits| (1..=14).contains(digits)).ok_or("an amount says its digits, 1 to 14")?, negative },
        FieldWord::Rate => FieldKind::Rate,
        FieldWord::Integer => match (min, max) {
            (Some(min), Some(max)) if min <= max => FieldKind::Integer { min, max },
            _ => return Err("an integer says min and max".into()),
        },
        FieldWord::Text => FieldKind::Text { max: max.and_then(|max| usize::try_from(max).ok()).filter(|max| (1..=4_000).contains(max)).ok_or("a text says max, 1 to 4000")? },
        FieldWord::Date => FieldKind::Date,
        FieldWord::Month => FieldKind::Month,
        FieldWord::Boolean => FieldKind::Boolean,
        FieldWord::Choice => FieldKind::Choice(codes(choices)?),
        FieldWord::Choices => FieldKind::Choices(codes(choices)?),
        FieldWord::DocumentType => FieldKind::DocumentType,
        FieldWord::DocumentNumber => FieldKind::DocumentNumber,
        FieldWord::PersonName => FieldKind::PersonName,
        FieldWord::Mobile => FieldKind::Mobile,
    };
    let number = matches!(kind, FieldKind::Amount { .. } | FieldKind::Rate | FieldKind::Integer { .. });
    let absent = match absent {
        None => None,
        Some(text) => Some(Ratio::decimal(&text).filter(|_| number).ok_or("absent is a number, of a field that is one")?),
    };
    for scope in within.unwrap_or_else(|| vec![String::new()]) {
        let scope = scope_of(&scope, schema)?;
        let below = Path::parse(&name).filter(|path| path.steps().len() == 1).ok_or("a field's name has small letters, digits and underscores")?;
        let path = scope.join(&below);
        if schema.field(&path).is_some() || schema.is_scope(&path) || schema.list(&path).is_some() || schema.fields.len() == MOST_FIELDS {
            return Err(format!("`{path}` stands above already"));
        }
        schema.fields.push(Field { path, kind: kind.clone(), zh: zh.clone(), en: en.clone(), optional: optional || absent.is_some(), absent });
    }
    Ok(())
}

fn read_rule(line: RuleLine, schema: &Schema, figures: &Figures, rules: &mut Vec<Rule>) -> Result<(), String> {
    for each in line.each.clone().unwrap_or_else(|| vec![String::new()]) {
        let put = |text: &str| if line.each.is_some() { text.replace('@', &each) } else { text.to_owned() };
        for scope in line.scopes.clone().unwrap_or_else(|| vec![String::new()]) {
            let scope = scope_of(&scope, schema)?;
            let condition = |text: &str| {
                let read = read_expression(&put(text), &scope, schema, figures)?;
                if read.gives == Type::Boolean { Ok(read) } else { Err("a condition says yes or no".to_owned()) }
            };
            let when = line.when.as_deref().map(condition).transpose()?.map(|read| read.expression);
            let own = |name: &String| field_of(&put(name), &scope, schema);
            let blamed = line.field.as_ref().map(own).transpose()?.map(|place| place.whole);
            let (judged, blamed, written) = match (&line.check, line.named) {
                (Some(check), None) if line.with.is_empty() && line.at_least.is_none() => {
                    let read = condition(check)?;
                    let blamed = blamed.or(read.first).ok_or("it names no field; say which is to blame")?;
                    (Judged::Holds(read.expression), blamed, put(check))
                }
                (None, Some(check)) => {
                    let list_check = matches!(check, NamedCheck::DistinctPersons | NamedCheck::WholeStaff);
                    let fields = named_fields(check, &line.with, &scope, schema, list_check)?;
                    let at_least = line.at_least.as_deref().map(|text| Ratio::decimal(text).ok_or("at_least is a number")).transpose()?;
                    if at_least.is_some() != (check == NamedCheck::Age) {
                        return Err("at_least stands with the check `age` and with no other".into());
                    }
                    let blamed = blamed.or_else(|| fields.get(check.blamed()).map(|place| place.whole.clone())).ok_or("it names no field")?;
                    (Judged::Named { check, fields, at_least }, blamed, format!("{check}({})", line.with.join(", ")))
                }
                _ => return Err("a rule has a `check`, or a `named` check `with` its fields".into()),
            };
            let id = put(&line.id);
            let taken = rules.iter().any(|rule| rule.id == id && rule.scope == scope);
            if id.is_empty() || id.len() > 32 || taken || rules.len() == MOST_RULES {
                return Err("a rule has an id of its own, of 1 to 32 characters".into());
            }
            let severity = line.severity.unwrap_or(Severity::Refuse);
            rules.push(Rule { id, scope, when, judged, blamed, severity, zh: put(&line.zh), en: put(&line.en), next_zh: put(&line.next), next_en: put(&line.next_en), written });
        }
    }
    Ok(())
}

/// A list check is given the list, and fields of its items.
fn named_fields(check: NamedCheck, with: &[String], scope: &Path, schema: &Schema, list_check: bool) -> Result<Vec<super::expression::Place>, String> {
    if with.len() != check.fields() {
        return Err(format!("the check `{check}` is given {} fields", check.fields()));
    }
    let (first, rest) = with.split_first().ok_or("it is given no fields")?;
    if !list_check {
        return with.iter().map(|name| field_of(name, scope, schema)).collect();
    }
    let list = field_of(first, scope, schema)?;
    let item = scope_of(&format!("{}[]", list.whole), schema)?;
    let mut fields = vec![list];
    for name in rest {
        fields.push(field_of(name, &item, schema)?);
    }
    Ok(fields)
}
