//! What is well with the authority and what is to be mended: facts read from the store, graded by pure functions.

use ::policies::authority::Pace;
pub use runtime::doctor::{Finding, Grade};
use serde::{Deserialize, Serialize};
use store::Key;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::{Authority, Issuer};
use crate::flow::policies::{self, Standing};
use crate::flow::{OFFICER, certified, issue, numbering, officer, own, publish, recover, roots};
use crate::in_force;
use crate::init::CITIZENS;
use crate::job::{ROOT_BEFORE_END, lists};
use crate::problem::IssueError;
use crate::record::{AdministrationCertificate, CrlHead, Intent, IssuerRecord, Notice, NoticeState, Recovery, Scope, TimestampSigner, decode, log};
use crate::service::Service;

const DAY: i64 = 86_400;
/// What the service does within this time of its being due is in time.
const PATIENCE: i64 = 600;
/// The gateway asks every few seconds.
const NOT_TAKEN: i64 = 3_600;
/// Intents looked at.
const MOST: usize = 1_000;

/// What store, issuers, policies and log tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    pub base_url: String,
    pub findings: Vec<Finding>,
    /// Roots whose private key is in the token that the service opens.
    #[serde(default)]
    pub roots_in_token: Vec<String>,
}

/// Reads and changes nothing.
pub fn examine(service: &Service) -> Result<Examined, IssueError> {
    let authority = &service.authority;
    let now = authority.clock.now().unix_timestamp();
    let mut findings = Vec::new();
    for issuer in authority.issuers.values() {
        let id = issuer.id();
        let newest_root = || authority.issuers.roots().last().is_some_and(|newest| newest.id() != id);
        let superseded = if issuer.is_root() { newest_root() } else { authority.issuers.newest(issuer.policy_name()).is_some_and(|newest| newest.id() != id) };
        // It ended, and with it all its certificates: nobody asks for its list or its answers.
        if superseded && issuer.not_after.unix_timestamp() < now {
            findings.push(Finding::ok(format!("certificate of {id}: ended, and succeeded before")));
            continue;
        }
        findings.extend(all_lists(authority, issuer, now)?);
        let longest = authority.policies.profiles().filter(|profile| profile.issuers().iter().any(|one| one.name() == issuer.policy_name())).map(|profile| profile.days()).max();
        // One that a newer generation succeeded issues nothing more.
        let longest = if superseded { None } else { longest };
        findings.push(life(id, issuer.not_after.unix_timestamp(), i64::from(longest.unwrap_or(0)) * DAY, now));
        if !issuer.is_root() {
            findings.extend(signer(authority, id, now)?);
        }
    }
    findings.extend(bound(authority));
    findings.push(timestamp_signer(authority, now)?);
    findings.push(intents(authority, now)?);
    findings.extend(administrators(authority)?);
    findings.extend(recovered(authority, now)?);
    findings.extend(listener(authority, now)?);
    findings.push(notices(authority, now)?);
    findings.extend(policies(authority)?);
    findings.extend(authority.unmatched().into_iter().map(|what| Finding::fail(what, "mend the documents in policies/certificates and restart")));
    findings.extend(authority.dormant().into_iter().map(|what| Finding::warn(what, "found it by `ca issuer request`, a ceremony and `ca issuer install`")));
    findings.extend(log_findings(service, now)?);
    let mut roots_in_token = Vec::new();
    for (id, held) in roots_in_token_of(authority) {
        match held {
            Ok(true) => roots_in_token.push(id),
            Ok(false) => {}
            Err(error) => findings.push(Finding::warn(format!("root's key: whether that of {id} is in the token cannot be seen: {error}"), "see that the token is there and ask again")),
        }
    }
    Ok(Examined { base_url: authority.settings.base_url.clone(), findings, roots_in_token })
}

/// Each root, and whether the token that the service opens has its private key: whoever takes the service over signs with it.
fn roots_in_token_of(authority: &Authority) -> Vec<(String, Result<bool, keys::TokenError>)> {
    let Some(token) = authority.issuers.birthplace.as_ref().and_then(|born_in| born_in.token.as_ref()) else { return Vec::new() };
    authority.issuers.roots().into_iter().map(|root| (root.id().to_owned(), token.holds(&root.public_key_info))).collect()
}

