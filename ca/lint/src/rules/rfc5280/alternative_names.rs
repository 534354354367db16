//! Alternative names are of the kinds we issue and in ASCII.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::extensions::GeneralName;

pub(crate) const RULE: Rule = Rule { name: "alternative-names", clause: "rfc5280#4.2.1.6", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(names) = case.certificate.subject_alternative_name().ok().flatten() else {
        return require(case.certificate.subject().iter().next().is_some(), "neither a subject nor alternative names");
    };
    require(!names.value.general_names.is_empty(), "there are no alternative names in the extension")?;
    let right = names.value.general_names.iter().all(|name| match name {
        GeneralName::RFC822Name(text) => text.split_once('@').is_some_and(|(l, d)| !l.is_empty() && !d.is_empty() && text.is_ascii()),
        GeneralName::DNSName(text) | GeneralName::URI(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
        GeneralName::IPAddress(octets) => matches!(octets.len(), 4 | 16),
        _ => false,
    });
    require(right, "an alternative name is not ASCII or not of a kind we issue")
}
