//! What a bureau seals its receipts with. Who it is and what it accepts is policy: `policies/desk/bureaus.toml`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "bureau seal";
/// The counter that numbers the sealing keys.
pub const SEAL_KEYS: &str = "seal key";

/// A certificate and its issuers without the root, DER, its own first. In JSON: base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Vec<u8>>);

impl Chain {
    /// `None` for no certificate at all.
    pub fn new(certificates: Vec<Vec<u8>>) -> Option<Self> {
        if certificates.is_empty() { None } else { Some(Self(certificates)) }
    }

    pub fn leaf(&self) -> &[u8] {
        self.0.first().map(Vec::as_slice).unwrap_or_default()
    }

    pub fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().skip(1).map(Vec::as_slice)
    }

    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|der| STANDARD.encode(der)))
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let chain: Result<Vec<_>, _> = texts.iter().map(|text| STANDARD.decode(text)).collect();
        Self::new(chain.map_err(serde::de::Error::custom)?).ok_or_else(|| serde::de::Error::custom("no certificate"))
    }
}

/// The key in use, and the certificate for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// The name of the key in the key store.
    pub key: String,
    pub seal: Chain,
}

impl Sealing {
    pub fn key(code: &str) -> Key {
        Key::new(KIND, &[code.as_bytes()])
    }

    /// The name of the key a number stands for.
    pub fn key_name(number: u64) -> String {
        format!("seal-{number}")
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
