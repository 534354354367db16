//! What FETCH and SEARCH take from the bytes of a message.
mod address;
pub mod charset;
mod conversation;
mod decoding;
mod envelope;
mod outline;
mod parameter;
mod part;
mod search;
mod structure;
mod summary;

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use mail_parser::MimeHeaders;

use super::parse::{Section, SectionText};
pub use address::names;
pub(crate) use conversation::{named_by, thread_id};
pub use outline::{Outline, Outlines, Texts, WORDING, outline};
#[cfg(test)]
pub(super) use part::SCANS;
use part::{Kind, Part, slice};
pub use search::Searchable;
pub(crate) use summary::{Person, Summary, summary};

/// A message of which things are told: where its parts lie is found out once, when first asked.
pub(crate) struct Message<'x> {
    bytes: &'x [u8],
    root: OnceCell<Part>,
    /// The parts that were decoded, for pieces of one are asked for one after another. All together they are no more than the message: no
    /// octet lies in two parts that hide something.
    decoded: RefCell<BTreeMap<Vec<u32>, Decoded<'x>>>,
}

/// `None`: there is no such part.
type Decoded<'x> = Result<Option<Rc<Cow<'x, [u8]>>>, UnknownEncoding>;

/// A part's transfer encoding is not known, or its octets are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownEncoding;

impl<'x> Message<'x> {
    pub fn new(bytes: &'x [u8]) -> Self {
        Self { bytes, root: OnceCell::new(), decoded: RefCell::default() }
    }

    pub fn bytes(&self) -> &'x [u8] {
        self.bytes
    }

    fn root(&self) -> &Part {
        self.root.get_or_init(|| part::scan(self.bytes))
    }

    /// The octets of a section, without the partial; `None` when the message has no such part. spec: rfc3501#6.4.5
    pub fn section(&self, section: &Section) -> Option<Cow<'x, [u8]>> {
        let bytes = self.bytes;
        if section.path.is_empty() {
            // Of the message itself no part is looked for.
            let end = part::header_end(bytes, 0..bytes.len());
            return Some(match &section.text {
                SectionText::Whole => bytes.into(),
                SectionText::Header | SectionText::Mime => slice(bytes, 0..end).into(),
                SectionText::Text => slice(bytes, end..bytes.len()).into(),
                SectionText::Fields { names, not } => some_fields(slice(bytes, 0..end), names, *not).into(),
            });
        }
        let part = locate(self.root(), &section.path)?;
        let message = if let Kind::Message(inner) = &part.kind { Some(&**inner) } else { None };
        Some(match &section.text {
            SectionText::Whole => slice(bytes, part.body.clone()).into(),
            SectionText::Mime => slice(bytes, part.header.clone()).into(),
            SectionText::Header => slice(bytes, message?.header.clone()).into(),
            SectionText::Text => slice(bytes, message?.body.clone()).into(),
            SectionText::Fields { names, not } => some_fields(slice(bytes, message?.header.clone()), names, *not).into(),
        })
    }

    /// A part with its transfer encoding undone, `None` when there is no such part; without a number the message as it is.
    // spec: rfc3516#4.2
    pub fn binary(&self, path: &[u32]) -> Decoded<'x> {
        if path.is_empty() {
            return Ok(Some(Rc::new(self.bytes.into())));
        }
        if let Some(decoded) = self.decoded.borrow().get(path) {
            return decoded.clone();
        }
        let decoded = locate(self.root(), path).map(|part| self.decode(part).map(Rc::new)).transpose();
        self.decoded.borrow_mut().insert(path.to_vec(), decoded.clone());
        decoded
    }

    fn decode(&self, part: &Part) -> Result<Cow<'x, [u8]>, UnknownEncoding> {
        let body = slice(self.bytes, part.body.clone());
        // spec: rfc2045#6.4 what is made of parts hides nothing itself, whatever it says
        if !matches!(part.kind, Kind::Leaf) {
            return Ok(body.into());
        }
        let header = part::read_header(slice(self.bytes, part.header.clone()));
        charset::transferred(header.content_transfer_encoding(), body).ok_or(UnknownEncoding)
    }

    pub fn envelope(&self, out: &mut Vec<u8>) {
        envelope::of_header(slice(self.bytes, 0..part::header_end(self.bytes, 0..self.bytes.len())), out);
    }

    pub fn structure(&self, extended: bool, out: &mut Vec<u8>) {
        structure::structure_of(self.root(), self.bytes, extended, out);
    }

    /// The beginning of the first text, its white space single.
    pub fn preview(&self) -> String {
        search::first_text(self.bytes, self.root()).as_deref().map(beginning).unwrap_or_default()
    }
}

