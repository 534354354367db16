//! The code in the national extension is the last part of organizationIdentifier, after its scheme and a hyphen.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const CREDIT_CODE: Oid = Oid::new_unwrap("1.2.156.10260.4.1.4");
const ORGANIZATION_IDENTIFIER: Oid = Oid::new_unwrap("2.5.4.97");

pub(crate) const RULE: Rule = Rule { name: "credit-code-is-organization-identifier", clause: "gmt0015", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(extension) = case.certificate.extensions().iter().find(|one| is(&one.oid, CREDIT_CODE)) else {
        return Ok(());
    };
    let code = match extension.value {
        [0x13, length, code @ ..] if usize::from(*length) == code.len() => code,
        _ => return Err("the credit code is not a PrintableString".into()),
    };
    let named = case.certificate.subject().iter_attributes().find(|one| is(one.attr_type(), ORGANIZATION_IDENTIFIER));
    let equal = named.and_then(|one| one.as_str().ok()).is_some_and(|text| {
        text.rsplit('-').next().is_some_and(|last| last.as_bytes() == code)
    });
    require(equal, "the credit code is not the organization identifier's")
}
