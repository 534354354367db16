//! Checks 9 to 14 of a filing, beside what `proof` found of its signature. Every check that can be judged is: a later one does not wait for an
//! earlier one to pass, only for what it needs.
// spec: domain.md 6.4

use pki::path::CertificateFacts;
use policies::desk::Late;
use policies::filing::Deadline;
use policies::identity::CreditCode;
use store::Expectation;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::authorise::Enterprise;
use super::operator::{self, RoleBy};
use super::proof::Stamped;
use super::receive::Parsed;
use super::rules::Kept;
use super::unit::{self, Unit};
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::record::filing::{Said, Slot};
use crate::desk::record::mandate::MandateRecord;
use crate::desk::trust::Status;
use crate::document::{Mandate, Signer};

/// 4. With all that was found, and what the receipt and the commit need where nothing was.
pub struct Judged<'a> {
    pub stamped: Stamped<Parsed<'a>>,
    pub findings: Vec<Finding>,
    pub evidence: Found,
}

/// What the receipt and the commit are made of.
pub struct Evidence {
    /// From the signer's certificate to the root, DER.
    pub path: Vec<Vec<u8>>,
    pub status: Status,
    pub found: Found,
}

/// What the checks came upon.
pub struct Found {
    /// What stood in the filing's place, as it was read.
    pub slot: Option<Vec<u8>>,
    /// What else was relied on, as it was read: mandate, registry, staff list, earlier filings.
    pub relied: Vec<Expectation>,
    pub role_by: RoleBy,
    /// By which name the receipt tells of the enterprise.
    pub unit: Unit,
    /// As the principal's certificate said when it gave the mandate.
    pub principal_mailbox: Option<String>,
    /// What it says, as the store tells it.
    pub payload: String,
    pub timely: bool,
    pub deadline: Option<Deadline>,
    /// What the rules of the kind leave behind.
    pub kept: Kept,
}

impl Found {
    /// With the path and the signer's status; without them there is nothing to tell a receipt of.
    pub fn resting_on(self, proof: Option<(Vec<Vec<u8>>, Status)>) -> Option<Evidence> {
        proof.map(|(path, status)| Evidence { path, status, found: self })
    }
}

pub fn judge<'a>(desk: &Grounds, caller: &Enterprise, mut stamped: Stamped<Parsed<'a>>) -> Result<Judged<'a>, DeskError> {
    let mut findings = std::mem::take(&mut stamped.findings);
    // Signed before it came, even where our own stamp had to wait. Where no timestamp is to be believed the arrival stands for it,
    // so that the other checks can be told of.
    let received_at = stamped.proved.parsed.received_at;
    let at = stamped.stamp.as_ref().map_or(received_at, |stamp| stamp.at.min(received_at));
    let code = both_places(&stamped.proved.facts);
    let mut relied = Vec::new();
    enterprise(caller, &stamped, code.as_ref(), &mut findings);
    let mandate = signer(desk, &stamped, code.as_ref(), at, &mut relied, &mut findings)?;
    let role_by = operator::judge(desk, &stamped, code.as_ref(), at, &mut relied, &mut findings)?;
    let unit = unit::judge(desk, &stamped, code.as_ref(), mandate.as_ref(), &mut relied, &mut findings)?;
    let place = Slot::key(stamped.proved.parsed.filing.uscc().as_str(), stamped.proved.parsed.filing.kind().as_str(), &stamped.proved.parsed.filing.period().to_string());
    let slot = desk.store.get(&place)?;
    let before = slot.as_deref().map(Slot::decode).transpose()?;
    let said = Said::of(&place, &stamped.proved.parsed.filing.payload().canonical(), &desk.data, desk.older_payloads);
    replay(desk, &stamped, before.as_ref(), &said, &mut relied, &mut findings)?;
    sequence(desk, &stamped, before.as_ref(), &mut findings);
    let (timely, deadline) = deadline(desk, &stamped, at, &mut findings);
    // Of the day by which its deadline is judged: what was in time is not refused for what holds since midnight.
    let kept = super::rules::judge(desk, &stamped.proved.parsed, city(at).date(), &mut relied, &mut findings)?;
    Ok(Judged { stamped, findings, evidence: Found { slot, relied, role_by, unit, principal_mailbox: mandate.and_then(|mandate| mandate.mailbox), payload: said.keyed, timely, deadline, kept } })
}

/// Check 9: organizationIdentifier and national extension agree, with the filing, and with who brings it.
fn enterprise(caller: &Enterprise, stamped: &Stamped<Parsed<'_>>, code: Option<&CreditCode>, findings: &mut Vec<Finding>) {
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Enterprise).because(zh, en));
    let Some(code) = code else { return wrong("证书的主体与扩展中没有一致而有效的代码", "organizationIdentifier and the national extension do not both bear one valid code") };
    let filing = &stamped.proved.parsed.filing;
    if !matches!(filing.signer(), Signer::Agent(_)) && code != filing.uscc() {
        findings.push(Finding::new(Check::Enterprise).because("证书属于另一企业", "the certificate is another enterprise's").at("/uscc"));
    } else if caller.code() != code {
        wrong("提交者与签署者不是同一企业", "who sends it and who signed it are not the same enterprise");
    }
}

/// The code of the certificate, where it stands in both places and is the same: one alone agrees with nothing.
pub(super) fn both_places(facts: &CertificateFacts) -> Option<CreditCode> {
    facts.credit_code_extension.as_ref()?;
    facts.credit_code().and_then(|code| CreditCode::parse(code).ok())
}

