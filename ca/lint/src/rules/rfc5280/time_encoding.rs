//! UTCTime through 2049, GeneralizedTime from 2050.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "time-encoding", clause: "rfc5280#4.1.2.5", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let validity = case.certificate.validity();
    let right = [validity.not_before, validity.not_after]
        .iter()
        .all(|time| time.is_utctime() == (1950..2050).contains(&time.to_datetime().year()));
    require(right, "a time is not UTCTime through 2049 and GeneralizedTime from 2050")
}
