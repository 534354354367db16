//! Not longer than the profile's time.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "profile-validity", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let validity = case.certificate.validity();
    // Both ends are included.
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp() + 1;
    require(seconds <= case.facts.max_validity_seconds, "the validity is longer than the profile's")
}
