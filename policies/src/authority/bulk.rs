//! What one bulk act may do, and how gently.

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, read};

/// Of `bulk.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Certificates that one act may change without the number being said again.
    pub most: u32,
    /// Certificates revoked in one commit.
    pub batch: u16,
    /// Certificates issued at one time.
    pub parallel: u16,
    /// Milliseconds between two steps.
    pub pause_ms: u16,
    /// Days for which the old certificates of a bulk re-issue stay valid.
    pub reissue_overlap_days: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    most: Spanned<u32>,
    batch: Spanned<u16>,
    parallel: Spanned<u16>,
    pause_ms: Spanned<u16>,
    reissue_overlap_days: Spanned<u16>,
}

impl Bulk {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { most, batch, parallel, pause_ms, reissue_overlap_days } = read(file, text)?;
        let span = most.span();
        let most = match most.into_inner() {
            most @ 1..=1_000_000 => most,
            other => return Err(PolicyError::at(file, text, Some(span), format!("{other} certificates; write 1 to 1000000"))),
        };
        let within = |value: Spanned<u16>, from: u16, to: u16| {
            let span = value.span();
            match value.into_inner() {
                value if (from..=to).contains(&value) => Ok(value),
                other => Err(PolicyError::at(file, text, Some(span), format!("{other} is out of bounds; write {from} to {to}"))),
            }
        };
        Ok(Self {
            most,
            batch: within(batch, 1, 1_000)?,
            parallel: within(parallel, 1, 64)?,
            pause_ms: within(pause_ms, 0, 10_000)?,
            reissue_overlap_days: within(reissue_overlap_days, 0, 366)?,
        })
    }
}
