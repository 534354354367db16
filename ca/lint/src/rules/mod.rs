//! The tables of rules, one rule a file, in the order in which they are reported.

pub(crate) mod crl;
mod rfc5280;
mod rfc5480;
mod rfc6960;
mod suiyin;
mod x690;

use std::collections::BTreeSet;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension};

use crate::Rule;

/// Every rule of certificates.
pub(crate) const ALL: &[Rule] = &[
    x690::der_canonical::RULE,
    rfc5280::version_is_3::RULE,
    rfc5280::serial::RULE,
    rfc5280::signature_algorithms::RULE,
    rfc5280::issuer_name::RULE,
    rfc5280::time_encoding::RULE,
    rfc5280::validity::RULE,
    rfc5280::name_strings::RULE,
    rfc5480::key_allowed::RULE,
    rfc5280::no_unique_identifiers::RULE,
    rfc5280::extensions::RULE,
    rfc5280::criticality::RULE,
    rfc5280::key_identifiers::RULE,
    rfc5280::key_cert_sign::RULE,
    rfc5280::no_any_usage::RULE,
    rfc5280::addresses::RULE,
    rfc5280::alternative_names::RULE,
    rfc6960::ocsp_signer::RULE,
    suiyin::profile_extensions::RULE,
    suiyin::profile_subject::RULE,
    suiyin::profile_validity::RULE,
    suiyin::profile_usage::RULE,
    suiyin::profile_policies::RULE,
    suiyin::profile_email::RULE,
    suiyin::credit_code::RULE,
];

/// The rule's condition, or what to say when it does not hold.
pub(crate) fn require(holds: bool, message: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message.to_owned()) }
}

/// The subject key identifier.
pub(crate) fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// Extended key usages as dotted OIDs.
pub(crate) fn usages(usage: &ExtendedKeyUsage<'_>) -> BTreeSet<String> {
    let named = [
        (usage.any, "2.5.29.37.0"), (usage.server_auth, "1.3.6.1.5.5.7.3.1"), (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"), (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"), (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let named = named.iter().filter(|(is, _)| *is).map(|(_, oid)| (*oid).to_owned());
    named.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect()
}
