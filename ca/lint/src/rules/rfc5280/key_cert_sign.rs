//! keyCertSign goes with cA and with nothing else.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "key-cert-sign-iff-ca", clause: "rfc5280#4.2.1.3", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let constraints = case.certificate.basic_constraints().ok().flatten().map(|found| found.value);
    let ca = constraints.is_some_and(|found| found.ca);
    let usage = case.certificate.key_usage().ok().flatten().ok_or("there is no key usage")?;
    require(usage.value.key_cert_sign() == ca, "keyCertSign and cA do not go together")?;
    require(ca || constraints.is_none_or(|found| found.path_len_constraint.is_none()), "a path length without cA")
}
