//! What the rules ask of an issuer: read once from its certificate, for all that it signs.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};

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
    /// What its certificates may be called.
    pub(crate) constraints: Constraints,
}

/// Subtrees by the context tag of their kind in GeneralName and the octets of their base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    pub(crate) permitted: Vec<(u8, Vec<u8>)>,
    pub(crate) excluded: Vec<(u8, Vec<u8>)>,
}

impl Constraints {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let read = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| subtrees.iter().flatten().map(|one| tagged(&one.base)).collect();
        let found = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(found) => Some(Self { permitted: read(&found.permitted_subtrees), excluded: read(&found.excluded_subtrees) }),
            _ => None,
        });
        found.unwrap_or_default()
    }
}

/// What is no mail address, host name or address has the tag of no kind: such a one is within nothing, and nothing is within it.
pub(crate) const OTHER: u8 = u8::MAX;
pub(crate) const EMAIL: u8 = 1;
pub(crate) const DNS: u8 = 2;
pub(crate) const IP: u8 = 7;

pub(crate) fn tagged(name: &GeneralName<'_>) -> (u8, Vec<u8>) {
    match name {
        GeneralName::RFC822Name(text) => (EMAIL, text.as_bytes().to_vec()),
        GeneralName::DNSName(text) => (DNS, text.as_bytes().to_vec()),
        GeneralName::IPAddress(octets) => (IP, octets.to_vec()),
        _ => (OTHER, Vec::new()),
    }
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
            constraints: Constraints::of(&certificate),
        })
    }
}
