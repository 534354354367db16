//! A detached signature of any level, and what is added to it from outside.
use super::parts::{Parts, Unsigned};
use super::{ARCHIVE_TIMESTAMP, ArchiveImprint, CadesError, OCSP_RESPONSE, SIGNATURE_TIMESTAMP};
use crate::asn1;
use crate::cms::{CmsError, DATA};
use crate::signature::DigestAlgorithm;
use crate::timestamp::{self, Imprint, VerifiedTimestamp};
use crate::view::CertificateView;

/// The largest signature we look at, with everything that was added to it.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most certificates in it.
pub const MAX_CERTIFICATES: usize = 128;
/// The most CRLs and OCSP responses in it.
pub const MAX_REVOCATIONS: usize = 128;
/// The most values of unsigned attributes.
pub const MAX_UNSIGNED: usize = 64;

/// A signature, read and not yet verified: see [`super::assess`].
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    pub(super) parts: Parts,
    pub(super) der: Vec<u8>,
}

impl std::fmt::Debug for Signature {
    // Certificates hold names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").field("octets", &self.der.len()).field("unsigned", &self.parts.unsigned.len()).finish_non_exhaustive()
    }
}

impl Signature {
    /// Reads DER: one signer, strict, the content not inside.
    pub fn read(der: &[u8]) -> Result<Self, CadesError> {
        if der.len() > MAX_BYTES {
            return Err(CadesError::TooLarge(der.len()));
        }
        Self::of(der.to_vec())
    }

    /// As [`Self::read`], of octets that are given away.
    pub fn of(der: Vec<u8>) -> Result<Self, CadesError> {
        if der.len() > MAX_BYTES {
            return Err(CadesError::TooLarge(der.len()));
        }
        let parts = Parts::parse(&der, &DATA)?;
        if parts.encloses {
            return Err(CmsError::Attached.into());
        }
        Ok(Self { parts, der })
    }

    /// Of these parts, changed.
    fn changed(mut parts: Parts, change: impl FnOnce(&mut Parts) -> Result<(), CadesError>) -> Result<Self, CadesError> {
        change(&mut parts)?;
        if parts.certificates.len() > MAX_CERTIFICATES || parts.revocations.len() > MAX_REVOCATIONS || parts.unsigned.len() > MAX_UNSIGNED {
            return Err(CadesError::TooMany);
        }
        // Read again: what is written here can be read here.
        Self::of(parts.der())
    }

    /// ContentInfo, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The same, where nothing else of it is wanted any more.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// The signature's value, as the signer made it.
    pub fn value(&self) -> &[u8] {
        &self.parts.value
    }

    /// The certificates inside, DER; nobody vouches for them.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.parts.certificates
    }

    /// Whether it has a timestamp over its value; nothing of it is verified.
    pub fn is_timestamped(&self) -> bool {
        self.parts.unsigned.iter().any(|one| one.is(&SIGNATURE_TIMESTAMP))
    }

    /// The timestamp tokens over its value, DER.
    pub fn signature_timestamps(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.unsigned.iter().filter(|one| one.is(&SIGNATURE_TIMESTAMP)).map(|one| one.value.as_slice())
    }

    /// The archive timestamp tokens, DER, in no order.
    pub fn archive_timestamps(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.unsigned.iter().filter(|one| one.is(&ARCHIVE_TIMESTAMP)).map(|one| one.value.as_slice())
    }

    /// What a timestamp for level B-T must be of: the signature's value, without tag and length. spec: en319122-1#5.3
    pub fn timestamp_imprint(&self, algorithm: DigestAlgorithm) -> Imprint {
        Imprint::of(algorithm, &self.parts.value)
    }

    /// What was signed, with these certificates, OCSP responses and timestamp over its value, all DER, and with nothing else
    /// that travelled along. Nothing of it is verified here: assess it.
    pub fn with_only<'a>(&self, certificates: impl IntoIterator<Item = &'a [u8]>, ocsp: impl IntoIterator<Item = &'a [u8]>, timestamp: Option<&[u8]>) -> Result<Self, CadesError> {
        Self::changed(self.parts.bare(), |parts| {
            parts.unsigned = timestamp.map(|token| Unsigned::new(&SIGNATURE_TIMESTAMP, token.to_vec())).into_iter().collect();
            add_evidence(parts, certificates, ocsp, [])
        })
    }

    /// Level B-T: with a token, DER, that holds its signer's certificate and is over this signature.
    pub fn with_timestamp(&self, token: &[u8]) -> Result<Self, CadesError> {
        self.clone().timestamped(&timestamp::verify(token, &[])?)
    }

    /// As [`Self::with_timestamp`], with a token that was verified.
    pub fn timestamped(self, token: &VerifiedTimestamp) -> Result<Self, CadesError> {
        if !token.imprint().is_of(&self.parts.value) {
            return Err(CadesError::OtherImprint);
        }
        Self::changed(self.parts, |parts| {
            parts.unsigned.push(Unsigned::new(&SIGNATURE_TIMESTAMP, token.der().to_vec()));
            Ok(())
        })
    }

    /// Level B-LT: with certificates, OCSP responses and CRLs, DER, by which the signature and its timestamps are judged.
    /// What is there already is not put in twice. spec: en319122-1#5.4, rfc5940#2
    pub fn with_evidence<'a>(&self, certificates: impl IntoIterator<Item = &'a [u8]>, ocsp: impl IntoIterator<Item = &'a [u8]>, crls: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, CadesError> {
        Self::changed(self.parts.clone(), |parts| add_evidence(parts, certificates, ocsp, crls))
    }

    /// What an archive timestamp must be of, for all that is there now. `document` is what was signed.
    pub fn archive_imprint(&self, document: &[u8], algorithm: DigestAlgorithm) -> ArchiveImprint {
        ArchiveImprint::of(&self.parts, document, algorithm)
    }

    /// Level B-LTA: with one more archive timestamp, a token, DER, over what [`Self::archive_imprint`] gave.
    pub fn with_archive_timestamp(&self, covered: &ArchiveImprint, token: &[u8]) -> Result<Self, CadesError> {
        let token = covered.indexed(token)?;
        Self::changed(self.parts.clone(), |parts| {
            parts.unsigned.push(Unsigned::new(&ARCHIVE_TIMESTAMP, token));
            Ok(())
        })
    }
}

fn add_evidence<'a>(parts: &mut Parts, certificates: impl IntoIterator<Item = &'a [u8]>, ocsp: impl IntoIterator<Item = &'a [u8]>, crls: impl IntoIterator<Item = &'a [u8]>) -> Result<(), CadesError> {
    for certificate in certificates {
        CertificateView::parse(certificate)?;
        add(&mut parts.certificates, certificate.to_vec());
    }
    for response in ocsp {
        let other = asn1::seq(&[&asn1::oid(&OCSP_RESPONSE), response]);
        add(&mut parts.revocations, asn1::implicit(0xa1, other));
    }
    crls.into_iter().for_each(|list| add(&mut parts.revocations, list.to_vec()));
    Ok(())
}

fn add(list: &mut Vec<Vec<u8>>, one: Vec<u8>) {
    if !list.contains(&one) {
        list.push(one);
    }
}
