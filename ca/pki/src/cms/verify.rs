//! Verifying a signature, detached or with its content inside: one signer, strict DER, nothing accepted that the signer
//! did not say.
//!
//! Not under the signature, and so only judged by what a caller does with them: the certificates that travel
//! along (the signer's own is under it when `signingCertificateV2` is there) and any CRLs, which are ignored.
use super::{ALGORITHM_PROTECTION, CONTENT_TYPE, DATA, MAX_CERTIFICATES, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME};
use crate::asn1::{self, DerError, Reader};
use crate::pem::{self, PemError};
use crate::signature::{DigestAlgorithm, Scheme, SignatureError};
use crate::view::CertificateView;
use const_oid::ObjectIdentifier as Oid;
use std::borrow::Cow;
use time::OffsetDateTime;

/// The largest signature we look at, its certificates included.
pub const MAX_BYTES: usize = 64 * 1024;
/// The same in PEM.
const MAX_PEM: usize = 96 * 1024;
const MAX_ATTRIBUTES: usize = 32;

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
    #[error("more than 16 certificates travel with the signature; send the path only")]
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
}

/// Verifies a detached signature, DER or PEM, over a content. The signer's certificate is looked for among those
/// that travel with the signature and those `known`.
pub fn verify(signature: &[u8], content: &[u8], known: &[&[u8]]) -> Result<Verified, CmsError> {
    let der = der_of(signature)?;
    let data = SignedData::parse(&der, &DATA)?;
    if data.content.is_some() {
        return Err(CmsError::Attached);
    }
    judge(&data, content, known)
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
        match SignedData::parse(&der, &DATA)?.content {
            Some(_) => Ok(Self { der }),
            None => Err(CmsError::NothingInside),
        }
    }

    /// The number of the certificate that the signer says to have signed with; its issuer is compared by `verify`.
    pub fn serial(&self) -> Result<Vec<u8>, CmsError> {
        match SignedData::parse(&self.der, &DATA)?.signer.id {
            SignerId::IssuerAndSerial(_, serial) => Ok(serial.to_vec()),
            SignerId::SubjectKeyId(_) => Err(CmsError::KeyIdentifier),
        }
    }

    /// The content, once it is this certificate that signed it: the certificates that travel along are passed over.
    pub fn verify(&self, certificate: &[u8]) -> Result<Vec<u8>, CmsError> {
        let mut data = SignedData::parse(&self.der, &DATA)?;
        data.certificates.clear();
        let content = data.content.ok_or(CmsError::NothingInside)?;
        judge(&data, content, &[certificate])?;
        Ok(content.to_vec())
    }
}

/// Verifies a signature, DER, that encloses its content, which is of another type than data, and names its signer's
/// certificate; with that content.
pub(crate) fn verify_enclosing<'a>(der: &'a [u8], content_type: &'static Oid, known: &[&'a [u8]]) -> Result<(Verified, &'a [u8]), CmsError> {
    if der.len() > MAX_BYTES {
        return Err(CmsError::TooLarge(der.len()));
    }
    let data = SignedData::parse(der, content_type)?;
    let content = data.content.ok_or(CmsError::Detached)?;
    if data.signer.attributes(content_type)?.certificate.is_none() {
        return Err(CmsError::Missing("signingCertificateV2"));
    }
    Ok((judge(&data, content, known)?, content))
}

fn judge<'a>(data: &SignedData<'a>, content: &[u8], known: &[&'a [u8]]) -> Result<Verified, CmsError> {
    let attributes = data.signer.attributes(data.content_type)?;
    if attributes.message_digest != data.signer.digest.digest(content) {
        return Err(CmsError::Content);
    }
    let (certificate, view) = data.signer_certificate(known, attributes.certificate.as_ref())?;
    // spec: rfc5652#5.4 — what is signed is the SET, not the [0] that is sent.
    data.signer.scheme.verify(view.spki, &asn1::tlv(0x31, data.signer.attributes), data.signer.signature)?;
    Ok(Verified {
        signer_certificate: certificate.to_vec(),
        signing_time: attributes.signing_time,
        certificates: data.certificates.iter().map(|one| one.to_vec()).collect(),
    })
}

/// The parts, shapes checked.
struct SignedData<'a> {
    content_type: &'static Oid,
    content: Option<&'a [u8]>,
    certificates: Vec<&'a [u8]>,
    signer: SignerInfo<'a>,
}

enum SignerId<'a> {
    IssuerAndSerial(&'a [u8], &'a [u8]),
    SubjectKeyId(&'a [u8]),
}

