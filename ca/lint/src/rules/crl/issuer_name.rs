//! The issuer's name is its certificate's subject, byte for byte.

use crate::crl::{CrlRule, List};
use crate::rules::require;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-issuer", clause: "rfc5280#5.1.2.3", check };

fn check(list: &List<'_>) -> Result<(), String> {
    require(list.tbs().issuer.as_raw() == list.issuer.subject, "the issuer is not the issuer's subject")
}
