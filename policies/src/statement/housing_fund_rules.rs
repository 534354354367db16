//! V1 to V8: what every housing-fund row must keep.

use super::housing_fund::{HousingFundRow, HousingFundStatus};
use super::judgement::{Judgement, NO_CONTRIBUTION, NO_MONTH_BEFORE, Rule, Verdict, sum};
use super::money::Money;
use super::parameters::{HousingFundParameters, within_bound};
use super::row::Previous;

/// `figures` are those in force in the row's month; without them the rules that need them are broken.
pub(super) fn judge(row: &HousingFundRow, figures: Option<&HousingFundParameters>, previous: Option<&Previous>) -> Judgement {
    let needs = |judge: fn(&HousingFundRow, &HousingFundParameters) -> Verdict| match figures {
        Some(figures) => judge(row, figures),
        None => Verdict::broken(format!("no figures are known for {}; add them to housing-fund.toml", row.head.period)),
    };
    Judgement::new(vec![
        (Rule::V1, balance(row)),
        (Rule::V2, parts(row)),
        (Rule::V3, needs(contributions)),
        (Rule::V4, needs(rates)),
        (Rule::V5, needs(base)),
        (Rule::V6, needs(interest)),
        (Rule::V7, opening(row, previous)),
        (Rule::V8, status(row)),
    ])
}

fn balance(row: &HousingFundRow) -> Verdict {
    let made = sum(
        &[row.open_bal, row.paid_in, row.backpay, row.transfer_in, row.interest, row.adjust],
        &[row.withdraw, row.transfer_out],
    );
    Verdict::equal("close_bal", row.close_bal, made, "the movements")
}

fn parts(row: &HousingFundRow) -> Verdict {
    Verdict::equal("close_bal", row.close_bal, sum(&[row.carry_bal, row.cur_bal], &[]), "carry_bal and cur_bal")
}

fn contributions(row: &HousingFundRow, figures: &HousingFundParameters) -> Verdict {
    Verdict::all([
        Verdict::share("unit_amt", row.unit_amt, row.base, row.unit_rate, figures.round_to),
        Verdict::share("person_amt", row.person_amt, row.base, row.person_rate, figures.round_to),
        Verdict::equal("month_amt", row.month_amt, sum(&[row.unit_amt, row.person_amt], &[]), "unit_amt and person_amt"),
    ])
}

/// A sealed or closed account may have no base and no rates.
fn is_dormant(row: &HousingFundRow) -> bool {
    row.status != HousingFundStatus::Normal && row.base == Money::ZERO
}

fn rates(row: &HousingFundRow, figures: &HousingFundParameters) -> Verdict {
    if is_dormant(row) {
        return Verdict::NotJudged { why: NO_CONTRIBUTION };
    }
    let (min, max) = (figures.rate_min, figures.rate_max);
    Verdict::all([Verdict::within("unit_rate", row.unit_rate, min, max), Verdict::within("person_rate", row.person_rate, min, max)])
}

fn base(row: &HousingFundRow, figures: &HousingFundParameters) -> Verdict {
    if is_dormant(row) {
        return Verdict::NotJudged { why: NO_CONTRIBUTION };
    }
    Verdict::within("base", row.base, figures.base_floor, figures.base_cap)
}

fn interest(row: &HousingFundRow, figures: &HousingFundParameters) -> Verdict {
    let posted = row.head.period.month() == figures.interest_month;
    if row.interest == Money::ZERO {
        return Verdict::Kept;
    }
    if !posted && !row.status.is_closed() && row.adjust == Money::ZERO {
        let month = figures.interest_month;
        return Verdict::broken(format!("interest is {}, but this is not month {month}, a closure or a correction", row.interest));
    }
    let most = row.open_bal.max(row.close_bal);
    within_bound("interest", row.interest, most, figures.interest_rate, figures.interest_bound_percent)
}

fn opening(row: &HousingFundRow, previous: Option<&Previous>) -> Verdict {
    match previous {
        Some(Previous::HousingFund { period, close_bal }) if row.head.period.follows(*period) => {
            Verdict::equal("open_bal", row.open_bal, i128::from(close_bal.fen()), "the books of the month before")
        }
        _ => Verdict::NotJudged { why: NO_MONTH_BEFORE },
    }
}

fn status(row: &HousingFundRow) -> Verdict {
    let code = row.status.code();
    if row.status == HousingFundStatus::Sealed && row.paid_in != Money::ZERO {
        Verdict::broken(format!("status is {code}, but paid_in is {}", row.paid_in))
    } else if row.status.is_closed() && row.close_bal != Money::ZERO {
        Verdict::broken(format!("status is {code}, but close_bal is {}", row.close_bal))
    } else {
        Verdict::Kept
    }
}
