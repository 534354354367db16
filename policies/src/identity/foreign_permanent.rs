//! Foreigner's permanent residence card: the 18-character number of cards since 1 December 2023, and the
//! 15-character number of older cards, valid till they expire. One person may hold both over a life.

use std::fmt;

use time::{Date, Month};

use super::eighteen::{self, number_type};
use super::{NumberError, canonical, length, resident};

/// Nine, province of application, ISO 3166-1 numeric nationality, birth date, sequence, check.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ForeignPermanentNumber(String);
number_type!(ForeignPermanentNumber);

impl ForeignPermanentNumber {
    pub fn parse(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        let values = eighteen::checked(&text)?;
        if eighteen::number(&values, 0..1) != 9 || !resident::is_province(eighteen::number(&values, 1..3)) {
            return Err(NumberError::Region);
        }
        // 156 is China: the card is a foreigner's. Zero is no state.
        if matches!(eighteen::number(&values, 3..6), 0 | 156 | 895..) {
            return Err(NumberError::Nationality);
        }
        eighteen::born(&values, today)?;
        Ok(Self(text))
    }
}

/// Alpha-3 nationality, four digits of region, YYMMDD, one sequence digit, ICAO 9303 check digit.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OldForeignPermanentNumber(String);

impl OldForeignPermanentNumber {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = canonical(text);
        length(&text, 15)?;
        let mut sum = 0;
        let mut date = [0_u32; 6];
        for (index, c) in text.chars().take(14).enumerate() {
            let fits = if index < 3 { c.is_ascii_uppercase() } else { c.is_ascii_digit() };
            let value = c.to_digit(36).filter(|_| fits).ok_or(NumberError::Character { position: index + 1 })?;
            // spec: icao9303#3-4.9
            sum += value * [7, 3, 1][index % 3];
            if let Some(place) = index.checked_sub(7).and_then(|at| date.get_mut(at)) {
                *place = value;
            }
        }
        let last = text.chars().nth(14).and_then(|c| c.to_digit(10)).ok_or(NumberError::Character { position: 15 })?;
        if last != sum % 10 {
            return Err(NumberError::CheckDigit);
        }
        if text.starts_with("CHN") {
            return Err(NumberError::Nationality);
        }
        if !resident::is_province(text.get(3..5).and_then(|two| two.parse().ok()).unwrap_or(0)) {
            return Err(NumberError::Region);
        }
        // The century is not written: a date that exists in either is accepted.
        let [y, yy, m, mm, d, dd] = date;
        let month = u8::try_from(m * 10 + mm).ok().and_then(|month| Month::try_from(month).ok()).ok_or(NumberError::Date)?;
        let day = u8::try_from(d * 10 + dd).map_err(|_| NumberError::Date)?;
        let year = i32::try_from(y * 10 + yy).map_err(|_| NumberError::Date)?;
        let exists = |century| Date::from_calendar_date(century + year, month, day).is_ok();
        if exists(1900) || exists(2000) { Ok(Self(text)) } else { Err(NumberError::Date) }
    }

    pub fn masked(&self) -> String {
        format!("{}************", self.0.get(..3).unwrap_or_default())
    }

    /// The number itself, for the keyed index and the seal and for nothing that is printed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OldForeignPermanentNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OldForeignPermanentNumber({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn published_vectors_of_the_new_card() {
        let refused = |number| ForeignPermanentNumber::parse(number, date!(2026 - 11 - 24)).err();
        for number in [
            "944840189602290018", "911826189901010025", "931392189505050033", "944410188812120047",
            "94464318970303015X", "911250189109090268",
        ] {
            assert_eq!(refused(number), None, "{number}");
        }
        assert_eq!(refused("944840189602290019"), Some(NumberError::CheckDigit));
        assert_eq!(refused("94415618881212004X"), Some(NumberError::Nationality));
        assert_eq!(refused("999840189602290011"), Some(NumberError::Region));
        assert_eq!(refused("944840189702290015"), Some(NumberError::Date));
        assert_eq!(refused("944000189901010018"), Some(NumberError::Nationality));
        assert_eq!(refused("911826189901010026"), Some(NumberError::CheckDigit));
    }

    #[test]
    fn published_vectors_of_the_old_card() {
        let refused = |number| OldForeignPermanentNumber::parse(number).err();
        for number in [
            "VAT440131022810", "TUV110032050521", "NRU310033090937", "AND440134041241", "LIE440135061555",
            "SMR440136123162", "KAZ110090123105",
        ] {
            assert_eq!(refused(number), None, "{number}");
        }
        for number in ["VAT440131022811", "TUV110032050512", "NRU310033090930"] {
            assert_eq!(refused(number), Some(NumberError::CheckDigit), "{number}");
        }
        assert!(refused("ZZZ440134041241").is_some());
        assert_eq!(refused("CHN440134041247"), Some(NumberError::Nationality));
        assert_eq!(refused("VA1440131022810"), Some(NumberError::Character { position: 3 }));
        assert_eq!(refused("LIE44013506155"), Some(NumberError::Length { expected: 15, found: 14 }));
    }
}
