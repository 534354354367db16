//! The serial is positive, long enough to be random and at most 20 octets.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "serial-positive-64-to-160-bits", clause: "rfc5280#4.1.2.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let raw = case.certificate.raw_serial();
    let positive = raw.first().is_some_and(|byte| byte & 0x80 == 0) && raw.iter().any(|byte| *byte != 0);
    require(positive && (8..=20).contains(&raw.len()), "the serial is not positive or not of 8 to 20 octets")
}
