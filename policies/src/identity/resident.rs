//! Resident identity number (GB 11643-1999), and the 15-digit form found in old data.

use std::fmt;

use time::{Date, Month};

use super::{NumberError, canonical, digits, length};

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// A valid resident identity number. The region is as of issue: abolished districts stay valid for life,
/// so only the province is judged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResidentNumber(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    Female,
    Male,
}

impl ResidentNumber {
    /// `today` bounds the age: born no later, and no more than 150 years before.
    pub fn parse(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        length(&text, 18)?;
        let first: String = text.chars().take(17).collect();
        let values = digits(&first)?;
        let last = text.chars().nth(17).filter(|&c| c == 'X' || c.is_ascii_digit());
        let last = last.ok_or(NumberError::Character { position: 18 })?;
        if last != check_character(&values) {
            return Err(NumberError::CheckDigit);
        }
        province(&values)?;
        let number = |range: std::ops::Range<usize>| values.iter().take(range.end).skip(range.start).fold(0, |n, d| n * 10 + d);
        plausible(number(6..10), number(10..12), number(12..14), today)?;
        Ok(Self(text))
    }

    /// Reads the 15-digit form, void since 2013, and makes it the number of today.
    pub fn upgrade(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        length(&text, 15)?;
        let values = digits(&text)?;
        province(&values)?;
        // The sequences 996 to 999 were kept for those over a hundred years old.
        let century = if values.iter().skip(12).fold(0, |n, d| n * 10 + d) >= 996 { [1, 8] } else { [1, 9] };
        let longer: Vec<u32> = values.iter().take(6).chain(&century).chain(values.iter().skip(6)).copied().collect();
        let mut number: String = longer.iter().filter_map(|&digit| char::from_digit(digit, 10)).collect();
        number.push(check_character(&longer));
        Self::parse(&number, today)
    }

    pub fn sex(&self) -> Sex {
        match self.0.as_bytes().get(16) {
            Some(digit) if digit % 2 == 1 => Sex::Male,
            _ => Sex::Female,
        }
    }

    /// Three and four characters at most, never the date of birth.
    pub fn masked(&self) -> String {
        format!("{}***********{}", self.0.get(..3).unwrap_or_default(), self.0.get(14..).unwrap_or_default())
    }

    /// The number itself, for the keyed index and the seal and for nothing that is printed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResidentNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ResidentNumber({})", self.masked())
    }
}

// spec: gb11643#4.2.2
fn check_character(seventeen: &[u32]) -> char {
    let sum: u32 = seventeen.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    match (12 - sum % 11) % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

/// The first two digits of GB/T 2260. Nine is a foreigner's card and has a type of its own.
fn province(values: &[u32]) -> Result<(), NumberError> {
    match values.iter().take(2).fold(0, |n, d| n * 10 + d) {
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 => Ok(()),
        _ => Err(NumberError::Region),
    }
}

fn plausible(year: u32, month: u32, day: u32, today: Date) -> Result<(), NumberError> {
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok()).ok_or(NumberError::Date)?;
    let year = i32::try_from(year).map_err(|_| NumberError::Date)?;
    let day = u8::try_from(day).map_err(|_| NumberError::Date)?;
    let born = Date::from_calendar_date(year, month, day).map_err(|_| NumberError::Date)?;
    if born > today || today.year() - born.year() > 150 { Err(NumberError::Age) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
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
