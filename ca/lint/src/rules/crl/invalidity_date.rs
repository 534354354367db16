//! A date of invalidity is not critical, and a GeneralizedTime whatever its year.

use crate::crl::{CrlRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;

const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");

pub(super) const RULE: CrlRule = CrlRule { name: "crl-invalidity-date", clause: "rfc5280#5.3.2", check };

fn check(list: &List<'_>) -> Result<(), String> {
    // That its form has seconds, no fraction and a Z is what `der-canonical` looks at.
    let dates = list.tbs().revoked_certificates.iter().flat_map(|entry| entry.extensions()).filter(|one| is(&one.oid, INVALIDITY_DATE));
    let right = dates.into_iter().all(|one| !one.critical && matches!(one.value, [0x18, 15, time @ ..] if time.len() == 15 && time.last() == Some(&b'Z')));
    require(right, "a date of invalidity is critical or no GeneralizedTime")
}
