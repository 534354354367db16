//! The tables of rules, one rule a file, in the order in which they are reported.

pub(crate) mod crl;
mod rfc3161;
mod rfc5280;
mod rfc5480;
mod rfc6960;
mod suiyin;
mod x690;

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier as Oid;
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
    x690::named_bits::RULE,
    rfc5280::key_cert_sign::RULE,
    rfc5280::no_any_usage::RULE,
    rfc5280::addresses::RULE,
    rfc5280::alternative_names::RULE,
    rfc5280::constrained_names::RULE,
    rfc6960::ocsp_signer::RULE,
    rfc3161::timestamp_signer::RULE,
    suiyin::profile_extensions::RULE,
    suiyin::profile_subject::RULE,
    suiyin::profile_validity::RULE,
    suiyin::profile_key_period::RULE,
    suiyin::profile_usage::RULE,
    suiyin::profile_policies::RULE,
    suiyin::profile_names::RULE,
    suiyin::profile_constraints::RULE,
    suiyin::profile_addresses::RULE,
    suiyin::profile_key::RULE,
    suiyin::credit_code::RULE,
];

/// The rule's condition, or what to say when it does not hold.
pub(crate) fn require(holds: bool, message: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message.to_owned()) }
}

/// Whether the parser's identifier is this one.
pub(crate) fn is(found: &x509_parser::der_parser::asn1_rs::Oid<'_>, wanted: Oid) -> bool {
    found.as_bytes() == wanted.as_bytes()
}

/// The subject key identifier.
pub(crate) fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// Extended key usages, each as the octets of its identifier.
pub(crate) fn usages<'a>(usage: &'a ExtendedKeyUsage<'_>) -> BTreeSet<&'a [u8]> {
    static NAMED: [Oid; 7] = [
        Oid::new_unwrap("2.5.29.37.0"), Oid::new_unwrap("1.3.6.1.5.5.7.3.1"), Oid::new_unwrap("1.3.6.1.5.5.7.3.2"), Oid::new_unwrap("1.3.6.1.5.5.7.3.3"),
        Oid::new_unwrap("1.3.6.1.5.5.7.3.4"), Oid::new_unwrap("1.3.6.1.5.5.7.3.8"), Oid::new_unwrap("1.3.6.1.5.5.7.3.9"),
    ];
    let there = [usage.any, usage.server_auth, usage.client_auth, usage.code_signing, usage.email_protection, usage.time_stamping, usage.ocsp_signing];
    let named = NAMED.iter().zip(there).filter(|(_, there)| *there).map(|(oid, _)| oid.as_bytes());
    named.chain(usage.other.iter().map(|oid| oid.as_bytes())).collect()
}
