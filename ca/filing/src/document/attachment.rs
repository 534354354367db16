//! What goes with a filing, named by its digest.

use policies::identity::CreditCode;

use super::json::{Object, Value};

pub const MAX_ATTACHMENTS: usize = 64;
pub const MAX_ATTACHMENT_BYTES: u64 = 100 << 20;
const MAX_NAME_BYTES: usize = 160;

/// A file that goes with a filing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: AttachmentName,
    /// Octets, at most [`MAX_ATTACHMENT_BYTES`].
    pub size: u64,
    pub sha256: [u8; 32],
    pub media_type: MediaType,
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
        let object = value.as_object().filter(|object| object.len() == 4)?;
        let text = |name| object.get(name).and_then(Value::as_text);
        let size = object.get("size").and_then(Value::as_integer).and_then(|size| u64::try_from(size).ok())?;
        Some(Self {
            name: AttachmentName::parse(text("name")?)?,
            size: Some(size).filter(|size| *size <= MAX_ATTACHMENT_BYTES)?,
            sha256: digest(text("sha256")?)?,
            media_type: MediaType::parse(text("media_type")?)?,
        })
    }

    pub fn value(&self) -> Value {
        Value::Object(Object::from([
            ("name", Value::text(self.name.as_str())),
            ("size", Value::Integer(i64::try_from(self.size).unwrap_or(i64::MAX))),
            ("sha256", Value::text(self.digest_text())),
            ("media_type", Value::text(self.media_type.as_str())),
        ]))
    }

    /// 64 small hexadecimal digits.
    pub fn digest_text(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
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

    #[test]
    fn digests() {
        assert_eq!(digest(&"0f".repeat(32)), Some([15; 32]));
        for wrong in [String::new(), "0f".repeat(31), "0F".repeat(32), "0f".repeat(33), format!("{}é", "0f".repeat(31))] {
            assert_eq!(digest(&wrong), None, "{wrong}");
        }
    }
}
