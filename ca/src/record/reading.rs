//! That somebody looked at records, and in which hour.

use serde::{Deserialize, Serialize};
use store::Key;

use super::Record;

const HOUR: i64 = 3_600;

/// The first look of an hour; those that follow in it are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Unix seconds: where the hour begins.
    pub hour: i64,
    /// Who looked, as the log names them.
    pub by: String,
    /// The operation by which they looked.
    pub what: String,
}

impl Record for Reading {}

impl Reading {
    const TABLE: &str = "reading";

    pub fn new(at: i64, by: String, what: &str) -> Self {
        Self { hour: at.max(0) / HOUR * HOUR, by, what: what.to_owned() }
    }

    /// In the order of the hours.
    pub fn key(&self) -> Key {
        Key::new(Self::TABLE, &[&self.hour.to_be_bytes(), self.by.as_bytes(), self.what.as_bytes()])
    }

    pub fn since(at: i64) -> (Key, Key) {
        let (_, to) = Key::range(Self::TABLE, &[]);
        (Self::new(at, String::new(), "").key(), to)
    }
}
