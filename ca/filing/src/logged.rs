//! By which names the desk's log tells of a filing and its receipts. Everybody may read the log, and whoever has a receipt's
//! number may read the receipt: so the log holds no id, and no digest of what few guesses would find.
//!
//! Each filing has a salt of its own, which its receipts bear. Who has a receipt finds its leaf and proves it; who has only
//! the log learns that something was filed, and which leaves are of one filing.

use keys::DataKey;
use ring::hmac;

use crate::desk::hex;

/// Says which salt this is.
const LABEL: &str = "suiyin desk log salt 1";
const OCTETS: usize = 32;

/// The names of one filing.
#[derive(Clone)]
pub struct LogNames {
    salt: [u8; OCTETS],
}

/// What is named: one is never taken for another of the same letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Filing,
    Receipt,
    /// SHA-256 of the canonical octets, hexadecimal.
    Content,
    /// SHA-256 of the signature as it came, hexadecimal.
    Signature,
}

impl Named {
    fn word(self) -> &'static str {
        match self {
            Self::Filing => "filing",
            Self::Receipt => "receipt",
            Self::Content => "content",
            Self::Signature => "signature",
        }
    }
}

impl LogNames {
    /// The salt follows from the desk's data key, so that whatever happens to a filing later is told by the same names.
    pub fn of(data: &DataKey, filing: &str) -> Self {
        Self { salt: data.index(LABEL, filing.as_bytes()) }
    }

    /// As a receipt tells it.
    pub fn of_salt(text: &str) -> Option<Self> {
        let small = text.len() == 2 * OCTETS && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let mut salt = [0; OCTETS];
        for (octet, at) in salt.iter_mut().zip((0..2 * OCTETS).step_by(2)) {
            *octet = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        small.then_some(Self { salt })
    }

    pub fn salt(&self) -> String {
        hex(&self.salt)
    }

    /// HMAC-SHA-256 under the salt over the word, a zero octet and the text; hexadecimal.
    pub fn name(&self, what: Named, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        hex(hmac::sign(&key, &[what.word().as_bytes(), &[0], text.as_bytes()].concat()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The form is frozen: computed with Python's hmac.
    #[test]
    fn the_frozen_form() {
        let salt = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let names = LogNames::of_salt(salt).unwrap();
        assert_eq!(names.salt(), salt);
        assert_eq!(names.name(Named::Filing, "01JDPD6Z3SFM7T5K9V8R2Q4XNB"), "0cc1a4d06c49987f317c304250ff237043e6fe400eeb71dac4b43c0fd80baf51");
        assert_ne!(names.name(Named::Receipt, "01JDPD6Z3SFM7T5K9V8R2Q4XNB"), names.name(Named::Filing, "01JDPD6Z3SFM7T5K9V8R2Q4XNB"));
        for wrong in ["", &salt[2..], &salt.to_uppercase(), &salt.replace("0f", "é")] {
            assert!(LogNames::of_salt(wrong).is_none(), "{wrong}");
        }
    }
}
