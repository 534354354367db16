//! A message's bytes: compressed, then sealed for their own id. They never change.
//!
//! `1 | dictionary u8 | sealed zstd frame`. Most mail here is statements, which are alike: a dictionary trained on
//! them (`examples/train_dictionary.rs`) makes them several times smaller than zstd alone. A dictionary in use is
//! never changed; a better one gets the next number and old bodies keep theirs.
//!
//! `2 | dictionary u32 big-endian | sealed zstd frame`, with a dictionary that the store keeps: what a push's messages have in common.
//!
//! `3 | dictionary u8 | sealed zstd frame` of the first mebibyte of a larger message, and the same of each that follows, in records of their
//! own: nobody need hold a large message several times to write or to read it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use keys::DataKey;
use store::{Key, ReadyRecord};

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::dictionary::Dictionary;
use super::{RecordError, VERSION};

const KIND: &str = "body";
/// The largest message kept, before compression.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// With a dictionary that the store keeps.
const WITH_KEPT: u8 = 2;
/// In several records.
const IN_PIECES: u8 = 3;
/// Octets of each piece but the last, before compression.
const PIECE: usize = 1 << 20;
/// Level 3 makes mail smaller by a fifteenth, and takes half as long again and tables of hundreds of kilobytes, which are filled anew for each
/// message and drive everything else out of a core's cache.
const LEVEL: i32 = 1;
/// The number of the dictionary that new bodies are compressed with.
const DICTIONARY: u8 = 1;
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.zstd");

static COMPRESSING: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL));
static DECOMPRESSING_1: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

