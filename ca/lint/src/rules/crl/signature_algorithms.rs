//! The algorithm is the same inside and outside.

use crate::crl::{CrlRule, List};
use crate::rules::require;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-algorithms-equal", clause: "rfc5280#5.1.1.2", check };

fn check(list: &List<'_>) -> Result<(), String> {
    require(list.crl.signature_algorithm == list.tbs().signature, "the signature algorithms differ")
}
