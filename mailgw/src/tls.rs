//! The gateway's TLS certificate: its own key, a request like anyone's, the certificate taken in without a restart.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keys::{KeyError, KeyStore};
use pki::signer::{SignatureAlgorithm, Signer};
use runtime::exit::{Exit, Problem};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use store::{Batch, CommitError, Store, StoreError};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::record::RecordError;
use crate::record::event::{Certificate, Event};
use crate::record::tls::{KEYS, Tls, key_name};

/// The authorities in a PEM file that are ones; none where there is no such file.
pub(crate) fn authorities(file: &std::path::Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if let Ok(found) = CertificateDer::pem_file_iter(file) {
        roots.add_parsable_certificates(found.filter_map(Result::ok));
    }
    roots
}

/// More certificates than any chain of ours has.
const MAX_CHAIN: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the file holds no certificate; give the PEM file that `ca issue --out` wrote")]
    NoCertificate,
    #[error("the chain has {count} certificates and at most {MAX_CHAIN} are taken; give the host's and its issuers'")]
    TooLong { count: usize },
    #[error("certificate {place} of the chain cannot be read; give certificates in PEM")]
    Malformed { place: usize },
    #[error("the certificate is of no key made here; make a request with `mailgw tls request` and have that one certified")]
    OtherKey,
    #[error("the certificate is for other hosts than {host}; have one issued with --dns {host}")]
    OtherHost { host: String },
    #[error("the certificate is valid from {from} to {until} (Unix seconds), and now is {now}; have a fresh one issued")]
    NotValid { from: i64, until: i64, now: i64 },
    #[error("this gateway has no TLS certificate; run `mailgw tls request`, have it issued by the CA, then `mailgw tls install`")]
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

impl From<StoreError> for TlsError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<TlsError> for Problem {
    fn from(error: TlsError) -> Self {
        let (exit, code) = match &error {
            TlsError::NoCertificate | TlsError::TooLong { .. } | TlsError::Malformed { .. } => (Exit::Usage, "certificate-file"),
            TlsError::OtherKey | TlsError::OtherHost { .. } | TlsError::NotValid { .. } | TlsError::Refused(_) => (Exit::Refused, "certificate"),
            TlsError::Missing => (Exit::NotFound, "no-tls-certificate"),
            TlsError::Request(_) => (Exit::Usage, "request"),
            TlsError::Key(error) => crate::problem::key_class(error),
            TlsError::Record(_) => (Exit::Damaged, "store-damaged"),
            TlsError::Commit(error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// Makes a key and a request for it, PEM, for `host` and other names. The key waits for its certificate; the one in use stays.
pub fn request(store: &dyn Store, keys: &KeyStore, host: &str, others: &[String]) -> Result<String, TlsError> {
    let mut batch = Batch::new();
    let slot = batch.next(KEYS);
    let number = store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
    let key = keys.generate(&key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
    let names: Vec<String> = std::iter::once(host.to_owned()).chain(others.iter().cloned()).collect();
    Ok(key.request(names, &[])?)
}

/// Takes a chain into use: of a key made here, for this host, valid now. Returns what listeners serve from now on.
pub fn install(store: &dyn Store, keys: &KeyStore, host: &str, pem: &[u8], now_unix_millis: u64) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = chain(pem)?;
    let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
    let (_, read) = X509Certificate::from_der(leaf).map_err(|_| TlsError::Malformed { place: 1 })?;
    let now = i64::try_from(now_unix_millis / 1_000).unwrap_or(i64::MAX);
    let (from, until) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
    if now < from || now > until {
        return Err(TlsError::NotValid { from, until, now });
    }
    if !names(&read).iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Err(TlsError::OtherHost { host: host.to_owned() });
    }
    let made = store.counter(KEYS)?;
    let key = made_here(keys, made, key_name, read.public_key().raw).ok_or(TlsError::OtherKey)?;
    let record = Tls { key, chain: chain.iter().map(|der| STANDARD.encode(der)).collect() };
    let config = config(keys, &record)?;
    let mut batch = Batch::new().put(Tls::key(), record.encode()?);
    Event::TlsInstalled(Certificate { sha256: crate::hex(&crate::record::body::digest(leaf)) }).append(&mut batch, now_unix_millis)?;
    store.commit(batch)?;
    Ok(config)
}

/// Which of the keys made so far has this public key; the newest first.
pub(crate) fn made_here(keys: &KeyStore, made: u64, name: impl Fn(u64) -> String, public_key_info: &[u8]) -> Option<String> {
    (1..=made).rev().map(name).find(|name| keys.load(name).is_ok_and(|key| key.public_key_info() == public_key_info))
}

/// What the listeners serve at a start.
pub fn current(store: &dyn Store, keys: &KeyStore) -> Result<Arc<ServerConfig>, TlsError> {
    let found = store.get(&Tls::key())?.ok_or(TlsError::Missing)?;
    config(keys, &Tls::decode(&found)?)
}

/// The public key that the listeners serve: SubjectPublicKeyInfo, DER. None while there is no certificate.
pub fn public_key_info(store: &dyn Store, keys: &KeyStore) -> Result<Option<Vec<u8>>, TlsError> {
    let Some(found) = store.get(&Tls::key())? else { return Ok(None) };
    Ok(Some(keys.load(&Tls::decode(&found)?.key)?.public_key_info().to_vec()))
}

fn config(keys: &KeyStore, record: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let damaged = |_| RecordError::Damaged { kind: "tls", reason: "its chain is not base64" };
    let chain = record.chain.iter().map(|text| STANDARD.decode(text).map(CertificateDer::from)).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    let key = keys.load(&record.key)?;
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, key.rustls()));
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(refused)?;
    Ok(Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))))
}

/// The certificates of a PEM file, DER, within bounds.
pub fn chain(pem: &[u8]) -> Result<Vec<Vec<u8>>, TlsError> {
    let blocks = pem::parse_many(pem).map_err(|_| TlsError::NoCertificate)?;
    let chain: Vec<Vec<u8>> = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    if chain.len() > MAX_CHAIN {
        return Err(TlsError::TooLong { count: chain.len() });
    }
    for (index, der) in chain.iter().enumerate() {
        X509Certificate::from_der(der).map_err(|_| TlsError::Malformed { place: index + 1 })?;
    }
    Ok(chain)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|found| found.value.general_names.clone()).unwrap_or_default();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    names.iter().filter_map(text).collect()
}
