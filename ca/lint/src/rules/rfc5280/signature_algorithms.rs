//! The algorithm is the same inside and outside, and one we sign with.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;

const SIGNATURES: [Oid; 3] = [Oid::new_unwrap("1.2.840.10045.4.3.2"), Oid::new_unwrap("1.2.840.10045.4.3.3"), Oid::new_unwrap("1.2.840.113549.1.1.11")];

pub(crate) const RULE: Rule = Rule { name: "signature-algorithms-equal-and-allowed", clause: "rfc5280#4.1.1.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let (outer, inner) = (&case.certificate.signature_algorithm, &case.certificate.signature);
    require(outer == inner, "the signature algorithms inside and outside differ")?;
    require(SIGNATURES.iter().any(|allowed| is(&inner.algorithm, *allowed)), "the signature algorithm is not one we use")
}
