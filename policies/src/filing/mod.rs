//! What enterprises file: kinds as data, with their fields and the relations between them, dated figures, and the
//! calendar of deadlines. A kind whose rules are arithmetic is a document of `policies/filings/kinds` and no code.

mod archive;
mod calendar;
mod expression;
mod field;
mod figure;
mod kind;
mod ratio;
mod read_expression;
mod region;
mod resolved;
mod rule;
mod words;

pub use archive::Archive;
pub use calendar::{Calendar, Deadline, Rest};
pub use expression::{Comparison, Expression, Function, Operation, Place, Root, Type};
pub use field::{Choice, Field, FieldKind, FieldWord, Group, List, Path, Step};
pub use figure::{Figure, FigureUnit, FigureValue, Figures};
pub use kind::{Kind, Revisions};
pub use ratio::Ratio;
pub use rule::{Judged, NamedCheck, Rule, Severity};
pub use words::{FilingPeriod, KindName, PeriodForm, Role};

use std::collections::BTreeMap;

use crate::document::PolicyError;

/// File name and text of each kind that comes with the program.
pub const SHIPPED_KINDS: [(&str, &str); 3] = [
    ("si-staff-change.toml", include_str!("../../filings/kinds/si-staff-change.toml")),
    ("si-wage-base.toml", include_str!("../../filings/kinds/si-wage-base.toml")),
    ("vat-general.toml", include_str!("../../filings/kinds/vat-general.toml")),
];
/// The figures and the calendar that come with the program.
pub const SHIPPED_FIGURES: (&str, &str) = ("figures.toml", include_str!("../../filings/figures.toml"));
pub const SHIPPED_CALENDAR: (&str, &str) = ("calendar.toml", include_str!("../../filings/calendar.toml"));
/// How long signatures are believed.
pub const SHIPPED_ARCHIVE: (&str, &str) = ("archive.toml", include_str!("../../filings/archive.toml"));

const MOST_KINDS: usize = 256;

/// All that is known of filings. Had only from documents that make sense together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filings {
    kinds: Vec<Kind>,
    figures: Figures,
    calendar: Calendar,
    /// By file: those of bureaus that keep another than the city's.
    others: BTreeMap<String, Calendar>,
    /// By kind: which of them its bureau keeps.
    kept_by: BTreeMap<String, String>,
}

impl Filings {
    /// Pairs of file name and text: every kind, the figures, the calendar.
    pub fn parse<'a>(kinds: impl IntoIterator<Item = (&'a str, &'a str)>, figures: (&str, &str), calendar: (&str, &str)) -> Result<Self, PolicyError> {
        Self::parse_with(kinds, figures, calendar, [])
    }

    /// The same, with calendars of bureaus that keep another than the city's.
    pub fn parse_with<'a>(kinds: impl IntoIterator<Item = (&'a str, &'a str)>, figures: (&str, &str), calendar: (&str, &str), others: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let figures = Figures::parse(figures)?;
        let calendar = Calendar::parse(calendar)?;
        let others = others.into_iter().map(|(file, text)| Ok((file.to_owned(), Calendar::parse((file, text))?))).collect::<Result<BTreeMap<_, _>, _>>()?;
        let mut read: Vec<Kind> = Vec::new();
        for (file, text) in kinds {
            let kind = Kind::parse((file, text), &figures, &|rule, form| [&calendar].into_iter().chain(others.values()).any(|calendar| calendar.knows(rule, form)))?;
            let refused = |reason: &str| Err(PolicyError::at(file, text, None, reason));
            if read.len() == MOST_KINDS {
                return refused("there are too many kinds; at most 256 are read");
            }
            if read.iter().any(|known| known.name() == kind.name() && known.form_version() == kind.form_version()) {
                return refused("this kind and form version stand in another document already; keep one");
            }
            read.push(kind);
        }
        read.sort_by(|left, right| (left.name(), left.form_version()).cmp(&(right.name(), right.form_version())));
        Ok(Self { kinds: read, figures, calendar, others, kept_by: BTreeMap::new() })
    }

    /// What comes with the program.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse(SHIPPED_KINDS, SHIPPED_FIGURES, SHIPPED_CALENDAR)
    }

    /// The form that a filing names.
    pub fn kind(&self, name: &KindName, form_version: Option<&str>) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name() == name && kind.form_version() == form_version)
    }

    /// The form to be used for a period.
    pub fn current(&self, name: &KindName, period: FilingPeriod) -> Option<&Kind> {
        self.kinds.iter().rev().find(|kind| kind.name() == name && kind.takes(period))
    }

    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The city's.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Has a kind's deadlines told by the calendar in this file, which its bureau keeps: whether there is such a one, and it knows
    /// the kind's deadline.
    pub fn keep_by(&mut self, kind: &str, file: &str) -> bool {
        let calendar = if file == SHIPPED_CALENDAR.0 { Some(&self.calendar) } else { self.others.get(file) };
        let knows = calendar.is_some_and(|calendar| self.kinds.iter().filter(|known| known.name().as_str() == kind).all(|known| calendar.knows(known.deadline(), known.period())));
        if knows && file != SHIPPED_CALENDAR.0 {
            self.kept_by.insert(kind.to_owned(), file.to_owned());
        }
        knows
    }

    /// Until when a filing of this kind and period is in time; none where the calendar cannot tell.
    pub fn deadline(&self, kind: &Kind, period: FilingPeriod) -> Option<Deadline> {
        self.calendar_of(kind).deadline(kind.deadline(), period)
    }

    /// Where a kind is filed on a day, by GB/T 2260: the place of its bureau's calendar.
    pub fn region(&self, kind: &Kind, day: time::Date) -> Option<&str> {
        self.calendar_of(kind).region(day)
    }

    fn calendar_of(&self, kind: &Kind) -> &Calendar {
        self.kept_by.get(kind.name().as_str()).and_then(|file| self.others.get(file)).unwrap_or(&self.calendar)
    }
}
