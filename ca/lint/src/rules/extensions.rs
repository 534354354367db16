//! The extensions by RFC 5280.

use super::require;
use crate::Case;
use std::collections::BTreeSet;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension as Parsed};

pub(super) fn parse_and_unique(case: &Case<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for extension in case.certificate.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.parsed_extension().error().is_some() {
            return Err(format!("extension {oid} is not well formed"));
        }
        if extension.critical && extension.parsed_extension().unsupported() {
            return Err(format!("extension {oid} is critical and not known"));
        }
        if !seen.insert(oid) {
            return Err(format!("extension {} is there twice", extension.oid.to_id_string()));
        }
    }
    Ok(())
}

pub(super) fn criticality(case: &Case<'_>) -> Result<(), String> {
    for extension in case.certificate.extensions() {
        let right = match extension.parsed_extension() {
            Parsed::BasicConstraints(_) | Parsed::KeyUsage(_) => extension.critical,
            Parsed::SubjectAlternativeName(_) => extension.critical == case.certificate.subject().iter().next().is_none(),
            Parsed::ExtendedKeyUsage(_) => true,
            _ => !extension.critical,
        };
        if !right {
            return Err(format!("extension {} is wrongly critical or not", extension.oid.to_id_string()));
        }
    }
    Ok(())
}

fn subject_key<'a>(certificate: &'a x509_parser::certificate::X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        Parsed::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

pub(super) fn key_identifiers(case: &Case<'_>) -> Result<(), String> {
    require(subject_key(&case.certificate).is_some(), "there is no subject key identifier")?;
    let authority = case.certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        Parsed::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    match &case.issuer {
        Some(issuer) => require(authority.is_some() && authority == subject_key(issuer), "the authority key identifier is not the issuer's"),
        None => require(authority.is_none() || authority == subject_key(&case.certificate), "a root names another authority key"),
    }
}

pub(super) fn key_cert_sign(case: &Case<'_>) -> Result<(), String> {
    let constraints = case.certificate.basic_constraints().ok().flatten().map(|found| found.value);
    let ca = constraints.is_some_and(|found| found.ca);
    let usage = case.certificate.key_usage().ok().flatten().ok_or("there is no key usage")?;
    require(usage.value.key_cert_sign() == ca, "keyCertSign and cA do not go together")?;
    require(ca || constraints.is_none_or(|found| found.path_len_constraint.is_none()), "a path length without cA")
}

pub(super) fn no_any_usage(case: &Case<'_>) -> Result<(), String> {
    let usage = case.certificate.extended_key_usage().ok().flatten();
    require(usage.is_none_or(|usage| !usage.value.any), "anyExtendedKeyUsage is there")
}

pub(super) fn addresses(case: &Case<'_>) -> Result<(), String> {
    let http = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => {
            let rest = uri.strip_prefix("http://");
            uri.bytes().all(|byte| byte.is_ascii_graphic()) && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        }
        _ => false,
    };
    for extension in case.certificate.extensions() {
        let right = match extension.parsed_extension() {
            Parsed::AuthorityInfoAccess(access) => access.accessdescs.iter().all(|one| http(&one.access_location)),
            Parsed::CRLDistributionPoints(points) => points.points.iter().all(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => names.iter().all(http),
                _ => false,
            }),
            _ => true,
        };
        require(right, "a revocation or issuer address is not an http URL")?;
    }
    Ok(())
}

pub(super) fn alternative_names(case: &Case<'_>) -> Result<(), String> {
    let Some(names) = case.certificate.subject_alternative_name().ok().flatten() else {
        return require(case.certificate.subject().iter().next().is_some(), "neither a subject nor alternative names");
    };
    require(!names.value.general_names.is_empty(), "there are no alternative names in the extension")?;
    let right = names.value.general_names.iter().all(|name| match name {
        GeneralName::RFC822Name(text) => text.split_once('@').is_some_and(|(l, d)| !l.is_empty() && !d.is_empty() && text.is_ascii()),
        GeneralName::DNSName(text) | GeneralName::URI(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
        GeneralName::IPAddress(octets) => matches!(octets.len(), 4 | 16),
        _ => false,
    });
    require(right, "an alternative name is not ASCII or not of a kind we issue")
}

pub(super) fn ocsp_signer(case: &Case<'_>) -> Result<(), String> {
    let Some(usage) = case.certificate.extended_key_usage().ok().flatten() else { return Ok(()) };
    if !usage.value.ocsp_signing {
        return Ok(());
    }
    let no_check = case.certificate.extensions().iter().any(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.48.1.5");
    require(no_check && super::profile::usages(usage.value).len() == 1, "an OCSP signer needs id-pkix-ocsp-nocheck and no other usage")
}
