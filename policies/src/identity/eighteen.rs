//! What the three 18-character numbers share: seventeen digits, a MOD 11-2 check character, a birth date.

use time::{Date, Month};

use super::{NumberError, digits, length};

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    Female,
    Male,
}

/// Length, characters and check character, in this order; the seventeen digits.
pub(super) fn checked(text: &str) -> Result<Vec<u32>, NumberError> {
    length(text, 18)?;
    let first: String = text.chars().take(17).collect();
    let values = digits(&first)?;
    let last = text.chars().nth(17).filter(|&c| c == 'X' || c.is_ascii_digit());
    let last = last.ok_or(NumberError::Character { position: 18 })?;
    if last == check_character(&values) { Ok(values) } else { Err(NumberError::CheckDigit) }
}

// spec: gb11643#4.2.2
pub(super) fn check_character(seventeen: &[u32]) -> char {
    let sum: u32 = seventeen.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    match (12 - sum % 11) % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

/// The number that the digits of `range` write.
pub(super) fn number(values: &[u32], range: std::ops::Range<usize>) -> u32 {
    values.iter().take(range.end).skip(range.start).fold(0, |number, digit| number * 10 + digit)
}

/// Digits seven to fourteen are a date of the calendar, not after `today` and within 150 years.
pub(super) fn born(values: &[u32], today: Date) -> Result<Date, NumberError> {
    let month = u8::try_from(number(values, 10..12)).ok().and_then(|month| Month::try_from(month).ok());
    let year = i32::try_from(number(values, 6..10)).map_err(|_| NumberError::Date)?;
    let day = u8::try_from(number(values, 12..14)).map_err(|_| NumberError::Date)?;
    let born = Date::from_calendar_date(year, month.ok_or(NumberError::Date)?, day).map_err(|_| NumberError::Date)?;
    if born > today || today.year() - born.year() > 150 { Err(NumberError::Age) } else { Ok(born) }
}

/// Three and four characters, never the date of birth.
pub(super) fn masked(text: &str) -> String {
    format!("{}***********{}", text.get(..3).unwrap_or_default(), text.get(14..).unwrap_or_default())
}

/// An 18-character number type: private text, masked `Debug`.
macro_rules! number_type {
    ($name:ident) => {
        impl $name {
            pub fn masked(&self) -> String {
                super::eighteen::masked(&self.0)
            }

            /// The number itself, for the keyed index and the seal and for nothing that is printed.
            pub fn expose(&self) -> &str {
                &self.0
            }

            pub fn sex(&self) -> super::Sex {
                match self.0.as_bytes().get(16) {
                    Some(digit) if digit % 2 == 1 => super::Sex::Male,
                    _ => super::Sex::Female,
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.masked())
            }
        }
    };
}
pub(super) use number_type;
