//! A certificate is for something, not for anything.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "no-any-extended-key-usage", clause: "rfc5280#4.2.1.12", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let usage = case.certificate.extended_key_usage().ok().flatten();
    require(usage.is_none_or(|usage| !usage.value.any), "anyExtendedKeyUsage is there")
}
