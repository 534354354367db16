//! The registry of enterprises as it was imported last: one record for each code, below the number of its import, so that an
//! import takes the place of the one before in one commit.

use policies::certificate::OrganizationName;
use policies::identity::CreditCode;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const HEAD: &str = "enterprises";
const ENTRY: &str = "enterprise";

/// Which import counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterprisesHead {
    pub import: u64,
    pub rows: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Unix milliseconds.
    pub imported_at: u64,
}

impl EnterprisesHead {
    pub fn key() -> Key {
        Key::new(HEAD, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(HEAD, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(HEAD, bytes)
    }
}

/// Whether an enterprise is in business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Business {
    InBusiness,
    /// 歇业: it files all the same.
    Suspended,
    /// 注销 or 吊销: it files no more.
    StruckOff,
}

impl Business {
    /// As a registry writes it.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "in-business" => Some(Self::InBusiness),
            "suspended" => Some(Self::Suspended),
            "struck-off" => Some(Self::StruckOff),
            _ => None,
        }
    }
}

/// What the registry says of one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseRecord {
    pub name: String,
    pub business: Business,
}

impl EnterpriseRecord {
    pub fn new(name: &OrganizationName, business: Business) -> Self {
        Self { name: name.as_str().to_owned(), business }
    }

    pub fn key(import: u64, code: &CreditCode) -> Key {
        Key::new(ENTRY, &[&import.to_be_bytes(), code.as_str().as_bytes()])
    }

    pub fn all_of(import: u64) -> (Key, Key) {
        Key::range(ENTRY, &[&import.to_be_bytes()])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(ENTRY, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(ENTRY, bytes)
    }
}
