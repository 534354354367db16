//! A key that signs timestamps does nothing else, and ends before its certificate.

use crate::rules::{is, require, usages};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const EXTENDED_KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.37");
const PRIVATE_KEY_USAGE_PERIOD: Oid = Oid::new_unwrap("2.5.29.16");
const DIGITAL_SIGNATURE: u16 = 1;

pub(crate) const RULE: Rule = Rule { name: "timestamp-signer", clause: "rfc3161#2.3", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(usage) = case.certificate.extended_key_usage().ok().flatten() else { return Ok(()) };
    if !usage.value.time_stamping {
        return Ok(());
    }
    let critical = case.certificate.extensions().iter().any(|one| is(&one.oid, EXTENDED_KEY_USAGE) && one.critical);
    require(critical && usages(usage.value).len() == 1, "timeStamping must be critical and the only purpose")?;
    let flags = case.certificate.key_usage().ok().flatten().map_or(0, |found| found.value.flags);
    require(flags == DIGITAL_SIGNATURE, "a key that signs timestamps has the usage digitalSignature alone")?;
    // spec: en319421#7.6.7 (tokens are verified for years after the key stopped signing)
    let bounded = case.certificate.extensions().iter().any(|one| is(&one.oid, PRIVATE_KEY_USAGE_PERIOD));
    require(bounded, "the time in which the key signs must end before the certificate does")
}
