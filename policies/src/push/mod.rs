//! What a bureau's system may ask of the push interface, as the city decided.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, one_of_each, read};

/// File name and text of each document of `policies/push/`.
pub const SHIPPED: [(&str, &str); 1] = [("limits.toml", include_str!("../../push/limits.toml"))];

/// Of one bureau, where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushLimits {
    pub recipients_per_hour: u32,
    pub recipients_at_once: u32,
    pub requests_per_hour: u32,
    /// Bytes of an upload, unpacked, for each row of its manifest.
    pub row_bytes: u32,
    pub open_jobs: u32,
    /// Rows of all bureaus that wait or are being delivered, unpacked.
    pub held_megabytes: u32,
    pub wait_seconds: u32,
    pub abandoned_days: u32,
    /// Statements bear a mail signature.
    pub dkim: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    recipients_per_hour: Spanned<u32>,
    recipients_at_once: Spanned<u32>,
    requests_per_hour: Spanned<u32>,
    row_bytes: Spanned<u32>,
    open_jobs: Spanned<u32>,
    held_megabytes: Spanned<u32>,
    wait_seconds: Spanned<u32>,
    abandoned_days: Spanned<u32>,
    /// Of before there was a word about it: they do.
    #[serde(default = "yes")]
    dkim: bool,
}

fn yes() -> bool {
    true
}

impl PushLimits {
    /// Reads `limits.toml`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let [(file, text)] = one_of_each(["limits.toml"], documents)?;
        let written: Written = read(file, text)?;
        let within = |value: &Spanned<u32>, least: u32, most: u32| {
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most}"))) }
        };
        Ok(Self {
            recipients_per_hour: within(&written.recipients_per_hour, 1, 100_000)?,
            recipients_at_once: within(&written.recipients_at_once, 1, 1_000)?,
            requests_per_hour: within(&written.requests_per_hour, 60, 10_000_000)?,
            row_bytes: within(&written.row_bytes, 1_024, 65_536)?,
            open_jobs: within(&written.open_jobs, 1, 1_000)?,
            held_megabytes: within(&written.held_megabytes, 64, 1 << 22)?,
            wait_seconds: within(&written.wait_seconds, 1, 300)?,
            abandoned_days: within(&written.abandoned_days, 1, 366)?,
            dkim: written.dkim,
        })
    }

    /// The most bytes of an upload for so many rows, unpacked; a header line counts as sixteen.
    pub fn upload_bytes(&self, rows: u64) -> u64 {
        rows.saturating_add(16).saturating_mul(u64::from(self.row_bytes))
    }

    /// The most bytes of rows that are held, unpacked, of all bureaus together.
    pub fn held_bytes(&self) -> u64 {
        u64::from(self.held_megabytes) << 20
    }

    /// As the program understands it.
    pub fn resolved(&self) -> String {
        let mut text = String::from("push interface, for each bureau\n");
        for (name, value) in [
            ("persons asked about in an hour", self.recipients_per_hour),
            ("persons asked about at once", self.recipients_at_once),
            ("requests in an hour", self.requests_per_hour),
            ("bytes of an upload for each row", self.row_bytes),
            ("jobs that have not ended", self.open_jobs),
            ("megabytes of rows held, of all bureaus", self.held_megabytes),
            ("seconds a question waits", self.wait_seconds),
            ("days until an upload is abandoned", self.abandoned_days),
        ] {
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = writeln!(text, "statements bear a mail signature: {}", if self.dkim { "yes" } else { "no" });
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_limits_are_read_and_senseless_ones_are_not() {
        let limits = PushLimits::parse(SHIPPED).unwrap();
        assert_eq!((limits.upload_bytes(0), limits.upload_bytes(u64::MAX)), (16 * 4_096, u64::MAX));
        assert!(limits.resolved().lines().count() == 10);
        let (file, text) = SHIPPED[0];
        for (from, to) in [("open_jobs = 16", "open_jobs = 0"), ("wait_seconds = 60", "wait_seconds = 3600"), ("row_bytes", "row_byte"), ("abandoned_days = 7", "")] {
            let wrong = text.replace(from, to);
            assert_ne!(wrong, text);
            assert!(PushLimits::parse([(file, wrong.as_str())]).is_err(), "{to}");
        }
    }
}
