//! What is counted of a domain on a day (from 1970, UTC), until it is reported: `JSON`, under the day and the domain.

use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Key;

use super::{RecordError, from_json, to_json};

pub trait Tally: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    const KIND: &'static str;

    fn new(day: u64, domain: &str) -> Self;
    fn day(&self) -> u64;
    fn domain(&self) -> &str;

    /// Adds what was counted after it.
    fn merge(&mut self, newer: &Self);

    fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(Self::KIND, self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(Self::KIND, bytes)
    }

    /// The oldest day comes first.
    fn key(day: u64, domain: &str) -> Key {
        Key::new(Self::KIND, &[&day.to_be_bytes(), domain.as_bytes()])
    }

    fn range() -> (Key, Key) {
        Key::range(Self::KIND, &[])
    }
}
