//! The last list of each scope of an issuer, the one about to be signed, and what changed since a whole one.

use serde::{Deserialize, Serialize};
use store::{CounterSlot, Key, Template};

use super::{Record, der_text};

/// Which list of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every certificate of the issuer.
    Whole,
    /// Those that were put into one part when they were issued.
    Shard(u16),
    /// What changed since a whole list.
    Delta,
}

impl Scope {
    /// The whole list stands where the only one stood before there were others.
    pub(crate) fn key(self, table: &str, issuer: &str) -> Key {
        match self {
            Self::Whole => Key::new(table, &[issuer.as_bytes()]),
            Self::Shard(shard) => Key::new(table, &[issuer.as_bytes(), b"shard", &shard.to_be_bytes()]),
            Self::Delta => Key::new(table, &[issuer.as_bytes(), b"delta"]),
        }
    }

    /// Exists while a change of status is not yet on this list: the number of that change.
    pub fn stale(self, issuer: &str) -> Key {
        self.key("crl-stale", issuer)
    }

    /// Up to where the ends of certificates have been looked at for this list.
    pub fn ended(self, issuer: &str) -> Key {
        self.key("crl-ended", issuer)
    }
}

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
    /// Every change up to this number is on it.
    #[serde(default)]
    pub covered: u64,
    /// Of a delta: what it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CrlBase>,
}

impl CrlIntent {
    /// The intent of the whole list.
    pub fn key(issuer: &str) -> Key {
        Self::of(issuer, Scope::Whole)
    }

    pub fn of(issuer: &str, scope: Scope) -> Key {
        scope.key("crl-intent", issuer)
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

    /// The whole list.
    pub fn key(issuer: &str) -> Key {
        Self::of(issuer, Scope::Whole)
    }

    pub fn of(issuer: &str, scope: Scope) -> Key {
        scope.key(Self::TABLE, issuer)
    }

    /// The number that every list made from now on is above: written when a backup is restored, since nobody knows which
    /// numbers were used after it.
    pub fn floor() -> Key {
        Key::new("crl-floor", &[])
    }

    /// Of the whole list.
    pub fn stale(issuer: &str) -> Key {
        Scope::Whole.stale(issuer)
    }
}

/// What is known of a published list without its bytes, which may be tens of megabytes; written with it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CrlHead {
    pub number: u64,
    /// Unix seconds.
    pub this_update: i64,
    pub next_update: i64,
    pub entries: u64,
    /// Every change up to this number is on it.
    pub covered: u64,
}

impl CrlHead {
    pub fn of(issuer: &str, scope: Scope) -> Key {
        scope.key("crl-head", issuer)
    }
}

/// The whole list that deltas change.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CrlBase {
    pub number: u64,
    /// Every change up to this number is on it; those above are on the deltas.
    pub covered: u64,
    /// Unix seconds.
    pub this_update: i64,
}

impl CrlBase {
    pub fn key(issuer: &str) -> Key {
        Key::new("crl-base", &[issuer.as_bytes()])
    }
}

/// In how many parts an issuer's certificates are or ever were: each part has its list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Partitions {
    pub count: u16,
}

impl Partitions {
    pub fn key(issuer: &str) -> Key {
        Key::new("crl-partitions", &[issuer.as_bytes()])
    }
}

/// A change of what stands on the lists for one serial, under a number that no change had before: one serial may be
/// suspended, resumed and suspended again in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlChange {
    /// Unix seconds.
    pub at: i64,
    pub serial: Vec<u8>,
}

impl CrlChange {
    /// The counter of all changes; the marks of stale lists are its numbers.
    pub const COUNTER: &str = "crl-stale";
    const TABLE: &str = "crl-change";

    pub fn place(issuer: &str, number: CounterSlot) -> Template {
        Template::numbered(Self::TABLE, &[issuer.as_bytes()], number)
    }

    pub fn value(&self) -> Vec<u8> {
        [&self.at.to_be_bytes()[..], &self.serial].concat()
    }

    pub fn read(value: &[u8]) -> Option<Self> {
        let (at, serial) = value.split_first_chunk::<8>()?;
        (!serial.is_empty()).then(|| Self { at: i64::from_be_bytes(*at), serial: serial.to_vec() })
    }

    /// The changes above this number.
    pub fn after(issuer: &str, number: u64) -> (Key, Key) {
        let (_, to) = Key::range(Self::TABLE, &[issuer.as_bytes()]);
        (Key::numbered(Self::TABLE, &[issuer.as_bytes()], number.saturating_add(1)), to)
    }

    /// The changes up to this number.
    pub fn up_to(issuer: &str, number: u64) -> (Key, Key) {
        let (from, _) = Key::range(Self::TABLE, &[issuer.as_bytes()]);
        (from, Key::numbered(Self::TABLE, &[issuer.as_bytes()], number.saturating_add(1)))
    }
}
