//! Exactly the planned time, to the second.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "profile-validity", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let validity = case.certificate.validity();
    let found = (validity.not_before.timestamp(), validity.not_after.timestamp());
    require(found == case.facts.validity, "the validity is not the planned one")
}
