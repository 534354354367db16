//! Unified social credit code (GB 32100-2015): 17 characters that hold an organisation code, and a check.

use super::{NumberError, canonical, length, org_code};

/// No I, O, S, V or Z: they are read as digits.
const CHARSET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/// A valid credit code whose inner organisation code is valid too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreditCode(String);

impl CreditCode {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = canonical(text);
        length(&text, 18)?;
        let mut values = [0_usize; 18];
        for ((index, c), value) in text.chars().enumerate().zip(values.iter_mut()) {
            *value = CHARSET.find(c).ok_or(NumberError::Character { position: index + 1 })?;
        }
        // spec: gb32100#5
        let mut weight = 1;
        let mut sum = 0;
        for value in &values[..17] {
            sum += value * weight;
            weight = weight * 3 % 31;
        }
        if (31 - sum % 31) % 31 != values[17] {
            return Err(NumberError::CheckDigit);
        }
        // All characters are ASCII once they are in the charset.
        let inner = text.get(8..17).unwrap_or_default();
        if org_code::check(inner).unwrap_or(false) { Ok(Self(text)) } else { Err(NumberError::InnerCheckDigit) }
    }

    /// The code is public: it stands in certificates.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_valid_codes() {
        for code in [
            "91440101MAT000018G", "91440101MAT000026B", "92440101MAT0000A11", "914401069876543001",
            "12440100000000123A", "52440100MJT00007XT", "93440118NAT000031N", "81440100MCT000090N",
            "914403001922038216", "9144030071526726XG",
        ] {
            assert_eq!(CreditCode::parse(code).map(|code| code.0).as_deref(), Ok(code));
        }
    }

    #[test]
    fn published_invalid_codes() {
        let refused = |code| CreditCode::parse(code).err();
        assert_eq!(refused("91440101MAT000018H"), Some(NumberError::CheckDigit));
        assert_eq!(refused("91440101MAT0000157"), Some(NumberError::InnerCheckDigit));
        assert_eq!(refused("91440101MAT00002XJ"), Some(NumberError::InnerCheckDigit));
        assert_eq!(refused("91440101MAT000081G"), Some(NumberError::CheckDigit));
        assert_eq!(refused("91440101MAT0000I8G"), Some(NumberError::Character { position: 16 }));
        assert_eq!(refused("91440101MAT00001OG"), Some(NumberError::Character { position: 17 }));
        assert_eq!(refused("19440101MAT000018G"), Some(NumberError::CheckDigit));
        assert_eq!(refused("91440101MAT000018"), Some(NumberError::Length { expected: 18, found: 17 }));
    }

    #[test]
    fn lower_case_and_full_width_are_the_same_code() {
        let code = CreditCode::parse("91440101MAT000018G");
        assert_eq!(CreditCode::parse(" ９1440101mat000018g "), code);
    }

    #[test]
    fn every_single_mistake_and_swap_is_found() {
        let right = "91440101MAT000018G";
        for at in 0..18 {
            for other in CHARSET.chars() {
                let wrong: String = right.chars().enumerate().map(|(i, c)| if i == at { other } else { c }).collect();
                assert_eq!(CreditCode::parse(&wrong).is_ok(), wrong == right, "{wrong}");
            }
        }
        for at in 0..17 {
            let mut bytes = right.as_bytes().to_vec();
            bytes.swap(at, at + 1);
            let wrong = String::from_utf8(bytes).unwrap();
            assert_eq!(CreditCode::parse(&wrong).is_ok(), wrong == right, "{wrong}");
        }
    }
}
