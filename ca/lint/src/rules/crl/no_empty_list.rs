//! With nobody revoked there is no list at all.

use crate::crl::{CrlRule, List};
use crate::rules::require;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-no-empty-list", clause: "rfc5280#5.1.2.6", check };

fn check(list: &List<'_>) -> Result<(), String> {
    // An empty name is the one other empty sequence that can stand at this level.
    let parts = crate::der::elements(list.read.tbs()).unwrap_or_default();
    let none_empty = parts.iter().all(|(tag, value)| *tag != 0x30 || !value.is_empty());
    require(none_empty || list.tbs().issuer.as_raw().len() <= 2, "the list of the revoked is empty: leave it out")
}
