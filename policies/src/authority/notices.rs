//! Who is told before a certificate ends, and by when enterprises file.

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use toml::Spanned;

use crate::certificate::Email;
use crate::document::{PolicyError, read};
use crate::filing::{Calendar, FilingPeriod, PeriodForm};

/// The city's time: days are counted and deadlines fall by it.
pub const CITY: UtcOffset = time::macros::offset!(+8);

/// The city's day at a moment; in the last hours of the calendar, which have none, the moment's own.
pub fn day_in_city(at: OffsetDateTime) -> Date {
    at.checked_to_offset(CITY).unwrap_or(at).date()
}

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
    /// Names in the calendar.
    deadlines: Vec<String>,
    calendar: Calendar,
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
    deadlines: Option<Vec<String>>,
    // Before there was a calendar this document told the day and the days of rest itself, and one that does is read as it was.
    day: Option<u8>,
    #[serde(default)]
    holidays: Vec<Spanned<String>>,
    #[serde(default)]
    workdays: Vec<Spanned<String>>,
    #[serde(default)]
    moved: Vec<Spanned<String>>,
}

impl Notices {
    pub(super) fn parse((file, text): (&str, &str), calendar: &Calendar) -> Result<Self, PolicyError> {
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
        let FilingLine { profiles, days_before, days_after, deadlines, day, holidays, workdays, moved } = document.filing.into_inner();
        if !(1..=25).contains(&days_before) || days_after > 60 {
            return Err(refused(span, "filings are told of 1 to 25 days before, with at most 60 days after".into()));
        }
        let dates = |written: Vec<Spanned<String>>| {
            let date = |text: Spanned<String>| {
                let span = text.span();
                Date::parse(text.get_ref(), format_description!("[year]-[month]-[day]")).map_err(|_| refused(span, "write a date as 2027-02-17".into()))
            };
            written.into_iter().map(date).collect::<Result<Vec<_>, _>>()
        };
        let (deadlines, calendar) = match (deadlines, day) {
            (Some(deadlines), None) if holidays.is_empty() && workdays.is_empty() && moved.is_empty() => {
                let known = |name: &String| [PeriodForm::Month, PeriodForm::Year].into_iter().any(|form| calendar.knows(name, form));
                if let Some(unknown) = deadlines.iter().find(|name| !known(name)) {
                    return Err(refused(span, format!("no deadline {unknown} stands in calendar.toml")));
                }
                (deadlines, calendar.clone())
            }
            (None, Some(day)) if (1..=28).contains(&day) => (vec![Calendar::MONTHLY.to_owned()], Calendar::monthly(day, dates(holidays)?, dates(workdays)?, &dates(moved)?)),
            (None, Some(_)) => return Err(refused(span, "filings are due on a day from 1 to 28".into())),
            _ => return Err(refused(span, "name the deadlines of calendar.toml that are told of in `deadlines`, and no days beside them".into())),
        };
        let filing = Filing { profiles, days_before, days_after, deadlines, calendar };
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

    /// The deadlines not before the day of `now` that are to be told of then.
    pub fn near(&self, now: OffsetDateTime) -> Vec<Date> {
        let today = day_in_city(now);
        let near = |deadline: &Date| *deadline >= today && *deadline - Duration::days(i64::from(self.days_before)) <= today;
        self.ahead(today).into_iter().filter(near).collect()
    }

    /// The next deadline on or after the day of `now`.
    pub fn next(&self, now: OffsetDateTime) -> Option<Date> {
        let today = day_in_city(now);
        self.ahead(today).into_iter().find(|deadline| *deadline >= today)
    }

    /// Of the periods around this day, each once and in order: a deadline may stand two months after its period.
    fn ahead(&self, today: Date) -> Vec<Date> {
        let mut found = Vec::new();
        let (year, mut period) = (today.year(), FilingPeriod::parse(&format!("{:04}{:02}", today.year(), u8::from(today.month()))));
        // This month's and those of the five before; and of the month to come, which a deadline of its own month has.
        let next = today.replace_day(28).ok().and_then(|day| day.checked_add(Duration::days(4)));
        let next = next.and_then(|day| FilingPeriod::parse(&format!("{:04}{:02}", day.year(), u8::from(day.month()))));
        let mut periods: Vec<FilingPeriod> = next.into_iter().collect();
        for _ in 0..6 {
            periods.extend(period);
            period = period.and_then(FilingPeriod::before);
        }
        periods.extend((year - 1..=year + 1).filter_map(|year| FilingPeriod::parse(&format!("{year:04}"))));
        for rule in &self.deadlines {
            found.extend(periods.iter().filter_map(|period| Some(self.calendar.deadline(rule, *period)?.date)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use time::macros::{date, datetime};

    use super::*;

    const SHIPPED: &str = include_str!("../../authority/notices.toml");

    fn parse(text: &str) -> Result<Notices, String> {
        Notices::parse(("notices.toml", text), &Calendar::parse(crate::filing::SHIPPED_CALENDAR).unwrap()).map_err(|error| error.reason)
    }

    fn changed(from: &str, to: &str) -> Result<Notices, String> {
        assert!(SHIPPED.contains(from), "{from}");
        parse(&SHIPPED.replacen(from, to, 1))
    }

    /// As the document was before there was a calendar.
    const BEFORE: &str = "day = 15\nholidays = [\"2027-01-01\"]\nworkdays = []\nmoved = []";

    fn before(from: &str, to: &str) -> Result<Notices, String> {
        assert!(BEFORE.contains(from), "{from}");
        changed("deadlines = [\"tax-month\"]", &BEFORE.replacen(from, to, 1))
    }

    #[test]
    fn the_shipped_document_tells_everybody() {
        let notices = parse(SHIPPED).unwrap();
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
            ("days_before = 20", "days_before = 40", "1 to 25 days"),
            ("deadlines = [\"tax-month\"]", "deadlines = [\"tax-week\"]", "no deadline tax-week"),
            ("deadlines = [\"tax-month\"]", "", "name the deadlines"),
            ("deadlines = [\"tax-month\"]", "deadlines = [\"tax-month\"]\nday = 15", "no days beside them"),
            ("hotline", "hotlin", "unknown field"),
        ] {
            let reason = changed(from, to).unwrap_err();
            assert!(reason.contains(why), "{to}: {reason}");
        }
    }

    /// The tax deadline is the one that filings are judged by: put off by the holidays of spring and October, as published.
    #[test]
    fn deadlines_are_the_calendars() {
        let filing = parse(SHIPPED).unwrap().filing;
        for (day, next) in [(date!(2026 - 02 - 01), date!(2026 - 02 - 24)), (date!(2026 - 05 - 20), date!(2026 - 05 - 22)), (date!(2026 - 10 - 16), date!(2026 - 10 - 26)), (date!(2026 - 11 - 16), date!(2026 - 11 - 16))] {
            assert_eq!(filing.next(day.midnight().assume_offset(CITY)), Some(next));
        }
        // Several are told of, each day once.
        let several = changed("deadlines = [\"tax-month\"]", "deadlines = [\"tax-month\", \"si-month\", \"si-year\"]").unwrap().filing;
        assert_eq!(several.near(datetime!(2026-06-10 04:00 UTC)), [date!(2026 - 06 - 15), date!(2026 - 06 - 25), date!(2026 - 06 - 30)]);
    }

    #[test]
    fn a_document_from_before_the_calendar_is_read_as_it_was() {
        let filing = before("holidays = [\"2027-01-01\"]", "holidays = [\"2027-02-15\", \"2027-02-16\"]").unwrap().filing;
        let next = |filing: &Filing, day: Date| filing.next(day.midnight().assume_offset(CITY)).unwrap();
        // Tuesday, Friday, Monday and Tuesday of rest, Monday, Thursday; May's is a Saturday.
        for (day, next_one) in [(date!(2026 - 12 - 01), date!(2026 - 12 - 15)), (date!(2027 - 02 - 01), date!(2027 - 02 - 17)), (date!(2027 - 05 - 01), date!(2027 - 05 - 17))] {
            assert_eq!(next(&filing, day), next_one);
        }
        assert_eq!(next(&before("workdays = []", "workdays = [\"2027-05-15\"]").unwrap().filing, date!(2027 - 05 - 01)), date!(2027 - 05 - 15));
        assert_eq!(next(&before("moved = []", "moved = [\"2027-05-20\"]").unwrap().filing, date!(2027 - 05 - 01)), date!(2027 - 05 - 20));
        assert!(before("day = 15", "day = 31").unwrap_err().contains("from 1 to 28"));
        assert!(before("\"2027-01-01\"", "\"2027-02-30\"").unwrap_err().contains("write a date"));
    }

    #[test]
    fn what_is_near_is_counted_in_days_of_the_city() {
        let filing = parse(SHIPPED).unwrap().filing;
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
