//! Checks 4 to 14 of a filing whose signature is proved. Every check that can be judged is: a later one does not wait for an
//! earlier one to pass, only for what it needs.
// spec: domain.md 6.4

use pki::crl::Reason;
use pki::path::PathError;
use policies::desk::Late;
use policies::filing::Deadline;
use policies::identity::CreditCode;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::authorise::Enterprise;
use super::receive::{Expected, Stamped};
use crate::desk::Desk;
use crate::desk::check::{Check, Finding};
use crate::desk::problem::DeskError;
use crate::desk::record::filing::Slot;
use crate::desk::record::mandate::MandateRecord;
use crate::desk::trust::{self, Standing, Status};
use crate::desk::sha256_hex;
use crate::document::{Mandate, Signer};

/// 4. With all that was found, and what the receipt and the commit need where nothing was.
pub struct Judged<'a> {
    pub stamped: Stamped<'a>,
    pub findings: Vec<Finding>,
    pub evidence: Option<Evidence>,
}

pub struct Evidence {
    /// From the signer's certificate to the root, DER.
    pub path: Vec<Vec<u8>>,
    pub status: Status,
    /// What stood in the filing's place, as it was read.
    pub slot: Option<Vec<u8>>,
    /// The mandate that was relied on, as it was read.
    pub mandate: Option<Expected>,
    /// SHA-256 of the payload, hexadecimal.
    pub payload: String,
    pub timely: bool,
    pub deadline: Option<Deadline>,
    /// The rules that could not be judged for want of what was filed before.
    pub not_judged: Vec<String>,
}

pub fn judge<'a>(desk: &Desk, caller: &Enterprise, stamped: Stamped<'a>) -> Result<Judged<'a>, DeskError> {
    let mut findings = Vec::new();
    // Where no timestamp is to be believed the arrival stands for it, so that the other checks can be told of.
    let at = stamped.stamp.as_ref().map_or(stamped.proved.parsed.received_at, |(stamp, _)| stamp.gen_time());
    let path = path(desk, &stamped, at, &mut findings);
    time(desk, &stamped, &mut findings);
    let status = match &path {
        Some(path) => revocation(desk, path, at, &mut findings)?,
        None => None,
    };
    let code = stamped.proved.facts.credit_code().and_then(|code| CreditCode::parse(code).ok());
    enterprise(caller, &stamped, code.as_ref(), &mut findings);
    let mandate = signer(desk, &stamped, code.as_ref(), at, &mut findings)?;
    let place = Slot::key(stamped.proved.parsed.filing.uscc().as_str(), stamped.proved.parsed.filing.kind().as_str(), &stamped.proved.parsed.filing.period().to_string());
    let slot = desk.store.get(&place)?;
    let before = slot.as_deref().map(Slot::decode).transpose()?;
    let payload = sha256_hex(&stamped.proved.parsed.filing.payload().canonical());
    replay(&stamped, before.as_ref(), &payload, &mut findings);
    sequence(&stamped, before.as_ref(), &mut findings);
    let (timely, deadline) = deadline(desk, &stamped, at, &mut findings);
    let not_judged = super::rules::judge(desk, &stamped.proved.parsed, city(stamped.proved.parsed.received_at).date(), &mut findings)?;
    let evidence = match (path, status) {
        (Some(path), Some(status)) => Some(Evidence { path, status, slot, mandate, payload, timely, deadline, not_judged }),
        _ => None,
    };
    Ok(Judged { stamped, findings, evidence })
}

/// Checks 4, 5 and 6.
fn path(desk: &Desk, stamped: &Stamped<'_>, at: OffsetDateTime, findings: &mut Vec<Finding>) -> Option<Vec<Vec<u8>>> {
    let (proved, code) = (&stamped.proved, stamped.proved.parsed.bureau.code.as_str());
    let others = proved.signature.certificates();
    // Whether the signer's own certificate was valid then is check 7's: the path is judged at a time when it was.
    let within = at.max(proved.facts.not_before).min(proved.facts.not_after);
    let policies = &proved.parsed.accepts.policies;
    let found = match desk.trust.path(code, &proved.certificate, others, policies, within) {
        Err(PathError::WrongPolicy) => {
            findings.push(Finding::new(Check::Policy));
            desk.trust.path(code, &proved.certificate, others, &[], within)
        }
        found => found,
    };
    if !trust::signs(&proved.certificate) {
        findings.push(Finding::new(Check::Usage));
    }
    match found {
        Ok(path) => Some(path),
        Err(error) => {
            let text = error.to_string().replace("; ", ", ");
            findings.push(Finding::new(Check::Path).because(&text, &text));
            None
        }
    }
}

/// Check 7.
fn time(desk: &Desk, stamped: &Stamped<'_>, findings: &mut Vec<Finding>) {
    let (limits, proved) = (&desk.policies.desk.limits, &stamped.proved);
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Time).because(zh, en));
    let Some((stamp, _)) = &stamped.stamp else { return wrong("没有可信的时间戳", "there is no timestamp of a trusted authority over this signature") };
    let at = stamp.gen_time();
    if at > proved.parsed.received_at + Duration::seconds(limits.skew_seconds.into()) {
        wrong("时间戳晚于现在", "the timestamp lies in the future");
    }
    // To the second, as certificates tell time.
    if at < proved.facts.not_before || at.unix_timestamp() > proved.facts.not_after.unix_timestamp() {
        wrong("签署时证书尚未生效或已到期", "the certificate was not valid when it signed");
    }
    let far = |claimed: OffsetDateTime| (claimed - at).abs() > Duration::minutes(limits.signing_time_minutes.into());
    if proved.signing_time.is_some_and(far) {
        wrong("签名自称的时间与时间戳相差过大", "the time that the signature claims is too far from its timestamp");
    }
}

