//! What an expression is worth in one filing.

use std::cmp::Ordering;

use policies::filing::{Comparison, Expression, Field, FieldKind, Figures, FilingPeriod, Function, Kind, Operation, Path, Place, Ratio, Root, Step};
use policies::statement::Period;
use time::Date;

use super::{History, shape, written};
use crate::document::Value;

/// What an expression gives.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Worth<'a> {
    Number(Ratio),
    Text(&'a str),
    /// A text that was made here.
    Made(String),
    Boolean(bool),
    Date(Date),
    Texts(Vec<&'a str>),
}

/// Why an expression is worth nothing that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// A field that is left out or has the wrong form: what is to be said of it is said already.
    Absent,
    NoHistory,
    NoFigure,
    /// The numbers do not fit, or something is divided by nought.
    Arithmetic,
}

impl Unknown {
    /// Chinese and English; none where the rule does not apply.
    pub fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Absent => None,
            Self::NoHistory => Some(("没有以前各期的申报可对照", "the filings before are not known here")),
            Self::NoFigure => Some(("该期的标准尚未公布", "the figures of this period are not known")),
            Self::Arithmetic => Some(("数值无法计算", "the numbers cannot be computed with")),
        }
    }
}

type Worthy<'a> = Result<Worth<'a>, Unknown>;

/// One filing, and what its rules may look at.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub kind: &'a Kind,
    pub figures: &'a Figures,
    /// The month whose figures hold.
    pub month: Option<Period>,
    pub payload: &'a Value,
    pub period: FilingPeriod,
    pub history: &'a History<'a>,
    pub today: Date,
}

/// What stands where an object is missing: nothing is in it.
const NOTHING: &Value = &Value::Null;

/// Along a path that crosses no list.
pub(super) fn follow<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.steps().iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.as_object().and_then(|object| object.get(name)),
        Step::Each => None,
    })
}

pub(super) fn text_at<'a>(payload: &'a Value, path: &Path) -> Option<&'a str> {
    follow(payload, path).and_then(Value::as_text)
}

impl<'a> Context<'a> {
    /// The objects that a scope matches, and the place of each in its list.
    pub fn scopes(&self, scope: &Path) -> Vec<(&'a Value, Option<usize>)> {
        let Some((Step::Each, list)) = scope.steps().split_last() else {
            return follow(self.payload, scope).into_iter().map(|value| (value, None)).collect();
        };
        let items = list.iter().try_fold(self.payload, |value, step| if let Step::Member(name) = step { value.as_object()?.get(name) } else { None });
        items.and_then(Value::as_array).unwrap_or_default().iter().enumerate().map(|(index, item)| (item, Some(index))).collect()
    }

    fn at(&self, place: &Place, scope: &'a Value) -> Option<&'a Value> {
        follow(if place.root == Root::Payload { self.payload } else { scope }, &place.below)
    }

    pub fn field(&self, place: &Place) -> Option<&'a Field> {
        place.field.and_then(|at| self.kind.fields().get(at))
    }

    /// The value of a field, or what stands for it when it is left out.
    pub fn value(&self, place: &Place, scope: &'a Value) -> Worthy<'a> {
        let field = self.field(place).ok_or(Unknown::Absent)?;
        match self.at(place, scope) {
            Some(value) => shape::worth(&field.kind, value).ok_or(Unknown::Absent),
            None => field.absent.map(Worth::Number).ok_or(Unknown::Absent),
        }
    }

    /// `scope` is the object that the rule is about, `path` where such objects stand.
    pub fn worth(&self, expression: &'a Expression, scope: &'a Value, path: &Path) -> Worthy<'a> {
        let number = |expression: &'a Expression| self.number(expression, scope, path);
        let truth = |expression: &'a Expression| self.worth(expression, scope, path).map(|worth| worth == Worth::Boolean(true));
        Ok(match expression {
            Expression::Number(number) => Worth::Number(*number),
            Expression::Text(text) => Worth::Text(text),
            Expression::Boolean(value) => Worth::Boolean(*value),
            Expression::Field(place) => self.value(place, scope)?,
            Expression::Present(place) => Worth::Boolean(self.at(place, scope).is_some()),
            Expression::Figure(name) => Worth::Number(self.month.and_then(|month| self.figures.at(name, month)).ok_or(Unknown::NoFigure)?.value),
            Expression::Period => Worth::Made(self.period.to_string()),
            Expression::Today => Worth::Date(self.today),
            Expression::Operation(operation, left, right) => {
                let (left, right) = (number(left)?, number(right)?);
                let result = match operation {
                    Operation::Add => left.checked_add(right),
                    Operation::Subtract => left.checked_sub(right),
                    Operation::Multiply => left.checked_mul(right),
                    Operation::Divide => left.checked_div(right),
                };
                Worth::Number(result.ok_or(Unknown::Arithmetic)?)
            }
            Expression::Comparison(comparison, left, right) => {
                let (left, right) = (self.worth(left, scope, path)?, self.worth(right, scope, path)?);
                Worth::Boolean(holds(*comparison, order(&left, &right).ok_or(Unknown::Arithmetic)?))
            }
            // The second side is not looked at when the first has decided.
            Expression::And(left, right) => Worth::Boolean(truth(left)? && truth(right)?),
            Expression::Or(left, right) => Worth::Boolean(truth(left)? || truth(right)?),
            Expression::Not(inner) => Worth::Boolean(!truth(inner)?),
            Expression::Call(function, arguments) => self.call(*function, arguments, scope, path)?,
            Expression::Sum(list, of) => {
                let mut sum = Ratio::ZERO;
                for item in self.items(list, scope)? {
                    sum = sum.checked_add(self.number(of, item, path)?).ok_or(Unknown::Arithmetic)?;
                }
                Worth::Number(sum)
            }
            Expression::Count(list, when) => {
                let mut count = 0_i64;
                for item in self.items(list, scope)? {
                    let counted = when.as_deref().map_or(Ok(true), |when| self.worth(when, item, path).map(|worth| worth == Worth::Boolean(true)))?;
                    count += i64::from(counted);
                }
                Worth::Number(Ratio::whole(count))
            }
            Expression::Previous(inner) => self.in_another(self.history.previous.ok_or(Unknown::NoHistory)?, inner, path)?,
            Expression::YearTotal(inner) => {
                let mut sum = number(inner)?;
                for month in self.history.months.ok_or(Unknown::NoHistory)? {
                    let Worth::Number(more) = self.in_another(month, inner, path)? else { return Err(Unknown::Absent) };
                    sum = sum.checked_add(more).ok_or(Unknown::Arithmetic)?;
                }
                Worth::Number(sum)
            }
        })
    }

