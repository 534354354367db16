//! Unique identifiers are not used.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "no-unique-identifiers", clause: "rfc5280#4.1.2.8", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    require(case.certificate.issuer_uid.is_none() && case.certificate.subject_uid.is_none(), "unique identifiers are there")
}
