//! The months before, drawn inside the message: bars that need no picture and fetch nothing, with the figures beside them for
//! readers and for voices.

use policies::statement::{Form, Money, Period};

use super::html::{HEADING, TABLE, push};
use super::sheet::{Pair, Sheet, say};

const TITLE: Pair = ("近十二个月余额", "Balance of twelve months");
/// Months that are drawn, this one included.
pub const MONTHS: usize = 12;

/// The closing balances of the months before, oldest first, and this month's. None where there is no month before.
pub(super) struct History(Vec<(Period, Money)>);

impl History {
    pub fn new(before: &[(Period, Money)], this: (Period, Money)) -> Option<Self> {
        let earlier: Vec<_> = before.iter().copied().filter(|(period, _)| *period < this.0 && period.ordinal() + 12 > this.0.ordinal()).collect();
        let skipped = earlier.len().saturating_sub(MONTHS - 1);
        (!earlier.is_empty()).then(|| Self(earlier.into_iter().skip(skipped).chain([this]).collect()))
    }

    /// What changed since the month that came before this one.
    fn change(&self) -> Option<(Period, Money)> {
        let [.., (before, old), (_, new)] = self.0.as_slice() else { return None };
        Some((*before, new.checked_sub(*old)?))
    }

    /// What the change is called, Chinese and English, and the change as people read it.
    pub fn changed(&self) -> Option<([String; 2], String)> {
        let (since, change) = self.change()?;
        let mut amount = if change > Money::ZERO { "+".to_owned() } else { String::new() };
        say(Form::Amount, &change.to_string(), None, &mut amount);
        Some(([format!("与{}相比", Sheet::month_of(since)), format!("Since {}", Sheet::month_en_of(since))], amount))
    }

    pub fn text(&self, out: &mut String) {
        push(out, &["\n【", TITLE.0, " ", TITLE.1, "】\n"]);
        for (period, close) in &self.0 {
            push(out, &[&Sheet::month_of(*period), ": "]);
            say(Form::Amount, &close.to_string(), None, out);
            out.push('\n');
        }
    }

    pub fn html(&self, out: &mut String) {
        push(out, &["<table style=\"", TABLE, "\nmargin-top:24px\">\n<caption style=\"text-align:left;font-weight:bold;padding:4px 0\">\n", TITLE.0, " <span lang=\"en\">", TITLE.1, "</span></caption>\n"]);
        let most = self.0.iter().map(|(_, close)| close.fen()).max().unwrap_or(0).max(1);
        for (period, close) in &self.0 {
            // Of a hundred, for the eye alone: the figure stands beside it.
            let width = (i128::from(close.fen().max(0)) * 100 / i128::from(most)).to_string();
            push(out, &["<tr>\n<th scope=\"row\" style=\"", HEADING, "\nwidth:25%;padding:2px 0;white-space:nowrap\">", &Sheet::month_of(*period), "</th>\n"]);
            push(out, &["<td aria-hidden=\"true\" style=\"width:40%;padding:2px 8px\"><div style=\"background:#0b5345;\nheight:10px;border-radius:5px;width:", &width, "%\"></div></td>\n<td style=\"white-space:nowrap\">"]);
            say(Form::Amount, &close.to_string(), None, out);
            out.push_str("</td></tr>\n");
        }
        out.push_str("</table>\n");
    }

    /// The member that JSON has besides.
    pub fn json(&self, out: &mut String) {
        out.push_str(",\n\"history\": [");
        for (at, (period, close)) in self.0.iter().enumerate() {
            push(out, &[if at == 0 { "\n" } else { ",\n" }, "{\"period\": \"", &period.to_string(), "\", \"close\": \"", &close.to_string(), "\"}"]);
        }
        out.push_str("\n]");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn month(text: &str, fen: i64) -> (Period, Money) {
        (Period::parse(text).unwrap(), Money::from_fen(fen).unwrap())
    }

    #[test]
    fn a_year_is_drawn_and_what_is_older_or_later_is_not() {
        assert!(History::new(&[], month("202610", 1)).is_none());
        assert!(History::new(&[month("202510", 1), month("202610", 2), month("202611", 3)], month("202610", 4)).is_none());
        let history = History::new(&[month("202510", 1), month("202511", 100_000), month("202609", 6_600_000)], month("202610", 6_360_000)).unwrap();
        let (mut text, mut html, mut json) = (String::new(), String::new(), String::new());
        history.text(&mut text);
        history.html(&mut html);
        history.json(&mut json);
        assert!(text.contains("2025年11月: 1,000.00 元\n2026年9月: 66,000.00 元\n2026年10月: 63,600.00 元\n"), "{text}");
        assert_eq!(history.changed().unwrap(), (["与2026年9月相比".to_owned(), "Since 2026-09".to_owned()], "-2,400.00 元".to_owned()));
        let changed = |old, new| History::new(&[month("202609", old)], month("202610", new)).unwrap().changed().unwrap().1;
        assert_eq!([changed(0, 321_580), changed(5, 5)], ["+3,215.80 元", "0.00 元"]);
        assert!(!text.contains("2025年10月") && html.contains("width:1%") && html.contains("width:100%") && html.contains("width:96%"), "{html}");
        assert!(!html.contains("<img") && !html.contains("url(") && !html.contains("http"));
        assert_eq!(json.matches("period").count(), 3);
    }

    proptest! {
        /// One value, told three times: each reader finds the same balances.
        #[test]
        fn the_three_drawings_say_the_same(closes in proptest::collection::vec(0_i64..=99_999_999_999, 2..14)) {
            let months: Vec<(Period, Money)> = closes.iter().enumerate().map(|(at, fen)| month(&format!("{}", 202501 + at + if at > 11 { 88 } else { 0 }), *fen)).collect();
            let (this, before) = months.split_last().unwrap();
            let history = History::new(before, *this).unwrap();
            let (mut text, mut html, mut json) = (String::new(), String::new(), String::new());
            history.text(&mut text);
            history.html(&mut html);
            history.json(&mut json);
            let shown = &months[months.len().saturating_sub(MONTHS)..];
            let json: serde_json::Value = serde_json::from_str(&format!("{{\"a\":1{json}}}")).unwrap();
            prop_assert_eq!(json["history"].as_array().unwrap().len(), shown.len());
            for (at, (period, close)) in shown.iter().enumerate() {
                prop_assert_eq!(json["history"][at]["period"].as_str().unwrap(), period.to_string());
                prop_assert_eq!(json["history"][at]["close"].as_str().unwrap(), close.to_string());
                let mut said = String::new();
                say(Form::Amount, &close.to_string(), None, &mut said);
                let (line, cell) = (format!("{}: {said}\n", Sheet::month_of(*period)), format!(">{said}</td>"));
                prop_assert!(text.contains(&line) && html.contains(&cell));
            }
        }
    }
}
