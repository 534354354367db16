//! What the desk grants: rates, places, sizes, patience. Each within bounds that the program can keep.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::unnamed::{self, Entry, Unnamed};
use crate::document::{PolicyError, read};

/// As it comes with the program.
pub(super) const SHIPPED: (&str, &str) = ("limits.toml", include_str!("../../desk/limits.toml"));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Filings in an hour.
    pub per_enterprise: u32,
    pub all: u32,
    /// Filings judged at one time, and those that wait.
    pub at_once: u32,
    pub places: u32,
    pub again_seconds: u32,
    /// Octets of all bodies of filings that are here at one time, and how long each may take to come.
    pub waiting_bytes: u64,
    pub body_seconds: u32,
    /// Bodies of one enterprise on their way at one time.
    pub bodies_per_enterprise: u32,
    pub verify: Verify,
    pub filing_bytes: u32,
    pub attachment_bytes: u64,
    /// What one enterprise may have here in attachments.
    pub enterprise_bytes: u64,
    pub uploads: Uploads,
    /// How long what is left of a file that nobody takes is let pass.
    pub rest_seconds: u32,
    pub skew_seconds: u32,
    pub signing_time_minutes: u32,
    pub counts_hours: u32,
    pub grace_seconds: u32,
    pub patience_seconds: u32,
}

/// What whoever asks for a verdict is granted, enterprise or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// Questions in an hour.
    pub per_address: u32,
    pub all: u32,
    /// Judged at one time.
    pub at_once: u32,
}

