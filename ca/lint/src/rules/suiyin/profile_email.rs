//! A mail address where the profile asks for one.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::extensions::GeneralName;

pub(crate) const RULE: Rule = Rule { name: "profile-email", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let names = case.certificate.subject_alternative_name().ok().flatten();
    let there = names.is_some_and(|names| names.value.general_names.iter().any(|name| matches!(name, GeneralName::RFC822Name(_))));
    require(there || !case.facts.email_required, "the profile asks for a mail address")
}
