//! A notice of the authority that was delivered: it stands for ever, so that none is delivered twice.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "notice";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// SHA-256 of the message, hexadecimal.
    pub message: String,
}

impl Delivered {
    /// By the authority, as it tells, and the notice's id.
    pub fn key(authority: &str, id: &str) -> Key {
        let mut context = Context::new(&SHA256);
        for part in [authority, id] {
            // The length before each part keeps two pairs from reading as one.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Key::new(KIND, &[context.finish().as_ref()])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}
