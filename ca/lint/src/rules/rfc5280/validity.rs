//! It ends after it begins, and both within its issuer's time.

use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "validity-in-issuers", clause: "rfc5280#4.1.2.5", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let own = case.certificate.validity();
    require(own.not_before.timestamp() <= own.not_after.timestamp(), "the certificate ends before it begins")?;
    let Some(issuer) = case.issuer else { return Ok(()) };
    let inside = own.not_before.timestamp() >= issuer.not_before && own.not_after.timestamp() <= issuer.not_after;
    require(inside, "the validity is not within the issuer's")
}
