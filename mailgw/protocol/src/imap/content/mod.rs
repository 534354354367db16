//! What FETCH and SEARCH take from the bytes of a message.
mod address;
pub mod charset;
mod conversation;
mod envelope;
mod outline;
mod parameter;
mod part;
mod search;
mod structure;
mod summary;

use std::borrow::Cow;

use super::parse::{Section, SectionText};
pub use address::names;
pub(crate) use conversation::{named_by, thread_id};
pub(crate) use envelope::envelope;
pub use outline::{Outline, Outlines, Texts, WORDING, outline};
use part::{Kind, Part, slice};
pub use search::Searchable;
pub(crate) use structure::structure;
pub(crate) use summary::{Person, Summary, summary};

/// The octets of a section, without the partial; `None` when the message has no such part. spec: rfc3501#6.4.5
pub(crate) fn section<'x>(bytes: &'x [u8], section: &Section) -> Option<Cow<'x, [u8]>> {
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
    let root = part::scan(bytes);
    let part = locate(&root, &section.path)?;
    let message = if let Kind::Message(inner) = &part.kind { Some(&**inner) } else { None };
    Some(match &section.text {
        SectionText::Whole => slice(bytes, part.body.clone()).into(),
        SectionText::Mime => slice(bytes, part.header.clone()).into(),
        SectionText::Header => slice(bytes, message?.header.clone()).into(),
        SectionText::Text => slice(bytes, message?.body.clone()).into(),
        SectionText::Fields { names, not } => some_fields(slice(bytes, message?.header.clone()), names, *not).into(),
    })
}

/// A part with its transfer encoding undone; without a number the message as it is. `None`: no such part, or an encoding that
/// cannot be undone.
// spec: rfc3516#4.2
pub(crate) fn binary<'x>(bytes: &'x [u8], path: &[u32]) -> Option<Cow<'x, [u8]>> {
    use mail_parser::MimeHeaders;
    if path.is_empty() {
        return Some(bytes.into());
    }
    let root = part::scan(bytes);
    let part = locate(&root, path)?;
    let header = part::read_header(slice(bytes, part.header.clone()));
    charset::transferred(header.content_transfer_encoding(), slice(bytes, part.body.clone()))
}

/// Characters of a preview. spec: rfc8970#3.1 at most 256
const PREVIEW: usize = 200;

/// The beginning of the first text, its white space single.
pub(crate) fn preview(bytes: &[u8]) -> String {
    let root = part::scan(bytes);
    let Some(text) = search::first_text(bytes, &root) else { return String::new() };
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
