//! The desk's TLS: its own key, a request like anyone's, the certificate taken in without a restart. Clients may show a
//! certificate, and one that is shown is proved.

use std::sync::{Arc, Mutex, PoisonError};

use keys::{KeyError, KeyStore};
use pki::path::CertificateFacts;
use pki::signer::SignatureAlgorithm;
use pki::view::{ALTERNATIVE_NAME, CertificateView};
use runtime::exit::{Exit, Problem};
use runtime::http::TlsSource;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use store::{Batch, CommitError, Store, StoreError};
use time::OffsetDateTime;

use super::record::RecordError;
use super::record::bureau::Chain;
use super::record::event::Event;
use super::record::settings::{TLS_KEYS, Tls};

/// More certificates than any chain of ours has.
const MAX_CHAIN: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the file holds no certificate; give the PEM file that `ca issue --out` wrote")]
    None,
    #[error("the chain has more than {MAX_CHAIN} certificates; give the holder's and its issuers'")]
    TooLong,
    #[error("certificate {place} of the chain cannot be read: {reason}; give certificates in PEM")]
    Malformed { place: usize, reason: String },
    #[error("the certificate is of no key made here; make a request here and have that one certified")]
    OtherKey,
    #[error("the certificate is for other hosts than {host}; have one issued with --dns {host} or --ip")]
    OtherHost { host: String },
    #[error("the certificate is valid from {from} to {until} (Unix seconds), and now is {now}; have a fresh one issued")]
    NotValid { from: i64, until: i64, now: i64 },
    #[error("this desk has no TLS certificate; run `filing desk tls request`, have it issued by the CA, then `filing desk tls install`")]
    Missing,
    #[error("rustls does not take the certificate: {0}; have another issued")]
    Refused(String),
    #[error(transparent)]
    Request(#[from] keys::RequestFailure),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for CertificateError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<CertificateError> for Problem {
    fn from(error: CertificateError) -> Self {
        let (exit, code) = match &error {
            CertificateError::None | CertificateError::TooLong | CertificateError::Malformed { .. } => (Exit::Usage, "certificate-file"),
            CertificateError::OtherKey | CertificateError::OtherHost { .. } | CertificateError::NotValid { .. } | CertificateError::Refused(_) => (Exit::Refused, "certificate"),
            CertificateError::Missing => (Exit::NotFound, "no-tls-certificate"),
            CertificateError::Request(_) => (Exit::Usage, "request"),
            CertificateError::Key(error) => super::problem::key_class(error),
            CertificateError::Record(_) => (Exit::Damaged, "store-damaged"),
            CertificateError::Commit(error) => super::problem::store_class(error),
        };
        super::problem::told(exit, code, &error.to_string())
    }
}

/// The certificates of a PEM file, within bounds, the holder's first.
pub fn chain(pem: &[u8]) -> Result<Chain, CertificateError> {
    let blocks = pem::parse_many(pem).map_err(|_| CertificateError::None)?;
    let chain: Vec<Vec<u8>> = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if chain.len() > MAX_CHAIN {
        return Err(CertificateError::TooLong);
    }
    for (index, der) in chain.iter().enumerate() {
        CertificateView::parse(der).map_err(|error| CertificateError::Malformed { place: index + 1, reason: error.to_string() })?;
    }
    Chain::new(chain).ok_or(CertificateError::None)
}

/// Valid now, or why not.
pub fn current(leaf: &CertificateView<'_>, now: OffsetDateTime) -> Result<(), CertificateError> {
    if (leaf.not_before..=leaf.not_after).contains(&now) {
        return Ok(());
    }
    let [from, until, now] = [leaf.not_before, leaf.not_after, now].map(OffsetDateTime::unix_timestamp);
    Err(CertificateError::NotValid { from, until, now })
}

/// Which of the keys made so far a certificate is of; the newest first.
pub fn made_here(keys: &KeyStore, made: u64, name: impl Fn(u64) -> String, spki: &[u8]) -> Result<String, CertificateError> {
    use pki::signer::Signer as _;
    (1..=made).rev().map(name).find(|name| keys.load(name).is_ok_and(|key| key.public_key_info() == spki)).ok_or(CertificateError::OtherKey)
}

