//! Exactly the profile's extensions.

use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;
use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule { name: "profile-extensions", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let found: BTreeSet<&[u8]> = case.certificate.extensions().iter().map(|one| one.oid.as_bytes()).collect();
    let expected: BTreeSet<&[u8]> = case.facts.extensions.iter().map(|oid| oid.as_bytes()).collect();
    if found == expected {
        return Ok(());
    }
    let differ: Vec<String> = found.symmetric_difference(&expected).map(|octets| dotted(octets)).collect();
    Err(format!("extensions missing or too many: {}", differ.join(", ")))
}

fn dotted(octets: &[u8]) -> String {
    Oid::from_bytes(octets).map_or_else(|_| "one that cannot be written".into(), |oid| oid.to_string())
}
