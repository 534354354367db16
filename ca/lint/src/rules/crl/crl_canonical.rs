//! Every value is written in its one DER form.

use crate::crl::{CrlRule, List};

pub(super) const RULE: CrlRule = CrlRule { name: "der-canonical", clause: "x690#10", check };

fn check(list: &List<'_>) -> Result<(), String> {
    crate::der::canonical(list.der)
}
