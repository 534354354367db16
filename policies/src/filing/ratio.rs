//! Exact numbers of rules: a fraction of whole numbers, so that nothing is rounded but where a rule says so.

use std::cmp::Ordering;

/// A number in lowest terms; every operation says when it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: i128,
    /// At least one.
    denominator: i128,
}

fn gcd(left: u128, right: u128) -> u128 {
    // Amounts fit in half as many bits, which the processor divides at once.
    if let (Ok(left), Ok(right)) = (u64::try_from(left), u64::try_from(right)) {
        return narrow_gcd(left, right).into();
    }
    if right == 0 { left } else { gcd(right, left % right) }
}

fn narrow_gcd(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

impl Ratio {
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };

    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let divisor = i128::try_from(gcd(numerator.unsigned_abs(), denominator.unsigned_abs())).ok().filter(|_| denominator != 0)?;
        let sign = denominator.signum();
        Some(Self { numerator: (numerator / divisor).checked_mul(sign)?, denominator: (denominator / divisor).checked_mul(sign)? })
    }

    pub fn whole(number: i64) -> Self {
        Self { numerator: i128::from(number), denominator: 1 }
    }

    /// Digits, and after a point more digits: `0.01`, `30`. At most 18 digits in all.
    pub fn decimal(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, part) = digits.split_once('.').map_or((digits, ""), |(whole, part)| (whole, part));
        let plain = !whole.is_empty() && (part.is_empty() != digits.contains('.')) && whole.len() + part.len() <= 18;
        let number: i128 = format!("{whole}{part}").parse().ok().filter(|_| plain && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?;
        Self::new(if negative { -number } else { number }, 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?)
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self { numerator: other.numerator.checked_neg()?, ..other })
    }

    pub fn checked_mul(self, other: Self) -> Option<Self> {
        Self::new(self.numerator.checked_mul(other.numerator)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// None also when divided by nought.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        Self::new(self.numerator.checked_mul(other.denominator)?, self.denominator.checked_mul(other.numerator)?)
    }

    pub fn compare(self, other: Self) -> Option<Ordering> {
        Some(self.numerator.checked_mul(other.denominator)?.cmp(&other.numerator.checked_mul(self.denominator)?))
    }

    pub fn abs(self) -> Option<Self> {
        Some(Self { numerator: self.numerator.checked_abs()?, ..self })
    }

    /// To the nearest multiple of `step`, half away from nought.
    pub fn round(self, step: Self) -> Option<Self> {
        let steps = self.checked_div(step)?;
        let twice = steps.numerator.checked_abs()?.checked_mul(2)?.checked_add(steps.denominator)?;
        let whole = twice / steps.denominator.checked_mul(2)? * steps.numerator.signum();
        step.checked_mul(Self { numerator: whole, denominator: 1 })
    }

    /// With the decimals it takes, two at least where it has a fraction; a fraction that no decimals end is cut after six.
    pub fn text(self) -> String {
        if self.denominator == 1 {
            return self.numerator.to_string();
        }
        let sign = if self.numerator < 0 { "-" } else { "" };
        let (whole, mut rest) = (self.numerator.unsigned_abs() / self.denominator.unsigned_abs(), self.numerator.unsigned_abs() % self.denominator.unsigned_abs());
        let mut digits = String::new();
        while digits.len() < 6 && (rest != 0 || digits.len() < 2) {
            rest = rest.saturating_mul(10);
            digits += &(rest / self.denominator.unsigned_abs()).to_string();
            rest %= self.denominator.unsigned_abs();
        }
        format!("{sign}{whole}.{digits}")
    }

    /// As an amount of yuan, with two decimals; none when it has more.
    pub fn yuan(self) -> Option<String> {
        let fen = self.checked_mul(Self::whole(100)).filter(|fen| fen.denominator == 1)?.numerator;
        Some(format!("{}{}.{:02}", if fen < 0 { "-" } else { "" }, fen.unsigned_abs() / 100, fen.unsigned_abs() % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Money, Rate, RoundTo};
    use proptest::prelude::*;

    fn of(text: &str) -> Ratio {
        Ratio::decimal(text).unwrap()
    }

    #[test]
    fn rounding_is_half_away_from_nought() {
        for (number, step, rounded) in [("0.005", "0.01", "0.01"), ("0.0049", "0.01", "0"), ("-0.005", "0.01", "-0.01"), ("8500.5", "1", "8501"), ("8500.49", "1", "8500"), ("12", "5", "10"), ("12.5", "5", "15")] {
            assert_eq!(of(number).round(of(step)), Some(of(rounded)), "{number}");
        }
        assert_eq!(of("1").checked_div(of("3")).unwrap().round(of("0.01")), Some(of("0.33")));
        assert_eq!(of("1").checked_div(Ratio::ZERO), None);
    }

    #[test]
    fn texts() {
        assert_eq!((of("12.5").text().as_str(), of("-0.01").text().as_str(), of("3").text().as_str()), ("12.50", "-0.01", "3"));
        assert_eq!(of("1").checked_div(of("3")).unwrap().text(), "0.333333");
        assert_eq!((of("3").yuan().as_deref(), of("-0.5").yuan().as_deref(), of("0.001").yuan()), (Some("3.00"), Some("-0.50"), None));
        for wrong in ["", ".", "1.", ".5", "1e3", "--1", "+1", "1234567890123456789", "１"] {
            assert_eq!(Ratio::decimal(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_the_one_that_money_computes(fen in -10_i64.pow(17)..10_i64.pow(17), hundredths in 0_u16..10_000) {
            let (money, rate) = (Money::from_fen(fen).unwrap(), Rate::parse(&format!("{}.{:02}", hundredths / 100, hundredths % 100)).unwrap());
            for (to, step) in [(RoundTo::Fen, "0.01"), (RoundTo::Yuan, "1")] {
                let share = of(&money.to_string()).checked_mul(of(&rate.to_string())).and_then(|share| share.checked_div(Ratio::whole(100))).and_then(|share| share.round(of(step)));
                prop_assert_eq!(share.and_then(Ratio::yuan), money.at(rate, to).map(|money| money.to_string()));
            }
        }

        #[test]
        fn sums_are_exact(a in any::<i32>(), b in any::<i32>(), c in 1_i64..1000) {
            let (a, b, c) = (Ratio::whole(a.into()), Ratio::whole(b.into()), Ratio::whole(c));
            let third = |x: Ratio| x.checked_div(c).unwrap();
            prop_assert_eq!(third(a).checked_add(third(b)), a.checked_add(b).and_then(|sum| sum.checked_div(c)));
            prop_assert_eq!(a.checked_add(b).and_then(|sum| sum.checked_sub(b)), Some(a));
        }
    }
}