/// Whether what was accepted is gone by, and what is gone by and was not accepted.
fn policies(authority: &Authority) -> Result<Vec<Finding>, IssueError> {
    let Standing { accepted_sha256, in_force_sha256, .. } = policies::standing(authority)?;
    let mut findings = vec![match accepted_sha256 == in_force_sha256 {
        true => Finding::ok("policies: those accepted are in force"),
        false => Finding::warn("policies: others were accepted than are in force", "start `ca serve` again"),
    }];
    if let Some(brought) = in_force::brought(&*authority.store)? {
        let what = format!("policies: this version brought {}, in force since {} and accepted by nobody", brought.places.join(", "), runtime::terminal::date(brought.at));
        findings.push(Finding::warn(what, "read them in policies/ and have an administrator accept them, changed or as they are: `ca policy propose` with a copy of the directory"));
    }
    Ok(findings)
}

/// Whether the authority of citizens can certify nothing but their mailboxes.
fn bound(authority: &Authority) -> Option<Finding> {
    let domains: Vec<String> = certified::bound_to(&authority.issuers.newest(CITIZENS)?.record.der).iter().map(ToString::to_string).collect();
    Some(match domains.is_empty() {
        true => Finding::warn(format!("names of {CITIZENS}: bound to nothing, the registrars' grants alone bind it"), "hold a ceremony for its next generation with mail_domains in the file"),
        false => Finding::ok(format!("names of {CITIZENS}: mailboxes of {}", domains.join(", "))),
    })
}

/// The whole list and the delta each by itself; of the parts the worst.
fn all_lists(authority: &Authority, issuer: &Issuer, now: i64) -> Result<Vec<Finding>, IssueError> {
    let id = issuer.id();
    let (mut findings, mut parts) = (Vec::new(), Vec::new());
    for scope in publish::scopes(authority, issuer)? {
        let last = numbering::head(authority, id, scope)?;
        if last.is_none() && issuer.is_root() && !roots::vouches(authority, issuer)? {
            findings.push(Finding::warn(format!("CRL of {id}: there is none, and nobody is asked for it yet"), format!("make the first one with `ca crl root prepare --root {id}`")));
            continue;
        }
        let waits = authority.store.get(&scope.stale(id))?.is_some();
        // The first delta comes with the service: until then it is missed only when it is late.
        let young = |whole: CrlHead| now - whole.this_update <= authority.rules.crl.delta.every_seconds + PATIENCE;
        if scope == Scope::Delta && last.is_none() && numbering::head(authority, id, Scope::Whole)?.is_some_and(young) {
            continue;
        }
        let what = match scope {
            Scope::Whole => format!("CRL of {id}"),
            Scope::Shard(shard) => format!("CRL of {id}, part {shard}"),
            Scope::Delta => format!("delta CRL of {id}"),
        };
        let pace = (!issuer.is_root()).then(|| lists::pace(&authority.rules.crl, scope));
        // As long as it is.
        let pace = pace.map(|pace| Pace { after_change_seconds: pace.after_change(last.as_ref().map_or(0, |list| list.entries)), ..pace });
        let finding = list(&what, pace, last.map(|list| (list.this_update, list.next_update)), waits, now);
        if let Scope::Shard(_) = scope { parts.push(finding) } else { findings.push(finding) }
    }
    let count = parts.len();
    // The first of the worst: what keeps one part from being made keeps the others too.
    if let Some(worst) = parts.into_iter().rev().max_by_key(|finding| finding.grade) {
        findings.push(if worst.grade == Grade::Ok { Finding::ok(format!("CRLs of {id} in {count} parts: none is late")) } else { worst });
    }
    Ok(findings)
}

/// A list by its times, and whether a change waits to be on it; the root's has no pace, since people make it.
fn list(what: &str, pace: Option<Pace>, times: Option<(i64, i64)>, waits: bool, now: i64) -> Finding {
    let next = if pace.is_none() { "make the next one with `ca crl root prepare`" } else { "see that `ca serve` runs and read its log" };
    let Some((this_update, next_update)) = times else { return Finding::fail(format!("{what}: there is none"), next) };
    let (age, left) = (now - this_update, next_update - now);
    let due = pace.map_or(left <= ROOT_BEFORE_END, |pace| age > pace.every_seconds + PATIENCE);
    let until = runtime::terminal::date(next_update);
    match pace {
        _ if left <= 0 => Finding::fail(format!("{what}: ended {until}"), next),
        None if waits => Finding::fail(format!("{what}: a revoked authority is not on it"), next),
        Some(pace) if waits && age > pace.after_change_seconds + PATIENCE => Finding::warn(format!("{what}: a change waits to be on it"), next),
        _ if due => Finding::warn(format!("{what}: the next one is due, this one ends {until}"), next),
        _ => Finding::ok(format!("{what}: until {until}")),
    }
}

