//! Exactly the profile's constraints and usages.

use crate::der::elements;
use crate::rules::{is, require, usages};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const EXTENDED_KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.37");

pub(crate) const RULE: Rule = Rule { name: "profile-usage", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let facts = case.facts;
    let constraints = case.certificate.basic_constraints().ok().flatten().map(|found| found.value);
    let ca = constraints.is_some_and(|found| found.ca);
    let path_len = constraints.and_then(|found| found.path_len_constraint);
    require(ca == facts.ca && path_len == facts.path_len, "basic constraints are not the profile's")?;
    let flags = case.certificate.key_usage().ok().flatten().map_or(0, |found| found.value.flags);
    require(flags == facts.key_usage, "key usage is not the profile's")?;
    let extended = case.certificate.extended_key_usage().ok().flatten();
    let found = extended.map(|found| usages(found.value)).unwrap_or_default();
    let written = case.certificate.extensions().iter().find(|one| is(&one.oid, EXTENDED_KEY_USAGE));
    let count = written.map_or(Ok(0), |one| elements(one.value).map(|all| all.len()))?;
    require(count == found.len(), "an extended key usage is there twice")?;
    require(found == facts.extended_key_usage.iter().map(|oid| oid.as_bytes()).collect(), "extended key usage is not the profile's")
}
