//! Whether a filing keeps the rules of its kind: its shape, then every relation, every failure told at once.
//!
//! Pure: the same filing, documents, history and day give the same judgement at the enterprise and at the desk.

mod evaluate;
mod people;
mod shape;

use policies::authority::CITY;
use policies::filing::{Field, FieldKind, FilingPeriod, Filings, Judged, Kind, Path, Rule, Severity, Step};
use serde::Serialize;
use time::Date;

pub use people::{MOST_PEOPLE, Staff, changes_staff};

use crate::document::{Filing, Value};
use evaluate::{Context, Unknown, Worth};

/// More failures than this are counted and not told.
pub const MAX_TOLD: usize = 10_000;

/// What was filed before, as far as whoever judges knows it. Payloads are of the revision in force.
#[derive(Clone, Copy, Default)]
pub struct History<'a> {
    /// Of the period before.
    pub previous: Option<&'a Value>,
    /// Of every earlier month of the year that should have been filed; none when one is missing.
    pub months: Option<&'a [&'a Value]>,
    /// Who is insured through the enterprise, as far as it is known.
    pub staff: Option<&'a Staff>,
}

/// One rule that does not hold at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The rule's id, `SHAPE` or `ENVELOPE`.
    pub rule: String,
    /// JSON pointer into the filing.
    pub field: String,
    /// What the field is called, Chinese and English.
    pub title: String,
    pub title_en: String,
    /// What should hold, and what to do.
    pub zh: String,
    pub en: String,
    pub next: String,
    pub next_en: String,
    /// The value that the rule asks for and the one that stands there, where both are numbers and tell of nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// A rule that could not be judged, because what was filed before is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    pub rule: String,
    pub why: &'static str,
    pub why_en: &'static str,
}

/// What was found. Accepted means that `failures` is empty and `left_out` nought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    pub failures: Vec<Failure>,
    /// What whoever files should know, and is no reason to refuse.
    pub notes: Vec<Failure>,
    pub not_judged: Vec<NotJudged>,
    /// Failures beyond [`MAX_TOLD`].
    pub left_out: usize,
}

impl Judgement {
    pub fn is_kept(&self) -> bool {
        self.failures.is_empty() && self.left_out == 0
    }

    fn fail(&mut self, severity: Severity, failure: Failure) {
        let told = if severity == Severity::Refuse { &mut self.failures } else { &mut self.notes };
        if told.len() < MAX_TOLD {
            told.push(failure);
        } else if severity == Severity::Refuse {
            self.left_out += 1;
        }
    }
}

/// Judges a filing by the form it names; `today` is the day by the city's time.
pub fn judge(filing: &Filing, filings: &Filings, history: &History<'_>, today: Date) -> Judgement {
    let mut judgement = Judgement::default();
    // 1. The form: without it there is nothing to judge by.
    let Some(kind) = filings.kind(filing.kind(), filing.form_version()) else {
        let member = if filings.kinds().iter().any(|kind| kind.name() == filing.kind()) { "form_version" } else { "kind" };
        judgement.fail(Severity::Refuse, envelope(member, "没有这种申报或这个表的版本", "no such kind of filing, or no such version of its form", "请用 filing new 重新生成", "begin anew with `filing new`"));
        return judgement;
    };
    envelope_of(filing, kind, filings.region(kind, today), today, &mut judgement);
    // 2. The shape of the payload, field by field.
    shape::judge(filing.payload(), kind, &mut judgement);
    // 3. Every relation, where what it names is there.
    let context = context(filing, kind, filings, history, today);
    for rule in kind.rules() {
        relation(rule, &context, &mut judgement);
    }
    judgement
}

