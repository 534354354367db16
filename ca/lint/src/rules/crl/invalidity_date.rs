//! A date of invalidity is not critical, and a GeneralizedTime whatever its year.

use crate::crl::{EntryRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::revocation_list::RevokedCertificate;

const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");

pub(super) const RULE: EntryRule = EntryRule { name: "crl-invalidity-date", clause: "rfc5280#5.3.2", check };

fn check(_: &List<'_>, entry: &RevokedCertificate<'_>) -> Result<(), String> {
    // That its form has seconds, no fraction and a Z is what `der-canonical` looks at.
    let mut dates = entry.extensions().iter().filter(|one| is(&one.oid, INVALIDITY_DATE));
    require(dates.all(|one| !one.critical && matches!(one.value, [0x18, 15, ..])), "a date of invalidity is critical or no GeneralizedTime")
}