/// Characters of a preview. spec: rfc8970#3.1 at most 256
const PREVIEW: usize = 200;

fn beginning(text: &str) -> String {
    let mut preview = String::new();
    for word in text.split_whitespace().take(PREVIEW) {
        if !preview.is_empty() {
            preview.push(' ');
        }
        preview.push_str(word);
        if preview.chars().count() >= PREVIEW {
            break;
        }
    }
    preview.chars().take(PREVIEW).collect()
}

fn some_fields(header: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let wanted = |name: &[u8]| names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) != not;
    let mut out = Vec::new();
    part::fields(header).filter(|(name, _)| wanted(name)).for_each(|(_, field)| out.extend_from_slice(field));
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    // spec: rfc3501#6.4.5 the blank line is included whatever fields there are
    out.extend_from_slice(b"\r\n");
    out
}

/// Follows part numbers; a message that is no multipart is its own part 1.
fn locate<'x>(root: &'x Part, path: &[u32]) -> Option<&'x Part> {
    let mut current = root;
    for (step, number) in path.iter().enumerate() {
        let holder = match &current.kind {
            Kind::Message(inner) if step > 0 => inner,
            Kind::Leaf if step > 0 => return None,
            _ => current,
        };
        current = match &holder.kind {
            Kind::Multipart(parts) => parts.get((*number as usize).checked_sub(1)?)?,
            _ if *number == 1 => holder,
            _ => return None,
        };
    }
    Some(current)
}

/// NIL or a literal.
pub(crate) fn write_literal(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        None => out.extend_from_slice(b"NIL"),
        Some(text) => {
            // With what stands around it, so that a large one is copied once.
            out.reserve(text.len() + 64);
            out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
            out.extend_from_slice(text);
        }
    }
}

/// NIL, a literal, or one that may hold NUL. spec: rfc3516#4.2
pub(crate) fn write_literal8(text: Option<&[u8]>, out: &mut Vec<u8>) {
    if text.is_some_and(|text| text.contains(&0)) {
        out.push(b'~');
    }
    write_literal(text, out);
}

/// NIL or a quoted string: ASCII as it stands, anything else as encoded words.
fn write_string(text: Option<&str>, out: &mut Vec<u8>) {
    write_value(text.map(str::as_bytes), out);
}

/// A field's value, or a piece of one. What is ASCII goes out as the sender wrote it, encoded words and all: whoever asks reads them. What is
/// not is read, for a value that mixes them with raw octets would be encoded twice.
// spec: rfc3501#7.4.2
fn write_value(raw: Option<impl AsRef<[u8]>>, out: &mut Vec<u8>) {
    let Some(raw) = raw else { return out.extend_from_slice(b"NIL") };
    let raw = raw.as_ref();
    match std::str::from_utf8(raw) {
        // A line may be folded at a tab, and is one line here.
        Ok(text) if raw.iter().all(|b| matches!(b, b' '..=b'~' | b'\t')) => write_quoted(&text.replace('\t', " "), out),
        _ => write_quoted(&encoded_words(&charset::words(raw)), out),
    }
}

/// `text` has no control characters.
pub(crate) fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// spec: rfc2047#2 no word longer than 75, no character cut in two
fn encoded_words(text: &str) -> String {
    use base64::Engine as _;
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    for ch in text.chars() {
        if piece.len() + ch.len_utf8() > 45 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(ch);
    }
    words.push(piece);
    let coded: Vec<String> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word))).collect();
    coded.join(" ")
}