/// Attachments on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploads {
    /// Of all, and of one enterprise, at one time.
    pub at_once: u32,
    pub per_enterprise: u32,
    /// Octets of all that are on their way.
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    hourly: Hourly,
    queue: Queue,
    /// Unknown to documents from before: they have it as it is shipped.
    verify: Option<Asked>,
    filing: Filing,
    attachments: Attachments,
    /// Unknown to documents from before: they have it as it is shipped.
    unnamed: Option<Spanned<Vec<Entry>>>,
    time: Time,
    revocation: Revocation,
    patience: Patience,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hourly {
    per_enterprise: Spanned<u64>,
    all: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    at_once: Spanned<u64>,
    places: Spanned<u64>,
    again_seconds: Spanned<u64>,
    /// Unknown to documents from before: they have them as they are shipped.
    waiting_bytes: Option<Spanned<u64>>,
    body_seconds: Option<Spanned<u64>>,
    bodies_per_enterprise: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    per_address: Spanned<u64>,
    all: Spanned<u64>,
    at_once: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filing {
    max_bytes: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachments {
    max_bytes: Spanned<u64>,
    enterprise_bytes: Spanned<u64>,
    /// Unknown to documents from before: they have them as they are shipped.
    at_once: Option<Spanned<u64>>,
    at_once_per_enterprise: Option<Spanned<u64>>,
    in_flight_bytes: Option<Spanned<u64>>,
    rest_seconds: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    skew_seconds: Spanned<u64>,
    signing_time_minutes: Spanned<u64>,
    counts_hours: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    grace_seconds: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    seconds: Spanned<u64>,
}

pub(super) fn parse((file, text): (&str, &str)) -> Result<(Limits, Unnamed), PolicyError> {
    let document: Document = read(file, text)?;
    let within = |value: &Spanned<u64>, least: u64, most: u64| {
        let fits = (least..=most).contains(value.get_ref());
        if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most}"))) }
    };
    // Every bound below fits.
    let small = |value: &Spanned<u64>, least: u32, most: u32| within(value, least.into(), most.into()).map(|value| u32::try_from(value).unwrap_or(most));
    let verify = match &document.verify {
        Some(asked) => Verify {
            per_address: small(&asked.per_address, 1, 1_000_000)?,
            all: small(&asked.all, 1, 1_000_000_000)?,
            at_once: small(&asked.at_once, 1, 512)?,
        },
        None if text != SHIPPED.1 => parse(SHIPPED)?.0.verify,
        None => return Err(PolicyError::at(file, text, None, "[verify] is missing")),
    };
    let attachment_bytes = within(&document.attachments.max_bytes, 1, 100 << 20)?;
    let uploads = match (&document.attachments.at_once, &document.attachments.at_once_per_enterprise, &document.attachments.in_flight_bytes) {
        (Some(at_once), Some(per_enterprise), Some(bytes)) => {
            Uploads { at_once: small(at_once, 1, 8_192)?, per_enterprise: small(per_enterprise, 1, 8_192)?, bytes: within(bytes, attachment_bytes, 1 << 50)? }
        }
        (None, None, None) if text != SHIPPED.1 => parse(SHIPPED)?.0.uploads,
        _ => return Err(PolicyError::at(file, text, None, "at_once, at_once_per_enterprise and in_flight_bytes of [attachments] go together")),
    };
    let rest_seconds = match &document.attachments.rest_seconds {
        Some(seconds) => small(seconds, 1, 900)?,
        None if text != SHIPPED.1 => parse(SHIPPED)?.0.rest_seconds,
        None => return Err(PolicyError::at(file, text, None, "rest_seconds of [attachments] is missing")),
    };
    let filing_bytes = small(&document.filing.max_bytes, 16_384, 32 << 20)?;
    let (waiting_bytes, body_seconds) = match (&document.queue.waiting_bytes, &document.queue.body_seconds) {
        // The largest filing in base64 with its signature must find room.
        (Some(bytes), Some(seconds)) => (within(bytes, 2 * u64::from(filing_bytes) + (1 << 20), 1 << 40)?, small(seconds, 1, 900)?),
        (None, None) if text != SHIPPED.1 => parse(SHIPPED).map(|(shipped, _)| (shipped.waiting_bytes, shipped.body_seconds))?,
        _ => return Err(PolicyError::at(file, text, None, "waiting_bytes and body_seconds of [queue] go together")),
    };
    let bodies_per_enterprise = match &document.queue.bodies_per_enterprise {
        Some(bodies) => small(bodies, 1, 8_192)?,
        None if text != SHIPPED.1 => parse(SHIPPED)?.0.bodies_per_enterprise,
        None => return Err(PolicyError::at(file, text, None, "bodies_per_enterprise of [queue] is missing")),
    };
    let unnamed = match &document.unnamed {
        Some(entries) => unnamed::parse(file, text, entries)?,
        None if text != SHIPPED.1 => parse(SHIPPED)?.1,
        None => return Err(PolicyError::at(file, text, None, "[[unnamed]] is missing")),
    };
    let limits = Limits {
        per_enterprise: small(&document.hourly.per_enterprise, 1, 1_000_000)?,
        all: small(&document.hourly.all, 1, 1_000_000_000)?,
        at_once: small(&document.queue.at_once, 1, 512)?,
        places: small(&document.queue.places, 1, 100_000)?,
        again_seconds: small(&document.queue.again_seconds, 1, 3_600)?,
        waiting_bytes,
        body_seconds,
        bodies_per_enterprise,
        verify,
        filing_bytes,
        attachment_bytes,
        enterprise_bytes: within(&document.attachments.enterprise_bytes, attachment_bytes, 1 << 50)?,
        uploads,
        rest_seconds,
        skew_seconds: small(&document.time.skew_seconds, 0, 300)?,
        signing_time_minutes: small(&document.time.signing_time_minutes, 1, 1_440)?,
        counts_hours: small(&document.time.counts_hours, 0, 168)?,
        grace_seconds: small(&document.revocation.grace_seconds, 0, 86_400)?,
        patience_seconds: small(&document.patience.seconds, 1, 60)?,
    };
    Ok((limits, unnamed))
}

impl Limits {
    pub(super) fn resolve(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "in an hour {} filings of one enterprise, {} of all", self.per_enterprise, self.all);
        let _ = writeln!(text, "{} filings judged at once, {} wait, the others come again after {} s", self.at_once, self.places, self.again_seconds);
        let _ = writeln!(text, "bodies of filings take {} bytes together, each comes within {} s, {} of one enterprise on their way", self.waiting_bytes, self.body_seconds, self.bodies_per_enterprise);
        let _ = writeln!(text, "in an hour {} verdicts for one address, {} for all, {} judged at once", self.verify.per_address, self.verify.all, self.verify.at_once);
        let _ = writeln!(text, "a filing of at most {} bytes, an attachment of {}, of one enterprise together {}", self.filing_bytes, self.attachment_bytes, self.enterprise_bytes);
        let Uploads { at_once, per_enterprise, bytes } = self.uploads;
        let _ = writeln!(text, "{at_once} attachments on their way at once, {per_enterprise} of one enterprise, {bytes} bytes together");
        let _ = writeln!(text, "the rest of an attachment that nobody takes is let pass for {} s", self.rest_seconds);
        let _ = writeln!(text, "a timestamp at most {} s ahead, the signer's own time at most {} min from it", self.skew_seconds, self.signing_time_minutes);
        let _ = writeln!(text, "a timestamp counts for the deadline for {} h", self.counts_hours);
        let _ = writeln!(text, "revocation known from {} s before the timestamp on", self.grace_seconds);
        let _ = writeln!(text, "others are waited for {} s", self.patience_seconds);
    }
}
