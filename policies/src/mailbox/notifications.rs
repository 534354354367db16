//! Who may be told outside that something arrived, when, and how often.

use std::fmt::Write as _;

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};
use toml::Spanned;

use crate::document::{PolicyError, read};

/// The city's own time: quiet hours and days are of it.
const CHINA: UtcOffset = time::macros::offset!(+8);
const MINUTE: u64 = 60_000;
/// Quiet hours that a document may list.
const MAX_QUIET: usize = 50;

/// Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationPolicy {
    code_minutes: u32,
    pub code_tries: u32,
    pub codes_per_day: u32,
    collect_minutes: u32,
    pub per_day: u32,
    retry_minutes: Vec<u32>,
    give_up_hours: u32,
    pub at_once: usize,
    /// In the order of their days.
    quiet: Vec<Quiet>,
}

/// Hours from a day on; one that ends before it begins goes over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quiet {
    since: Date,
    from: Time,
    until: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    enrolment: Enrolment,
    sending: Sending,
    #[serde(default)]
    quiet: Vec<Spanned<QuietWords>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    code_minutes: Spanned<u32>,
    code_tries: Spanned<u32>,
    codes_per_day: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sending {
    collect_minutes: Spanned<u32>,
    per_day: Spanned<u32>,
    retry_minutes: Spanned<Vec<u32>>,
    give_up_hours: Spanned<u32>,
    at_once: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietWords {
    since: String,
    from: String,
    until: String,
}

impl NotificationPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { enrolment, sending, quiet } = read(file, text)?;
        let within = |value: &Spanned<u32>, least: u32, most: u32| {
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most}"))) }
        };
        let retry = sending.retry_minutes.get_ref();
        let rises = retry.windows(2).all(|two| two.first() <= two.last());
        if !(1..=20).contains(&retry.len()) || !rises || retry.iter().any(|minutes| !(1..=1_440).contains(minutes)) {
            let reason = "times between tries are 1 to 1440 minutes, 1 to 20 of them, none shorter than the one before";
            return Err(PolicyError::at(file, text, Some(sending.retry_minutes.span()), reason));
        }
        let mut hours: Vec<Quiet> = Vec::new();
        for words in &quiet {
            let wrong = |reason: &str| PolicyError::at(file, text, Some(words.span()), reason);
            let clock = |text: &str| Time::parse(text, format_description!("[hour]:[minute]")).map_err(|_| wrong("`from` and `until` are times such as \"21:00\""));
            let QuietWords { since, from, until } = words.get_ref();
            let since = Date::parse(since, format_description!("[year]-[month]-[day]")).map_err(|_| wrong("`since` is a day such as \"2026-01-01\""))?;
            let one = Quiet { since, from: clock(from)?, until: clock(until)? };
            if hours.last().is_some_and(|last| last.since >= one.since) || hours.len() >= MAX_QUIET {
                return Err(wrong("quiet hours stand in the order of their days, at most fifty"));
            }
            hours.push(one);
        }
        Ok(Self {
            code_minutes: within(&enrolment.code_minutes, 1, 1_440)?,
            code_tries: within(&enrolment.code_tries, 1, 20)?,
            codes_per_day: within(&enrolment.codes_per_day, 1, 100)?,
            collect_minutes: within(&sending.collect_minutes, 0, 1_440)?,
            per_day: within(&sending.per_day, 1, 1_000)?,
            retry_minutes: retry.clone(),
            give_up_hours: within(&sending.give_up_hours, 1, 168)?,
            at_once: within(&sending.at_once, 1, 256)? as usize,
            quiet: hours,
        })
    }

    /// Milliseconds that a code is good for.
    pub fn code_lasts(&self) -> u64 {
        u64::from(self.code_minutes) * MINUTE
    }

    /// Milliseconds from the first arrival to the notice of it.
    pub fn collects(&self) -> u64 {
        u64::from(self.collect_minutes) * MINUTE
    }

    /// Milliseconds until the next try after so many.
    pub fn retry_after(&self, tries: u32) -> u64 {
        let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(self.retry_minutes.len().saturating_sub(1));
        u64::from(self.retry_minutes.get(at).copied().unwrap_or(60)) * MINUTE
    }

    /// Milliseconds after which a notice that could not be sent has failed.
    pub fn give_up_after(&self) -> u64 {
        u64::from(self.give_up_hours) * 60 * MINUTE
    }

    /// When the quiet hours end that it is in now; none where somebody may be told.
    pub fn quiet_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let now = now.to_offset(CHINA);
        let Quiet { from, until, .. } = self.quiet.iter().rev().find(|quiet| quiet.since <= now.date())?;
        let (time, day) = (now.time(), now.date());
        let end = match (from <= until, time < *until, time >= *from) {
            (true, true, true) | (false, true, _) => day,
            (false, false, true) => day.saturating_add(Duration::DAY),
            _ => return None,
        };
        Some(end.with_time(*until).assume_offset(CHINA))
    }

    /// The same meaning gives the same text.
    pub(super) fn resolved(&self, text: &mut String) {
        let minutes: Vec<String> = self.retry_minutes.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "codes for notices elsewhere: good for {} minutes and {} tries, {} a day", self.code_minutes, self.code_tries, self.codes_per_day);
        let _ = writeln!(text, "notices elsewhere: one for {} minutes, {} a day to one person", self.collect_minutes, self.per_day);
        let _ = writeln!(text, "tries of a notice: after {} minutes, for {} hours, {} at one time", minutes.join(", "), self.give_up_hours, self.at_once);
        for Quiet { since, from, until } in &self.quiet {
            let _ = writeln!(text, "quiet since {since}: {:02}:{:02} to {:02}:{:02}", from.hour(), from.minute(), until.hour(), until.minute());
        }
    }
}

