//! A reason is one of those defined, never 0 and never critical.

use crate::crl::{CrlRule, List};
use crate::rules::require;
use x509_parser::extensions::ParsedExtension as Parsed;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-reasons", clause: "rfc5280#5.3.1", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let right = list.tbs().revoked_certificates.iter().flat_map(|entry| entry.extensions()).all(|one| match one.parsed_extension() {
        Parsed::ReasonCode(code) => !one.critical && matches!(code.0, 1..=6 | 8..=10),
        _ => one.parsed_extension().error().is_none(),
    });
    require(right, "a reason is 0, not defined or critical")
}
