//! Nobody is revoked twice.

use crate::crl::{CrlRule, List};
use crate::rules::require;
use std::collections::HashSet;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-serials-unique", clause: "rfc5280#5.3", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let mut serials = HashSet::with_capacity(list.tbs().revoked_certificates.len());
    let unique = list.tbs().revoked_certificates.iter().all(|entry| serials.insert(entry.raw_serial()));
    require(unique, "a serial is there twice")
}
