//! Subject names: UTF8String (C PrintableString), one attribute per RDN, repeats allowed, X.520 bounds.
use crate::asn1;
use const_oid::ObjectIdentifier;

pub const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
pub const STATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.8");
pub const LOCALITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.7");
pub const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
pub const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
pub const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
pub const PSEUDONYM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.65");
pub const ORGANIZATION_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.97");

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("name attribute {0} is empty")]
    Empty(ObjectIdentifier),
    #[error("name attribute {oid} has more than {limit} characters")]
    TooLong { oid: ObjectIdentifier, limit: usize },
    #[error("the country must be two capital letters")]
    Country,
    #[error("name attribute {0} must be a printable string")]
    NotPrintable(ObjectIdentifier),
}

/// Attributes in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    attributes: Vec<(ObjectIdentifier, String)>,
}

impl Subject {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn with(mut self, oid: ObjectIdentifier, value: &str) -> Result<Self, NameError> {
        let limit = match oid {
            LOCALITY | STATE | PSEUDONYM => 128,
            COUNTRY => 2,
            ORGANIZATION_IDENTIFIER => 256,
            _ => 64,
        };
        if value.is_empty() {
            return Err(NameError::Empty(oid));
        }
        if value.chars().count() > limit {
            return Err(NameError::TooLong { oid, limit });
        }
        if oid == COUNTRY && !(value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(NameError::Country);
        }
        if oid == SERIAL_NUMBER && !is_printable(value) {
            return Err(NameError::NotPrintable(oid));
        }
        self.attributes.push((oid, value.to_owned()));
        Ok(self)
    }
    pub fn attributes(&self) -> &[(ObjectIdentifier, String)] {
        &self.attributes
    }
    pub fn to_der(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(256);
        for (oid, value) in &self.attributes {
            let tag = if matches!(*oid, COUNTRY | SERIAL_NUMBER) { 0x13 } else { 0x0c };
            let pair = asn1::seq(&[&asn1::oid(oid), &asn1::tlv(tag, value.as_bytes())]);
            all.extend(asn1::tlv(0x31, &pair));
        }
        asn1::tlv(0x30, &all)
    }
}

/// Whether a PrintableString can hold it.
pub fn is_printable(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b))
}
