//! P1 to P7: what every pension row must keep.

use super::judgement::{Judgement, NO_CONTRIBUTION, NO_MONTH_BEFORE, Rule, Verdict, sum};
use super::money::Money;
use super::parameters::{PensionParameters, within_bound};
use super::pension::{PensionRow, PensionStatus};
use super::row::Previous;

/// `figures` are those in force in the row's month; without them the rules that need them are broken.
pub(super) fn judge(row: &PensionRow, figures: Option<&PensionParameters>, previous: Option<&Previous>) -> Judgement {
    let needs = |judge: fn(&PensionRow, &PensionParameters) -> Verdict| match figures {
        Some(figures) => judge(row, figures),
        None => Verdict::broken(format!("no figures are known for {}; add them to pension.toml", row.head.period)),
    };
    let before = Before::of(row, previous);
    Judgement::new(vec![
        (Rule::P1, balance(row)),
        (Rule::P2, needs(contributions)),
        (Rule::P3, before.as_ref().map_or(NOT_AT_HAND, |before| credited(row, before, figures))),
        (Rule::P4, needs(interest)),
        (Rule::P5, months(row, before.as_ref())),
        (Rule::P6, before.as_ref().map_or(NOT_AT_HAND, |before| year_open(row, before))),
        (Rule::P7, needs(base)),
    ])
}

const NOT_AT_HAND: Verdict = Verdict::NotJudged { why: NO_MONTH_BEFORE };

/// What the month before leaves for this one.
struct Before {
    year_open: Money,
    /// Nought in January: the year's credit begins anew.
    ytd_credit: Money,
    months_actual: u16,
}

impl Before {
    fn of(row: &PensionRow, previous: Option<&Previous>) -> Option<Self> {
        match previous {
            Some(&Previous::Pension { period, year_open, ytd_credit, close, months_actual }) if row.head.period.follows(period) => {
                let january = row.head.period.month() == 1;
                let (year_open, ytd_credit) = if january { (close, Money::ZERO) } else { (year_open, ytd_credit) };
                Some(Self { year_open, ytd_credit, months_actual })
            }
            _ => None,
        }
    }

    /// What was credited beyond this month's own contribution: months paid late.
    fn late(&self, row: &PensionRow) -> i128 {
        sum(&[row.ytd_credit], &[self.ytd_credit, row.person_amt])
    }

    fn rise(&self, row: &PensionRow) -> i32 {
        i32::from(row.months_actual) - i32::from(self.months_actual)
    }

    /// The months that rise counts beside this month's own, which is none where nothing is contributed this month.
    fn late_months(&self, row: &PensionRow) -> i32 {
        self.rise(row) - i32::from(row.person_amt != Money::ZERO)
    }
}

fn balance(row: &PensionRow) -> Verdict {
    let made = sum(
        &[row.year_open, row.open_interest, row.ytd_credit, row.ytd_interest, row.transfer_in],
        &[row.transfer_out, row.payout],
    );
    Verdict::equal("close", row.close, made, "the movements")
}

/// Who is suspended or draws a pension may have no base.
fn is_dormant(row: &PensionRow) -> bool {
    row.status != PensionStatus::Contributing && row.base == Money::ZERO
}

fn contributions(row: &PensionRow, figures: &PensionParameters) -> Verdict {
    if !is_dormant(row) && row.person_rate != figures.person_rate {
        return Verdict::broken(format!("person_rate is {}, not {}", row.person_rate, figures.person_rate));
    }
    Verdict::all([
        Verdict::share("person_amt", row.person_amt, row.base, row.person_rate, figures.round_to),
        Verdict::share("unit_amt", row.unit_amt, row.base, row.unit_rate, figures.round_to),
    ])
}

/// More than this month's contribution is credited only when more months are counted, and for each of them no
/// more than the largest contribution.
fn credited(row: &PensionRow, before: &Before, figures: Option<&PensionParameters>) -> Verdict {
    let (late, months) = (before.late(row), before.late_months(row));
    let most = figures.and_then(|figures| figures.base_cap.at(figures.person_rate, figures.round_to)).map_or(0, |most| i128::from(most.fen()));
    if late > 0 && months >= 1 && late <= i128::from(months) * most {
        return Verdict::Kept;
    }
    let made = sum(&[before.ytd_credit, row.person_amt], &[]);
    Verdict::equal("ytd_credit", row.ytd_credit, made, "that of the month before and person_amt")
}

fn interest(row: &PensionRow, figures: &PensionParameters) -> Verdict {
    if row.open_interest == Money::ZERO && row.ytd_interest == Money::ZERO {
        return Verdict::Kept;
    }
    let posted = row.head.period.month() == figures.interest_month;
    let moved = row.transfer_in != Money::ZERO || row.transfer_out != Money::ZERO || row.status == PensionStatus::Ended;
    if !posted && !moved {
        let (open, year, month) = (row.open_interest, row.ytd_interest, figures.interest_month);
        return Verdict::broken(format!("interest is {open} and {year}, but this is not month {month}, a transfer or the end"));
    }
    let bound = |name, stated, of| within_bound(name, stated, of, figures.interest_rate, figures.interest_bound_percent);
    Verdict::all([
        bound("open_interest", row.open_interest, row.year_open),
        bound("ytd_interest", row.ytd_interest, row.ytd_credit),
    ])
}

fn months(row: &PensionRow, before: Option<&Before>) -> Verdict {
    let month = row.head.period.month();
    if row.months_year > u16::from(month) {
        return Verdict::broken(format!("months_year is {}, but this is month {month}", row.months_year));
    }
    let Some(before) = before else { return Verdict::Kept };
    match before.rise(row) {
        0 | 1 => Verdict::Kept,
        rise if rise > 1 && before.late(row) > 0 => Verdict::Kept,
        _ => Verdict::broken(format!("months_actual is {}, after {} in the month before", row.months_actual, before.months_actual)),
    }
}

fn year_open(row: &PensionRow, before: &Before) -> Verdict {
    Verdict::equal("year_open", row.year_open, i128::from(before.year_open.fen()), "the books of the month before")
}

fn base(row: &PensionRow, figures: &PensionParameters) -> Verdict {
    if is_dormant(row) {
        return Verdict::NotJudged { why: NO_CONTRIBUTION };
    }
    Verdict::within("base", row.base, figures.base_floor, figures.base_cap)
}