/// An issuer's own life against that of the longest certificate it signs.
fn life(id: &str, not_after: i64, longest: i64, now: i64) -> Finding {
    let (left, what) = (not_after - now, format!("certificate of {id}: until {}", runtime::terminal::date(not_after)));
    let next = "found the next hierarchy in time";
    match () {
        () if left < 0 => Finding::fail(format!("{what}, ended"), next),
        () if left < longest => Finding::warn(format!("{what}, sooner than a certificate of {} days would", longest / DAY), next),
        () => Finding::ok(what),
    }
}

/// As it stands in the store: the service may have replaced it since it was opened.
fn signer(authority: &Authority, id: &str, now: i64) -> Result<Option<Finding>, IssueError> {
    let damaged = |what| IssueError::Damaged { what };
    let record = authority.store.get(&IssuerRecord::key(id))?.ok_or(damaged("an issuer"))?;
    let record: IssuerRecord = decode(&record).map_err(|_| damaged("an issuer"))?;
    let Some(ocsp) = record.ocsp else { return Ok(None) };
    let (_, read) = X509Certificate::from_der(&ocsp.der).map_err(|_| damaged("an OCSP signer's certificate"))?;
    if !own::is_good(authority, read.raw_serial())? {
        let what = format!("OCSP signer of {id}: its certificate is revoked or suspended, and nothing is answered");
        let ended = authority.issuers.get(id).map(|issuer| issue::not_revoked(authority, issuer));
        return Ok(Some(match ended {
            Some(Err(IssueError::IssuerRevoked { issuer })) => Finding::warn(what, format!("{issuer} is revoked too, so no signer is made any more; whoever relies on it asks for the root's list")),
            _ => Finding::fail(what, "see that `ca serve` runs, which makes the next one at once, and read its log"),
        }));
    }
    Ok(Some(signer_life(id, read.validity().not_before.timestamp(), read.validity().not_after.timestamp(), now)))
}

/// As it stands in the store, by the time in which its key signs.
fn timestamp_signer(authority: &Authority, now: i64) -> Result<Finding, IssueError> {
    let damaged = IssueError::Damaged { what: "the timestamp signer" };
    let Some(bytes) = authority.store.get(&TimestampSigner::place())? else {
        return Ok(Finding::ok("timestamp signer: `ca serve` has one made when it begins to serve"));
    };
    let Ok(record) = decode::<TimestampSigner>(&bytes) else { return Err(damaged) };
    let Ok(plan) = pki::timestamp::TokenPlan::new(&record.der, &[]) else { return Err(damaged) };
    let (from, until) = plan.signs();
    Ok(own_life("timestamp signer, its key signs", from.unix_timestamp(), until.unix_timestamp(), now))
}

/// It is replaced when a third of its life is left: with less than a quarter something keeps the service from it.
fn signer_life(id: &str, not_before: i64, not_after: i64, now: i64) -> Finding {
    own_life(&format!("OCSP signer of {id}"), not_before, not_after, now)
}

fn own_life(what: &str, not_before: i64, not_after: i64, now: i64) -> Finding {
    let (left, what) = (not_after - now, format!("{what}: until {}", runtime::terminal::date(not_after)));
    let next = "see that `ca serve` runs and read its log";
    match () {
        () if left <= 0 => Finding::fail(format!("{what}, ended"), next),
        () if left < (not_after - not_before) / 4 => Finding::warn(format!("{what}, it should have been replaced"), next),
        () => Finding::ok(what),
    }
}

/// Who can grant powers: nobody but the owner of the machine, one, or several.
fn administrators(authority: &Authority) -> Result<Option<Finding>, IssueError> {
    let (administered, good) = officer::administrators(authority)?;
    let next = match revoked_of_officers(authority)? {
        None => "stop the service and have the owner of its directory make one with `ca officer recover`, which the log and every officer are told of".to_owned(),
        Some(issuer) => format!(
            "{issuer} or its root is revoked, so that it certifies nobody: stop the service and have the owner of its directory ask for its next generation (`ca issuer request {issuer} --recover`), a ceremony certify it by a root that is good, `ca issuer install --recover` take it in, and `ca officer recover` make an administrator"
        ),
    };
    Ok(match good {
        _ if !administered => None,
        0 => Some(Finding::fail("officers: no administrator has a good certificate", next)),
        1 => Some(Finding::warn("officers: one administrator has a good certificate", "grant the power to a second person")),
        good => Some(Finding::ok(format!("officers: {good} administrators have good certificates"))),
    })
}

