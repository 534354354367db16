//! The certificate without its extensions.

use super::require;
use crate::Case;
use x509_parser::{der_parser::asn1_rs::Tag, public_key::PublicKey, x509::X509Version};

const SIGNATURES: [&str; 3] = ["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.11"];

pub(super) fn canonical(case: &Case<'_>) -> Result<(), String> {
    crate::der::canonical(case.der)?;
    case.certificate.extensions().iter().try_for_each(|extension| crate::der::canonical(extension.value))
}

pub(super) fn version(case: &Case<'_>) -> Result<(), String> {
    require(case.certificate.version() == X509Version::V3, "the version is not 3")
}

pub(super) fn serial(case: &Case<'_>) -> Result<(), String> {
    let raw = case.certificate.raw_serial();
    let positive = raw.first().is_some_and(|byte| byte & 0x80 == 0) && raw.iter().any(|byte| *byte != 0);
    require(positive && (8..=20).contains(&raw.len()), "the serial is not positive or not of 8 to 20 octets")
}

pub(super) fn algorithm(case: &Case<'_>) -> Result<(), String> {
    let (outer, inner) = (&case.certificate.signature_algorithm, &case.certificate.signature);
    require(outer == inner, "the signature algorithms inside and outside differ")?;
    require(SIGNATURES.contains(&inner.algorithm.to_id_string().as_str()), "the signature algorithm is not one we use")
}

pub(super) fn issuer(case: &Case<'_>) -> Result<(), String> {
    let found = case.certificate.issuer().as_raw();
    let expected = case.issuer.as_ref().unwrap_or(&case.certificate).subject().as_raw();
    require(found.len() > 2 && found == expected, "the issuer is empty or not the issuer's subject byte for byte")
}

// UTCTime through 2049, GeneralizedTime from 2050.
pub(super) fn time_encoding(case: &Case<'_>) -> Result<(), String> {
    let validity = case.certificate.validity();
    let right = [validity.not_before, validity.not_after]
        .iter()
        .all(|time| time.is_utctime() == (1950..2050).contains(&time.to_datetime().year()));
    require(right, "a time is not UTCTime through 2049 and GeneralizedTime from 2050")
}

pub(super) fn validity(case: &Case<'_>) -> Result<(), String> {
    let own = case.certificate.validity();
    require(own.not_before.timestamp() <= own.not_after.timestamp(), "the certificate ends before it begins")?;
    let Some(issuer) = &case.issuer else { return Ok(()) };
    let inside = own.not_before.timestamp() >= issuer.validity().not_before.timestamp()
        && own.not_after.timestamp() <= issuer.validity().not_after.timestamp();
    require(inside, "the validity is not within the issuer's")
}

pub(super) fn name_strings(case: &Case<'_>) -> Result<(), String> {
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

pub(super) fn key(case: &Case<'_>) -> Result<(), String> {
    let info = case.certificate.public_key();
    let parameters = info.algorithm.parameters.as_ref();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let null = parameters.is_some_and(|any| any.tag() == Tag::Null);
            require(null && key.key_size() >= 2048, "the RSA key has fewer than 2048 bits or wrong parameters")
        }
        Ok(PublicKey::EC(point)) => {
            let curve = parameters.and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
            let octets = match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => 65,
                Some("1.3.132.0.34") => 97,
                _ => return Err("the curve is not P-256 or P-384".into()),
            };
            require(point.data().len() == octets && point.data().first() == Some(&4), "the EC point is not of its curve, uncompressed")
        }
        _ => Err("the key is not RSA, P-256 or P-384".into()),
    }
}

pub(super) fn unique_identifiers(case: &Case<'_>) -> Result<(), String> {
    require(case.certificate.issuer_uid.is_none() && case.certificate.subject_uid.is_none(), "unique identifiers are there")
}
