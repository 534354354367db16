//! A new root, and the certificates by which two roots vouch for each other.
//!
//! A root's next generation has the root's own subject and a key of its own. The certificates across are then
//! self-issued, so they take nothing of the one level that a root allows below it.
// spec: rfc4210#4.4; rfc5280#6.1.4 (l)

use pki::certificate::CertificatePlan;
use pki::signer::SignatureAlgorithm;
use policies::certificate::{Applicant, AuthorityName, KeyAlgorithm, Plan, Pointers, Policies, RequestFacts};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::CeremonyError;
use crate::authority::{Addresses, Issuer, ROOT};
use crate::flow::certified::CertifiedError;
use crate::flow::plan::{certificate_plan, expected};
use crate::problem::IssueError;
use crate::record::{Generation, IssuerRecord};

/// The profile of roots.
const PROFILE: &str = "root";
/// An authority vouches for all that the other one certifies, as an issuing authority does.
const ANY_POLICY: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// From when and until when, inclusive.
#[derive(Clone, Copy)]
pub struct Dates {
    pub from: OffsetDateTime,
    pub until: OffsetDateTime,
}

/// A key pair's public half that is kept nowhere: what is to be is judged with it before a key is born.
pub fn passing_key() -> Result<Vec<u8>, CeremonyError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).map_err(|_| IssueError::Randomness)?;
    Ok(rcgen::PublicKeyData::subject_public_key_info(&pair))
}

fn decided(policies: &Policies, name: &str, dates: Dates) -> Result<Plan, CertifiedError> {
    let known = || policies.profiles().map(|profile| profile.name().to_owned()).collect();
    let profile = policies.profile(PROFILE).ok_or_else(|| IssueError::UnknownProfile { profile: PROFILE.into(), known: known() })?;
    let name = AuthorityName::parse(name).map_err(|error| IssueError::Word { field: "name", error })?;
    let facts = RequestFacts { key: KeyAlgorithm::P384, subject: &[], alternative_names: &[], asks_for_ca: false };
    let mut plan = profile.decide(&Applicant::Authority { name }, &facts, None, dates.from).map_err(IssueError::from)?;
    if dates.until <= dates.from {
        return Err(CertifiedError::Dates);
    }
    // The profile gives its whole length; people decide within it.
    if dates.until > plan.not_after {
        return Err(CertifiedError::TooLong { days: profile.days() });
    }
    (plan.not_before, plan.not_after) = (dates.from, dates.until);
    Ok(plan)
}

/// A root that signs itself, by the profile. Pure.
pub fn root(policies: &Policies, addresses: &Addresses, name: &str, dates: Dates, public_key_info: &[u8]) -> Result<(CertificatePlan, lint::ProfileFacts), CeremonyError> {
    let decided = decided(policies, name, dates)?;
    let plan = certificate_plan(&decided, None, addresses, public_key_info.to_vec())?;
    let facts = expected(&decided, &plan);
    Ok((plan, facts))
}

/// `root` vouches for the key of the other one, within the dates of both. Pure.
pub fn cross(policies: &Policies, addresses: &Addresses, root: &Issuer, other: &Issuer, dates: Dates) -> Result<(CertificatePlan, lint::ProfileFacts), CeremonyError> {
    if other.public_key_info == root.public_key_info {
        return Err(CeremonyError::Across("both have one key"));
    }
    if other.name != root.name {
        return Err(CeremonyError::Across("they have two subjects, and a path through both would be longer than a root allows"));
    }
    if dates.from < root.not_before.max(other.not_before) || dates.until > root.not_after.min(other.not_after) {
        return Err(CertifiedError::Dates.into());
    }
    let (_, read) = X509Certificate::from_der(&other.record.der).map_err(|_| CeremonyError::NoRoot("it cannot be read"))?;
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).ok_or(CeremonyError::Across("the other one has no name"))?;
    let mut decided = decided(policies, name, dates)?;
    // What another root must be told by a certificate of it, beyond what a root says of itself.
    decided.policies = vec![ANY_POLICY];
    decided.cps_path = Some("/cps".into());
    decided.pointers = Pointers { ocsp: false, issuer_certificate: true, crl: true };
    let plan = certificate_plan(&decided, Some(root), addresses, other.public_key_info.clone())?;
    if plan.subject.to_der() != root.name {
        return Err(CeremonyError::Across("their subject is not the one of the profile"));
    }
    let facts = expected(&decided, &plan);
    Ok((plan, facts))
}

/// A root as those beneath it will see it, before its key signed anything: name, key and dates do not depend on that.
pub fn twin(tbs: &[u8], id: &str) -> Result<Issuer, CeremonyError> {
    let der = crate::throwaway::sign(SignatureAlgorithm::EcdsaP384Sha384, tbs)?;
    Ok(Issuer::new(published(id, der), None, None)?)
}

/// A root as policies know it, whatever its addresses call it; which generation it is only the authority knows.
fn published(id: &str, der: Vec<u8>) -> IssuerRecord {
    let later = (id != ROOT).then(|| Generation { of: ROOT.to_owned(), number: 2 });
    IssuerRecord { generation: later, ..IssuerRecord::new(id, der) }
}

/// The days that two roots have in common.
pub fn both(one: &Issuer, other: &Issuer) -> Result<Dates, CeremonyError> {
    let dates = Dates { from: one.not_before.max(other.not_before), until: one.not_after.min(other.not_after) };
    if dates.from < dates.until { Ok(dates) } else { Err(CeremonyError::Across("they have no day in common")) }
}

/// A certificate that signs itself as an authority; `id` is what its addresses call it.
pub fn signs_itself(der: &[u8], id: &str) -> Result<Issuer, CeremonyError> {
    let Ok(([], read)) = X509Certificate::from_der(der) else { return Err(CeremonyError::NoRoot("it cannot be read")) };
    if read.subject().as_raw() != read.issuer().as_raw() || read.verify_signature(None).is_err() || !read.is_ca() {
        return Err(CeremonyError::NoRoot("it does not sign itself as an authority"));
    }
    let root = Issuer::new(published(id, der.to_vec()), None, None)?;
    // Also of a key that is none of those refused.
    root.algorithm()?;
    Ok(root)
}

/// A new root as it will be read: signed by its own key, and all that the plan says.
pub fn check(der: &[u8], facts: &lint::ProfileFacts) -> Result<(), CeremonyError> {
    let root = signs_itself(der, ROOT)?;
    if root.public_key_info != facts.public_key {
        return Err(CeremonyError::OtherKey);
    }
    let told = |finding: &lint::Finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause);
    let wrong: Vec<String> = lint::lint_certificate(der, None, facts).iter().filter(|finding| finding.severity == lint::Severity::Error).map(told).collect();
    if wrong.is_empty() { Ok(()) } else { Err(CertifiedError::Lint { findings: wrong }.into()) }
}
