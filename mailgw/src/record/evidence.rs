//! Evidence of delivery: items in batches, each batch in the commit that makes it true, and the signature it gets later.
//!
//! A batch is `1 | size u32 big-endian | zstd of its items, a line each`. Its number is a counter's, so the batches
//! without a signature are those beyond the last that has one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use merkle::{Hash, leaf_hash};
use serde::{Deserialize, Serialize};
use store::{Batch, CounterSlot, Key, Part, Store, StoreError, Template};

use super::bureau::Chain;
use super::event::{self, Event};
use super::{RecordError, VERSION, from_json, to_json, versioned};
use crate::erds::Item;

const BATCH: &str = "evidence batch";
const PLACE: &str = "evidence place";
const SEAL: &str = "evidence seal";
const SEALED: &str = "evidence sealed";
const STAMP: &str = "evidence timestamp";
const STAMPED: &str = "evidence stamped";
const LIST: &str = "evidence list";
const SIGNER: &str = "evidence signer";
/// The counters that number batches and the gateway's evidence keys.
pub const BATCHES: &str = "evidence batch";
pub const KEYS: &str = "evidence key";
/// The most bytes of a batch's items: those of a block of rows are a fraction of it.
const MAX_BYTES: usize = 16 << 20;
/// Of lines that differ by their digests level 3 makes a tenth more than level 1, and takes longer (`benches/statement.rs`).
const LEVEL: i32 = 1;

/// Whose key signs evidence: its name in the key store, and its certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    pub key: String,
    pub chain: Chain,
}

/// A batch's signature. The lists are those by which the signer was good at that moment, by their SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    pub statement: String,
    /// Detached CMS, DER in base64.
    pub signature: String,
    pub lists: Vec<String>,
}

/// Items that belong into the commit that makes them true.
pub struct Recorded {
    lines: Vec<String>,
}

impl Recorded {
    pub fn new(items: &[Item]) -> Result<Self, RecordError> {
        Ok(Self::of_lines(items.iter().map(Item::write).collect::<Result<_, _>>()?))
    }

    /// Of items that are written already.
    pub fn of_lines(lines: Vec<String>) -> Self {
        Self { lines }
    }

    /// Puts them, with where they are found again, and a leaf of the log that holds their root. `bureau`, `batch` and
    /// `block` are the push's.
    pub fn put(&self, mut write: Batch, bureau: &str, batch: &str, block: u64, now_unix_millis: u64) -> Result<Batch, RecordError> {
        let slot;
        (write, slot) = self.put_batch(write, now_unix_millis)?;
        let place = Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(slot)]);
        Ok(write.put(place_key(bureau, batch, block), place))
    }

    /// Puts them with the leaf of the log alone: where they are found again is the caller's affair.
    pub fn put_batch(&self, mut write: Batch, now_unix_millis: u64) -> Result<(Batch, CounterSlot), RecordError> {
        let slot = write.next(BATCHES);
        write = write.put(Template::numbered(BATCH, &[], slot), pack(&self.lines)?);
        let root = crate::hex(&merkle::root(&leaves(&self.lines)));
        Event::EvidenceRecorded(event::Evidence { items: self.lines.len() as u64, root }).append(&mut write, now_unix_millis)?;
        Ok((write, slot))
    }
}

/// Where the evidence of a push's block stands.
fn place_key(bureau: &str, batch: &str, block: u64) -> Key {
    Key::numbered(PLACE, &[bureau.as_bytes(), batch.as_bytes()], block)
}

pub fn leaves(lines: &[String]) -> Vec<Hash> {
    lines.iter().map(|line| leaf_hash(line.as_bytes())).collect()
}

fn pack(lines: &[String]) -> Result<Vec<u8>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: BATCH, reason };
    let text = lines.join("\n");
    let size = u32::try_from(text.len()).ok().filter(|_| text.len() <= MAX_BYTES).ok_or_else(|| damaged("it is longer than a batch may be"))?;
    let small = zstd::bulk::compress(text.as_bytes(), LEVEL).map_err(|_| damaged("it cannot be compressed"))?;
    Ok([&[VERSION], size.to_be_bytes().as_slice(), &small].concat())
}

fn unpack(bytes: &[u8]) -> Result<Vec<String>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: BATCH, reason };
    let (size, small) = versioned(BATCH, bytes)?.split_first_chunk::<4>().ok_or_else(|| damaged("it ends before its size"))?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("its size is beyond the limit"))?;
    let text = zstd::bulk::decompress(small, size).map_err(|_| damaged("it does not decompress to its size"))?;
    // A frame that is not there unpacks to nothing.
    if text.len() != size {
        return Err(damaged("it does not decompress to its size"));
    }
    let text = String::from_utf8(text).map_err(|_| damaged("it is not text"))?;
    Ok(text.split('\n').map(str::to_owned).collect())
}

