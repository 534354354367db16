//! A list that is a part says so in a critical extension: of which address, for holders' certificates, for all reasons.

use crate::crl::{CrlRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;

const DISTRIBUTION_POINT: Oid = Oid::new_unwrap("2.5.29.28");

pub(super) const RULE: CrlRule = CrlRule { name: "crl-distribution-point", clause: "rfc5280#5.2.5", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let part = list.tbs().extensions().iter().find(|one| is(&one.oid, DISTRIBUTION_POINT));
    let Some(part) = part else { return Ok(()) };
    require(part.critical, "the distribution point is not critical")?;
    let parts = crate::der::elements(part.value)?;
    let [(0xa0, name), (0x81, [0xff])] = parts[..] else { return Err("the part is not one address of holders' certificates".to_owned()) };
    let mut at = name;
    for tag in [0xa0, 0x86] {
        at = match crate::der::fields(at)?[..] {
            [(found, value)] if found == tag => value,
            _ => return Err("the part has other than one address".to_owned()),
        };
    }
    require(at.starts_with(b"http://") && at.iter().all(u8::is_ascii_graphic), "the part's address is not an http URL")
}
