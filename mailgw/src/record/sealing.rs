//! What the sealer remembers of its work: the manifests it accepted, and for every row the one digest it signed.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, VERSION, from_json, to_json, versioned};

const LOG: &str = "sealer log";
const BATCH: &str = "sealed batch";
const ROW: &str = "sealed row";

/// The sealer's own log, as it was founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub origin: String,
    pub key: String,
}

impl Log {
    pub fn key() -> Key {
        Key::new(LOG, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(LOG, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(LOG, bytes)
    }
}

/// Which manifest a batch has: its SHA-256.
pub fn batch_key(bureau: &str, batch: &str) -> Key {
    Key::new(BATCH, &[bureau.as_bytes(), batch.as_bytes()])
}

/// Which content a row has: its SHA-256.
pub fn row_key(bureau: &str, batch: &str, row: u64) -> Key {
    Key::numbered(ROW, &[bureau.as_bytes(), batch.as_bytes()], row)
}

pub fn encode(digest: &[u8; 32]) -> Vec<u8> {
    [&[VERSION], digest.as_slice()].concat()
}

pub fn decode(bytes: &[u8]) -> Result<[u8; 32], RecordError> {
    versioned("sealing", bytes)?.try_into().map_err(|_| RecordError::Damaged { kind: "sealing", reason: "it is no digest" })
}
