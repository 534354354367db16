//! How long a certificate may stay suspended.

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, read};

/// Of `suspension.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Days after which a suspension that nobody ended becomes a revocation.
    pub max_days: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    max_days: Spanned<u16>,
}

impl Suspension {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { max_days } = read(file, text)?;
        let span = max_days.span();
        match max_days.into_inner() {
            max_days @ 1..=366 => Ok(Self { max_days }),
            other => Err(PolicyError::at(file, text, Some(span), format!("a suspension of {other} days; write 1 to 366"))),
        }
    }
}