/// The same once more is known of what was filed before: only the rules that were not judged for want of it are judged anew.
pub fn judge_by_more(filing: &Filing, filings: &Filings, history: &History<'_>, today: Date, judged: Judgement) -> Judgement {
    let (Some(kind), 0) = (filings.kind(filing.kind(), filing.form_version()), judged.left_out) else { return judge(filing, filings, history, today) };
    let Judgement { mut failures, mut notes, not_judged, .. } = judged;
    let is_left = |id: &str| not_judged.iter().any(|one| one.rule == id);
    // A rule may have been judged of some items of a list.
    failures.retain(|one| !is_left(&one.rule));
    notes.retain(|one| !is_left(&one.rule));
    let mut judgement = Judgement { failures, notes, not_judged: Vec::new(), left_out: 0 };
    let context = context(filing, kind, filings, history, today);
    for rule in kind.rules().iter().filter(|rule| is_left(&rule.id)) {
        relation(rule, &context, &mut judgement);
    }
    if judgement.left_out > 0 {
        return judge(filing, filings, history, today);
    }
    // In the order of the rules, after envelope and shape, which are none.
    let place = |one: &Failure| kind.rules().iter().position(|rule| rule.id == one.rule);
    judgement.failures.sort_by_key(place);
    judgement.notes.sort_by_key(place);
    judgement
}

fn context<'a>(filing: &'a Filing, kind: &'a Kind, filings: &'a Filings, history: &'a History<'a>, today: Date) -> Context<'a> {
    let month = kind.figures_at().and_then(|path| evaluate::text_at(filing.payload(), path)).and_then(FilingPeriod::parse).unwrap_or(filing.period()).first_month();
    Context { kind, figures: filings.figures(), month, payload: filing.payload(), period: filing.period(), history, today }
}

fn envelope(member: &str, zh: &str, en: &str, next: &str, next_en: &str) -> Failure {
    let text = str::to_owned;
    Failure { rule: "ENVELOPE".into(), field: format!("/{member}"), title: text(member), title_en: text(member), zh: text(zh), en: text(en), next: text(next), next_en: text(next_en), expected: None, found: None }
}

fn envelope_of(filing: &Filing, kind: &Kind, region: Option<&str>, today: Date, judgement: &mut Judgement) {
    if let (Some(told), Some(region)) = (filing.region(), region)
        && !told.lies_in(region)
    {
        let mut failure = envelope("region", "不是受理单位所在的地区", "the bureau of this kind is in another region", &format!("请填受理地区 {region} 或其下级地区的代码"), &format!("write {region}, or the code of a district in it"));
        (failure.expected, failure.found) = (Some(region.to_owned()), Some(told.as_str().to_owned()));
        judgement.fail(Severity::Refuse, failure);
    }
    // A moment that the city's calendar cannot name is later than any day.
    if filing.created_at().is_some_and(|at| at.checked_to_offset(CITY).is_none_or(|at| at.date() > today)) {
        judgement.fail(Severity::Refuse, envelope("created_at", "编制时间晚于今天", "it was drawn up after today", "请核对编制时间与本机时钟", "check it, and this machine's clock"));
    }
    if !kind.takes(filing.period()) {
        judgement.fail(Severity::Refuse, envelope("period", "该表不用于这一所属期", "the form is not the one for this period", "请核对所属期，或用 filing new 生成该期的表", "check the period, or begin anew with `filing new`"));
    }
    if !kind.roles().contains(&filing.signer().role()) {
        judgement.fail(Severity::Refuse, envelope("signer_role", "该身份不能签署这种申报", "this role may not sign this kind", "请由有权签署的人签署", "have it signed by one who may"));
    }
    if filing.attachments().len() > kind.max_attachments() {
        judgement.fail(Severity::Refuse, envelope("attachments", "附件过多", "too many attachments", "请减少附件或合并文件", "leave some out or put files together"));
    }
}