thread_local! {
    /// A compressor's tables cost more to make than a message to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    /// So do a decompressor's. With the number of its dictionary.
    static DECOMPRESSOR: RefCell<Option<(u8, Decompressor<'static>)>> = const { RefCell::new(None) };
    /// The same of the kept dictionary that was used last, itself and not its number: another store has others under the same numbers.
    static KEPT_COMPRESSOR: RefCell<Option<(Arc<Dictionary>, Compressor<'static>)>> = const { RefCell::new(None) };
    static KEPT_DECOMPRESSOR: RefCell<Option<(Arc<Dictionary>, Decompressor<'static>)>> = const { RefCell::new(None) };
}

/// Bodies are told apart by an ordered number that is never used twice: engines like rising keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyId(pub u64);

impl BodyId {
    pub fn key(self) -> Key {
        Key::numbered("body", &[], self.0)
    }
}

/// Where a body of so many octets stands: at its id's key, and if it is large in pieces at others. All of them go with it.
pub fn keys(id: BodyId, size: usize) -> impl Iterator<Item = Key> {
    let more = 1..size.div_ceil(PIECE).max(1) as u64;
    std::iter::once(id.key()).chain(more.map(move |number| Key::numbered("body piece", &[&id.0.to_be_bytes()], number)))
}

/// SHA-256 of a message's bytes.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    digest_of(&[bytes])
}

/// SHA-256 of a message's bytes that come in pieces.
pub fn digest_of(pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// What was sealed, ready for its places in the store. `pieces` are of one message, one after another, and have at most [`MAX_BYTES`].
pub fn seal(id: BodyId, pieces: &[&[u8]], kept: Option<&Arc<Dictionary>>, key: &DataKey) -> Result<Vec<ReadyRecord>, RecordError> {
    let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    if length > MAX_BYTES {
        return Err(RecordError::Damaged { kind: KIND, reason: "it is longer than a message may be" });
    }
    let cannot = |_| RecordError::Damaged { kind: KIND, reason: "it cannot be compressed" };
    if length <= PIECE || kept.is_some() {
        let whole = whole(pieces);
        let (head, small) = match kept {
            Some(kept) => ([&[WITH_KEPT], kept.number.to_be_bytes().as_slice()].concat(), compress_with(kept, &whole)),
            None => (vec![VERSION, DICTIONARY], compress(&whole)),
        };
        let sealed = key.seal(&place(&id.key(), head.get(1..).unwrap_or_default()), &small.map_err(cannot)?)?;
        return Ok(vec![ReadyRecord::new(id.key(), &head, &sealed)]);
    }
    // Piece by piece: all that is held at one time is what came, what is ready, and one piece.
    let head = [IN_PIECES, DICTIONARY];
    let piece = |(record, part): (Key, Cow<'_, [u8]>)| {
        let sealed = key.seal(&place(&record, &head), &compress(&part).map_err(cannot)?)?;
        Ok(ReadyRecord::new(record, &head, &sealed))
    };
    keys(id, length).zip(parts(pieces, length)).map(piece).collect()
}

/// The bytes that were sealed, if they are still those with this digest and of this size. `kept` finds a dictionary of the store, and `piece`
/// what is stored beside `stored`, which is what stands at the id's own key.
pub fn open<E: From<RecordError>>(
    id: BodyId, stored: &[u8], size: u32, expected: &[u8; 32], key: &DataKey, kept: impl FnOnce(u32) -> Result<Arc<Dictionary>, E>, piece: impl Fn(&Key) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<u8>, E> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("its size is beyond the limit"))?;
    let undone = |_| damaged("it does not decompress to its size");
    // The size bounds the memory that decompression may take.
    let bytes = match stored {
        [WITH_KEPT, a, b, c, d, sealed @ ..] => {
            let number = [*a, *b, *c, *d];
            let small = key.open(&place(&id.key(), &number), sealed).map_err(RecordError::from)?;
            decompress_with(&kept(u32::from_be_bytes(number))?, &small, size).map_err(undone)?
        }
        [WITH_KEPT, ..] => return Err(damaged("it ends before its dictionary").into()),
        [IN_PIECES, ..] => {
            let mut bytes = Vec::with_capacity(size);
            for (at, place) in keys(id, size).enumerate() {
                let beside = match at {
                    0 => None,
                    _ => Some(piece(&place)?.ok_or_else(|| damaged("a piece of it is missing"))?),
                };
                let (dictionary, small) = opened(&place, beside.as_deref().unwrap_or(stored), IN_PIECES, key)?;
                bytes.extend(decompress(dictionary, &small, PIECE.min(size - bytes.len())).map_err(undone)?);
            }
            bytes
        }
        _ => {
            let (dictionary, small) = opened(&id.key(), stored, VERSION, key)?;
            decompress(dictionary, &small, size).map_err(undone)?
        }
    };
    if bytes.len() != size || digest(&bytes) != *expected {
        return Err(damaged("its digest does not fit").into());
    }
    Ok(bytes)
}

/// What is compressed in one record, and the number of its dictionary.
fn opened(record: &Key, stored: &[u8], version: u8, key: &DataKey) -> Result<(u8, Vec<u8>), RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let (dictionary, sealed) = match stored {
        [first, dictionary, sealed @ ..] if *first == version => (*dictionary, sealed),
        [first, ..] if *first != version => return Err(RecordError::Version { kind: KIND, version: *first }),
        _ => return Err(damaged("it ends before its dictionary")),
    };
    if decompressing(dictionary).is_none() {
        return Err(damaged("it was compressed with a dictionary that this program does not have"));
    }
    let head: &[u8] = if version == IN_PIECES { &[IN_PIECES, dictionary] } else { &[dictionary] };
    Ok((dictionary, key.open(&place(record, head), sealed)?))
}

fn whole<'p>(pieces: &[&'p [u8]]) -> Cow<'p, [u8]> {
    if let [whole] = pieces { Cow::Borrowed(*whole) } else { Cow::Owned(pieces.concat()) }
}

/// All of it in parts of [`PIECE`] octets, copied only where one lies in two of the pieces that came.
fn parts<'p>(pieces: &'p [&'p [u8]], length: usize) -> impl Iterator<Item = Cow<'p, [u8]>> {
    (0..length).step_by(PIECE).map(move |from| {
        let to = (from + PIECE).min(length);
        let mut before = 0;
        let within = pieces.iter().filter_map(|piece| {
            let (start, end) = (before, before + piece.len());
            before = end;
            piece.get(from.saturating_sub(start)..to.min(end).saturating_sub(start)).filter(|part| !part.is_empty())
        });
        whole(&within.collect::<Vec<_>>())
    })
}

/// The dictionary of that number: every number that was ever in use stays here.
fn decompressing(number: u8) -> Option<&'static DecoderDictionary<'static>> {
    match number {
        1 => Some(&DECOMPRESSING_1),
        _ => None,
    }
}

fn decompress(dictionary: u8, small: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let (_, decompressor) = match kept {
            Some(made) if made.0 == dictionary => made,
            _ => kept.insert((dictionary, Decompressor::with_prepared_dictionary(decompressing(dictionary).ok_or(std::io::ErrorKind::NotFound)?)?)),
        };
        decompressor.decompress(small, size)
    })
}

