//! The number of a mailbox: nine random digits and a check digit by ISO 7064 MOD 11,10.

use std::fmt;

use crate::identity::NumberError;

const RANDOM: u32 = 1_000_000_000;

/// Ten digits that say nothing about their holder. Any one wrong digit and nearly all swaps are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxNumber(u64);

impl MailboxNumber {
    /// Takes the low thirty bits of `random`; none when they are a thousand million or more, which is seven
    /// times in a hundred: draw again, so that every number is equally likely.
    pub fn from_random(random: u32) -> Option<Self> {
        let nine = random & 0x3fff_ffff;
        (nine < RANDOM).then(|| Self(u64::from(nine) * 10 + u64::from(check(nine))))
    }

    /// Exactly ten ASCII digits, the last one right.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        // Bounded: what is longer than eleven characters is as wrong as what has eleven.
        let found = text.chars().take(11).count();
        if found != 10 {
            return Err(NumberError::Length { expected: 10, found });
        }
        let mut number = 0;
        for (at, c) in text.chars().enumerate() {
            number = number * 10 + u64::from(c.to_digit(10).ok_or(NumberError::Character { position: at + 1 })?);
        }
        let nine = u32::try_from(number / 10).map_err(|_| NumberError::CheckDigit)?;
        if u64::from(check(nine)) == number % 10 { Ok(Self(number)) } else { Err(NumberError::CheckDigit) }
    }

    /// For keys of the store, where numbers sort as they are written.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MailboxNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:010}", self.0)
    }
}

/// The check digit of the nine digits of `nine`.
// spec: iso7064#8.1 (hybrid system MOD 11,10)
fn check(nine: u32) -> u32 {
    let mut product = 10;
    let mut place = RANDOM / 10;
    while place > 0 {
        let sum = (product + nine / place % 10) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
        place /= 10;
    }
    (11 - product) % 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same rule over digits in text, to hold published numbers of other lengths against it.
    fn holds(digits: &str) -> bool {
        let product = digits.chars().filter_map(|c| c.to_digit(10)).fold(10, |product, digit| {
            let sum = (product + digit) % 10;
            (if sum == 0 { 10 } else { sum }) * 2 % 11
        });
        // The last step doubles once more than the standard's: 1 has become 2.
        product == 2
    }

    #[test]
    fn published_numbers() {
        // The standard's own example, and German tax numbers in the ministry's and in public test data.
        for digits in ["07945", "86095742719", "47036892816", "65929970489", "36574261809"] {
            assert!(holds(digits), "{digits}");
        }
        for nine in [0, 1, 123_456_789, 987_654_321, 999_999_999, 79] {
            assert!(holds(&MailboxNumber::from_random(nine).unwrap().to_string()), "{nine}");
        }
        assert_eq!(MailboxNumber::from_random(0).unwrap().to_string(), "0000000006");
    }

    #[test]
    fn what_is_no_number() {
        let refused = |text: &str| MailboxNumber::parse(text).unwrap_err();
        assert_eq!(refused(""), NumberError::Length { expected: 10, found: 0 });
        assert_eq!(refused("000000000"), NumberError::Length { expected: 10, found: 9 });
        assert_eq!(refused(&"0".repeat(1000)), NumberError::Length { expected: 10, found: 11 });
        assert_eq!(refused("00000000O6"), NumberError::Character { position: 9 });
        assert_eq!(refused("００００００００００"), NumberError::Character { position: 1 });
        assert_eq!(refused("0000000007"), NumberError::CheckDigit);
        assert_eq!(MailboxNumber::from_random(RANDOM), None);
        // Only thirty bits count.
        assert_eq!(MailboxNumber::from_random(u32::MAX), None);
        assert_eq!(MailboxNumber::from_random(0xc000_0001), MailboxNumber::from_random(1));
    }

    proptest! {
        #[test]
        fn printed_and_read_back(nine in 0..RANDOM) {
            let number = MailboxNumber::from_random(nine).unwrap();
            prop_assert_eq!(MailboxNumber::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn any_wrong_digit_is_found(nine in 0..RANDOM, at in 0..10_usize, by in 1..10_u8) {
            let mut digits = MailboxNumber::from_random(nine).unwrap().to_string().into_bytes();
            digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
            prop_assert_eq!(MailboxNumber::parse(&String::from_utf8(digits).unwrap()), Err(NumberError::CheckDigit));
        }
    }
}
