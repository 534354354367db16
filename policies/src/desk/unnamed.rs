//! How long a file is kept that no filing names, by the day it came.

use std::fmt::Write as _;

use serde::Deserialize;
use time::Date;
use toml::Spanned;

use crate::document::PolicyError;

/// Never without an entry; their days rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed(Vec<(Date, u16)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    from: toml::value::Datetime,
    days: Spanned<u64>,
}

pub(super) fn parse(file: &str, text: &str, entries: &Spanned<Vec<Entry>>) -> Result<Unnamed, PolicyError> {
    let wrong = |span, reason: &str| PolicyError::at(file, text, Some(span), reason);
    let mut all: Vec<(Date, u16)> = Vec::new();
    for entry in entries.get_ref() {
        let day = entry.from.date.filter(|_| entry.from.time.is_none());
        let day = day.and_then(|day| Date::from_calendar_date(i32::from(day.year), day.month.try_into().ok()?, day.day).ok());
        let day = day.filter(|day| all.last().is_none_or(|(before, _)| before < day)).ok_or_else(|| wrong(entries.span(), "each entry of [[unnamed]] is from a later day, as 2026-01-01"))?;
        let days = u16::try_from(*entry.days.get_ref()).ok().filter(|days| (1..=3_650).contains(days)).ok_or_else(|| wrong(entry.days.span(), "it is 1 to 3650"))?;
        all.push((day, days));
    }
    if all.is_empty() { Err(wrong(entries.span(), "[[unnamed]] has at least one entry")) } else { Ok(Unnamed(all)) }
}

impl Unnamed {
    /// For what came on this day; before the first entry the first one holds.
    pub fn days(&self, came: Date) -> u16 {
        let held = self.0.iter().take_while(|(from, _)| *from <= came).last().or(self.0.first());
        held.map_or(u16::MAX, |(_, days)| *days)
    }

    /// Nothing that came less long ago is removed.
    pub fn least(&self) -> u16 {
        self.0.iter().map(|(_, days)| *days).min().unwrap_or(u16::MAX)
    }

    pub(super) fn resolve(&self, text: &mut String) {
        for (from, days) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "an attachment that comes from {from} on and that no filing names is removed after {days} days");
        }
    }
}