/// The authority that certifies officers, when its newest generation or the root of that is revoked.
fn revoked_of_officers(authority: &Authority) -> Result<Option<String>, IssueError> {
    let issuers = authority.policies.profile(OFFICER).map(|profile| profile.issuers()).unwrap_or_default();
    for issuer in issuers.iter().filter_map(|issuer| authority.issuers.newest(issuer.name())) {
        match issue::not_revoked(authority, issuer) {
            Err(IssueError::IssuerRevoked { .. }) => return Ok(Some(issuer.policy_name().to_owned())),
            other => other?,
        }
    }
    Ok(None)
}

/// How long it is told of that the owner of the directory made an administrator.
const TOLD: i64 = 90 * DAY;

fn recovered(authority: &Authority, now: i64) -> Result<Vec<Finding>, IssueError> {
    let told = |recovery: Recovery| {
        let what = format!("officers: {} made {} administrator on {}, while none was left: {}", recovery.by, recovery.serial, runtime::terminal::date(recovery.at), recovery.reason);
        Finding::warn(what, "see that this was agreed on, with whoever was told of it; this is said for 90 days")
    };
    Ok(recover::since(authority, now - TOLD)?.into_iter().map(told).collect())
}

fn listener(authority: &Authority, now: i64) -> Result<Option<Finding>, IssueError> {
    let damaged = || IssueError::Damaged { what: "the certificate of the officers' listener" };
    let Some(bytes) = authority.store.get(&AdministrationCertificate::key())? else { return Ok(None) };
    let record: AdministrationCertificate = decode(&bytes).map_err(|_| damaged())?;
    let (_, read) = X509Certificate::from_der(&record.der).map_err(|_| damaged())?;
    Ok(Some(own_life("certificate of the officers' listener", read.validity().not_before.timestamp(), read.validity().not_after.timestamp(), now)))
}

fn intents(authority: &Authority, now: i64) -> Result<Finding, IssueError> {
    let (from, to) = Key::range(Intent::TABLE, &[]);
    let mut old = 0;
    for (_, bytes) in authority.store.scan(&from, &to, MOST)? {
        let intent: Intent = decode(&bytes).map_err(|_| IssueError::Damaged { what: "an intent to sign" })?;
        // A certificate is backdated by minutes; one on its way is younger than this.
        old += usize::from(now - intent.not_before > 2 * PATIENCE);
    }
    Ok(match old {
        0 => Finding::ok("intents to sign: none unfinished"),
        old => Finding::warn(format!("intents to sign: {old} unfinished"), "restart the service, which finishes them"),
    })
}

/// Notices that the gateway could not deliver, or did not take.
fn notices(authority: &Authority, now: i64) -> Result<Finding, IssueError> {
    let (failed, queued) = (authority.store.sum(&NoticeState::Failed.sum())?, authority.store.sum(&NoticeState::Queued.sum())?);
    let (from, to) = Notice::up_to(NoticeState::Queued, now - NOT_TAKEN);
    Ok(outbox(failed, queued, !authority.store.scan(&from, &to, 1)?.is_empty()))
}

fn outbox(failed: u64, queued: u64, waits: bool) -> Finding {
    let what = format!("notices: {queued} queued, {failed} failed");
    match (failed, waits) {
        (1.., _) => Finding::warn(what, "look at them with `ca notice list --state failed`, mend what it says and `ca notice retry --all`"),
        (_, true) => Finding::warn(format!("{what}, and nobody takes them"), "see that the mail gateway runs and that its `outbox` names this authority's"),
        _ => Finding::ok(what),
    }
}

fn log_findings(service: &Service, now: i64) -> Result<[Finding; 2], IssueError> {
    let store = &service.authority.store;
    let (signed, found) = (service.evidence.signed(), store.stream_length(log::STREAM)?);
    let written = |at: u64| -> Result<Option<i64>, IssueError> {
        Ok(store.read_stream(log::STREAM, at, 1)?.first().and_then(|leaf| log::at(leaf)).map(|millis| millis / 1_000))
    };
    let first_unsigned = if signed < found { written(signed)? } else { None };
    let newest = match found.checked_sub(1) {
        Some(last) => written(last)?,
        None => None,
    };
    Ok([head(signed, found, first_unsigned, now), clock(newest, now)])
}

