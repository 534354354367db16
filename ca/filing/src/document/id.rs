//! The numbers that enterprises choose for their filings and mandates: random, so that they tell nothing.

use std::fmt;

/// Crockford's letters: none that is read as another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

fn written(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    (0..LENGTH).rev().filter_map(|place| LETTERS.get(usize::try_from(number >> (5 * place) & 31).ok()?)).map(|&letter| char::from(letter)).collect()
}

/// 26 letters of 130 bits: the first carries three.
fn well_formed(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|letter| LETTERS.contains(&letter)) && matches!(text.bytes().next(), Some(b'0'..=b'7'))
}

macro_rules! identifier {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Of 128 random bits.
            pub fn from_random(random: [u8; 16]) -> Self {
                Self(written(random))
            }

            /// 26 letters and digits, capitals, without I, L, O and U, beginning with 0 to 7.
            pub fn parse(text: &str) -> Option<Self> {
                well_formed(text).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Names one filing, for ever.
    FilingId);
identifier!(
    /// Names one mandate, for ever.
    MandateId);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_text_for_each_number() {
        assert_eq!(FilingId::from_random([0; 16]).as_str(), "00000000000000000000000000");
        assert_eq!(FilingId::from_random([0xff; 16]).as_str(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        let one = FilingId::from_random(*b"0123456789abcdef");
        assert_eq!(FilingId::parse(one.as_str()), Some(one.clone()));
        for wrong in ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "7ZZZZZZZZZZZZZZZZZZZZZZZZ", "7zzzzzzzzzzzzzzzzzzzzzzzzz", "7ZZZZZZZZZZZZZZZZZZZZZZZZO", "../ZZZZZZZZZZZZZZZZZZZZZZZ"] {
            assert_eq!(FilingId::parse(wrong), None, "{wrong}");
        }
    }
}
