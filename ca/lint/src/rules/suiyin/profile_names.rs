//! Exactly the planned alternative names, in order.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::extensions::GeneralName;

const EMAIL: u8 = 1;
const DNS: u8 = 2;
const IP: u8 = 7;

pub(crate) const RULE: Rule = Rule { name: "profile-names", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let there = case.certificate.subject_alternative_name().ok().flatten();
    let names = there.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let equal = names.len() == case.facts.alternative_names.len()
        && names.iter().zip(&case.facts.alternative_names).all(|(name, (tag, octets))| match name {
            GeneralName::RFC822Name(text) => *tag == EMAIL && text.as_bytes() == octets,
            GeneralName::DNSName(text) => *tag == DNS && text.as_bytes() == octets,
            GeneralName::IPAddress(found) => *tag == IP && found == octets,
            _ => false,
        });
    require(equal, "the alternative names are not the planned ones in order")
}
