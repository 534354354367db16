//! Verifying a signature, detached or with its content inside: one signer, strict DER, nothing accepted that the signer
//! did not say.
//!
//! Not under the signature, and so only judged by what a caller does with them: the certificates that travel
//! along (the signer's own is under it when `signingCertificateV2` is there) and any CRLs, which are ignored.
use super::DATA;
use super::read::{Attributes, Bounds, SignedData, SignerId};
use crate::asn1::{self, DerError};
use crate::effort::Effort;
use crate::pem::{self, PemError};
use crate::signature::{Scheme, SignatureError};
use const_oid::ObjectIdentifier as Oid;
use std::borrow::Cow;
use time::OffsetDateTime;

/// The largest signature we look at, its certificates included.
pub const MAX_BYTES: usize = 64 * 1024;
/// The same in PEM.
const MAX_PEM: usize = 96 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    #[error("the signature has {0} bytes and at most 65536 are read; send the path without the root and without CRLs")]
    TooLarge(usize),
    #[error("expected PEM 'CMS' or 'PKCS7', found '{0}'; send the detached signature")]
    Label(String),
    #[error("the signature is neither DER nor whole PEM; send the whole file again")]
    Pem,
    #[error("the signature is not valid DER: {0}")]
    Der(#[from] DerError),
    #[error("this is CMS but not SignedData; send a signature, not an encrypted or compressed message")]
    NotSignedData,
    #[error("the content is inside the signature; sign detached (openssl: without -nodetach)")]
    Attached,
    #[error("the content is not inside the signature; send the token as its authority made it")]
    Detached,
    #[error("what is signed is not inside the signature; sign with it inside (openssl: with -nodetach)")]
    NothingInside,
    #[error("the signature names its certificate by a key identifier; name it by issuer and number (openssl: without -keyid)")]
    KeyIdentifier,
    #[error("the signed content is not of type data; sign plain bytes, and take a timestamp for a timestamp")]
    ContentType,
    #[error("there must be exactly one signer; sign once, with one certificate")]
    Signers,
    #[error("the CMS version does not fit what is there; make the signature with other software")]
    Version,
    #[error("more certificates or revocation answers travel with the signature than are read; send the path only")]
    TooManyCertificates,
    #[error("there are no signed attributes; sign with them (openssl: without -noattr)")]
    NoAttributes,
    #[error("the signed attribute {0} is missing; sign with the usual attributes")]
    Missing(&'static str),
    #[error("a signed attribute is there twice or has several values; make the signature with other software")]
    Duplicate,
    #[error("the signed attributes are not in DER order; make the signature with other software")]
    Order,
    #[error("there are unsigned attributes, which nobody vouches for; send the signature without them")]
    UnsignedAttributes,
    #[error("the hash is not the same everywhere in the signature; make the signature with other software")]
    Disagreement,
    #[error("the content is not what was signed: its digest differs; send the very bytes that were signed")]
    Content,
    #[error("the signer's certificate is neither in the signature nor among those known; send it along")]
    NoCertificate,
    #[error("several certificates have the signer's name and number; send only the signer's own")]
    Ambiguous,
    #[error("the signature names another certificate than its signer's; sign with the certificate that is sent")]
    OtherCertificate,
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A signature that verified over its content. It says who signed, not whether to trust them: see `path`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified {
    signer_certificate: Vec<u8>,
    signing_time: Option<OffsetDateTime>,
    certificates: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Verified {
    // Certificates hold names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verified").field("signing_time", &self.signing_time).finish_non_exhaustive()
    }
}

impl Verified {
    /// DER.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }
    /// As the signer claims it.
    pub fn signing_time(&self) -> Option<OffsetDateTime> {
        self.signing_time
    }
    /// All that travelled with the signature, DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
    /// The signer's, and all that travelled along.
    pub(crate) fn into_certificates(self) -> (Vec<u8>, Vec<Vec<u8>>) {
        (self.signer_certificate, self.certificates)
    }
}

/// Verifies a detached signature, DER or PEM, over a content. The signer's certificate is looked for among those
/// that travel with the signature and those `known`.
pub fn verify(signature: &[u8], content: &[u8], known: &[&[u8]]) -> Result<Verified, CmsError> {
    let der = der_of(signature)?;
    let data = SignedData::parse(&der, &DATA, &Bounds::PLAIN)?;
    if data.content.is_some() {
        return Err(CmsError::Attached);
    }
    judge(&data, content, known, &Effort::unbounded())
}

/// DER, from DER or PEM.
fn der_of(signature: &[u8]) -> Result<Cow<'_, [u8]>, CmsError> {
    let der = match signature.first() {
        Some(0x30) => Cow::Borrowed(signature),
        _ if signature.len() > MAX_PEM => return Err(CmsError::TooLarge(signature.len())),
        _ => Cow::Owned(pem::decode(signature, &["CMS", "PKCS7"]).map_err(|error| match error {
            PemError::Damaged => CmsError::Pem,
            PemError::Label(label) => CmsError::Label(label),
        })?),
    };
    if der.len() > MAX_BYTES { Err(CmsError::TooLarge(der.len())) } else { Ok(der) }
}

/// A signature with its content, of type data, inside: read, and not yet verified.
#[derive(Clone)]
pub struct Attached {
    der: Vec<u8>,
}

impl Attached {
    /// Reads DER or PEM.
    pub fn read(signature: &[u8]) -> Result<Self, CmsError> {
        let der = der_of(signature)?.into_owned();
        match SignedData::parse(&der, &DATA, &Bounds::PLAIN)?.content {
            Some(_) => Ok(Self { der }),
            None => Err(CmsError::NothingInside),
        }
    }

    /// The number of the certificate that the signer says to have signed with; its issuer is compared by `verify`.
    pub fn serial(&self) -> Result<Vec<u8>, CmsError> {
        match SignedData::parse(&self.der, &DATA, &Bounds::PLAIN)?.signer.id {
            SignerId::IssuerAndSerial(_, serial) => Ok(serial.to_vec()),
            SignerId::SubjectKeyId(_) => Err(CmsError::KeyIdentifier),
        }
    }

    /// The content, once it is this certificate that signed it: the certificates that travel along are passed over.
    pub fn verify(&self, certificate: &[u8]) -> Result<Vec<u8>, CmsError> {
        let mut data = SignedData::parse(&self.der, &DATA, &Bounds::PLAIN)?;
        data.certificates.clear();
        let content = data.content.ok_or(CmsError::NothingInside)?;
        judge(&data, content, &[certificate], &Effort::unbounded())?;
        Ok(content.to_vec())
    }
}

/// What encloses its content: who signed, the content, and the unsigned attributes, which nobody vouches for.
pub(crate) struct Enclosing<'a> {
    pub(crate) verified: Verified,
    pub(crate) content: &'a [u8],
    pub(crate) unsigned: Option<&'a [u8]>,
    pub(crate) scheme: Scheme,
}

