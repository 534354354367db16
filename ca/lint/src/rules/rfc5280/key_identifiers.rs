//! Both key identifiers are there, and the authority's is the issuer's own and nothing else.

use crate::rules::{require, subject_key};
use crate::{Case, Rule};
use x509_parser::extensions::ParsedExtension as Parsed;

pub(crate) const RULE: Rule = Rule { name: "key-identifiers", clause: "rfc5280#4.2.1.1", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    require(subject_key(&case.certificate).is_some(), "there is no subject key identifier")?;
    let authority = case.certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        Parsed::AuthorityKeyIdentifier(id) if id.authority_cert_issuer.is_none() && id.authority_cert_serial.is_none() => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    match case.issuer {
        Some(issuer) => require(authority.is_some() && authority == issuer.key_id.as_deref(), "the authority key identifier is not the issuer's"),
        None => require(authority.is_none() || authority == subject_key(&case.certificate), "a root names another authority key"),
    }
}
