//! Attributes of the subject are of X.520's types and lengths.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::der_parser::asn1_rs::Tag;

pub(crate) const RULE: Rule = Rule { name: "name-strings", clause: "rfc5280#4.1.2.6", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    for attribute in case.certificate.subject().iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let value = attribute.as_str().map_err(|_| format!("attribute {oid} is not text"))?;
        let tag = attribute.attr_value().tag();
        require(tag == Tag::Utf8String || tag == Tag::PrintableString, "an attribute is not UTF8String or PrintableString")?;
        let limit = match oid.as_str() {
            "2.5.4.6" => 2,
            "2.5.4.7" | "2.5.4.8" => 128,
            "2.5.4.97" => 256,
            _ => 64,
        };
        require((1..=limit).contains(&value.chars().count()), "an attribute is empty or longer than X.520 allows")?;
        if oid == "2.5.4.6" {
            let letters = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
            require(letters && tag == Tag::PrintableString, "the country is not two capital letters as PrintableString")?;
        }
    }
    Ok(())
}
