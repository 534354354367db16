//! The address of the newest delta is not critical, and plain http.

use crate::crl::{CrlRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;

pub(super) const FRESHEST: Oid = Oid::new_unwrap("2.5.29.46");

pub(super) const RULE: CrlRule = CrlRule { name: "crl-freshest", clause: "rfc5280#5.2.6", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let Some(freshest) = list.tbs().extensions().iter().find(|one| is(&one.oid, FRESHEST)) else { return Ok(()) };
    require(!freshest.critical, "the address of the delta is critical")?;
    // SEQUENCE OF one point: its full name alone, one URI.
    let mut at = freshest.value;
    for tag in [0x30, 0x30, 0xa0, 0xa0, 0x86] {
        at = match crate::der::fields(at)?[..] {
            [(found, value)] if found == tag => value,
            _ => return Err("the delta has other than one address".to_owned()),
        };
    }
    require(at.starts_with(b"http://") && at.iter().all(u8::is_ascii_graphic), "the address of the delta is not an http URL")
}
