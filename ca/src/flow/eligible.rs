//! Checks on receipt: all that can be decided before an officer looks, and what the officer should know.
//!
//! 1 policy      the certificate as it would be made now
//! 2 registry    the enterprise is there, in business, and bears this name
//! 3 duplicates  no earlier open order and no good certificate of the same code and profile

use policies::authority::{DuplicateRule, RegistryRule};
use policies::certificate::{Applicant, OrganizationName};
use policies::identity::CreditCode;

use super::authorise::Authorised;
use super::issue::try_out;
use super::order::{OrderError, reordered};
use super::succeed::SuccessionError;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Flag, Ground, OrderId, OrderRecord};
use crate::register::{self, Query, State};
use crate::registry::{Business, Registered};

/// Open orders of one code and profile looked at; with more than these there are duplicates in any case.
const LOOKED_AT: usize = 1_000;

/// What the checks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    Eligible(Vec<Flag>),
    Refused(Ground),
}

/// An error is one of ours: the order waits and is looked at again.
pub fn judge(authority: &Authority, id: &OrderId, order: &OrderRecord) -> Result<Judged, OrderError> {
    // 1.
    if let Err(error) = try_out(authority, &Authorised::service(), reordered(order)) {
        return if is_the_applicants(&error) { Ok(Judged::Refused(ground(&error))) } else { Err(error.into()) };
    }
    // 2.
    let mut flags: Vec<Flag> = match registered(authority, order)? {
        Ok(flag) => flag.into_iter().collect(),
        Err(ground) => return Ok(Judged::Refused(ground)),
    };
    // 3.
    let Applicant::Organization { code, .. } = order.application.applicant.parse()? else { return Ok(Judged::Eligible(Vec::new())) };
    let found = duplicates(authority, id, order, &code)?;
    match (found.first(), authority.rules.orders.duplicates) {
        (Some(first), DuplicateRule::Refuse) => Ok(Judged::Refused(duplicate(*first))),
        _ => {
            flags.extend(found);
            Ok(Judged::Eligible(flags))
        }
    }
}

/// What the registry says of an order's enterprise now; there is none for others.
pub(super) fn registered(authority: &Authority, order: &OrderRecord) -> Result<Result<Option<Flag>, Ground>, OrderError> {
    let Applicant::Organization { name, code, .. } = order.application.applicant.parse()? else { return Ok(Ok(None)) };
    let rule = authority.rules.orders.registry;
    let found = if rule == RegistryRule::None { None } else { authority.registry.find(&code).map_err(OrderError::Registry)? };
    Ok(registration(rule, &name, found.as_ref()))
}

/// Whether an error says something of the application, and not of us.
pub(super) fn is_the_applicants(error: &IssueError) -> bool {
    matches!(
        error,
        IssueError::Refused(_) | IssueError::Request(_) | IssueError::BlockedKey | IssueError::ListedKey | IssueError::KeyOfAnother | IssueError::EnterpriseFrozen { .. } | IssueError::UnknownProfile { .. } | IssueError::Lint { .. }
    )
}

pub(super) fn ground(error: &IssueError) -> Ground {
    Ground { code: error.class().1.to_owned(), message: error.to_string() }
}

/// What was found of a certificate that is to be corrected, and not of us.
pub(super) fn ends_a_correction(error: &IssueError) -> bool {
    matches!(error, IssueError::Frozen { .. } | IssueError::AlreadyRevoked { .. } | IssueError::Ended { .. })
}

pub(super) fn cannot_be_corrected(error: SuccessionError) -> Ground {
    let runtime::exit::Problem { code, message, .. } = error.into();
    Ground { code, message }
}

fn duplicate(flag: Flag) -> Ground {
    let (code, message) = match flag {
        Flag::DuplicateOrder => ("duplicate-order", "an earlier order of the same code and profile is open; wait for it, or cancel it first"),
        _ => ("duplicate-certificate", "a good certificate of the same code and profile exists; use it, or have it revoked first"),
    };
    Ground { code: code.to_owned(), message: message.to_owned() }
}

