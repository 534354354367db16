//! Travel permits and passports: no check digit is published, so only the shape is judged.

use std::fmt;

use super::{NumberError, canonical};

/// A number whose characters fit its kind of document: private text, masked `Debug`.
macro_rules! shaped_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn masked(&self) -> String {
                masked(&self.0)
            }

            /// The number itself, for the keyed index and the seal and for nothing that is printed.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.masked())
            }
        }
    };
}

shaped_type!(
    /// Mainland travel permit of Hong Kong and Macao residents (回乡证): H or M and the eight digits that stay
    /// with the person for life. Cards before 2013 added two digits that count the issue; they are dropped.
    HomeReturnNumber);
shaped_type!(
    /// Mainland travel permit of Taiwan residents (台胞证): eight digits, or the ten and a letter of old cards.
    TaiwanPermitNumber);
shaped_type!(
    /// A passport of the People's Republic of China.
    ChinesePassportNumber);

impl HomeReturnNumber {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = canonical(text);
        match text.strip_prefix(['H', 'M']).map(|rest| (all_digits(rest), rest.len())) {
            Some((true, 8 | 10)) => Ok(Self(text.chars().take(9).collect())),
            _ => Err(NumberError::Shape),
        }
    }
}

impl TaiwanPermitNumber {
    /// The letter of an old card is often written in brackets.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text: String = canonical(text).chars().filter(|c| !matches!(c, '(' | ')')).collect();
        let old = text.strip_suffix(|c: char| c.is_ascii_uppercase());
        let fits = text.len() == 8 && all_digits(&text) || old.is_some_and(|ten| ten.len() == 10 && all_digits(ten));
        if fits { Ok(Self(text)) } else { Err(NumberError::Shape) }
    }
}

impl ChinesePassportNumber {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = canonical(text);
        let mut letters = text.chars();
        let (first, second) = (letters.next(), letters.next());
        let digits = |from: usize| text.get(from..).filter(|rest| all_digits(rest)).map(str::len);
        let fits = match (first, second) {
            // I and O are never the second letter: they are read as digits.
            (Some('E'), Some('A'..='H' | 'J'..='N' | 'P'..='Z')) => digits(2) == Some(7),
            (Some('E' | 'G'), _) => digits(1) == Some(8),
            (Some('D' | 'S' | 'P'), Some('E')) => matches!(digits(2), Some(7 | 8)),
            (Some('D' | 'S' | 'P'), _) => matches!(digits(1), Some(7 | 8)),
            _ => false,
        };
        if fits { Ok(Self(text)) } else { Err(NumberError::Passport) }
    }
}

/// A passport of another state: two states may use one number, so the state is a part of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ForeignPassportNumber {
    /// Three letters of ISO 3166-1 or of ICAO 9303-3.
    state: String,
    /// Five to twenty letters and digits.
    number: String,
}

impl ForeignPassportNumber {
    pub fn parse(state: &str, number: &str) -> Result<Self, NumberError> {
        let (state, number) = (canonical(state), canonical(number));
        // spec: icao9303#3-5 (Germany is written D)
        let state = if state == "D" { "DEU".to_owned() } else { state };
        if state.len() != 3 || !state.bytes().all(|b| b.is_ascii_uppercase()) || state == "CHN" {
            return Err(NumberError::Nationality);
        }
        let fits = (5..=20).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if fits { Ok(Self { state, number }) } else { Err(NumberError::Shape) }
    }

    /// Three letters: not secret, many share it.
    pub fn state(&self) -> &str {
        &self.state
    }

    pub fn masked(&self) -> String {
        masked(&self.number)
    }

    /// The number itself, for the keyed index and the seal and for nothing that is printed.
    pub fn expose(&self) -> &str {
        &self.number
    }
}

impl fmt::Debug for ForeignPassportNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ForeignPassportNumber({})", self.masked())
    }
}

shaped_type!(
    /// A number of a document whose rule nobody published: four to thirty-two letters, digits and hyphens.
    OtherNumber);

