//! Where the parts of a message lie in its bytes. Depth and count are bounded, so no message can exhaust the stack.
use std::ops::Range;

use mail_parser::{MessageParser, MimeHeaders};

use super::parameter::parameters;

/// Multiparts and messages within each other; what lies deeper is one opaque part.
const MAX_DEPTH: usize = 20;
/// Parts of one message; the rest belongs to no part.
const MAX_PARTS: usize = 1000;
/// Octets of one header that are read for their meaning.
const MAX_HEADER: usize = 256 * 1024;

/// A message or a part of one.
pub(super) struct Part {
    /// The blank line included.
    pub header: Range<usize>,
    pub body: Range<usize>,
    pub media: Media,
    pub kind: Kind,
}

pub(super) enum Kind {
    Leaf,
    /// At least one.
    Multipart(Vec<Part>),
    Message(Box<Part>),
}

/// The Content-Type, as far as it is sound; text/plain otherwise. spec: rfc2045#5.2
pub(super) struct Media {
    pub kind: String,
    pub subtype: String,
    pub parameters: Vec<(String, String)>,
}

impl Media {
    fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    fn of(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.to_owned(), subtype: subtype.to_owned(), parameters: Vec::new() }
    }
}

pub(super) fn slice(bytes: &[u8], range: Range<usize>) -> &[u8] {
    bytes.get(range).unwrap_or_default()
}

/// The header of a part as its parser reads it.
pub(super) fn read_header(header: &[u8]) -> mail_parser::Message<'_> {
    let mut message = MessageParser::default().parse_headers(bounded(header)).unwrap_or_default();
    // mail-parser's accessors index the first part, and a header without fields gives none.
    if message.parts.is_empty() {
        message.parts.push(mail_parser::MessagePart::default());
    }
    message
}

/// The structure of a whole message.
pub(super) fn scan(bytes: &[u8]) -> Part {
    Scanner { bytes, left: MAX_PARTS }.part(0..bytes.len(), 0, false)
}

struct Scanner<'x> {
    bytes: &'x [u8],
    left: usize,
}

impl Scanner<'_> {
    fn part(&mut self, range: Range<usize>, depth: usize, in_digest: bool) -> Part {
        self.left = self.left.saturating_sub(1);
        let split = header_end(self.bytes, range.clone());
        let (header, body) = (range.start..split, split..range.end);
        let message = read_header(slice(self.bytes, header.clone()));
        let mut media = media(slice(self.bytes, header.clone()), &message).unwrap_or_else(|| {
            // spec: rfc2046#5.1.5 parts of a digest are messages unless they say otherwise
            if in_digest { Media::of("message", "rfc822") } else { Media::of("text", "plain") }
        });
        let plain = message.content_transfer_encoding().is_none_or(|coding| {
            ["7bit", "8bit", "binary"].iter().any(|known| coding.eq_ignore_ascii_case(known))
        });
        let mut kind = Kind::Leaf;
        if media.kind.eq_ignore_ascii_case("multipart") {
            let parts = match boundary(&media) {
                Some(boundary) if depth < MAX_DEPTH => {
                    let digest = media.is("multipart", "digest");
                    let mut parts = Vec::new();
                    for range in self.cut(body.clone(), boundary.as_bytes()) {
                        if self.left == 0 {
                            break;
                        }
                        parts.push(self.part(range, depth + 1, digest));
                    }
                    parts
                }
                _ => Vec::new(),
            };
            if parts.is_empty() {
                media = Media::of("text", "plain");
            } else {
                kind = Kind::Multipart(parts);
            }
        } else if media.is("message", "rfc822") {
            if plain && depth < MAX_DEPTH && self.left > 0 {
                kind = Kind::Message(Box::new(self.part(body.clone(), depth + 1, false)));
            } else {
                // spec: rfc2046#5.2.1 a message may not be encoded: then it is octets to us
                media = Media::of("application", "octet-stream");
            }
        }
        Part { header, body, media, kind }
    }

    /// The parts between the delimiter lines, the line end before a delimiter left out. spec: rfc2046#5.1.1
    fn cut(&self, body: Range<usize>, boundary: &[u8]) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut open: Option<usize> = None;
        let mut at = body.start;
        while at < body.end && parts.len() < self.left {
            let next = line_end(self.bytes, at, body.end);
            let line = slice(self.bytes, at..next);
            if let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary)) {
                let last = rest.strip_prefix(b"--").is_some_and(|rest| rest.trim_ascii().is_empty());
                if last || rest.trim_ascii().is_empty() {
                    if let Some(start) = open.take() {
                        parts.push(start..self.before_line_end(start, at));
                    }
                    if last {
                        return parts;
                    }
                    open = Some(next);
                }
            }
            at = next;
        }
        if let Some(start) = open {
            parts.push(start..body.end);
        }
        parts
    }

    fn before_line_end(&self, start: usize, end: usize) -> usize {
        let text = slice(self.bytes, start..end);
        let text = text.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text)).unwrap_or(text);
        start + text.len()
    }
}

