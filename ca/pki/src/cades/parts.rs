//! SignedData taken apart and put together again: what was signed stays octet for octet.
use super::CadesError;
use super::signature::{MAX_CERTIFICATES, MAX_REVOCATIONS, MAX_UNSIGNED};
use crate::asn1::{self, Reader};
use crate::cms::{Bounds, CmsError, SIGNED_DATA, SignedData};
use const_oid::ObjectIdentifier as Oid;

const BOUNDS: Bounds = Bounds { certificates: MAX_CERTIFICATES, revocations: MAX_REVOCATIONS };
const SET: u8 = 0x31;

/// One value of an unsigned attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unsigned {
    /// The type's octets.
    pub(super) id: Vec<u8>,
    /// The value, whole.
    pub(super) value: Vec<u8>,
}

impl Unsigned {
    pub(super) fn new(id: &Oid, value: Vec<u8>) -> Self {
        Self { id: id.as_bytes().to_vec(), value }
    }

    pub(super) fn is(&self, id: &Oid) -> bool {
        self.id == id.as_bytes()
    }

    fn der(&self) -> Vec<u8> {
        asn1::seq(&[&asn1::tlv(6, &self.id), &asn1::tlv(SET, &self.value)])
    }

    /// The values of one attribute, each whole.
    pub(super) fn values(set: &[u8]) -> Result<Vec<Vec<u8>>, CmsError> {
        let mut values = Reader::new(set);
        let mut found = Vec::new();
        while !values.is_empty() {
            if found.len() == MAX_UNSIGNED {
                return Err(CmsError::Duplicate);
            }
            found.push(values.any()?.2.to_vec());
        }
        Ok(found)
    }

    /// Every value of a list of attributes, which nobody signed: any order, the same type as often as there are timestamps.
    pub(super) fn list(der: &[u8]) -> Result<Vec<Self>, CadesError> {
        let mut attributes = Reader::new(der);
        let mut found = Vec::new();
        while !attributes.is_empty() {
            let mut one = Reader::new(attributes.take(0x30)?);
            let (id, mut values) = (one.take(6)?, Reader::new(one.take(SET)?));
            one.end()?;
            while !values.is_empty() {
                if found.len() == MAX_UNSIGNED {
                    return Err(CadesError::TooMany);
                }
                found.push(Self { id: id.to_vec(), value: values.any()?.2.to_vec() });
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    version: u8,
    head: Vec<u8>,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) revocations: Vec<Vec<u8>>,
    /// From the signer's version to the signature.
    pub(super) fields: Vec<u8>,
    /// The signature's value.
    pub(super) value: Vec<u8>,
    pub(super) unsigned: Vec<Unsigned>,
    pub(super) encloses: bool,
}

impl Parts {
    pub(super) fn parse(der: &[u8], content_type: &'static Oid) -> Result<Self, CadesError> {
        let data = SignedData::parse(der, content_type, &BOUNDS)?;
        let owned = |list: &[&[u8]]| list.iter().map(|one| one.to_vec()).collect();
        Ok(Self {
            version: data.version,
            head: data.head.to_vec(),
            certificates: owned(&data.certificates),
            revocations: owned(&data.revocations),
            fields: data.signer.fields.to_vec(),
            value: data.signer.signature.to_vec(),
            unsigned: data.signer.unsigned.map_or(Ok(Vec::new()), Unsigned::list)?,
            encloses: data.content.is_some(),
        })
    }

    /// What was signed, without anything that travelled along. The version is that of plain data: its signer's, which stands first in
    /// the fields. spec: rfc5652#5.1
    pub(super) fn bare(&self) -> Self {
        let version = if let [2, 1, version, ..] = *self.fields { version } else { self.version };
        let (head, fields, value) = (self.head.clone(), self.fields.clone(), self.value.clone());
        Self { version, head, certificates: Vec::new(), revocations: Vec::new(), fields, value, unsigned: Vec::new(), encloses: self.encloses }
    }

    pub(super) fn der(&self) -> Vec<u8> {
        // Answers in other forms than lists make it version 5. spec: rfc5652#5.1
        let version = if self.revocations.iter().any(|one| one.starts_with(&[0xa1])) { 5 } else { self.version };
        let attributes: Vec<Vec<u8>> = self.unsigned.iter().map(Unsigned::der).collect();
        let unsigned = set(0xa1, &attributes);
        // Lengths from the inside out, then every octet once: a signature with its evidence has thousands.
        let signer = self.fields.len() + unsigned.len();
        let signers = asn1::length(signer);
        let (certificates, revocations) = (set(0xa0, &self.certificates), set(0xa1, &self.revocations));
        let data = 3 + self.head.len() + certificates.len() + revocations.len() + asn1::length(signers);
        let explicit = asn1::length(data);
        let content_type = asn1::oid(&SIGNED_DATA);
        let info = content_type.len() + asn1::length(explicit);
        let mut out = Vec::with_capacity(asn1::length(info));
        asn1::head(&mut out, 0x30, info);
        out.extend_from_slice(&content_type);
        asn1::head(&mut out, 0xa0, explicit);
        asn1::head(&mut out, 0x30, data);
        out.extend_from_slice(&[2, 1, version]);
        [&self.head, &certificates, &revocations].into_iter().for_each(|part| out.extend_from_slice(part));
        asn1::head(&mut out, SET, signers);
        asn1::head(&mut out, 0x30, signer);
        out.extend_from_slice(&self.fields);
        out.extend_from_slice(&unsigned);
        out
    }
}

/// A SET OF under an IMPLICIT tag, left out when it is empty; DER orders its elements by their octets. spec: x690#11.6
fn set(tag: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    if elements.is_empty() {
        return Vec::new();
    }
    let mut ordered: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    ordered.sort_unstable();
    asn1::nested(tag, &ordered)
}
