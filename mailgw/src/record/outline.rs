//! What listings tell of messages, kept beside them in blocks of some hundred, each sealed as one, so that one opening tells of all:
//! `1 | wording u8 | sealed (size u32 | zstd frame)`, under the mailbox and the highest content the block may know. The frame:
//! `count, (content, octets of its envelope, of its structure)*, texts`, contents ascending, numbers LEB128.
//!
//! The headers of the same messages stand in a block of their own, under the same name and of the same form: the header in the place of the
//! envelope, and nothing in that of the structure. Who lists by ENVELOPE opens none.
//!
//! Beside them one list of the blocks of a mailbox: `1 | wording u8 | (highest content, messages)*`. It says nothing of what is in them.
//! All of it can be made anew from the messages; what another wording wrote is.

use std::cell::RefCell;

use keys::DataKey;
use protocol::imap::content::{Outline, WORDING};
use store::Key;
use zstd::bulk::Decompressor;

use super::words::{read_number, write_number};
use super::{RecordError, VERSION, versioned};

const KIND: &str = "outlines";
const HEADERS: &str = "outline headers";
const LIST: &str = "outline list";
/// The most bytes of a block before compression.
const MAX_BYTES: usize = 32 << 20;
const LEVEL: i32 = 3;

thread_local! {
    /// Its tables cost as much to make as a block to decompress.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub fn key(mailbox: &str, highest: u64) -> Key {
    Key::numbered(KIND, &[mailbox.as_bytes()], highest)
}

pub fn range(mailbox: &str) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes()])
}

/// The headers of the same block.
pub fn headers_key(mailbox: &str, highest: u64) -> Key {
    Key::numbered(HEADERS, &[mailbox.as_bytes()], highest)
}

pub fn headers_range(mailbox: &str) -> (Key, Key) {
    Key::range(HEADERS, &[mailbox.as_bytes()])
}

pub fn list_key(mailbox: &str) -> Key {
    Key::new(LIST, &[mailbox.as_bytes()])
}

/// A block as the list names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub highest: u64,
    pub messages: usize,
}

pub fn encode_list(blocks: &[Named]) -> Vec<u8> {
    let mut bytes = vec![VERSION, WORDING];
    let mut before = 0;
    for block in blocks {
        write_number(block.highest.wrapping_sub(before), &mut bytes);
        write_number(block.messages as u64, &mut bytes);
        before = block.highest;
    }
    bytes
}

/// `None`: of another wording.
pub fn decode_list(bytes: &[u8]) -> Result<Option<Vec<Named>>, RecordError> {
    let damaged = || RecordError::Damaged { kind: LIST, reason: "it is no list of blocks" };
    let Some(mut rest) = worded(LIST, bytes)? else { return Ok(None) };
    let (mut blocks, mut before) = (Vec::new(), 0_u64);
    while !rest.is_empty() {
        let step = read_number(&mut rest).ok_or_else(damaged)?;
        let messages = read_number(&mut rest).and_then(|count| usize::try_from(count).ok()).ok_or_else(damaged)?;
        before = before.checked_add(step).filter(|_| step > 0 || blocks.is_empty()).ok_or_else(damaged)?;
        blocks.push(Named { highest: before, messages });
    }
    Ok(Some(blocks))
}

fn worded<'b>(kind: &'static str, bytes: &'b [u8]) -> Result<Option<&'b [u8]>, RecordError> {
    let (wording, rest) = versioned(kind, bytes)?.split_first().ok_or(RecordError::Damaged { kind, reason: "it is too short" })?;
    Ok((*wording == WORDING).then_some(rest))
}

/// Contents ascending.
pub fn seal(key: &Key, outlines: &[(u64, Outline)], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    sealed(key, outlines, |outline| (&outline.envelope, &outline.structure), data_key)
}

/// Their headers.
pub fn seal_headers(key: &Key, outlines: &[(u64, Outline)], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    sealed(key, outlines, |outline| (&outline.header, &[]), data_key)
}

fn sealed(key: &Key, outlines: &[(u64, Outline)], texts: impl Fn(&Outline) -> (&[u8], &[u8]), data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let mut plain = Vec::new();
    write_number(outlines.len() as u64, &mut plain);
    let mut before = 0;
    for (content, outline) in outlines {
        let (first, second) = texts(outline);
        write_number(content.wrapping_sub(before), &mut plain);
        write_number(first.len() as u64, &mut plain);
        write_number(second.len() as u64, &mut plain);
        before = *content;
    }
    for (_, outline) in outlines {
        let (first, second) = texts(outline);
        plain.extend_from_slice(first);
        plain.extend_from_slice(second);
    }
    let too_long = RecordError::Damaged { kind: KIND, reason: "it would be too long" };
    let size = u32::try_from(plain.len()).ok().filter(|_| plain.len() <= MAX_BYTES).ok_or(too_long)?;
    let packed = zstd::bulk::compress(&plain, LEVEL).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be compressed" })?;
    let sealed = data_key.seal(key.as_bytes(), &[size.to_be_bytes().as_slice(), &packed].concat())?;
    Ok([&[VERSION, WORDING], sealed.as_slice()].concat())
}

/// One that is opened: its texts stand in one piece.
pub struct Opened {
    plain: Vec<u8>,
    /// Content, and where its envelope begins and ends and its structure ends.
    places: Vec<(u64, usize, usize, usize)>,
}