    /// The same expression at the same place of another payload.
    fn in_another(&self, payload: &'a Value, expression: &'a Expression, path: &Path) -> Worthy<'a> {
        let there = Context { payload, ..*self };
        there.worth(expression, follow(payload, path).unwrap_or(NOTHING), path)
    }

    fn number(&self, expression: &'a Expression, scope: &'a Value, path: &Path) -> Result<Ratio, Unknown> {
        match self.worth(expression, scope, path)? {
            Worth::Number(number) => Ok(number),
            _ => Err(Unknown::Absent),
        }
    }

    fn items(&self, list: &Place, scope: &'a Value) -> Result<&'a [Value], Unknown> {
        self.at(list, scope).and_then(Value::as_array).ok_or(Unknown::Absent)
    }

    fn call(&self, function: Function, arguments: &'a [Expression], scope: &'a Value, path: &Path) -> Worthy<'a> {
        let worth = |at: usize| arguments.get(at).map_or(Err(Unknown::Absent), |argument| self.worth(argument, scope, path));
        let number = |at: usize| worth(at).and_then(|worth| if let Worth::Number(number) = worth { Ok(number) } else { Err(Unknown::Absent) });
        let fits = |number: Option<Ratio>| number.map(Worth::Number).ok_or(Unknown::Arithmetic);
        match function {
            Function::Min | Function::Max => {
                let wanted = if function == Function::Min { Ordering::Less } else { Ordering::Greater };
                let mut best = number(0)?;
                for at in 1..arguments.len() {
                    let other = number(at)?;
                    if other.compare(best).ok_or(Unknown::Arithmetic)? == wanted {
                        best = other;
                    }
                }
                Ok(Worth::Number(best))
            }
            Function::Abs => fits(number(0)?.abs()),
            Function::Round => fits(number(0)?.round(number(1)?)),
            Function::If => number(if worth(0)? == Worth::Boolean(true) { 1 } else { 2 }).map(Worth::Number),
            Function::Days => match (worth(0)?, worth(1)?) {
                (Worth::Date(later), Worth::Date(earlier)) => Ok(Worth::Number(Ratio::whole((later - earlier).whole_days()))),
                _ => Err(Unknown::Absent),
            },
            Function::Month => match worth(0)? {
                Worth::Date(date) => Ok(Worth::Made(format!("{:04}{:02}", date.year(), u8::from(date.month())))),
                _ => Err(Unknown::Absent),
            },
            Function::Year => match worth(0)? {
                Worth::Text(text) => text.get(..4).map(Worth::Text).ok_or(Unknown::Absent),
                Worth::Made(text) => text.get(..4).map(|year| Worth::Made(year.to_owned())).ok_or(Unknown::Absent),
                _ => Err(Unknown::Absent),
            },
            Function::Has => match (worth(0)?, worth(1)?) {
                (Worth::Texts(all), Worth::Text(one)) => Ok(Worth::Boolean(all.contains(&one))),
                _ => Err(Unknown::Absent),
            },
        }
    }

    /// Of `field = number` the number that is asked for and the one that stands there, unless they tell of a person.
    pub fn both_sides(&self, expression: &'a Expression, scope: &'a Value, path: &Path) -> Option<(String, String)> {
        let Expression::Comparison(Comparison::Equal, left, right) = expression else { return None };
        let Expression::Field(place) = left.as_ref() else { return None };
        let field = self.field(place)?;
        let number = matches!(field.kind, FieldKind::Amount { .. } | FieldKind::Rate | FieldKind::Integer { .. });
        let (found, expected) = (self.number(left, scope, path).ok()?, self.number(right, scope, path).ok()?);
        number.then(|| (written(field, expected), written(field, found)))
    }
}

/// Numbers and dates are ordered; texts too, as months are written.
fn order(left: &Worth<'_>, right: &Worth<'_>) -> Option<Ordering> {
    match (left, right) {
        (Worth::Number(left), Worth::Number(right)) => left.compare(*right),
        (Worth::Boolean(left), Worth::Boolean(right)) => Some(left.cmp(right)),
        (Worth::Date(left), Worth::Date(right)) => Some(left.cmp(right)),
        (Worth::Text(left), Worth::Text(right)) => Some(left.cmp(right)),
        (Worth::Made(left), Worth::Text(right)) => Some(left.as_str().cmp(right)),
        (Worth::Text(left), Worth::Made(right)) => Some((*left).cmp(right.as_str())),
        (Worth::Made(left), Worth::Made(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::More => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
    }
}
