//! Check 14: the rules of the kind, by what was filed here before. What the desk cannot know, such as who was insured before
//! it began, is not judged here: the receipt names those rules, and the bureau behind it judges them, with `reject`.

use policies::filing::{FilingPeriod, KindName};
use time::Date;

use super::receive::Parsed;
use crate::desk::Desk;
use crate::desk::check::{Check, Finding};
use crate::desk::problem::DeskError;
use crate::desk::record::RecordError;
use crate::desk::record::filing::{Slot, body_key, open_body};
use crate::document::{Filing, Value};
use crate::rules::{History, judge as by_rules};

/// Of a return with thousands of failures so many are told.
const MOST_TOLD: usize = 100;

/// The rules that could not be judged for want of what was filed before.
pub fn judge(desk: &Desk, parsed: &Parsed<'_>, today: Date, findings: &mut Vec<Finding>) -> Result<Vec<String>, DeskError> {
    let filing = &parsed.filing;
    let before = |period: FilingPeriod| payload(desk, filing.uscc().as_str(), filing.kind(), period);
    let previous = filing.period().before().map(before).transpose()?.flatten();
    let months = months(filing.period(), before)?;
    let months: Option<Vec<&Value>> = months.as_ref().map(|months| months.iter().collect());
    let history = History { previous: previous.as_ref(), months: months.as_deref(), staff: None };
    let judged = by_rules(filing, &desk.policies.filings, &history, today);
    for failure in judged.failures.iter().take(MOST_TOLD) {
        let mut finding = Finding::new(Check::Rules).because(&failure.zh, &failure.en).at(failure.field.as_str());
        (finding.next_zh, finding.next_en, finding.rule) = (failure.next.clone(), failure.next_en.clone(), Some(failure.rule.clone()));
        findings.push(finding);
    }
    let untold = judged.failures.len().saturating_sub(MOST_TOLD) + judged.left_out;
    if untold > 0 {
        findings.push(Finding::new(Check::Rules).because(format!("另有 {untold} 处"), format!("and {untold} more")));
    }
    Ok(judged.not_judged.into_iter().map(|one| one.rule).collect())
}

/// Every earlier month of the year, in order; none where one was not filed here.
fn months(period: FilingPeriod, before: impl Fn(FilingPeriod) -> Result<Option<Value>, DeskError>) -> Result<Option<Vec<Value>>, DeskError> {
    let (FilingPeriod::Month(_), mut at) = (period, period) else { return Ok(None) };
    let mut found = Vec::new();
    while let Some(earlier) = at.before().filter(|earlier| earlier.year() == period.year()) {
        let Some(payload) = before(earlier)? else { return Ok(None) };
        found.push(payload);
        at = earlier;
    }
    found.reverse();
    Ok(Some(found))
}

/// What was filed last for a period, unless it was rejected: then nothing is in force.
fn payload(desk: &Desk, uscc: &str, kind: &KindName, period: FilingPeriod) -> Result<Option<Value>, DeskError> {
    let Some(slot) = desk.store.get(&Slot::key(uscc, kind.as_str(), &period.to_string()))? else { return Ok(None) };
    let Slot { filing: id, rejected: false, .. } = Slot::decode(&slot)? else { return Ok(None) };
    let damaged = || RecordError::Damaged { kind: "filing body", reason: "it is no filing" };
    let body = desk.store.get(&body_key(&id))?.ok_or_else(damaged)?;
    let filing = Filing::parse(&open_body(&id, &body, &desk.data)?).map_err(|_| damaged())?;
    Ok(Some(filing.payload().clone()))
}