/// The day of the city.
pub fn day_of(now: OffsetDateTime) -> Date {
    now.to_offset(CHINA).date()
}

/// When the city's next day begins.
pub fn next_day(now: OffsetDateTime) -> OffsetDateTime {
    day_of(now).saturating_add(Duration::DAY).midnight().assume_offset(CHINA)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const SHIPPED: &str = include_str!("../../mailbox/notifications.toml");

    fn policy(text: &str) -> Result<NotificationPolicy, PolicyError> {
        NotificationPolicy::parse(("notifications.toml", text))
    }

    #[test]
    fn nobody_is_disturbed_at_night() {
        let two = format!("{SHIPPED}\n[[quiet]]\nsince = \"2027-05-01\"\nfrom = \"12:00\"\nuntil = \"14:00\"\n");
        let policy = policy(&two).unwrap();
        for (now, until) in [
            (datetime!(2026-11-29 20:59:59 +8), None),
            (datetime!(2026-11-29 21:00 +8), Some(datetime!(2026-11-30 08:00 +8))),
            (datetime!(2026-11-29 23:59 +8), Some(datetime!(2026-11-30 08:00 +8))),
            (datetime!(2026-11-30 07:59 +8), Some(datetime!(2026-11-30 08:00 +8))),
            (datetime!(2026-11-30 08:00 +8), None),
            (datetime!(2026-11-29 16:00 UTC), Some(datetime!(2026-11-30 08:00 +8))),
            (datetime!(2027-05-01 23:00 +8), None),
            (datetime!(2027-05-01 12:00 +8), Some(datetime!(2027-05-01 14:00 +8))),
            (datetime!(2025-12-31 23:00 +8), None),
        ] {
            assert_eq!(policy.quiet_until(now), until, "{now}");
        }
        assert_eq!(next_day(datetime!(2026-11-29 16:00 UTC)), datetime!(2026-12-01 00:00 +8));
    }

    #[test]
    fn documents_that_make_no_sense() {
        assert!(policy(SHIPPED).is_ok());
        for (from, to) in [
            ("code_minutes = 30", "code_minutes = 0"),
            ("per_day = 3\n# Min", "per_day = 0\n# Min"),
            ("[1, 5, 15, 60]", "[5, 1]"),
            ("[1, 5, 15, 60]", "[]"),
            ("\"21:00\"", "\"25:00\""),
            ("\"2026-01-01\"", "\"2026-02-30\""),
            ("at_once", "atonce"),
            ("[[quiet]]", "[[quiet]]\nsince = \"2026-01-01\"\nfrom = \"12:00\"\nuntil = \"14:00\"\n[[quiet]]"),
        ] {
            let wrong = SHIPPED.replace(from, to);
            assert!(wrong != SHIPPED && policy(&wrong).is_err(), "{to}");
        }
        assert_eq!(policy(SHIPPED).unwrap().quiet.len(), 1);
        assert!(policy(SHIPPED.split("[[quiet]]").next().unwrap()).unwrap().quiet.is_empty());
    }

    proptest! {
        /// Where quiet hours end, somebody may be told, and not a minute before.
        #[test]
        fn quiet_hours_end(seconds in 1_780_000_000_i64..1_900_000_000) {
            let (policy, now) = (policy(SHIPPED).unwrap(), OffsetDateTime::from_unix_timestamp(seconds).unwrap());
            if let Some(until) = policy.quiet_until(now) {
                prop_assert!(until > now && until - now <= Duration::DAY);
                prop_assert_eq!(policy.quiet_until(until), None);
                prop_assert_eq!(policy.quiet_until(until - Duration::MINUTE), Some(until));
            }
        }
    }
}
