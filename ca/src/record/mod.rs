//! What the authority remembers: the shapes of its records and the keys they stand under.

mod certificate;
mod crl;
mod issuer;
pub mod log;

use serde::{Serialize, de::DeserializeOwned};

pub use certificate::{CertificateRecord, Intent, Reason, Revocation, Status, serial_text};
pub use crl::{CrlIntent, CrlRecord};
pub use issuer::{IssuerRecord, OcspSigner, Settings};

/// A record as it stands in the store: JSON, every key known.
pub fn encode(record: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    // Most records fit: a certificate with its names is some 1,700 octets.
    let mut bytes = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut bytes, record)?;
    Ok(bytes)
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// DER inside a JSON record: base64, a third longer instead of four times.
pub(crate) mod der_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(der: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}
