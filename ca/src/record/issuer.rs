//! The authority's own facts: where it answers, and the issuers it signs with.

use serde::{Deserialize, Serialize};
use store::Key;

use super::der_text;
use crate::authority::ROOT;

/// Fixed at `init`; an old directory started under another base URL is refused, since the URL is
/// inside every certificate already issued.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub base_url: String,
    pub log_origin: String,
    /// The verifier key of the log, in the form of a signed note.
    pub log_key: String,
    /// The verifier keys of the logs this one went on from, the first first: each restore that lost entries began one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_logs: Vec<String>,
}

impl Settings {
    pub fn key() -> Key {
        Key::new("authority", &[b"settings"])
    }
}

/// A certificate authority of the hierarchy and its delegated OCSP signer.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct IssuerRecord {
    pub id: String,
    #[serde(with = "der_text")]
    pub der: Vec<u8>,
    /// The name of the OCSP signer's key in the key store; the root has none.
    pub ocsp: Option<OcspSigner>,
    /// The key's CKA_ID when it lives in the token, under the issuer's name as label; else it is in the key store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_key: Option<String>,
    /// Which generation of which authority it is; the first is called by the authority's own name and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The root that certified it, where that is another one than the authority was founded with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
}

/// The second or a later one.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// The authority, as policies name it.
    pub of: String,
    pub number: u32,
}

/// A key that waits for its certificate as an authority's next generation.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct IssuerRequest {
    pub id: String,
    pub generation: Generation,
    #[serde(with = "der_text")]
    pub public_key_info: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_key: Option<String>,
}

impl IssuerRequest {
    pub const TABLE: &str = "issuer-request";

    pub fn key(id: &str) -> Key {
        Key::new(Self::TABLE, &[id.as_bytes()])
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OcspSigner {
    pub key: String,
    #[serde(with = "der_text")]
    pub der: Vec<u8>,
}

impl IssuerRecord {
    pub const TABLE: &str = "issuer";

    /// The first generation of an authority, by the first root, with its key in the key store or elsewhere.
    pub fn new(id: impl Into<String>, der: Vec<u8>) -> Self {
        Self { id: id.into(), der, ocsp: None, token_key: None, generation: None, under: None }
    }

    pub fn key(id: &str) -> Key {
        Key::new(Self::TABLE, &[id.as_bytes()])
    }

    /// Whether it is a root, of whatever generation.
    pub fn is_root(&self) -> bool {
        self.id == ROOT || self.generation.as_ref().is_some_and(|generation| generation.of == ROOT)
    }

    /// The root that certified it: a root itself.
    pub fn root(&self) -> &str {
        if self.is_root() { &self.id } else { self.under.as_deref().unwrap_or(ROOT) }
    }

    pub fn generation(&self) -> u32 {
        self.generation.as_ref().map_or(1, |generation| generation.number)
    }
}

/// A root of another generation, or a certificate by which two roots vouch for each other, published beside the root
/// that the service goes by.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PublishedRoot {
    /// As addresses name it: `root-2`, `root-2-by-root`, `root-by-root-2`.
    pub id: String,
    pub generation: u32,
    #[serde(with = "der_text")]
    pub der: Vec<u8>,
}

impl PublishedRoot {
    pub const TABLE: &str = "published-root";

    pub fn key(id: &str) -> Key {
        Key::new(Self::TABLE, &[id.as_bytes()])
    }

    /// The first root's certificate for the key of `root`.
    pub fn by_first(root: &str) -> String {
        format!("{root}-by-{ROOT}")
    }

    /// The certificate of `root` for the first root's key.
    pub fn of_first(root: &str) -> String {
        format!("{ROOT}-by-{root}")
    }

    /// The root itself, as an issuer; none of a certificate across.
    pub fn issuer(&self) -> Option<IssuerRecord> {
        let generation = Generation { of: ROOT.to_owned(), number: self.generation };
        (self.id == format!("{ROOT}-{}", self.generation)).then(|| IssuerRecord { generation: Some(generation), ..IssuerRecord::new(self.id.clone(), self.der.clone()) })
    }
}
