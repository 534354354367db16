//! What a bureau seals with: a key made here, a request like anyone's, the certificate once it is issued.

use std::ops::RangeInclusive;
use std::sync::Arc;

use keys::KeyHandle;
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use pki::view::CertificateView;
use policies::desk::{Bureau, BureauCode};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};
use time::OffsetDateTime;

use super::Desk;
use super::problem::DeskError;
use super::record::bureau::{Chain, SEAL_KEYS, Sealing};
use super::record::event::Event;
use super::tls::{self, CertificateError};

/// A bureau's seal, ready to use.
pub struct Seal {
    pub plan: SignerPlan,
    pub key: KeyHandle,
    pub chain: Chain,
    /// SHA-256 of its certificate, hexadecimal.
    pub thumbprint: String,
    /// When its certificate is valid, both ends included.
    pub valid: RangeInclusive<OffsetDateTime>,
}

/// A bureau as commands show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownBureau {
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub kinds: Vec<String>,
    pub hotline: String,
    /// Until when its sealing certificate is valid, Unix seconds; none without one.
    pub seal_until: Option<i64>,
    /// The address its receipts come from.
    pub address: Option<String>,
}

fn known<'a>(desk: &'a Desk, code: &str) -> Result<&'a Bureau, Problem> {
    let shown: String = code.chars().take(40).collect();
    BureauCode::parse(code).map_err(|error| Problem::new(Exit::Usage, "bureau-code", error.to_string(), "see `filing desk bureau list`"))?;
    let unknown = || Problem::new(Exit::NotFound, "unknown-bureau", format!("there is no bureau {shown}"), "add it to policies/desk/bureaus.toml and start again");
    desk.policies.desk.bureau(code).ok_or_else(unknown)
}

/// A new sealing key for a bureau and a request for it, PEM.
pub fn request(desk: &Desk, code: &str) -> Result<String, Problem> {
    let bureau = known(desk, code)?;
    let made = || -> Result<String, CertificateError> {
        let mut batch = Batch::new();
        let slot = batch.next(SEAL_KEYS);
        let number = desk.store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
        let key = desk.keys.generate(&Sealing::key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
        let subject = [(keys::DnType::CountryName, "CN".to_owned()), (keys::DnType::OrganizationName, bureau.name.clone())];
        Ok(key.request(Vec::new(), &subject)?)
    };
    Ok(made()?)
}

/// 1 the bureau is known · 2 its certificate is of a key made here, current, of an organisation with a mail address ·
/// 3 trusted by the bureau's own roots · 4 durable, with its leaf of the log.
pub fn set(desk: &Desk, code: &str, pem: &[u8]) -> Result<ShownBureau, Problem> {
    let (bureau, now) = (known(desk, code)?, desk.clock.now());
    let chain = tls::chain(pem)?;
    let malformed = |error: pki::asn1::DerError| CertificateError::Malformed { place: 1, reason: error.to_string() };
    let leaf = CertificateView::parse(chain.leaf()).map_err(malformed)?;
    tls::current(&leaf, now)?;
    let facts = tls::facts(chain.leaf())?;
    if facts.credit_code().is_none() || facts.emails.len() != 1 {
        return Err(Problem::new(Exit::Refused, "certificate", "the certificate names no credit code and single mail address", "have it issued as bureau-seal with --mailbox"));
    }
    let key = tls::made_here(&desk.keys, desk.store.counter(SEAL_KEYS).map_err(CertificateError::from)?, Sealing::key_name, leaf.spki)?;
    let others: Vec<Vec<u8>> = chain.issuers().map(<[u8]>::to_vec).collect();
    desk.trust.path(code, chain.leaf(), &others, &[], now).map_err(|error| super::problem::told(Exit::Refused, "certificate-not-trusted", &error.to_string()))?;
    let sha256 = super::sha256_hex(chain.leaf());
    let sealing = Sealing { key, seal: chain };
    // What cannot seal is refused before it takes the place of one that can.
    ready(desk, &sealing)?;
    let mut batch = Batch::new().put(Sealing::key(code), sealing.encode().map_err(DeskError::from)?);
    Event::BureauSealSet { bureau: code, certificate: &sha256 }.append(&mut batch, now).map_err(DeskError::from)?;
    desk.store.commit(batch).map_err(DeskError::from)?;
    Ok(shown(bureau, Some(&sealing)))
}

pub fn list(desk: &Desk) -> Result<Vec<ShownBureau>, DeskError> {
    desk.policies.desk.bureaus().iter().map(|bureau| Ok(shown(bureau, stored(desk, bureau.code.as_str())?.as_ref()))).collect()
}

fn stored(desk: &Desk, code: &str) -> Result<Option<Sealing>, DeskError> {
    desk.store.get(&Sealing::key(code))?.map(|bytes| Ok(Sealing::decode(&bytes)?)).transpose()
}

pub(super) fn open(desk: &Desk, record: &[u8]) -> Result<Seal, DeskError> {
    ready(desk, &Sealing::decode(record)?)
}

fn ready(desk: &Desk, sealing: &Sealing) -> Result<Seal, DeskError> {
    let others: Vec<&[u8]> = sealing.seal.issuers().collect();
    let plan = SignerPlan::new(sealing.seal.leaf(), &others).map_err(|error| DeskError::Seal(error.to_string()))?;
    let leaf = CertificateView::parse(sealing.seal.leaf()).map_err(|error| DeskError::Seal(error.to_string()))?;
    Ok(Seal { plan, key: desk.keys.load(&sealing.key)?, thumbprint: super::sha256_hex(leaf.der), valid: leaf.not_before..=leaf.not_after, chain: sealing.seal.clone() })
}

/// The address in a bureau's sealing certificate.
pub fn address(desk: &Desk, code: &str) -> Result<Option<String>, DeskError> {
    let seal: Arc<Seal> = desk.seal_of(code)?;
    Ok(tls::facts(seal.chain.leaf()).ok().and_then(|facts| facts.emails.into_iter().next()))
}

fn shown(bureau: &Bureau, sealing: Option<&Sealing>) -> ShownBureau {
    let facts = sealing.and_then(|sealing| tls::facts(sealing.seal.leaf()).ok());
    ShownBureau {
        code: bureau.code.as_str().to_owned(),
        name: bureau.name.clone(),
        name_en: bureau.name_en.clone(),
        kinds: bureau.accepts.iter().map(|accepts| accepts.kind.clone()).collect(),
        hotline: bureau.hotline.clone(),
        seal_until: facts.as_ref().map(|facts| facts.not_after.unix_timestamp()),
        address: facts.and_then(|facts| facts.emails.into_iter().next()),
    }
}
