//! What a batch is for, beside a month's first delivery: rows that were kept back come mended, statements that were wrong
//! are superseded by corrected ones, or withdrawn. Said in the manifest, so the bureau signed it.

use serde::Deserialize;

use super::value::{BatchId, ValueError};
use crate::identity::is_hidden;

/// The most bytes of a list of row numbers.
const MAX_LIST: usize = 8 * 1024;
/// The most bytes of a reason, in one language.
const MAX_REASON: usize = 240;

/// A batch has one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Statements that were not sent before.
    Deliver,
    /// Rows of `batch` that were kept back, mended: the n-th row of this file stands for the n-th of `rows`.
    Mend { batch: BatchId, rows: RowNumbers },
    /// Each row corrects the statement that its column `supersedes` names.
    Supersede(Reason),
    /// Each row names a statement that no longer holds.
    Withdraw(Reason),
}

/// As a manifest writes it: one of these, or none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMending {
    batch: String,
    rows: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenReason {
    reason: String,
    reason_en: String,
}

/// Why statements are corrected or withdrawn, as their readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub chinese: String,
    pub english: String,
}

/// Numbers of rows, ascending, each once: `3,17,20-40`. 1 is the first row after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowNumbers {
    /// First and last of each run, with what stands before it.
    runs: Vec<(u64, u64, u64)>,
    count: u64,
}

impl Purpose {
    pub(super) fn of(mends: Option<WrittenMending>, supersedes: Option<WrittenReason>, withdraws: Option<WrittenReason>) -> Result<Self, (&'static str, String)> {
        match (mends, supersedes, withdraws) {
            (None, None, None) => Ok(Self::Deliver),
            (Some(mends), None, None) => {
                let batch = BatchId::parse(&mends.batch).map_err(|error| ("mends.batch", error.to_string()))?;
                Ok(Self::Mend { batch, rows: RowNumbers::parse(&mends.rows).map_err(|reason| ("mends.rows", reason.to_owned()))? })
            }
            (None, Some(reason), None) => reason.check("supersedes").map(Self::Supersede),
            (None, None, Some(reason)) => reason.check("withdraws").map(Self::Withdraw),
            _ => Err(("mends", "a batch mends, supersedes or withdraws; make one of each".to_owned())),
        }
    }
}

impl WrittenReason {
    fn check(self, field: &'static str) -> Result<Reason, (&'static str, String)> {
        let word = |text: String| {
            let text = text.trim().to_owned();
            let fits = (1..=MAX_REASON).contains(&text.len()) && !text.chars().any(is_hidden);
            if fits { Ok(text) } else { Err((field, ValueError::Words { max: MAX_REASON }.to_string())) }
        };
        Ok(Reason { chinese: word(self.reason)?, english: word(self.reason_en)? })
    }
}

impl RowNumbers {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "write ascending numbers and ranges, such as 3,17,20-40";
        if text.len() > MAX_LIST {
            return Err("the list is too long; mend the rest in another batch");
        }
        // No sign, no leading zero: one list is written in one way.
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0 && *number <= super::MAX_ROWS && number.to_string() == text);
        let (mut runs, mut count, mut before) = (Vec::new(), 0_u64, 0);
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first).ok_or(SHAPE)?, number(last).ok_or(SHAPE)?);
            if first <= before || last < first {
                return Err(SHAPE);
            }
            runs.push((first, last, count));
            (count, before) = (count + (last - first + 1), last);
        }
        Ok(Self { runs, count })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The n-th of them, counted from 1.
    pub fn nth(&self, n: u64) -> Option<u64> {
        let at = self.runs.partition_point(|(_, _, before)| *before < n).checked_sub(1)?;
        let (first, last, before) = self.runs.get(at)?;
        let row = first.checked_add(n.checked_sub(*before)?.checked_sub(1)?)?;
        (row <= *last).then_some(row)
    }

    /// First and last of each run.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(first, last, _)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_of_rows() {
        let rows = RowNumbers::parse("3,17,20-22,24").unwrap();
        let all: Vec<u64> = (1..=rows.count()).map(|n| rows.nth(n).unwrap()).collect();
        assert_eq!(all, [3, 17, 20, 21, 22, 24]);
        assert_eq!((rows.nth(0), rows.nth(7), rows.nth(u64::MAX)), (None, None, None));
        assert_eq!(rows.runs().collect::<Vec<_>>(), [(3, 3), (17, 17), (20, 22), (24, 24)]);
        assert_eq!(RowNumbers::parse("1-10000000").unwrap().nth(10_000_000), Some(10_000_000));
        for wrong in ["", ",", "0", "3,3", "4,3", "3-2", "1-", "-1", "1-2-3", "+1", "01", " 1", "1 ", "1, 2", "10000001", "1-18446744073709551615", "１", &"1".repeat(9_000)] {
            assert!(RowNumbers::parse(wrong).is_err(), "{wrong:.40}");
        }
    }
}
