//! What a filing's envelope says beside who declares what: for which place, when it was drawn up and by whom, and for whom an
//! agent acts. None of it is needed to read a filing; what is there must be right.
// spec: domain.md 6

use policies::filing::Role;
use policies::identity::CreditCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attachment::credit_code;
use super::id::MandateId;
use super::json::Value;

const MAX_REFERENCE: usize = 32;
/// As many digits in a row could be a person's number.
const MAX_DIGITS: usize = 8;

/// A division of the country by GB/T 2260: six digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 6 && text.bytes().all(|digit| digit.is_ascii_digit());
        (digits && !text.starts_with('0')).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A district lies in its city, the city in its province: what ends in pairs of noughts is the whole of it.
    pub fn lies_in(&self, whole: &str) -> bool {
        let significant = if whole.ends_with("0000") { 2 } else if whole.ends_with("00") { 4 } else { 6 };
        whole.get(..significant).is_some_and(|whole| self.0.starts_with(whole))
    }
}

/// Who drew it up, as the enterprise calls them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedBy {
    /// A name or a staff number, never a person's number.
    pub person_ref: String,
    pub role: Role,
}

impl PreparedBy {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.iter().all(|(name, _)| ["person_ref", "role"].contains(&name)))?;
        let person_ref = object.get("person_ref").and_then(Value::as_text).filter(|text| is_reference(text))?.to_owned();
        Some(Self { person_ref, role: object.get("role").and_then(Value::as_text).and_then(Role::from_name)? })
    }
}

/// One word by which an enterprise knows a person.
pub fn is_reference(text: &str) -> bool {
    // Numerals of every script; what only parts them does not end a number.
    let joint = |c: char| matches!(c, '-' | '_' | '·');
    let longest = text.split(|c: char| !c.is_numeric() && !joint(c)).map(|run| run.chars().filter(|c| c.is_numeric()).count()).max().unwrap_or(0);
    (1..=MAX_REFERENCE).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || joint(c)) && longest <= MAX_DIGITS
}

/// For whom it is signed, told beside the mandate's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub uscc: CreditCode,
    pub mandate_id: MandateId,
}

impl Agent {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.iter().all(|(name, _)| ["uscc", "mandate_id"].contains(&name)))?;
        let uscc = object.get("uscc").and_then(Value::as_text).and_then(credit_code)?;
        Some(Self { uscc, mandate_id: object.get("mandate_id").and_then(Value::as_text).and_then(MandateId::parse)? })
    }
}

/// RFC 3339, to the second or finer.
pub(super) fn moment(value: &Value) -> Option<OffsetDateTime> {
    value.as_text().filter(|text| text.len() <= 40).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_district_lies_in_its_city_and_province_and_in_no_other() {
        let region = |text| Region::parse(text).unwrap();
        for (text, whole, lies) in [("440106", "440100", true), ("440100", "440100", true), ("440300", "440100", false), ("440300", "440000", true), ("440106", "440106", true), ("440105", "440106", false), ("110000", "440000", false)] {
            assert_eq!(region(text).lies_in(whole), lies, "{text} {whole}");
        }
        for wrong in ["", "44010", "4401000", "04010O", "044010", "４４０１００"] {
            assert!(Region::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn people_are_told_by_names_and_never_by_numbers_of_theirs() {
        for right in ["李四", "A-0172", "买买提·艾力", "20260017"] {
            assert!(is_reference(right), "{right}");
        }
        for wrong in ["", " ", "a b", "440105190003010052", "440105-19000301-005X", "13800000000", "４４０１０５１９０", "138-0013-8000", "138-00138000", "١٣٨٠٠١٣٨٠٠٠", &"x".repeat(33)] {
            assert!(!is_reference(wrong), "{wrong}");
        }
    }
}
