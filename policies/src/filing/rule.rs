//! One rule of a form: a relation, or a check that needs more than arithmetic.

use super::expression::{Expression, Place};
use super::field::Path;
use super::ratio::Ratio;
use crate::document::named;

named! {
    /// What is no arithmetic, and is code.
    NamedCheck {
        /// [type, number]: the number is one of such a document.
        Document = "document",
        /// [type, number, day]: the person is so old on that day, where the number tells the birth.
        Age = "age",
        /// [list, type, number]: no person twice.
        DistinctPersons = "distinct-persons",
        /// [operation, type, number, insurances]: none is added who is insured here, none removed who is not.
        OpenRecord = "open-record",
        /// [list, type, number]: everybody who is insured here, and nobody else.
        WholeStaff = "whole-staff",
    }
}

impl NamedCheck {
    /// How many fields it is given.
    pub(super) fn fields(self) -> usize {
        match self {
            Self::Document => 2,
            Self::Age | Self::DistinctPersons | Self::WholeStaff => 3,
            Self::OpenRecord => 4,
        }
    }

    /// Which of its fields is to blame.
    pub(super) fn blamed(self) -> usize {
        match self {
            Self::DistinctPersons | Self::WholeStaff => 0,
            Self::Document | Self::Age => 1,
            Self::OpenRecord => 2,
        }
    }
}

named! {
    /// What a broken rule means.
    Severity {
        /// The filing is not accepted.
        Refuse = "refuse",
        /// It is accepted, and whoever files is told.
        Note = "note",
    }
}

/// What a rule judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    Holds(Expression),
    Named { check: NamedCheck, fields: Vec<Place>, at_least: Option<Ratio> },
}

/// One rule, for each object that its scope matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: String,
    pub scope: Path,
    /// Judged only where this holds.
    pub when: Option<Expression>,
    pub judged: Judged,
    /// The field to blame, from the payload.
    pub blamed: Path,
    pub severity: Severity,
    /// What holds, and what to do when it does not.
    pub zh: String,
    pub en: String,
    pub next_zh: String,
    pub next_en: String,
    /// As the document writes it.
    pub written: String,
}

impl Rule {
    /// Whether it compares with who is insured through the enterprise.
    pub fn asks_for_staff(&self) -> bool {
        matches!(self.judged, Judged::Named { check: NamedCheck::OpenRecord | NamedCheck::WholeStaff, .. })
    }

    /// Whether it compares with the filing of the period before, and with those of every month of the year.
    pub fn looks_back(&self) -> (bool, bool) {
        let check = if let Judged::Holds(check) = &self.judged { Some(check) } else { None };
        let asked = check.into_iter().chain(&self.when).map(Expression::looks_back);
        asked.fold((false, false), |one, other| (one.0 || other.0, one.1 || other.1))
    }

    /// The names of the figures that it computes with.
    pub(super) fn figures(&self) -> Vec<&str> {
        let mut names = Vec::new();
        if let Judged::Holds(check) = &self.judged {
            check.figures(&mut names);
        }
        if let Some(when) = &self.when {
            when.figures(&mut names);
        }
        names
    }
}
