//! Renewing a certificate, by its holder or at the counter.
//!
//! 1 read       one signer, strict DER, the request inside
//! 2 find       the certificate it names, in the register: those that travel along are nobody's word
//! 3 verify     the signature over these very bytes, with that certificate's key
//! 4 authorise  by possession, for the place of this certificate and no other
//! 5 succeed    good now, its profile renewed, in its days, with the key that the policy wants

use pki::cms::{Attached, CmsError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::authorise::{Authorised, Holder, Operator, Orderer};
use super::revoke;
use super::succeed::{Ask, Asked, Corrections, Succeeded, SuccessionError, succeed};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Act, CertificateRecord, Hold, Reason, Revocation, Status, serial_text};
use crate::register;

const DAY: i64 = 86_400;

/// What an operator asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    pub serial: String,
    /// PKCS#10, PEM or DER.
    pub request: Vec<u8>,
}

/// By whoever signs with the key of the still valid certificate.
pub fn renew_by_possession(authority: &Authority, signed: &[u8]) -> Result<Succeeded, SuccessionError> {
    renew_proved(authority, prove(authority, signed)?)
}

/// A request that the holder of one of our certificates signed. Had only from `prove`.
pub struct Signed {
    pub(super) serial: Vec<u8>,
    pub(super) request: Vec<u8>,
    /// SHA-256 of the certificate's key.
    pub key: Vec<u8>,
}

impl Signed {
    /// The certificate and the request that is to follow it.
    pub fn said(&self) -> Vec<u8> {
        [&(self.serial.len() as u64).to_be_bytes()[..], &self.serial, &self.request].concat()
    }
}

/// Steps 1 to 3.
pub fn prove(authority: &Authority, signed: &[u8]) -> Result<Signed, SuccessionError> {
    // 1.
    let signed = Attached::read(signed)?;
    // 2.
    let serial = signed.serial()?;
    let found = register::find(&*authority.store, &serial)?.ok_or(SuccessionError::NotOurs)?;
    // 3. Also its issuer's name is compared: a foreign certificate may have a number of ours.
    let request = signed.verify(&found.der).map_err(|error| match error {
        CmsError::NoCertificate => SuccessionError::NotOurs,
        other => other.into(),
    })?;
    Ok(Signed { serial, request, key: found.key_digest.to_vec() })
}

/// Steps 4 and 5.
pub fn renew_proved(authority: &Authority, Signed { serial, request, key }: Signed) -> Result<Succeeded, SuccessionError> {
    // 4.
    let authorised = Authorised::<Holder>::by_possession(&key);
    // 5.
    renewed(authority, &authorised, serial, &request)
}

/// At the counter, for a holder who cannot sign any more but whose certificate is good.
pub fn renew(authority: &Authority, authorised: &Authorised<Operator>, order: &Renew) -> Result<Succeeded, SuccessionError> {
    renewed(authority, authorised, register::serial(&order.serial)?, &order.request)
}

fn renewed(authority: &Authority, authorised: &Authorised<impl Orderer>, old: Vec<u8>, request: &[u8]) -> Result<Succeeded, SuccessionError> {
    let now = authority.clock.now();
    let request = Asked::read(request)?;
    if request.meant().is_some() {
        return Err(SuccessionError::MeantOtherwise);
    }
    let overlap = register::find(&*authority.store, &old)?.and_then(|found| authority.rules.renewal.of(&found.profile)).and_then(|terms| terms.overlap_days);
    let ends = overlap.map(|days| Revocation::new(now.unix_timestamp() + i64::from(days) * DAY, Reason::Superseded));
    let ask = Ask { old, act: Act::Renewed, request, corrected: Corrections::default(), ends };
    succeed(authority, authorised, &ask, |found| may_be_renewed(authority, &ask, found, now))
}

/// A pure question to the certificate, the policy and the time.
fn may_be_renewed(authority: &Authority, ask: &Ask, found: &CertificateRecord, now: OffsetDateTime) -> Result<(), SuccessionError> {
    in_force(&ask.old, found, now)?;
    if let Status::Held(_) = found.status {
        return Err(SuccessionError::Held { serial: serial_text(&ask.old) });
    }
    let terms = authority.rules.renewal.of(&found.profile).ok_or_else(|| SuccessionError::NotRenewed { profile: found.profile.clone() })?;
    let from = found.not_after.saturating_sub(i64::from(terms.window_days) * DAY);
    if now.unix_timestamp() < from {
        return Err(SuccessionError::TooEarly { serial: serial_text(&ask.old), from: runtime::terminal::date(from) });
    }
    if terms.same_key { Ok(()) } else { ask.request.new_key(&ask.old, found) }
}

/// Neither revoked nor ended, and not kept by the order of an authority.
pub(super) fn in_force(serial: &[u8], found: &CertificateRecord, now: OffsetDateTime) -> Result<(), SuccessionError> {
    let serial_text = || serial_text(serial);
    match &found.status {
        Status::Revoked(before) => Err(revoke::already(serial, *before)?.into()),
        Status::Held(Hold { freeze: Some(freeze), .. }) => Err(IssueError::Frozen { serial: serial_text(), until: runtime::terminal::date(freeze.until) }.into()),
        _ if found.not_after < now.unix_timestamp() => Err(SuccessionError::Over { serial: serial_text() }),
        _ => Ok(()),
    }
}
