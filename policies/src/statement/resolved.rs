//! The statement policy as the program understands it: the columns, the rules, and every dated figure.

use std::fmt::Write as _;

use super::money::RoundTo;
use super::parameters::Parameters;
use super::Kind;

impl Parameters {
    /// The same meaning gives the same text: it is kept under test, so that a change of policy shows.
    pub fn resolved(&self, kind: Kind) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        line("statement", kind.name());
        for column in kind.columns() {
            line(&format!("column {}", column.name), &format!("{}, {} / {}", column.form, column.zh, column.en));
        }
        for rule in kind.rules() {
            line(&format!("rule {rule}"), rule.says());
        }
        match kind {
            Kind::HousingFund => {
                for figures in self.housing_fund() {
                    line("from", &figures.effective_from.to_string());
                    line("  base", &format!("{} to {}", figures.base_floor, figures.base_cap));
                    line("  rates", &format!("{} % to {} %", figures.rate_min, figures.rate_max));
                    line("  rounded to", rounded(figures.round_to));
                    line("  interest", &interest(figures.interest_rate.to_string(), figures.interest_month, figures.interest_bound_percent));
                    line("  source", &figures.source);
                }
            }
            Kind::Pension => {
                for figures in self.pension() {
                    line("from", &figures.effective_from.to_string());
                    line("  base", &format!("{} to {}", figures.base_floor, figures.base_cap));
                    line("  own rate", &format!("{} %", figures.person_rate));
                    line("  rounded to", rounded(figures.round_to));
                    line("  interest", &interest(figures.interest_rate.to_string(), figures.interest_month, figures.interest_bound_percent));
                    line("  source", &figures.source);
                }
            }
        }
        text
    }
}

fn rounded(to: RoundTo) -> &'static str {
    match to {
        RoundTo::Fen => "fen",
        RoundTo::Yuan => "yuan",
    }
}

fn interest(rate: String, month: u8, percent: u16) -> String {
    format!("{rate} % a year, posted in month {month}, accepted up to {percent} % of a year's")
}
