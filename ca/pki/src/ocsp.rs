//! Certificate status on line: requests and responses, read and written.
// spec: rfc6960, rfc9654 (nonce)
mod answer;

pub use answer::{AnswerError, MAX_ANSWER, OcspAnswer, Said, must_be_asked_about, request};

use crate::asn1::{self, DerError, Reader};
use crate::certificate::{algorithm_der, key_bits};
use crate::crl::Reason;
use crate::signer::SignatureAlgorithm;
use const_oid::ObjectIdentifier as Oid;
use ring::digest;
use time::OffsetDateTime;

/// The largest request we look at.
pub const MAX_BYTES: usize = 4 * 1024;
/// The most certificates one request asks about.
pub const MAX_IDS: usize = 16;
/// The longest nonce. spec: rfc9654#2.1
pub const MAX_NONCE: usize = 128;

const SHA1: Oid = Oid::new_unwrap("1.3.14.3.2.26");
const SHA256: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.1");
const NONCE: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.2");
const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");
const ARCHIVE_CUTOFF: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.6");
const BASIC: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.1");

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    #[error("the OCSP request has {0} bytes; at most 4096 are read")]
    TooLarge(usize),
    #[error("the OCSP request is damaged: {0}")]
    Der(#[from] DerError),
    #[error("the OCSP request asks about no certificate or more than 16; ask in parts")]
    Count,
    #[error("the OCSP request names certificates by a hash other than SHA-1 and SHA-256; use one of these")]
    Hash,
    #[error("the nonce must have 1 to 128 bytes")]
    Nonce,
    #[error("the OCSP request has a critical extension that is not understood")]
    Critical,
    #[error("the OCSP request has an extension twice; which one is meant cannot be told")]
    Repeated,
}

/// The digest by which a request names an issuer. SHA-1 names here; it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    Sha1,
    Sha256,
}

impl HashAlgorithm {
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }
}

/// A certificate as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    pub hash: HashAlgorithm,
    pub issuer_name_hash: Vec<u8>,
    pub issuer_key_hash: Vec<u8>,
    /// The INTEGER's octets.
    pub serial: Vec<u8>,
    /// The whole CertID, DER: an answer repeats it byte for byte.
    pub der: Vec<u8>,
}

