//! What this certificate's own profile promised: exactly that, no more.

use super::require;
use crate::Case;
use std::collections::BTreeSet;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension as Parsed};

pub(super) fn extensions(case: &Case<'_>) -> Result<(), String> {
    let found: BTreeSet<String> = case.certificate.extensions().iter().map(|one| one.oid.to_id_string()).collect();
    let expected: BTreeSet<String> = case.facts.extensions.iter().cloned().collect();
    let differ: Vec<_> = found.symmetric_difference(&expected).cloned().collect();
    if differ.is_empty() { Ok(()) } else { Err(format!("extensions missing or too many: {}", differ.join(", "))) }
}

pub(super) fn subject(case: &Case<'_>) -> Result<(), String> {
    let mut found = case.certificate.subject().iter_attributes();
    let equal = case.facts.subject.iter().all(|(oid, value)| {
        found.next().is_some_and(|one| one.attr_type().to_id_string() == *oid && one.as_str().is_ok_and(|text| text == value))
    });
    require(equal && found.next().is_none(), "the subject is not the planned attributes in order")
}

pub(super) fn validity(case: &Case<'_>) -> Result<(), String> {
    let validity = case.certificate.validity();
    // Both ends are included.
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp() + 1;
    require(seconds <= case.facts.max_validity_seconds, "the validity is longer than the profile's")
}

pub(super) fn usages(usage: &ExtendedKeyUsage<'_>) -> BTreeSet<String> {
    let named = [
        (usage.any, "2.5.29.37.0"), (usage.server_auth, "1.3.6.1.5.5.7.3.1"), (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"), (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"), (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let named = named.iter().filter(|(is, _)| *is).map(|(_, oid)| (*oid).to_owned());
    named.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect()
}

pub(super) fn usage(case: &Case<'_>) -> Result<(), String> {
    let facts = case.facts;
    let constraints = case.certificate.basic_constraints().ok().flatten().map(|found| found.value);
    let ca = constraints.is_some_and(|found| found.ca);
    let path_len = constraints.and_then(|found| found.path_len_constraint);
    require(ca == facts.ca && path_len == facts.path_len, "basic constraints are not the profile's")?;
    let flags = case.certificate.key_usage().ok().flatten().map_or(0, |found| found.value.flags);
    require(flags == facts.key_usage, "key usage is not the profile's")?;
    let found = case.certificate.extended_key_usage().ok().flatten().map(|found| usages(found.value)).unwrap_or_default();
    require(found == facts.extended_key_usage.iter().cloned().collect(), "extended key usage is not the profile's")
}

pub(super) fn policies(case: &Case<'_>) -> Result<(), String> {
    let found: Vec<String> = case.certificate.extensions().iter().flat_map(|one| match one.parsed_extension() {
        Parsed::CertificatePolicies(policies) => policies.iter().map(|policy| policy.policy_id.to_id_string()).collect(),
        _ => Vec::new(),
    }).collect();
    require(found.iter().collect::<BTreeSet<_>>().len() == found.len(), "a policy is there twice")?;
    require(found == case.facts.policies, "the policies are not the profile's")
}

pub(super) fn email(case: &Case<'_>) -> Result<(), String> {
    let names = case.certificate.subject_alternative_name().ok().flatten();
    let there = names.is_some_and(|names| names.value.general_names.iter().any(|name| matches!(name, GeneralName::RFC822Name(_))));
    require(there || !case.facts.email_required, "the profile asks for a mail address")
}

/// The code in the extension is the last part of organizationIdentifier, after its scheme and a hyphen.
pub(super) fn credit_code(case: &Case<'_>) -> Result<(), String> {
    let Some(extension) = case.certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.2.156.10260.4.1.4") else {
        return Ok(());
    };
    let code = match extension.value {
        [0x13, length, code @ ..] if usize::from(*length) == code.len() => code,
        _ => return Err("the credit code is not a PrintableString".into()),
    };
    let named = case.certificate.subject().iter_attributes().find(|one| one.attr_type().to_id_string() == "2.5.4.97");
    let equal = named.and_then(|one| one.as_str().ok()).is_some_and(|text| {
        text.rsplit('-').next().is_some_and(|last| last.as_bytes() == code)
    });
    require(equal, "the credit code is not the organization identifier's")
}
