//! Residence permit of Hong Kong, Macao and Taiwan residents (港澳台居民居住证, since 1 September 2018).

use time::Date;

use super::eighteen::{self, number_type};
use super::{NumberError, canonical};

/// A valid permit number: laid out as a resident's, the region 810000, 820000 or 830000.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HmtResidenceNumber(String);
number_type!(HmtResidenceNumber);

impl HmtResidenceNumber {
    pub fn parse(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = canonical(text);
        let values = eighteen::checked(&text)?;
        if !matches!(eighteen::number(&values, 0..6), 810_000 | 820_000 | 830_000) {
            return Err(NumberError::Region);
        }
        eighteen::born(&values, today)?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn published_vectors() {
        let refused = |number| HmtResidenceNumber::parse(number, date!(2026 - 11 - 24)).err();
        for number in [
            "810000189602290010", "810000189909090021", "820000189510100031", "820000188801010146",
            "830000189702280059", "830000189912310260",
        ] {
            assert_eq!(refused(number), None, "{number}");
        }
        assert_eq!(refused("810000189602290011"), Some(NumberError::CheckDigit));
        assert_eq!(refused("810000189702290018"), Some(NumberError::Date));
        assert_eq!(refused("840000189909090027"), Some(NumberError::Region));
        assert_eq!(refused("810101189602290012"), Some(NumberError::Region));
        assert_eq!(refused("820000189510100013"), Some(NumberError::CheckDigit));
        assert_eq!(refused("83000018970228005"), Some(NumberError::Length { expected: 18, found: 17 }));
    }
}
