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

/// What is left to mail-parser of a header. All else is read here: it looks for the end of each encoded word to the end of its field.
const READ: [&[u8]; 7] = [b"Date", b"Message-ID", b"References", b"In-Reply-To", b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding"];

/// The header of a part as its parser reads it, and nothing of it that takes long: no encoded word stands in these fields.
pub(super) fn read_header(header: &[u8]) -> mail_parser::Message<'static> {
    let mut read = Vec::new();
    for (name, field) in fields(bounded(header)).filter(|(name, _)| READ.iter().any(|read| name.eq_ignore_ascii_case(read))) {
        let begin = read.len();
        read.extend_from_slice(field);
        if name.get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case(b"Content-")) {
            let signs: Vec<usize> = memchr::memmem::find_iter(field, b"=?").map(|at| begin + at + 1).collect();
            signs.into_iter().for_each(|at| read.iter_mut().skip(at).take(1).for_each(|sign| *sign = b' '));
        }
    }
    read.extend(b"\r\n");
    let mut message = MessageParser::default().parse_headers(&read).unwrap_or_default().into_owned();
    // mail-parser's accessors index the first part, and a header without fields gives none.
    if message.parts.is_empty() {
        message.parts.push(mail_parser::MessagePart::default());
    }
    message
}

/// The structure of a whole message. However deep its parts lie, every line is read once.
pub(super) fn scan(bytes: &[u8]) -> Part {
    #[cfg(test)]
    SCANS.set(SCANS.get() + 1);
    Scanner { bytes, at: 0, open: Vec::new(), left: MAX_PARTS }.part(0, false).0
}

#[cfg(test)]
thread_local! {
    pub(in crate::imap) static SCANS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    static LINES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

struct Scanner<'x> {
    bytes: &'x [u8],
    at: usize,
    /// Boundaries of the multiparts that are read, the outermost first.
    open: Vec<String>,
    left: usize,
}

/// A delimiter line of an open multipart, or the end of the message.
#[derive(Clone, Copy)]
struct Stop {
    /// Which of the open ones; none at the end.
    level: Option<usize>,
    last: bool,
    /// Where the line begins.
    at: usize,
}

impl Stop {
    /// Another part of this multipart begins.
    fn begins(self, level: usize) -> bool {
        self.level == Some(level) && !self.last
    }
}

