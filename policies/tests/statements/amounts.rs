//! Amounts for rows, at their edges more often than between them, and what the program finds of a row.

use std::sync::LazyLock;

use policies::statement::{Money, Parameters, Period, Previous, SHIPPED};
use proptest::prelude::*;

use super::{Line, shipped};

/// The largest amount that can be written, in fen.
pub const MOST: i64 = 999_999_999_999_999_999;

/// As files write it.
pub fn written(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

pub fn money(fen: i64) -> Money {
    Money::parse(&written(fen)).unwrap()
}

/// Nothing, a fen, what people have.
pub fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0_i64), 1 => Just(1_i64), 6 => 0..50_000_000_i64]
}

/// By how much a figure is changed: a fen and up.
pub fn change() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(1_i64), 2 => 1..100_i64, 2 => 100..1_000_000_i64, 1 => 1_000_000..100_000_000_000_i64]
}

/// Thousandths of a whole; often none of it, or all.
pub fn part() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0_i64), 1 => Just(1_000_i64), 3 => 0..=1_000_i64]
}

pub fn part_of(whole: i64, thousandths: i64) -> i64 {
    i64::try_from(i128::from(whole) * i128::from(thousandths) / 1_000).unwrap()
}

/// `base` at `rate` hundredths of a percent: the whole units in it, and one more where the rest is half of one or above.
pub fn share(base: i64, rate: i64, yuan: bool) -> i64 {
    let unit = if yuan { 100 } else { 1 };
    let (exact, one) = (i128::from(base) * i128::from(rate), 10_000 * unit);
    let more = i128::from(2 * (exact % one) >= one);
    i64::try_from((exact / one + more) * unit).unwrap()
}

/// The most interest on `of` that the bound of one and a half years lets pass.
pub fn bound(of: i64, rate: i64) -> i64 {
    i64::try_from(i128::from(of) * i128::from(rate) * 150 / 1_000_000).unwrap()
}

pub fn period(year: u32, month: u32) -> String {
    format!("{year}{month:02}")
}

/// So many months before.
pub fn months_before(year: u32, month: u32, months: u32) -> Period {
    let ordinal = year * 12 + month - 1 - months;
    Period::parse(&period(ordinal / 12, ordinal % 12 + 1)).unwrap()
}

/// The shipped figures, with contributions rounded to the fen or to the yuan.
pub fn figures(yuan: bool) -> &'static Parameters {
    static FEN: LazyLock<Parameters> = LazyLock::new(shipped);
    static YUAN: LazyLock<Parameters> = LazyLock::new(|| {
        let documents = SHIPPED.map(|(name, text)| (name, text.replace("\"fen\"", "\"yuan\"")));
        Parameters::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
    });
    if yuan { &YUAN } else { &FEN }
}

/// A row that was right, changed in one way: the rules that must refuse it, and those that may as well.
pub struct Changed {
    pub what: &'static str,
    pub line: Line,
    pub previous: Option<Previous>,
    pub breaks: &'static str,
    pub may_break: &'static str,
}

impl Changed {
    pub fn check(&self, yuan: bool) -> Result<(), TestCaseError> {
        let judgement = figures(yuan).judge(&self.line.row(), self.previous.as_ref());
        let found: Vec<&str> = judgement.broken().map(|(rule, _)| rule.code()).collect();
        let (must, may) = (self.breaks.split_whitespace(), self.may_break.split_whitespace());
        prop_assert!(must.clone().all(|code| found.contains(&code)), "{}: {found:?}, not {}", self.what, self.breaks);
        prop_assert!(found.iter().all(|code| must.clone().chain(may.clone()).any(|known| known == *code)), "{}: {found:?}", self.what);
        Ok(())
    }
}

impl Line {
    /// The amount, `by` more; none where that cannot be written in its column.
    pub fn moved(&self, column: &str, by: i64) -> Option<Self> {
        let (new, least) = (self.fen(column) + by, if column == "adjust" { -MOST } else { 0 });
        (least..=MOST).contains(&new).then(|| self.clone().with(column, &written(new)))
    }

    /// `by` more in the first column, and in the second what has no room in the first.
    pub fn spread(&self, [first, second]: [&str; 2], by: i64) -> Option<Self> {
        let old = self.fen(first);
        let new = (old + by).clamp(0, MOST);
        self.clone().with(first, &written(new)).moved(second, by - (new - old))
    }
}
