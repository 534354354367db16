//! A list of named bits ends with its last bit that is set.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.15");

pub(crate) const RULE: Rule = Rule { name: "named-bits-minimal", clause: "x690#11.2.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(usage) = case.certificate.extensions().iter().find(|one| is(&one.oid, KEY_USAGE)) else { return Ok(()) };
    let minimal = match usage.value {
        [3, _, unused @ 0..=7, .., last] => last.trailing_zeros() == u32::from(*unused),
        _ => false,
    };
    require(minimal, "the key usage is empty or has zero bits after its last")
}
