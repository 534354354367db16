//! The last list of each issuer, and the one about to be signed.

use serde::{Deserialize, Serialize};
use store::{Batch, Key, Part, Template};

use super::{Record, der_text};

/// A number taken and bytes about to be signed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CrlIntent {
    pub number: u64,
    /// Unix seconds.
    pub this_update: i64,
    pub next_update: i64,
    /// SHA-256 of the TBSCertList: the bytes themselves can be made again.
    #[serde(with = "der_text")]
    pub tbs_digest: Vec<u8>,
    pub entries: u64,
    /// What had made the list before it stale, and is done with when this one is published.
    pub stale: Option<Vec<u8>>,
}

impl CrlIntent {
    pub fn key(issuer: &str) -> Key {
        Key::new("crl-intent", &[issuer.as_bytes()])
    }

    /// The counter that gives the numbers of an issuer's lists.
    pub fn counter(issuer: &str) -> String {
        format!("crl-number/{issuer}")
    }
}

/// The list an issuer publishes now.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CrlRecord {
    pub number: u64,
    /// Unix seconds.
    pub this_update: i64,
    pub next_update: i64,
    pub entries: u64,
    #[serde(skip)]
    pub der: Vec<u8>,
}

impl Record for CrlRecord {
    fn body(&self) -> &[u8] {
        &self.der
    }

    fn with_body(self, der: &[u8]) -> Option<Self> {
        (!der.is_empty()).then(|| Self { der: der.to_vec(), ..self })
    }
}

impl CrlRecord {
    pub const TABLE: &str = "crl";

    pub fn key(issuer: &str) -> Key {
        Key::new(Self::TABLE, &[issuer.as_bytes()])
    }

    /// The number that every list made from now on is above: written when a backup is restored, since nobody knows which
    /// numbers were used after it.
    pub fn floor() -> Key {
        Key::new("crl-floor", &[])
    }

    /// Exists while a change of status is not yet on the list.
    pub fn stale(issuer: &str) -> Key {
        Key::new("crl-stale", &[issuer.as_bytes()])
    }

    /// Marks the list of `issuer` as stale. The mark is a number never used before: one serial may be suspended, resumed
    /// and suspended again in a second, and a publication that began earlier clears none but the mark it saw.
    pub fn mark_stale(mut batch: Batch, issuer: &str) -> Batch {
        let number = batch.next("crl-stale");
        batch.put(Self::stale(issuer), Template::new(vec![Part::Counter(number)]))
    }
}
