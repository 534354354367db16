//! SignedData taken apart: shapes checked, nothing verified.
use super::verify::CmsError;
use super::{ALGORITHM_PROTECTION, CONTENT_TIMESTAMP, CONTENT_TYPE, DATA, MAX_CERTIFICATES, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME};
use crate::asn1::{DerError, Reader};
use crate::signature::{DigestAlgorithm, Scheme};
use crate::view::CertificateView;
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

const MAX_ATTRIBUTES: usize = 32;

/// How much may travel with a signature.
pub(crate) struct Bounds {
    pub(crate) certificates: usize,
    pub(crate) revocations: usize,
}

impl Bounds {
    pub(crate) const PLAIN: Self = Self { certificates: MAX_CERTIFICATES, revocations: MAX_CERTIFICATES };
}

/// The parts, shapes checked.
pub(crate) struct SignedData<'a> {
    pub(crate) version: u8,
    /// DigestAlgorithmIdentifiers and EncapsulatedContentInfo, as they stand.
    pub(crate) head: &'a [u8],
    pub(crate) content_type: &'static Oid,
    pub(crate) content: Option<&'a [u8]>,
    pub(crate) certificates: Vec<&'a [u8]>,
    /// RevocationInfoChoice, whole: CRLs, and answers of other forms under [1]. spec: rfc5652#10.2.1
    pub(crate) revocations: Vec<&'a [u8]>,
    pub(crate) signer: SignerInfo<'a>,
}

pub(crate) enum SignerId<'a> {
    IssuerAndSerial(&'a [u8], &'a [u8]),
    SubjectKeyId(&'a [u8]),
}

pub(crate) struct SignerInfo<'a> {
    pub(crate) id: SignerId<'a>,
    pub(crate) digest: DigestAlgorithm,
    /// The attributes' octets, without the [0] around them.
    pub(crate) attributes: &'a [u8],
    pub(crate) scheme: Scheme,
    pub(crate) signature: &'a [u8],
    /// From the version to the signature, as they stand: what an archive timestamp covers.
    pub(crate) fields: &'a [u8],
    /// The unsigned attributes' octets, without the [1] around them.
    pub(crate) unsigned: Option<&'a [u8]>,
}

impl<'a> SignedData<'a> {
    // spec: rfc5652#5.1
    pub(crate) fn parse(der: &'a [u8], content_type: &'static Oid, bounds: &Bounds) -> Result<Self, CmsError> {
        let is_data = *content_type == DATA;
        let mut info = Reader::new(Reader::only(der, 0x30)?);
        if info.take(6)? != SIGNED_DATA.as_bytes() {
            return Err(CmsError::NotSignedData);
        }
        let explicit = info.take(0xa0)?;
        info.end()?;
        let mut data = Reader::new(Reader::only(explicit, 0x30)?);
        let [version] = *data.take(2)? else { return Err(CmsError::Version) };
        let start = data;
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
        let head = start.until(&data);
        let content = inside.map(|octets| Reader::only(octets, 4)).transpose()?;
        let certificates = listed(data.optional(0xa0)?, &[0x30], bounds.certificates)?;
        let revocations = listed(data.optional(0xa1)?, &[0x30, 0xa1], bounds.revocations)?;
        let mut signers = Reader::new(data.take(0x31)?);
        data.end()?;
        if signers.is_empty() {
            return Err(CmsError::Signers);
        }
        let (signer_version, signer) = SignerInfo::parse(signers.take(0x30)?)?;
        if !signers.is_empty() {
            return Err(CmsError::Signers);
        }
        // Plain certificates: content of type data has its signer's version, any other has 3, and answers in other forms 5.
        let other_forms = revocations.iter().any(|one| one.starts_with(&[0xa1]));
        if version != if other_forms { 5 } else if is_data { signer_version } else { 3 } {
            return Err(CmsError::Version);
        }
        if digest != signer.digest {
            return Err(CmsError::Disagreement);
        }
        Ok(Self { version, head, content_type, content, certificates, revocations, signer })
    }

    /// The signer's certificate by its identifier, and by its digest where the signer gave one.
    pub(crate) fn signer_certificate(&self, known: &[&'a [u8]], named: Option<&CertificateDigest<'_>>) -> Result<(&'a [u8], CertificateView<'a>), CmsError> {
        let mut matches = Vec::new();
        for certificate in self.certificates.iter().chain(known).copied() {
            // What travels along and cannot be read is nobody's certificate; nobody vouches for it either.
            let Ok(view) = CertificateView::parse(certificate) else { continue };
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

/// The elements of a SET OF, at most `most`, each with one of these tags.
fn listed<'a>(set: Option<&'a [u8]>, tags: &[u8], most: usize) -> Result<Vec<&'a [u8]>, CmsError> {
    let mut list = Reader::new(set.unwrap_or_default());
    let mut found = Vec::new();
    while !list.is_empty() {
        let (tag, _, whole) = list.any()?;
        if !tags.contains(&tag) {
            return Err(DerError::Tag { expected: tags.first().copied().unwrap_or_default(), found: tag }.into());
        }
        if found.len() == most {
            return Err(CmsError::TooManyCertificates);
        }
        found.push(whole);
    }
    Ok(found)
}

impl<'a> SignerInfo<'a> {
    /// The version and the parts. spec: rfc5652#5.3
    fn parse(der: &'a [u8]) -> Result<(u8, Self), CmsError> {
        let mut info = Reader::new(der);
        let start = info;
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
        let fields = start.until(&info);
        let unsigned = info.optional(0xa1)?;
        info.end()?;
        // spec: rfc8933#3
        if scheme.digest() != digest {
            return Err(CmsError::Disagreement);
        }
        Ok((fitting, Self { id, digest, attributes, scheme, signature, fields, unsigned }))
    }

    pub(crate) fn attributes(&self, content_type: &Oid) -> Result<Attributes<'a>, CmsError> {
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
        let content_timestamps = find(&CONTENT_TIMESTAMP);
        Ok(Attributes { message_digest, signing_time, certificate, content_timestamps })
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
pub(crate) struct Attributes<'a> {
    pub(crate) message_digest: &'a [u8],
    pub(crate) signing_time: Option<OffsetDateTime>,
    pub(crate) certificate: Option<CertificateDigest<'a>>,
    /// TimeStampTokens over the content, made before the signature: the signature is not older. spec: en319122-1#5.2.8
    pub(crate) content_timestamps: Option<&'a [u8]>,
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
pub(crate) struct CertificateDigest<'a> {
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
