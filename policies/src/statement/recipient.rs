//! How a row names whose it is: by a document, by an institution's code, or by the token that the person gave the sender.

use std::fmt;

use time::Date;

use super::value::ValueError;
use crate::identity::{CreditCode, Document, DocumentKind};

/// Characters of a token: digits and letters without those that are taken for others, as Crockford's base 32 has them.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits.
const LENGTH: usize = 26;

/// What `id_type` says of tokens and institutions.
const TOKEN: &str = "token";
const INSTITUTION: &str = "uscc";

/// Names one mailbox to one sender, and tells nobody anything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EnrolmentToken(String);

impl EnrolmentToken {
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let digit = |at: usize| ALPHABET.get(usize::try_from(number >> (5 * at) & 31).unwrap_or(0)).copied().unwrap_or(b'0');
        Self((0..LENGTH).rev().map(|at| char::from(digit(at))).collect())
    }

    pub fn parse(text: &str) -> Result<Self, ValueError> {
        // 26 digits have 130 bits: the first is 0 to 7.
        let fits = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte)) && text.as_bytes().first().is_some_and(|first| *first < b'8');
        if fits { Ok(Self(text.to_owned())) } else { Err(ValueError::EnrolmentToken) }
    }

    /// For its sender, and to look it up.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn masked(&self) -> String {
        format!("****{}", self.0.get(LENGTH - 4..).unwrap_or_default())
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EnrolmentToken(..)")
    }
}

/// Whose a row is.
#[derive(Clone, PartialEq, Eq)]
pub enum Recipient {
    Document(Document),
    Institution(CreditCode),
    Token(EnrolmentToken),
}

impl Recipient {
    /// What stands in `id_type`, Chinese and English. Statements are of persons: no institution has any.
    pub fn codes() -> Vec<(&'static str, &'static str, &'static str)> {
        let documents = DocumentKind::ALL.map(|kind| (kind.code(), kind.words().0, kind.words().1));
        let others = [(INSTITUTION, "统一社会信用代码", "unified social credit code, where a kind is for institutions"), (TOKEN, "登记标识", "the token that the owner's enrolment gave this sender; it stands in id_no")];
        documents.into_iter().chain(others).collect()
    }

    /// `code` is `01` to `07` and `99`, `uscc` or `token`.
    pub fn parse(code: &str, number: &str, today: Date) -> Result<Self, ValueError> {
        match code {
            TOKEN => EnrolmentToken::parse(number).map(Self::Token),
            INSTITUTION => CreditCode::parse(number).map(Self::Institution).map_err(ValueError::CreditCode),
            code => Document::parse(code, number, today).map(Self::Document).map_err(ValueError::Document),
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::Document(document) => document.kind().code(),
            Self::Institution(_) => INSTITUTION,
            Self::Token(_) => TOKEN,
        }
    }

    /// Chinese and English, as its reader sees it.
    pub fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Document(document) => document.kind().words(),
            Self::Institution(_) => ("统一社会信用代码", "Unified social credit code"),
            Self::Token(_) => ("登记标识", "Enrolment token"),
        }
    }

    /// Of an institution the code is public; all else is masked.
    pub fn masked(&self) -> String {
        match self {
            Self::Document(document) => document.masked(),
            Self::Institution(code) => code.as_str().to_owned(),
            Self::Token(token) => token.masked(),
        }
    }

    /// Whether the number or the token stands in a text that is shown or logged.
    pub fn stands_in(&self, text: &str) -> bool {
        match self {
            Self::Document(document) => document.stands_in(text),
            Self::Institution(_) => false,
            Self::Token(token) => text.contains(token.expose()),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Recipient({})", self.code())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens() {
        assert_eq!(EnrolmentToken::from_bytes([0; 16]).expose(), "0".repeat(26));
        assert_eq!(EnrolmentToken::from_bytes([255; 16]).expose(), format!("7{}", "z".repeat(25)));
        let token = EnrolmentToken::from_bytes(*b"0123456789abcdef");
        assert_eq!(EnrolmentToken::parse(token.expose()).unwrap(), token);
        assert!(!format!("{token:?}").contains(token.expose()));
        for wrong in ["", "0", &"0".repeat(27), &"8".repeat(26), &format!("0{}", "u".repeat(25)), &token.expose().to_uppercase(), &"０".repeat(26)] {
            assert!(EnrolmentToken::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn recipients_by_their_codes() {
        let today = time::macros::date!(2026 - 11 - 01);
        let token = EnrolmentToken::from_bytes([7; 16]);
        let named = Recipient::parse("token", token.expose(), today).unwrap();
        assert_eq!((named.code(), named.masked().len(), named.stands_in(&format!("x-{}", token.expose()))), ("token", 8, true));
        assert_eq!(Recipient::parse("uscc", "91440101MAT000018G", today).unwrap().code(), "uscc");
        assert_eq!(Recipient::parse("01", "440106189602290015", today).unwrap().code(), "01");
        // What is told of them is what is read.
        let unknown = Recipient::parse("08", "1", today).unwrap_err();
        assert!(Recipient::codes().iter().all(|(code, ..)| Recipient::parse(code, "", today).unwrap_err() != unknown) && Recipient::codes().len() == 10);
        for (code, number) in [("token", "x"), ("uscc", "91440101MAT000018H"), ("08", "1"), ("", "")] {
            assert!(Recipient::parse(code, number, today).is_err());
        }
    }
}
