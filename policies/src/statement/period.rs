//! A month of the calendar, written YYYYMM.

use std::fmt;

use time::Date;

use super::value::ValueError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: u16,
    month: u8,
}

impl Period {
    /// `^\d{4}(0[1-9]|1[0-2])$`, nothing else.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let shaped = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = text.parse().ok().filter(|_| shaped).ok_or(ValueError::Period)?;
        let year = u16::try_from(number / 100).map_err(|_| ValueError::Period)?;
        match u8::try_from(number % 100) {
            Ok(month @ 1..=12) => Ok(Self { year, month }),
            _ => Err(ValueError::Period),
        }
    }

    /// The month that a day is in.
    pub fn of(day: Date) -> Option<Self> {
        Some(Self { year: u16::try_from(day.year()).ok()?, month: u8::from(day.month()) })
    }

    pub fn year(self) -> u16 {
        self.year
    }

    /// One to twelve.
    pub fn month(self) -> u8 {
        self.month
    }

    /// Months since the year nought: the difference of two is how far apart they are.
    pub fn ordinal(self) -> u32 {
        u32::from(self.year) * 12 + u32::from(self.month) - 1
    }

    /// Whether `self` is the month after `other`.
    pub fn follows(self, other: Self) -> bool {
        self.ordinal() == other.ordinal() + 1
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_month() {
        let read = |text| Period::parse(text).map(|period| period.to_string());
        for right in ["202610", "000001", "999912", "202601"] {
            assert_eq!(read(right).as_deref(), Ok(right));
        }
        for wrong in ["", "202613", "202600", "2026-1", "20261", "2026010", "+20261", "２０２６０１"] {
            assert_eq!(read(wrong), Err(ValueError::Period), "{wrong}");
        }
        let of = |text| Period::parse(text).unwrap();
        assert!(of("202701").follows(of("202612")) && of("202612").follows(of("202611")));
        assert!(!of("202612").follows(of("202612")) && !of("202611").follows(of("202612")) && !of("202702").follows(of("202612")));
        assert!(of("202612") < of("202701"));
        assert_eq!(Period::of(time::macros::date!(2026-12-01)), Some(of("202612")));
    }
}
