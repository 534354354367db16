//! The key is RSA of 2048 bits or more, or on P-256 or P-384.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::public_key::PublicKey;

const P256: Oid = Oid::new_unwrap("1.2.840.10045.3.1.7");
const P384: Oid = Oid::new_unwrap("1.3.132.0.34");

pub(crate) const RULE: Rule = Rule { name: "key-allowed", clause: "rfc5480#2.1.1", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let info = case.certificate.public_key();
    let parameters = info.algorithm.parameters.as_ref();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let null = parameters.is_some_and(|any| any.tag() == Tag::Null);
            require(null && key.key_size() >= 2048, "the RSA key has fewer than 2048 bits or wrong parameters")
        }
        Ok(PublicKey::EC(point)) => {
            let curve = parameters.and_then(|any| any.as_oid().ok());
            let octets = match curve {
                Some(curve) if is(&curve, P256) => 65,
                Some(curve) if is(&curve, P384) => 97,
                _ => return Err("the curve is not P-256 or P-384".into()),
            };
            require(point.data().len() == octets && point.data().first() == Some(&4), "the EC point is not of its curve, uncompressed")
        }
        _ => Err("the key is not RSA, P-256 or P-384".into()),
    }
}
