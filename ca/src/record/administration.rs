//! The certificate under which officers reach the authority.

use serde::{Deserialize, Serialize};
use store::Key;

use super::der_text;

/// Its key is in the key store, under this name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AdministrationCertificate {
    pub key: String,
    /// The host names and addresses it is for, as they were configured.
    pub names: Vec<String>,
    #[serde(with = "der_text")]
    pub der: Vec<u8>,
}

impl AdministrationCertificate {
    pub fn key() -> Key {
        Key::new("authority", &[b"administration-certificate"])
    }
}
