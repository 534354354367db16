//! Resident identity number (GB 11643-1999), and the 15-digit form found in old data.

use time::Date;

use super::eighteen::{self, number_type};
use super::{NumberError, canonical, digits, length};

/// A valid resident identity number. The region is as of issue: abolished districts stay valid for life,
/// so only the province is judged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResidentNumber(String);
number_type!(ResidentNumber);

impl ResidentNumber {
    /// `today` bounds the age: born no later, and no more than 150 years before.
    pub fn parse(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        let values = eighteen::checked(&text)?;
        province(&values)?;
        eighteen::born(&values, today)?;
        Ok(Self(text))
    }

    /// Reads the 15-digit form, void since 2013, and makes it the number of today.
    pub fn upgrade(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        length(&text, 15)?;
        let values = digits(&text)?;
        province(&values)?;
        // The sequences 996 to 999 were kept for those over a hundred years old.
        let century = if eighteen::number(&values, 12..15) >= 996 { [1, 8] } else { [1, 9] };
        let longer: Vec<u32> = values.iter().take(6).chain(&century).chain(values.iter().skip(6)).copied().collect();
        let mut number: String = longer.iter().filter_map(|&digit| char::from_digit(digit, 10)).collect();
        number.push(eighteen::check_character(&longer));
        Self::parse(&number, today)
    }

    /// The 15-digit form that [`Self::upgrade`] makes this number of; none for one that never had it.
    pub(super) fn fifteen(&self) -> Option<String> {
        let (region, century, rest) = (self.0.get(..6)?, self.0.get(6..8)?, self.0.get(8..17)?);
        let old = if rest.ends_with(['6', '7', '8', '9']) && rest.get(6..8) == Some("99") { "18" } else { "19" };
        (century == old).then(|| format!("{region}{rest}"))
    }
}

/// Nine in front is a foreigner's card, eight a permit of Hong Kong, Macao or Taiwan residents when its
/// region ends in zeros: both have types of their own.
fn province(values: &[u32]) -> Result<(), NumberError> {
    if is_province(eighteen::number(values, 0..2)) { Ok(()) } else { Err(NumberError::Region) }
}

/// The first two digits of GB/T 2260.
pub(super) fn is_province(two: u32) -> bool {
    matches!(two, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
}

#[cfg(test)]
mod tests {
    use super::super::Sex;
    use super::*;
    use time::macros::date;

    const TODAY: Date = date!(2026 - 11 - 24);

    #[test]
    fn published_valid_numbers() {
        for number in [
            "440106189602290015", "440104189901010025", "44010218880808003X", "440105190003010052",
            "440113188506150660", "510104189707071279", "440106189010109999", "11010519491231002X",
            "440524188001010014",
        ] {
            assert!(ResidentNumber::parse(number, TODAY).is_ok(), "{number}");
        }
    }

    #[test]
    fn published_invalid_numbers_and_why() {
        let refused = |number| ResidentNumber::parse(number, TODAY).err();
        assert_eq!(refused("440106189602290016"), Some(NumberError::CheckDigit));
        assert_eq!(refused("440106189602300017"), Some(NumberError::Date));
        assert_eq!(refused("44010619000229001X"), Some(NumberError::Date));
        assert_eq!(refused("440106189913010017"), Some(NumberError::Date));
        assert_eq!(refused("000106189901010018"), Some(NumberError::Region));
        assert_eq!(refused("440106209912310013"), Some(NumberError::Age));
        assert_eq!(refused("44010618960229O015"), Some(NumberError::Character { position: 15 }));
        assert_eq!(refused("94484018960229001"), Some(NumberError::Length { expected: 18, found: 17 }));
        // A foreigner's number has the same check but is not a resident's.
        assert_eq!(refused("944840189602290018"), Some(NumberError::Region));
    }

    #[test]
    fn published_upgrades() {
        for (old, new) in [
            ("440102010808003", "440102190108080031"), ("440106020228021", "440106190202280211"),
            ("510104030707127", "510104190307071278"), ("440106900101999", "440106189001019991"),
            ("440111991231998", "440111189912319988"),
        ] {
            assert_eq!(ResidentNumber::upgrade(old, TODAY).map(|number| number.0).as_deref(), Ok(new));
        }
        let refused = |number| ResidentNumber::upgrade(number, TODAY).err();
        assert_eq!(refused("440106013001001"), Some(NumberError::Date));
        assert_eq!(refused("440106010230001"), Some(NumberError::Date));
        assert_eq!(refused("44010601010100"), Some(NumberError::Length { expected: 15, found: 14 }));
        assert_eq!(refused("4401060101010O1"), Some(NumberError::Character { position: 14 }));
        // Upgraded without a look at the province it would pass for a foreigner's.
        assert_eq!(refused("990106010101001"), Some(NumberError::Region));
    }

    #[test]
    fn every_single_mistake_and_swap_is_found() {
        let right = "440106189602290015";
        for at in 0..17 {
            for other in '0'..='9' {
                let wrong: String = right.chars().enumerate().map(|(i, c)| if i == at { other } else { c }).collect();
                assert_eq!(ResidentNumber::parse(&wrong, TODAY).is_ok(), wrong == right);
            }
            let mut bytes = right.as_bytes().to_vec();
            bytes.swap(at, at + 1);
            let wrong = String::from_utf8(bytes).unwrap();
            assert_eq!(ResidentNumber::parse(&wrong, TODAY).is_ok(), wrong == right);
        }
    }

    #[test]
    fn a_number_is_never_printed() {
        let number = ResidentNumber::parse("440106189602290015", TODAY).unwrap();
        assert_eq!(format!("{number:?}"), "ResidentNumber(440***********0015)");
        assert_eq!(number.sex(), Sex::Male);
    }
}
