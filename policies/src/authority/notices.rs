//! Who is told before a certificate ends, and by when enterprises file.

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset, Weekday};
use toml::Spanned;

use crate::certificate::Email;
use crate::document::{PolicyError, read};

/// The city's time: days are counted and deadlines fall by it.
pub const CITY: UtcOffset = time::macros::offset!(+8);
const LONGEST: u16 = 3_660;
const MOST_STAGES: usize = 16;
const MOST_TEXT: usize = 2_000;

/// Of `notices.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notices {
    pub operator: Operator,
    pub kinds: Vec<NoticeKind>,
    /// Days before the end of the root's list, falling.
    pub root_list_days: Vec<u16>,
    pub filing: Filing,
}

/// Who tells, and who is told what has no other reader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub name: String,
    pub name_en: String,
    /// An address, or the part before the `@` of one in the gateway's domain.
    pub mailbox: String,
    pub hotline: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Whoever reads the mail address in the certificate.
    Holder,
    Operator,
}

/// What is told of the certificates of some profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeKind {
    pub profiles: Vec<String>,
    /// What such a certificate is called.
    pub title: String,
    pub title_en: String,
    pub to: Told,
    /// Days before the end, falling.
    pub days: Vec<u16>,
    /// What to do.
    pub next: String,
    pub next_en: String,
}

