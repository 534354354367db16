//! A message's bytes: compressed, then sealed for their own id. They never change.
//!
//! `1 | dictionary u8 | sealed zstd frame`. Most mail here is statements, which are alike: a dictionary trained on
//! them (`examples/train_dictionary.rs`) makes them several times smaller than zstd alone. A dictionary in use is
//! never changed; a better one gets the next number and old bodies keep theirs.

use std::cell::RefCell;
use std::sync::LazyLock;

use keys::DataKey;
use store::Key;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "body";
/// The largest message kept, before compression.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Level 3 is where more time stops buying space on mail.
const LEVEL: i32 = 3;
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
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

/// `bytes` has at most [`MAX_BYTES`].
pub fn seal(id: BodyId, bytes: &[u8], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    if bytes.len() > MAX_BYTES {
        return Err(RecordError::Damaged { kind: KIND, reason: "it is longer than a message may be" });
    }
    let small = compress(bytes).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be compressed" })?;
    let sealed = key.seal(&place(id, DICTIONARY), &small)?;
    Ok([&[VERSION, DICTIONARY], sealed.as_slice()].concat())
}

/// The bytes that were sealed, if they are still those with this digest and of this size.
pub fn open(id: BodyId, stored: &[u8], size: u32, expected: &[u8; 32], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let (dictionary, sealed) = versioned(KIND, stored)?.split_first().ok_or_else(|| damaged("it ends before its dictionary"))?;
    if decompressing(*dictionary).is_none() {
        return Err(damaged("it was compressed with a dictionary that this program does not have"));
    }
    let small = key.open(&place(id, *dictionary), sealed)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("its size is beyond the limit"))?;
    // The size bounds the memory that decompression may take.
    let bytes = decompress(*dictionary, &small, size).map_err(|_| damaged("it does not decompress to its size"))?;
    if bytes.len() != size || digest(&bytes) != *expected {
        return Err(damaged("its digest does not fit"));
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

/// What a body is sealed for: its id and its dictionary.
fn place(id: BodyId, dictionary: u8) -> Vec<u8> {
    [id.key().as_bytes(), &[dictionary]].concat()
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

    fn data_key(name: &str) -> (tempfile::TempDir, DataKey) {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let store = keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap();
        let key = store.data_key(name).unwrap();
        (directory, key)
    }

    #[test]
    fn a_body_comes_back_only_whole_and_in_its_place() {
        let (_one, key) = data_key("mail");
        let (_two, other) = data_key("mail");
        let bytes = b"Subject: statement\r\n\r\n".repeat(100);
        let size = u32::try_from(bytes.len()).unwrap();
        let sealed = seal(BodyId(7), &bytes, &key).unwrap();
        assert!(sealed.len() < bytes.len() / 4 && !sealed.windows(9).any(|window| window == b"statement"));
        assert_eq!(open(BodyId(7), &sealed, size, &digest(&bytes), &key).unwrap(), bytes);
        assert!(open(BodyId(8), &sealed, size, &digest(&bytes), &key).is_err());
        assert!(open(BodyId(7), &sealed, size, &digest(&bytes), &other).is_err());
        assert!(open(BodyId(7), &sealed, size - 1, &digest(&bytes), &key).is_err());
        assert!(open(BodyId(7), &sealed, size + 1, &digest(&bytes), &key).is_err());
        assert!(open(BodyId(7), &sealed, size, &digest(b"other"), &key).is_err());
        // What was damaged leaves nothing behind for the next.
        let torn = sealed.get(..sealed.len() / 2).unwrap();
        assert!(open(BodyId(7), torn, size, &digest(&bytes), &key).is_err());
        assert_eq!(open(BodyId(7), &sealed, size, &digest(&bytes), &key).unwrap(), bytes);
        let mut other_dictionary = sealed.clone();
        *other_dictionary.get_mut(1).unwrap() = 2;
        assert!(open(BodyId(7), &other_dictionary, size, &digest(&bytes), &key).is_err());
        assert!(matches!(open(BodyId(7), &[9], size, &digest(&bytes), &key), Err(RecordError::Version { version: 9, .. })));
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
        let sealed = seal(BodyId(1), b"", &key).unwrap();
        assert_eq!(open(BodyId(1), &sealed, 0, &digest(b""), &key).unwrap(), b"");
    }
}
