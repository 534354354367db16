//! 经办人授权: an enterprise says which key signs for it as an operator, for which kinds and until when, and which key is its own
//! beside the one that says so; and takes that back.

use policies::filing::KindName;
use policies::identity::CreditCode;
use time::Date;

use super::attachment::credit_code;
use super::filing::{FilingError, required};
use super::id::MandateId;
use super::json::{Object, Value};
use super::mandate::{date, date_text, kind_is, read_kinds, whole};

const AUTHORISATION: &str = "OPERATOR";
const OWN_KEY: &str = "OWN_KEY";
const WITHDRAWAL: &str = "OPERATOR_WITHDRAWAL";
const OWN_WITHDRAWAL: &str = "OWN_KEY_WITHDRAWAL";
const MAX_NAME: usize = 60;

/// What an enterprise signs for an operator of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorisation {
    pub id: MandateId,
    pub uscc: CreditCode,
    /// SHA-256 of the SubjectPublicKeyInfo of the operator's certificate: 64 small hexadecimal digits.
    pub key: String,
    /// How the enterprise calls the operator; no number of a person.
    pub name: String,
    /// At least one, each once.
    pub kinds: Vec<KindName>,
    /// The first and the last day, by the city's time.
    pub from: Date,
    pub until: Date,
}

/// What an enterprise signs, with a key of its own, to have another key of its own: the one that comes after a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    pub id: MandateId,
    pub uscc: CreditCode,
    /// As in [`Authorisation`].
    pub key: String,
    pub name: String,
}

/// What an enterprise says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Operator(Authorisation),
    Own(OwnKey),
}

impl Named {
    /// Reads the canonical octets of either, and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let own = value.as_object().and_then(|object| object.get("kind")).and_then(Value::as_text) == Some(OWN_KEY);
        if own { OwnKey::parse(bytes).map(Self::Own) } else { Authorisation::parse(bytes).map(Self::Operator) }
    }

    pub fn id(&self) -> &MandateId {
        match self {
            Self::Operator(one) => &one.id,
            Self::Own(one) => &one.id,
        }
    }

    pub fn uscc(&self) -> &CreditCode {
        match self {
            Self::Operator(one) => &one.uscc,
            Self::Own(one) => &one.uscc,
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Self::Operator(one) => &one.key,
            Self::Own(one) => &one.key,
        }
    }
}

/// What an enterprise signs to end what it said of a key; of an authorisation before its last day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorWithdrawal {
    pub id: MandateId,
    pub uscc: CreditCode,
}

/// What an enterprise signs, with one key of its own, so that another is its own no more: also the one that spoke first, which no
/// document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKeyWithdrawal {
    pub id: MandateId,
    pub uscc: CreditCode,
    /// As in [`Authorisation`].
    pub key: String,
}

fn key(value: &Value) -> Option<String> {
    let small = |text: &str| text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    value.as_text().filter(|text| small(text)).map(str::to_owned)
}

fn name(value: &Value) -> Option<String> {
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control) && digits(text) < 9;
    value.as_text().filter(|text| fits(text)).map(str::to_owned)
}

