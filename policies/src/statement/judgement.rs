//! The rules of statements by their names, and what was found of each.

use super::money::{Money, Rate, RoundTo, yuan};
use crate::identity::PersonName;

macro_rules! rules {
    ($($(#[$meta:meta])* $rule:ident: $says:literal,)+) => {
        /// A rule of a statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$meta])* $rule),+ }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$rule),+];

            /// As reports write it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$rule => stringify!($rule)),+ }
            }

            /// One line of English.
            pub fn says(self) -> &'static str {
                match self { $(Self::$rule => $says),+ }
            }
        }
    };
}

rules! {
    V1: "close_bal = open_bal + paid_in + backpay + transfer_in + interest + adjust - withdraw - transfer_out",
    V2: "close_bal = carry_bal + cur_bal",
    V3: "unit_amt = base x unit_rate and person_amt = base x person_rate, each rounded alone; month_amt is their sum",
    V4: "both rates lie within the bounds of the month",
    V5: "base lies within the bounds of the month",
    V6: "interest only in the month of posting, at closure or with a correction, and within its bound",
    V7: "open_bal = close_bal of the month before",
    V8: "a sealed account pays nothing in; a closed one is empty",
    /// Judged over the whole file: see `Totals`.
    V9: "rows, sums and digest of the file are those of the manifest",
    /// Judged where the owner is known: see `judge_owner`.
    V10: "the name is the mailbox owner's",
    P1: "close = year_open + open_interest + ytd_credit + ytd_interest + transfer_in - transfer_out - payout",
    P2: "person_amt = base x the rate of the month, unit_amt = base x unit_rate, each rounded alone",
    P3: "ytd_credit = that of the month before + person_amt, or more when months were paid late",
    P4: "interest only in the month of posting, at a transfer or at the end, and within its bound",
    P5: "months_year is no more than the month's number; months_actual rises by 0 or 1, or more when months were paid late",
    P6: "year_open is that of the month before, in January its close",
    P7: "base lies within the bounds of the month",
}

impl std::fmt::Display for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code())
    }
}

/// What was found of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Kept,
    /// With the figures that do not agree; never a name or an identity number.
    Broken { reason: String },
    NotJudged { why: &'static str },
}

impl Verdict {
    /// Kept when the two amounts are one.
    pub(super) fn equal(name: &str, stated: Money, made: i128, of: &str) -> Self {
        if i128::from(stated.fen()) == made {
            return Self::Kept;
        }
        Self::Broken { reason: format!("{name} is {stated}, but {of} make {}", yuan(made)) }
    }

    /// Kept when `stated` is `base` at `rate`, rounded.
    pub(super) fn share(name: &str, stated: Money, base: Money, rate: Rate, to: RoundTo) -> Self {
        match base.at(rate, to) {
            Some(made) if made == stated => Self::Kept,
            Some(made) => Self::broken(format!("{name} is {stated}, but {base} at {rate} % make {made}")),
            None => Self::broken(format!("base is {base}, too large to reckon with")),
        }
    }

    /// Kept when `least <= stated <= most`.
    pub(super) fn within<T: PartialOrd + std::fmt::Display>(name: &str, stated: T, least: T, most: T) -> Self {
        let kept = least <= stated && stated <= most;
        if kept { Self::Kept } else { Self::broken(format!("{name} is {stated}, not within {least} and {most}")) }
    }

    pub(super) fn broken(reason: String) -> Self {
        Self::Broken { reason }
    }

    /// The first that is not kept, in order; kept when all are.
    pub(super) fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().find(|verdict| *verdict != Self::Kept).unwrap_or(Self::Kept)
    }
}

/// What was found of each rule that is judged over one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement(Vec<(Rule, Verdict)>);

impl Judgement {
    pub(super) fn new(verdicts: Vec<(Rule, Verdict)>) -> Self {
        Self(verdicts)
    }

    /// Whether no rule is broken: the row may be delivered.
    pub fn is_kept(&self) -> bool {
        self.broken().next().is_none()
    }

    pub fn broken(&self) -> impl Iterator<Item = (Rule, &str)> {
        self.0.iter().filter_map(|(rule, verdict)| match verdict {
            Verdict::Broken { reason } => Some((*rule, reason.as_str())),
            _ => None,
        })
    }

    pub fn not_judged(&self) -> impl Iterator<Item = (Rule, &'static str)> {
        self.0.iter().filter_map(|(rule, verdict)| match verdict {
            Verdict::NotJudged { why } => Some((*rule, *why)),
            _ => None,
        })
    }

    /// In the order of the rules.
    pub fn verdicts(&self) -> &[(Rule, Verdict)] {
        &self.0
    }
}

/// V10: whether the name of a row may be that of the mailbox's owner. A row that breaks it is quarantined.
pub fn judge_owner(row: &PersonName, owner: &PersonName) -> Verdict {
    if row.matches(owner) {
        Verdict::Kept
    } else {
        Verdict::broken("the name is not that of the document's holder here; compare both with the document".to_owned())
    }
}

/// Why V7, P3 and P6 are not judged.
pub(super) const NO_MONTH_BEFORE: &str = "the month before is not at hand";

/// Why bounds are not judged of an account into which nothing is paid.
pub(super) const NO_CONTRIBUTION: &str = "nothing is contributed";

/// The sum of signed parts in fen; cannot overflow.
pub(super) fn sum(plus: &[Money], minus: &[Money]) -> i128 {
    let of = |parts: &[Money]| parts.iter().map(|part| i128::from(part.fen())).sum::<i128>();
    of(plus) - of(minus)
}
