//! Pension rows that are right, in every state and month of the year, and what each rule says when one figure of them is not.

use std::cell::RefCell;
use std::collections::BTreeSet;

use policies::statement::{Kind, Previous};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::Line;
use super::amounts::{Changed, MOST, amount, bound, change, figures, money, months_before, part, part_of, period, share, written};

/// What a right row is made of.
#[derive(Clone, Debug)]
struct Seed {
    yuan: bool,
    year: u32,
    month: u32,
    status: &'static str,
    /// Without a base, where the status lets it be.
    dormant: bool,
    /// Thousandths of the way from floor to cap, or fen below (negative) or above them.
    base: i64,
    beyond: i64,
    unit_rate: i64,
    year_open: i64,
    credit_before: i64,
    /// Months paid late, and which part of the most they can bring.
    late: i64,
    late_part: i64,
    /// A contribution that is not counted yet.
    uncounted: bool,
    transfers: [i64; 2],
    largest: usize,
    less: i64,
    interest: [i64; 2],
    payout: i64,
    months: (i64, i64),
    /// How many months before is the row that is at hand; nought for none.
    before: u32,
}

fn seed() -> impl Strategy<Value = Seed> {
    let status = prop::sample::select(vec!["参保缴费", "参保缴费", "暂停", "终止", "领取"]);
    let month = prop_oneof![1 => Just(1_u32), 1 => Just(12_u32), 2 => 1..=12_u32];
    let late = prop_oneof![3 => Just(0_i64), 1 => 1..=12_i64];
    let who = (any::<bool>(), 2025..=2030_u32, month, status, any::<bool>(), part(), 0..=9_999_i64);
    let account = (amount(), amount(), late, part(), any::<bool>(), [amount(), amount()]);
    let rest = (0..12_usize, 0..3_i64, [part(), part()], part(), (part(), 0..600_i64), 0..=2_u32);
    (who, account, rest).prop_map(|((yuan, year, month, status, dormant, base, unit_rate), (year_open, credit_before, late, late_part, uncounted, transfers), rest)| {
        let (largest, less, interest, payout, months, before) = rest;
        let dormant = dormant && status != "参保缴费";
        Seed { yuan, year, month, status, dormant, base, beyond: 0, unit_rate, year_open, credit_before, late, late_part, uncounted, transfers, largest, less, interest, payout, months, before }
    })
}

/// A row and what the month before leaves for it.
struct Right {
    line: Line,
    own: i64,
    credit_before: i64,
    months_before: i64,
}

impl Seed {
    /// Floor, cap.
    fn bounds(&self) -> (i64, i64) {
        if (self.year, self.month) < (2025, 7) { (550_000, 2_750_100) } else { (551_000, 2_754_900) }
    }

    /// The most that months paid late can bring.
    fn late_most(&self) -> i64 {
        self.late * share(self.bounds().1, 800, self.yuan)
    }

    fn follows(&self) -> bool {
        self.before == 1
    }

    fn right(&self) -> Right {
        let (floor, cap) = self.bounds();
        let base = match self.beyond {
            _ if self.dormant => 0,
            0 => floor + part_of(cap - floor, self.base),
            below @ ..0 => floor + below,
            above => cap + above,
        };
        let rates = if self.dormant { [0, 0] } else { [800, self.unit_rate] };
        let own = share(base, rates[0], self.yuan);
        let late = if self.late > 0 { 1 + part_of(self.late_most() - 1, self.late_part) } else { 0 };
        let rise = self.late + i64::from(own > 0 && !(self.uncounted && self.late == 0));
        let january = self.month == 1;
        let credit_before = if january { 0 } else if self.largest == 1 { MOST - own - late - self.less } else { self.credit_before };
        let credit = credit_before + own + late;
        let year_open = if self.largest == 0 { MOST - self.less } else { self.year_open };
        let transfer_in = if self.largest == 2 { MOST - self.less } else { self.transfers[0] };
        let transfer_out = self.transfers[1].min(year_open);
        let may_have = self.month == 12 || transfer_in != 0 || transfer_out != 0 || self.status == "终止";
        let interest = |of, part| if may_have { part_of(bound(of, 150), part) } else { 0 };
        let (open_interest, credit_interest) = (interest(year_open, self.interest[0]), interest(credit, self.interest[1]));
        let have = year_open + credit + transfer_in + open_interest + credit_interest - transfer_out;
        let payout = part_of(have, self.payout).clamp((have - MOST).max(0), have.min(MOST));
        let amounts = [
            ("base", base), ("person_rate", rates[0]), ("person_amt", own), ("unit_rate", rates[1]), ("unit_amt", share(base, rates[1], self.yuan)),
            ("year_open", year_open), ("open_interest", open_interest), ("ytd_credit", credit), ("ytd_interest", credit_interest),
            ("transfer_in", transfer_in), ("transfer_out", transfer_out), ("payout", payout), ("close", have - payout),
        ];
        let counts = [("months_year", part_of(i64::from(self.month), self.months.0)), ("months_actual", self.months.1 + rise)];
        let line = Line::new(Kind::Pension).with("period", &period(self.year, self.month)).with("status", self.status);
        let line = amounts.into_iter().fold(line, |line, (column, fen)| line.with(column, &written(fen)));
        let line = counts.into_iter().fold(line, |line, (column, count)| line.with(column, &count.to_string()));
        Right { line, own, credit_before, months_before: self.months.1 }
    }

