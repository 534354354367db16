//! An administrator made by the owner of the directory, since none was left.

use serde::{Deserialize, Serialize};
use store::Key;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Of the officer's certificate.
    pub serial: String,
    /// Unix seconds.
    pub at: i64,
    pub reason: String,
    /// As the log names who asked.
    pub by: String,
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
