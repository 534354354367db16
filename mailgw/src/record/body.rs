//! A message's bytes: compressed, then sealed for their own id. They never change.
//!
//! `1 | dictionary u8 | sealed zstd frame`. Most mail here is statements, which are alike: a dictionary trained on
//! them (`examples/train_dictionary.rs`) makes them several times smaller than zstd alone. A dictionary in use is
//! never changed; a better one gets the next number and old bodies keep theirs.
//!
//! `2 | dictionary u32 big-endian | sealed zstd frame`, with a dictionary that the store keeps: what a push's messages have in common.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use keys::DataKey;
use store::Key;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::dictionary::Dictionary;
use super::{RecordError, VERSION, versioned};

const KIND: &str = "body";
/// The largest message kept, before compression.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// With a dictionary that the store keeps.
const WITH_KEPT: u8 = 2;
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

/// `bytes` has at most [`MAX_BYTES`].
pub fn seal(id: BodyId, bytes: &[u8], kept: Option<&Arc<Dictionary>>, key: &DataKey) -> Result<Vec<u8>, RecordError> {
    if bytes.len() > MAX_BYTES {
        return Err(RecordError::Damaged { kind: KIND, reason: "it is longer than a message may be" });
    }
    let small = kept.map_or_else(|| compress(bytes), |kept| compress_with(kept, bytes));
    let small = small.map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be compressed" })?;
    let head = kept.map_or_else(|| vec![VERSION, DICTIONARY], |kept| [&[WITH_KEPT], kept.number.to_be_bytes().as_slice()].concat());
    let sealed = key.seal(&place(id, head.get(1..).unwrap_or_default()), &small)?;
    Ok([head, sealed].concat())
}

/// As [`seal`] by the dictionary that serves all mail, of a large message in pieces: it is never held twice.
pub fn seal_pieces(id: BodyId, pieces: &[&[u8]], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let small = compress_pieces(pieces).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be compressed" })?;
    let sealed = key.seal(&place(id, &[DICTIONARY]), &small)?;
    drop(small);
    Ok([&[VERSION, DICTIONARY], sealed.as_slice()].concat())
}

/// The bytes that were sealed, if they are still those with this digest and of this size. `kept` finds a dictionary of the store.
pub fn open<E: From<RecordError>>(
    id: BodyId, stored: &[u8], size: u32, expected: &[u8; 32], key: &DataKey, kept: impl FnOnce(u32) -> Result<Arc<Dictionary>, E>,
) -> Result<Vec<u8>, E> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("its size is beyond the limit"))?;
    // The size bounds the memory that decompression may take.
    let bytes = match stored {
        [WITH_KEPT, a, b, c, d, sealed @ ..] => {
            let number = [*a, *b, *c, *d];
            let small = key.open(&place(id, &number), sealed).map_err(RecordError::from)?;
            decompress_with(&kept(u32::from_be_bytes(number))?, &small, size)
        }
        [WITH_KEPT, ..] => return Err(damaged("it ends before its dictionary").into()),
        _ => {
            let (dictionary, sealed) = versioned(KIND, stored)?.split_first().ok_or_else(|| damaged("it ends before its dictionary"))?;
            if decompressing(*dictionary).is_none() {
                return Err(damaged("it was compressed with a dictionary that this program does not have").into());
            }
            let small = key.open(&place(id, &[*dictionary]), sealed).map_err(RecordError::from)?;
            decompress(*dictionary, &small, size)
        }
    };
    let bytes = bytes.map_err(|_| damaged("it does not decompress to its size"))?;
    if bytes.len() != size || digest(&bytes) != *expected {
        return Err(damaged("its digest does not fit").into());
    }
    Ok(bytes)
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

/// What a body is sealed for: its id and its dictionary, which has one octet or four.
fn place(id: BodyId, dictionary: &[u8]) -> Vec<u8> {
    [id.key().as_bytes(), dictionary].concat()
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

fn compress_pieces(pieces: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::with_prepared_dictionary(Vec::new(), &COMPRESSING)?;
    encoder.set_pledged_src_size(Some(pieces.iter().map(|piece| piece.len() as u64).sum()))?;
    pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
    encoder.finish()
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

    fn opened(id: BodyId, stored: &[u8], size: u32, expected: &[u8; 32], key: &DataKey) -> Result<Vec<u8>, RecordError> {
        open(id, stored, size, expected, key, |_| Err(RecordError::Damaged { kind: "dictionary", reason: "there is none" }))
    }

    #[test]
    fn a_body_opens_with_its_kept_dictionary_and_no_other() {
        let (_directory, key) = data_key("mail");
        let kept = |number: u32, word: &str| Arc::new(Dictionary { number, bytes: word.repeat(500).into_bytes() });
        let (own, other) = (kept(3, "statement of month "), kept(4, "another template "));
        let bytes = "statement of month 10\r\n".repeat(200).into_bytes();
        let size = u32::try_from(bytes.len()).unwrap();
        let sealed = seal(BodyId(7), &bytes, Some(&own), &key).unwrap();
        let open_by = |id: u64, stored: &[u8], dictionary: &Arc<Dictionary>| open::<RecordError>(BodyId(id), stored, size, &digest(&bytes), &key, |_| Ok(Arc::clone(dictionary)));
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
        let sealed = seal(BodyId(7), &bytes, None, &key).unwrap();
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
    fn a_large_body_in_pieces_opens_as_any_other() {
        let (_directory, key) = data_key("mail");
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes().into_iter().take(1)).collect();
        for at in [0, 1, 700_000, bytes.len()] {
            let (first, second) = bytes.split_at(at);
            let sealed = seal_pieces(BodyId(7), &[first, second], &key).unwrap();
            assert!(opened(BodyId(7), &sealed, 3_000_000, &digest_of(&[first, second]), &key).unwrap() == bytes);
            assert!(opened(BodyId(8), &sealed, 3_000_000, &digest(&bytes), &key).is_err());
        }
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
        let sealed = seal(BodyId(1), b"", None, &key).unwrap();
        assert_eq!(opened(BodyId(1), &sealed, 0, &digest(b""), &key).unwrap(), b"");
    }
}
