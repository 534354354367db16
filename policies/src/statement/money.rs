//! Amounts in whole fen and rates in hundredths of a percent: no binary fractions anywhere.

use std::fmt;

use super::value::ValueError;

/// An amount of yuan, kept as fen. On the wire it has two decimals: `-12.50`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    pub const ZERO: Self = Self(0);

    pub fn from_fen(fen: i64) -> Option<Self> {
        // What has more than sixteen digits of yuan cannot be written on the wire.
        (fen.unsigned_abs() < 1_000_000_000_000_000_000).then_some(Self(fen))
    }

    pub fn fen(self) -> i64 {
        self.0
    }

    /// Appends it as on the wire. A statement has dozens.
    pub fn write(self, out: &mut String) {
        let (mut digits, mut at, mut rest) = ([b'0'; 24], 24, self.0.unsigned_abs());
        // Three digits at least, and the point before the last two.
        while at > 20 || rest > 0 {
            at -= if at == 22 { 2 } else { 1 };
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
        }
        digits[21] = b'.';
        if self.0 < 0 {
            out.push('-');
        }
        out.push_str(digits.get(at..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default());
    }

    /// `^-?\d{1,16}\.\d{2}$`, nothing else.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let fen = hundredths(digits, 16).ok_or(ValueError::Amount)?;
        Ok(Self(if negative { -fen } else { fen }))
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_fen)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_fen)
    }

    /// This amount at a rate, rounded half up (away from zero).
    pub fn at(self, rate: Rate, to: RoundTo) -> Option<Self> {
        // A hundredth of a percent is a ten-thousandth.
        let (divisor, unit) = match to {
            RoundTo::Fen => (10_000, 1),
            RoundTo::Yuan => (1_000_000, 100),
        };
        let exact = i128::from(self.0) * i128::from(rate.0);
        let rounded = (exact.abs() + divisor / 2) / divisor * unit * exact.signum();
        i64::try_from(rounded).ok().and_then(Self::from_fen)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(24);
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

/// Fen as a decimal text.
pub(crate) fn yuan(fen: i128) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

/// Percent with two decimals: `8.00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u16);

impl Rate {
    /// `^\d{1,2}\.\d{2}$`, nothing else.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let rate = hundredths(text, 2).and_then(|value| u16::try_from(value).ok());
        rate.map(Self).ok_or(ValueError::Rate)
    }

    /// Hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// To what an item is rounded before items are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundTo {
    Fen,
    Yuan,
}

/// One to `most` digits, a point, two digits.
fn hundredths(text: &str, most: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fits = (1..=most).contains(&whole.len()) && part.len() == 2 && digits(whole) && digits(part);
    let value = |text: &str| text.parse::<i64>().ok();
    if fits { value(whole)?.checked_mul(100)?.checked_add(value(part)?) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    #[test]
    fn the_form_of_an_amount() {
        assert_eq!(money("12.50").fen(), 1250);
        assert_eq!(money("-0.01").fen(), -1);
        assert_eq!(money("-0.00"), Money::ZERO);
        assert_eq!(money("9999999999999999.99").to_string(), "9999999999999999.99");
        for wrong in ["", "12", "12.5", "12.500", ".50", "+1.00", "1,000.00", "--1.00", " 1.00", "1.00 ", "１.00", "1.0a", "10000000000000000.00", "-", "1e2.00"] {
            assert_eq!(Money::parse(wrong), Err(ValueError::Amount), "{wrong}");
        }
    }

    #[test]
    fn the_form_of_a_rate() {
        assert_eq!(Rate::parse("8.00").unwrap().hundredths(), 800);
        assert_eq!(Rate::parse("12.50").unwrap().to_string(), "12.50");
        for wrong in ["8", "8.0", "100.00", "-8.00", ".08", "8,00", ""] {
            assert_eq!(Rate::parse(wrong), Err(ValueError::Rate), "{wrong}");
        }
    }

    #[test]
    fn rounding_is_half_up() {
        let at = |amount: &str, rate: &str, to| money(amount).at(Rate::parse(rate).unwrap(), to).unwrap().to_string();
        assert_eq!(at("6733.00", "5.00", RoundTo::Fen), "336.65");
        assert_eq!(at("27549.00", "8.00", RoundTo::Fen), "2203.92");
        assert_eq!(at("0.10", "5.00", RoundTo::Fen), "0.01");
        assert_eq!(at("0.09", "5.00", RoundTo::Fen), "0.00");
        assert_eq!(at("-0.10", "5.00", RoundTo::Fen), "-0.01");
        assert_eq!(at("6730.00", "5.00", RoundTo::Yuan), "337.00");
        assert_eq!(at("6729.99", "5.00", RoundTo::Yuan), "336.00");
        assert_eq!(at("9999999999999999.99", "99.99", RoundTo::Fen), "9998999999999999.99");
    }

    #[test]
    fn sums_stay_within_what_can_be_written() {
        let most = money("9999999999999999.99");
        assert_eq!(most.checked_add(money("0.01")), None);
        assert_eq!(money("-9999999999999999.99").checked_sub(money("0.01")), None);
        assert_eq!(most.checked_sub(most), Some(Money::ZERO));
        assert_eq!(Money::from_fen(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn printed_and_read_back(fen in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
            let money = Money::from_fen(fen).unwrap();
            prop_assert_eq!(Money::parse(&money.to_string()), Ok(money));
        }

        #[test]
        fn what_is_read_is_what_was_written(text in "-?[0-9]{1,16}\\.[0-9]{2}") {
            let again = Money::parse(&text).unwrap().to_string();
            let plain = text.trim_start_matches('-').trim_start_matches('0');
            let plain = if plain.starts_with('.') { format!("0{plain}") } else { plain.to_owned() };
            prop_assert_eq!(again.trim_start_matches('-'), plain);
        }

        #[test]
        fn a_rate_printed_and_read_back(hundredths in 0_u16..10_000) {
            let rate = Rate(hundredths);
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            let _ = (Money::parse(&text), Rate::parse(&text));
        }
    }
}
