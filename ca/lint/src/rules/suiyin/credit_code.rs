//! The code in the national extension is the last part of organizationIdentifier, after its scheme and a hyphen.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "credit-code-is-organization-identifier", clause: "gmt0015", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(extension) = case.certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.2.156.10260.4.1.4") else {
        return Ok(());
    };
    let code = match extension.value {
        [0x13, length, code @ ..] if usize::from(*length) == code.len() => code,
        _ => return Err("the credit code is not a PrintableString".into()),
    };
    let named = case.certificate.subject().iter_attributes().find(|one| one.attr_type().to_id_string() == "2.5.4.97");
    let equal = named.and_then(|one| one.as_str().ok()).is_some_and(|text| {
        text.rsplit('-').next().is_some_and(|last| last.as_bytes() == code)
    });
    require(equal, "the credit code is not the organization identifier's")
}
