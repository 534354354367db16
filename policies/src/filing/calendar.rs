//! Until when what is filed is in time: a day of each period, moved by days of rest as the law says.

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Duration, Month, OffsetDateTime, Weekday};
use toml::Spanned;

use super::region::{self, Regions};
use super::words::{FilingPeriod, PeriodForm};
use crate::authority::CITY;
use crate::document::{PolicyError, named, read};

const MOST: usize = 4096;

/// Of `calendar.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The place whose days these are; documents from before name none.
    regions: Regions,
    rules: Vec<DeadlineRule>,
    /// Years whose days of rest are published; others are weekends and what else is listed.
    confirmed_years: Vec<u16>,
    holidays: Vec<Date>,
    workdays: Vec<Date>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DeadlineRule {
    name: String,
    title: String,
    title_en: String,
    period: PeriodForm,
    /// A month: so many after the period's. A year: that one of the calendar in the period's year.
    month: u8,
    day: u8,
    rest: Rest,
    confirmed: bool,
    source: String,
    moved: Vec<(FilingPeriod, Date)>,
}

named! {
    /// What days of rest do to a last day.
    Rest {
        /// Nothing.
        Stay = "stay",
        /// A last day that is a day of rest moves to the next working day.
        Next = "next",
        /// So too; and three holidays or more on end between the first of the month and the last day put it off by as
        /// many working days. spec: 税收征收管理法实施细则#109
        Extend = "extend",
    }
}

/// The last moment and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The rule's name, as receipts cite it.
    pub rule: String,
    /// The last day, by the city's time; until its last second.
    pub date: Date,
    /// Whether figure and days of rest are published ones.
    pub confirmed: bool,
}

impl Deadline {
    /// The first second that is too late.
    pub fn end(&self) -> OffsetDateTime {
        self.date.midnight().saturating_add(Duration::DAY).assume_offset(CITY)
    }

    pub fn is_kept(&self, at: OffsetDateTime) -> bool {
        at < self.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    region: Option<Spanned<region::Written>>,
    confirmed_years: Vec<u16>,
    holidays: Vec<Spanned<String>>,
    workdays: Vec<Spanned<String>>,
    deadline: Vec<Spanned<Line>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    title: String,
    title_en: String,
    period: PeriodForm,
    month: u8,
    day: u8,
    rest: Rest,
    confirmed: bool,
    source: String,
    #[serde(default)]
    moved: Vec<Moved>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    period: Spanned<String>,
    date: Spanned<String>,
}

impl Calendar {
    pub(crate) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        let refused = |span, reason: &str| PolicyError::at(file, text, Some(span), reason);
        let date = |written: &Spanned<String>| {
            let read = Date::parse(written.get_ref(), format_description!("[year]-[month]-[day]"));
            read.map_err(|_| refused(written.span(), "write a date as 2027-02-17"))
        };
        // A span of holidays is written 2026-10-01/2026-10-07.
        let days = |written: &[Spanned<String>]| {
            let mut all = Vec::new();
            for one in written {
                let (first, last) = one.get_ref().split_once('/').map_or((one.get_ref().as_str(), one.get_ref().as_str()), |pair| pair);
                let ends = [first, last].map(|end| date(&Spanned::new(one.span(), end.to_owned())));
                let [Ok(mut day), Ok(last)] = ends else { return Err(refused(one.span(), "write a date as 2027-02-17, or the first and the last with / between")) };
                if last < day || last - day > Duration::days(31) {
                    return Err(refused(one.span(), "the first day stands before the last, at most a month apart"));
                }
                while day <= last {
                    all.push(day);
                    let Some(next) = day.next_day() else { break };
                    day = next;
                }
            }
            all.sort_unstable();
            all.dedup();
            Ok(all)
        };
        let (holidays, workdays) = (days(&document.holidays)?, days(&document.workdays)?);
        if document.holidays.len() > MOST || document.workdays.len() > MOST || document.deadline.len() > MOST {
            return Err(PolicyError::at(file, text, None, "there are too many lines; at most 4096 of a sort are read"));
        }
        let mut rules: Vec<DeadlineRule> = Vec::new();
        for line in document.deadline {
            let span = line.span();
            let line = line.into_inner();
            if rules.iter().any(|rule| rule.name == line.name) || line.name.is_empty() || line.name.len() > 32 {
                return Err(refused(span, "a deadline has a name of its own, of 1 to 32 letters"));
            }
            let least = if line.period == PeriodForm::Month { 0 } else { 1 };
            if !(1..=31).contains(&line.day) || !(least..=12).contains(&line.month) {
                return Err(refused(span, "a day is 1 to 31 and a month 1 to 12; or nought, the period's own"));
            }
            let mut moved = Vec::new();
            for one in line.moved {
                let period = FilingPeriod::parse(one.period.get_ref()).filter(|period| period.form() == line.period);
                moved.push((period.ok_or_else(|| refused(one.period.span(), "write the period as this deadline's are"))?, date(&one.date)?));
            }
            let Line { name, title, title_en, period, month, day, rest, confirmed, source, .. } = line;
            rules.push(DeadlineRule { name, title, title_en, period, month, day, rest, confirmed, source, moved });
        }
        let regions = document.region.map(|written| Regions::parse(file, text, written)).transpose()?.unwrap_or_default();
        Ok(Self { regions, rules, confirmed_years: document.confirmed_years, holidays, workdays })
    }