impl CertId {
    /// For the certificate `serial` of the issuer with this name (DER) and this SPKI.
    pub fn new(hash: HashAlgorithm, issuer_name: &[u8], issuer_spki: &[u8], serial: &[u8]) -> Result<Self, DerError> {
        let (issuer_name_hash, issuer_key_hash) = (hash.digest(issuer_name), hash.digest(key_bits(issuer_spki)?));
        let oid = if hash == HashAlgorithm::Sha1 { SHA1 } else { SHA256 };
        let der = asn1::seq(&[
            &asn1::seq(&[&asn1::oid(&oid), &[5, 0]]),
            &asn1::tlv(4, &issuer_name_hash),
            &asn1::tlv(4, &issuer_key_hash),
            &asn1::uint(serial),
        ]);
        Ok(Self { hash, issuer_name_hash, issuer_key_hash, serial: serial.to_vec(), der })
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, OcspError> {
        let der = reader.whole(0x30)?;
        let mut id = Reader::new(Reader::new(der).take(0x30)?);
        let mut algorithm = Reader::new(id.take(0x30)?);
        let oid = Oid::from_bytes(algorithm.take(6)?).map_err(|_| DerError::Value("object identifier"))?;
        // Parameters are NULL or absent; both are met.
        if algorithm.peek() == Some(5) && !algorithm.take(5)?.is_empty() {
            return Err(DerError::Value("parameters").into());
        }
        algorithm.end()?;
        let (hash, length) = match oid {
            SHA1 => (HashAlgorithm::Sha1, 20),
            SHA256 => (HashAlgorithm::Sha256, 32),
            _ => return Err(OcspError::Hash),
        };
        let (name, key, serial) = (id.take(4)?, id.take(4)?, id.take(2)?);
        id.end()?;
        if name.len() != length || key.len() != length {
            return Err(DerError::Value("a digest's length").into());
        }
        // Other issuers' serials reach 20 octets; longer ones cannot exist. spec: rfc5280#4.1.2.2
        if serial.is_empty() || serial.len() > 21 {
            return Err(DerError::Value("serial number").into());
        }
        Ok(Self { hash, issuer_name_hash: name.to_vec(), issuer_key_hash: key.to_vec(), serial: serial.to_vec(), der: der.to_vec() })
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    pub ids: Vec<CertId>,
    /// The nonce's octets.
    pub nonce: Option<Vec<u8>>,
}

impl OcspRequest {
    /// Reads a request. Its signature, if any, is ignored: answers are for everybody.
    pub fn parse(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > MAX_BYTES {
            return Err(OcspError::TooLarge(der.len()));
        }
        let mut outer = Reader::new(der);
        let mut request = Reader::new(outer.take(0x30)?);
        outer.end()?;
        let mut tbs = Reader::new(request.take(0x30)?);
        if request.peek() == Some(0xa0) {
            request.take(0xa0)?;
        }
        request.end()?;
        if tbs.peek() == Some(0xa0) {
            let mut version = Reader::new(tbs.take(0xa0)?);
            if version.take(2)? != [0] {
                return Err(DerError::Value("version").into());
            }
        }
        if tbs.peek() == Some(0xa1) {
            tbs.take(0xa1)?;
        }
        let mut list = Reader::new(tbs.take(0x30)?);
        let mut ids = Vec::new();
        while !list.is_empty() {
            if ids.len() == MAX_IDS {
                return Err(OcspError::Count);
            }
            let mut one = Reader::new(list.take(0x30)?);
            ids.push(CertId::parse(&mut one)?);
            if one.peek() == Some(0xa0) {
                extensions(one.take(0xa0)?)?;
            }
            one.end()?;
        }
        if ids.is_empty() {
            return Err(OcspError::Count);
        }
        let nonce = if tbs.peek() == Some(0xa2) { extensions(tbs.take(0xa2)?)? } else { None };
        tbs.end()?;
        Ok(Self { ids, nonce })
    }
}

/// The nonce among extensions; a critical one that is not understood is an error.
fn extensions(der: &[u8]) -> Result<Option<Vec<u8>>, OcspError> {
    let mut explicit = Reader::new(der);
    let mut list = Reader::new(explicit.take(0x30)?);
    explicit.end()?;
    let mut nonce = None;
    let mut seen: Vec<&[u8]> = Vec::new();
    while !list.is_empty() {
        let mut one = Reader::new(list.take(0x30)?);
        let octets = one.take(6)?;
        // spec: rfc5280#4.2 (one instance of each; rfc6960#4.4 takes its form from there)
        if seen.contains(&octets) {
            return Err(OcspError::Repeated);
        }
        seen.push(octets);
        let oid = Oid::from_bytes(octets).map_err(|_| DerError::Value("object identifier"))?;
        let critical = one.peek() == Some(1) && one.take(1)? != [0];
        let value = one.take(4)?;
        one.end()?;
        if oid == NONCE {
            let mut inner = Reader::new(value);
            let octets = inner.take(4)?;
            inner.end()?;
            if octets.is_empty() || octets.len() > MAX_NONCE {
                return Err(OcspError::Nonce);
            }
            nonce = Some(octets.to_vec());
        } else if critical {
            return Err(OcspError::Critical);
        }
    }
    Ok(nonce)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertStatus {
    Good,
    Revoked { at: OffsetDateTime, reason: Reason, invalid_since: Option<OffsetDateTime> },
    /// Never issued here: "good" is not said of what we do not know.
    Unknown,
}

/// The answer about one certificate.
#[derive(Clone, Debug)]
pub struct SingleResponse<'a> {
    /// As the request named it, DER.
    pub id: &'a [u8],
    pub status: CertStatus,
    pub this_update: OffsetDateTime,
    pub next_update: OffsetDateTime,
    /// From when on the responder knows of certificates, ended ones too.
    pub archive_cutoff: Option<OffsetDateTime>,
}

impl SingleResponse<'_> {
    fn der(&self) -> Vec<u8> {
        let status = match self.status {
            CertStatus::Good => vec![0x80, 0],
            CertStatus::Revoked { at, reason, .. } => {
                // spec: rfc5280#5.3.1 (unspecified is left out)
                let why = if reason == Reason::Unspecified { Vec::new() } else { asn1::tlv(0xa0, &[10, 1, reason as u8]) };
                asn1::tlv(0xa1, &[asn1::generalized(at), why].concat())
            }
            CertStatus::Unknown => vec![0x82, 0],
        };
        let dated = |id: &Oid, at: Option<OffsetDateTime>| at.map(|at| asn1::seq(&[&asn1::oid(id), &asn1::tlv(4, &asn1::generalized(at))])).unwrap_or_default();
        let invalid_since = if let CertStatus::Revoked { invalid_since, .. } = self.status { invalid_since } else { None };
        // spec: rfc6960#4.4.4, rfc6960#4.4.5 (what a list says of an entry may be said here)
        let extensions = [dated(&ARCHIVE_CUTOFF, self.archive_cutoff), dated(&INVALIDITY_DATE, invalid_since)].concat();
        let extensions = if extensions.is_empty() { extensions } else { asn1::tlv(0xa1, &asn1::tlv(0x30, &extensions)) };
        asn1::seq(&[self.id, &status, &asn1::generalized(self.this_update), &asn1::tlv(0xa0, &asn1::generalized(self.next_update)), &extensions])
    }
}

/// SHA-1 of the responder's key bits: how a response names its signer. spec: rfc6960#4.2.1
pub fn responder_key_hash(spki: &[u8]) -> Result<Vec<u8>, DerError> {
    Ok(HashAlgorithm::Sha1.digest(key_bits(spki)?))
}

/// ResponseData: the exact bytes to be signed.
pub fn response_data(responder_key_hash: &[u8], produced_at: OffsetDateTime, responses: &[SingleResponse<'_>], nonce: Option<&[u8]>) -> Vec<u8> {
    let list: Vec<u8> = responses.iter().flat_map(SingleResponse::der).collect();
    let extensions = match nonce {
        Some(nonce) => {
            let one = asn1::seq(&[&asn1::oid(&NONCE), &asn1::tlv(4, &asn1::tlv(4, nonce))]);
            asn1::tlv(0xa1, &asn1::tlv(0x30, &one))
        }
        None => Vec::new(),
    };
    asn1::seq(&[&asn1::tlv(0xa2, &asn1::tlv(4, responder_key_hash)), &asn1::generalized(produced_at), &asn1::tlv(0x30, &list), &extensions])
}

/// A successful OCSPResponse that carries its signer's certificate.
pub fn assemble(data: &[u8], algorithm: SignatureAlgorithm, signature: &[u8], signer: &[u8]) -> Vec<u8> {
    let certificates = asn1::tlv(0xa0, &asn1::tlv(0x30, signer));
    let basic = asn1::seq(&[data, &algorithm_der(algorithm), &asn1::bits(signature), &certificates]);
    let bytes = asn1::seq(&[&asn1::oid(&BASIC), &asn1::tlv(4, &basic)]);
    asn1::seq(&[&[10, 1, 0], &asn1::tlv(0xa0, &bytes)])
}

/// Why there is no answer. Unsigned, so it says nothing of any certificate. spec: rfc6960#2.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    Unauthorized = 6,
}

impl Failure {
    pub fn der(self) -> Vec<u8> {
        asn1::seq(&[&[10, 1, self as u8]])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SPKI: &[u8] = &[0x30, 0x0b, 0x30, 5, 6, 3, 0x2a, 3, 4, 3, 2, 0, 7];

    fn request(ids: &[CertId], extensions: &[u8]) -> Vec<u8> {
        let list: Vec<u8> = ids.iter().flat_map(|id| asn1::seq(&[&id.der])).collect();
        asn1::seq(&[&asn1::seq(&[&asn1::tlv(0x30, &list), extensions])])
    }

    fn id(hash: HashAlgorithm) -> CertId {
        CertId::new(hash, b"name", SPKI, &[0x40, 1, 2]).unwrap()
    }

    #[test]
    fn what_is_asked_comes_back() {
        for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
            let der = request(&[id(hash)], &[]);
            assert_eq!(OcspRequest::parse(&der).unwrap(), OcspRequest { ids: vec![id(hash)], nonce: None });
        }
    }

