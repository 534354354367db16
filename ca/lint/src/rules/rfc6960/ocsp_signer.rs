//! A delegated OCSP signer does nothing else, and nobody asks for its status.

use crate::rules::{is, require, usages};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const NO_CHECK: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.5");

pub(crate) const RULE: Rule = Rule { name: "ocsp-signer", clause: "rfc6960#4.2.2.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(usage) = case.certificate.extended_key_usage().ok().flatten() else { return Ok(()) };
    if !usage.value.ocsp_signing {
        return Ok(());
    }
    let no_check = case.certificate.extensions().iter().any(|one| is(&one.oid, NO_CHECK) && one.value == [5, 0]);
    require(no_check && usages(usage.value).len() == 1, "an OCSP signer needs id-pkix-ocsp-nocheck and no other usage")
}
