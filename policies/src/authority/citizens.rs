//! What a registrar's word is worth: how many certificates a mailbox has, and how long a statement is taken.

use serde::Deserialize;
use toml::Spanned;

use super::orders::Hourly;
use crate::document::{PolicyError, read};

/// Of `citizens.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Citizens {
    /// Good certificates of one mailbox at a time, at most, when another is asked for.
    pub live: u8,
    /// How old a statement may be, and how far the clocks of gateway and authority may differ.
    pub statement_seconds: i64,
    pub hourly: Hourly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    live: Spanned<u8>,
    statement_minutes: Spanned<u16>,
    hourly: Spanned<Hourly>,
}

impl Citizens {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { live, statement_minutes, hourly } = read(file, text)?;
        let refused = |span, reason: String| Err(PolicyError::at(file, text, Some(span), reason));
        let (span, live) = (live.span(), live.into_inner());
        if !(1..=8).contains(&live) {
            return refused(span, format!("{live} certificates of one mailbox; write 1 to 8"));
        }
        let (span, minutes) = (statement_minutes.span(), statement_minutes.into_inner());
        if !(1..=1_440).contains(&minutes) {
            return refused(span, format!("statements taken for {minutes} minutes; write 1 to 1440"));
        }
        let (span, hourly) = (hourly.span(), hourly.into_inner());
        if !hourly.is_sound() {
            return refused(span, format!("statements in an hour: {} from an address, {} from all; write 1 to 1000000 for all, and no more from one", hourly.per_address, hourly.all));
        }
        Ok(Self { live, statement_seconds: i64::from(minutes) * 60, hourly })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_make_sense_and_nonsense_is_named() {
        let shipped = include_str!("../../authority/citizens.toml");
        let rules = Citizens::parse("citizens.toml", shipped).unwrap();
        assert_eq!((rules.live, rules.statement_seconds, rules.hourly.all), (1, 600, 20_000));
        for (from, to, says) in [
            ("live = 1", "live = 0", "0 certificates"),
            ("live = 1", "live = 9", "9 certificates"),
            ("statement_minutes = 10", "statement_minutes = 0", "for 0 minutes"),
            ("per_address = 6000", "per_address = 20001", "20001 from an address"),
            ("all = 20000", "all = 0", "0 from all"),
            ("live = 1", "live = 1\nliving = 1", "unknown field"),
        ] {
            let reason = Citizens::parse("citizens.toml", &shipped.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(reason.starts_with("citizens.toml, line ") && reason.contains(says), "{to}: {reason}");
        }
    }
}
