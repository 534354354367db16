//! Organisation code (GB 11714-1997): eight characters and a check character.

use super::{NumberError, canonical, length};

const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// A valid organisation code, nine characters without the hyphen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrganisationCode(String);

impl OrganisationCode {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text: String = canonical(text).chars().enumerate().filter(|&(at, c)| !(at == 8 && c == '-')).map(|(_, c)| c).collect();
        length(&text, 9)?;
        if check(&text)? { Ok(Self(text)) } else { Err(NumberError::CheckDigit) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the ninth character is the check of the eight before it.
// spec: gb11714#4
pub(super) fn check(nine: &str) -> Result<bool, NumberError> {
    let mut sum = 0;
    let mut characters = nine.chars();
    for (index, weight) in WEIGHTS.iter().enumerate() {
        let c = characters.next().filter(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        let value = c.and_then(|c| c.to_digit(36)).ok_or(NumberError::Character { position: index + 1 })?;
        sum += value * weight;
    }
    let last = characters.next().filter(|&c| c == 'X' || c.is_ascii_digit());
    let last = last.ok_or(NumberError::Character { position: 9 })?;
    let expected = match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    };
    Ok(last == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_valid_codes() {
        for code in ["D2143569-X", "MAT00001-8", "MAT00002-6", "98765430-0", "00000012-3", "H0000007-1", "12000000-5"] {
            assert!(OrganisationCode::parse(code).is_ok(), "{code}");
        }
    }

    #[test]
    fn published_invalid_codes() {
        for code in ["MAT00001-7", "MAT00010-8", "98765430-X", "H0000007-7", "12000000-0"] {
            assert_eq!(OrganisationCode::parse(code), Err(NumberError::CheckDigit), "{code}");
        }
        // Seven characters and a hyphen: the hyphen stands where a character belongs.
        assert_eq!(OrganisationCode::parse("0000012-3"), Err(NumberError::Character { position: 8 }));
    }
}
