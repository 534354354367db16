//! What one signature says of a whole batch of items.

use serde::{Deserialize, Serialize};

use crate::record::RecordError;

const VERSION: u8 = 1;
/// How leaves and nodes are hashed. spec: rfc9162#2.1.1
const TREE: &str = "RFC 9162, SHA-256";

/// Signed as the octets that `write` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    version: u8,
    /// The gateway's log, which holds the root too.
    pub log: String,
    /// 1 for the gateway's first batch of evidence; there is none without its signature between two that have theirs.
    pub batch: u64,
    pub items: u64,
    tree: String,
    /// Hexadecimal.
    pub root: String,
}

impl Statement {
    pub fn new(log: &str, batch: u64, items: u64, root: &[u8; 32]) -> Self {
        Self { version: VERSION, log: log.to_owned(), batch, items, tree: TREE.to_owned(), root: crate::hex(root) }
    }

    pub fn write(&self) -> Result<String, RecordError> {
        serde_json::to_string(self).map_err(|_| RecordError::Damaged { kind: "evidence", reason: "a statement cannot be written as JSON" })
    }

    /// `None` for what is no statement of ours.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|statement: &Self| statement.version == VERSION && statement.tree == TREE)
    }
}
