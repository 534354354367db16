//! The place whose deadlines a calendar tells, by GB/T 2260: divisions are merged and renumbered, so each code has the day from
//! which it holds.

use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use time::Date;
use toml::Spanned;

use crate::document::PolicyError;

/// Their days rise; without an entry no place is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Regions(Vec<(Option<Date>, String)>);

/// `[[region]]`, or one code for all days, as documents from before have it.
pub(super) struct Written(Vec<Entry>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    from: Option<toml::value::Datetime>,
    code: String,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Written;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("[[region]] with `from` and `code`, or a code of six digits")
            }

            fn visit_str<E>(self, code: &str) -> Result<Written, E> {
                Ok(Written(vec![Entry { from: None, code: code.to_owned() }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Written, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = entries.next_element::<Entry>()? {
                    all.push(entry);
                }
                match all.iter().all(|entry| entry.from.is_some()) {
                    true => Ok(Written(all)),
                    false => Err(serde::de::Error::missing_field("from")),
                }
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl Regions {
    pub(super) fn parse(file: &str, text: &str, written: Spanned<Written>) -> Result<Self, PolicyError> {
        let (span, mut all) = (written.span(), Vec::<(Option<Date>, String)>::new());
        let wrong = |reason: &str| Err(PolicyError::at(file, text, Some(span.clone()), reason));
        let entries = written.into_inner().0;
        if entries.is_empty() {
            return wrong("it has no entry: name a region, or leave it out whole");
        }
        for Entry { from, code } in entries {
            if code.len() != 6 || code.starts_with('0') || !code.bytes().all(|digit| digit.is_ascii_digit()) {
                return wrong("a region is told by six digits, as 440100");
            }
            let day = from.filter(|from| from.time.is_none()).and_then(|from| from.date);
            let day = day.and_then(|day| Date::from_calendar_date(i32::from(day.year), day.month.try_into().ok()?, day.day).ok());
            if from.is_some() && (day.is_none() || all.last().is_some_and(|(before, _)| *before >= day)) {
                return wrong("each entry of [[region]] is from a later day, as 2026-01-01");
            }
            all.push((day, code));
        }
        Ok(Self(all))
    }

    /// Before the first day the first one holds.
    pub(super) fn on(&self, day: Date) -> Option<&str> {
        let held = self.0.iter().take_while(|(from, _)| from.is_none_or(|from| from <= day)).last().or(self.0.first());
        held.map(|(_, code)| code.as_str())
    }

    pub(super) fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self.0.as_slice() {
            [] => writeln!(out, "  of no region"),
            all => all.iter().try_for_each(|(from, code)| match from {
                Some(from) => writeln!(out, "  of {code} from {from} on"),
                None => writeln!(out, "  of {code}"),
            }),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filing::Calendar;
    use time::macros::date;

    const DATED: &str = "[[region]]\nfrom = 2026-01-01\ncode = \"440100\"\n";

    fn calendar(region: &str) -> Result<Calendar, PolicyError> {
        let (before, after) = if region.starts_with('[') { ("", region) } else { (region, "") };
        Calendar::parse(("calendar.toml", &format!("{before}\nconfirmed_years = []\nholidays = []\nworkdays = []\ndeadline = []\n{after}")))
    }

    #[test]
    fn a_code_holds_from_its_day_on_and_one_from_before_always() {
        let two = calendar(&format!("{DATED}[[region]]\nfrom = 2027-01-01\ncode = \"449900\"\n")).unwrap();
        for (day, code) in [(date!(2025 - 12 - 31), "440100"), (date!(2026 - 12 - 31), "440100"), (date!(2027 - 01 - 01), "449900")] {
            assert_eq!(two.region(day), Some(code), "{day}");
        }
        assert_eq!(calendar("region = \"440100\"").unwrap().region(date!(2030 - 01 - 01)), Some("440100"));
        assert_eq!(calendar("").unwrap().region(date!(2026 - 01 - 01)), None);
        for (wrong, why) in [
            ("region = \"4401\"", "six digits"),
            ("[[region]]\nfrom = 2026-01-01\ncode = \"044010\"\n", "six digits"),
            ("[[region]]\ncode = \"440100\"\n", "from"),
            ("[[region]]\nfrom = 2026-01-01T00:00:00Z\ncode = \"440100\"\n", "later day"),
            (format!("{DATED}{DATED}").as_str(), "later day"),
            ("region = 440100", "six digits"),
            ("region = []", "no entry"),
        ] {
            let reason = calendar(wrong).unwrap_err().reason;
            assert!(reason.contains(why), "{wrong}: {reason}");
        }
    }
}
