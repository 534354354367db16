//! Answers of a responder as they are read: who signed them, and what they say of one certificate.
// spec: rfc6960#4.2
use super::{BASIC, CertId, CertStatus, NONCE, OcspError, responder_key_hash};
use crate::asn1::{self, DerError, Reader};
use crate::crl::Reason;
use crate::effort::Effort;
use crate::signature::{Scheme, SignatureError};
use crate::view::{self, CertificateView, EXTENDED_KEY_USAGE, OCSP_NO_CHECK};
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

/// The largest answer we look at.
pub const MAX_ANSWER: usize = 64 * 1024;
const MAX_CERTIFICATES: usize = 8;
const OCSP_SIGNING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.9");

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the OCSP answer has {0} bytes; at most 65536 are read")]
    TooLarge(usize),
    #[error("the OCSP answer is damaged: {0}; ask again")]
    Der(#[from] DerError),
    #[error("the OCSP answer names certificates in a way that is not read: {0}")]
    Id(#[from] OcspError),
    #[error("the responder gave no answer (status {0}); ask again later")]
    Failed(u8),
    #[error("the OCSP answer is signed by nobody whom the certificate's issuer charged with it; ask the issuer's own responder")]
    Signer,
    #[error("the OCSP answer's signature: {0}")]
    Signature(#[from] SignatureError),
    #[error("the OCSP answer says nothing of this certificate; ask again")]
    Silent,
    #[error("the OCSP answer does not repeat the nonce that was asked with; ask again")]
    Nonce,
    #[error("the OCSP answer has a critical extension that is not understood")]
    Critical,
}

/// A request about one certificate, DER.
pub fn request(id: &CertId, nonce: Option<&[u8]>) -> Vec<u8> {
    let extensions = match nonce {
        Some(nonce) => asn1::tlv(0xa2, &asn1::tlv(0x30, &asn1::seq(&[&asn1::oid(&NONCE), &asn1::tlv(4, &asn1::tlv(4, nonce))]))),
        None => Vec::new(),
    };
    asn1::seq(&[&asn1::seq(&[&asn1::tlv(0x30, &asn1::seq(&[&id.der])), &extensions])])
}

/// What an answer says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub status: CertStatus,
    pub this_update: OffsetDateTime,
    pub next_update: Option<OffsetDateTime>,
    /// Since when the responder knows of certificates that ended. spec: rfc6960#4.4.4
    pub archive_cutoff: Option<OffsetDateTime>,
}

enum Responder {
    Name(Vec<u8>),
    Key(Vec<u8>),
}

/// An answer, read and not yet believed.
pub struct OcspAnswer {
    data: Vec<u8>,
    scheme: Scheme,
    signature: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    responder: Responder,
    produced_at: OffsetDateTime,
    nonce: Option<Vec<u8>>,
    said: Vec<(CertId, Said)>,
}

impl OcspAnswer {
    /// OCSPResponse, DER.
    pub fn parse(der: &[u8]) -> Result<Self, AnswerError> {
        if der.len() > MAX_ANSWER {
            return Err(AnswerError::TooLarge(der.len()));
        }
        let mut outer = Reader::new(Reader::only(der, 0x30)?);
        match outer.take(10)? {
            [0] => {}
            [status] => return Err(AnswerError::Failed(*status)),
            _ => return Err(DerError::Value("response status").into()),
        }
        let mut bytes = Reader::new(Reader::only(outer.take(0xa0)?, 0x30)?);
        outer.end()?;
        if bytes.take(6)? != BASIC.as_bytes() {
            return Err(DerError::Value("a response type that is not basic").into());
        }
        let basic = bytes.take(4)?;
        bytes.end()?;
        Self::basic(basic)
    }

    /// BasicOCSPResponse, DER.
    pub fn basic(der: &[u8]) -> Result<Self, AnswerError> {
        if der.len() > MAX_ANSWER {
            return Err(AnswerError::TooLarge(der.len()));
        }
        let mut basic = Reader::new(Reader::only(der, 0x30)?);
        let data = basic.whole(0x30)?.to_vec();
        let scheme = Scheme::read(basic.take(0x30)?, None)?;
        let signature = basic.octet_bits()?.to_vec();
        let mut certificates = Vec::new();
        if let Some(list) = basic.optional(0xa0)? {
            let mut list = Reader::new(Reader::only(list, 0x30)?);
            while !list.is_empty() {
                if certificates.len() == MAX_CERTIFICATES {
                    return Err(DerError::Value("more than 8 certificates").into());
                }
                certificates.push(list.whole(0x30)?.to_vec());
            }
        }
        basic.end()?;
        let mut fields = Reader::new(Reader::only(&data, 0x30)?);
        // Version 1 is the default and so left out.
        if fields.optional(0xa0)?.is_some() {
            return Err(DerError::Value("a version that is not 1").into());
        }
        let (tag, value, _) = fields.any()?;
        let responder = match tag {
            0xa1 => Responder::Name(value.to_vec()),
            0xa2 => Responder::Key(Reader::only(value, 4)?.to_vec()),
            _ => return Err(DerError::Value("responder").into()),
        };
        let produced_at = fields.time()?;
        let mut list = Reader::new(fields.take(0x30)?);
        let mut said = Vec::new();
        while !list.is_empty() {
            if said.len() == super::MAX_IDS {
                return Err(DerError::Value("more than 16 answers").into());
            }
            said.push(single(list.take(0x30)?)?);
        }
        let nonce = fields.optional(0xa1)?.map(nonce_of).transpose()?.flatten();
        fields.end()?;
        Ok(Self { scheme, signature, certificates, responder, produced_at, nonce, said, data })
    }

    /// How it is signed.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn produced_at(&self) -> OffsetDateTime {
        self.produced_at
    }

    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// All that travelled with the answer, DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// What is said of the certificate `serial` (the INTEGER's octets) of `issuer` (DER), once its signer is the issuer or one
    /// whom it charged. `known` is a signer that was proved before for this issuer. Returns the signer's certificate too.
    // spec: rfc6960#3.2, rfc6960#4.2.2.2
    pub fn of<'a>(&'a self, issuer: &'a [u8], serial: &[u8], known: Option<&[u8]>) -> Result<(&'a Said, &'a [u8]), AnswerError> {
        self.of_within(issuer, serial, known, &Effort::unbounded())
    }

    /// As [`Self::of`], where what `effort` remembers is not verified again.
    pub fn of_within<'a>(&'a self, issuer: &'a [u8], serial: &[u8], known: Option<&[u8]>, effort: &Effort<'_>) -> Result<(&'a Said, &'a [u8]), AnswerError> {
        let view = CertificateView::parse(issuer)?;
        // First whether it speaks of the certificate at all: that costs no signature, and hashes only where the number is the one.
        let mut found = None;
        for (id, said) in self.said.iter().filter(|(id, _)| id.serial == serial) {
            let own = CertId::new(id.hash, view.subject, view.spki, serial)?;
            if id.issuer_name_hash == own.issuer_name_hash && id.issuer_key_hash == own.issuer_key_hash {
                found = Some(said);
                break;
            }
        }
        let found = found.ok_or(AnswerError::Silent)?;
        let signer = self.signer(issuer, &view, known, effort)?;
        effort.verify(self.scheme, CertificateView::parse(signer)?.spki, &self.data, &self.signature)?;
        Ok((found, signer))
    }

    /// The issuer itself, or the first certificate inside that can be meant: one candidate for each answer, so that a heap of
    /// them costs one signature.
    fn signer<'a>(&'a self, issuer: &'a [u8], view: &CertificateView<'_>, known: Option<&[u8]>, effort: &Effort<'_>) -> Result<&'a [u8], AnswerError> {
        if self.is_named(view)? {
            return Ok(issuer);
        }
        for certificate in &self.certificates {
            let Ok(candidate) = CertificateView::parse(certificate) else { continue };
            // One that was proved before is proved no longer than it lives. spec: rfc6960#4.2.2.2
            let valid = (candidate.not_before..=candidate.not_after).contains(&self.produced_at);
            if !valid || !self.is_named(&candidate)? {
                continue;
            }
            if known == Some(certificate.as_slice()) {
                return Ok(certificate);
            }
            if may_answer(&candidate) && candidate.issuer == view.subject {
                let scheme = Scheme::read(Reader::only(candidate.signed.algorithm, 0x30)?, None)?;
                return match effort.verify(scheme, view.spki, candidate.signed.tbs, candidate.signed.signature) {
                    Ok(()) => Ok(certificate),
                    Err(SignatureError::TooMany) => Err(SignatureError::TooMany.into()),
                    Err(_) => Err(AnswerError::Signer),
                };
            }
        }
        Err(AnswerError::Signer)
    }

    fn is_named(&self, view: &CertificateView<'_>) -> Result<bool, DerError> {
        Ok(match &self.responder {
            Responder::Name(name) => name == view.subject,
            Responder::Key(hash) => *hash == responder_key_hash(view.spki)?,
        })
    }
}

