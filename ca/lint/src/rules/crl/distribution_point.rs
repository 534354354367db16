//! A list that is a part says so in a critical extension.

use crate::crl::{CrlRule, List};
use crate::rules::{is, require};
use const_oid::ObjectIdentifier as Oid;

const DISTRIBUTION_POINT: Oid = Oid::new_unwrap("2.5.29.28");

pub(super) const RULE: CrlRule = CrlRule { name: "crl-distribution-point", clause: "rfc5280#5.2.5", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let part = list.tbs().extensions().iter().find(|one| is(&one.oid, DISTRIBUTION_POINT));
    require(part.is_none_or(|one| one.critical), "the distribution point is not critical")
}
