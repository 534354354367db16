//! How long what is known of a certificate is kept.

use serde::Deserialize;
use time::{Date, Month, OffsetDateTime};
use toml::Spanned;

use crate::document::{PolicyError, read};

/// Seconds of 101 years.
const LONGER_THAN_ANY: i64 = 101 * 366 * 86_400;

/// Of `retention.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    years_after_expiry: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    years_after_expiry: Spanned<u8>,
}

impl Retention {
    // spec: 电子签名法 art. 24 (at least five years after the certificate ceased to be valid)
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { years_after_expiry } = read(file, text)?;
        let span = years_after_expiry.span();
        match years_after_expiry.into_inner() {
            years_after_expiry @ 5..=100 => Ok(Self { years_after_expiry }),
            other => Err(PolicyError::at(file, text, Some(span), format!("records kept for {other} years after expiry; the law asks for 5, write 5 to 100"))),
        }
    }

    pub fn years(&self) -> u8 {
        self.years_after_expiry
    }

    /// Until when what is known of a certificate that ends then is to be kept, in Unix seconds: the same day and time so
    /// many years later; after a 29 February that is not there, the end of that February. `None` beyond the calendar.
    pub fn kept_until(&self, not_after: i64) -> Option<i64> {
        let end = OffsetDateTime::from_unix_timestamp(not_after).ok()?;
        let year = end.year().checked_add(i32::from(self.years_after_expiry))?;
        match Date::from_calendar_date(year, end.month(), end.day()) {
            Ok(date) => Some(end.replace_date(date).unix_timestamp()),
            Err(_) => Some(Date::from_calendar_date(year, Month::March, 1).ok()?.midnight().assume_utc().unix_timestamp()),
        }
    }

    /// What ended before this need not be kept any more at `now`. [`Self::kept_until`] never falls, so it is found by halves.
    pub fn over_before(&self, now: i64) -> i64 {
        let (mut over, mut kept) = (now.saturating_sub(LONGER_THAN_ANY), now);
        while kept.saturating_sub(over) > 1 {
            let middle = over + (kept - over) / 2;
            if self.kept_until(middle).is_some_and(|until| until < now) { over = middle } else { kept = middle }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    #[test]
    fn never_less_than_the_law_asks_for() {
        for (years, right) in [(0, false), (4, false), (5, true), (100, true), (101, false)] {
            assert_eq!(Retention::parse("retention.toml", &format!("years_after_expiry = {years}")).is_ok(), right, "{years}");
        }
        for wrong in ["", "years_after_expiry = -5", "years_after_expiry = \"5\"", "years_after_expiry = 5\nmore = 1"] {
            assert!(Retention::parse("retention.toml", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn years_are_the_calendars() {
        let five = Retention { years_after_expiry: 5 };
        let until = |end: OffsetDateTime| five.kept_until(end.unix_timestamp()).unwrap();
        assert_eq!(until(datetime!(2027-11-29 10:20:30 UTC)), datetime!(2032-11-29 10:20:30 UTC).unix_timestamp());
        assert_eq!(until(datetime!(2028-02-29 23:59:59 UTC)), datetime!(2033-03-01 00:00:00 UTC).unix_timestamp());
        for now in [datetime!(2033-02-28 23:59:59 UTC), datetime!(2033-03-01 00:00:00 UTC), datetime!(2033-03-01 00:00:01 UTC), datetime!(2032-11-29 10:20:30 UTC)] {
            let now = now.unix_timestamp();
            let first = five.over_before(now);
            assert!(five.kept_until(first).unwrap() >= now && five.kept_until(first - 1).unwrap() < now, "{now}");
        }
        assert_eq!(five.kept_until(i64::MAX), None);
        assert_eq!(five.kept_until(datetime!(9999-12-31 23:59:59 UTC).unix_timestamp()), None);
    }
}