/// What a record of a body is sealed for: its key and what it is compressed with.
fn place(record: &Key, head: &[u8]) -> Vec<u8> {
    [record.as_bytes(), head].concat()
}

fn compress_with(kept: &Arc<Dictionary>, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    KEPT_COMPRESSOR.with_borrow_mut(|made| {
        let (_, compressor) = match made {
            Some(made) if Arc::ptr_eq(&made.0, kept) => made,
            _ => made.insert((Arc::clone(kept), Compressor::with_dictionary(LEVEL, &kept.bytes)?)),
        };
        compressor.compress(bytes)
    })
}

fn decompress_with(kept: &Arc<Dictionary>, small: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    KEPT_DECOMPRESSOR.with_borrow_mut(|made| {
        let (_, decompressor) = match made {
            Some(made) if Arc::ptr_eq(&made.0, kept) => made,
            _ => made.insert((Arc::clone(kept), Decompressor::with_dictionary(&kept.bytes)?)),
        };
        decompressor.decompress(small, size)
    })
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::with_prepared_dictionary(&COMPRESSING)?),
        };
        compressor.compress(bytes)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::dictionary;

    fn data_key(name: &str) -> (tempfile::TempDir, DataKey) {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let store = keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap();
        let key = store.data_key(name).unwrap();
        (directory, key)
    }

    /// In one record.
    fn sealed(id: BodyId, bytes: &[u8], kept: Option<&Arc<Dictionary>>, key: &DataKey) -> Vec<u8> {
        let records = seal(id, &[bytes], kept, key).unwrap();
        let [record] = records.as_slice() else { panic!("{} records", records.len()) };
        record.value().to_vec()
    }

    fn opened(id: BodyId, stored: &[u8], size: u32, expected: &[u8; 32], key: &DataKey) -> Result<Vec<u8>, RecordError> {
        open(id, stored, size, expected, key, |_| Err(RecordError::Damaged { kind: "dictionary", reason: "there is none" }), |_| Ok(None))
    }

    #[test]
    fn a_body_opens_with_its_kept_dictionary_and_no_other() {
        let (_directory, key) = data_key("mail");
        let kept = |number: u32, word: &str| Arc::new(Dictionary { number, bytes: word.repeat(500).into_bytes() });
        let (own, other) = (kept(3, "statement of month "), kept(4, "another template "));
        let bytes = "statement of month 10\r\n".repeat(200).into_bytes();
        let size = u32::try_from(bytes.len()).unwrap();
        let sealed = sealed(BodyId(7), &bytes, Some(&own), &key);
        let open_by = |id: u64, stored: &[u8], dictionary: &Arc<Dictionary>| open::<RecordError>(BodyId(id), stored, size, &digest(&bytes), &key, |_| Ok(Arc::clone(dictionary)), |_| Ok(None));
        assert_eq!(open_by(7, &sealed, &own).unwrap(), bytes);
        assert!(open_by(7, &sealed, &other).is_err() && open_by(8, &sealed, &own).is_err() && opened(BodyId(7), &sealed, size, &digest(&bytes), &key).is_err());
        assert_eq!(open_by(7, &sealed, &own).unwrap(), bytes);
        // It is sealed for its dictionary, too.
        let mut renumbered = sealed.clone();
        *renumbered.get_mut(4).unwrap() = 4;
        assert!(open_by(7, &renumbered, &own).is_err());
        for end in 0..sealed.len() {
            assert!(open_by(7, sealed.get(..end).unwrap(), &own).is_err(), "{end}");
        }
        let stored = dictionary::encode(&own.bytes).unwrap();
        assert_eq!(dictionary::decode(3, &stored).unwrap(), *own);
        assert!(dictionary::decode(3, stored.get(..stored.len() - 1).unwrap()).is_err() && dictionary::encode(&vec![0; dictionary::MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn a_body_comes_back_only_whole_and_in_its_place() {
        let (_one, key) = data_key("mail");
        let (_two, other) = data_key("mail");
        let bytes = b"Subject: statement\r\n\r\n".repeat(100);
        let size = u32::try_from(bytes.len()).unwrap();
        let sealed = sealed(BodyId(7), &bytes, None, &key);
        assert!(sealed.len() < bytes.len() / 4 && !sealed.windows(9).any(|window| window == b"statement"));
        assert_eq!(opened(BodyId(7), &sealed, size, &digest(&bytes), &key).unwrap(), bytes);
        assert!(opened(BodyId(8), &sealed, size, &digest(&bytes), &key).is_err());
        assert!(opened(BodyId(7), &sealed, size, &digest(&bytes), &other).is_err());
        assert!(opened(BodyId(7), &sealed, size - 1, &digest(&bytes), &key).is_err());
        assert!(opened(BodyId(7), &sealed, size + 1, &digest(&bytes), &key).is_err());
        assert!(opened(BodyId(7), &sealed, size, &digest(b"other"), &key).is_err());
        // What was damaged leaves nothing behind for the next.
        let torn = sealed.get(..sealed.len() / 2).unwrap();
        assert!(opened(BodyId(7), torn, size, &digest(&bytes), &key).is_err());
        assert_eq!(opened(BodyId(7), &sealed, size, &digest(&bytes), &key).unwrap(), bytes);
        let mut other_dictionary = sealed.clone();
        *other_dictionary.get_mut(1).unwrap() = 2;
        assert!(opened(BodyId(7), &other_dictionary, size, &digest(&bytes), &key).is_err());
        assert!(matches!(opened(BodyId(7), &[9], size, &digest(&bytes), &key), Err(RecordError::Version { version: 9, .. })));
    }

    #[test]
    fn a_large_body_stands_in_pieces_and_comes_back_whole_or_not_at_all() {
        let (_directory, key) = data_key("mail");
        let noise = |length: u32| (0..length).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect::<Vec<u8>>();
        let piece = u32::try_from(PIECE).unwrap();
        for length in [piece, piece + 1, 2 * piece, 3_000_000] {
            let bytes = noise(length);
            for at in [0, 1, 700_000, PIECE, bytes.len()] {
                let (first, second) = bytes.split_at(at);
                let records = seal(BodyId(7), &[first, second], None, &key).unwrap();
                let stored: std::collections::BTreeMap<Key, Vec<u8>> = keys(BodyId(7), bytes.len()).zip(&records).map(|(key, record)| (key, record.value().to_vec())).collect();
                assert_eq!((stored.len(), records.len()), (bytes.len().div_ceil(PIECE), bytes.len().div_ceil(PIECE)));
                let read = |id: u64, size: u32, stored: &std::collections::BTreeMap<Key, Vec<u8>>| {
                    let expected = digest_of(&[first, second]);
                    open::<RecordError>(BodyId(id), stored.get(&BodyId(7).key()).unwrap(), size, &expected, &key, |_| panic!("of the store"), |place| Ok(stored.get(place).cloned()))
                };
                assert!(read(7, length, &stored).unwrap() == bytes);
                assert!(read(8, length, &stored).is_err() && read(7, length - 1, &stored).is_err() && read(7, length + 1, &stored).is_err());
                // A piece that is missing, cut off, or in the place of another.
                for place in stored.keys().filter(|place| **place != BodyId(7).key()) {
                    let mut less = stored.clone();
                    less.remove(place);
                    assert!(read(7, length, &less).is_err());
                    less.insert(place.clone(), stored.get(place).unwrap().split_last().unwrap().1.to_vec());
                    assert!(read(7, length, &less).is_err());
                    less.insert(place.clone(), stored.get(&BodyId(7).key()).unwrap().clone());
                    assert!(read(7, length, &less).is_err());
                }
            }
        }
    }

    #[test]
    fn a_large_body_of_before_there_were_pieces_opens() {
        let (_directory, key) = data_key("mail");
        let bytes = b"Subject: statement\r\n\r\n".repeat(200_000);
        let small = key.seal(&place(&BodyId(7).key(), &[DICTIONARY]), &compress(&bytes).unwrap()).unwrap();
        let stored = [&[VERSION, DICTIONARY], small.as_slice()].concat();
        assert!(opened(BodyId(7), &stored, u32::try_from(bytes.len()).unwrap(), &digest(&bytes), &key).unwrap() == bytes);
    }

    #[test]
    fn a_dictionary_in_use_is_never_changed() {
        let found: String = digest(DICTIONARY_1).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, "54801ad25021ae338954e1a4a7b22d11a6e1910a5c74c9c975c9f342c638035e", "bodies are stored that only dictionary 1 as it was opens: give the new one the next number");
        assert!(decompressing(DICTIONARY).is_some());
    }

    #[test]
    fn nothing_is_a_body_too() {
        let (_directory, key) = data_key("mail");
        let sealed = sealed(BodyId(1), b"", None, &key);
        assert_eq!(opened(BodyId(1), &sealed, 0, &digest(b""), &key).unwrap(), b"");
    }
}
