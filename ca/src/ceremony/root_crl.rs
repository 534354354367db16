//! The root's list, signed where the root's key is: in a ceremony, and nowhere else.

use keys::KeyHandle;
use pki::crl::CrlPlan;
use pki::signer::{SignatureAlgorithm, Signer};
use time::Duration;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::authority::Issuer;
use crate::problem::IssueError;

/// The number of a root's first list.
pub const FIRST: u64 = 1;

#[derive(Debug, thiserror::Error)]
pub enum RootCrlError {
    #[error("this is no list of this root; prepare one with `ca crl root prepare`")]
    Strange,
    #[error("this list has the number {found}, not the one that was reviewed; have the file corrected and reviewed again")]
    Number { found: String },
    #[error("the root's key could not sign: {0}; try again")]
    Sign(#[from] pki::signer::SignError),
    #[error("the signature made does not fit the root's key, so nothing was written; have the key store examined")]
    WrongSignature,
}

/// Only what is a list of this very root: nobody's certificate gets a signature here. Judged with a signature over
/// nothing, before there is one over this.
pub fn judge(tbs: &[u8], algorithm: SignatureAlgorithm, public_key_info: &[u8], number: Option<u64>) -> Result<(), RootCrlError> {
    let der = pki::certificate::assemble(tbs, algorithm, &[]);
    let Ok(([], list)) = CertificateRevocationList::from_der(&der) else { return Err(RootCrlError::Strange) };
    let named = list.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    let own = pki::certificate::key_id(public_key_info).ok();
    if list.tbs_cert_list.as_ref() != tbs || named.is_none() || named != own {
        return Err(RootCrlError::Strange);
    }
    match (number, list.crl_number()) {
        (Some(wanted), Some(found)) if found.to_string() != wanted.to_string() => Err(RootCrlError::Number { found: found.to_string() }),
        (Some(_), None) => Err(RootCrlError::Strange),
        _ => Ok(()),
    }
}

/// The first list of a root that is founded: nobody is on it. `valid` is in seconds. Pure: it begins with the root itself,
/// which people reviewed, and not when the clock of a machine without a network says.
pub fn first(root: &Issuer, valid: i64) -> Result<Vec<u8>, IssueError> {
    let this_update = root.not_before;
    let plan = CrlPlan {
        issuer: root.name.clone(),
        this_update,
        next_update: this_update + Duration::seconds(valid),
        number: FIRST,
        authority_key_id: root.key_id.clone(),
        distribution_point: None,
        delta_of: None,
        freshest: None,
    };
    Ok(pki::crl::build_tbs(&plan, root.algorithm()?, []))
}

/// The list under the root's key.
pub fn sign(tbs: &[u8], key: &KeyHandle) -> Result<Vec<u8>, RootCrlError> {
    judge(tbs, Signer::algorithm(key), Signer::public_key_info(key), None)?;
    let der = pki::certificate::assemble(tbs, Signer::algorithm(key), &Signer::sign(key, tbs)?);
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| RootCrlError::Strange)?;
    let (_, own) = SubjectPublicKeyInfo::from_der(Signer::public_key_info(key)).map_err(|_| RootCrlError::Strange)?;
    list.verify_signature(&own).map_err(|_| RootCrlError::WrongSignature)?;
    Ok(der)
}
