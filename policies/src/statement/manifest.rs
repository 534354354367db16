//! The manifest of a batch: what the sender signed about the file beside it.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Kind;
use super::money::Money;
use super::period::Period;
use super::purpose::{Purpose, WrittenMending, WrittenReason};
use super::value::{BatchId, SenderCode};

/// The most bytes of a manifest.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024;

/// The most rows of one batch.
pub const MAX_ROWS: u64 = 10_000_000;

/// The one form that is understood.
const SCHEMA_VERSION: u32 = 1;

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest has more than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    #[error("the manifest is not UTF-8")]
    NotUtf8,
    #[error("the manifest begins with a byte order mark; save it as UTF-8 without BOM")]
    ByteOrderMark,
    #[error("the manifest, line {line}, character {at}: {reason}")]
    Json { line: usize, at: usize, reason: String },
    #[error("the manifest's {field}: {reason}")]
    Field { field: &'static str, reason: String },
}

/// A manifest whose every field is valid. Whether the file agrees is for [`super::Totals`] and the digest to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    batch_id: BatchId,
    sender: SenderCode,
    kind: String,
    period: Period,
    rows: u64,
    sum_close: Money,
    sum_paid_in: Money,
    sha256: [u8; 32],
    created_at: OffsetDateTime,
    purpose: Purpose,
}

