//! One certificate in the place of another: the claim to that place, both ends of the link, the end of the old one.

use serde::{Deserialize, Serialize};
use store::Key;

use super::Revocation;

/// Why there is a new certificate.
// spec: rfc3647#4.4.6 to 4.4.8 (renewal, re-key and modification)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// The old one ends soon.
    Renewed,
    /// Its key is lost, broken or known to others.
    Replaced,
    /// What it says of its holder is no longer so.
    Corrected,
    /// Its profile was at fault.
    Reissued,
    /// Its holder changed the key.
    Rekeyed,
}

/// The certificate whose place another takes: of an intent, and of the certificate that comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// 32 hexadecimal digits.
    pub serial: String,
    pub act: Act,
    /// When and why it is to be revoked; it stays until its own end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Revocation>,
    /// An officer or the service asked for it, and not whoever could sign with the old key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counter: bool,
}

impl Predecessor {
    /// Nothing but a signature by the old key says whose the new one is: it is worth what the old one is. Officers who approve a
    /// correction judge the words, and see nobody.
    pub fn on_word_of_key(&self) -> bool {
        matches!(self.act, Act::Renewed | Act::Rekeyed | Act::Corrected) && !self.counter
    }
}

/// The one certificate that takes the place of another: written with its intent, so that two never do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The new one: 32 hexadecimal digits.
    pub serial: String,
    pub act: Act,
    /// SHA-256 of what was asked, in hexadecimal: the same again is answered with the same certificate.
    pub request_sha256: String,
}

impl Succession {
    const INDEX: &str = "successors";

    /// Of the certificate `old`: the claim that counts. One whose certificate was revoked may be claimed anew.
    pub fn key(old: &[u8]) -> Key {
        Key::new("succession", &[old])
    }

    /// Every certificate that ever took the place of `old`.
    pub fn link(old: &[u8], new: &[u8]) -> Key {
        Key::new(Self::INDEX, &[old, new])
    }

    pub fn links(old: &[u8]) -> (Key, Key) {
        Key::range(Self::INDEX, &[old])
    }
}

/// An old certificate that is to be revoked, among all that are, by when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outgoing {
    /// The old one, and the one in its place.
    pub old: String,
    pub new: String,
    pub act: Act,
    pub ends: Revocation,
}

impl Outgoing {
    const TABLE: &str = "outgoing";

    /// Big-endian seconds, so that a scan goes from the first.
    pub fn key(at: i64, old: &[u8]) -> Key {
        Key::new(Self::TABLE, &[&at.max(0).to_be_bytes(), old])
    }

    /// Those whose time has come.
    pub fn due(now: i64) -> (Key, Key) {
        (Key::new(Self::TABLE, &[]), Key::new(Self::TABLE, &[&now.saturating_add(1).max(0).to_be_bytes()]))
    }
}
