//! Exactly the planned addresses: of status, issuer, list and practice statement.

use crate::rules::{is, require};
use crate::{Case, Rule};
use const_oid::ObjectIdentifier as Oid;
use x509_parser::extensions::{AccessDescription, CRLDistributionPoint, DistributionPointName, GeneralName, ParsedExtension as Parsed, PolicyInformation};

const OCSP: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.2");
const CPS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.2.1");

pub(crate) const RULE: Rule = Rule { name: "profile-addresses", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let facts = case.facts;
    let access: Vec<(Oid, &String)> = facts.ocsp_urls.iter().map(|url| (OCSP, url)).chain(facts.issuer_urls.iter().map(|url| (CA_ISSUERS, url))).collect();
    for extension in case.certificate.extensions() {
        match extension.parsed_extension() {
            Parsed::AuthorityInfoAccess(found) => require(points_at(&found.accessdescs, &access), "the access addresses are not the planned ones")?,
            Parsed::CRLDistributionPoints(found) => require(one_whole_list(&found.points, &facts.crl_urls), "the list's address is not the planned one, or of a part")?,
            Parsed::CertificatePolicies(found) => {
                require(found.iter().all(|policy| stated(policy, facts.cps_uri.as_deref())), "a policy's practice statement is not the planned one")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_url(name: &GeneralName<'_>, url: &str) -> bool {
    matches!(name, GeneralName::URI(found) if *found == url)
}

fn points_at(found: &[AccessDescription<'_>], planned: &[(Oid, &String)]) -> bool {
    found.len() == planned.len() && found.iter().zip(planned).all(|(one, (method, url))| is(&one.access_method, *method) && is_url(&one.access_location, url))
}

/// One point that names the whole list: all reasons, signed by the issuer itself.
fn one_whole_list(points: &[CRLDistributionPoint<'_>], urls: &[String]) -> bool {
    match points {
        [CRLDistributionPoint { distribution_point: Some(DistributionPointName::FullName(names)), reasons: None, crl_issuer: None }] => {
            names.len() == urls.len() && names.iter().zip(urls).all(|(name, url)| is_url(name, url))
        }
        _ => false,
    }
}

/// The one qualifier is the practice statement's address, an IA5String.
fn stated(policy: &PolicyInformation<'_>, uri: Option<&str>) -> bool {
    match (policy.policy_qualifiers.as_deref(), uri) {
        (None, None) => true,
        (Some([one]), Some(uri)) => {
            let text = match one.qualifier {
                [0x16, length, text @ ..] if *length < 0x80 && usize::from(*length) == text.len() => text,
                [0x16, 0x81, length, text @ ..] if usize::from(*length) == text.len() => text,
                _ => return false,
            };
            is(&one.policy_qualifier_id, CPS) && text == uri.as_bytes()
        }
        _ => false,
    }
}