/// What a manifest holds: each field, whether it may be left out, an example in JSON, and what it says. For whoever writes one.
pub const FIELDS: &[ManifestField] = &[
    ManifestField::needed("batch_id", r#""HF-202610-01""#, "unique for its sender; the same again is answered as the first time"),
    ManifestField::needed("sender_code", r#""gz-housing-fund""#, "the bureau's code in the register"),
    ManifestField::needed("kind", r#""housing-fund""#, "housing-fund, pension, or a kind of policies/senders"),
    ManifestField::needed("period", r#""202610""#, "YYYYMM, of every row"),
    ManifestField::needed("schema_version", "1", "the form of the manifest"),
    ManifestField::needed("rows", "2", "rows of the file, without its first line"),
    ManifestField::needed("sum_close", r#""68400.00""#, "sum of close_bal (housing-fund), close (pension), the kind's total, or 0.00"),
    ManifestField::needed("sum_paid_in", r#""2400.00""#, "sum of paid_in (housing-fund), person_amt (pension), or 0.00"),
    ManifestField::needed("sha256", r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#, "of the file's bytes, unpacked, in lower case"),
    ManifestField::needed("created_at", r#""2026-11-01T00:00:00Z""#, "RFC 3339"),
    ManifestField::besides("mends", r#"{"batch": "HF-202609-01", "rows": "3,17"}"#, "rows of an earlier batch that were kept back, mended: the n-th row stands for the n-th of `rows`"),
    ManifestField::besides("supersedes", r#"{"reason": "单位补报", "reason_en": "late report"}"#, "each row corrects the statement that its column `supersedes` names"),
    ManifestField::besides("withdraws", r#"{"reason": "发送有误", "reason_en": "sent in error"}"#, "the file has one column, stmt_id: statements that hold no more"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestField {
    pub name: &'static str,
    pub needed: bool,
    pub example: &'static str,
    pub says: &'static str,
}

impl ManifestField {
    const fn needed(name: &'static str, example: &'static str, says: &'static str) -> Self {
        Self { name, needed: true, example, says }
    }

    /// One of these, or none.
    const fn besides(name: &'static str, example: &'static str, says: &'static str) -> Self {
        Self { name, needed: false, example, says }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    batch_id: String,
    sender_code: String,
    kind: String,
    period: String,
    schema_version: u32,
    rows: u64,
    sum_close: String,
    sum_paid_in: String,
    sha256: String,
    created_at: String,
    mends: Option<WrittenMending>,
    supersedes: Option<WrittenReason>,
    withdraws: Option<WrittenReason>,
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotUtf8)?;
        if text.starts_with('\u{feff}') {
            return Err(ManifestError::ByteOrderMark);
        }
        let written: Written = serde_json::from_str(text).map_err(|error| ManifestError::Json {
            line: error.line(),
            at: error.column(),
            reason: error.to_string().chars().take(200).collect(),
        })?;
        written.check()
    }

    /// Unique for its sender: a batch that comes again is answered as the first time.
    pub fn batch_id(&self) -> &BatchId {
        &self.batch_id
    }

    pub fn sender(&self) -> &SenderCode {
        &self.sender
    }

    /// `housing-fund`, `pension`, or the name of a kind that a policy defines.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The kind of statement; none for those that policies define.
    pub fn statement(&self) -> Option<Kind> {
        Kind::from_name(&self.kind)
    }

    pub fn period(&self) -> Period {
        self.period
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn sum_close(&self) -> Money {
        self.sum_close
    }

    /// Housing fund: the sum of `paid_in`. Pension: the sum of `person_amt`.
    pub fn sum_paid_in(&self) -> Money {
        self.sum_paid_in
    }

    /// Of the file's bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    pub fn created_at(&self) -> OffsetDateTime {
        self.created_at
    }

    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }
}

impl Written {
    fn check(self) -> Result<Manifest, ManifestError> {
        let refused = |field, reason: &dyn std::fmt::Display| ManifestError::Field { field, reason: reason.to_string() };
        if self.schema_version != SCHEMA_VERSION {
            return Err(refused("schema_version", &format!("it is {}; only {SCHEMA_VERSION} is understood", self.schema_version)));
        }
        if !(1..=MAX_ROWS).contains(&self.rows) {
            return Err(refused("rows", &format!("a batch has 1 to {MAX_ROWS} rows; split it")));
        }
        let purpose = Purpose::of(self.mends, self.supersedes, self.withdraws).map_err(|(field, reason)| refused(field, &reason))?;
        if let Purpose::Mend { rows, .. } = &purpose
            && rows.count() != self.rows
        {
            return Err(refused("mends.rows", &format!("it names {} rows, and the file has {}", rows.count(), self.rows)));
        }
        let money = |field, text: &str| Money::parse(text).map_err(|error| refused(field, &error));
        Ok(Manifest {
            batch_id: BatchId::parse(&self.batch_id).map_err(|error| refused("batch_id", &error))?,
            sender: SenderCode::parse(&self.sender_code).map_err(|error| refused("sender_code", &error))?,
            kind: kind(self.kind).ok_or_else(|| refused("kind", &"it is housing-fund, pension, or the name of a kind that the city's policies define"))?,
            period: Period::parse(&self.period).map_err(|error| refused("period", &error))?,
            rows: self.rows,
            sum_close: money("sum_close", &self.sum_close)?,
            sum_paid_in: money("sum_paid_in", &self.sum_paid_in)?,
            sha256: digest(&self.sha256).ok_or_else(|| refused("sha256", &"it is 64 hexadecimal digits in lower case"))?,
            created_at: OffsetDateTime::parse(&self.created_at, &Rfc3339)
                .map_err(|_| refused("created_at", &"it is a time by RFC 3339, such as 2026-11-01T00:00:00Z"))?,
            purpose,
        })
    }
}

/// Up to 32 lower-case letters, digits and hyphens.
fn kind(name: String) -> Option<String> {
    let fits = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits.then_some(name)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if text.len() != 64 || !digits {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(fields: &[&ManifestField]) -> String {
        let members: Vec<String> = fields.iter().map(|field| format!("\"{}\": {}", field.name, field.example)).collect();
        format!("{{{}}}", members.join(", "))
    }

    #[test]
    fn the_fields_that_are_told_are_those_that_are_read() {
        let needed: Vec<&ManifestField> = FIELDS.iter().filter(|field| field.needed).collect();
        Manifest::parse(written(&needed).as_bytes()).unwrap();
        for besides in FIELDS.iter().filter(|field| !field.needed) {
            let all = [needed.as_slice(), &[besides]].concat();
            assert_ne!(Manifest::parse(written(&all).as_bytes()).unwrap().purpose(), &Purpose::Deliver, "{}", besides.name);
        }
        for at in 0..needed.len() {
            let without: Vec<&ManifestField> = needed.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, field)| *field).collect();
            assert!(Manifest::parse(written(&without).as_bytes()).is_err());
        }
        // The reader itself says what it knows.
        let known = serde_json::from_str::<Written>(r#"{"?": 1}"#).err().unwrap().to_string();
        assert_eq!(known.matches('`').count() / 2 - 1, FIELDS.len(), "{known}");
    }
}