    /// The place whose days these are on a day, by GB/T 2260.
    pub fn region(&self, day: Date) -> Option<&str> {
        self.regions.on(day)
    }

    pub(crate) fn knows(&self, rule: &str, period: PeriodForm) -> bool {
        self.rules.iter().any(|known| known.name == rule && known.period == period)
    }

    /// The name of the only rule of [`Self::monthly`].
    pub(crate) const MONTHLY: &str = "monthly";

    /// One deadline a month, on this day of the month after, moved to the next working day; `moved` are days in the place of that
    /// of their month.
    pub(crate) fn monthly(day: u8, mut holidays: Vec<Date>, mut workdays: Vec<Date>, moved: &[Date]) -> Self {
        let of = |date: &Date| Some((FilingPeriod::parse(&format!("{:04}{:02}", date.year(), u8::from(date.month())))?.before()?, *date));
        let rule = DeadlineRule {
            name: Self::MONTHLY.to_owned(),
            title: String::new(),
            title_en: String::new(),
            period: PeriodForm::Month,
            month: 1,
            day,
            rest: Rest::Next,
            confirmed: false,
            source: String::new(),
            moved: moved.iter().filter_map(of).collect(),
        };
        holidays.sort_unstable();
        workdays.sort_unstable();
        Self { regions: Regions::default(), rules: vec![rule], confirmed_years: Vec::new(), holidays, workdays }
    }

    /// The last day of a period by a rule; none for a rule or a period that is not known.
    pub fn deadline(&self, rule: &str, period: FilingPeriod) -> Option<Deadline> {
        let rule = self.rules.iter().find(|known| known.name == rule && known.period == period.form())?;
        if let Some((_, date)) = rule.moved.iter().find(|(of, _)| *of == period) {
            return Some(Deadline { rule: rule.name.clone(), date: *date, confirmed: true });
        }
        let (year, month) = match period {
            FilingPeriod::Year(year) => (i32::from(year), rule.month),
            FilingPeriod::Month(of) => {
                let ordinal = of.ordinal() + u32::from(rule.month);
                (i32::try_from(ordinal / 12).ok()?, u8::try_from(ordinal % 12 + 1).ok()?)
            }
        };
        let month = Month::try_from(month).ok()?;
        let plain = Date::from_calendar_date(year, month, rule.day.min(month.length(year))).ok()?;
        let date = self.moved(plain, rule.rest)?;
        let known = u16::try_from(date.year()).is_ok_and(|year| self.confirmed_years.contains(&year));
        Some(Deadline { rule: rule.name.clone(), date, confirmed: rule.confirmed && known })
    }

    /// Chinese and English title of a rule.
    pub fn title(&self, rule: &str) -> Option<(&str, &str)> {
        self.rules.iter().find(|known| known.name == rule).map(|known| (known.title.as_str(), known.title_en.as_str()))
    }

    fn moved(&self, plain: Date, rest: Rest) -> Option<Date> {
        let mut day = plain;
        if rest == Rest::Stay {
            return Some(day);
        }
        let mut put_off = if rest == Rest::Extend { self.holidays_on_end(plain) } else { 0 };
        // No run of days of rest is as long as two months; a list that says so is followed no further.
        for _ in 0..62 {
            if self.is_working(day) {
                match put_off {
                    0 => return Some(day),
                    // The plain last day is the day itself, the first of those that are put on comes after it.
                    _ if day > plain => {
                        put_off -= 1;
                        if put_off == 0 {
                            return Some(day);
                        }
                    }
                    _ => {}
                }
            }
            day = day.next_day()?;
        }
        Some(day)
    }

