//! An administrator made by the owner of the directory, since none was left.

use serde::{Deserialize, Serialize};
use store::Key;

use super::hold::Salt;

#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Of the officer's certificate.
    pub serial: String,
    /// Unix seconds.
    pub at: i64,
    pub reason: String,
    /// As the log names who asked.
    pub by: String,
    /// The log has the digest of all this, which nobody finds by guessing at reasons; none in one of before there was salt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
}

/// Without the reason, which may name people, and the salt.
impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("serial", &self.serial).field("at", &self.at).field("by", &self.by).finish_non_exhaustive()
    }
}

impl Recovery {
    pub const TABLE: &str = "recovery";

    pub fn key(at: i64, serial: &[u8]) -> Key {
        Key::new(Self::TABLE, &[&at.max(0).to_be_bytes(), serial])
    }

    /// From a moment on.
    pub fn since(from: i64) -> (Key, Key) {
        (Key::new(Self::TABLE, &[&from.max(0).to_be_bytes()]), Key::range(Self::TABLE, &[]).1)
    }
}