/// When filings are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    pub profiles: Vec<String>,
    pub days_before: u16,
    pub days_after: u16,
    day: u8,
    holidays: Vec<Date>,
    workdays: Vec<Date>,
    moved: Vec<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    operator: Spanned<Operator>,
    #[serde(default)]
    notice: Vec<Spanned<KindLine>>,
    root_list: RootList,
    filing: Spanned<FilingLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindLine {
    profiles: Vec<String>,
    title: String,
    title_en: String,
    to: Told,
    days: Spanned<Vec<u16>>,
    next: String,
    next_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootList {
    days: Spanned<Vec<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilingLine {
    profiles: Vec<String>,
    days_before: u16,
    days_after: u16,
    day: u8,
    holidays: Vec<Spanned<String>>,
    workdays: Vec<Spanned<String>>,
    moved: Vec<Spanned<String>>,
}

impl Notices {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        let refused = |span, reason: String| PolicyError::at(file, text, Some(span), reason);
        let days = |written: Spanned<Vec<u16>>| {
            let span = written.span();
            let days = written.into_inner();
            let falls = days.windows(2).all(|pair| matches!(pair, [before, after] if before > after));
            let fits = (1..=MOST_STAGES).contains(&days.len()) && falls && days.iter().all(|day| (1..=LONGEST).contains(day));
            if fits { Ok(days) } else { Err(refused(span, format!("write 1 to {MOST_STAGES} days from {LONGEST} down to 1, the first first, each once"))) }
        };
        let span = document.operator.span();
        let operator = document.operator.into_inner();
        if let Some(reason) = operator.fault() {
            return Err(refused(span, reason));
        }
        let mut kinds: Vec<NoticeKind> = Vec::new();
        for line in document.notice {
            let span = line.span();
            let KindLine { profiles, title, title_en, to, days: written, next, next_en } = line.into_inner();
            if let Some(twice) = profiles.iter().find(|profile| kinds.iter().any(|kind| kind.profiles.contains(profile))) {
                return Err(refused(span, format!("the profile {twice} has its notices above; name it once")));
            }
            if profiles.is_empty() || [&next, &next_en].iter().any(|text| text.trim().is_empty() || text.len() > MOST_TEXT) {
                return Err(refused(span, format!("name profiles and say what to do in both languages, in at most {MOST_TEXT} bytes each")));
            }
            if ![&title, &title_en].into_iter().all(|text| is_shown(text)) {
                return Err(refused(span, "title and title_en have 1 to 60 characters".into()));
            }
            kinds.push(NoticeKind { profiles, title, title_en, to, days: days(written)?, next, next_en });
        }
        let span = document.filing.span();
        let FilingLine { profiles, days_before, days_after, day, holidays, workdays, moved } = document.filing.into_inner();
        // Of two months' deadlines one at most is near.
        if !(1..=28).contains(&day) || !(1..=25).contains(&days_before) || days_after > 60 {
            return Err(refused(span, "filings are due on a day from 1 to 28, told of 1 to 25 days before, with at most 60 days after".into()));
        }
        let dates = |written: Vec<Spanned<String>>| {
            let date = |text: Spanned<String>| {
                let span = text.span();
                Date::parse(text.get_ref(), format_description!("[year]-[month]-[day]")).map_err(|_| refused(span, "write a date as 2027-02-17".into()))
            };
            written.into_iter().map(date).collect::<Result<Vec<_>, _>>()
        };
        let filing = Filing { profiles, days_before, days_after, day, holidays: dates(holidays)?, workdays: dates(workdays)?, moved: dates(moved)? };
        Ok(Self { operator, kinds, root_list_days: days(document.root_list.days)?, filing })
    }

    /// What is told of certificates of a profile.
    pub fn of(&self, profile: &str) -> Option<&NoticeKind> {
        self.kinds.iter().find(|kind| kind.profiles.iter().any(|one| one == profile))
    }
}

/// A word or two on one line.
fn is_shown(text: &str) -> bool {
    (1..=60).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
}

impl Operator {
    fn fault(&self) -> Option<String> {
        let local = format!("{}@a.example", self.mailbox);
        if Email::parse(if self.mailbox.contains('@') { &self.mailbox } else { &local }).is_err() {
            return Some("the operator's mailbox is no mail address, nor the part before the @ of one".into());
        }
        (![&self.name, &self.name_en, &self.hotline].into_iter().all(|text| is_shown(text))).then(|| "name, name_en and hotline have 1 to 60 characters".into())
    }
}

impl Filing {
    /// The last moment, by the city's time, at which the filing of a month is in time; Unix seconds.
    pub fn end(deadline: Date) -> i64 {
        PrimitiveDateTime::new(deadline, Time::MIDNIGHT).assume_offset(CITY).unix_timestamp().saturating_add(86_399)
    }

    /// The deadlines not before the day of `now` that are to be told of then: at most two.
    pub fn near(&self, now: OffsetDateTime) -> Vec<Date> {
        let today = now.to_offset(CITY).date();
        let near = |deadline: &Date| *deadline >= today && *deadline - Duration::days(i64::from(self.days_before)) <= today;
        self.ahead(today).into_iter().filter(near).collect()
    }

    /// The next deadline on or after the day of `now`.
    pub fn next(&self, now: OffsetDateTime) -> Option<Date> {
        let today = now.to_offset(CITY).date();
        self.ahead(today).into_iter().find(|deadline| *deadline >= today)
    }

    /// Those of the month before, this one and the two after it: one moved into the next month is among them.
    fn ahead(&self, today: Date) -> Vec<Date> {
        let mut month = (today.year(), today.month());
        month = if month.1 == Month::January { (month.0 - 1, Month::December) } else { (month.0, month.1.previous()) };
        let mut found = Vec::new();
        for _ in 0..4 {
            found.extend(self.of_month(month.0, month.1));
            month = if month.1 == Month::December { (month.0 + 1, Month::January) } else { (month.0, month.1.next()) };
        }
        found
    }

    fn of_month(&self, year: i32, month: Month) -> Option<Date> {
        if let Some(moved) = self.moved.iter().find(|date| date.year() == year && date.month() == month) {
            return Some(*moved);
        }
        let mut day = Date::from_calendar_date(year, month, self.day).ok()?;
        // No run of days of rest is as long as a month; a list that says so is followed no further.
        for _ in 0..31 {
            let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.workdays.contains(&day);
            if !weekend && !self.holidays.contains(&day) {
                break;
            }
            day = day.next_day()?;
        }
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use time::macros::{date, datetime};

    use super::*;

    const SHIPPED: &str = include_str!("../../authority/notices.toml");

    fn changed(from: &str, to: &str) -> Result<Notices, String> {
        assert!(SHIPPED.contains(from), "{from}");
        Notices::parse("notices.toml", &SHIPPED.replacen(from, to, 1)).map_err(|error| error.reason)
    }

    #[test]
    fn the_shipped_document_tells_everybody() {
        let notices = Notices::parse("notices.toml", SHIPPED).unwrap();
        assert_eq!(notices.of("enterprise-signing").unwrap().days, [60, 30, 14, 7, 3, 1]);
        assert_eq!(notices.of("root").unwrap().to, Told::Operator);
        assert!(notices.of("nothing").is_none());
    }

    #[test]
    fn nonsense_is_named() {
        for (from, to, why) in [
            ("[60, 30, 14, 7, 3, 1]", "[30, 60]", "the first first"),
            ("[60, 30, 14, 7, 3, 1]", "[7, 7]", "each once"),
            ("[60, 30, 14, 7, 3, 1]", "[]", "write 1 to"),
            ("[60, 30, 14, 7, 3, 1]", "[60, 0]", "write 1 to"),
            ("\"bureau-client\", ", "\"enterprise-signing\", ", "has its notices above"),
            ("mailbox = \"postmaster\"", "mailbox = \"post master\"", "no mail address"),
            ("name = \"穗印认证中心\"", "name = \"a\\nb\"", "1 to 60 characters"),
            ("day = 15", "day = 31", "from 1 to 28"),
            ("days_before = 20", "days_before = 40", "1 to 25 days"),
            ("\"2027-01-01\"", "\"2027-02-30\"", "write a date"),
            ("hotline", "hotlin", "unknown field"),
        ] {
            let reason = changed(from, to).unwrap_err();
            assert!(reason.contains(why), "{to}: {reason}");
        }
    }

    #[test]
    fn a_deadline_on_a_day_of_rest_is_the_next_working_day() {
        let filing = changed("holidays = [\"2027-01-01\"]", "holidays = [\"2027-02-15\", \"2027-02-16\"]").unwrap().filing;
        // Tuesday, Friday, Monday and Tuesday of rest, Monday, Thursday; May's is a Saturday.
        for (month, day) in [((2026, Month::December), date!(2026 - 12 - 15)), ((2027, Month::February), date!(2027 - 02 - 17)), ((2027, Month::May), date!(2027 - 05 - 17))] {
            assert_eq!(filing.of_month(month.0, month.1), Some(day));
        }
        let worked = changed("workdays = []", "workdays = [\"2027-05-15\"]").unwrap().filing;
        assert_eq!(worked.of_month(2027, Month::May), Some(date!(2027 - 05 - 15)));
        let moved = changed("moved = []", "moved = [\"2027-05-20\"]").unwrap().filing;
        assert_eq!(moved.of_month(2027, Month::May), Some(date!(2027 - 05 - 20)));
    }

    #[test]
    fn what_is_near_is_counted_in_days_of_the_city() {
        let filing = Notices::parse("notices.toml", SHIPPED).unwrap().filing;
        // The 25th of November begins in the city at 16:00 UTC of the 24th: twenty days before the 15th of December.
        assert_eq!(filing.near(datetime!(2026-11-24 15:59:59 UTC)), []);
        assert_eq!(filing.near(datetime!(2026-11-25 16:00 UTC)), [date!(2026 - 12 - 15)]);
        assert_eq!(filing.near(datetime!(2026-12-15 15:59:59 UTC)), [date!(2026 - 12 - 15)]);
        assert_eq!(filing.near(datetime!(2026-12-15 16:00 UTC)), []);
        assert_eq!(filing.near(datetime!(2026-12-27 00:00 UTC)), [date!(2027 - 01 - 15)]);
        assert_eq!(filing.next(datetime!(2026-12-31 23:00 UTC)), Some(date!(2027 - 01 - 15)));
        assert_eq!(Filing::end(date!(2026 - 12 - 15)), datetime!(2026-12-15 15:59:59 UTC).unix_timestamp());
    }
}
