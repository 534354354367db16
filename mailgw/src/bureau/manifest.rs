//! A month's manifest and the proof that its bureau signed it: the gateway and the sealer each look for themselves.

use pki::cms::{self, CmsError};
use policies::statement::{Manifest, ManifestError as FormError};
use runtime::exit::{Exit, Problem};
use time::OffsetDateTime;

use super::trust::{Anchors, Purpose, TrustError};
use crate::record::body;
use crate::record::bureau::Chain;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("the manifest's signature does not hold: {0}")]
    Signature(#[from] CmsError),
    #[error("the manifest is signed with a certificate that is not registered for {bureau}; sign with the registered one, or have this one registered")]
    OtherSigner { bureau: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl From<ManifestError> for Problem {
    fn from(error: ManifestError) -> Self {
        let (exit, code) = match error {
            ManifestError::Trust(error) => return error.into(),
            ManifestError::Form(_) => (Exit::Refused, "manifest"),
            ManifestError::Signature(_) => (Exit::Refused, "manifest-signature"),
            ManifestError::OtherSigner { .. } => (Exit::Refused, "manifest-signer"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A manifest that its bureau signed. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct SignedManifest {
    manifest: Manifest,
    digest: [u8; 32],
}

impl SignedManifest {
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the bytes that were signed.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// What the bytes say, whoever wrote them.
pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    Ok(Manifest::parse(bytes)?)
}

/// `bytes` is what `manifest` was read from and `signature` a detached CMS signature over it. The signer must be one of
/// `clients`, trusted and not revoked at `now`.
pub fn verify(manifest: Manifest, bytes: &[u8], signature: &[u8], clients: &[Chain], anchors: &Anchors, crls: &[Vec<u8>], now: OffsetDateTime) -> Result<SignedManifest, ManifestError> {
    let known: Vec<&[u8]> = clients.iter().map(Chain::leaf).collect();
    let signed = cms::verify(signature, bytes, &known)?;
    let other = || ManifestError::OtherSigner { bureau: manifest.sender().as_str().to_owned() };
    let client = clients.iter().find(|chain| chain.leaf() == signed.signer_certificate()).ok_or_else(other)?;
    anchors.trusted(client, Purpose::Manifest, crls, now)?;
    Ok(SignedManifest { manifest, digest: body::digest(bytes) })
}
