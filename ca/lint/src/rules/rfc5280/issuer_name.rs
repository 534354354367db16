//! The issuer's name is its certificate's subject, byte for byte.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "issuer-is-issuers-subject", clause: "rfc5280#4.1.2.4", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let found = case.certificate.issuer().as_raw();
    let expected = case.issuer.map_or_else(|| case.certificate.subject().as_raw(), |issuer| &issuer.subject);
    require(found.len() > 2 && found == expected, "the issuer is empty or not the issuer's subject byte for byte")
}
