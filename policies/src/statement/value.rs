//! The values of a row that are neither amounts nor months, and why a value was refused.

use std::fmt;

use crate::identity::{CreditCode, DocumentError, NameError, NumberError, is_hidden};

/// Why the value of a column was refused. Fields never hold the value or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("it is no amount; write one to sixteen digits, a point and two digits, such as 1234.50")]
    Amount,
    #[error("it is negative; only an adjustment may be")]
    Negative,
    #[error("it is no rate in percent; write one or two digits, a point and two digits, such as 8.00")]
    Rate,
    #[error("it is no month; write YYYYMM, such as 202610")]
    Period,
    #[error("it is more than twelve months after the statement's month")]
    TooLate,
    #[error("it is no number of months; write 0 to 9999")]
    Count,
    #[error("it is none of the codes of this column")]
    Code,
    #[error("it has not 1 to {max} letters, digits, dots, hyphens and underscores")]
    Token { max: usize },
    #[error("it holds the number of the person's document; choose one that says nothing")]
    Revealing,
    #[error("it is empty, has more than {max} bytes, or has control characters")]
    Words { max: usize },
    #[error("it has more than {max} bytes")]
    TooLong { max: usize },
    #[error("it is no enrolment token; write its 26 characters as they were given")]
    EnrolmentToken,
    #[error("{0}")]
    CreditCode(NumberError),
    #[error("{0}")]
    Document(DocumentError),
    #[error("{0}")]
    Name(NameError),
    #[error("in JSON this is a {expected}")]
    JsonType { expected: &'static str },
}

fn token(text: &str, max: usize) -> Result<String, ValueError> {
    let fits = (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err(ValueError::Token { max }) }
}

/// A word of letters, digits, dots, hyphens and underscores that says nothing about a person.
macro_rules! token {
    ($(#[$meta:meta])* $name:ident, $max:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, ValueError> {
                token(text, $max).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

token!(
    /// The sender's number of one statement; Message-ID and item key are made of it.
    StatementId, 64);
token!(
    /// The sender's number of one batch, and of the batch of its own that a row came from.
    BatchId, 64);
token!(
    /// The code under which a bureau is registered as a sender.
    SenderCode, 32);

/// An account number as the fund writes it, up to twenty characters; shown by its last four.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountNumber(String);

impl AccountNumber {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        token(text, 20).map(Self)
    }

    pub fn masked(&self) -> String {
        // All ASCII. A short number shows no more than a third of itself.
        let shown = (self.0.len() / 3).min(4);
        format!("****{}", self.0.get(self.0.len() - shown..).unwrap_or_default())
    }

    /// The number itself, to find the month before and for nothing that is printed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AccountNumber({})", self.masked())
    }
}

/// The name of an employer, up to 240 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnitName(String);

impl UnitName {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        const MAX: usize = 240;
        let text = text.trim();
        let fits = (1..=MAX).contains(&text.len()) && !text.chars().any(is_hidden);
        if fits { Ok(Self(text.to_owned())) } else { Err(ValueError::Words { max: MAX }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn credit_code(text: &str) -> Result<CreditCode, ValueError> {
    CreditCode::parse(text).map_err(ValueError::CreditCode)
}

pub(super) fn count(text: &str) -> Result<u16, ValueError> {
    let shaped = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| shaped).ok_or(ValueError::Count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        assert_eq!(StatementId::parse("HF202610-00000001.r2").unwrap().as_str(), "HF202610-00000001.r2");
        for wrong in ["", "a b", "a/b", "a\n", "编号", &"a".repeat(65)] {
            assert_eq!(StatementId::parse(wrong), Err(ValueError::Token { max: 64 }), "{wrong}");
        }
        assert_eq!(AccountNumber::parse("GJJ000000004321").unwrap().masked(), "****4321");
        assert_eq!(AccountNumber::parse("GJJ12").unwrap().masked(), "****2");
        assert_eq!(format!("{:?}", AccountNumber::parse("GJJ000000004321").unwrap()), "AccountNumber(****4321)");
        assert_eq!(UnitName::parse(" 广州示范有限公司 ").unwrap().as_str(), "广州示范有限公司");
        for wrong in ["", " ", "a\u{202e}b", &"a".repeat(241)] {
            assert_eq!(UnitName::parse(wrong), Err(ValueError::Words { max: 240 }), "{wrong}");
        }
        assert_eq!((count("0"), count("0101"), count("9999")), (Ok(0), Ok(101), Ok(9999)));
        for wrong in ["", "-1", "+1", "1.0", "10000", "１"] {
            assert_eq!(count(wrong), Err(ValueError::Count), "{wrong}");
        }
    }
}
