//! A report as it is mailed: for people a few words, for programs what was counted, packed.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::smtp::exchange::Address;
use time::OffsetDateTime;

use crate::mime::header;
use crate::mime::part::lines;

const SECONDS: i64 = 86_400;

/// First and last second of a day.
pub(super) fn span(day: u64) -> (i64, i64) {
    let first = i64::try_from(day).unwrap_or(0).saturating_mul(SECONDS);
    (first, first.saturating_add(SECONDS - 1))
}

/// Made once for all who are written to.
pub(super) fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory cannot fail.
    let _ = packed.write_all(text.as_bytes());
    packed.finish().unwrap_or_default()
}

/// What one kind of report says besides what all have.
pub(super) struct Letter<'a> {
    /// Ours.
    pub domain: &'a str,
    /// The domain that is told.
    pub told: &'a str,
    pub day: u64,
    /// Of the report, and of its message.
    pub id: String,
    pub subject: String,
    /// Further fields of its header.
    pub fields: Vec<(&'a str, &'a str)>,
    /// Above the boundary.
    pub content_type: &'a str,
    pub boundary: &'a str,
    pub words: String,
    /// `json` or `xml`.
    pub form: &'a str,
    /// Of the attachment, which the file's name follows where `is_named`.
    pub attached: &'a str,
    pub is_named: bool,
}

impl Letter<'_> {
    pub fn write(&self, packed: &[u8], to: &Address, now: OffsetDateTime) -> Vec<u8> {
        let (first, last) = span(self.day);
        let boundary = format!("=_{}_{}_{}", self.boundary, self.day, now.unix_timestamp());
        let mut out = Vec::new();
        header::mailbox(&mut out, "From", "邮件系统 / Mail system", &format!("postmaster@{}", self.domain));
        header::plain(&mut out, "To", &format!("<{}>", to.as_str()));
        header::plain(&mut out, "Date", &header::date(now));
        header::plain(&mut out, "Message-ID", &format!("<{}>", self.id));
        header::plain(&mut out, "Subject", &self.subject);
        for (name, value) in &self.fields {
            header::plain(&mut out, name, value);
        }
        header::plain(&mut out, "Auto-Submitted", "auto-generated");
        header::plain(&mut out, "MIME-Version", "1.0");
        header::plain(&mut out, "Content-Type", &format!("{};\r\n\tboundary=\"{boundary}\"", self.content_type));
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = write!(text, "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        lines(&mut text, &STANDARD.encode(&self.words));
        let name = format!("{}!{}!{first}!{last}.{}.gz", self.domain, self.told, self.form);
        let named = if self.is_named { format!("; name=\"{name}\"") } else { String::new() };
        let _ = write!(text, "--{boundary}\r\nContent-Type: {}{named}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n", self.attached);
        lines(&mut text, &STANDARD.encode(packed));
        let _ = write!(text, "--{boundary}--\r\n");
        out.extend_from_slice(text.as_bytes());
        out
    }
}
