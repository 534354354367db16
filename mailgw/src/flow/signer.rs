//! Whoever signed some words: a detached signature with its certificates, trusted for what the certificate is wanted for, and not revoked.

use runtime::revocation::{RevocationError, RevocationLists};
use time::{Duration, OffsetDateTime};

use crate::bureau::trust::{self, Anchors, Purpose, TrustError};
use crate::record::bureau::Chain;

/// How old what was signed may be.
const FRESH: Duration = Duration::hours(24);
/// The signer's clock may be so far ahead.
const AHEAD: Duration = Duration::minutes(5);
/// What is told of a signature that is not fresh.
pub const STALE: &str = "it was signed more than a day ago, or says no time";

#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("{0}")]
    Signature(String),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

/// A signature that fits the words, of whoever it is.
pub struct Signed {
    /// The signer's certificate and what was sent with it.
    chain: Chain,
    at: Option<OffsetDateTime>,
}

impl Signed {
    /// `signature`: CMS, PEM, over `words`.
    pub fn read(signature: &str, words: &[u8]) -> Result<Self, SignerError> {
        let verified = pki::cms::verify(signature.as_bytes(), words, &[]).map_err(|error| SignerError::Signature(error.to_string()))?;
        let own = verified.signer_certificate();
        let others = verified.certificates().iter().filter(|der| der.as_slice() != own).cloned();
        let chain = Chain::new(std::iter::once(own.to_vec()).chain(others).collect());
        Ok(Self { chain: chain.ok_or_else(|| SignerError::Signature("nobody's certificate is with it".to_owned()))?, at: verified.signing_time() })
    }

    /// Whether it was signed within a day.
    pub fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.at.is_some_and(|at| (now - FRESH..=now + AHEAD).contains(&at))
    }

    /// Whether it was signed no earlier than this, Unix milliseconds: what is signed tells seconds alone. spec: rfc5652#11.3
    pub fn is_since(&self, unix_millis: u64) -> bool {
        self.at.is_some_and(|at| u64::try_from(at.unix_timestamp()).is_ok_and(|at| at >= unix_millis / 1_000))
    }

    /// Whether the certificate is one for this, but for revocation.
    pub fn is_for(&self, anchors: &Anchors, purpose: Purpose, now: OffsetDateTime) -> bool {
        anchors.path(&self.chain, purpose, now).is_ok()
    }

    /// The path that is believed now. Nobody is asked for lists on a stranger's word.
    pub fn trusted(&self, anchors: &Anchors, lists: &RevocationLists, purpose: Purpose, now: OffsetDateTime) -> Result<Chain, SignerError> {
        let path = anchors.path(&self.chain, purpose, now)?;
        let urls = trust::crl_urls(&path).map_err(|error| trust::unreadable(purpose, &error))?;
        anchors.trusted(&path, purpose, &lists.fetch(&urls, now)?, now)?;
        Ok(path)
    }
}
