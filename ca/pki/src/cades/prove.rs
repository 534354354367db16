//! Who made a signature: its digest, its signer's certificate and its value, nothing of trust.
use super::Signature;
use super::parts::Unsigned;
use super::signature::{MAX_CERTIFICATES, MAX_REVOCATIONS};
use crate::asn1;
use crate::cms::{Bounds, CmsError, DATA, SignedData};
use crate::effort::Effort;
use crate::signature::Scheme;
use time::OffsetDateTime;

/// A signature that verified over its document. It says who signed, not whether to trust them.
#[derive(Clone, PartialEq, Eq)]
pub struct Proved {
    signer_certificate: Vec<u8>,
    signing_time: Option<OffsetDateTime>,
    pub(super) content_timestamps: Vec<Vec<u8>>,
    scheme: Scheme,
}

impl std::fmt::Debug for Proved {
    // Certificates hold names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proved").field("signing_time", &self.signing_time).field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Proved {
    /// DER.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }
    /// As the signer claims it.
    pub fn signing_time(&self) -> Option<OffsetDateTime> {
        self.signing_time
    }
    /// How it was signed; the document and the attributes are hashed by the same hash.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl Signature {
    /// Verifies it over what was signed. The signer's certificate is looked for inside and among those `known`; it must be
    /// named under the signature, so that no other can take its place. spec: en319122-1#5.2.2
    pub fn prove(&self, document: &[u8], known: &[&[u8]]) -> Result<Proved, CmsError> {
        self.prove_within(document, known, &Effort::unbounded())
    }

    /// As [`Self::prove`], within what is left of an effort: an assessment by the same does not verify it again.
    pub fn prove_within(&self, document: &[u8], known: &[&[u8]], effort: &Effort<'_>) -> Result<Proved, CmsError> {
        let data = SignedData::parse(&self.der, &DATA, &Bounds { certificates: MAX_CERTIFICATES, revocations: MAX_REVOCATIONS })?;
        let attributes = data.signer.attributes(&DATA)?;
        if attributes.message_digest != data.signer.digest.digest(document) {
            return Err(CmsError::Content);
        }
        let named = attributes.certificate.ok_or(CmsError::Missing("signingCertificateV2"))?;
        let (certificate, view) = data.signer_certificate(known, Some(&named))?;
        effort.verify(data.signer.scheme, view.spki, &asn1::tlv(0x31, data.signer.attributes), data.signer.signature)?;
        Ok(Proved {
            signer_certificate: certificate.to_vec(),
            signing_time: attributes.signing_time,
            content_timestamps: attributes.content_timestamps.map_or(Ok(Vec::new()), Unsigned::values)?,
            scheme: data.signer.scheme,
        })
    }
}
