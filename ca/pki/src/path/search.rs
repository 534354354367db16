//! From a certificate up to an anchor: candidates by name, believed by their signature, within bounds.
// spec: rfc5280#6.1.3 (a)(1), (a)(4)
use super::names::same;
use super::PathError;
use crate::asn1::Reader;
use crate::effort::Effort;
use crate::signature::{Scheme, SignatureError};
use crate::view::CertificateView;

/// The most authorities between holder and anchor.
const MAX_BETWEEN: usize = 8;
/// The most signatures that one decision verifies: a heap of certificates in one name is no way to keep us busy.
const MAX_SIGNATURES: usize = 100;

pub(super) struct Search<'a> {
    pub(super) anchors: &'a [CertificateView<'a>],
    pub(super) intermediates: &'a [&'a CertificateView<'a>],
    effort: &'a Effort<'a>,
    /// Signatures that may still be asked of.
    left: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(anchors: &'a [CertificateView<'a>], intermediates: &'a [&'a CertificateView<'a>], effort: &'a Effort<'a>) -> Self {
        Self { anchors, intermediates, effort, left: MAX_SIGNATURES }
    }

    /// The first path that `judge` accepts, tried from the holder up; else the refusal that says most.
    pub(super) fn climb(&mut self, path: &mut Vec<&'a CertificateView<'a>>, judge: &dyn Fn(&[&CertificateView<'_>]) -> Result<(), PathError>) -> Result<(), PathError> {
        let Some(last) = path.last().copied() else { return Err(PathError::UnknownIssuer) };
        let mut refusal = PathError::UnknownIssuer;
        let mut remember = |error: PathError| {
            // That one candidate was not the issuer says nothing.
            if error != PathError::UnknownIssuer {
                refusal = error;
            }
        };
        for anchor in self.anchors.iter().filter(|anchor| same(anchor.subject, last.issuer)) {
            let tried = self.signed_by(last, anchor).and_then(|()| {
                path.push(anchor);
                let judged = judge(path);
                path.pop();
                judged
            });
            match tried {
                Ok(()) => return Ok(()),
                Err(error) => remember(error),
            }
        }
        if path.len() > MAX_BETWEEN {
            return Err(refusal);
        }
        for candidate in self.intermediates.iter().copied().filter(|candidate| same(candidate.subject, last.issuer)) {
            // No certificate stands in a path twice.
            if path.iter().any(|known| known.signed.tbs == candidate.signed.tbs) {
                continue;
            }
            let tried = self.signed_by(last, candidate).and_then(|()| {
                path.push(candidate);
                let climbed = self.climb(path, judge);
                path.pop();
                climbed
            });
            match tried {
                Ok(()) => return Ok(()),
                Err(error) => remember(error),
            }
        }
        Err(refusal)
    }

    fn signed_by(&mut self, certificate: &CertificateView<'_>, issuer: &CertificateView<'_>) -> Result<(), PathError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| PathError::Malformed("too many certificates of one name".to_owned()))?;
        let scheme = Scheme::read(Reader::only(certificate.signed.algorithm, 0x30)?, None);
        let verified = scheme.and_then(|scheme| self.effort.verify(scheme, issuer.spki, certificate.signed.tbs, certificate.signed.signature));
        verified.map_err(|error| match error {
            // An issuer of the right name and another key is not the issuer.
            SignatureError::Mismatch => PathError::UnknownIssuer,
            other => PathError::Malformed(other.to_string()),
        })
    }
}