/// One rule, at each object that its scope matches.
fn relation(rule: &Rule, context: &Context<'_>, judgement: &mut Judgement) {
    let untold = |unknown: Unknown, index: Option<usize>, judgement: &mut Judgement| {
        let Some((why, why_en)) = unknown.words() else { return };
        // Only what was filed before may be known to somebody else; what cannot be computed at all is never taken for right.
        if unknown != Unknown::NoHistory {
            let mut failure = failure(rule, context.kind, &rule.blamed, index, None);
            (failure.zh, failure.en) = (format!("{}：{why}", failure.zh), format!("{}: {why_en}", failure.en));
            judgement.fail(rule.severity, failure);
        } else if !judgement.not_judged.iter().any(|one| one.rule == rule.id) {
            judgement.not_judged.push(NotJudged { rule: rule.id.clone(), why, why_en });
        }
    };
    if let Judged::Named { check, fields, at_least } = &rule.judged {
        match people::judge(*check, fields, at_least.as_ref(), rule, context) {
            Ok(broken) => broken.into_iter().for_each(|(field, index)| tell(rule, context.kind, &field, index, None, judgement)),
            Err(unknown) => untold(unknown, None, judgement),
        }
        return;
    }
    let Judged::Holds(check) = &rule.judged else { return };
    for (scope, index) in context.scopes(&rule.scope) {
        let applies = rule.when.as_ref().map_or(Ok(Worth::Boolean(true)), |when| context.worth(when, scope, &rule.scope));
        match applies {
            Ok(Worth::Boolean(true)) => {}
            Err(unknown) => {
                untold(unknown, index, judgement);
                continue;
            }
            Ok(_) => continue,
        }
        match context.worth(check, scope, &rule.scope) {
            Ok(Worth::Boolean(false)) => {
                let numbers = context.both_sides(check, scope, &rule.scope);
                tell(rule, context.kind, &rule.blamed, index, numbers, judgement);
            }
            Ok(_) => {}
            Err(unknown) => untold(unknown, index, judgement),
        }
    }
}

/// `numbers` are what the rule asks for and what stands there.
fn tell(rule: &Rule, kind: &Kind, blamed: &Path, index: Option<usize>, numbers: Option<(String, String)>, judgement: &mut Judgement) {
    judgement.fail(rule.severity, failure(rule, kind, blamed, index, numbers));
}

fn failure(rule: &Rule, kind: &Kind, blamed: &Path, index: Option<usize>, numbers: Option<(String, String)>) -> Failure {
    let (title, title_en) = title(kind, blamed);
    let (expected, found) = numbers.unzip();
    Failure {
        rule: rule.id.clone(),
        field: pointer(blamed, index),
        title,
        title_en,
        zh: rule.zh.clone(),
        en: rule.en.clone(),
        next: rule.next_zh.clone(),
        next_en: rule.next_en.clone(),
        expected,
        found,
    }
}

fn title(kind: &Kind, path: &Path) -> (String, String) {
    let of_field = kind.field(path).map(|field| (field.zh.clone(), field.en.clone()));
    let of_list = || kind.lists().iter().find(|list| list.path == *path).map(|list| (list.zh.clone(), list.en.clone()));
    let of_group = || kind.groups().iter().find(|group| group.path == *path).map(|group| (group.zh.clone(), group.en.clone()));
    of_field.or_else(of_list).or_else(of_group).unwrap_or_else(|| (path.to_string(), path.to_string()))
}

/// From the filing, with the item's place put in.
fn pointer(path: &Path, index: Option<usize>) -> String {
    let mut pointer = String::from("/payload");
    for step in path.steps() {
        match (step, index) {
            (Step::Member(name), _) => pointer += &format!("/{name}"),
            (Step::Each, Some(index)) => pointer += &format!("/{index}"),
            // Of the list as a whole: nothing below it is meant.
            (Step::Each, None) => return pointer,
        }
    }
    pointer
}

/// As a number of such a field is written.
fn written(field: &Field, number: policies::filing::Ratio) -> String {
    match field.kind {
        FieldKind::Amount { .. } | FieldKind::Rate => number.yuan().unwrap_or_else(|| number.text()),
        _ => number.text(),
    }
}

#[cfg(test)]
mod tests;