struct SignerInfo<'a> {
    id: SignerId<'a>,
    digest: DigestAlgorithm,
    /// The attributes' octets, without the [0] around them.
    attributes: &'a [u8],
    scheme: Scheme,
    signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    // spec: rfc5652#5.1
    fn parse(der: &'a [u8], content_type: &'static Oid) -> Result<Self, CmsError> {
        let is_data = *content_type == DATA;
        let mut info = Reader::new(Reader::only(der, 0x30)?);
        if info.take(6)? != SIGNED_DATA.as_bytes() {
            return Err(CmsError::NotSignedData);
        }
        let explicit = info.take(0xa0)?;
        info.end()?;
        let mut data = Reader::new(Reader::only(explicit, 0x30)?);
        let version = data.take(2)?;
        let mut digests = Reader::new(data.take(0x31)?);
        let digest = DigestAlgorithm::read(digests.take(0x30)?)?;
        if !digests.is_empty() {
            return Err(CmsError::Signers);
        }
        let mut content = Reader::new(data.take(0x30)?);
        if content.take(6)? != content_type.as_bytes() {
            return Err(CmsError::ContentType);
        }
        let inside = content.optional(0xa0)?;
        content.end()?;
        let content = inside.map(|octets| Reader::only(octets, 4)).transpose()?;
        let mut certificates = Vec::new();
        let mut list = Reader::new(data.optional(0xa0)?.unwrap_or_default());
        while !list.is_empty() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(CmsError::TooManyCertificates);
            }
            certificates.push(list.whole(0x30)?);
        }
        data.optional(0xa1)?;
        let mut signers = Reader::new(data.take(0x31)?);
        data.end()?;
        if signers.is_empty() {
            return Err(CmsError::Signers);
        }
        let (signer_version, signer) = SignerInfo::parse(signers.take(0x30)?)?;
        if !signers.is_empty() {
            return Err(CmsError::Signers);
        }
        // Plain certificates: content of type data has its signer's version, any other has 3.
        if version != [if is_data { signer_version } else { 3 }] {
            return Err(CmsError::Version);
        }
        if digest != signer.digest {
            return Err(CmsError::Disagreement);
        }
        Ok(Self { content_type, content, certificates, signer })
    }

    /// The signer's certificate by its identifier, and by its digest where the signer gave one.
    fn signer_certificate(&self, known: &[&'a [u8]], named: Option<&CertificateDigest<'_>>) -> Result<(&'a [u8], CertificateView<'a>), CmsError> {
        let mut matches = Vec::new();
        for certificate in self.certificates.iter().chain(known).copied() {
            let view = CertificateView::parse(certificate)?;
            let is_signer = match self.signer.id {
                SignerId::IssuerAndSerial(issuer, serial) => view.issuer == issuer && view.serial == serial,
                SignerId::SubjectKeyId(id) => view.subject_key_id()? == Some(id),
            };
            if is_signer && !matches.iter().any(|(other, _)| *other == certificate) {
                matches.push((certificate, view));
            }
        }
        if matches.is_empty() {
            return Err(CmsError::NoCertificate);
        }
        if let Some(named) = named {
            matches.retain(|(certificate, view)| named.is_of(certificate, view));
        }
        match (matches.pop(), matches.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(CmsError::Ambiguous),
            (None, _) => Err(CmsError::OtherCertificate),
        }
    }
}

impl<'a> SignerInfo<'a> {
    /// The version and the parts. spec: rfc5652#5.3
    fn parse(der: &'a [u8]) -> Result<(u8, Self), CmsError> {
        let mut info = Reader::new(der);
        let version = info.take(2)?;
        let (fitting, id) = if let Some(id) = info.optional(0x80)? {
            (3, SignerId::SubjectKeyId(id))
        } else {
            let mut id = Reader::new(info.take(0x30)?);
            let parts = SignerId::IssuerAndSerial(id.whole(0x30)?, id.integer()?);
            id.end()?;
            (1, parts)
        };
        if version != [fitting] {
            return Err(CmsError::Version);
        }
        let digest = DigestAlgorithm::read(info.take(0x30)?)?;
        // Were signatures without them accepted, the octets of attributes could pass as a signed content.
        let attributes = info.optional(0xa0)?.ok_or(CmsError::NoAttributes)?;
        let scheme = Scheme::read(info.take(0x30)?, Some(digest))?;
        let signature = info.take(4)?;
        if info.peek() == Some(0xa1) {
            return Err(CmsError::UnsignedAttributes);
        }
        info.end()?;
        // spec: rfc8933#3
        if scheme.digest() != digest {
            return Err(CmsError::Disagreement);
        }
        Ok((fitting, Self { id, digest, attributes, scheme, signature }))
    }

