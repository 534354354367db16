//! A delta says critically which list it changes, one that came before it, and points at no further delta.

use super::freshest::FRESHEST;
use crate::crl::{CrlRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::extensions::ParsedExtension as Parsed;

const DELTA: Oid = Oid::new_unwrap("2.5.29.27");

pub(super) const RULE: CrlRule = CrlRule { name: "crl-delta", clause: "rfc5280#5.2.4", check };

/// The DER of the base's number, where the list is a delta.
pub(super) fn base<'a>(list: &'a List<'_>) -> Option<&'a [u8]> {
    list.tbs().extensions().iter().find(|one| is(&one.oid, DELTA)).map(|one| one.value)
}

fn check(list: &List<'_>) -> Result<(), String> {
    let all = list.tbs().extensions();
    let Some(base) = all.iter().find(|one| is(&one.oid, DELTA)) else { return Ok(()) };
    require(base.critical, "the delta indicator is not critical")?;
    let number = all.iter().find_map(|one| if let Parsed::CRLNumber(number) = one.parsed_extension() { Some(number.to_bytes_be()) } else { None });
    // Both without the octet 0 that keeps a large number positive; then a longer one is the larger.
    let base = match base.value {
        [2, length, octets @ ..] if usize::from(*length) == octets.len() => octets.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(octets),
        _ => return Err("the number of the base cannot be read".to_owned()),
    };
    let before = number.is_some_and(|number| (base.len(), base) <= (number.len(), number.as_slice()));
    require(before, "the base does not come before the delta")?;
    require(all.iter().all(|one| !is(&one.oid, FRESHEST)), "a delta points at a delta")
}
