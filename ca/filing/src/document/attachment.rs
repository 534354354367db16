//! What goes with a filing, named by its digest.

use std::io::Read;

use policies::identity::CreditCode;
use ring::digest::{Context, SHA256};
use sm3::{Digest as _, Sm3};

use super::json::{Object, Value};

pub const MAX_ATTACHMENTS: usize = 64;
pub const MAX_ATTACHMENT_BYTES: u64 = 100 << 20;
const MAX_NAME_BYTES: usize = 160;
/// Octets of a file in memory.
const PIECE: usize = 64 << 10;

/// A file that goes with a filing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: AttachmentName,
    /// Octets, at most [`MAX_ATTACHMENT_BYTES`].
    pub size: u64,
    pub sha256: [u8; 32],
    /// GB/T 32905; filings from before it was told have none. spec: domain.md 6
    pub sm3: Option<[u8; 32]>,
    pub media_type: MediaType,
}

/// What a file is, found piece by piece as it is read.
#[derive(Clone)]
pub struct Content {
    size: u64,
    sha256: Context,
    sm3: Sm3,
}

/// By which an attachment is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    pub size: u64,
    pub sha256: [u8; 32],
    pub sm3: [u8; 32],
}

impl Default for Content {
    fn default() -> Self {
        Self { size: 0, sha256: Context::new(&SHA256), sm3: Sm3::new() }
    }
}

impl Content {
    pub fn update(&mut self, piece: &[u8]) {
        self.size = self.size.saturating_add(piece.len() as u64);
        self.sha256.update(piece);
        self.sm3.update(piece);
    }

    /// All that `file` still gives, but for what is beyond `most` octets by more than one.
    pub fn read(mut self, file: impl Read, most: u64) -> std::io::Result<Digests> {
        let (mut file, mut piece) = (file.take(most.saturating_add(1)), vec![0; PIECE]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(self.end()),
                Ok(count) => self.update(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn end(self) -> Digests {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        Digests { size: self.size, sha256, sm3: self.sm3.finalize().into() }
    }
}

/// A file name without a path, of at most 160 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentName(String);

impl AttachmentName {
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && text.trim() == text && !text.starts_with('.') && text.chars().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `type/subtype` in lower case, at most 100 bytes, without parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaType(String);

impl MediaType {
    pub fn parse(text: &str) -> Option<Self> {
        let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b));
        let fits = text.len() <= 100 && text.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
        fits.then(|| Self(text.to_owned()))
    }

    /// By what the file is called; `application/octet-stream` when that tells nothing.
    pub fn of_name(name: &str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let known = match ending.as_str() {
            "pdf" => "application/pdf",
            "ofd" => "application/ofd",
            "csv" => "text/csv",
            "txt" => "text/plain",
            "json" => "application/json",
            "xml" => "application/xml",
            "jpg" | "jpeg" => "image/jpeg",
            "png" => "image/png",
            "zip" => "application/zip",
            "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            _ => "application/octet-stream",
        };
        Self(known.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Attachment {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name| object.get(name).and_then(Value::as_text);
        let sm3 = object.get("sm3").map(|told| told.as_text().and_then(digest));
        if object.len() != 4 + usize::from(sm3.is_some()) {
            return None;
        }
        let size = object.get("size").and_then(Value::as_integer).and_then(|size| u64::try_from(size).ok())?;
        Some(Self {
            name: AttachmentName::parse(text("name")?)?,
            size: Some(size).filter(|size| *size <= MAX_ATTACHMENT_BYTES)?,
            sha256: digest(text("sha256")?)?,
            sm3: match sm3 {
                Some(told) => Some(told?),
                None => None,
            },
            media_type: MediaType::parse(text("media_type")?)?,
        })
    }

    pub fn value(&self) -> Value {
        let mut object = Object::from([
            ("name", Value::text(self.name.as_str())),
            ("size", Value::Integer(i64::try_from(self.size).unwrap_or(i64::MAX))),
            ("sha256", Value::text(self.digest_text())),
            ("media_type", Value::text(self.media_type.as_str())),
        ]);
        if let Some(sm3) = &self.sm3 {
            object.insert("sm3", Value::text(hex(sm3)));
        }
        Value::Object(object)
    }

    /// Of SHA-256: 64 small hexadecimal digits.
    pub fn digest_text(&self) -> String {
        hex(&self.sha256)
    }

    /// Whether the filing is of this content, by all that it tells of it.
    pub fn is(&self, content: &Digests) -> bool {
        (self.size, self.sha256) == (content.size, content.sha256) && self.sm3.is_none_or(|sm3| sm3 == content.sm3)
    }
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let nibble = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f').then(|| char::from(digit).to_digit(16)).flatten();
    for (pair, byte) in text.as_bytes().chunks(2).zip(digest.iter_mut()) {
        let &[high, low] = pair else { return None };
        *byte = u8::try_from(nibble(high)? << 4 | nibble(low)?).ok()?;
    }
    (text.len() == 64).then_some(digest)
}

/// A credit code as documents write it: already in its one form.
pub(super) fn credit_code(text: &str) -> Option<CreditCode> {
    CreditCode::parse(text).ok().filter(|code| code.as_str() == text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_types_of_files() {
        for right in ["合同.pdf", "a b.csv", "1"] {
            assert!(AttachmentName::parse(right).is_some(), "{right}");
        }
        for wrong in ["", "../a", "a/b", "a\\b", ".profile", " a", "a\n", "gpj\u{202e}fdp", &"长".repeat(54)] {
            assert!(AttachmentName::parse(wrong).is_none(), "{wrong}");
        }
        for wrong in ["", "pdf", "text/", "/plain", "Text/plain", "text/plain; charset=utf-8", "text/a/b"] {
            assert!(MediaType::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(MediaType::of_name("合同.PDF").as_str(), "application/pdf");
    }

    /// Those of `abc` are the standards' own examples. spec: fips180-4, gb/t 32905
    #[test]
    fn an_attachment_is_told_by_both_digests_and_by_sha_256_alone_as_before() {
        let content = || Content::default().read(b"abc".as_slice(), 3).unwrap();
        let both = |sm3: &str| {
            let sm3 = if sm3.is_empty() { String::new() } else { format!(",\"sm3\":{sm3}") };
            Value::parse(format!("{{\"media_type\":\"text/plain\",\"name\":\"a\",\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"size\":3{sm3}}}").as_bytes()).unwrap()
        };
        let right = "\"66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0\"";
        for (value, is) in [(both(right), true), (both(""), true), (both(&right.replace("66c7", "66c8")), false)] {
            let read = Attachment::read(&value).unwrap();
            assert_eq!((read.value().canonical(), read.is(&content())), (value.canonical(), is));
        }
        for wrong in ["\"66\"", "null", "1", &right.to_uppercase()] {
            assert_eq!(Attachment::read(&both(wrong)), None, "{wrong}");
        }
        // More than was told is another content, however long it goes on.
        assert!(!Attachment::read(&both("")).unwrap().is(&Content::default().read(std::io::repeat(b'a'), 3).unwrap()));
        assert_eq!(Content::default().read(std::io::repeat(b'a'), 3).unwrap().size, 4);
    }

    #[test]
    fn digests() {
        assert_eq!(digest(&"0f".repeat(32)), Some([15; 32]));
        for wrong in [String::new(), "0f".repeat(31), "0F".repeat(32), "0f".repeat(33), format!("{}é", "0f".repeat(31))] {
            assert_eq!(digest(&wrong), None, "{wrong}");
        }
    }
}
