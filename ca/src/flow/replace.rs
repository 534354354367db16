//! Replacing and correcting at the counter: a certificate whose key or device is gone, or that says what is no longer so.

use policies::certificate::{ApplicantKind, Kind};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::authorise::{Authorised, Operator};
use super::renew::in_force;
use super::succeed::{Ask, Asked, Corrections, Succeeded, SuccessionError, succeed};
use crate::authority::Authority;
use crate::record::{Act, CertificateRecord, Reason, Revocation};
use crate::register;

const DAY: i64 = 86_400;

/// A certificate whose key is lost, broken or known to others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    pub serial: String,
    /// PKCS#10, PEM or DER, with a new key.
    pub request: Vec<u8>,
    /// Somebody can sign with the old key who should not.
    pub compromised: bool,
    /// Days for which the old one stays valid; none when absent.
    pub overlap_days: Option<u16>,
}

/// A certificate that says what is no longer so. The code never changes: who has another is somebody else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correct {
    pub serial: String,
    pub request: Vec<u8>,
    pub name: Option<String>,
    pub mailbox: Option<String>,
    pub reason: Reason,
    /// Days for which the old one stays valid; as the policy says when absent.
    pub overlap_days: Option<u16>,
}

/// Without the name.
impl std::fmt::Debug for Correct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Correct").field("serial", &self.serial).field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// A suspended one may be replaced: that is how a lost device is kept from harm until its holder comes.
pub fn replace(authority: &Authority, authorised: &Authorised<Operator>, order: &Replace) -> Result<Succeeded, SuccessionError> {
    // 1. Words in a form that cannot be wrong. A compromised key has no days left.
    let now = authority.clock.now();
    let old = register::serial(&order.serial)?;
    let request = Asked::read(&order.request)?;
    let ends = match order.compromised {
        true if order.overlap_days.unwrap_or(0) > 0 => return Err(SuccessionError::Overlap { most: 0 }),
        true => Revocation::new(now.unix_timestamp(), Reason::KeyCompromise),
        false => after(authority, order.overlap_days.unwrap_or(0), Reason::Superseded, now)?,
    };
    // 2. The line of every certificate in the place of another.
    let ask = Ask { old, act: Act::Replaced, request, corrected: Corrections::default(), ends: Some(ends) };
    succeed(authority, authorised, &ask, |found| {
        of_a_holder(authority, &ask.old, found, now)?;
        ask.request.new_key(&ask.old, found)
    })
}

pub fn correct(authority: &Authority, authorised: &Authorised<Operator>, order: &Correct) -> Result<Succeeded, SuccessionError> {
    // 1. Words in a form that cannot be wrong.
    let now = authority.clock.now();
    let old = register::serial(&order.serial)?;
    let request = Asked::read(&order.request)?;
    if order.name.is_none() && order.mailbox.is_none() {
        return Err(SuccessionError::NothingNew);
    }
    if !matches!(order.reason, Reason::Superseded | Reason::AffiliationChanged) {
        return Err(SuccessionError::Reason);
    }
    let days = order.overlap_days.unwrap_or(authority.rules.renewal.correction_overlap_days);
    let ends = after(authority, days, order.reason, now)?;
    // 2. The line of every certificate in the place of another; a word that its kind of holder does not have is refused there.
    let corrected = Corrections { name: order.name.clone(), mailbox: order.mailbox.clone() };
    let ask = Ask { old, act: Act::Corrected, request, corrected, ends: Some(ends) };
    succeed(authority, authorised, &ask, |found| of_a_holder(authority, &ask.old, found, now))
}

fn after(authority: &Authority, days: u16, reason: Reason, now: OffsetDateTime) -> Result<Revocation, SuccessionError> {
    let most = authority.rules.renewal.most_overlap_days;
    if days > most {
        return Err(SuccessionError::Overlap { most });
    }
    Ok(Revocation::new(now.unix_timestamp() + i64::from(days) * DAY, reason))
}

/// Neither the authority's own nor over, and not kept by an order.
pub(super) fn of_a_holder(authority: &Authority, serial: &[u8], found: &CertificateRecord, now: OffsetDateTime) -> Result<(), SuccessionError> {
    in_force(serial, found, now)?;
    match authority.policies.profile(&found.profile) {
        Some(profile) if profile.kind() == Kind::Leaf && profile.applicant() != ApplicantKind::Authority => Ok(()),
        _ => Err(SuccessionError::NotOfAHolder { profile: found.profile.clone() }),
    }
}
