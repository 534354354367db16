//! What the authority promises of its timestamps.

use const_oid::ObjectIdentifier;
use serde::Deserialize;
use toml::Spanned;

use super::Hourly;
use crate::certificate::{Arc, WrittenPolicy};
use crate::document::{PolicyError, named, read};

named! {
    /// A hash that may have made what is stamped.
    Digest { Sha256 = "sha256", Sha384 = "sha384", Sha512 = "sha512" }
}

/// Of `timestamp.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    policy: WrittenPolicy,
    /// How far the true time may lie from a token's.
    pub accuracy_ms: u32,
    /// Whether every token's time is later than those of all before it.
    pub ordering: bool,
    digests: Vec<Digest>,
    /// Tokens made in an hour.
    pub hourly: Hourly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    policy: Spanned<WrittenPolicy>,
    accuracy_ms: Spanned<u32>,
    ordering: bool,
    digests: Spanned<Vec<Digest>>,
    hourly: Spanned<Hourly>,
}

impl Timestamp {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { policy, accuracy_ms, ordering, digests, hourly } = read(file, text)?;
        let refused = |span, reason: &str| Err(PolicyError::at(file, text, Some(span), reason));
        if policy.get_ref().is_any() {
            return refused(policy.span(), "a token names one policy and not any; write .4.1 beneath the arc, or a whole identifier");
        }
        // spec: rfc3161#2.4.2 (an accuracy of seconds is what relying parties expect, of hours none)
        if !(1..=60_000).contains(accuracy_ms.get_ref()) {
            return refused(accuracy_ms.span(), "an accuracy is 1 to 60000 milliseconds");
        }
        let list = digests.get_ref();
        if list.is_empty() || list.iter().enumerate().any(|(at, one)| list.iter().take(at).any(|before| before == one)) {
            return refused(digests.span(), "name at least one digest, each once");
        }
        if !hourly.get_ref().is_sound() {
            return refused(hourly.span(), "timestamps in an hour; write 1 to 1000000, and no more from one address than from all");
        }
        let (policy, accuracy_ms, digests, hourly) = (policy.into_inner(), accuracy_ms.into_inner(), digests.into_inner(), hourly.into_inner());
        Ok(Self { policy, accuracy_ms, ordering, digests, hourly })
    }

    /// The policy's identifier; `None` beneath an arc that is too long for it.
    pub fn policy(&self, arc: Arc) -> Option<ObjectIdentifier> {
        self.policy.resolve(arc)
    }

    pub fn accepts(&self, digest: Digest) -> bool {
        self.digests.contains(&digest)
    }
}
