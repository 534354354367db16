//! The answer around a token, or instead of one.
use super::verify::TimestampError;
use crate::asn1::{self, Reader};

/// Why there is no token: the bit of PKIFailureInfo. spec: rfc3161#2.4.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    BadAlgorithm = 0,
    BadRequest = 2,
    BadDataFormat = 5,
    TimeNotAvailable = 14,
    UnacceptedPolicy = 15,
    UnacceptedExtension = 16,
    AdditionalInformationNotAvailable = 17,
    SystemFailure = 25,
}

impl Failure {
    /// TimeStampResp with status rejection.
    pub fn der(self) -> Vec<u8> {
        let bit = self as u8;
        // A BIT STRING of named bits ends with the last one that is set. spec: x690#11.2.2
        let mut bits = vec![7 - bit % 8];
        bits.resize(usize::from(1 + bit / 8), 0);
        bits.push(0x80 >> (bit % 8));
        asn1::seq(&[&asn1::seq(&[&[2, 1, 2], &asn1::tlv(3, &bits)])])
    }
}

/// TimeStampResp with status granted.
pub fn granted(token: &[u8]) -> Vec<u8> {
    asn1::seq(&[&asn1::seq(&[&[2, 1, 0]]), token])
}

/// The token in an answer; one granted with modifications is one as well. spec: rfc3161#2.4.2
pub fn token_of(response: &[u8]) -> Result<&[u8], TimestampError> {
    let mut answer = Reader::new(Reader::only(response, 0x30)?);
    let status = Reader::new(answer.take(0x30)?).integer()?;
    if !matches!(status, [0 | 1]) {
        return Err(TimestampError::Rejected);
    }
    let token = answer.whole(0x30)?;
    answer.end()?;
    Ok(token)
}
