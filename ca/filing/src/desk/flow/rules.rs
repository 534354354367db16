//! Check 14: the rules of the kind, by what was filed here before. What the desk cannot know, such as who was insured before
//! it began, is not judged here: the receipt names those rules, and the bureau behind it judges them, with `reject`.
//!
//! What is looked at of earlier filings goes to `relied`: the commit expects it to stand still as it was read.

use policies::filing::FilingPeriod;
use store::Expectation;
use time::Date;

use super::receive::Parsed;
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::record::RecordError;
use crate::desk::record::filing::{FilingRecord, Slot, Status, body_key, open_body};
use crate::desk::record::staff;
use crate::document::{Filing, Value};
use crate::rules::{History, Judgement, Staff, changes_staff, judge as by_rules, judge_by_more};

/// Of a return with thousands of failures so many are told.
const MOST_TOLD: usize = 100;

/// What the rules leave behind.
pub struct Kept {
    /// The rules that could not be judged for want of what was filed before.
    pub not_judged: Vec<String>,
    /// Who is insured after this filing, where it changes that.
    pub staff: Option<Staff>,
}

pub fn judge(desk: &Grounds, parsed: &Parsed<'_>, today: Date, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<Kept, DeskError> {
    let filing = &parsed.filing;
    // 1. Who is insured, for kinds that ask.
    let mut staff = known_staff(desk, parsed, relied)?;
    // 2. By itself; and where a rule wants it, by what was filed before, which is read only then.
    let mut judged = by_rules(filing, &desk.policies.filings, &History { previous: None, months: None, staff: staff.as_ref() }, today);
    let (back, year) = looks_back(parsed, &judged);
    if back || year {
        let mut before = |period: FilingPeriod| payload(desk, filing.uscc().as_str(), filing.kind().as_str(), period, relied);
        let previous = filing.period().before().filter(|_| back).map(&mut before).transpose()?.flatten();
        let months = if year { months(filing.period(), &mut before)? } else { None };
        let months: Option<Vec<&Value>> = months.as_ref().map(|months| months.iter().collect());
        // Where nothing was filed before, it was judged by all that is known.
        if previous.is_some() || months.is_some() {
            let history = History { previous: previous.as_ref(), months: months.as_deref(), staff: staff.as_ref() };
            judged = judge_by_more(filing, &desk.policies.filings, &history, today, judged);
        }
    }
    // 3. Told.
    for failure in judged.failures.iter().take(MOST_TOLD) {
        let mut finding = Finding::new(Check::Rules).because(&failure.zh, &failure.en).at(failure.field.as_str());
        (finding.next_zh, finding.next_en, finding.rule) = (failure.next.clone(), failure.next_en.clone(), Some(failure.rule.clone()));
        findings.push(finding);
    }
    let untold = judged.failures.len().saturating_sub(MOST_TOLD) + judged.left_out;
    if untold > 0 {
        findings.push(Finding::new(Check::Rules).because(format!("另有 {untold} 处"), format!("and {untold} more")));
    }
    let changed = staff.as_mut().filter(|_| changes_staff(parsed.kind)).map(|staff| {
        staff.follow(parsed.kind, filing.payload(), today);
        std::mem::take(staff)
    });
    Ok(Kept { not_judged: judged.not_judged.into_iter().map(|one| one.rule).collect(), staff: changed })
}

/// Who is insured through the enterprise, where its kind asks; nobody is known before the first filing or list.
fn known_staff(desk: &Grounds, parsed: &Parsed<'_>, relied: &mut Vec<Expectation>) -> Result<Option<Staff>, DeskError> {
    if !parsed.kind.rules().iter().any(policies::filing::Rule::asks_for_staff) {
        return Ok(None);
    }
    let uscc = parsed.filing.uscc().as_str();
    let Some(stored) = desk.store.get(&staff::key(uscc))? else {
        relied.push(Expectation::Absent(staff::key(uscc)));
        return Ok(Some(Staff::default()));
    };
    let staff = staff::open(uscc, &stored, &desk.data)?;
    relied.push(Expectation::Equals(staff::key(uscc), stored));
    Ok(Some(staff))
}

/// Whether a rule that was not judged asks for the period before, or for the months of the year.
fn looks_back(parsed: &Parsed<'_>, judged: &Judgement) -> (bool, bool) {
    let left = parsed.kind.rules().iter().filter(|rule| judged.not_judged.iter().any(|one| one.rule == rule.id));
    left.map(policies::filing::Rule::looks_back).fold((false, false), |one, other| (one.0 || other.0, one.1 || other.1))
}

/// Every earlier month of the year, in order; none where one was not filed here.
fn months(period: FilingPeriod, before: &mut impl FnMut(FilingPeriod) -> Result<Option<Value>, DeskError>) -> Result<Option<Vec<Value>>, DeskError> {
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

/// What is in force for a period: the newest revision that was not rejected.
fn payload(desk: &Grounds, uscc: &str, kind: &str, period: FilingPeriod, relied: &mut Vec<Expectation>) -> Result<Option<Value>, DeskError> {
    let place = Slot::key(uscc, kind, &period.to_string());
    let Some(stored) = desk.store.get(&place)? else {
        relied.push(Expectation::Absent(place));
        return Ok(None);
    };
    let mut id = Slot::decode(&stored)?.filing;
    relied.push(Expectation::Equals(place, stored));
    loop {
        let (key, damaged) = (FilingRecord::key(&id), RecordError::Damaged { kind: "filing", reason: "it is not there" });
        let stored = desk.store.get(&key)?.ok_or(damaged)?;
        let status = FilingRecord::decode(&stored)?.status;
        // Rejected at this moment it is in force no more.
        relied.push(Expectation::Equals(key, stored));
        let filing = filed(desk, &id)?;
        match (status, filing.previous()) {
            (Status::Rejected, None) => return Ok(None),
            // A correction that was rejected leaves standing what it was to correct.
            (Status::Rejected, Some(previous)) => id = previous.as_str().to_owned(),
            _ => return Ok(Some(filing.payload().clone())),
        }
    }
}

/// A filing as it was received.
pub(super) fn filed(desk: &Grounds, id: &str) -> Result<Filing, DeskError> {
    let damaged = || RecordError::Damaged { kind: "filing body", reason: "it is no filing" };
    let body = desk.store.get(&body_key(id))?.ok_or_else(damaged)?;
    Ok(Filing::parse(&open_body(id, &body, &desk.data)?).map_err(|_| damaged())?)
}
