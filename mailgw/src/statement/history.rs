//! The months before, drawn inside the message: bars that need no picture and fetch nothing, with the figures beside them for
//! readers and for voices.

use std::sync::LazyLock;

use policies::statement::{Form, Money, Period};

use super::html::{self, CAPTION, HEADING, push};
use super::sheet::{Pair, month, month_en, say};
use crate::mime::quoted_printable::{Pieces, Quoted};

const TITLE: Pair = ("近十二个月余额", "Balance of twelve months");
/// Months that are drawn, this one included.
pub const MONTHS: usize = 12;
/// Seen on white and on black.
const BAR: &str = "#188a67";

/// The closing balances of the months before, oldest first, and this month's. None where there is no month before.
pub(super) struct History {
    months: Vec<Month>,
    /// Of each month two: what it is called, and its balance as people read it.
    encoded: Pieces,
    /// Since the month that came before this one.
    changed: Option<(Period, Money)>,
}

struct Month {
    period: Period,
    close: String,
    /// Of a hundred, for the eye alone: the figure stands beside it.
    width: u8,
}

/// What is drawn around the values, in the order of the constants below.
static DRAWN: LazyLock<Pieces> = LazyLock::new(|| {
    let (title, title_en) = TITLE;
    let mut pieces = Pieces::default();
    for parts in [
        ["\n【", title, " ", title_en, "】\n"].as_slice(),
        &[
            "<table width=\"100%\" cellpadding=\"2\"\nstyle=\"text-align:right;margin-top:18px\">\n", CAPTION, title, " <span lang=\"en\">", title_en,
            "</span></caption>\n<col width=\"25%\"><col width=\"40%\">\n",
        ],
        &["<tr>\n", HEADING, " nowrap=\"1\">\n"],
        &["</th>\n<td aria-hidden=\"true\">\n<div style=\"background:", BAR, ";height:10px;width:"],
        &["%\"></div></td>\n", html::AMOUNT],
        &["</td></tr>\n"],
        &["</table>\n"],
    ] {
        pieces.push(&parts.concat());
    }
    pieces
});
const IN_TEXT: usize = 0;
const TABLE: usize = 1;
const ROW: usize = 2;
const DRAWN_BAR: usize = 3;
const AMOUNT: usize = 4;
const ROW_END: usize = 5;
const TABLE_END: usize = 6;

impl History {
    pub fn new(before: &[(Period, Money)], this: (Period, Money)) -> Option<Self> {
        let earlier: Vec<_> = before.iter().copied().filter(|(period, _)| *period < this.0 && period.ordinal() + 12 > this.0.ordinal()).collect();
        let (since, old) = *earlier.last()?;
        let skipped = earlier.len().saturating_sub(MONTHS - 1);
        let shown = || earlier.iter().skip(skipped).chain([&this]);
        let most = shown().map(|(_, close)| close.fen()).max().unwrap_or(0).max(1);
        let (mut months, mut encoded, mut said) = (Vec::with_capacity(MONTHS), Pieces::with_capacity(2 * MONTHS, 1024), String::with_capacity(32));
        for (period, money) in shown() {
            let mut close = String::with_capacity(20);
            money.write(&mut close);
            said.clear();
            say(Form::Amount, &close, None, &mut said);
            encoded.push(&month(*period));
            encoded.push(&said);
            // At most a hundred.
            let width = u8::try_from(i128::from(money.fen().max(0)) * 100 / i128::from(most)).unwrap_or(0);
            months.push(Month { period: *period, close, width });
        }
        Some(Self { months, encoded, changed: this.1.checked_sub(old).map(|change| (since, change)) })
    }

    /// What the change is called, Chinese and English, and the change as people read it.
    pub fn changed(&self) -> Option<([String; 2], String)> {
        let (since, change) = self.changed?;
        let mut amount = if change > Money::ZERO { "+".to_owned() } else { String::new() };
        say(Form::Amount, &change.to_string(), None, &mut amount);
        Some(([format!("与{}相比", month(since)), format!("Since {}", month_en(since))], amount))
    }

    pub fn text(&self, out: &mut Quoted<'_>) {
        out.piece(DRAWN.get(IN_TEXT));
        for at in 0..self.months.len() {
            out.piece(self.encoded.get(2 * at));
            out.text(": ");
            out.piece(self.encoded.get(2 * at + 1));
            out.text("\n");
        }
    }

