//! A holder says what its certificate says no longer rightly, signed with its key: an order like any other, whose
//! certificate takes the place of the old one.
//!
//! 1 prove      as a renewal is: one of our certificates signed these very bytes
//! 2 meant      the request itself says what is to be corrected, and of which certificate
//! 3 judge      good now, ordered over the network, and something is another; what this very request ordered before is told as
//!              it stands, whatever became of the certificate since: whoever never heard the answer asks again
//! 4 order      on the line of every order: the registry agrees, an officer at least approves
//! 5 succeed    once it is approved: the old certificate as it stands then, its place claimed with the intent
// spec: rfc3647#4.4.8

use time::OffsetDateTime;

use super::authorise::{Authorised, Holder};
use super::facts;
use super::meant::Meant;
use super::order::{self, Applied, OrderError, Placed};
use super::plan::Words;
use super::renew::{Signed, in_force, prove};
use super::replace::of_a_holder;
use super::succeed::{Claim, SuccessionError, correcting_claim};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Correcting, Reason, Revocation, Status, serial_text};
use crate::register;

const DAY: i64 = 86_400;

#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    #[error(transparent)]
    Order(#[from] OrderError),
}

impl From<IssueError> for CorrectionError {
    fn from(error: IssueError) -> Self {
        SuccessionError::from(error).into()
    }
}

impl From<CorrectionError> for runtime::exit::Problem {
    fn from(error: CorrectionError) -> Self {
        match error {
            CorrectionError::Succession(error) => error.into(),
            CorrectionError::Order(error) => error.into(),
        }
    }
}

/// By whoever signs with the key of the still valid certificate.
pub fn correct_by_possession(authority: &Authority, signed: &[u8]) -> Result<Placed, CorrectionError> {
    correct_proved(authority, prove(authority, signed)?)
}

/// What this very request ordered before, as it stands; nothing is ordered. Whoever means to ask for something else learns so
/// what became of a request whose answer was never heard.
pub fn ordered_before(authority: &Authority, Signed { serial, request, .. }: &Signed) -> Result<Placed, CorrectionError> {
    let asked = pki::request::Request::parse(request).map_err(IssueError::from)?;
    let found = register::get(&*authority.store, serial).map_err(IssueError::from)?;
    let placed = order::correction_before(authority, found.code.as_deref(), asked.der(), &serial_text(serial))?;
    Ok(placed.ok_or(OrderError::NotFound)?)
}

/// Steps 2 to 4.
pub fn correct_proved(authority: &Authority, Signed { serial, request, key }: Signed) -> Result<Placed, CorrectionError> {
    // 2.
    let asked = pki::request::Request::parse(&request).map_err(IssueError::from)?;
    let (name, mailbox) = match super::meant::meant(&asked.subject) {
        Some(Meant::Correct { serial: said, name, mailbox }) if said == serial => (name, mailbox),
        _ => return Err(SuccessionError::NotMeant { words: format!("correct {}, and what it is to say", serial_text(&serial)) }.into()),
    };
    // 3.
    let found = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
    if let Some(placed) = order::correction_before(authority, found.code.as_deref(), asked.der(), &serial_text(&serial))? {
        return Ok(placed);
    }
    may_be_corrected(authority, &serial, &found, authority.clock.now())?;
    let profile = authority.policies.profile(&found.profile).ok_or_else(|| SuccessionError::NotOfAHolder { profile: found.profile.clone() })?;
    let before = facts::words_of(profile, &found)?;
    let applicant = Words { name: name.clone().or(before.name.clone()), mailbox: mailbox.or(before.mailbox.clone()), ..before.clone() };
    if applicant == before {
        return Err(SuccessionError::NothingNew.into());
    }
    let reason = if applicant.name == before.name { Reason::Superseded } else { Reason::AffiliationChanged };
    // 4.
    let issuer = (profile.issuers().len() > 1).then(|| found.issuer.clone());
    let applied = Applied { profile: found.profile, request, applicant, issuer, evidence: Vec::new(), key: "correct".to_owned() };
    let holder = Authorised::<Holder>::by_possession(&key);
    Ok(order::place_correction(authority, &holder, applied, Correcting { serial: serial_text(&serial), reason })?)
}

/// Step 5: the claim to the old certificate's place, when it is still what it was.
pub(super) fn claim(authority: &Authority, correcting: &Correcting, request: &[u8]) -> Result<Claim, SuccessionError> {
    let now = authority.clock.now();
    let old = register::serial(&correcting.serial)?;
    let ends = Revocation::new(now.unix_timestamp() + i64::from(authority.rules.renewal.correction_overlap_days) * DAY, correcting.reason);
    correcting_claim(authority, old.clone(), request, ends, |found| may_be_corrected(authority, &old, found, now))
}

/// A pure question to the certificate, the policy and the time.
fn may_be_corrected(authority: &Authority, serial: &[u8], found: &CertificateRecord, now: OffsetDateTime) -> Result<(), SuccessionError> {
    in_force(serial, found, now)?;
    if let Status::Held(_) = found.status {
        return Err(SuccessionError::Held { serial: serial_text(serial) });
    }
    of_a_holder(authority, serial, found, now)
}
