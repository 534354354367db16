//! The bureaus that may push statements: who they are, what they sign with, what they may send.

pub mod address;
pub mod manifest;
pub mod registries;
pub mod senders;
pub mod trust;

use policies::certificate::{Email, OrganizationName};
use policies::sender::LetterKinds;
use policies::statement::{Kind, SenderCode};
use runtime::exit::{Exit, Problem};
use runtime::revocation;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Store, StoreError};
use time::OffsetDateTime;

use crate::directory::{Directory, DirectoryError};
use crate::gateway::unix_millis;
use crate::record::bureau::{Bureau, Chain};
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::record::{RecordError, body};
use crate::statement::{Hotline, Sender};
use trust::{Anchors, Purpose, TrustError};

/// More bureaus than any city has.
const MAX_BUREAUS: usize = 10_000;
/// Registrations that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum BureauError {
    #[error("{code:?} is no code of a bureau; use 1 to 32 letters, digits, `-` and the like")]
    Code { code: String },
    #[error("there is no bureau {code}; register it with `mailgw bureau set`")]
    Unknown { code: String },
    #[error("{field}: {reason}")]
    Word { field: &'static str, reason: String },
    #[error("a bureau sends one or more kinds of message; give --kind housing-fund, --kind pension or one of policies/senders")]
    NoKind,
    #[error("a bureau signs its manifests with a certificate of its own; give it with --client")]
    NoClient,
    #[error("the certificates are of organisations with different credit codes; give certificates of one bureau")]
    OtherOrganization,
    #[error("{bureau} has no sealing certificate yet; give it with `mailgw bureau set --seal`")]
    NoSeal { bureau: String },
    #[error("{address} is registered for {bureau} already; withdraw it there first")]
    AddressTaken { address: String, bureau: String },
    #[error("{address} is another bureau's or nobody's to give; give an address of the bureau's own, a seal issued for one, or open the bureau's mailbox under that name first")]
    AnothersAddress { address: String },
    #[error("{address} is, or reads like, {borne}, which a mailbox of somebody else bears or bore; give another address of the bureau's own, or a seal issued for one: a name is never given again")]
    AnothersMailbox { address: String, borne: String },
    #[error("{address} is not registered for {bureau}; look with `mailgw bureau sender list`")]
    UnknownAddress { address: String, bureau: String },
    #[error("there is no card registry {code}; look with `mailgw registry list`")]
    UnknownRegistry { code: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] revocation::RevocationError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<ReadError> for BureauError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<StoreError> for BureauError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<BureauError> for Problem {
    fn from(error: BureauError) -> Self {
        let (exit, code) = match error {
            BureauError::Trust(error) => return error.into(),
            BureauError::Revocation(error) => return error.into(),
            BureauError::Directory(error) => return error.into(),
            BureauError::AnothersAddress { .. } | BureauError::AnothersMailbox { .. } => (Exit::Conflict, "anothers-address"),
            BureauError::Code { .. } => (Exit::Usage, "bureau-code"),
            BureauError::Unknown { .. } => (Exit::NotFound, "unknown-bureau"),
            BureauError::Word { .. } => (Exit::Usage, "bureau"),
            BureauError::NoKind => (Exit::Usage, "no-kind"),
            BureauError::NoClient => (Exit::Usage, "no-client"),
            BureauError::OtherOrganization => (Exit::Refused, "other-organization"),
            BureauError::NoSeal { .. } => (Exit::Refused, "no-seal"),
            BureauError::AddressTaken { .. } => (Exit::Conflict, "address-taken"),
            BureauError::UnknownRegistry { .. } => (Exit::NotFound, "unknown-registry"),
            BureauError::UnknownAddress { .. } => (Exit::NotFound, "unknown-address"),
            BureauError::Record(_) => (Exit::Damaged, "store-damaged"),
            BureauError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What the operator says of a bureau. Certificates are PEM, each with its issuers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub code: String,
    /// Chinese, as the sealing certificate has it when absent.
    pub name: Option<String>,
    pub name_en: String,
    pub kinds: Vec<String>,
    pub hotline: String,
    pub clients: Vec<String>,
    pub seal: String,
}

/// A bureau as commands show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownBureau {
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub credit_code: String,
    pub kinds: Vec<String>,
    pub hotline: String,
    pub address: Option<String>,
    pub clients: usize,
}

/// Registers a bureau, or all of it anew: 1 its words are valid · 2 its certificates are of one organisation · 3 trusted
/// and not revoked · 4 its address is nobody else's, and stays so · 5 durable, with its leaf of the log.
pub fn register(
    store: &dyn Store, directory: &Directory, anchors: &Anchors, lists: &revocation::RevocationLists, letters: &LetterKinds, registration: &Registration, now: OffsetDateTime,
) -> Result<ShownBureau, BureauError> {
    let code = SenderCode::parse(&registration.code).map_err(|_| BureauError::Code { code: registration.code.chars().take(80).collect() })?;
    let code = code.as_str();
    let kinds = kinds(&registration.kinds, letters)?;
    if registration.clients.is_empty() {
        return Err(BureauError::NoClient);
    }
    let mut clients = Vec::with_capacity(registration.clients.len());
    let (seal, facts) = trust::chain(registration.seal.as_bytes(), Purpose::Seal, now)?;
    prove(anchors, lists, &seal, Purpose::Seal, &facts.crl_urls, now)?;
    for pem in &registration.clients {
        let (client, own) = trust::chain(pem.as_bytes(), Purpose::Manifest, now)?;
        if own.credit_code != facts.credit_code {
            return Err(BureauError::OtherOrganization);
        }
        prove(anchors, lists, &client, Purpose::Manifest, &own.crl_urls, now)?;
        clients.push(client);
    }
    let previous = store.get(&Bureau::key(code))?.map(|bytes| Bureau::decode(&bytes)).transpose()?;
    let record = Bureau {
        name: registration.name.clone().unwrap_or(facts.organization),
        name_en: registration.name_en.clone(),
        credit_code: facts.credit_code,
        kinds,
        hotline: registration.hotline.clone(),
        clients,
        seal: Some(seal),
        // What is added to its kinds now, nobody consented to before.
        consents_of_before: Some(previous.map(|previous| previous.consents_of_before.unwrap_or(previous.kinds)).unwrap_or_default()),
    };
    // What can be said of it must be fit for a reader's eyes before anything is kept.
    sender(code, &record)?;
    let bytes = record.encode()?;
    let event = event::Bureau { bureau: code.to_owned(), record: crate::hex(&body::digest(&bytes)) };
    for _ in 0..ATTEMPTS {
        let mut batch = Batch::new().put(Bureau::key(code), bytes.clone());
        if let Some(reserved) = record.seal.as_ref().map(|seal| address::reserve_of_seal(store, directory, seal, &record.credit_code)).transpose()?.flatten() {
            batch = reserved.keep(batch)?;
        }
        Event::BureauSet(event.clone()).append(&mut batch, unix_millis(now))?;
        match store.commit(batch) {
            // A mailbox was opened, or another bureau registered, at this moment.
            Err(CommitError::Conflict { .. }) => {}
            done => return Ok(done.map(|_| shown(code, &record))?),
        }
    }
    Err(DirectoryError::Busy.into())
}

/// Nothing is fetched from where a certificate says before the certificate itself is believed.
fn prove(
    anchors: &Anchors, lists: &revocation::RevocationLists, chain: &Chain, purpose: Purpose, crl_urls: &[String], now: OffsetDateTime,
) -> Result<(), BureauError> {
    anchors.trusted_but_for_revocation(chain, purpose, now)?;
    anchors.trusted(chain, purpose, &lists.fetch(crl_urls, now)?, now)?;
    Ok(())
}

pub fn find(store: &dyn Store, code: &str) -> Result<Bureau, BureauError> {
    let found = store.get(&Bureau::key(code))?.ok_or_else(|| BureauError::Unknown { code: code.chars().take(80).collect() })?;
    Ok(Bureau::decode(&found)?)
}

pub fn list(store: &dyn Store) -> Result<Vec<ShownBureau>, BureauError> {
    let (from, to) = Bureau::all();
    let found = store.scan(&from, &to, MAX_BUREAUS)?;
    let one = |(key, bytes): &(store::Key, Vec<u8>)| {
        let code = key.last_part().and_then(|part| String::from_utf8(part).ok()).unwrap_or_default();
        Ok(shown(&code, &Bureau::decode(bytes)?))
    };
    found.iter().map(one).collect()
}

/// What statements say of the bureau that sends them.
pub fn sender(code: &str, bureau: &Bureau) -> Result<Sender, BureauError> {
    let word = |field, reason: String| BureauError::Word { field, reason };
    let seal = bureau.seal.as_ref().ok_or_else(|| BureauError::NoSeal { bureau: code.to_owned() })?;
    let address = address(seal).ok_or_else(|| BureauError::NoSeal { bureau: code.to_owned() })?;
    Ok(Sender {
        code: SenderCode::parse(code).map_err(|error| word("code", error.to_string()))?,
        name: OrganizationName::parse(&bureau.name).map_err(|error| word("name", error.to_string()))?,
        name_en: OrganizationName::parse(&bureau.name_en).map_err(|error| word("name_en", error.to_string()))?,
        address: Email::parse(&address).map_err(|error| word("address", error.to_string()))?,
        hotline: Hotline::parse(&bureau.hotline).map_err(|error| word("hotline", error.to_string()))?,
    })
}

/// The address in a sealing certificate.
fn address(seal: &Chain) -> Option<String> {
    pki::path::CertificateFacts::parse(seal.leaf()).ok()?.emails.into_iter().next()
}

/// Kinds of statement, and those that policies define and let this bureau send.
fn kinds(names: &[String], letters: &LetterKinds) -> Result<Vec<String>, BureauError> {
    if names.is_empty() {
        return Err(BureauError::NoKind);
    }
    let unknown = |name: &str| BureauError::Word {
        field: "kind",
        reason: format!("{:?} is none; it is housing-fund, pension or a kind of policies/senders", name.chars().take(40).collect::<String>()),
    };
    names.iter().map(|name| if Kind::from_name(name).is_some() || letters.get(name).is_some() { Ok(name.clone()) } else { Err(unknown(name)) }).collect()
}

fn shown(code: &str, bureau: &Bureau) -> ShownBureau {
    ShownBureau {
        code: code.to_owned(),
        name: bureau.name.clone(),
        name_en: bureau.name_en.clone(),
        credit_code: bureau.credit_code.clone(),
        kinds: bureau.kinds.clone(),
        hotline: bureau.hotline.clone(),
        address: bureau.seal.as_ref().and_then(address),
        clients: bureau.clients.len(),
    }
}