fn head(signed: u64, found: u64, first_unsigned: Option<i64>, now: i64) -> Finding {
    let what = format!("log: {found} entries, head signed at {signed}");
    match first_unsigned {
        _ if found < signed => Finding::fail(format!("{what}, records are lost"), "restore the store from a backup"),
        Some(at) if now - at > PATIENCE => Finding::fail(what, "see that `ca serve` runs and that the disk takes the head"),
        _ => Finding::ok(what),
    }
}

fn clock(newest: Option<i64>, now: i64) -> Finding {
    match newest {
        Some(newest) if newest > now + 1 => Finding::fail(format!("clock: {} s behind the newest log entry", newest - now), "set the host's clock and look at its time service; if it was ahead before and is right now, restart with `ca serve --clock-was-ahead`"),
        _ => Finding::ok("clock: not behind the log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::ROOT;

    #[test]
    fn a_list_is_judged_by_its_end_its_age_and_what_waits() {
        let pace = Pace { every_seconds: DAY, after_change_seconds: 60, valid_seconds: 7 * DAY, large: None };
        let grade = |id, times, waits| list(id, (id != ROOT).then_some(pace), times, waits, 100 * DAY).grade;
        assert_eq!(grade("tls-ca", None, false), Grade::Fail);
        assert_eq!(grade("tls-ca", Some((93 * DAY, 100 * DAY)), false), Grade::Fail);
        assert_eq!(grade("tls-ca", Some((98 * DAY, 105 * DAY)), false), Grade::Warn);
        assert_eq!(grade("tls-ca", Some((100 * DAY - 3_600, 107 * DAY)), false), Grade::Ok);
        assert_eq!(grade("tls-ca", Some((100 * DAY - 3_600, 107 * DAY)), true), Grade::Warn);
        assert_eq!(grade("tls-ca", Some((100 * DAY - 60, 107 * DAY)), true), Grade::Ok);
        assert_eq!(grade(ROOT, Some((10 * DAY, 115 * DAY)), false), Grade::Ok);
        assert_eq!(grade(ROOT, Some((10 * DAY, 114 * DAY)), false), Grade::Warn);
        assert_eq!(grade(ROOT, Some((10 * DAY, 115 * DAY)), true), Grade::Fail);
    }

    #[test]
    fn lives_are_judged_by_what_is_left() {
        assert_eq!(life("tls-ca", 100 * DAY, 90 * DAY, 10 * DAY).grade, Grade::Ok);
        assert_eq!(life("tls-ca", 100 * DAY, 90 * DAY, 11 * DAY).grade, Grade::Warn);
        assert_eq!(life("tls-ca", 100 * DAY, 90 * DAY, 101 * DAY).grade, Grade::Fail);
        assert_eq!(signer_life("tls-ca", 0, 90 * DAY, 61 * DAY).grade, Grade::Ok);
        assert_eq!(signer_life("tls-ca", 0, 90 * DAY, 70 * DAY).grade, Grade::Warn);
        assert_eq!(signer_life("tls-ca", 0, 90 * DAY, 90 * DAY).grade, Grade::Fail);
    }

    #[test]
    fn an_outbox_is_judged_by_what_failed_and_what_waits() {
        assert_eq!([(0, 0, false), (0, 5, false), (0, 5, true), (1, 0, false)].map(|(failed, queued, waits)| outbox(failed, queued, waits).grade), [Grade::Ok, Grade::Ok, Grade::Warn, Grade::Warn]);
    }

    #[test]
    fn log_and_clock_are_judged_by_entries_and_their_times() {
        assert_eq!(head(7, 7, None, DAY).grade, Grade::Ok);
        assert_eq!(head(7, 9, Some(DAY - 1), DAY).grade, Grade::Ok);
        assert_eq!(head(7, 9, Some(DAY - 3_600), DAY).grade, Grade::Fail);
        assert_eq!(head(7, 6, None, DAY).grade, Grade::Fail);
        assert_eq!(clock(Some(DAY + 60), DAY).grade, Grade::Fail);
        assert_eq!(clock(Some(DAY), DAY).grade, Grade::Ok);
    }
}
