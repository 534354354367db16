//! A reason is one of those defined, never 0 and never critical; only a delta takes entries off.

use crate::crl::{EntryRule, List};
use crate::rules::require;
use x509_parser::extensions::ParsedExtension as Parsed;
use x509_parser::revocation_list::RevokedCertificate;

pub(super) const RULE: EntryRule = EntryRule { name: "crl-reasons", clause: "rfc5280#5.3.1", check };

fn check(list: &List<'_>, entry: &RevokedCertificate<'_>) -> Result<(), String> {
    const REMOVE_FROM_CRL: u8 = 8;
    for one in entry.extensions() {
        match one.parsed_extension() {
            Parsed::ReasonCode(code) => {
                require(!one.critical && matches!(code.0, 1..=6 | 8..=10), "a reason is 0, not defined or critical")?;
                require(code.0 != REMOVE_FROM_CRL || super::delta::base(list).is_some(), "an entry is taken off by a list that is no delta")?;
            }
            other => require(other.error().is_none(), "an extension of an entry cannot be read")?,
        }
    }
    Ok(())
}
