//! Dictionaries that bodies of one template are compressed with, beside the one this program ships: `1 | size u32 | zstd of its octets`
//! under a number. They are never changed and never deleted, since bodies open with nothing else. What a dictionary was made for leads
//! to its number: `1 | number u64`, under the SHA-256 of that.

use store::{CounterSlot, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "dictionary";
const FOR: &str = "dictionary for";
/// The counter that numbers them.
pub const NUMBERS: &str = "dictionary";
/// The most octets of one: a message of a template, and more.
pub const MAX_BYTES: usize = 256 * 1024;
const LEVEL: i32 = 19;

#[derive(Debug, PartialEq, Eq)]
pub struct Dictionary {
    pub number: u32,
    pub bytes: Vec<u8>,
}

pub fn key(number: u32) -> Key {
    Key::numbered(KIND, &[], u64::from(number))
}

pub fn new_key(number: CounterSlot) -> Template {
    Template::numbered(KIND, &[], number)
}

pub fn key_for(what: &[u8; 32]) -> Key {
    Key::new(FOR, &[what])
}

pub fn number_template(number: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(number)])
}

pub fn number(bytes: &[u8]) -> Result<u32, RecordError> {
    let number = versioned(FOR, bytes)?.try_into().ok().and_then(|bytes| u32::try_from(u64::from_be_bytes(bytes)).ok());
    number.ok_or(RecordError::Damaged { kind: FOR, reason: "it is no number" })
}

pub fn encode(bytes: &[u8]) -> Result<Vec<u8>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let size = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_BYTES).ok_or_else(|| damaged("it is longer than a dictionary may be"))?;
    let small = zstd::bulk::compress(bytes, LEVEL).map_err(|_| damaged("it cannot be compressed"))?;
    Ok([&[VERSION], size.to_be_bytes().as_slice(), &small].concat())
}

pub fn decode(number: u32, stored: &[u8]) -> Result<Dictionary, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let (size, small) = versioned(KIND, stored)?.split_first_chunk::<4>().ok_or_else(|| damaged("it ends before its size"))?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("its size is beyond the limit"))?;
    let bytes = zstd::bulk::decompress(small, size).map_err(|_| damaged("it does not decompress to its size"))?;
    if bytes.len() == size { Ok(Dictionary { number, bytes }) } else { Err(damaged("it does not decompress to its size")) }
}