impl OtherNumber {
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = canonical(text);
        let fits = (4..=32).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || c == '-');
        if fits { Ok(Self(text)) } else { Err(NumberError::Shape) }
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The last two characters of a short number, three and four of one that is long enough to hide the rest.
fn masked(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let (first, last) = if characters.len() >= 14 { (3, 4) } else { (0, 2) };
    let shown = |(at, &c): (usize, &char)| if at < first || at + last >= characters.len() { c } else { '*' };
    characters.iter().enumerate().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_return_permits() {
        let read = |text| HomeReturnNumber::parse(text).map(|number| number.0);
        assert_eq!(read("H12345678").as_deref(), Ok("H12345678"));
        assert_eq!(read(" m１２３45678 ").as_deref(), Ok("M12345678"));
        // The same person's card of 2009, issued for the second time.
        assert_eq!(read("H1234567802"), read("H12345678"));
        for wrong in ["H1234567", "H123456789", "T12345678", "12345678", "H1234567O", "H12345678901", ""] {
            assert_eq!(read(wrong), Err(NumberError::Shape), "{wrong}");
        }
    }

    #[test]
    fn taiwan_permits() {
        let read = |text| TaiwanPermitNumber::parse(text).map(|number| number.0);
        assert_eq!(read("01234567").as_deref(), Ok("01234567"));
        assert_eq!(read("0123456789(B)"), read("0123456789b"));
        for wrong in ["0123456", "012345678", "0123456789", "012345678B", "0123456789BB", "A1234567", ""] {
            assert_eq!(read(wrong), Err(NumberError::Shape), "{wrong}");
        }
    }

    #[test]
    fn chinese_passports() {
        for right in ["E12345678", "EA1234567", "EZ1234567", "G12345678", "D1234567", "DE1234567", "SE12345678", "P12345678", "e12345678"] {
            assert!(ChinesePassportNumber::parse(right).is_ok(), "{right}");
        }
        for wrong in ["E1234567", "EI1234567", "EO1234567", "EA12345678", "G1234567", "GA1234567", "A12345678", "D123456", "E", "", "中12345678"] {
            assert_eq!(ChinesePassportNumber::parse(wrong), Err(NumberError::Passport), "{wrong}");
        }
    }

    #[test]
    fn foreign_passports_belong_to_a_state() {
        // ICAO's own specimen, of the state of Utopia.
        let specimen = ForeignPassportNumber::parse("UTO", "L898902C3").unwrap();
        assert_eq!((specimen.state(), specimen.expose(), specimen.masked().as_str()), ("UTO", "L898902C3", "*******C3"));
        assert_ne!(ForeignPassportNumber::parse("FRA", "L898902C3").unwrap(), specimen);
        assert_eq!(ForeignPassportNumber::parse("D", "C01X00T47"), ForeignPassportNumber::parse("deu", "c01x00t47"));
        for state in ["", "FR", "FRAN", "F1A", "CHN"] {
            assert_eq!(ForeignPassportNumber::parse(state, "L898902C3"), Err(NumberError::Nationality), "{state}");
        }
        for number in ["1234", "123456789012345678901", "L898-902C3", ""] {
            assert_eq!(ForeignPassportNumber::parse("UTO", number), Err(NumberError::Shape), "{number}");
        }
    }

    #[test]
    fn numbers_without_a_published_rule() {
        assert_eq!(OtherNumber::parse("军字第 0012345 号").map(|n| n.0).as_deref(), Ok("军字第0012345号"));
        assert_eq!(OtherNumber::parse("abc"), Err(NumberError::Shape));
        assert_eq!(OtherNumber::parse("1234|5678"), Err(NumberError::Shape));
        assert_eq!(OtherNumber::parse("440106189602290015").unwrap().masked(), "440***********0015");
        assert_eq!(format!("{:?}", OtherNumber::parse("军字第0012345号").unwrap()), "OtherNumber(*********5号)");
    }
}