/// A pure question. `registered` is what stands in the registry under the applicant's code.
fn registration(rule: RegistryRule, name: &OrganizationName, registered: Option<&Registered>) -> Result<Option<Flag>, Ground> {
    let ground = |code: &str, message: &str| Err(Ground { code: code.to_owned(), message: message.to_owned() });
    match (rule, registered) {
        (RegistryRule::None, _) => Ok(None),
        (RegistryRule::WhenKnown, None) => Ok(Some(Flag::NotInRegistry)),
        (RegistryRule::Required, None) => ground("not-in-registry", "nobody is registered under this code; apply with the code on the licence"),
        (_, Some(Registered { business: Business::StruckOff, .. })) => ground("struck-off", "the enterprise of this code is struck off; it gets no certificate"),
        (_, Some(found)) if found.name != *name => ground("other-name", "the registry has another name under this code; apply with the registered name, exactly"),
        (_, Some(Registered { business: Business::Suspended, .. })) => Ok(Some(Flag::BusinessSuspended)),
        (_, Some(Registered { business: Business::InBusiness, .. })) => Ok(None),
    }
}

/// Of two orders at the same moment the one that became durable later has the earlier before it, and never both.
fn duplicates(authority: &Authority, id: &OrderId, order: &OrderRecord, code: &CreditCode) -> Result<Vec<Flag>, IssueError> {
    let profile = &order.application.profile;
    let (from, to) = OrderRecord::all_open(profile, code.as_str());
    let open = authority.store.scan(&from, &to, LOOKED_AT)?;
    let mut flags = Vec::new();
    if open.first().is_some_and(|(_, first)| first != id.bytes()) {
        flags.push(Flag::DuplicateOrder);
    }
    // The one that is corrected is no duplicate.
    let query = Query { code: Some(code.as_str().to_owned()), profile: Some(profile.clone()), state: Some(State::Good), limit: Some(2), ..Query::default() };
    let corrected = |serial: &[u8]| order.application.corrects.as_ref().is_some_and(|correcting| correcting.serial == crate::record::serial_text(serial));
    if register::list(&*authority.store, &query, authority.clock.now().unix_timestamp())?.iter().any(|(serial, _)| !corrected(serial)) {
        flags.push(Flag::DuplicateCertificate);
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_registry_decides_by_the_rule() {
        let name = OrganizationName::parse("广州某某有限公司").unwrap();
        let as_registered = |name: &str, business| Registered { name: OrganizationName::parse(name).unwrap(), business };
        let good = as_registered("广州某某有限公司", Business::InBusiness);
        let other = as_registered("广州某某集团有限公司", Business::InBusiness);
        let gone = as_registered("广州某某有限公司", Business::StruckOff);
        let idle = as_registered("广州某某有限公司", Business::Suspended);
        let said = |rule, found: Option<&Registered>| registration(rule, &name, found).map_err(|ground| ground.code);
        use RegistryRule::{None as No, Required, WhenKnown};
        for (rule, found, expected) in [
            (No, Some(&gone), Ok(None)),
            (No, None, Ok(None)),
            (WhenKnown, None, Ok(Some(Flag::NotInRegistry))),
            (WhenKnown, Some(&good), Ok(None)),
            (WhenKnown, Some(&other), Err("other-name")),
            (WhenKnown, Some(&gone), Err("struck-off")),
            (WhenKnown, Some(&idle), Ok(Some(Flag::BusinessSuspended))),
            (Required, None, Err("not-in-registry")),
            (Required, Some(&good), Ok(None)),
            (Required, Some(&other), Err("other-name")),
            (Required, Some(&gone), Err("struck-off")),
        ] {
            assert_eq!(said(rule, found), expected.map_err(str::to_owned), "{rule:?} {found:?}");
        }
    }
}