    fn attributes(&self, content_type: &Oid) -> Result<Attributes<'a>, CmsError> {
        let list = attribute_list(self.attributes)?;
        let find = |id: &Oid| list.iter().find(|(known, _)| *known == id.as_bytes()).map(|(_, values)| *values);
        // spec: rfc5652#11.1
        if Reader::only(find(&CONTENT_TYPE).ok_or(CmsError::Missing("contentType"))?, 6)? != content_type.as_bytes() {
            return Err(CmsError::ContentType);
        }
        // spec: rfc5652#11.2
        let message_digest = Reader::only(find(&MESSAGE_DIGEST).ok_or(CmsError::Missing("messageDigest"))?, 4)?;
        // spec: rfc5652#11.3
        let signing_time = match find(&SIGNING_TIME) {
            Some(values) => {
                let mut one = Reader::new(values);
                let time = one.time()?;
                one.end()?;
                Some(time)
            }
            None => None,
        };
        let certificate = find(&SIGNING_CERTIFICATE_V2).map(CertificateDigest::parse).transpose()?;
        if let Some(values) = find(&ALGORITHM_PROTECTION) {
            self.protected(values)?;
        }
        Ok(Attributes { message_digest, signing_time, certificate })
    }

    /// The algorithms that the signer vouches for are those that are used. spec: rfc6211#2
    fn protected(&self, values: &[u8]) -> Result<(), CmsError> {
        let mut algorithms = Reader::new(Reader::only(values, 0x30)?);
        let digest = DigestAlgorithm::read(algorithms.take(0x30)?)?;
        let scheme = Scheme::read(algorithms.take(0xa1)?, Some(digest))?;
        algorithms.end()?;
        if (digest, scheme) == (self.digest, self.scheme) { Ok(()) } else { Err(CmsError::Disagreement) }
    }
}

/// What the signer says beside the content.
struct Attributes<'a> {
    message_digest: &'a [u8],
    signing_time: Option<OffsetDateTime>,
    certificate: Option<CertificateDigest<'a>>,
}

/// An attribute's identifier and the octets of its values.
type Attribute<'a> = (&'a [u8], &'a [u8]);

/// Each attribute once and in DER order; those we know have one value.
fn attribute_list(der: &[u8]) -> Result<Vec<Attribute<'_>>, CmsError> {
    const SINGLE: [Oid; 5] = [CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, SIGNING_CERTIFICATE_V2, ALGORITHM_PROTECTION];
    let mut set = Reader::new(der);
    let mut list: Vec<Attribute<'_>> = Vec::new();
    let mut before: &[u8] = &[];
    while !set.is_empty() {
        let whole = set.whole(0x30)?;
        let mut one = Reader::new(Reader::only(whole, 0x30)?);
        let (id, values) = (one.take(6)?, one.take(0x31)?);
        one.end()?;
        if list.len() == MAX_ATTRIBUTES {
            return Err(DerError::Value("more than 32 attributes").into());
        }
        if list.iter().any(|(known, _)| *known == id) {
            return Err(CmsError::Duplicate);
        }
        // spec: x690#11.6
        if whole < before {
            return Err(CmsError::Order);
        }
        before = whole;
        if SINGLE.iter().any(|known| known.as_bytes() == id) {
            let mut rest = Reader::new(values);
            rest.any()?;
            if !rest.is_empty() {
                return Err(CmsError::Duplicate);
            }
        }
        list.push((id, values));
    }
    Ok(list)
}

/// The first ESSCertIDv2: the signer's certificate by its digest. spec: rfc5035#3
struct CertificateDigest<'a> {
    algorithm: DigestAlgorithm,
    hash: &'a [u8],
    /// Issuer as GeneralNames, and serial.
    issuer_serial: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> CertificateDigest<'a> {
    fn parse(values: &'a [u8]) -> Result<Self, CmsError> {
        let mut signing = Reader::new(Reader::only(values, 0x30)?);
        let mut certificates = Reader::new(signing.take(0x30)?);
        signing.optional(0x30)?;
        signing.end()?;
        let mut first = Reader::new(certificates.take(0x30)?);
        let algorithm = match first.optional(0x30)? {
            Some(algorithm) => DigestAlgorithm::read(algorithm)?,
            None => DigestAlgorithm::Sha256,
        };
        let hash = first.take(4)?;
        let issuer_serial = match first.optional(0x30)? {
            Some(both) => {
                let mut both = Reader::new(both);
                let parts = (both.take(0x30)?, both.take(2)?);
                both.end()?;
                Some(parts)
            }
            None => None,
        };
        first.end()?;
        Ok(Self { algorithm, hash, issuer_serial })
    }

    fn is_of(&self, certificate: &[u8], view: &CertificateView<'_>) -> bool {
        // GeneralNames with one directoryName.
        let same = self.issuer_serial.is_none_or(|(names, serial)| Reader::only(names, 0xa4).is_ok_and(|name| name == view.issuer) && serial == view.serial);
        same && self.hash == self.algorithm.digest(certificate)
    }
}
