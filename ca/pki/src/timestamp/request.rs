//! Reading what is to be stamped.
use super::response::Failure;
use super::{Imprint, ImprintError, bounded};
use crate::asn1::{self, DerError, Reader};
use const_oid::ObjectIdentifier as Oid;

/// The largest request we look at.
pub const MAX_BYTES: usize = 4 * 1024;
/// The longest nonce, in octets.
pub const MAX_NONCE: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the timestamp request has {0} bytes and at most 4096 are read; send a digest, not the content")]
    TooLarge(usize),
    #[error("the timestamp request is damaged: {0}; send DER")]
    Der(#[from] DerError),
    #[error("the timestamp request is of another version than 1; send version 1")]
    Version,
    #[error("the digest to be stamped is {0}")]
    Imprint(ImprintError),
    #[error("the nonce has more than 20 octets; send a shorter one")]
    Nonce,
    #[error("the timestamp request has extensions, of which none is known here; send it without")]
    Extensions,
}

impl From<ImprintError> for RequestError {
    fn from(error: ImprintError) -> Self {
        if let ImprintError::Der(error) = error { Self::Der(error) } else { Self::Imprint(error) }
    }
}

impl RequestError {
    /// What the asker is told. spec: rfc3161#2.4.2
    pub fn failure(&self) -> Failure {
        match self {
            Self::TooLarge(_) | Self::Version | Self::Nonce => Failure::BadRequest,
            Self::Der(_) | Self::Imprint(ImprintError::Length | ImprintError::Der(_)) => Failure::BadDataFormat,
            Self::Imprint(ImprintError::Algorithm) => Failure::BadAlgorithm,
            Self::Extensions => Failure::UnacceptedExtension,
        }
    }
}

/// TimeStampReq. spec: rfc3161#2.4.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStampRequest {
    pub imprint: Imprint,
    /// The policy asked for; `None` leaves it to the authority.
    pub policy: Option<Oid>,
    /// The INTEGER's octets.
    pub nonce: Option<Vec<u8>>,
    /// Whether the signer's certificate is wanted in the token.
    pub certificate: bool,
}

impl TimeStampRequest {
    pub fn parse(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_BYTES {
            return Err(RequestError::TooLarge(der.len()));
        }
        let mut request = Reader::new(Reader::only(der, 0x30)?);
        if request.integer()? != [1] {
            return Err(RequestError::Version);
        }
        let imprint = Imprint::read(request.take(0x30)?)?;
        let policy = request.optional(6)?.map(|octets| Oid::from_bytes(octets).map_err(|_| DerError::Value("object identifier"))).transpose()?;
        let nonce = match request.peek() {
            Some(2) => Some(bounded(&mut request, MAX_NONCE)?.ok_or(RequestError::Nonce)?.to_vec()),
            _ => None,
        };
        let certificate = request.default_false()?;
        // spec: rfc3161#2.4.1 — whatever is not recognised, critical or not, is refused.
        if request.optional(0xa0)?.is_some() {
            return Err(RequestError::Extensions);
        }
        request.end()?;
        Ok(Self { imprint, policy, nonce, certificate })
    }

    /// As a client sends it.
    pub fn der(&self) -> Vec<u8> {
        let policy = self.policy.as_ref().map(asn1::oid).unwrap_or_default();
        let nonce = self.nonce.as_ref().map(|octets| asn1::tlv(2, octets)).unwrap_or_default();
        let certificate: &[u8] = if self.certificate { &[1, 1, 0xff] } else { &[] };
        asn1::seq(&[&[2, 1, 1], &self.imprint.der(), &policy, &nonce, certificate])
    }
}
