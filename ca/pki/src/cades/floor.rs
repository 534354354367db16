//! Which algorithms are believed, and until when: what the city decided, handed in.
// spec: etsi-ts119312
use crate::key::{self, KeyAlgorithm};
use crate::signature::{DigestAlgorithm, Scheme};
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

    /// Whether a signature by this key (SPKI, DER) is believed.
    pub(super) fn believes(&self, scheme: Scheme, spki: &[u8], at: OffsetDateTime) -> bool {
        self.believes_digest(scheme.digest(), at) && key::algorithm(spki).is_ok_and(|key| self.until(Algorithm::Key(key)).is_some_and(|until| at <= until))
    }
}
