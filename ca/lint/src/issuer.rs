//! What the rules ask of an issuer: read once from its certificate, for all that it signs.

use crate::rules::subject_key;
use crate::{Finding, error, parse};

/// An issuer's certificate, as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// DER, byte for byte.
    pub(crate) subject: Vec<u8>,
    /// Unix seconds, both included.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) key_id: Option<Vec<u8>>,
}

impl Issuer {
    pub fn parse(der: &[u8]) -> Result<Self, Finding> {
        let certificate = parse(der).map_err(|why| error("issuer-parses", "rfc5280#4.1", why))?;
        let validity = certificate.validity();
        Ok(Self {
            subject: certificate.subject().as_raw().to_vec(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            key_id: subject_key(&certificate).map(<[u8]>::to_vec),
        })
    }
}
