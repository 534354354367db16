//! The list has a number, and it is not critical.

use crate::crl::{CrlRule, List};
use crate::rules::require;
use x509_parser::extensions::ParsedExtension as Parsed;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-number", clause: "rfc5280#5.2.3", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let number = list.tbs().extensions().iter().any(|one| !one.critical && matches!(one.parsed_extension(), Parsed::CRLNumber(_)));
    require(number, "the CRL number is missing or critical")
}
