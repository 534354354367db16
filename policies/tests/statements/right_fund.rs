//! Housing-fund rows that are right, in every state of an account, and what each rule says when one figure of them is not.

use std::cell::RefCell;
use std::collections::BTreeSet;

use policies::statement::{Kind, Previous};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::Line;
use super::amounts::{Changed, MOST, amount, bound, change, figures, money, months_before, part, part_of, period, share, written};

const OUT: [&str; 2] = ["withdraw", "transfer_out"];
const FLOOR: i64 = 100_000;
const CAP: i64 = 4_500_000;
const RATE: i64 = 150;

/// What a right row is made of.
#[derive(Clone, Debug)]
struct Seed {
    yuan: bool,
    year: u32,
    month: u32,
    status: &'static str,
    /// Without a base, where the status lets it be.
    dormant: bool,
    base: i64,
    rates: [i64; 2],
    /// Opening balance, paid in, paid late, transferred in.
    into: [i64; 4],
    /// What is paid in is the month's contribution.
    pays: bool,
    /// Which of what comes in is the largest amount there is, so many fen less; the last is the correction.
    largest: usize,
    less: i64,
    adjust: i64,
    interest: i64,
    out: i64,
    carry: i64,
    /// How many months before is the row that is at hand; nought for none.
    before: u32,
}

fn seed() -> impl Strategy<Value = Seed> {
    let status = prop::sample::select(vec!["01", "01", "02", "03", "04", "05", "06", "99"]);
    let base = prop_oneof![1 => Just(FLOOR), 1 => Just(CAP), 4 => FLOOR..=CAP];
    let rate = || prop_oneof![1 => Just(500_i64), 1 => Just(1_200_i64), 3 => 500..=1_200_i64];
    let adjust = prop_oneof![4 => Just(0_i64), 1 => Just(-1_i64), 1 => Just(1_i64), 1 => Just(-MOST), 2 => -1_000_000..1_000_000_i64];
    let month = prop_oneof![1 => Just(6_u32), 2 => 1..=12_u32];
    let who = (any::<bool>(), 2017..=2030_u32, month, status, any::<bool>(), base, [rate(), rate()]);
    let moves = ([amount(), amount(), amount(), amount()], any::<bool>(), 0..15_usize, 0..3_i64, adjust, [part(), part(), part()], 0..=2_u32);
    (who, moves).prop_map(|((yuan, year, month, status, dormant, base, rates), (into, pays, largest, less, adjust, [interest, out, carry], before))| {
        Seed { yuan, year, month, status, dormant: dormant && status != "01", base, rates, into, pays, largest, less, adjust, interest, out, carry, before }
    })
}

impl Seed {
    fn closed(&self) -> bool {
        matches!(self.status, "03" | "04" | "05")
    }

    fn follows(&self) -> bool {
        self.before == 1
    }

    fn row(&self) -> Line {
        let [base, unit, person] = if self.dormant { [0; 3] } else { [self.base, self.rates[0], self.rates[1]] };
        let (unit_amt, person_amt) = (share(base, unit, self.yuan), share(base, person, self.yuan));
        let mut into = self.into;
        into.get_mut(self.largest).iter_mut().for_each(|largest| **largest = MOST - self.less);
        if self.pays && self.largest != 1 {
            into[1] = unit_amt + person_amt;
        }
        if self.status == "02" {
            into[1] = 0;
        }
        let had: i128 = into.iter().copied().map(i128::from).sum();
        let adjust = if self.largest == 4 { MOST - self.less } else { self.adjust.max(-i64::try_from(had.min(i128::from(MOST))).unwrap()) };
        let may_have = self.month == 6 || self.closed() || adjust != 0;
        let interest = if may_have { part_of(bound(into[0], RATE), self.interest) } else { 0 };
        let have = i64::try_from(had + i128::from(adjust) + i128::from(interest)).unwrap();
        let out = if self.closed() { have } else { part_of(have, self.out).max(have - MOST) };
        let withdraw = part_of(out, 1_000 - self.carry).clamp((out - MOST).max(0), out.min(MOST));
        let close = have - out;
        let carry = part_of(close, self.carry);
        let amounts = [
            ("base", base), ("unit_rate", unit), ("person_rate", person), ("unit_amt", unit_amt), ("person_amt", person_amt), ("month_amt", unit_amt + person_amt),
            ("open_bal", into[0]), ("paid_in", into[1]), ("backpay", into[2]), ("transfer_in", into[3]), ("withdraw", withdraw), ("transfer_out", out - withdraw),
            ("interest", interest), ("adjust", adjust), ("close_bal", close), ("carry_bal", carry), ("cur_bal", close - carry), ("loan_bal", MOST), ("loan_due", self.less),
        ];
        let month = period(self.year, self.month);
        let line = Line::new(Kind::HousingFund).with("period", &month).with("paid_to", &month).with("status", self.status);
        amounts.into_iter().fold(line, |line, (column, fen)| line.with(column, &written(fen)))
    }

    /// The row before, where it closed with `close_bal`.
    fn previous(&self, close_bal: i64) -> Option<Previous> {
        (self.before > 0).then(|| Previous::HousingFund { period: months_before(self.year, self.month, self.before), close_bal: money(close_bal) })
    }

