//! Judges certificates and CRLs before and after they are signed, with another parser than the one that wrote them.
//!
//! Pure. A certificate is parsed once; every rule of `rules` reads that.
#![forbid(unsafe_code)]

mod crl;
mod der;
mod issuer;
mod rules;

use const_oid::ObjectIdentifier;
pub use crl::{ReadList, lint_crl, lint_crl_with};
pub use issuer::Issuer;
use x509_parser::prelude::{FromDer, X509Certificate};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Must not be signed.
    Error,
    Warning,
}

/// One rule broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static str,
    pub severity: Severity,
    /// Where the rule stands, as `rfc5280#4.1.2.2`.
    pub clause: &'static str,
    pub message: String,
}

/// What the profile and the plan say the certificate is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileFacts {
    pub ca: bool,
    pub path_len: Option<u32>,
    /// Bit n is RFC 5280's bit n: 0 digitalSignature, 5 keyCertSign, 6 cRLSign.
    pub key_usage: u16,
    pub extended_key_usage: Vec<ObjectIdentifier>,
    pub policies: Vec<ObjectIdentifier>,
    /// Every extension that must be there; no other may.
    pub extensions: Vec<ObjectIdentifier>,
    /// The subject's attributes in order: OID and value.
    pub subject: Vec<(ObjectIdentifier, String)>,
    /// Unix seconds, both included.
    pub validity: (i64, i64),
    /// Unix seconds: the key signs until then, where that is not for the whole time.
    pub private_key_until: Option<i64>,
    /// Each alternative name in order: its context tag in GeneralName and its octets.
    pub alternative_names: Vec<(u8, Vec<u8>)>,
    /// Of an authority that certifies mailboxes of these domains alone; none where its names are not bound.
    pub mail_domains: Vec<String>,
    pub ocsp_urls: Vec<String>,
    pub issuer_urls: Vec<String>,
    pub crl_urls: Vec<String>,
    /// Where the practice statement is, as every policy says.
    pub cps_uri: Option<String>,
    /// SubjectPublicKeyInfo of the key that is certified, DER, and its identifier.
    pub public_key: Vec<u8>,
    pub key_id: Vec<u8>,
}

/// A certificate, its issuer's and its profile, as the rules see them.
pub(crate) struct Case<'a> {
    pub der: &'a [u8],
    pub certificate: X509Certificate<'a>,
    pub issuer: Option<&'a Issuer>,
    pub facts: &'a ProfileFacts,
}

/// One rule: its name, its clause, and the check, which says what it found.
pub(crate) struct Rule {
    pub name: &'static str,
    pub clause: &'static str,
    pub check: fn(&Case<'_>) -> Result<(), String>,
}

pub(crate) fn error(rule: &'static str, clause: &'static str, message: impl Into<String>) -> Finding {
    Finding { rule, severity: Severity::Error, clause, message: message.into() }
}

/// Longest certificate judged, in octets.
pub(crate) const CERTIFICATE_LIMIT: usize = 64 * 1024;

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    if der.len() > CERTIFICATE_LIMIT {
        return Err(format!("{} octets are more than a certificate may have", der.len()));
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(format!("{} octets follow the certificate", rest.len())),
        Err(_) => Err("the DER is not a certificate".into()),
    }
}

/// Every rule that the certificate breaks. `issuer` is `None` for a root.
/// The signature's value is not looked at, so that a twin signed by another key can be judged.
pub fn lint_certificate(der: &[u8], issuer: Option<&Issuer>, profile: &ProfileFacts) -> Vec<Finding> {
    let certificate = match parse(der) {
        Ok(certificate) => certificate,
        Err(why) => return vec![error("certificate-parses", "rfc5280#4.1", why)],
    };
    let case = Case { der, certificate, issuer, facts: profile };
    rules::ALL
        .iter()
        .filter_map(|rule| (rule.check)(&case).err().map(|message| error(rule.name, rule.clause, message)))
        .collect()
}
