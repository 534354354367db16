//! A value as it stands on disk: version 1, CRC-32 over key and value, the value.

use byteview::ByteView;

use crate::Key;
use crate::contract::StoreError;

const VERSION: u8 = 1;
/// Version and checksum.
const HEAD: usize = 5;

/// A value as it stands on disk. However many hold it, it is there once: so the default engine takes it, without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored(ByteView);

impl Stored {
    /// Of a value in two pieces.
    fn of(key: &Key, left: &[u8], right: &[u8]) -> Self {
        let head = [&[VERSION], &checksum(key, left, right)[..], left].concat();
        Self(ByteView::fused(&head, right))
    }

    /// As it stands on disk.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value without its head.
    fn value(&self) -> &[u8] {
        self.0.get(HEAD..).unwrap_or_default()
    }

    pub fn into_view(self) -> ByteView {
        self.0
    }
}

/// A record that was made ready ahead of its commit: its checksum is taken, and its value is where an engine will hold it. For large values
/// by who has the time: the committer has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyRecord {
    pub(crate) key: Key,
    pub(crate) stored: Stored,
}

impl ReadyRecord {
    /// The value is `head`, which is short, and `rest`.
    pub fn new(key: Key, head: &[u8], rest: &[u8]) -> Self {
        let stored = Stored::of(&key, head, rest);
        Self { key, stored }
    }

    pub fn value(&self) -> &[u8] {
        self.stored.value()
    }

    pub(crate) fn size(&self) -> usize {
        self.key.as_bytes().len().saturating_add(self.stored.bytes().len())
    }
}

/// A value that a batch writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Plain(Vec<u8>),
    Ready(Stored),
}

impl Value {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Ready(stored) => stored.value(),
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Ready(stored) => stored.value().to_vec(),
        }
    }

    pub fn into_stored(self, key: &Key) -> Stored {
        match self {
            Self::Plain(bytes) => seal(key, &bytes),
            Self::Ready(stored) => stored,
        }
    }
}

/// The key is part of the checksum, so that a value found under another key is damage too.
fn checksum(key: &Key, left: &[u8], right: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    for piece in [key.as_bytes(), left, right] {
        hasher.update(piece);
    }
    hasher.finalize().to_be_bytes()
}

pub(crate) fn seal(key: &Key, value: &[u8]) -> Stored {
    Stored::of(key, &[], value)
}

/// What `stored` holds, without its head.
pub(crate) fn held<'s>(key: &Key, stored: &'s [u8]) -> Result<&'s [u8], StoreError> {
    match stored {
        [VERSION, a, b, c, d, value @ ..] if [*a, *b, *c, *d] == checksum(key, &[], value) => Ok(value),
        // The key may name a person: it is not told.
        _ => Err(StoreError::Corrupt { reason: "a record's checksum does not fit".into() }),
    }
}

/// The same, in the memory of `stored`.
pub(crate) fn open(key: &Key, mut stored: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    held(key, &stored)?;
    stored.drain(..HEAD);
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_another_key_are_damage() {
        let key = Key::new("t", &[b"a"]);
        let sealed = seal(&key, b"some value").bytes().to_vec();
        assert_eq!(open(&key, sealed.clone()), Ok(b"some value".to_vec()));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, damaged).is_err(), "bit {bit}");
        }
        assert!(open(&Key::new("t", &[b"b"]), sealed).is_err());
        assert!(open(&key, Vec::new()).is_err());
        assert_eq!(open(&key, seal(&key, b"").bytes().to_vec()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_made_ready_is_what_would_be_written() {
        let key = Key::new("t", &[b"a"]);
        for (head, rest) in [(&b""[..], &b"some value"[..]), (b"some", b" value"), (b"some value", b"")] {
            let ready = ReadyRecord::new(key.clone(), head, rest);
            assert_eq!((&ready.stored, ready.value()), (&seal(&key, b"some value"), &b"some value"[..]));
        }
    }
}
