//! Lists of keys that the world knows: Debian's of CVE-2008-0166 and others. They are data that an operator brings.
//!
//! A list has one key a line, in hexadecimal: 64 digits are the SHA-256 of the SubjectPublicKeyInfo; 20 digits are the
//! form of Debian's package openssl-blacklist, the last half of the SHA-1 of `Modulus=`, the modulus in upper-case
//! hexadecimal and a line feed. What follows `#` is a remark.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::rsa_numbers;
use crate::certificate::key_bits;

/// The most keys that all lists together hold.
pub const MAX_KEYS: usize = 4_000_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("{file}, line {line}: neither a SHA-256 (64 hexadecimal digits) nor a line of openssl-blacklist (20); correct or remove it")]
    Line { file: String, line: usize },
    #[error("the lists hold more than 4000000 keys; keep those of sizes that are certified here")]
    TooMany,
}

/// The keys of all lists.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blocklist {
    digests: Vec<[u8; 32]>,
    moduli: Vec<[u8; 10]>,
}

impl std::fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocklist").field("keys", &self.len()).finish()
    }
}

impl Blocklist {
    /// Reads pairs of file name and text.
    pub fn parse<'a>(lists: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ListError> {
        let mut read = Self::default();
        for (file, text) in lists {
            for (at, line) in text.lines().enumerate() {
                let entry = line.split('#').next().unwrap_or_default().trim();
                if entry.is_empty() {
                    continue;
                }
                if read.len() == MAX_KEYS {
                    return Err(ListError::TooMany);
                }
                match (octets::<32>(entry), octets::<10>(entry)) {
                    (Some(digest), _) => read.digests.push(digest),
                    (None, Some(modulus)) => read.moduli.push(modulus),
                    (None, None) => return Err(ListError::Line { file: file.to_owned(), line: at + 1 }),
                }
            }
        }
        read.digests.sort_unstable();
        read.moduli.sort_unstable();
        Ok(read)
    }

    pub fn len(&self) -> usize {
        self.digests.len() + self.moduli.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a list names this SubjectPublicKeyInfo.
    pub fn holds(&self, spki: &[u8]) -> bool {
        let named = !self.digests.is_empty() && digest(&SHA256, spki).as_ref().try_into().is_ok_and(|sha256: [u8; 32]| self.digests.binary_search(&sha256).is_ok());
        named || !self.moduli.is_empty() && debian(spki).is_some_and(|modulus| self.moduli.binary_search(&modulus).is_ok())
    }
}

/// An RSA key as openssl-blacklist writes it.
fn debian(spki: &[u8]) -> Option<[u8; 10]> {
    let (modulus, _) = rsa_numbers(key_bits(spki).ok()?).ok()?;
    let mut text = String::from("Modulus=");
    for octet in modulus {
        text.push_str(&format!("{octet:02X}"));
    }
    text.push('\n');
    digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().last_chunk().copied()
}

fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut octets = [0; N];
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = (char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?) as u8;
    }
    Some(octets)
}