    pub fn html(&self, out: &mut Quoted<'_>) {
        out.piece(DRAWN.get(TABLE));
        for (at, month) in self.months.iter().enumerate() {
            out.piece(DRAWN.get(ROW));
            out.piece(self.encoded.get(2 * at));
            out.piece(DRAWN.get(DRAWN_BAR));
            out.text(&month.width.to_string());
            out.piece(DRAWN.get(AMOUNT));
            out.piece(self.encoded.get(2 * at + 1));
            out.piece(DRAWN.get(ROW_END));
        }
        out.piece(DRAWN.get(TABLE_END));
    }

    /// The member that JSON has besides.
    pub fn json(&self, out: &mut String) {
        out.push_str(",\n\"history\": [");
        for (at, Month { period, close, .. }) in self.months.iter().enumerate() {
            push(out, &[if at == 0 { "\n" } else { ",\n" }, "{\"period\": \"", &period.to_string(), "\", \"close\": \"", close, "\"}"]);
        }
        out.push_str("\n]");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::mime::quoted_printable::decoded;

    fn of(text: &str, fen: i64) -> (Period, Money) {
        (Period::parse(text).unwrap(), Money::from_fen(fen).unwrap())
    }

    #[test]
    fn a_year_is_drawn_and_what_is_older_or_later_is_not() {
        assert!(History::new(&[], of("202610", 1)).is_none());
        assert!(History::new(&[of("202510", 1), of("202610", 2), of("202611", 3)], of("202610", 4)).is_none());
        let history = History::new(&[of("202510", 1), of("202511", 100_000), of("202609", 6_600_000)], of("202610", 6_360_000)).unwrap();
        let (text, html, mut json) = (decoded(|out| history.text(out)), decoded(|out| history.html(out)), String::new());
        history.json(&mut json);
        assert!(text.contains("2025年11月: 1,000.00 元\n2026年9月: 66,000.00 元\n2026年10月: 63,600.00 元\n"), "{text}");
        assert_eq!(history.changed().unwrap(), (["与2026年9月相比".to_owned(), "Since 2026-09".to_owned()], "-2,400.00 元".to_owned()));
        let changed = |old, new| History::new(&[of("202609", old)], of("202610", new)).unwrap().changed().unwrap().1;
        assert_eq!([changed(0, 321_580), changed(5, 5)], ["+3,215.80 元", "0.00 元"]);
        assert!(!text.contains("2025年10月") && html.contains("width:1%") && html.contains("width:100%") && html.contains("width:96%"), "{html}");
        assert!(!html.contains("<img") && !html.contains("url(") && !html.contains("http"));
        assert_eq!(json.matches("period").count(), 3);
    }

    proptest! {
        /// One value, told three times: each reader finds the same balances.
        #[test]
        fn the_three_drawings_say_the_same(closes in proptest::collection::vec(0_i64..=99_999_999_999, 2..14)) {
            let months: Vec<(Period, Money)> = closes.iter().enumerate().map(|(at, fen)| of(&format!("{}", 202501 + at + if at > 11 { 88 } else { 0 }), *fen)).collect();
            let (this, before) = months.split_last().unwrap();
            let history = History::new(before, *this).unwrap();
            let (text, html, mut json) = (decoded(|out| history.text(out)), decoded(|out| history.html(out)), String::new());
            history.json(&mut json);
            let shown = &months[months.len().saturating_sub(MONTHS)..];
            let json: serde_json::Value = serde_json::from_str(&format!("{{\"a\":1{json}}}")).unwrap();
            prop_assert_eq!(json["history"].as_array().unwrap().len(), shown.len());
            for (at, (period, close)) in shown.iter().enumerate() {
                prop_assert_eq!(json["history"][at]["period"].as_str().unwrap(), period.to_string());
                prop_assert_eq!(json["history"][at]["close"].as_str().unwrap(), close.to_string());
                let mut said = String::new();
                say(Form::Amount, &close.to_string(), None, &mut said);
                let (line, cell) = (format!("{}: {said}\n", month(*period)), format!(">{said}</td>"));
                prop_assert!(text.contains(&line) && html.contains(&cell));
            }
        }
    }
}