/// Check 8: as it stood when it signed. Revoked later it is still valid, unless its key was known to others.
fn revocation(desk: &Desk, path: &[Vec<u8>], at: OffsetDateTime, findings: &mut Vec<Finding>) -> Result<Option<Status>, DeskError> {
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Revocation).because(zh, en));
    if let Err(error) = desk.trust.authorities_stand(path, desk.clock.now())? {
        let text = error.to_string().replace("; ", ", ");
        wrong(&text, &text);
    }
    let status = desk.trust.status(path)?;
    if status.this_update < at - Duration::seconds(desk.policies.desk.limits.grace_seconds.into()) {
        return Err(DeskError::Away { what: "the certificate's status", reason: "what the responder knows is older than the signature".into() });
    }
    match &status.standing {
        Standing::Good => {}
        Standing::Held => wrong("证书被冻结；解冻后可再次提交同一申报", "it is on hold; the same filing may be sent again once that has ended"),
        Standing::Unknown => wrong("签发机构不知道这张证书", "its authority knows no such certificate"),
        Standing::Revoked { at: revoked, reason, invalid_since } => {
            let compromised = matches!(reason, Reason::KeyCompromise | Reason::CaCompromise);
            if compromised || *revoked <= at || invalid_since.is_some_and(|since| since <= at) {
                let text = format!("{reason:?}, {}", crate::desk::receipt::moment(*revoked));
                wrong(&text, &text);
            }
        }
    }
    Ok(Some(status))
}

/// Check 9: organizationIdentifier and national extension agree, with the filing, and with who brings it.
fn enterprise(caller: &Enterprise, stamped: &Stamped<'_>, code: Option<&CreditCode>, findings: &mut Vec<Finding>) {
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Enterprise).because(zh, en));
    let Some(code) = code else { return wrong("证书中没有一致而有效的代码", "the certificate bears no valid code, or two that differ") };
    let filing = &stamped.proved.parsed.filing;
    if !matches!(filing.signer(), Signer::Agent(_)) && code != filing.uscc() {
        findings.push(Finding::new(Check::Enterprise).because("证书属于另一企业", "the certificate is another enterprise's").at("/uscc"));
    } else if caller.code() != code {
        wrong("提交者与签署者不是同一企业", "who sends it and who signed it are not the same enterprise");
    }
}

/// Check 10. The mandate that is relied on, as it stands now.
fn signer(desk: &Desk, stamped: &Stamped<'_>, code: Option<&CreditCode>, at: OffsetDateTime, findings: &mut Vec<Finding>) -> Result<Option<Expected>, DeskError> {
    let (filing, kind) = (&stamped.proved.parsed.filing, stamped.proved.parsed.kind);
    if !kind.roles().contains(&filing.signer().role()) {
        findings.push(Finding::new(Check::Signer).because("此类申报不接受该身份签署", "this kind is not signed in this role").at("/signer_role"));
    }
    let Signer::Agent(id) = filing.signer() else { return Ok(None) };
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Signer).because(zh, en).at("/mandate"));
    let key = MandateRecord::key(id.as_str());
    let Some(stored) = desk.store.get(&key)? else {
        wrong("没有这份委托", "there is no such mandate here");
        return Ok(None);
    };
    let record = MandateRecord::decode(&stored)?;
    let live = Mandate::parse(record.document.as_bytes()).is_ok_and(|mandate| {
        code.is_some_and(|code| mandate.covers(filing.uscc(), code, filing.kind(), filing.period(), city(at).date()))
    });
    if record.withdrawn.is_some() {
        wrong("委托已经撤回", "the mandate was withdrawn");
    } else if !live {
        wrong("委托不包括此申报（单位、种类、所属期或期限不符）", "the mandate is not for this filing: another enterprise, kind, period or day");
    }
    Ok(Some((key, stored)))
}

/// Check 11.
fn replay(stamped: &Stamped<'_>, before: Option<&Slot>, payload: &str, findings: &mut Vec<Finding>) {
    let parsed = &stamped.proved.parsed;
    if parsed.id_is_taken {
        findings.push(Finding::new(Check::Replay).because("该申报编号已用于其他内容", "its id was used for another content").at("/filing_id"));
    } else if before.is_some_and(|slot| !slot.rejected && slot.payload == payload) {
        findings.push(Finding::new(Check::Replay).because("内容与上一版完全相同", "it says what the revision before said").at("/payload"));
    }
}

/// Check 12.
fn sequence(stamped: &Stamped<'_>, before: Option<&Slot>, findings: &mut Vec<Finding>) {
    let parsed = &stamped.proved.parsed;
    let filing = &parsed.filing;
    let mut wrong = |zh: String, en: String, field: &str| findings.push(Finding::new(Check::Sequence).because(zh, en).at(field));
    let next = before.map_or(1, |slot| slot.revision + 1);
    if filing.revision() != next {
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
fn deadline(desk: &Desk, stamped: &Stamped<'_>, at: OffsetDateTime, findings: &mut Vec<Finding>) -> (bool, Option<Deadline>) {
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

fn city(at: OffsetDateTime) -> OffsetDateTime {
    at.checked_to_offset(UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC)).unwrap_or(at)
}
