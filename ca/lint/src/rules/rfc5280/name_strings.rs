//! Attributes of the subject are of X.520's types and lengths.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::der_parser::asn1_rs::Tag;

const COUNTRY: Oid = Oid::new_unwrap("2.5.4.6");
const SERIAL_NUMBER: Oid = Oid::new_unwrap("2.5.4.5");
/// Most characters, where they are not 64: country, locality, state, organizationIdentifier.
const LIMITS: [(Oid, usize); 4] = [(COUNTRY, 2), (Oid::new_unwrap("2.5.4.7"), 128), (Oid::new_unwrap("2.5.4.8"), 128), (Oid::new_unwrap("2.5.4.97"), 256)];

pub(crate) const RULE: Rule = Rule { name: "name-strings", clause: "rfc5280#4.1.2.6", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    for attribute in case.certificate.subject().iter_attributes() {
        let of = |wanted: Oid| is(attribute.attr_type(), wanted);
        let value = attribute.as_str().map_err(|_| format!("attribute {} is not text", attribute.attr_type().to_id_string()))?;
        let tag = attribute.attr_value().tag();
        require(tag == Tag::Utf8String || tag == Tag::PrintableString, "an attribute is not UTF8String or PrintableString")?;
        require(tag == Tag::PrintableString || !of(SERIAL_NUMBER), "the subject's serialNumber is not a PrintableString")?;
        let limit = LIMITS.iter().find(|(oid, _)| of(*oid)).map_or(64, |(_, limit)| *limit);
        require((1..=limit).contains(&value.chars().count()), "an attribute is empty or longer than X.520 allows")?;
        if of(COUNTRY) {
            let letters = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
            require(letters && tag == Tag::PrintableString, "the country is not two capital letters as PrintableString")?;
        }
    }
    Ok(())
}
