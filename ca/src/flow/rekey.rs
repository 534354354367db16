//! Another key for a certificate whose end is far, signed for by the one it has: before a device is given away, or when a
//! holder changes keys as a rule. A key that others may have is reported at `/revoke`, and replaced at the counter.
//!
//! 1 prove      as a renewal is: one of our certificates signed these very bytes
//! 2 meant      the request itself says that it is for this, and of which certificate: nobody who hears a renewal makes a
//!              change of keys of it
//! 3 authorise  by possession, for the place of this certificate and no other
//! 4 succeed    good now, old enough, with a new key; the new certificate ends when the old one would have
// spec: rfc3647#4.4.7

use time::OffsetDateTime;

use super::authorise::{Authorised, Holder};
use super::meant::Meant;
use super::renew::{Signed, in_force, prove};
use super::succeed::{Ask, Asked, Corrections, Succeeded, SuccessionError, succeed};
use crate::authority::Authority;
use crate::record::{Act, CertificateRecord, Reason, Revocation, Status, serial_text};
use crate::register;

const DAY: i64 = 86_400;

/// By whoever signs with the key of the still valid certificate.
pub fn rekey_by_possession(authority: &Authority, signed: &[u8]) -> Result<Succeeded, SuccessionError> {
    rekey_proved(authority, prove(authority, signed)?)
}

/// Steps 2 to 4.
pub fn rekey_proved(authority: &Authority, Signed { serial, request, key }: Signed) -> Result<Succeeded, SuccessionError> {
    let now = authority.clock.now();
    // 2.
    let request = Asked::read(&request)?;
    if *request.meant() != Some(Meant::Rekey { serial: serial.clone() }) {
        return Err(SuccessionError::NotMeant { words: format!("rekey {}", serial_text(&serial)) });
    }
    // 3.
    let authorised = Authorised::<Holder>::by_possession(&key);
    // 4.
    let terms = register::find(&*authority.store, &serial)?.and_then(|found| authority.rules.renewal.of(&found.profile)).and_then(|terms| terms.rekey);
    let ends = terms.map(|terms| Revocation::new(now.unix_timestamp() + i64::from(terms.overlap_days) * DAY, Reason::Superseded));
    let ask = Ask { old: serial, act: Act::Rekeyed, request, corrected: Corrections::default(), ends };
    succeed(authority, &authorised, &ask, |found| may_be_rekeyed(authority, &ask, found, now))
}

/// A pure question to the certificate, the policy and the time.
fn may_be_rekeyed(authority: &Authority, ask: &Ask, found: &CertificateRecord, now: OffsetDateTime) -> Result<(), SuccessionError> {
    in_force(&ask.old, found, now)?;
    if let Status::Held(_) = found.status {
        return Err(SuccessionError::Held { serial: serial_text(&ask.old) });
    }
    let terms = authority.rules.renewal.of(&found.profile).and_then(|terms| terms.rekey).ok_or_else(|| SuccessionError::NotRekeyed { profile: found.profile.clone() })?;
    let from = found.not_before.saturating_add(i64::from(terms.after_days) * DAY);
    if now.unix_timestamp() < from {
        return Err(SuccessionError::TooYoung { serial: serial_text(&ask.old), from: runtime::terminal::date(from) });
    }
    ask.request.new_key(&ask.old, found)
}
