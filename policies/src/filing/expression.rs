//! The relations of a form: what stands between its fields, as a tree whose every name is known and every type fits.

use super::field::Path;
use super::ratio::Ratio;

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Number,
    Text,
    Boolean,
    Date,
    Texts,
}

/// Where a place is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The object that the rule is about, or the item that a sum goes over.
    Scope,
    /// The payload.
    Payload,
}

/// A field or a list that an expression names. The steps from the root cross no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub root: Root,
    pub below: Path,
    /// From the payload, lists crossed.
    pub whole: Path,
    /// Its place among the kind's fields; none for lists and groups.
    pub field: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// min(a, b, …)
    Min,
    /// max(a, b, …)
    Max,
    /// abs(a)
    Abs,
    /// round(a, step): to the nearest multiple, half away from nought.
    Round,
    /// if(condition, a, b)
    If,
    /// days(later, earlier): whole days from one date to another.
    Days,
    /// month(date): as `202611`.
    Month,
    /// year(month): as `2026`.
    Year,
    /// has(choices, "110")
    Has,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    Number(Ratio),
    Text(String),
    Boolean(bool),
    Field(Place),
    /// Whether the field is there.
    Present(Place),
    /// A dated figure, in percent where it is a rate.
    Figure(String),
    /// The filing's period, a text.
    Period,
    /// The day on which the filing is judged, by the city's time.
    Today,
    Operation(Operation, Box<Expression>, Box<Expression>),
    Comparison(Comparison, Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Call(Function, Vec<Expression>),
    /// sum(list, number of each item)
    Sum(Place, Box<Expression>),
    /// count(list) or count(list, condition on each item)
    Count(Place, Option<Box<Expression>>),
    /// previous(number): in the filing of the period before.
    Previous(Box<Expression>),
    /// year_total(number): over the months of the year up to this one.
    YearTotal(Box<Expression>),
}

impl Expression {
    /// The names of the figures in it. Its depth is bounded where it is read.
    pub(super) fn figures<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Figure(name) => names.push(name),
            Self::Operation(_, left, right) | Self::Comparison(_, left, right) | Self::And(left, right) | Self::Or(left, right) => {
                left.figures(names);
                right.figures(names);
            }
            Self::Not(inner) | Self::Sum(_, inner) | Self::Count(_, Some(inner)) | Self::Previous(inner) | Self::YearTotal(inner) => inner.figures(names),
            Self::Call(_, given) => given.iter().for_each(|one| one.figures(names)),
            Self::Number(_) | Self::Text(_) | Self::Boolean(_) | Self::Field(_) | Self::Present(_) | Self::Period | Self::Today | Self::Count(_, None) => {}
        }
    }

    /// Whether it asks for the period before, and for the months of the year.
    pub(super) fn looks_back(&self) -> (bool, bool) {
        let both = |one: (bool, bool), other: (bool, bool)| (one.0 || other.0, one.1 || other.1);
        match self {
            Self::Previous(inner) => both((true, false), inner.looks_back()),
            Self::YearTotal(inner) => both((false, true), inner.looks_back()),
            Self::Operation(_, left, right) | Self::Comparison(_, left, right) | Self::And(left, right) | Self::Or(left, right) => both(left.looks_back(), right.looks_back()),
            Self::Not(inner) | Self::Sum(_, inner) | Self::Count(_, Some(inner)) => inner.looks_back(),
            Self::Call(_, given) => given.iter().map(Self::looks_back).fold((false, false), both),
            Self::Number(_) | Self::Text(_) | Self::Boolean(_) | Self::Field(_) | Self::Present(_) | Self::Figure(_) | Self::Period | Self::Today | Self::Count(_, None) => (false, false),
        }
    }
}