/// After the next line feed, or `end`.
pub(super) fn line_end(bytes: &[u8], start: usize, end: usize) -> usize {
    memchr::memchr(b'\n', slice(bytes, start..end)).map_or(end, |at| start + at + 1)
}

pub(super) fn header_end(bytes: &[u8], range: Range<usize>) -> usize {
    let mut at = range.start;
    while at < range.end {
        let next = line_end(bytes, at, range.end);
        if matches!(slice(bytes, at..next), b"\r\n" | b"\n") {
            return next;
        }
        at = next;
    }
    range.end
}

fn media(header: &[u8], message: &mail_parser::Message<'_>) -> Option<Media> {
    let found = message.content_type()?;
    let subtype = found.subtype()?;
    let token = |text: &str| !text.is_empty() && text.len() <= 127 && text.bytes().all(|b| b.is_ascii_graphic());
    if !token(found.ctype()) || !token(subtype) {
        return None;
    }
    let parameters = parameters(last(header, b"Content-Type").unwrap_or_default());
    Some(Media { kind: found.ctype().to_owned(), subtype: subtype.to_owned(), parameters })
}

fn boundary(media: &Media) -> Option<&str> {
    let found = media.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty() && value.len() <= 256)
}

/// The header's fields, one after another and never all of them held: name, and all octets with the folds and the last line end.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 0;
    let lines = std::iter::from_fn(move || {
        let start = at;
        if start >= header.len() {
            return None;
        }
        at = line_end(header, start, header.len());
        while matches!(header.get(at), Some(b' ' | b'\t')) {
            at = line_end(header, at, header.len());
        }
        Some(slice(header, start..at))
    });
    lines.filter_map(|field| {
        let colon = field.iter().position(|b| *b == b':')?;
        Some((slice(field, 0..colon).trim_ascii_end(), field))
    })
}

/// As much of a header as is read for its meaning.
pub(super) fn bounded(header: &[u8]) -> &[u8] {
    header.get(..MAX_HEADER).unwrap_or(header)
}

/// The value of the first field of this name.
pub(super) fn first(header: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    fields(bounded(header)).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, field)| value(field))
}

/// The last field of this name with its folds: which of several the parser of the rest takes.
pub(super) fn last<'x>(header: &'x [u8], name: &[u8]) -> Option<&'x [u8]> {
    fields(bounded(header)).filter(|(found, _)| found.eq_ignore_ascii_case(name)).last().map(|(_, field)| field)
}

/// A field's value as written, its folds undone.
pub(super) fn value(field: &[u8]) -> Vec<u8> {
    let value = field.iter().position(|b| *b == b':').and_then(|at| field.get(at + 1..)).unwrap_or_default();
    value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect::<Vec<u8>>().trim_ascii().to_vec()
}
