//! 委托: an enterprise lets another file for it, kind by kind, for some periods or all, and until a day; and takes that back.

use std::ops::RangeInclusive;

use policies::filing::{FilingPeriod, KindName};
use policies::identity::CreditCode;
use policies::statement::Period;
use time::Date;
use time::macros::format_description;

use super::attachment::credit_code;
use super::filing::{FilingError, optional, required};
use super::id::MandateId;
use super::json::{Object, Value};

pub const MAX_MANDATE_KINDS: usize = 64;
const MANDATE: &str = "MANDATE";
const WITHDRAWAL: &str = "MANDATE_WITHDRAWAL";
const MEMBERS: [&str; 9] = ["kind", "mandate_id", "principal", "agent", "kinds", "first_period", "last_period", "from", "until"];

/// What a principal signs for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    pub id: MandateId,
    pub principal: CreditCode,
    /// Another than the principal.
    pub agent: CreditCode,
    /// At least one, each once.
    pub kinds: Vec<KindName>,
    /// The months that may be filed for, the last one included; every period without.
    pub periods: Option<RangeInclusive<Period>>,
    /// The first day, by the city's time.
    pub from: Date,
    /// The last day, by the city's time; not before `from`.
    pub until: Date,
}

/// What a principal signs to end a mandate before its last day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    pub id: MandateId,
    pub principal: CreditCode,
}

pub(super) fn kind_is(object: &Object, expected: &'static str) -> Result<(), FilingError> {
    required(object, "kind", expected, |value| value.as_text().filter(|kind| *kind == expected)).map(|_| ())
}

pub(super) fn whole<'a>(value: &'a Value, members: &[&str]) -> Result<&'a Object, FilingError> {
    let object = value.as_object().ok_or(FilingError::NoObject)?;
    match object.iter().find(|(name, _)| !members.contains(name)) {
        Some((member, _)) => Err(FilingError::Unknown { member: member.chars().take(64).collect() }),
        None => Ok(object),
    }
}

pub(super) fn date(value: &Value) -> Option<Date> {
    value.as_text().and_then(|text| Date::parse(text, format_description!("[year]-[month]-[day]")).ok().filter(|date| date_text(*date) == text))
}

pub(super) fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

pub(super) fn read_kinds(value: &Value) -> Option<Vec<KindName>> {
    let values = value.as_array().filter(|values| (1..=MAX_MANDATE_KINDS).contains(&values.len()))?;
    let kinds: Vec<KindName> = values.iter().map(|value| value.as_text().and_then(KindName::parse)).collect::<Option<_>>()?;
    kinds.iter().enumerate().all(|(at, kind)| !kinds.iter().take(at).any(|other| other == kind)).then_some(kinds)
}