/// Whether a certificate is for answering, which its issuer alone can charge somebody with.
fn may_answer(candidate: &CertificateView<'_>) -> bool {
    candidate.extension(&EXTENDED_KEY_USAGE).is_some_and(|value| {
        let Ok(mut list) = Reader::only(value, 0x30).map(Reader::new) else { return false };
        std::iter::from_fn(|| list.take(6).ok()).any(|id| id == OCSP_SIGNING.as_bytes())
    })
}

/// Whether an answer's signer must be asked about too: one whom the issuer charged, and did not exempt for as long as the
/// certificate lives. spec: rfc6960#4.2.2.2.1
pub fn must_be_asked_about(signer: &CertificateView<'_>, issuer: &[u8]) -> bool {
    signer.der != issuer && signer.extension(&OCSP_NO_CHECK).is_none()
}

/// SingleResponse. spec: rfc6960#4.2.1
fn single(der: &[u8]) -> Result<(CertId, Said), AnswerError> {
    let mut one = Reader::new(der);
    let id = CertId::parse(&mut one)?;
    let (tag, value, _) = one.any()?;
    let mut status = match tag {
        0x80 if value.is_empty() => CertStatus::Good,
        0x82 if value.is_empty() => CertStatus::Unknown,
        0xa1 => {
            let mut revoked = Reader::new(value);
            let at = revoked.time()?;
            let reason = match revoked.optional(0xa0)? {
                None => Reason::Unspecified,
                Some(reason) => match Reader::only(reason, 10)? {
                    [code] => Reason::from_code(*code),
                    _ => None,
                }
                .ok_or(DerError::Value("revocation reason"))?,
            };
            revoked.end()?;
            CertStatus::Revoked { at, reason, invalid_since: None }
        }
        _ => return Err(DerError::Value("certificate status").into()),
    };
    let this_update = one.time()?;
    let next_update = one.optional(0xa0)?.map(|value| Reader::new(value).time()).transpose()?;
    let mut archive_cutoff = None;
    if let Some(list) = one.optional(0xa1)? {
        for extension in view::extensions(list)? {
            if extension.id == super::INVALIDITY_DATE.as_bytes() {
                if let CertStatus::Revoked { invalid_since, .. } = &mut status {
                    *invalid_since = Some(Reader::new(extension.value).time()?);
                }
            } else if extension.id == super::ARCHIVE_CUTOFF.as_bytes() {
                archive_cutoff = Some(Reader::new(extension.value).time()?);
            } else if extension.critical {
                return Err(AnswerError::Critical);
            }
        }
    }
    one.end()?;
    Ok((id, Said { status, this_update, next_update, archive_cutoff }))
}

fn nonce_of(list: &[u8]) -> Result<Option<Vec<u8>>, AnswerError> {
    let mut nonce = None;
    for extension in view::extensions(list)? {
        if extension.id == NONCE.as_bytes() {
            nonce = Some(Reader::only(extension.value, 4)?.to_vec());
        } else if extension.critical {
            return Err(AnswerError::Critical);
        }
    }
    Ok(nonce)
}