fn read<T>(store: &dyn Store, key: &Key, decode: impl Fn(&[u8]) -> Result<T, RecordError>) -> Result<Option<T>, ReadError> {
    Ok(store.get(key)?.map(|bytes| decode(&bytes)).transpose()?)
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The items of a batch, as they were written.
pub fn items(store: &dyn Store, number: u64) -> Result<Option<Vec<String>>, ReadError> {
    read(store, &Key::numbered(BATCH, &[], number), unpack)
}

/// The numbers of the batches that hold a push's evidence, in the order of its blocks, from `from` on; at most `limit`.
/// With each comes the key to go on from.
pub fn of_push(store: &dyn Store, bureau: &str, batch: &str, from: Option<&Key>, limit: usize) -> Result<Vec<(Key, u64)>, ReadError> {
    let (first, end) = Key::range(PLACE, &[bureau.as_bytes(), batch.as_bytes()]);
    let found = store.scan(&from.map_or(first, Key::successor), &end, limit)?;
    found.into_iter().map(|(key, value)| Ok((key, number("evidence place", &value)?))).collect()
}

fn number(kind: &'static str, bytes: &[u8]) -> Result<u64, RecordError> {
    versioned(kind, bytes)?.try_into().map(u64::from_be_bytes).map_err(|_| RecordError::Damaged { kind, reason: "it is no number" })
}

impl Seal {
    pub fn key(batch: u64) -> Key {
        Key::numbered(SEAL, &[], batch)
    }

    pub fn of(store: &dyn Store, batch: u64) -> Result<Option<Self>, ReadError> {
        read(store, &Self::key(batch), |bytes| from_json(SEAL, bytes))
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(SEAL, self)
    }
}

/// A timestamp over a batch's signature, and the lists by which its authority was good at that time, by their SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// TimeStampToken, DER in base64.
    pub token: String,
    pub lists: Vec<String>,
}

impl Stamp {
    pub fn key(batch: u64) -> Key {
        Key::numbered(STAMP, &[], batch)
    }

    pub fn of(store: &dyn Store, batch: u64) -> Result<Option<Self>, ReadError> {
        read(store, &Self::key(batch), |bytes| from_json(STAMP, bytes))
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(STAMP, self)
    }
}

/// Deletes a batch with its signature and its timestamp; its root stays in the log.
pub fn forget(write: Batch, batch: u64) -> Batch {
    write.delete(Key::numbered(BATCH, &[], batch)).delete(Seal::key(batch)).delete(Stamp::key(batch))
}

/// The last batch that has its timestamp, or that was removed before it had one.
pub fn stamped_key() -> Key {
    Key::new(STAMPED, &[])
}

impl Signer {
    pub fn key() -> Key {
        Key::new(SIGNER, &[])
    }

    pub fn current(store: &dyn Store) -> Result<Option<Self>, ReadError> {
        read(store, &Self::key(), |bytes| from_json(SIGNER, bytes))
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(SIGNER, self)
    }
}

/// The name of the key a number stands for.
pub fn key_name(number: u64) -> String {
    format!("evidence-{number}")
}

/// The last batch that has its signature.
pub fn sealed_key() -> Key {
    Key::new(SEALED, &[])
}

pub fn encode_sealed(batch: u64) -> Vec<u8> {
    [&[VERSION], batch.to_be_bytes().as_slice()].concat()
}

pub fn decode_sealed(bytes: &[u8]) -> Result<u64, RecordError> {
    number(SEALED, bytes)
}

/// A revocation list by its SHA-256 in hexadecimal. Lists are as public as can be.
pub fn list_key(sha256: &str) -> Key {
    Key::new(LIST, &[sha256.as_bytes()])
}

pub fn encode_list(der: &[u8]) -> Vec<u8> {
    [&[VERSION], der].concat()
}

/// In base64, as a file of evidence has it.
pub fn list(store: &dyn Store, sha256: &str) -> Result<Option<String>, ReadError> {
    read(store, &list_key(sha256), |bytes| Ok(STANDARD.encode(versioned(LIST, bytes)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_batch_comes_back_as_it_was_and_what_is_none_is_refused() {
        let lines: Vec<String> = (0..1_000).map(|row| format!("{{\"Row\":{row},\"名\":\"a\\nb\"}}")).collect();
        let packed = pack(&lines).unwrap();
        assert_eq!(unpack(&packed).unwrap(), lines);
        assert!(packed.len() * 5 < lines.iter().map(String::len).sum());
        for end in 0..packed.len() {
            assert!(unpack(packed.get(..end).unwrap()).is_err(), "{end}");
        }
        // A size that was altered is no way to more memory.
        let mut large = packed;
        large.get_mut(1..5).unwrap().copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(unpack(&large).is_err());
    }
}