impl Authorisation {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &["kind", "authorisation_id", "uscc", "key", "name", "kinds", "from", "until"])?;
        kind_is(object, AUTHORISATION)?;
        let authorisation = Self {
            id: required(object, "authorisation_id", "26 letters, chosen at random as a filing's id", |value| value.as_text().and_then(MandateId::parse))?,
            uscc: required(object, "uscc", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
            key: required(object, "key", "the SHA-256 of the operator's SubjectPublicKeyInfo in 64 small hexadecimal digits", key)?,
            name: required(object, "name", "1 to 60 characters without a person's number", name)?,
            kinds: required(object, "kinds", "1 to 64 kinds of filing, each once", read_kinds)?,
            from: required(object, "from", "a day, as 2026-12-31", date)?,
            until: required(object, "until", "a day, as 2026-12-31", date)?,
        };
        if authorisation.until < authorisation.from {
            return Err(FilingError::Wrong { member: "until", expected: "the day of `from` or a later one" });
        }
        if authorisation.canonical() == bytes { Ok(authorisation) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the enterprise signs.
    pub fn canonical(&self) -> Vec<u8> {
        let members = [
            ("kind", Value::text(AUTHORISATION)),
            ("authorisation_id", Value::text(self.id.as_str())),
            ("uscc", Value::text(self.uscc.as_str())),
            ("key", Value::text(self.key.as_str())),
            ("name", Value::text(self.name.as_str())),
            ("kinds", Value::Array(self.kinds.iter().map(|kind| Value::text(kind.as_str())).collect())),
            ("from", Value::text(date_text(self.from))),
            ("until", Value::text(date_text(self.until))),
        ];
        Value::Object(Object::from(members)).canonical()
    }

    /// Whether it lets its key sign this kind on a day; a withdrawal is not known here.
    pub fn covers(&self, kind: &KindName, day: Date) -> bool {
        self.kinds.contains(kind) && (self.from..=self.until).contains(&day)
    }
}

impl OwnKey {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &["kind", "authorisation_id", "uscc", "key", "name"])?;
        kind_is(object, OWN_KEY)?;
        let own = Self {
            id: required(object, "authorisation_id", "26 letters, chosen at random as a filing's id", |value| value.as_text().and_then(MandateId::parse))?,
            uscc: required(object, "uscc", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
            key: required(object, "key", "the SHA-256 of the key's SubjectPublicKeyInfo in 64 small hexadecimal digits", key)?,
            name: required(object, "name", "1 to 60 characters without a person's number", name)?,
        };
        if own.canonical() == bytes { Ok(own) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the enterprise signs.
    pub fn canonical(&self) -> Vec<u8> {
        let members = [
            ("kind", Value::text(OWN_KEY)),
            ("authorisation_id", Value::text(self.id.as_str())),
            ("uscc", Value::text(self.uscc.as_str())),
            ("key", Value::text(self.key.as_str())),
            ("name", Value::text(self.name.as_str())),
        ];
        Value::Object(Object::from(members)).canonical()
    }
}

impl OperatorWithdrawal {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &["kind", "authorisation_id", "uscc"])?;
        kind_is(object, WITHDRAWAL)?;
        let withdrawal = Self {
            id: required(object, "authorisation_id", "26 letters, the authorisation's id", |value| value.as_text().and_then(MandateId::parse))?,
            uscc: required(object, "uscc", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
        };
        if withdrawal.canonical() == bytes { Ok(withdrawal) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the enterprise signs.
    pub fn canonical(&self) -> Vec<u8> {
        let members = [("kind", Value::text(WITHDRAWAL)), ("authorisation_id", Value::text(self.id.as_str())), ("uscc", Value::text(self.uscc.as_str()))];
        Value::Object(Object::from(members)).canonical()
    }
}

impl OwnKeyWithdrawal {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &["kind", "withdrawal_id", "uscc", "key"])?;
        kind_is(object, OWN_WITHDRAWAL)?;
        let withdrawal = Self {
            id: required(object, "withdrawal_id", "26 letters, chosen at random as a filing's id", |value| value.as_text().and_then(MandateId::parse))?,
            uscc: required(object, "uscc", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
            key: required(object, "key", "the SHA-256 of the key's SubjectPublicKeyInfo in 64 small hexadecimal digits", key)?,
        };
        if withdrawal.canonical() == bytes { Ok(withdrawal) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the enterprise signs.
    pub fn canonical(&self) -> Vec<u8> {
        let members = [("kind", Value::text(OWN_WITHDRAWAL)), ("withdrawal_id", Value::text(self.id.as_str())), ("uscc", Value::text(self.uscc.as_str())), ("key", Value::text(self.key.as_str()))];
        Value::Object(Object::from(members)).canonical()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::date;

    use super::*;

    #[test]
    fn an_authorisation_is_read_back_and_nonsense_is_named() {
        let kinds = vec![KindName::parse("VAT_GENERAL").unwrap()];
        let uscc = CreditCode::parse("91440101MAT000018G").unwrap();
        let authorisation = Authorisation { id: MandateId::from_random([1; 16]), uscc: uscc.clone(), key: "ab".repeat(32), name: "办税员甲".into(), kinds, from: date!(2026 - 11 - 01), until: date!(2026 - 12 - 31) };
        assert_eq!(Authorisation::parse(&authorisation.canonical()).as_ref(), Ok(&authorisation));
        let kind = |text| KindName::parse(text).unwrap();
        assert!(authorisation.covers(&kind("VAT_GENERAL"), date!(2026 - 12 - 31)));
        assert!(!authorisation.covers(&kind("VAT_GENERAL"), date!(2027 - 01 - 01)) && !authorisation.covers(&kind("SI_WAGE_BASE"), date!(2026 - 12 - 31)));
        let own = OwnKey { id: authorisation.id.clone(), uscc: uscc.clone(), key: "cd".repeat(32), name: "法定代表人新证书".into() };
        assert_eq!(Named::parse(&own.canonical()), Ok(Named::Own(own)));
        assert_eq!(Named::parse(&authorisation.canonical()), Ok(Named::Operator(authorisation.clone())));
        let of_own = OwnKeyWithdrawal { id: authorisation.id.clone(), uscc: uscc.clone(), key: "cd".repeat(32) };
        assert_eq!(OwnKeyWithdrawal::parse(&of_own.canonical()), Ok(of_own));
        let withdrawal = OperatorWithdrawal { id: authorisation.id.clone(), uscc };
        assert_eq!(OperatorWithdrawal::parse(&withdrawal.canonical()), Ok(withdrawal));
        let text = String::from_utf8(authorisation.canonical()).unwrap();
        for (from, to, pointer) in [("abab", "ABAB", "/key"), ("2026-12-31", "2026-10-31", "/until"), ("办税员甲", "440105190003010052", "/name"), ("\"from\"", "\"for\"", "/for"), ("VAT_GENERAL", "", "/kinds")] {
            assert!(text.contains(from), "{from}");
            assert_eq!(Authorisation::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().pointer(), pointer);
        }
    }
}