/// Verifies a signature, DER, that encloses its content, which is of another type than data, and names its signer's
/// certificate.
pub(crate) fn verify_enclosing<'a>(der: &'a [u8], content_type: &'static Oid, known: &[&'a [u8]], effort: &Effort<'_>) -> Result<Enclosing<'a>, CmsError> {
    if der.len() > MAX_BYTES {
        return Err(CmsError::TooLarge(der.len()));
    }
    let mut data = SignedData::parse(der, content_type, &Bounds::PLAIN)?;
    let content = data.content.ok_or(CmsError::Detached)?;
    let unsigned = data.signer.unsigned.take();
    let attributes = data.signer.attributes(content_type)?;
    if attributes.certificate.is_none() {
        return Err(CmsError::Missing("signingCertificateV2"));
    }
    Ok(Enclosing { verified: judge_by(&data, &attributes, content, known, effort)?, content, unsigned, scheme: data.signer.scheme })
}

fn judge<'a>(data: &SignedData<'a>, content: &[u8], known: &[&'a [u8]], effort: &Effort<'_>) -> Result<Verified, CmsError> {
    if data.signer.unsigned.is_some() {
        return Err(CmsError::UnsignedAttributes);
    }
    judge_by(data, &data.signer.attributes(data.content_type)?, content, known, effort)
}

fn judge_by<'a>(data: &SignedData<'a>, attributes: &Attributes<'_>, content: &[u8], known: &[&'a [u8]], effort: &Effort<'_>) -> Result<Verified, CmsError> {
    if attributes.message_digest != data.signer.digest.digest(content) {
        return Err(CmsError::Content);
    }
    let (certificate, view) = data.signer_certificate(known, attributes.certificate.as_ref())?;
    // spec: rfc5652#5.4 — what is signed is the SET, not the [0] that is sent.
    effort.verify(data.signer.scheme, view.spki, &asn1::tlv(0x31, data.signer.attributes), data.signer.signature)?;
    Ok(Verified {
        signer_certificate: certificate.to_vec(),
        signing_time: attributes.signing_time,
        certificates: data.certificates.iter().map(|one| one.to_vec()).collect(),
    })
}