impl Scanner<'_> {
    /// The part that begins here, and what ended it.
    fn part(&mut self, depth: usize, in_digest: bool) -> (Part, Stop) {
        self.left = self.left.saturating_sub(1);
        let begin = self.at;
        let mut stop = self.skip(true);
        let split = stop.map_or(self.at, |stop| self.before_line_end(begin, stop));
        let header = slice(self.bytes, begin..split);
        let message = read_header(header);
        let mut media = media(header, &message).unwrap_or_else(|| {
            // spec: rfc2046#5.1.5 parts of a digest are messages unless they say otherwise
            if in_digest { Media::of("message", "rfc822") } else { Media::of("text", "plain") }
        });
        let plain = message.content_transfer_encoding().is_none_or(|coding| {
            ["7bit", "8bit", "binary"].iter().any(|known| coding.eq_ignore_ascii_case(known))
        });
        let mut kind = Kind::Leaf;
        if media.kind.eq_ignore_ascii_case("multipart") {
            let boundary = boundary(&media).filter(|_| depth < MAX_DEPTH).map(str::to_owned);
            let mut parts = Vec::new();
            if let (Some(boundary), None) = (boundary, stop) {
                stop = Some(self.multipart(boundary, depth, media.is("multipart", "digest"), &mut parts));
            }
            if parts.is_empty() {
                media = Media::of("text", "plain");
            } else {
                kind = Kind::Multipart(parts);
            }
        } else if media.is("message", "rfc822") || media.is("message", "global") {
            // spec: rfc9051#7.5.2 both are told as messages; rfc6532#3.7
            if plain && depth < MAX_DEPTH && self.left > 0 {
                let inner = if let Some(stop) = stop {
                    // A header without an end leaves nothing to be the message.
                    self.left = self.left.saturating_sub(1);
                    (empty(split), stop)
                } else {
                    self.part(depth + 1, false)
                };
                kind = Kind::Message(Box::new(inner.0));
                stop = Some(inner.1);
            } else {
                // spec: rfc2046#5.2.1 a message may not be encoded, and where one may (rfc6532#3.7) nothing within it has octets of its own to
                // be told: then it is octets to us
                media = Media::of("application", "octet-stream");
            }
        }
        let stop = stop.unwrap_or_else(|| self.to_stop());
        let end = self.before_line_end(begin, stop);
        // The blank line itself may be the line end before a delimiter.
        let split = split.min(end);
        (Part { header: begin..split, body: split..end, media, kind }, stop)
    }

    /// The parts between the delimiter lines, the line end before a delimiter left out; what ended the multipart. Who holds it goes before
    /// it: a part without an end ends with its holder. spec: rfc2046#5.1.1 rfc2046#5.1.2
    fn multipart(&mut self, boundary: String, depth: usize, digest: bool, parts: &mut Vec<Part>) -> Stop {
        let level = self.open.len();
        self.open.push(boundary);
        let mut stop = self.to_stop();
        while stop.begins(level) && self.left > 0 {
            let (part, ended) = self.part(depth + 1, digest);
            parts.push(part);
            stop = ended;
        }
        self.open.truncate(level);
        // What follows the last part is nobody's.
        if stop.level == Some(level) { self.to_stop() } else { stop }
    }

    /// Reads lines to a delimiter, the end, or beyond the first blank one: then nothing has stopped it.
    fn skip(&mut self, to_blank: bool) -> Option<Stop> {
        while self.at < self.bytes.len() {
            #[cfg(test)]
            LINES.set(LINES.get() + 1);
            let at = self.at;
            self.at = line_end(self.bytes, at, self.bytes.len());
            let line = slice(self.bytes, at..self.at);
            if let Some((level, last)) = line.strip_prefix(b"--").and_then(|line| self.delimiter(line)) {
                return Some(Stop { level: Some(level), last, at });
            }
            if to_blank && matches!(line, b"\r\n" | b"\n") {
                return None;
            }
        }
        Some(Stop { level: None, last: true, at: self.bytes.len() })
    }

    fn to_stop(&mut self) -> Stop {
        self.skip(false).unwrap_or(Stop { level: None, last: true, at: self.bytes.len() })
    }

    /// Whose delimiter a line is, without its two hyphens, and whether it is the last.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        self.open.iter().enumerate().find_map(|(level, boundary)| {
            let rest = line.strip_prefix(boundary.as_bytes())?;
            let last = rest.strip_prefix(b"--").is_some_and(|rest| rest.trim_ascii().is_empty());
            (last || rest.trim_ascii().is_empty()).then_some((level, last))
        })
    }

    /// Where what began at `start` ends: the line end before a delimiter is the delimiter's.
    fn before_line_end(&self, start: usize, stop: Stop) -> usize {
        let text = slice(self.bytes, start..stop.at);
        let mut length = text.len();
        if stop.level.is_some() {
            let text = text.strip_suffix(b"\n").map_or(text, |text| text.strip_suffix(b"\r").unwrap_or(text));
            length = text.len();
        }
        start + length
    }
}

/// A message of nothing.
fn empty(at: usize) -> Part {
    Part { header: at..at, body: at..at, media: Media::of("text", "plain"), kind: Kind::Leaf }
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
    let sign = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b);
    let token = |text: &str| !text.is_empty() && text.len() <= 127 && text.bytes().all(sign);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A multipart within another, so many deep, and lines in the innermost part.
    fn nested(depth: usize, lines: usize) -> String {
        let begin: String = (0..depth).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")).collect();
        let end: String = (0..depth).rev().map(|at| format!("--b{at}--\r\n")).collect();
        format!("{begin}\r\n{}{end}", "x\r\n".repeat(lines))
    }

    #[test]
    fn every_line_is_read_once_however_deep() {
        for depth in [1, 5, MAX_DEPTH, MAX_DEPTH + 5] {
            let message = nested(depth, 1000);
            LINES.set(0);
            let root = scan(message.as_bytes());
            assert_eq!(LINES.get(), message.lines().count(), "{depth}");
            let mut part = &root;
            let mut found = 0;
            while let Kind::Multipart(parts) = &part.kind {
                assert_eq!(parts.len(), 1);
                part = parts.first().unwrap_or(part);
                found += 1;
            }
            assert_eq!(found, depth.min(MAX_DEPTH));
        }
    }

    #[test]
    fn whoever_holds_a_part_ends_it() {
        let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--a\r\n\r\n--b\r\ntwo\r\n--a--\r\n--a\r\nafter\r\n";
        let root = scan(message.as_bytes());
        let Kind::Multipart(parts) = &root.kind else { return assert_eq!(root.media.kind, "multipart") };
        let text = |part: &Part| message.get(part.body.clone()).map(str::to_owned);
        assert_eq!(parts.iter().map(text).collect::<Vec<_>>(), [Some("--b\r\n\r\none".to_owned()), Some("--b\r\ntwo".to_owned())]);
        let inner = parts.first().map(|part| &part.kind);
        assert!(matches!(inner, Some(Kind::Multipart(inner)) if inner.iter().map(text).eq([Some("one".to_owned())])));
    }
}
