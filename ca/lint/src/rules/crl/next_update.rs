//! The next list is promised, and for later.

use crate::crl::{CrlRule, List};
use crate::rules::require;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-next-update", clause: "rfc5280#5.1.2.5", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let later = list.tbs().next_update.is_some_and(|next| next.timestamp() > list.tbs().this_update.timestamp());
    require(later, "nextUpdate is missing or not after thisUpdate")
}
