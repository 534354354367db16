//! Which algorithms are believed, and until when: what the city decided, handed in.
// spec: etsi-ts119312
use crate::asn1::Reader;
use crate::key::{self, KeyAlgorithm};
use crate::signature::{DigestAlgorithm, Scheme};
use crate::view::CertificateView;
use time::OffsetDateTime;

/// What may age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Digest(DigestAlgorithm),
    Key(KeyAlgorithm),
}

/// The algorithms that are believed, each with its last moment; one that is not named never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    until: Vec<(Algorithm, OffsetDateTime)>,
}

impl Floor {
    pub fn new(until: Vec<(Algorithm, OffsetDateTime)>) -> Self {
        Self { until }
    }

    /// The last moment at which it is believed.
    pub fn until(&self, algorithm: Algorithm) -> Option<OffsetDateTime> {
        self.until.iter().find(|(known, _)| *known == algorithm).map(|(_, until)| *until)
    }

    pub(super) fn believes_digest(&self, digest: DigestAlgorithm, at: OffsetDateTime) -> bool {
        self.until(Algorithm::Digest(digest)).is_some_and(|until| at <= until)
    }

    /// Until when all of it is believed: a signature by this scheme, and those on the certificates of its maker's path, DER, from
    /// the maker's to the anchor's. `None` where one of them never is, or cannot be read.
    pub fn ends(&self, scheme: Scheme, path: &[Vec<u8>]) -> Option<OffsetDateTime> {
        let both = |scheme: Scheme, spki: &[u8]| Some(self.until(Algorithm::Digest(scheme.digest()))?.min(self.until(Algorithm::Key(key::algorithm(spki).ok()?))?));
        let views: Vec<CertificateView<'_>> = path.iter().map(|one| CertificateView::parse(one).ok()).collect::<Option<_>>()?;
        let made = both(scheme, views.first()?.spki)?;
        views.array_windows().try_fold(made, |ends, [subject, issuer]| {
            let scheme = Scheme::read(Reader::only(subject.signed.algorithm, 0x30).ok()?, None).ok()?;
            Some(ends.min(both(scheme, issuer.spki)?))
        })
    }

    /// Whether a signature by this key (SPKI, DER) is believed.
    pub(super) fn believes(&self, scheme: Scheme, spki: &[u8], at: OffsetDateTime) -> bool {
        self.believes_digest(scheme.digest(), at) && key::algorithm(spki).is_ok_and(|key| self.until(Algorithm::Key(key)).is_some_and(|until| at <= until))
    }
}