    /// The row before, with what this row's rules take from it; what they do not take is anything.
    fn previous(&self, right: &Right, open_more: i64, credit_more: i64) -> Option<Previous> {
        let open = right.line.fen("year_open") + open_more;
        let credit = right.credit_before + credit_more;
        if self.before == 0 || ![open, credit].iter().all(|fen| (0..=MOST).contains(fen)) {
            return None;
        }
        let (year_open, ytd_credit, close) = if self.month == 1 { (77, money(MOST), open) } else { (open, money(credit), 77) };
        let months_actual = u16::try_from(right.months_before).unwrap();
        Some(Previous::Pension { period: months_before(self.year, self.month, self.before), year_open: money(year_open), ytd_credit, close: money(close), months_actual })
    }

    /// Every change that can be made of the row, by `by` fen, up or down.
    fn changed(&self, by: i64, up: bool) -> Vec<Changed> {
        let (right, mut all) = (self.right(), Vec::new());
        let (line, signed, at_hand) = (&right.line, if up { by } else { -by }, self.previous(&right, 0, 0));
        let mut add = |what, line: Option<Line>, [breaks, may_break]: [&'static str; 2]| {
            all.extend(line.map(|line| Changed { what, line, previous: at_hand, breaks, may_break }));
        };
        // A sum that is more, paid out or left.
        let balanced = |line: Line, by: i64| line.moved("close", by).or_else(|| line.moved("payout", by));
        let count = |column: &str, count: i64| (0..=9_999).contains(&count).then(|| line.clone().with(column, &count.to_string()));
        let seen_before = self.follows();
        for (column, by, rules) in [
            ("payout", signed, ["P1", ""]), ("close", signed, ["P1", ""]), ("transfer_in", by, ["P1", ""]), ("transfer_out", by, ["P1", ""]),
            ("year_open", signed, if seen_before { ["P1 P6", "P4"] } else { ["P1", "P4"] }), ("open_interest", signed, ["P1", "P4"]),
            ("ytd_credit", signed, ["P1", "P3 P4 P5"]), ("ytd_interest", signed, ["P1", "P4"]),
            ("person_amt", signed, ["P2", "P3 P5"]), ("unit_amt", signed, ["P2", ""]),
        ] {
            add(column, line.moved(column, by), rules);
        }
        let credited = |line: Option<Line>, by| line.and_then(|line| line.moved("ytd_credit", by)).and_then(|line| balanced(line, by));
        // Where none was paid, this month's own is then one of those that are counted, and one less was paid late.
        add("own contribution, credited", credited(line.moved("person_amt", by), by), ["P2", if right.own == 0 { "P3" } else { "" }]);
        if !self.dormant {
            add("own rate", Some(line.clone().with("person_rate", &written(800 + if up { 1 + by % 9_199 } else { -1 - by % 800 }))), ["P2", ""]);
            let of = |beyond| Some(Self { beyond, ..self.clone() }.right().line);
            // Where the month before is at hand, its credit is that of the row before the base was changed.
            let rules = if seen_before { ["P7", "P3 P5"] } else { ["P7", ""] };
            add("base below", of(-1 - (by - 1) % 540_000), rules);
            add("base above", of(by), rules);
        }
        let moved = line.fen("transfer_in") != 0 || line.fen("transfer_out") != 0;
        for (column, of, names) in [("open_interest", "year_open", ["open interest at its bound", "open interest above", "open interest out of season"]), ("ytd_interest", "ytd_credit", ["interest at its bound", "interest above", "interest out of season"])] {
            let stated = |fen: i64| line.moved(column, fen - line.fen(column)).and_then(|changed| balanced(changed, fen - line.fen(column)));
            if self.month == 12 || moved || self.status == "终止" {
                let most = bound(line.fen(of), 150);
                add(names[0], stated(most), ["", ""]);
                add(names[1], stated(most + by), ["P4", ""]);
            } else {
                add(names[2], stated(by), ["P4", ""]);
            }
        }
        add("months of the year", count("months_year", i64::from(self.month) + 1 + by % 9_000), ["P5", ""]);
        if seen_before && self.late == 0 {
            add("fewer months", count("months_actual", right.months_before - 1 - by % 600), ["P5", ""]);
            add("months without credit", count("months_actual", right.months_before + 2 + by % 9_000), ["P5", ""]);
            add("credit without months", credited(Some(line.clone()), by), ["P3", ""]);
        }
        if seen_before && self.late > 0 {
            let room = self.late_most() - (line.fen("ytd_credit") - right.credit_before - right.own);
            add("late at its bound", credited(Some(line.clone()), room), ["", ""]);
            add("late above", credited(Some(line.clone()), room + by), ["P3", ""]);
        }
        if seen_before {
            let mut before = |what, previous: Option<Previous>, breaks| all.extend(previous.map(|previous| Changed { what, line: line.clone(), previous: Some(previous), breaks, may_break: "" }));
            before("other opening before", self.previous(&right, signed, 0), "P6");
            if self.month != 1 && self.late == 0 {
                before("other credit before", self.previous(&right, 0, signed), "P3");
            }
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_right_row_is_judged_right(seed in seed()) {
        let right = seed.right();
        let judgement = figures(seed.yuan).judge(&right.line.row(), seed.previous(&right, 0, 0).as_ref());
        prop_assert!(judgement.is_kept(), "{:?}", judgement);
        let not_judged: Vec<&str> = judgement.not_judged().map(|(rule, _)| rule.code()).collect();
        let expected = [("P3", !seed.follows()), ("P6", !seed.follows()), ("P7", seed.dormant)];
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
    assert_eq!(met.borrow().len(), 28, "{met:?}");
}
