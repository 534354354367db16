//! AES-256-GCM with a random nonce in front: the one form in which secrets stand at rest.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// A key that seals. Nonces are 96 random bits: one key seals at most 2^32 values (NIST SP 800-38D 8.3).
pub(crate) struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

/// Sealing failed (no randomness) or what was to be opened was made with another key, for another
/// place, or altered since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Sealer {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Refused> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Refused)?;
        Ok(Self { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }

    /// `nonce | ciphertext | tag`.
    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| Refused)?;
        let mut out = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let body = out.get_mut(NONCE_LEN..).ok_or(Refused)?;
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body).map_err(|_| Refused)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refused)?;
        let mut body = body.to_vec();
        let length = self.key.open_in_place(nonce, Aad::from(aad), &mut body).map_err(|_| Refused)?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_place_open_it() {
        let sealer = Sealer::new(&[7; 32]).ok();
        let sealer = sealer.as_ref();
        let sealed = sealer.and_then(|s| s.seal(b"place", b"secret").ok()).unwrap_or_default();
        assert_eq!(sealer.and_then(|s| s.open(b"place", &sealed).ok()), Some(b"secret".to_vec()));
        assert_eq!(sealer.and_then(|s| s.open(b"elsewhere", &sealed).ok()), None);
        assert_eq!(Sealer::new(&[8; 32]).ok().and_then(|s| s.open(b"place", &sealed).ok()), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(sealer.and_then(|s| s.open(b"place", &damaged).ok()), None, "byte {at}");
            assert_eq!(sealer.and_then(|s| s.open(b"place", &sealed[..at]).ok()), None, "cut at {at}");
        }
    }
}
