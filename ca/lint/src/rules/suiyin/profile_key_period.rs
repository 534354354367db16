//! Exactly the planned time in which the key signs: from the certificate's beginning, to an end before its own.

use crate::der::elements;
use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

const PRIVATE_KEY_USAGE_PERIOD: Oid = Oid::new_unwrap("2.5.29.16");

pub(crate) const RULE: Rule = Rule { name: "profile-key-period", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(found) = case.certificate.extensions().iter().find(|one| is(&one.oid, PRIVATE_KEY_USAGE_PERIOD)) else {
        return require(case.facts.private_key_until.is_none(), "the key's own end is missing");
    };
    let parts = elements(found.value)?;
    let [(0x80, from), (0x81, until)] = parts.as_slice() else { return Err("the key's period has not one beginning and one end".into()) };
    let (from, until) = (instant(from)?, instant(until)?);
    let validity = case.certificate.validity();
    require(from == validity.not_before.timestamp() && until <= validity.not_after.timestamp(), "the key's period is not within the certificate's")?;
    require(case.facts.private_key_until == Some(until), "the key's period is not the planned one")
}

/// GeneralizedTime under another tag, to the second. spec: rfc3280#4.2.1.4
fn instant(octets: &[u8]) -> Result<i64, String> {
    let wrong = || "a time of the key's period is not written to the second, in UTC".to_owned();
    if octets.len() != 15 || !octets.ends_with(b"Z") {
        return Err(wrong());
    }
    match ASN1Time::from_der(&[&[0x18, 15], octets].concat()) {
        Ok(([], time)) => Ok(time.timestamp()),
        _ => Err(wrong()),
    }
}