/// Check 10. The mandate that is relied on, as it stands now.
fn signer(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, code: Option<&CreditCode>, at: OffsetDateTime, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<Option<MandateRecord>, DeskError> {
    let (filing, kind) = (&stamped.proved.parsed.filing, stamped.proved.parsed.kind);
    if !kind.roles().contains(&filing.signer().role()) {
        findings.push(Finding::new(Check::Signer).because("此类申报不接受该身份签署", "this kind is not signed in this role").at("/signer_role"));
    }
    let Signer::Agent(id) = filing.signer() else { return Ok(None) };
    if filing.agent().zip(code).is_some_and(|(agent, code)| agent.uscc != *code) {
        findings.push(Finding::new(Check::Signer).because("签署的不是所载的代理单位", "who signed it is not the agent that it names").at("/agent/uscc"));
    }
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Signer).because(zh, en).at("/mandate"));
    let key = MandateRecord::key(id.as_str());
    let Some(stored) = desk.store.get(&key)? else {
        if desk.sight.mandates {
            wrong("没有这份委托", "there is no such mandate here");
        }
        return Ok(None);
    };
    let record = MandateRecord::decode(&stored)?;
    // When it signed and when it came: what is signed in a mandate's days and kept in a drawer is not filed under it.
    let days = [at, stamped.proved.parsed.received_at].map(|at| city(at).date());
    let live = Mandate::parse(record.document.as_bytes()).is_ok_and(|mandate| {
        code.is_some_and(|code| days.iter().all(|day| mandate.covers(filing.uscc(), code, filing.kind(), filing.period(), *day)))
    });
    if record.withdrawn.is_some() {
        wrong("委托已经撤回", "the mandate was withdrawn");
    } else if !live {
        wrong("委托不包括此申报（单位、种类、所属期或期限不符）", "the mandate is not for this filing: another enterprise, kind, period or day");
    }
    relied.push(Expectation::Equals(key, stored));
    Ok(Some(record))
}

/// Check 11: the id, and what it says, which no revision of the period that stands may say again.
fn replay(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, before: Option<&Slot>, said: &Said, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<(), DeskError> {
    let parsed = &stamped.proved.parsed;
    let mut by = None;
    // What nothing was filed for nobody said anything of: the commit expects the period's place to be empty still.
    let places = before.map(|_| said.keys(parsed.filing.uscc().as_str(), parsed.filing.kind().as_str(), &parsed.filing.period().to_string()));
    for place in places.into_iter().flatten() {
        let found = desk.store.get(&place)?;
        relied.push(found.clone().map_or(Expectation::Absent(place.clone()), |by| Expectation::Equals(place, by)));
        by = by.or(found);
    }
    if parsed.id_is_taken {
        findings.push(Finding::new(Check::Replay).because("该申报编号已用于其他内容", "its id was used for another content").at("/filing_id"));
    } else if let Some(by) = by {
        let by = String::from_utf8_lossy(&by).into_owned();
        findings.push(Finding::new(Check::Replay).because(format!("内容与申报 {by} 完全相同"), format!("it says what filing {by} said")).at("/payload"));
    } else if before.is_some_and(|slot| !slot.rejected && said.is(slot)) {
        // A revision from before it was noted what each said.
        findings.push(Finding::new(Check::Replay).because("内容与上一版完全相同", "it says what the revision before said").at("/payload"));
    }
    Ok(())
}

/// Check 12.
fn sequence(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, before: Option<&Slot>, findings: &mut Vec<Finding>) {
    let parsed = &stamped.proved.parsed;
    let filing = &parsed.filing;
    let mut wrong = |zh: String, en: String, field: &str| findings.push(Finding::new(Check::Sequence).because(zh, en).at(field));
    let next = before.map_or(1, |slot| slot.revision + 1);
    if !desk.sight.earlier {
        // Which revision would be the next is not known.
    } else if filing.revision() != next {
        wrong(format!("应为第 {next} 版"), format!("the next revision is {next}"), "/revision");
    } else if filing.previous().map(|previous| previous.as_str()) != before.map(|slot| slot.filing.as_str()) {
        wrong("上一版的申报编号不符".into(), "the revision before has another id".into(), "/prev_filing_id");
    }
    if before.is_some_and(|slot| slot.closed) {
        wrong("该所属期已关闭".into(), "the period is closed".into(), "/period");
    }
    let today = city(parsed.received_at);
    let (year, month) = (today.year(), u8::from(today.month()));
    let begun = match filing.period() {
        policies::filing::FilingPeriod::Year(of) => i32::from(of) <= year,
        policies::filing::FilingPeriod::Month(_) => filing.period().to_string() <= format!("{year:04}{month:02}"),
    };
    if !begun {
        wrong("该所属期尚未开始".into(), "the period has not begun".into(), "/period");
    }
}

/// Check 13: whether it is in time, and by which rule.
fn deadline(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, at: OffsetDateTime, findings: &mut Vec<Finding>) -> (bool, Option<Deadline>) {
    let parsed = &stamped.proved.parsed;
    let Some(deadline) = desk.policies.filings.deadline(parsed.kind, parsed.filing.period()) else { return (true, None) };
    // A timestamp that was kept in a drawer for days says when it was signed, not when it was filed.
    let recent = parsed.received_at - at <= Duration::hours(desk.policies.desk.limits.counts_hours.into());
    let timely = deadline.is_kept(if recent { at } else { parsed.received_at });
    if !timely && parsed.bureau.late == Late::Refuse {
        findings.push(Finding::new(Check::Deadline).because(deadline.date, deadline.date).at("/period"));
    }
    (timely, Some(deadline))
}

pub(super) fn city(at: OffsetDateTime) -> OffsetDateTime {
    at.checked_to_offset(UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC)).unwrap_or(at)
}
