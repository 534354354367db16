//! An issuing authority's certificate by the root: one plan for who signs it where the root's key is and for who takes
//! it in where the authority runs.

use pki::certificate::CertificatePlan;
use pki::request::Request;
use policies::certificate::{Applicant, AuthorityName, HostName, IssuerFacts, Policies, RequestFacts};
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::plan::{MOST_MAIL_DOMAINS, certificate_plan, expected, key_algorithm, requested_names};
use crate::authority::{Addresses, Issuer};
use crate::problem::IssueError;

/// The profile of issuing authorities.
pub const ISSUING: &str = "issuing";

/// What an authority is to be certified as.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub not_before: OffsetDateTime,
    /// Inclusive.
    pub not_after: OffsetDateTime,
    /// What its names are bound to; none: to nothing.
    pub mail_domains: &'a [HostName],
    pub request: &'a Request,
}

#[derive(Debug, thiserror::Error)]
pub enum CertifiedError {
    #[error("the dates do not lie within those of the root, or their order is wrong; correct them")]
    Dates,
    #[error("the dates span more than the {days} days of the profile; correct them")]
    TooLong { days: u16 },
    #[error("what was certified breaks the rules: {}; have it certified anew", findings.join("; "))]
    Lint { findings: Vec<String> },
    #[error("the certificate is not signed by the root here; give the one that its key made")]
    NotByRoot,
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// The plan by the profile, with the dates that were decided, and what the lints must find. Pure.
pub fn plan(policies: &Policies, addresses: &Addresses, root: &Issuer, wanted: &Wanted<'_>) -> Result<(CertificatePlan, lint::ProfileFacts), CertifiedError> {
    let known = || policies.profiles().map(|profile| profile.name().to_owned()).collect();
    let profile = policies.profile(ISSUING).ok_or_else(|| IssueError::UnknownProfile { profile: ISSUING.into(), known: known() })?;
    // Dates are people's decision within the root's and the profile's; the profile alone would give its whole length.
    let (from, until) = (wanted.not_before, wanted.not_after);
    if from < root.not_before || until > root.not_after || until <= from {
        return Err(CertifiedError::Dates);
    }
    if until - from >= Duration::days(profile.days().into()) {
        return Err(CertifiedError::TooLong { days: profile.days() });
    }
    let name = AuthorityName::parse(wanted.name).map_err(|error| IssueError::Word { field: "name", error })?;
    let requested = requested_names(wanted.request)?;
    let facts = RequestFacts { key: key_algorithm(wanted.request), subject: &wanted.request.subject, alternative_names: &requested, asks_for_ca: false };
    let by = root.facts()?;
    let by = IssuerFacts { not_after: by.not_after.max(from + Duration::days(profile.days().into())), ..by };
    let mut decided = profile.decide(&Applicant::Authority { name }, &facts, Some(&by), from).map_err(IssueError::from)?;
    (decided.not_before, decided.not_after) = (from, until);
    decided.mail_domains = wanted.mail_domains.to_vec();
    let plan = certificate_plan(&decided, Some(root), addresses, wanted.request.spki.clone())?;
    let facts = expected(&decided, &plan);
    Ok((plan, facts))
}

/// A certificate that came back: by the root's key, and all that the plan says.
pub fn check(der: &[u8], root: &Issuer, facts: &lint::ProfileFacts) -> Result<(), CertifiedError> {
    let (rest, read) = X509CertificateParser::new().with_deep_parse_extensions(false).parse(der).map_err(|_| CertifiedError::NotByRoot)?;
    let (_, key) = SubjectPublicKeyInfo::from_der(&root.public_key_info).map_err(|_| CertifiedError::NotByRoot)?;
    if !rest.is_empty() || read.issuer().as_raw() != root.name || read.verify_signature(Some(&key)).is_err() {
        return Err(CertifiedError::NotByRoot);
    }
    let findings = lint::lint_certificate(der, root.linted.as_ref(), facts);
    let told = |finding: &lint::Finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause);
    let wrong: Vec<String> = findings.iter().filter(|finding| finding.severity == lint::Severity::Error).map(told).collect();
    if wrong.is_empty() { Ok(()) } else { Err(CertifiedError::Lint { findings: wrong }) }
}

/// The mail domains that an authority's certificate binds its names to; none where it binds them to nothing. What else a
/// constraint may say is judged by the lints.
pub fn bound_to(der: &[u8]) -> Vec<HostName> {
    let Ok((_, read)) = X509Certificate::from_der(der) else { return Vec::new() };
    let domains = read.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(found) => found.permitted_subtrees.as_ref(),
        _ => None,
    });
    let mail = domains.flatten().filter_map(|one| match &one.base {
        GeneralName::RFC822Name(domain) => HostName::parse(domain).ok(),
        _ => None,
    });
    mail.take(MOST_MAIL_DOMAINS).collect()
}
