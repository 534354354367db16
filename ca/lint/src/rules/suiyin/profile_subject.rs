//! Exactly the planned subject, in order.

use crate::rules::{is, require};
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "profile-subject", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let mut found = case.certificate.subject().iter_attributes();
    let equal = case.facts.subject.iter().all(|(oid, value)| {
        found.next().is_some_and(|one| is(one.attr_type(), *oid) && one.as_str().is_ok_and(|text| text == value))
    });
    let single = case.certificate.subject().iter_rdn().all(|part| part.iter().count() == 1);
    require(single, "two attributes share one part of the subject")?;
    require(equal && found.next().is_none(), "the subject is not the planned attributes in order")
}