/// Makes a key and a request for it, PEM, for `host` and other names. The key waits for its certificate; the one in use stays.
pub fn request(store: &dyn Store, keys: &KeyStore, host: &str, others: &[String]) -> Result<String, CertificateError> {
    let mut batch = Batch::new();
    let slot = batch.next(TLS_KEYS);
    let number = store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
    let key = keys.generate(&Tls::key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
    Ok(key.request(std::iter::once(host.to_owned()).chain(others.iter().cloned()).collect(), &[])?)
}

/// Takes a chain into use: of a key made here, for this host, valid now.
pub fn install(store: &dyn Store, keys: &KeyStore, host: &str, pem: &[u8], now: OffsetDateTime) -> Result<(), CertificateError> {
    let chain = chain(pem)?;
    let malformed = |error: pki::asn1::DerError| CertificateError::Malformed { place: 1, reason: error.to_string() };
    let leaf = CertificateView::parse(chain.leaf()).map_err(malformed)?;
    current(&leaf, now)?;
    if !is_for(&leaf, host) {
        return Err(CertificateError::OtherHost { host: host.to_owned() });
    }
    let key = made_here(keys, store.counter(TLS_KEYS)?, Tls::key_name, leaf.spki)?;
    let sha256 = super::sha256_hex(chain.leaf());
    let mut batch = Batch::new().put(Tls::key(), Tls { key, chain }.encode()?);
    Event::TlsInstalled { certificate: &sha256 }.append(&mut batch, now)?;
    store.commit(batch)?;
    Ok(())
}

/// dNSName or iPAddress. spec: rfc5280#4.2.1.6
fn is_for(leaf: &CertificateView<'_>, host: &str) -> bool {
    use pki::asn1::Reader;
    let Some(Ok(names)) = leaf.extension(&ALTERNATIVE_NAME).map(|value| Reader::only(value, 0x30)) else { return false };
    let (mut names, address) = (Reader::new(names), host.parse::<std::net::IpAddr>().ok());
    let octets = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(four) => four.octets().to_vec(),
        std::net::IpAddr::V6(six) => six.octets().to_vec(),
    };
    while let Ok((tag, value, _)) = names.any() {
        let found = match tag {
            0x82 => value.eq_ignore_ascii_case(host.as_bytes()),
            0x87 => address.is_some_and(|address| octets(address) == value),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// What the listener goes by; made anew when another certificate is installed: a handshake waits for no disk.
pub struct DeskTls {
    store: Arc<dyn Store>,
    keys: Arc<KeyStore>,
    roots: Arc<RootCertStore>,
    made: Mutex<Arc<ServerConfig>>,
}

impl DeskTls {
    /// `roots` are those of every bureau, DER: whom a client's certificate may be of at all.
    pub fn new(store: Arc<dyn Store>, keys: Arc<KeyStore>, roots: &[Vec<u8>]) -> Result<Self, CertificateError> {
        let mut known = RootCertStore::empty();
        for der in roots {
            known.add(CertificateDer::from(der.clone())).map_err(|error| CertificateError::Refused(error.to_string()))?;
        }
        let roots = Arc::new(known);
        let record = store.get(&Tls::key())?.ok_or(CertificateError::Missing)?;
        let config = config(&keys, &roots, &Tls::decode(&record)?)?;
        Ok(Self { store, keys, roots, made: Mutex::new(config) })
    }
}

impl DeskTls {
    /// After another certificate was installed. Blocking; what cannot be served leaves the one before.
    pub fn refresh(&self) -> Result<(), CertificateError> {
        let record = self.store.get(&Tls::key())?.ok_or(CertificateError::Missing)?;
        let config = config(&self.keys, &self.roots, &Tls::decode(&record)?)?;
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl TlsSource for DeskTls {
    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn config(keys: &KeyStore, roots: &Arc<RootCertStore>, record: &Tls) -> Result<Arc<ServerConfig>, CertificateError> {
    let refused = |reason: String| CertificateError::Refused(reason);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Receipts and answers can be had without a certificate; what a shown one is worth is judged at each request.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider)).allow_unauthenticated();
    let verifier = verifier.build().map_err(|error| refused(error.to_string()))?;
    let chain = record.chain.certificates().map(|der| CertificateDer::from(der.to_vec())).collect();
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, keys.load(&record.key)?.rustls()));
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| refused(error.to_string()))?;
    let config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    Ok(Arc::new(config))
}

/// The organisation, credit code and mail address of a certificate.
pub fn facts(der: &[u8]) -> Result<CertificateFacts, CertificateError> {
    CertificateFacts::parse(der).map_err(|error| CertificateError::Malformed { place: 1, reason: error.to_string() })
}
