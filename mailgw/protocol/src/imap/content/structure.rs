//! BODY and BODYSTRUCTURE.
use mail_parser::{Message, MimeHeaders};

use super::parameter::parameters;
use super::part::{Kind, Part, first, last, read_header, slice};
use super::{envelope, write_value, write_string};

/// `root`: as these bytes were scanned.
pub(super) fn structure_of(root: &Part, bytes: &[u8], extended: bool, out: &mut Vec<u8>) {
    Writer { bytes, extended }.part(root, out);
}

struct Writer<'x> {
    bytes: &'x [u8],
    extended: bool,
}

impl Writer<'_> {
    /// spec: rfc3501#7.4.2 BODYSTRUCTURE. Depth is bounded by the scan.
    fn part(&self, part: &Part, out: &mut Vec<u8>) {
        let header = slice(self.bytes, part.header.clone());
        let message = read_header(header);
        let raw = |name: &[u8]| first(header, name);
        out.push(b'(');
        if let Kind::Multipart(parts) = &part.kind {
            parts.iter().for_each(|part| self.part(part, out));
            out.push(b' ');
            write_string(Some(&part.media.subtype), out);
            if self.extended {
                out.push(b' ');
                write_parameters(&part.media.parameters, out);
            }
        } else {
            write_string(Some(&part.media.kind), out);
            out.push(b' ');
            write_string(Some(&part.media.subtype), out);
            out.push(b' ');
            write_parameters(&part.media.parameters, out);
            out.push(b' ');
            write_value(raw(b"Content-ID"), out);
            out.push(b' ');
            write_value(raw(b"Content-Description"), out);
            out.push(b' ');
            write_string(Some(message.content_transfer_encoding().unwrap_or("7BIT")), out);
            let body = slice(self.bytes, part.body.clone());
            out.extend_from_slice(format!(" {}", body.len()).as_bytes());
            let lines = body.iter().filter(|b| **b == b'\n').count() + usize::from(!body.is_empty() && !body.ends_with(b"\n"));
            if let Kind::Message(inner) = &part.kind {
                out.push(b' ');
                envelope::of_header(slice(self.bytes, inner.header.clone()), out);
                out.push(b' ');
                self.part(inner, out);
            }
            if matches!(part.kind, Kind::Message(_)) || part.media.kind.eq_ignore_ascii_case("text") {
                out.extend_from_slice(format!(" {lines}").as_bytes());
            }
            if self.extended {
                out.push(b' ');
                write_value(raw(b"Content-MD5"), out);
            }
        }
        if self.extended {
            out.push(b' ');
            disposition(header, &message, out);
            out.push(b' ');
            language(raw(b"Content-Language"), out);
            out.push(b' ');
            write_value(raw(b"Content-Location"), out);
        }
        out.push(b')');
    }
}

/// A tag, or a list of tags without their comments; what is neither goes out as it was written. spec: rfc3282#2
fn language(raw: Option<Vec<u8>>, out: &mut Vec<u8>) {
    let text = raw.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let tags: Vec<&str> = text.split(',').map(|tag| tag.split_once('(').map_or(tag, |(tag, _comment)| tag).trim()).collect();
    let sound = |tag: &&str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !tags.iter().all(sound) {
        return write_value(raw, out);
    }
    if let [tag] = tags.as_slice() {
        return write_string(Some(tag), out);
    }
    for (at, tag) in tags.into_iter().enumerate() {
        out.push(if at == 0 { b'(' } else { b' ' });
        write_string(Some(tag), out);
    }
    out.push(b')');
}

fn disposition(header: &[u8], message: &Message<'_>, out: &mut Vec<u8>) {
    let Some(found) = message.content_disposition() else { return out.extend_from_slice(b"NIL") };
    out.push(b'(');
    write_string(Some(found.ctype()), out);
    out.push(b' ');
    write_parameters(&parameters(last(header, b"Content-Disposition").unwrap_or_default()), out);
    out.push(b')');
}

fn write_parameters(all: &[(String, String)], out: &mut Vec<u8>) {
    if all.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (at, (name, value)) in all.iter().enumerate() {
        out.push(if at == 0 { b'(' } else { b' ' });
        write_string(Some(name), out);
        out.push(b' ');
        write_string(Some(value), out);
    }
    out.push(b')');
}
