//! A list with extensions is of version 2.

use crate::crl::{CrlRule, List};
use crate::rules::require;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-version-is-2", clause: "rfc5280#5.1.2.1", check };

fn check(list: &List<'_>) -> Result<(), String> {
    require(list.tbs().version.is_some_and(|version| version.0 == 1), "the version is not 2")
}
