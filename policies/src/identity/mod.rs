//! Identity numbers and names: one file per kind of number, each a type that cannot hold a wrong one.
//!
//! No type here prints its number: `Debug` shows the mask, and the number is had only by `expose`.

mod document;
mod eighteen;
mod foreign_permanent;
mod hmt_residence;
mod name;
mod org_code;
mod resident;
mod travel;
mod uscc;

pub use document::{Document, DocumentError, DocumentKind};
pub use eighteen::Sex;
pub use foreign_permanent::{ForeignPermanentNumber, OldForeignPermanentNumber};
pub use hmt_residence::HmtResidenceNumber;
pub(crate) use name::is_hidden;
pub use name::{MAX_NAME_BYTES, NameError, PersonName};
pub use org_code::OrganisationCode;
pub use resident::ResidentNumber;
pub use travel::{ChinesePassportNumber, ForeignPassportNumber, HomeReturnNumber, OtherNumber, TaiwanPermitNumber};
pub use uscc::CreditCode;

use unicode_normalization::UnicodeNormalization;

/// Why a number was refused. Fields never hold the number or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("it has {found} characters instead of {expected}; type all of them")]
    Length { expected: usize, found: usize },
    #[error("character {position} cannot stand there; look for a letter typed for a digit")]
    Character { position: usize },
    #[error("it is not laid out as the number of such a document; compare it with the paper")]
    Shape,
    #[error("it is no Chinese passport's number; a foreign one is written with its state, as FRA-12AB34567")]
    Passport,
    #[error("the check digit does not fit; one character is mistyped or two are swapped")]
    CheckDigit,
    #[error("the organisation code inside has a wrong check digit; compare it with the licence")]
    InnerCheckDigit,
    #[error("the region code is not one of a province")]
    Region,
    #[error("the nationality code is not one that this card can carry")]
    Nationality,
    #[error("the date of birth is not a date of the calendar")]
    Date,
    #[error("the date of birth is in the future or more than 150 years ago")]
    Age,
}

/// The canonical form before any test: trimmed, full-width folded, upper case, no spaces. Input beyond
/// 64 characters is no number of any kind and is not copied: what stands for it is as wrong.
fn canonical(text: &str) -> String {
    let text = text.trim();
    if text.chars().nth(64).is_some() {
        return "?".repeat(65);
    }
    // Of ASCII every character is its own folded form.
    if text.is_ascii() {
        let mut plain = String::with_capacity(text.len());
        plain.extend(text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()));
        return plain;
    }
    text.chars().nfkc().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// The digits of `text`, or the one-based place of the first character that is none.
fn digits(text: &str) -> Result<Vec<u32>, NumberError> {
    let digit = |(index, c): (usize, char)| c.to_digit(10).ok_or(NumberError::Character { position: index + 1 });
    text.chars().enumerate().map(digit).collect()
}

fn length(text: &str, expected: usize) -> Result<(), NumberError> {
    let found = text.chars().count();
    if found == expected { Ok(()) } else { Err(NumberError::Length { expected, found }) }
}
