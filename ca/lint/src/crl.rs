//! The rules of certificate revocation lists.

use crate::{Finding, error, parse};
use std::collections::HashSet;
use x509_parser::extensions::ParsedExtension as Parsed;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// Every rule that the list breaks, with its issuer's certificate at hand. The signature's value is not looked at.
pub fn lint_crl(der: &[u8], issuer: &[u8]) -> Vec<Finding> {
    let crl = match CertificateRevocationList::from_der(der) {
        Ok(([], crl)) => crl,
        _ => return vec![error("crl-parses", "rfc5280#5.1", "the DER is not exactly one CRL")],
    };
    let issuer = match parse(issuer) {
        Ok(issuer) => issuer,
        Err(why) => return vec![error("issuer-parses", "rfc5280#4.1", why)],
    };
    let list = &crl.tbs_cert_list;
    let mut found = Vec::new();
    let mut rule = |holds: bool, name, clause, message: &str| {
        if !holds {
            found.push(error(name, clause, message));
        }
    };
    let strict = crate::der::canonical(der);
    rule(strict.is_ok(), "der-canonical", "x690#10", strict.err().as_deref().unwrap_or_default());
    let listed = crate::der::elements(list.as_ref()).map(|parts| parts.iter().all(|(tag, value)| *tag != 0x30 || !value.is_empty()));
    rule(listed != Ok(false) || list.issuer.as_raw().len() <= 2, "crl-no-empty-list", "rfc5280#5.1.2.6", "the list of the revoked is empty: leave it out");
    rule(list.version.is_some_and(|version| version.0 == 1), "crl-version-is-2", "rfc5280#5.1.2.1", "the version is not 2");
    rule(crl.signature_algorithm == list.signature, "crl-algorithms-equal", "rfc5280#5.1.1.2", "the signature algorithms differ");
    rule(list.issuer.as_raw() == issuer.subject().as_raw(), "crl-issuer", "rfc5280#5.1.2.3", "the issuer is not the issuer's subject");
    let later = list.next_update.is_some_and(|next| next.timestamp() > list.this_update.timestamp());
    rule(later, "crl-next-update", "rfc5280#5.1.2.5", "nextUpdate is missing or not after thisUpdate");
    let number = list.extensions().iter().any(|one| !one.critical && matches!(one.parsed_extension(), Parsed::CRLNumber(_)));
    rule(number, "crl-number", "rfc5280#5.2.3", "the CRL number is missing or critical");
    let own_key = issuer.extensions().iter().find_map(|one| match one.parsed_extension() {
        Parsed::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    });
    let named = list.extensions().iter().find_map(|one| match one.parsed_extension() {
        Parsed::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    rule(named.is_some() && named == own_key, "crl-authority-key", "rfc5280#5.2.1", "the authority key identifier is not the issuer's");
    let partition = list.extensions().iter().find(|one| one.oid.to_id_string() == "2.5.29.28");
    rule(partition.is_none_or(|one| one.critical), "crl-distribution-point", "rfc5280#5.2.5", "the distribution point is not critical");
    let mut serials = HashSet::with_capacity(list.revoked_certificates.len());
    let unique = list.revoked_certificates.iter().all(|entry| serials.insert(entry.raw_serial()));
    rule(unique, "crl-serials-unique", "rfc5280#5.3", "a serial is there twice");
    let reasons = list.revoked_certificates.iter().flat_map(|entry| entry.extensions()).all(|one| match one.parsed_extension() {
        Parsed::ReasonCode(code) => !one.critical && matches!(code.0, 1..=6 | 8..=10),
        _ => one.parsed_extension().error().is_none(),
    });
    rule(reasons, "crl-reasons", "rfc5280#5.3.1", "a reason is 0, not defined or critical");
    found
}
