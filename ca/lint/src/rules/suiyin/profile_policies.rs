//! Exactly the profile's policies, each once.

use crate::rules::require;
use crate::{Case, Rule};
use std::collections::BTreeSet;
use x509_parser::extensions::ParsedExtension as Parsed;

pub(crate) const RULE: Rule = Rule { name: "profile-policies", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let found: Vec<&[u8]> = case.certificate.extensions().iter().flat_map(|one| match one.parsed_extension() {
        Parsed::CertificatePolicies(policies) => policies.iter().map(|policy| policy.policy_id.as_bytes()).collect(),
        _ => Vec::new(),
    }).collect();
    require(found.iter().collect::<BTreeSet<_>>().len() == found.len(), "a policy is there twice")?;
    require(found.into_iter().eq(case.facts.policies.iter().map(|oid| oid.as_bytes())), "the policies are not the profile's")
}
