//! Nobody is revoked twice.

use crate::crl::{CrlRule, List};
use crate::rules::require;
use std::collections::HashSet;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-serials-unique", clause: "rfc5280#5.3", check };

fn check(list: &List<'_>) -> Result<(), String> {
    // Where each is above the one before, as we write them, none is there twice.
    let ascending = list.read.serials().is_sorted_by(|a, b| a < b);
    let mut serials = HashSet::new();
    let unique = ascending || list.read.serials().all(|serial| serials.insert(serial));
    require(unique, "a serial is there twice")
}
