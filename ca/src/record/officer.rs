//! Who holds which powers: by certificate, and by the person whose certificates they are.

use std::collections::BTreeSet;

use pki::view::CertificateView;
use policies::authority::Power;
use serde::{Deserialize, Serialize};
use store::Key;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A person, by the officer's number in their certificates: a renewed or a second certificate is the same person's.
///
/// Only the digest is kept: whoever may read the register finds the number in the certificate, and nobody else needs it.
/// It is in no log, since numbers are short enough to be guessed from their digests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Person([u8; 32]);

impl Person {
    /// Whose an officer's certificate is; `None` where its subject names no number, or more than one.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        let mut numbers = read.subject().iter_attributes().filter(|attribute| *attribute.attr_type() == x509_parser::oid_registry::OID_X509_SERIALNUMBER);
        let (number, none) = (numbers.next()?.as_str().ok()?, numbers.next().is_none());
        (none && !number.is_empty()).then(|| Self::numbered(number))
    }

    /// Whose an officer's number is.
    pub fn numbered(number: &str) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(b"suiyin officer 1\0");
        // The same number in other letters is nobody else's.
        context.update(number.to_ascii_uppercase().as_bytes());
        let mut digest = [0; 32];
        digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(digest)
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(..)")
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        crate::hex(&person.0)
    }
}

impl TryFrom<String> for Person {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a person is 64 hexadecimal digits";
        let digits: Vec<u8> = text.bytes().map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(WRONG)).collect::<Result<_, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let octets: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
        if rest.is_empty() { octets.try_into().map(Self).map_err(|_| WRONG) } else { Err(WRONG) }
    }
}

/// A certificate to which powers are or were granted.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    pub person: Person,
    /// Empty once all were withdrawn: it is remembered whose the certificate was.
    pub powers: BTreeSet<Power>,
    /// Unix seconds: when the administrator's power was withdrawn last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administered_until: Option<i64>,
}

impl Officer {
    pub const TABLE: &str = "officer";

    pub fn key(serial: &[u8]) -> Key {
        Key::new(Self::TABLE, &[serial])
    }
}

/// What every change of powers rests on and replaces, so that one is decided after the other.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    pub changes: u64,
    /// An administrator was granted, and from then on there is one.
    pub administered: bool,
}

impl Roster {
    pub fn key() -> Key {
        Key::new("authority", &[b"officers"])
    }
}

/// The serial of a certificate as the register knows it.
pub fn serial_of(certificate: &[u8]) -> Option<Vec<u8>> {
    CertificateView::parse(certificate).ok().map(|view| view.serial.to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn certificate(numbers: &[&str]) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "陈一");
        numbers.iter().for_each(|number| parameters.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 5]), *number));
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_person_is_the_same_in_every_certificate_and_never_shown() {
        let (one, again, other) = (certificate(&["a-17"]), certificate(&["A-17"]), certificate(&["A-18"]));
        assert_eq!(Person::of(&one), Person::of(&again));
        assert_ne!(Person::of(&one), Person::of(&other));
        assert!(Person::of(&certificate(&[])).is_none() && Person::of(b"x").is_none());
        let person = Person::of(&one).unwrap();
        assert_eq!(format!("{person:?}"), "Person(..)");
        assert_eq!(Person::try_from(String::from(person)), Ok(person));
        for wrong in ["", "0", "zz", &"0".repeat(63), &"0".repeat(66)] {
            assert!(Person::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