impl Opened {
    /// Content, envelope, structure, ascending; both are empty where the message has to be read. Of a block of headers the envelope is the
    /// header.
    pub fn all(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        self.places.iter().filter_map(|place| self.texts(place))
    }

    pub fn get(&self, content: u64) -> Option<(u64, &[u8], &[u8])> {
        let at = self.places.binary_search_by_key(&content, |place| place.0).ok()?;
        self.texts(self.places.get(at)?)
    }

    fn texts(&self, (content, begin, middle, end): &(u64, usize, usize, usize)) -> Option<(u64, &[u8], &[u8])> {
        Some((*content, self.plain.get(*begin..*middle)?, self.plain.get(*middle..*end)?))
    }
}

/// `None`: of another wording.
pub fn open(key: &Key, stored: &[u8], data_key: &DataKey) -> Result<Option<Opened>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let Some(sealed) = worded(KIND, stored)? else { return Ok(None) };
    let packed = data_key.open(key.as_bytes(), sealed)?;
    let (size, packed) = packed.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("it would be too long"))?;
    let plain = decompress(packed, size).map_err(|_| damaged("it does not decompress to its size"))?;
    let places = places(&plain).filter(|_| plain.len() == size).ok_or_else(|| damaged("it is no list of outlines"))?;
    Ok(Some(Opened { plain, places }))
}

fn places(plain: &[u8]) -> Option<Vec<(u64, usize, usize, usize)>> {
    let mut rest = plain;
    let count = usize::try_from(read_number(&mut rest)?).ok()?;
    // Each takes three bytes at least.
    let mut places = Vec::with_capacity(count.min(rest.len() / 3));
    let mut content = 0_u64;
    for at in 0..count {
        let step = read_number(&mut rest)?;
        content = content.checked_add(step).filter(|_| step > 0 || at == 0)?;
        let [envelope, structure] = [read_number(&mut rest)?, read_number(&mut rest)?].map(usize::try_from);
        places.push((content, 0, envelope.ok()?, structure.ok()?));
    }
    let mut begin = plain.len() - rest.len();
    for (_, first, middle, end) in &mut places {
        *first = begin;
        *middle = begin.checked_add(*middle)?;
        *end = middle.checked_add(*end)?;
        begin = *end;
    }
    (begin == plain.len()).then_some(places)
}

fn decompress(packed: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(made) => made,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, size)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::mailbox::test_keys::{data_key, other_data_key};

    proptest! {
        #[test]
        fn what_is_kept_comes_back_in_its_place_alone(texts in prop::collection::btree_map(any::<u64>(), (prop::collection::vec(any::<u8>(), 0..90), prop::collection::vec(any::<u8>(), 0..90)), 0..30)) {
            let texts: BTreeMap<u64, (Vec<u8>, Vec<u8>)> = texts;
            let outlines: Vec<(u64, Outline)> = texts.iter().map(|(content, (envelope, structure))| (*content, Outline { envelope: envelope.clone(), structure: structure.clone(), header: [structure.clone(), envelope.clone()].concat() })).collect();
            let place = key("1234567897", 9);
            let sealed = seal(&place, &outlines, &data_key()).unwrap();
            let opened = open(&place, &sealed, &data_key()).unwrap().unwrap();
            let of_headers = headers_key("1234567897", 9);
            let sealed_headers = seal_headers(&of_headers, &outlines, &data_key()).unwrap();
            let headers = open(&of_headers, &sealed_headers, &data_key()).unwrap().unwrap();
            let found = opened.all().zip(headers.all()).map(|((content, envelope, structure), (same, header, nothing))| {
                assert!(same == content && nothing.is_empty());
                (content, Outline { envelope: envelope.to_vec(), structure: structure.to_vec(), header: header.to_vec() })
            });
            prop_assert_eq!(&found.collect::<Vec<(u64, Outline)>>(), &outlines);
            // The one is not the other.
            prop_assert!(open(&place, &sealed_headers, &data_key()).is_err());
            for (content, outline) in &outlines {
                prop_assert_eq!(opened.get(*content), Some((*content, outline.envelope.as_slice(), outline.structure.as_slice())));
                prop_assert_eq!(opened.get(content.wrapping_add(1)).is_some(), texts.contains_key(&content.wrapping_add(1)));
            }
            prop_assert!(open(&key("1234567897", 10), &sealed, &data_key()).is_err());
            prop_assert!(open(&place, &sealed, &other_data_key()).is_err());
            let mut other_wording = sealed;
            other_wording[1] ^= 1;
            prop_assert!(open(&place, &other_wording, &data_key()).unwrap().is_none());
        }

        #[test]
        fn a_list_comes_back_and_what_is_none_is_an_error(blocks in prop::collection::btree_map(any::<u64>(), 0_usize..600, 0..20), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let blocks: Vec<Named> = blocks.into_iter().map(|(highest, messages)| Named { highest, messages }).collect();
            prop_assert_eq!(decode_list(&encode_list(&blocks)).unwrap(), Some(blocks));
            let _ = (decode_list(&bytes), places(&bytes));
            let _ = decode_list(&[&[VERSION, WORDING], bytes.as_slice()].concat());
        }
    }
}