    fn is_working(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && self.workdays.binary_search(&day).is_err();
        !weekend && self.holidays.binary_search(&day).is_err()
    }

    /// Holidays in runs of three or more between the first of the month and its last day of filing.
    fn holidays_on_end(&self, plain: Date) -> usize {
        let (mut run, mut all) = (0, 0);
        for day in 1..=plain.day() {
            let holiday = plain.replace_day(day).is_ok_and(|day| self.holidays.binary_search(&day).is_ok());
            run = if holiday { run + 1 } else { 0 };
            all += match run {
                3 => 3,
                4.. => 1,
                _ => 0,
            };
        }
        all
    }

    pub(super) fn write(&self, out: &mut String) {
        use std::fmt::Write;
        let _ = writeln!(out, "calendar: days of rest are known of {:?}", self.confirmed_years);
        self.regions.write(out);
        for rule in &self.rules {
            let DeadlineRule { name, title, title_en, period, month, day, rest, confirmed, source, moved } = rule;
            let of = if *period == PeriodForm::Month { "months after the period's" } else { "th month of the year" };
            let confirmed = if *confirmed { "confirmed" } else { "UNCONFIRMED" };
            let _ = writeln!(out, "  {name}: {title} / {title_en}: day {day}, {month} {of}; rest: {rest}; {confirmed}; {source}; moved: {moved:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    fn shipped() -> Calendar {
        Calendar::parse(super::super::SHIPPED_CALENDAR).unwrap()
    }

    /// 税总办征科函〔2025〕64号 names all twelve; we derive each from 国办发明电〔2025〕7号.
    #[test]
    fn the_last_days_of_2026_are_those_that_the_tax_administration_published() {
        for (period, last) in [
            ("202512", date!(2026 - 01 - 20)), ("202601", date!(2026 - 02 - 24)), ("202602", date!(2026 - 03 - 16)), ("202603", date!(2026 - 04 - 20)),
            ("202604", date!(2026 - 05 - 22)), ("202605", date!(2026 - 06 - 15)), ("202606", date!(2026 - 07 - 15)), ("202607", date!(2026 - 08 - 17)),
            ("202608", date!(2026 - 09 - 15)), ("202609", date!(2026 - 10 - 26)), ("202610", date!(2026 - 11 - 16)), ("202611", date!(2026 - 12 - 15)),
        ] {
            let deadline = shipped().deadline("tax-month", FilingPeriod::parse(period).unwrap()).unwrap();
            assert_eq!((deadline.date, deadline.confirmed), (last, true), "{period}");
        }
        // The days of rest of 2027 are not published yet.
        assert!(!shipped().deadline("tax-month", FilingPeriod::parse("202612").unwrap()).unwrap().confirmed);
        assert_eq!(shipped().deadline("tax-month", FilingPeriod::parse("2026").unwrap()), None);
        assert_eq!(shipped().deadline("nothing", FilingPeriod::parse("202601").unwrap()), None);
    }

    #[test]
    fn the_last_second_is_the_citys() {
        let deadline = shipped().deadline("tax-month", FilingPeriod::parse("202611").unwrap()).unwrap();
        assert!(deadline.is_kept(datetime!(2026-12-15 15:59:59.999 UTC)) && !deadline.is_kept(datetime!(2026-12-15 16:00 UTC)));
    }

    #[test]
    fn what_an_authority_moved_is_where_it_moved_it() {
        let (file, text) = super::super::SHIPPED_CALENDAR;
        let moved = text.replacen("# moved =", "moved = [{ period = \"202611\", date = \"2026-12-18\" }]\n# moved =", 1);
        assert_ne!(moved, text);
        let calendar = Calendar::parse((file, &moved)).unwrap();
        assert_eq!(calendar.deadline("tax-month", FilingPeriod::parse("202611").unwrap()).unwrap().date, date!(2026 - 12 - 18));
        for (from, to, why) in [("2026-10-01/2026-10-07", "2026-10-07/2026-10-01", "before the last"), ("2026-10-01/2026-10-07", "2026-13-01", "write a date"), ("day = 15", "day = 32", "1 to 31"), ("rest = \"extend\"", "rest = \"perhaps\"", "unknown variant")] {
            assert!(text.contains(from), "{from}");
            let reason = Calendar::parse((file, &text.replacen(from, to, 1))).unwrap_err().reason;
            assert!(reason.contains(why), "{reason}");
        }
    }
}
