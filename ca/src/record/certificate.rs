//! A certificate as the register holds it: the intent before the signature, the certificate after it.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{Hold, OrderId, Predecessor, Record, Scope, der_text};

/// What was about to be signed, durable before the key is used: after a power cut it says which serial
/// may exist in the world without being in the register.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    pub issuer: String,
    pub profile: String,
    /// The common name of the subject.
    pub name: String,
    pub code: Option<String>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    /// SHA-256 of the SubjectPublicKeyInfo.
    #[serde(with = "der_text")]
    pub key_digest: Vec<u8>,
    /// The certificate whose place this one is to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
    /// The order that it is for: the certificate and the order's end are one commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// The part whose list it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u16>,
    /// The exact DER of the TBSCertificate.
    #[serde(skip)]
    pub tbs: Vec<u8>,
}

impl Record for Intent {
    fn body(&self) -> &[u8] {
        &self.tbs
    }

    fn with_body(self, tbs: &[u8]) -> Option<Self> {
        (!tbs.is_empty()).then(|| Self { tbs: tbs.to_vec(), ..self })
    }
}

impl Intent {
    pub const TABLE: &str = "intent";

    pub fn key(serial: &[u8]) -> Key {
        Key::new(Self::TABLE, &[serial])
    }
}

/// One issued certificate and its state.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CertificateRecord {
    pub issuer: String,
    pub profile: String,
    /// The common name of the subject.
    pub name: String,
    /// The unified social credit code, where the profile carries one.
    pub code: Option<String>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    #[serde(with = "der_text")]
    pub key_digest: Vec<u8>,
    /// The part whose list it names, for good; without one it names the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u16>,
    #[serde(skip)]
    pub der: Vec<u8>,
    pub status: Status,
    /// The certificate whose place this one took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
}

impl Record for CertificateRecord {
    fn body(&self) -> &[u8] {
        &self.der
    }

    fn with_body(self, der: &[u8]) -> Option<Self> {
        (!der.is_empty()).then(|| Self { der: der.to_vec(), ..self })
    }
}

/// A status never moves back but by a recorded decision.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Good,
    Held(Hold),
    Revoked(Revocation),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Unix seconds.
    pub at: i64,
    pub reason: Reason,
    /// Since when the key is known or thought to have been compromised, or the certificate was otherwise no longer right.
    // spec: rfc5280#5.3.2
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<i64>,
}

impl Revocation {
    pub fn new(at: i64, reason: Reason) -> Self {
        Self { at, reason, invalid_since: None }
    }
}

/// The reasons of RFC 5280 that an authority may give for an end entity; suspension is no revocation.
// spec: rfc5280#5.3.1
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

impl Reason {
    pub fn crl(self) -> pki::crl::Reason {
        match self {
            Self::Unspecified => pki::crl::Reason::Unspecified,
            Self::KeyCompromise => pki::crl::Reason::KeyCompromise,
            Self::AffiliationChanged => pki::crl::Reason::AffiliationChanged,
            Self::Superseded => pki::crl::Reason::Superseded,
            Self::CessationOfOperation => pki::crl::Reason::CessationOfOperation,
            Self::PrivilegeWithdrawn => pki::crl::Reason::PrivilegeWithdrawn,
        }
    }
}

/// Without the name: an officer's is a person's.
impl std::fmt::Debug for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intent").field("issuer", &self.issuer).field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CertificateRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CertificateRecord");
        shown.field("issuer", &self.issuer).field("profile", &self.profile).field("status", &self.status).finish_non_exhaustive()
    }
}

impl CertificateRecord {
    pub const TABLE: &str = "certificate";
    pub const BY_EXPIRY: &str = "certificate-by-expiry";
    pub const BY_KEY: &str = "certificate-by-key";
    pub const BLOCKED_KEYS: &str = "blocked-key";

    pub fn key(serial: &[u8]) -> Key {
        Key::new(Self::TABLE, &[serial])
    }

    pub fn by_code(code: &str, serial: &[u8]) -> Key {
        Key::new("certificate-by-code", &[code.as_bytes(), serial])
    }

    /// All of one credit code.
    pub fn all_of_code(code: &str) -> (Key, Key) {
        Key::range("certificate-by-code", &[code.as_bytes()])
    }

    pub fn by_name(name: &str, serial: &[u8]) -> Key {
        Key::new("certificate-by-name", &[name.as_bytes(), serial])
    }

    /// All whose common name is this.
    pub fn all_of_name(name: &str) -> (Key, Key) {
        Key::range("certificate-by-name", &[name.as_bytes()])
    }

    /// Big-endian seconds, so that a scan goes from the first to expire.
    pub fn by_expiry(not_after: i64, serial: &[u8]) -> Key {
        Key::new(Self::BY_EXPIRY, &[&not_after.max(0).to_be_bytes(), serial])
    }

    /// Of one profile, from the first to expire.
    pub fn by_profile(profile: &str, not_after: i64, serial: &[u8]) -> Key {
        Key::new("certificate-by-profile", &[profile.as_bytes(), &not_after.max(0).to_be_bytes(), serial])
    }

    /// Of one issuer, from the first to expire.
    pub fn by_issuer(issuer: &str, not_after: i64, serial: &[u8]) -> Key {
        Key::new("certificate-by-issuer", &[issuer.as_bytes(), &not_after.max(0).to_be_bytes(), serial])
    }

    /// Where the serial stands besides the record: all that lists are made from.
    pub fn indexes(&self, serial: &[u8]) -> Vec<Key> {
        let mut keys = vec![
            Self::by_name(&self.name, serial),
            Self::by_expiry(self.not_after, serial),
            Self::by_profile(&self.profile, self.not_after, serial),
            Self::by_issuer(&self.issuer, self.not_after, serial),
            Self::by_key(&self.key_digest, serial),
        ];
        keys.extend(self.code.as_ref().map(|code| Self::by_code(code, serial)));
        keys
    }

    pub fn by_key(key_digest: &[u8], serial: &[u8]) -> Key {
        Key::new(Self::BY_KEY, &[key_digest, serial])
    }

    /// The revoked and the held of one issuer, in the order of their serials: what a CRL is made from.
    pub fn revoked(issuer: &str, serial: &[u8]) -> Key {
        Key::new("revoked", &[issuer.as_bytes(), serial])
    }

    pub fn all_revoked(issuer: &str) -> (Key, Key) {
        Key::range("revoked", &[issuer.as_bytes()])
    }

    pub fn all_revoked_in(issuer: &str, shard: u16) -> (Key, Key) {
        Key::range("revoked-in", &[issuer.as_bytes(), &shard.to_be_bytes()])
    }

    /// The same of one part.
    pub fn revoked_in(issuer: &str, shard: u16, serial: &[u8]) -> Key {
        Key::new("revoked-in", &[issuer.as_bytes(), &shard.to_be_bytes(), serial])
    }

    /// The lists it is on when it is revoked or held, and its place among their entries.
    pub fn places(&self, serial: &[u8]) -> Vec<(Scope, Key)> {
        let part = self.shard.map(|shard| (Scope::Shard(shard), Self::revoked_in(&self.issuer, shard, serial)));
        std::iter::once((Scope::Whole, Self::revoked(&self.issuer, serial))).chain(part).collect()
    }

    /// A key that was compromised is never certified again.
    pub fn blocked_key(key_digest: &[u8]) -> Key {
        Key::new(Self::BLOCKED_KEYS, &[key_digest])
    }
}

/// A serial number as people read and type it: 32 lower-case hexadecimal digits.
pub fn serial_text(serial: &[u8]) -> String {
    crate::hex(serial)
}
