//! Making a signature: everything that stays the same is built once per signer, the rest from a digest and a time.
use super::{ALGORITHM_PROTECTION, CONTENT_TYPE, DATA, MAX_CERTIFICATES, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME};
use crate::asn1::{self, DerError};
use crate::certificate::algorithm_der;
use crate::key::{self, KeyAlgorithm, WeakKey};
use crate::signature::DigestAlgorithm;
use crate::signer::{SignError, SignatureAlgorithm, Signer};
use crate::view::CertificateView;
use const_oid::ObjectIdentifier as Oid;
use time::{OffsetDateTime, UtcOffset};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the signer's certificate or one sent along is damaged: {0}; give certificates in DER")]
    Certificate(#[from] DerError),
    #[error("the signer's key is refused: {0}")]
    Key(#[from] WeakKey),
    #[error("{0} certificates would travel with the signature and at most 16 may; send the path without the root")]
    TooMany(usize),
    #[error("the signing key is not the one in the signer's certificate; make the plan from the certificate of this key")]
    OtherKey,
    #[error("the digest is not by the hash that this signer signs with; P-256 and RSA sign SHA-256, P-384 signs SHA-384")]
    Digest,
    #[error("the signing time lies outside the years 1950 to 9999; set the clock")]
    Time,
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// The content, as the signer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentDigest {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
}

impl From<[u8; 32]> for ContentDigest {
    fn from(digest: [u8; 32]) -> Self {
        Self::Sha256(digest)
    }
}

impl From<[u8; 48]> for ContentDigest {
    fn from(digest: [u8; 48]) -> Self {
        Self::Sha384(digest)
    }
}

impl ContentDigest {
    fn parts(&self) -> (DigestAlgorithm, &[u8]) {
        match self {
            Self::Sha256(digest) => (DigestAlgorithm::Sha256, digest),
            Self::Sha384(digest) => (DigestAlgorithm::Sha384, digest),
        }
    }
}

/// One signer's signatures, but for the content and the time.
#[derive(Clone, Debug)]
pub struct SignerPlan {
    algorithm: SignatureAlgorithm,
    digest: DigestAlgorithm,
    spki: Vec<u8>,
    /// Signed attributes that are always the same.
    constant: [Vec<u8>; 3],
    /// SignedData up to its content.
    head: Vec<u8>,
    /// The content's type, DER.
    content_type: Vec<u8>,
    /// SignedData's certificates.
    certificates: Vec<u8>,
    /// SignerInfo up to its attributes.
    signer_head: Vec<u8>,
    signature_algorithm: Vec<u8>,
}

impl SignerPlan {
    /// For the holder of this certificate; `others` travel along so that a reader finds the path.
    pub fn new(certificate: &[u8], others: &[&[u8]]) -> Result<Self, SealError> {
        // Version 1: plain certificates, content of type data, the signer by issuer and serial. spec: rfc5652#5.1
        Self::of_type(&DATA, 1, certificate, others)
    }

    /// For contents of another type than data, which travel inside the signature. spec: rfc5652#5.1 (version 3)
    pub(crate) fn enclosing(content_type: &Oid, certificate: &[u8], others: &[&[u8]]) -> Result<Self, SealError> {
        Self::of_type(content_type, 3, certificate, others)
    }

    fn of_type(content_type: &Oid, version: u8, certificate: &[u8], others: &[&[u8]]) -> Result<Self, SealError> {
        let view = CertificateView::parse(certificate)?;
        let (algorithm, digest) = match key::check(view.spki)? {
            KeyAlgorithm::P256 => (SignatureAlgorithm::EcdsaP256Sha256, DigestAlgorithm::Sha256),
            KeyAlgorithm::P384 => (SignatureAlgorithm::EcdsaP384Sha384, DigestAlgorithm::Sha384),
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => (SignatureAlgorithm::RsaPkcs1Sha256, DigestAlgorithm::Sha256),
        };
        if others.len() >= MAX_CERTIFICATES {
            return Err(SealError::TooMany(others.len() + 1));
        }
        for other in others {
            CertificateView::parse(other)?;
        }
        let mut certificates = [&[certificate], others].concat();
        // DER orders a SET OF by its elements' octets. spec: x690#11.6
        certificates.sort_unstable();
        certificates.dedup();
        let digest_algorithm = digest.der();
        let signature_algorithm = algorithm_der(algorithm);
        let content_type = asn1::oid(content_type);
        let head = [&[2, 1, version], &*asn1::tlv(SET, &digest_algorithm)].concat();
        let certificates = asn1::tlv(0xa0, &certificates.concat());
        let signer = asn1::seq(&[view.issuer, &asn1::tlv(2, view.serial)]);
        let constant = [
            attribute(&CONTENT_TYPE, &content_type),
            attribute(&SIGNING_CERTIFICATE_V2, &signing_certificate(certificate)),
            attribute(&ALGORITHM_PROTECTION, &algorithm_protection(&digest_algorithm, &signature_algorithm)),
        ];
        let signer_head = [&[2, 1, 1], &*signer, &digest_algorithm].concat();
        Ok(Self { algorithm, digest, spki: view.spki.to_vec(), constant, head, content_type, certificates, signer_head, signature_algorithm })
    }

    /// The hash by which the content's digest must be made.
    pub fn digest_algorithm(&self) -> DigestAlgorithm {
        self.digest
    }

    /// The detached signature: ContentInfo, DER.
    pub fn seal(&self, content: impl Into<ContentDigest>, signing_time: OffsetDateTime, signer: &dyn Signer) -> Result<Vec<u8>, SealError> {
        let content = content.into();
        let (hash, digest) = content.parts();
        // The content and the attributes are hashed alike. spec: rfc8933#3
        if hash != self.digest {
            return Err(SealError::Digest);
        }
        self.signed(digest, &asn1::seq(&[&self.content_type]), &self.certificates, signing_time, signer)
    }

    /// The signature with its content, of type data, inside, and the certificates: ContentInfo, DER. What asks for a renewal.
    pub fn attach(&self, content: &[u8], signing_time: OffsetDateTime, signer: &dyn Signer) -> Result<Vec<u8>, SealError> {
        self.enclose(content, true, signing_time, signer)
    }

    /// The signature with the content inside and, when wanted, the certificates: ContentInfo, DER.
    pub(crate) fn enclose(&self, content: &[u8], with_certificates: bool, signing_time: OffsetDateTime, signer: &dyn Signer) -> Result<Vec<u8>, SealError> {
        let inside = asn1::seq(&[&self.content_type, &asn1::tlv(0xa0, &asn1::tlv(4, content))]);
        let certificates = if with_certificates { self.certificates.as_slice() } else { &[] };
        self.signed(&self.digest.digest(content), &inside, certificates, signing_time, signer)
    }

    fn signed(&self, digest: &[u8], content: &[u8], certificates: &[u8], signing_time: OffsetDateTime, signer: &dyn Signer) -> Result<Vec<u8>, SealError> {
        if signer.public_key_info() != self.spki || signer.algorithm() != self.algorithm {
            return Err(SealError::OtherKey);
        }
        let utc = signing_time.checked_to_offset(UtcOffset::UTC).filter(|utc| (1950..=9999).contains(&utc.year())).ok_or(SealError::Time)?;
        let time = attribute(&SIGNING_TIME, &asn1::time(utc));
        let message_digest = attribute(&MESSAGE_DIGEST, &asn1::tlv(4, digest));
        let [a, b, c] = &self.constant;
        let mut attributes = [a.as_slice(), b, c, &time, &message_digest];
        attributes.sort_unstable();
        let mut signed = asn1::nested(SET, &attributes);
        let signature = signer.sign(&signed)?;
        // Signed as a SET, sent as [0]. spec: rfc5652#5.4
        if let Some(tag) = signed.first_mut() {
            *tag = 0xa0;
        }
        let info = asn1::seq(&[&self.signer_head, &signed, &self.signature_algorithm, &asn1::tlv(4, &signature)]);
        let data = asn1::seq(&[&self.head, content, certificates, &asn1::tlv(SET, &info)]);
        Ok(asn1::seq(&[&asn1::oid(&SIGNED_DATA), &asn1::tlv(0xa0, &data)]))
    }
}

const SET: u8 = 0x31;

fn attribute(id: &Oid, value: &[u8]) -> Vec<u8> {
    asn1::seq(&[&asn1::oid(id), &asn1::tlv(SET, value)])
}

/// The signer's certificate by its SHA-256, which is the default and so unnamed; issuer and serial stand in the
/// signer's own identifier. spec: rfc5035#4
fn signing_certificate(certificate: &[u8]) -> Vec<u8> {
    let hash = asn1::tlv(4, &DigestAlgorithm::Sha256.digest(certificate));
    asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&hash])])])
}

/// The algorithms, under the signature. spec: rfc6211#2
fn algorithm_protection(digest: &[u8], signature: &[u8]) -> Vec<u8> {
    // [1] IMPLICIT takes the place of the SEQUENCE's own tag.
    let mut tagged = signature.to_vec();
    if let Some(tag) = tagged.first_mut() {
        *tag = 0xa1;
    }
    asn1::seq(&[digest, &tagged])
}