    #[test]
    fn one_question_has_few_forms() {
        let hash = asn1::tlv(4, &[7; 20]);
        let with = |parameters: &[u8]| {
            let algorithm = asn1::seq(&[&asn1::oid(&SHA1), parameters]);
            let id = asn1::seq(&[&algorithm, &hash, &hash, &asn1::uint(&[0x40])]);
            OcspRequest::parse(&asn1::seq(&[&asn1::seq(&[&asn1::tlv(0x30, &asn1::seq(&[&id]))])]))
        };
        assert!(with(&[]).is_ok() && with(&[5, 0]).is_ok());
        // Else everybody could fill a memory of answers with other ways to write the same.
        assert!(with(&[5, 1, 9]).is_err() && with(&[4, 0]).is_err() && with(&[5, 0, 5, 0]).is_err());
    }

    #[test]
    fn bounds_hold() {
        let many = vec![id(HashAlgorithm::Sha1); MAX_IDS + 1];
        assert_eq!(OcspRequest::parse(&request(&many, &[])), Err(OcspError::Count));
        assert_eq!(OcspRequest::parse(&request(&[], &[])), Err(OcspError::Count));
        assert_eq!(OcspRequest::parse(&[0; 5_000]), Err(OcspError::TooLarge(5_000)));
        for (length, fits) in [(0, false), (1, true), (128, true), (129, false)] {
            let one = asn1::seq(&[&asn1::oid(&NONCE), &asn1::tlv(4, &asn1::tlv(4, &vec![7; length]))]);
            let der = request(&[id(HashAlgorithm::Sha1)], &asn1::tlv(0xa2, &asn1::tlv(0x30, &one)));
            assert_eq!(OcspRequest::parse(&der).is_ok(), fits, "{length}");
        }
        let critical = asn1::seq(&[&asn1::oid(&BASIC), &[1, 1, 0xff], &asn1::tlv(4, &[5, 0])]);
        let der = request(&[id(HashAlgorithm::Sha1)], &asn1::tlv(0xa2, &asn1::tlv(0x30, &critical)));
        assert_eq!(OcspRequest::parse(&der), Err(OcspError::Critical));
    }

    #[test]
    fn damage_never_panics() {
        let der = request(&[id(HashAlgorithm::Sha256)], &[]);
        for at in 0..der.len() {
            assert!(OcspRequest::parse(&der[..at]).is_err());
            for bit in 0..8 {
                let mut damaged = der.clone();
                damaged[at] ^= 1 << bit;
                let _ = OcspRequest::parse(&damaged);
            }
        }
    }
}
