//! Exactly the profile's extensions.

use crate::{Case, Rule};
use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule { name: "profile-extensions", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let found: BTreeSet<String> = case.certificate.extensions().iter().map(|one| one.oid.to_id_string()).collect();
    let expected: BTreeSet<String> = case.facts.extensions.iter().cloned().collect();
    let differ: Vec<_> = found.symmetric_difference(&expected).cloned().collect();
    if differ.is_empty() { Ok(()) } else { Err(format!("extensions missing or too many: {}", differ.join(", "))) }
}
