//! The gateway as a registrar: its own key, a certificate that the authority issued for it, and the statements it signs about
//! mailboxes. What the authority makes of a statement is the authority's to decide.

pub mod authority;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keys::{KeyError, KeyStore};
use pki::cms::{SealError, SignerPlan};
use pki::path::CertificateFacts;
use pki::signer::SignatureAlgorithm;
use pki::view::CertificateView;
use policies::certificate::{Email, Pseudonym, WordError};
use policies::registrar::{Ending, Said, Standing, Statement, StatementError, StatementId};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use runtime::exit::{Exit, Problem};
use runtime::fetch::FetchError;
use store::{Batch, CommitError, Store, StoreError};
use time::OffsetDateTime;

use crate::bureau::trust::{Anchors, Purpose, TrustError};
use crate::record::RecordError;
use crate::record::bureau::Chain;
use crate::record::event::{Certificate, Event};
use crate::record::registrar::{KEYS, Registrar, key_name};
use crate::tls::{self, TlsError};

#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    #[error("this gateway is no registrar; run `mailgw registrar request`, have it issued and set at the authority, then `mailgw registrar install`")]
    Missing,
    #[error("the certificate is of no key made here; make a request with `mailgw registrar request` and have that one certified")]
    OtherKey,
    #[error("the certificate is valid from {from} to {until} (Unix seconds), and now is {now}; have a fresh one issued")]
    NotValid { from: i64, until: i64, now: i64 },
    #[error("the mailbox's address cannot stand in a certificate: {0}; this domain cannot have citizens certified")]
    Address(WordError),
    #[error("the statement could not be signed: {0}; look at the registrar's certificate and key")]
    Seal(#[from] SealError),
    #[error("the system gave no randomness; nothing was signed")]
    Randomness,
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for RegistrarError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<RegistrarError> for Problem {
    fn from(error: RegistrarError) -> Self {
        let (exit, code) = match error {
            RegistrarError::Tls(error) => return error.into(),
            RegistrarError::Trust(error) => return error.into(),
            RegistrarError::Fetch(error) => return error.into(),
            RegistrarError::Missing => (Exit::NotFound, "no-registrar"),
            RegistrarError::OtherKey | RegistrarError::NotValid { .. } | RegistrarError::Seal(_) => (Exit::Refused, "certificate"),
            RegistrarError::Address(_) => (Exit::Refused, "address"),
            RegistrarError::Randomness => (Exit::Unavailable, "randomness"),
            RegistrarError::Statement(_) => (Exit::Internal, "statement"),
            RegistrarError::Key(ref error) => crate::problem::key_class(error),
            RegistrarError::Record(_) => (Exit::Damaged, "store-damaged"),
            RegistrarError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// Makes a key and a request for it, PEM, for `host`. The key waits for its certificate; the one in use stays.
pub fn request(store: &dyn Store, keys: &KeyStore, host: &str) -> Result<String, RegistrarError> {
    let mut batch = Batch::new();
    let slot = batch.next(KEYS);
    let number = store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
    let key = keys.generate(&key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
    Ok(key.request(vec![host.to_owned()], &[]).map_err(TlsError::from)?)
}

/// Takes a certificate into use: of a key made here, a registrar's under our root, valid now. `authority` is where statements
/// are sent.
pub fn install(store: &dyn Store, keys: &KeyStore, anchors: &Anchors, pem: &[u8], authority: &str, now: OffsetDateTime) -> Result<(), RegistrarError> {
    let chain = Chain::new(tls::chain(pem)?).ok_or(TlsError::NoCertificate)?;
    let (view, facts) = (CertificateView::parse(chain.leaf()).map_err(|_| TlsError::Malformed { place: 1 })?, CertificateFacts::parse(chain.leaf()).map_err(|_| TlsError::Malformed { place: 1 })?);
    if !(facts.not_before..=facts.not_after).contains(&now) {
        return Err(RegistrarError::NotValid { from: facts.not_before.unix_timestamp(), until: facts.not_after.unix_timestamp(), now: now.unix_timestamp() });
    }
    anchors.trusted_but_for_revocation(&chain, Purpose::Registrar, now)?;
    let key = tls::made_here(keys, store.counter(KEYS)?, key_name, view.spki).ok_or(RegistrarError::OtherKey)?;
    // An address that cannot be asked is found out now.
    authority::check(authority)?;
    let sha256 = crate::hex(digest(&SHA256, chain.leaf()).as_ref());
    let record = Registrar { key, chain, authority: authority.trim_end_matches('/').to_owned() };
    let mut batch = Batch::new().put(Registrar::key(), record.encode()?);
    Event::RegistrarInstalled(Certificate { sha256 }).append(&mut batch, crate::gateway::unix_millis(now))?;
    store.commit(batch)?;
    Ok(())
}

/// A statement as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The very text that was signed.
    pub statement: String,
    /// CMS SignedData, DER, base64.
    pub signature: String,
}

impl Signed {
    /// SHA-256 of the statement, as logs on both sides have it.
    pub fn sha256(&self) -> String {
        crate::hex(digest(&SHA256, self.statement.as_bytes()).as_ref())
    }
}

/// Signs what is said of mailboxes.
pub struct Desk {
    plan: SignerPlan,
    key: keys::KeyHandle,
    pub authority: String,
}

impl Desk {
    /// With the certificate in use.
    pub fn open(store: &dyn Store, keys: &KeyStore) -> Result<Self, RegistrarError> {
        let record = Registrar::decode(&store.get(&Registrar::key())?.ok_or(RegistrarError::Missing)?)?;
        // The certificate alone travels along: the authority knows its own.
        let plan = SignerPlan::new(record.chain.leaf(), &[])?;
        Ok(Self { plan, key: keys.load(&record.key)?, authority: record.authority })
    }

    /// The owner of an open mailbox, who is called so, asks for a certificate by this request, DER.
    pub fn certify(&self, address: &str, pseudonym: Pseudonym, request: &[u8], now: OffsetDateTime) -> Result<Signed, RegistrarError> {
        let request_sha256 = octets(request);
        self.sign(address, Standing::Open, Said::Certify { pseudonym, request_sha256 }, now)
    }

    /// Every certificate of a mailbox ends.
    pub fn withdraw(&self, address: &str, standing: Standing, reason: Ending, now: OffsetDateTime) -> Result<Signed, RegistrarError> {
        self.sign(address, standing, Said::Withdraw { reason }, now)
    }

    fn sign(&self, address: &str, standing: Standing, said: Said, now: OffsetDateTime) -> Result<Signed, RegistrarError> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| RegistrarError::Randomness)?;
        let at = now.replace_nanosecond(0).unwrap_or(now);
        let mailbox = Email::parse(address).map_err(RegistrarError::Address)?;
        let statement = Statement { id: StatementId::new(id), mailbox, standing, at, said }.text()?;
        let signature = self.plan.seal(octets(statement.as_bytes()), at, &self.key)?;
        Ok(Signed { statement, signature: STANDARD.encode(signature) })
    }
}

fn octets(bytes: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    octets
}
