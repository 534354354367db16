//! Timestamps: requests read, tokens made and verified, answers written.
// spec: rfc3161, rfc5816 (the signer's certificate named by SHA-256)
mod request;
mod response;
mod token;
mod verify;

pub use request::{MAX_BYTES, MAX_NONCE, RequestError, TimeStampRequest};
pub use response::{Failure, granted, token_of};
pub use token::{Moment, Terms, TokenError, TokenInfo, TokenPlan};
pub(crate) use verify::verify_with_unsigned;
pub use verify::{Authority, Stamp, TimestampError, VerifiedTimestamp, authority, verify, verify_within};

use crate::asn1::{self, DerError, Reader};
use crate::signature::{DigestAlgorithm, SignatureError};
use const_oid::ObjectIdentifier as Oid;

/// id-ct-TSTInfo. spec: rfc3161#2.4.2
pub(crate) const TST_INFO: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// What is stamped: a digest whose length fits its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imprint {
    algorithm: DigestAlgorithm,
    digest: Vec<u8>,
}

impl Imprint {
    pub fn of(algorithm: DigestAlgorithm, content: &[u8]) -> Self {
        Self { algorithm, digest: algorithm.digest(content) }
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    pub fn is_of(&self, content: &[u8]) -> bool {
        self.algorithm.digest(content) == self.digest
    }

    fn der(&self) -> Vec<u8> {
        asn1::seq(&[&self.algorithm.der(), &asn1::tlv(4, &self.digest)])
    }

    /// From the value of a MessageImprint.
    fn read(value: &[u8]) -> Result<Self, ImprintError> {
        let mut imprint = Reader::new(value);
        let algorithm = match DigestAlgorithm::read(imprint.take(0x30)?) {
            Err(SignatureError::Der(error)) => return Err(error.into()),
            Err(_) => return Err(ImprintError::Algorithm),
            Ok(algorithm) => algorithm,
        };
        let digest = imprint.take(4)?;
        imprint.end()?;
        if digest.len() != usize::from(algorithm.length()) {
            return Err(ImprintError::Length);
        }
        Ok(Self { algorithm, digest: digest.to_vec() })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImprintError {
    #[error("damaged: {0}; send DER")]
    Der(#[from] DerError),
    #[error("not by SHA-256, SHA-384 or SHA-512; hash with one of these")]
    Algorithm,
    #[error("not as long as its hash makes it; send the whole digest")]
    Length,
}

/// A positive INTEGER that another made, its octets at most `most` without the sign's.
fn bounded<'a>(reader: &mut Reader<'a>, most: usize) -> Result<Option<&'a [u8]>, DerError> {
    let octets = reader.integer()?;
    let magnitude = if let [0, rest @ ..] = octets { rest } else { octets };
    Ok((magnitude.len() <= most).then_some(octets))
}
