//! The key that signs evidence: the gateway's own, certified by the CA like anybody's, for nothing else.

use pki::signer::SignatureAlgorithm;
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};
use time::OffsetDateTime;

use super::EvidenceError;
use crate::bureau::trust::{self, Purpose};
use crate::gateway::{Gateway, unix_millis};
use crate::record::body;
use crate::record::event::{Certificate, Event};
use crate::record::evidence::{KEYS, Signer, key_name};

/// What signs from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Installed {
    pub organization: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub certificate: String,
    /// Unix seconds.
    pub until: i64,
}

/// A new key and a request for it, PEM. The one in use stays until its successor is installed.
pub fn request(gateway: &Gateway, organization: &str) -> Result<String, EvidenceError> {
    let mut batch = Batch::new();
    let slot = batch.next(KEYS);
    let number = gateway.store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
    let key = gateway.keys.generate(&key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
    let subject = [(rcgen::DnType::CountryName, "CN".to_owned()), (rcgen::DnType::OrganizationName, organization.to_owned())];
    Ok(key.request(Vec::new(), &subject).map_err(crate::tls::TlsError::from)?)
}

/// Takes a chain into use: 1 current, of an organisation · 2 of a key made here · 3 trusted for evidence and not revoked ·
/// 4 durable, with its leaf of the log.
pub fn install(gateway: &Gateway, lists: &RevocationLists, pem: &[u8], now: OffsetDateTime) -> Result<Installed, EvidenceError> {
    // 1
    let (chain, facts) = trust::chain(pem, Purpose::Evidence, now)?;
    // 2
    let made = gateway.store.counter(KEYS)?;
    let public_key = trust::public_key_info(&chain, Purpose::Evidence)?;
    let key = crate::tls::made_here(&gateway.keys, made, key_name, &public_key).ok_or(EvidenceError::OtherKey)?;
    // 3: nothing is fetched from where a certificate says before the certificate itself is believed.
    gateway.anchors.trusted_but_for_revocation(&chain, Purpose::Evidence, now)?;
    let trusted = gateway.anchors.trusted(&chain, Purpose::Evidence, &lists.fetch(&facts.crl_urls, now)?, now)?;
    // 4
    let until = trusted.facts().not_after.unix_timestamp();
    let certificate = crate::hex(&body::digest(chain.leaf()));
    let mut batch = Batch::new().put(Signer::key(), Signer { key, chain }.encode()?);
    Event::EvidenceSignerSet(Certificate { sha256: certificate.clone() }).append(&mut batch, unix_millis(now))?;
    gateway.store.commit(batch)?;
    Ok(Installed { organization: facts.organization, certificate, until })
}
