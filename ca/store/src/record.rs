//! A value as it stands on disk: version 1, CRC-32 over key and value, the value.

use crate::Key;
use crate::contract::StoreError;

const VERSION: u8 = 1;
/// Version and checksum.
const HEAD: usize = 5;

/// The key is part of the checksum, so that a value found under another key is damage too.
fn checksum(key: &Key, value: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(value);
    hasher.finalize().to_be_bytes()
}

pub(crate) fn seal(key: &Key, value: &[u8]) -> Vec<u8> {
    [&[VERSION], &checksum(key, value)[..], value].concat()
}

/// What `stored` holds, without its head.
pub(crate) fn held<'s>(key: &Key, stored: &'s [u8]) -> Result<&'s [u8], StoreError> {
    match stored {
        [VERSION, a, b, c, d, value @ ..] if [*a, *b, *c, *d] == checksum(key, value) => Ok(value),
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
        let sealed = seal(&key, b"some value");
        assert_eq!(open(&key, sealed.clone()), Ok(b"some value".to_vec()));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, damaged).is_err(), "bit {bit}");
        }
        assert!(open(&Key::new("t", &[b"b"]), sealed).is_err());
        assert!(open(&key, Vec::new()).is_err());
        assert_eq!(open(&key, seal(&key, b"")), Ok(Vec::new()));
    }
}