impl Mandate {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &MEMBERS)?;
        kind_is(object, MANDATE)?;
        let month = |member| optional(object, member, "a month, as 202610", |value| value.as_text().and_then(|text| Period::parse(text).ok()));
        let periods = match (month("first_period")?, month("last_period")?) {
            (None, None) => None,
            (Some(first), Some(last)) if first <= last => Some(first..=last),
            (Some(_), Some(_)) => return Err(FilingError::Wrong { member: "last_period", expected: "the month of `first_period` or a later one" }),
            (Some(_), None) => return Err(FilingError::Missing { member: "last_period", expected: "the last month that may be filed for" }),
            (None, Some(_)) => return Err(FilingError::Missing { member: "first_period", expected: "the first month that may be filed for" }),
        };
        let mandate = Self {
            id: required(object, "mandate_id", "26 letters, as `filing mandate give` makes them", |value| value.as_text().and_then(MandateId::parse))?,
            principal: required(object, "principal", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
            agent: required(object, "agent", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
            kinds: required(object, "kinds", "1 to 64 kinds of filing, each once", read_kinds)?,
            periods,
            from: required(object, "from", "a day, as 2026-12-31", date)?,
            until: required(object, "until", "a day, as 2026-12-31", date)?,
        };
        if mandate.agent == mandate.principal {
            return Err(FilingError::Wrong { member: "agent", expected: "another enterprise than the principal" });
        }
        if mandate.until < mandate.from {
            return Err(FilingError::Wrong { member: "until", expected: "the day of `from` or a later one" });
        }
        if mandate.canonical() == bytes { Ok(mandate) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the principal signs.
    pub fn canonical(&self) -> Vec<u8> {
        let mut members = Object::from([
            ("kind", Value::text(MANDATE)),
            ("mandate_id", Value::text(self.id.as_str())),
            ("principal", Value::text(self.principal.as_str())),
            ("agent", Value::text(self.agent.as_str())),
            ("kinds", Value::Array(self.kinds.iter().map(|kind| Value::text(kind.as_str())).collect())),
            ("from", Value::text(date_text(self.from))),
            ("until", Value::text(date_text(self.until))),
        ]);
        if let Some(periods) = &self.periods {
            members.insert("first_period", Value::text(periods.start().to_string()));
            members.insert("last_period", Value::text(periods.end().to_string()));
        }
        Value::Object(members).canonical()
    }

    /// Whether it lets `agent` file this kind and period for `principal` on a day; a withdrawal is not known here.
    pub fn covers(&self, principal: &CreditCode, agent: &CreditCode, kind: &KindName, period: FilingPeriod, day: Date) -> bool {
        self.principal == *principal && self.agent == *agent && self.kinds.contains(kind) && self.is_for(period) && (self.from..=self.until).contains(&day)
    }

    /// Whether this period may be filed for: of a year every month.
    pub fn is_for(&self, period: FilingPeriod) -> bool {
        let Some(periods) = &self.periods else { return true };
        match period {
            FilingPeriod::Month(month) => periods.contains(&month),
            FilingPeriod::Year(year) => ["01", "12"].iter().all(|month| Period::parse(&format!("{year:04}{month}")).is_ok_and(|month| periods.contains(&month))),
        }
    }
}

impl Withdrawal {
    /// Reads the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let value = Value::parse(bytes)?;
        let object = whole(&value, &["kind", "mandate_id", "principal"])?;
        kind_is(object, WITHDRAWAL)?;
        let withdrawal = Self {
            id: required(object, "mandate_id", "26 letters, the mandate's id", |value| value.as_text().and_then(MandateId::parse))?,
            principal: required(object, "principal", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?,
        };
        if withdrawal.canonical() == bytes { Ok(withdrawal) } else { Err(FilingError::NotCanonical) }
    }

    /// The octets that the principal signs.
    pub fn canonical(&self) -> Vec<u8> {
        let members =
            [("kind", Value::text(WITHDRAWAL)), ("mandate_id", Value::text(self.id.as_str())), ("principal", Value::text(self.principal.as_str()))];
        Value::Object(Object::from(members)).canonical()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::date;

    use super::*;

    fn mandate() -> Mandate {
        let code = |text| CreditCode::parse(text).unwrap();
        let kinds = ["VAT_GENERAL", "SI_STAFF_CHANGE"].map(|kind| KindName::parse(kind).unwrap()).to_vec();
        Mandate { id: MandateId::from_random([1; 16]), principal: code("91440101MAT000018G"), agent: code("91440101MAT000026B"), kinds, periods: None, from: date!(2026 - 11 - 01), until: date!(2026 - 12 - 31) }
    }

    #[test]
    fn a_mandate_is_read_back_and_covers_what_it_says() {
        let mandate = mandate();
        assert_eq!(Mandate::parse(&mandate.canonical()).as_ref(), Ok(&mandate));
        let kind = |text| KindName::parse(text).unwrap();
        let october = FilingPeriod::parse("202610").unwrap();
        let covers = |kind: &KindName, day| mandate.covers(&mandate.principal, &mandate.agent, kind, october, day);
        assert!(covers(&kind("VAT_GENERAL"), date!(2026 - 11 - 01)) && covers(&kind("VAT_GENERAL"), date!(2026 - 12 - 31)));
        assert!(!covers(&kind("VAT_GENERAL"), date!(2027 - 01 - 01)) && !covers(&kind("SI_WAGE_BASE"), date!(2026 - 12 - 01)));
        assert!(!mandate.covers(&mandate.agent, &mandate.principal, &kind("VAT_GENERAL"), october, date!(2026 - 12 - 01)));
        // For some months only: of a year all of them.
        let month = |text| Period::parse(text).unwrap();
        let some = Mandate { periods: Some(month("202601")..=month("202612")), ..mandate.clone() };
        assert_eq!(Mandate::parse(&some.canonical()).as_ref(), Ok(&some));
        let is_for = |text| some.is_for(FilingPeriod::parse(text).unwrap());
        assert!(is_for("202601") && is_for("202612") && is_for("2026") && !is_for("202512") && !is_for("202701") && !is_for("2027") && !is_for("2025"));
        assert!(mandate.is_for(october) && !Mandate { periods: Some(month("202602")..=month("202612")), ..mandate.clone() }.is_for(FilingPeriod::parse("2026").unwrap()));
        let withdrawal = Withdrawal { id: mandate.id.clone(), principal: mandate.principal.clone() };
        assert_eq!(Withdrawal::parse(&withdrawal.canonical()), Ok(withdrawal.clone()));
        assert!(Mandate::parse(&withdrawal.canonical()).is_err() && Withdrawal::parse(&mandate.canonical()).is_err());
    }

    #[test]
    fn nonsense_is_named() {
        let text = String::from_utf8(mandate().canonical()).unwrap();
        for (from, to, pointer) in [
            ("\"from\"", "\"first_period\":\"202601\",\"from\"", "/last_period"),
            ("\"mandate_id\"", "\"last_period\":\"202601\",\"mandate_id\"", "/first_period"),
            ("\"from\"", "\"first_period\":\"202613\",\"from\"", "/first_period"),
            ("91440101MAT000026B", "91440101MAT000018G", "/agent"),
            ("2026-12-31", "2026-10-31", "/until"),
            ("2026-12-31", "2026-12-32", "/until"),
            ("\"VAT_GENERAL\",\"SI_STAFF_CHANGE\"", "", "/kinds"),
            ("VAT_GENERAL", "SI_STAFF_CHANGE", "/kinds"),
            ("\"from\"", "\"for\"", "/for"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(Mandate::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().pointer(), pointer);
        }
    }
}
