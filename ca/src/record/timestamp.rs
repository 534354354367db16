//! What is remembered of timestamps: who signs them, what each said, and which were made at one moment.

use serde::{Deserialize, Serialize};
use store::{Key, Part, StreamSlot, Template};

use super::{Record, der_text, encode};

/// The certificate that signs tokens now, and its key in the key store. Those before it stay in the register.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TimestampSigner {
    pub key: String,
    #[serde(with = "der_text")]
    pub der: Vec<u8>,
}

impl Record for TimestampSigner {}

impl TimestampSigner {
    pub fn place() -> Key {
        Key::new("authority", &[b"timestamp-signer"])
    }
}

/// What one token says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TimestampRecord {
    /// TSTInfo, DER.
    #[serde(skip)]
    pub info: Vec<u8>,
}

impl Record for TimestampRecord {
    fn body(&self) -> &[u8] {
        &self.info
    }

    fn with_body(self, info: &[u8]) -> Option<Self> {
        (!info.is_empty()).then(|| Self { info: info.to_vec() })
    }
}

/// The first octets of a serial number: random, and the same for all tokens of one batch.
pub type BatchId = [u8; 14];

/// A token's serial number: its batch, then its place in it.
pub fn timestamp_serial(batch: &BatchId, place: u16) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.iter_mut().zip(batch.iter().copied().chain(place.to_be_bytes())).for_each(|(to, from)| *to = from);
    serial
}

/// Batch and place of a serial number of ours.
pub fn timestamp_place(serial: &[u8]) -> Option<(BatchId, u16)> {
    let (batch, place) = serial.split_first_chunk::<14>()?;
    Some((*batch, u16::from_be_bytes(place.try_into().ok()?)))
}

impl TimestampRecord {
    const TABLE: &str = "timestamp";

    pub fn key(batch: &BatchId, place: u16) -> Key {
        Key::new(Self::TABLE, &[batch, &place.to_be_bytes()])
    }

    /// All tokens of a batch, in their order.
    pub fn of_batch(batch: &BatchId) -> (Key, Key) {
        Key::range(Self::TABLE, &[batch])
    }
}

/// Tokens that were made at one moment, and the log entry that covers them.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TimestampBatch {
    pub tokens: u16,
    /// SHA-256 of the signer's certificate, in hexadecimal.
    pub signer: String,
    /// The position of the log entry, big-endian.
    #[serde(skip)]
    position: [u8; 8],
}

impl Record for TimestampBatch {
    fn body(&self) -> &[u8] {
        &self.position
    }

    fn with_body(self, position: &[u8]) -> Option<Self> {
        Some(Self { position: position.try_into().ok()?, ..self })
    }
}

impl TimestampBatch {
    pub fn key(batch: &BatchId) -> Key {
        Key::new("timestamp-batch", &[batch])
    }

    /// As it is stored, with the position that the store will give to `entry`.
    pub fn stored(tokens: u16, signer: &str, entry: StreamSlot) -> Result<Template, serde_json::Error> {
        let mut json = encode(&Self { tokens, signer: signer.to_owned(), position: [0; 8] })?;
        json.truncate(json.len() - 8);
        Ok(Template::new(vec![Part::Bytes(json), Part::Position(entry)]))
    }

    pub fn position(&self) -> u64 {
        u64::from_be_bytes(self.position)
    }
}

/// The latest time that a token ever said, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LatestTimestamp {
    pub micros: i64,
}

impl Record for LatestTimestamp {}

impl LatestTimestamp {
    pub fn place() -> Key {
        Key::new("authority", &[b"timestamp-latest"])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::decode;
    use store::{Batch, Memory, Store};

    #[test]
    fn a_serial_leads_to_its_batch_and_the_batch_to_its_log_entry() {
        let batch = [0x41; 14];
        assert_eq!(timestamp_place(&timestamp_serial(&batch, 513)), Some((batch, 513)));
        assert_eq!(timestamp_place(&[0x41; 15]), None);
        assert_eq!(timestamp_place(&[0x41; 17]), None);
        let store = Memory::new();
        for expected in 0..2 {
            let mut writes = Batch::new();
            let slot = writes.append("log", b"entry".as_slice());
            store.commit(writes.put(TimestampBatch::key(&batch), TimestampBatch::stored(7, "ab", slot).unwrap())).unwrap();
            let read: TimestampBatch = decode(&store.get(&TimestampBatch::key(&batch)).unwrap().unwrap()).unwrap();
            assert_eq!((read.tokens, read.signer.as_str(), read.position()), (7, "ab", expected));
        }
        let record = TimestampRecord { info: vec![0x30, 1, 0] };
        assert_eq!(decode::<TimestampRecord>(&encode(&record).unwrap()).unwrap(), record);
    }
}
