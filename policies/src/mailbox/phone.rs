//! The number of a phone that can be told something.

use std::fmt;

/// Of the mainland, where no country is named.
const HOME: &str = "86";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no mobile number; write 11 digits as 13800138000, or + and the country's code as +85291234567")]
pub struct PhoneError;

/// Digits of a mobile number with its country, as networks write it. `Debug` shows the end alone: it is somebody's.
// spec: e.164#6.2 (at most fifteen digits)
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Spaces and hyphens between digits are passed over.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let text = text.trim();
        if text.len() > 40 {
            return Err(PhoneError);
        }
        let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let (digits, abroad) = compact.strip_prefix('+').map_or((compact.as_str(), false), |rest| (rest, true));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PhoneError);
        }
        let mobile = |number: &str| number.len() == 11 && number.starts_with('1') && !matches!(number.as_bytes().get(1), Some(b'0'..=b'2'));
        match (abroad, digits.strip_prefix(HOME)) {
            (false, _) if mobile(digits) => Ok(Self(format!("{HOME}{digits}"))),
            (true, Some(number)) if mobile(number) => Ok(Self(digits.to_owned())),
            (true, None) if (8..=15).contains(&digits.len()) && !digits.starts_with('0') => Ok(Self(digits.to_owned())),
            _ => Err(PhoneError),
        }
    }

    /// With its `+`.
    pub fn expose(&self) -> String {
        format!("+{}", self.0)
    }

    /// Its last four digits.
    pub fn masked(&self) -> String {
        format!("****{}", self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default())
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Phone({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mobiles_here_and_elsewhere() {
        for (text, number) in [("13800138000", "+8613800138000"), ("138-0013 8000", "+8613800138000"), ("+8613800138000", "+8613800138000"), ("+85291234567", "+85291234567"), (" +1 415 555 0100 ", "+14155550100")] {
            assert_eq!(Phone::parse(text).unwrap().expose(), number, "{text}");
        }
        for text in ["", "+", "110", "02012345678", "12345678901", "+8602012345678", "1380013800", "138001380000", "+0123456789", "+1234567", "+1234567890123456", "138００138000", "13800138000x"] {
            assert_eq!(Phone::parse(text), Err(PhoneError), "{text}");
        }
        assert_eq!(format!("{:?}", Phone::parse("13800138000").unwrap()), "Phone(****8000)");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(text in "\\+?[0-9 -]{0,20}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(&phone.expose()).unwrap(), phone);
            }
        }
    }
}