    /// Every change that can be made of the row, by `by` fen, up or down.
    fn changed(&self, by: i64, up: bool) -> Vec<Changed> {
        let (right, mut all) = (self.row(), Vec::new());
        let (open, close, interest, signed) = (right.fen("open_bal"), right.fen("close_bal"), right.fen("interest"), if up { by } else { -by });
        let mut add = |what, line: Option<Line>, [breaks, may_break]: [&'static str; 2]| {
            all.extend(line.map(|line| Changed { what, line, previous: self.previous(open), breaks, may_break }));
        };
        for (column, rules) in [
            ("backpay", ["V1", ""]), ("transfer_in", ["V1", ""]), ("withdraw", ["V1", ""]), ("transfer_out", ["V1", ""]),
            ("paid_in", if self.status == "02" { ["V1 V8", ""] } else { ["V1", ""] }),
            ("open_bal", if self.follows() { ["V1 V7", "V6"] } else { ["V1", "V6"] }),
            ("interest", ["V1", "V6"]), ("adjust", ["V1", "V6"]), ("close_bal", if self.closed() { ["V1 V2 V8", "V6"] } else { ["V1 V2", "V6"] }),
            ("carry_bal", ["V2", ""]), ("cur_bal", ["V2", ""]), ("unit_amt", ["V3", ""]), ("person_amt", ["V3", ""]), ("month_amt", ["V3", ""]),
        ] {
            add(column, right.moved(column, signed), rules);
        }
        // What evens out in one sum is seen by the rule of each part.
        add("carry for cur, too much", right.moved("carry_bal", signed).and_then(|line| line.moved("cur_bal", signed)), ["V2", ""]);
        add("unit for person", right.moved("unit_amt", signed).and_then(|line| line.moved("person_amt", -signed)), ["V3", ""]);
        add("person with the month", right.moved("person_amt", signed).and_then(|line| line.moved("month_amt", signed)), ["V3", ""]);
        if !self.dormant {
            let of = |base, rates| Some(Self { base, rates, ..self.clone() }.row());
            let [unit, person] = self.rates;
            add("rate below", of(self.base, [499 - by % 500, person]), ["V4", ""]);
            add("rate above", of(self.base, [unit, 1_201 + (by - 1) % 8_799]), ["V4", ""]);
            add("base below", of(FLOOR - 1 - (by - 1) % (FLOOR - 1), self.rates), ["V5", ""]);
            add("base above", of(CAP + by, self.rates), ["V5", ""]);
            add("base largest", of(MOST, self.rates), ["V5", ""]);
        }
        let credited = |interest_now: i64| right.moved("interest", interest_now - interest).and_then(|line| line.spread(OUT, interest_now - interest));
        if self.month == 6 || self.closed() || right.fen("adjust") != 0 {
            let most = bound(open.max(close), RATE);
            add("interest at its bound", credited(most), ["", ""]);
            add("interest above", credited(most + by), ["V6", ""]);
        } else {
            add("interest out of season", credited(by), ["V6", ""]);
        }
        if self.status == "02" {
            add("paid in, sealed", right.moved("paid_in", by).and_then(|line| line.spread(OUT, by)), ["V8", ""]);
        }
        if self.closed() {
            let left = right.moved("close_bal", by).and_then(|line| line.moved("carry_bal", by));
            add("left, closed", left.and_then(|line| line.spread(OUT, -by).or_else(|| line.moved("backpay", by))), ["V8", ""]);
        }
        if self.follows() {
            add("more than was left", right.moved("open_bal", by).and_then(|line| line.spread(OUT, by)), ["V7", ""]);
            let before = (0..=MOST).contains(&(open + signed)).then(|| self.previous(open + signed)).flatten();
            all.extend(before.map(|before| Changed { what: "other books before", line: right, previous: Some(before), breaks: "V7", may_break: "" }));
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_right_row_is_judged_right(seed in seed()) {
        let line = seed.row();
        let judgement = figures(seed.yuan).judge(&line.row(), seed.previous(line.fen("open_bal")).as_ref());
        prop_assert!(judgement.is_kept(), "{:?}", judgement);
        let not_judged: Vec<&str> = judgement.not_judged().map(|(rule, _)| rule.code()).collect();
        let expected = [("V4", seed.dormant), ("V5", seed.dormant), ("V7", !seed.follows())];
        prop_assert_eq!(not_judged, expected.into_iter().filter_map(|(code, not)| not.then_some(code)).collect::<Vec<_>>());
    }
}

#[test]
fn each_rule_refuses_what_breaks_it_from_a_fen_up() {
    let met = RefCell::new(BTreeSet::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    let each = |(seed, by, up): (Seed, i64, bool)| {
        seed.changed(by, up).iter().try_for_each(|changed| {
            met.borrow_mut().insert(changed.what);
            changed.check(seed.yuan)
        })
    };
    TestRunner::new(config).run(&(seed(), change(), any::<bool>()), each).unwrap();
    // No way of changing a row was left untried.
    assert_eq!(met.borrow().len(), 29, "{met:?}");
}
