//! How revocation lists are cut, how often each kind is made and how long it is good for.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::certificate::Issuer;
use crate::document::{PolicyError, read};

/// The most parts of one authority.
pub const MAX_PARTITIONS: u16 = 1_024;
/// A year: no list is good for longer, but for the root's by a leap day.
const YEAR_HOURS: u32 = 366 * 24;

/// How often one kind of list is made, and how long it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Made anew when the last one is so old.
    pub every_seconds: i64,
    /// And, when something changed, when it is so old.
    pub after_change_seconds: i64,
    pub valid_seconds: i64,
    /// For lists of more entries than this: so old, when something changed.
    pub large: Option<Large>,
}

/// When a long list is made anew: what changed meanwhile is on deltas and parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Large {
    pub above: u64,
    pub after_change_seconds: u32,
}

impl Pace {
    /// When something changed, a list of so many entries is made anew at this age, in seconds.
    pub fn after_change(&self, entries: u64) -> i64 {
        match self.large {
            Some(large) if entries > large.above => large.after_change_seconds.into(),
            _ => self.after_change_seconds,
        }
    }
}

/// Of `crl.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    pub root_seconds: i64,
    pub whole: Pace,
    pub partition: Pace,
    pub delta: Pace,
    partitions: BTreeMap<String, u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaceDocument {
    every_hours: u32,
    after_change_seconds: u32,
    valid_hours: u32,
    #[serde(default)]
    large: Option<Large>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    root_days: Spanned<u32>,
    partitions: Spanned<BTreeMap<String, u16>>,
    whole: Spanned<PaceDocument>,
    partition: Spanned<PaceDocument>,
    delta: Spanned<PaceDocument>,
}

impl Crl {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { root_days, partitions, whole, partition, delta } = read(file, text)?;
        let refused = |span, reason: String| PolicyError::at(file, text, Some(span), reason);
        let pace = |table: Spanned<PaceDocument>| {
            let span = table.span();
            let PaceDocument { every_hours, after_change_seconds, valid_hours, large } = table.into_inner();
            // A list that ends before the next one is made leaves relying parties without any.
            if every_hours == 0 || valid_hours <= every_hours || valid_hours > YEAR_HOURS {
                return Err(refused(span, format!("a list made every {every_hours} h and good for {valid_hours} h; make it every hour or more seldom, and good for longer than that, at most {YEAR_HOURS} h")));
            }
            if !(1..=3_600 * every_hours.min(24)).contains(&after_change_seconds) {
                return Err(refused(span, format!("a list made {after_change_seconds} s after the one before when something changed; write 1 s or more, and no more than every_hours or a day")));
            }
            // Longer than a day nobody waits for the one list that says everything.
            if large.is_some_and(|large| !(after_change_seconds..=3_600 * every_hours.min(24)).contains(&large.after_change_seconds)) {
                return Err(refused(span, "a long list is made anew sooner than a short one, or later than every_hours or a day; write a number between these".to_owned()));
            }
            let hours = |hours| i64::from(hours) * 3_600;
            Ok(Pace { every_seconds: hours(every_hours), after_change_seconds: after_change_seconds.into(), valid_seconds: hours(valid_hours), large })
        };
        let (span, root_days) = (root_days.span(), root_days.into_inner());
        if !(1..=366).contains(&root_days) {
            return Err(refused(span, format!("a root's list of {root_days} days; write 1 to 366")));
        }
        let (span, partitions) = (partitions.span(), partitions.into_inner());
        for (issuer, count) in &partitions {
            // The root's certificates are authorities, and its key is not here to sign many lists.
            if Issuer::from_name(issuer).is_none_or(|issuer| issuer == Issuer::Root) {
                return Err(refused(span, format!("partitions of {issuer:?}, which is no issuing authority")));
            }
            if *count > MAX_PARTITIONS {
                return Err(refused(span, format!("{count} partitions of {issuer}; write at most {MAX_PARTITIONS}")));
            }
        }
        Ok(Self { root_seconds: i64::from(root_days) * 86_400, whole: pace(whole)?, partition: pace(partition)?, delta: pace(delta)?, partitions })
    }

    /// In how many parts certificates that `issuer` signs from now on are put.
    pub fn partitions(&self, issuer: &str) -> u16 {
        self.partitions.get(issuer).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_make_sense_and_nonsense_is_named() {
        let shipped = include_str!("../../authority/crl.toml");
        let rules = Crl::parse("crl.toml", shipped).unwrap();
        assert_eq!((rules.partitions("enterprise-ca"), rules.partitions("officer-ca"), rules.partitions("nobody")), (16, 0, 0));
        for (from, to, says) in [
            ("enterprise-ca = 16", "root = 2", "no issuing authority"),
            ("enterprise-ca = 16", "enterprise-ca = 1025", "at most 1024"),
            ("root_days = 365", "root_days = 367", "367 days"),
            ("valid_hours = 168", "valid_hours = 24", "good for 24 h"),
            ("valid_hours = 168", "valid_hours = 9000", "good for 9000 h"),
            ("after_change_seconds = 10", "after_change_seconds = 0", "0 s after"),
            ("after_change_seconds = 3600 }", "after_change_seconds = 59 }", "a long list"),
            ("after_change_seconds = 3600 }", "after_change_seconds = 86401 }", "a long list"),
            ("every_hours = 1\n", "every_hours = 0\n", "made every 0 h"),
        ] {
            let reason = Crl::parse("crl.toml", &shipped.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(reason.starts_with("crl.toml, line ") && reason.contains(says), "{to}: {reason}");
        }
    }
}
