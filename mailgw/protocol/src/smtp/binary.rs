//! A message of BODY=BINARYMIME as one that every mail program can read: parts that are no lines of text are put into base64, and
//! nothing else is changed. IMAP's literals hold no NUL, so such a part could otherwise never be shown.
// spec: rfc3030#3, rfc2045#6.2, rfc3501#9

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{MessageParser, MimeHeaders as _};

use super::body::MAX_TEXT_LINE;
use super::trace;

/// Parts within parts that are looked into.
const MAX_DEPTH: usize = 8;
/// Characters of a line of base64. spec: rfc2045#6.8
const LINE: usize = 76;
const KIND: &str = "Content-Type";
/// Octets of it that are read.
const MAX_KIND: usize = 16 << 10;
const TRANSFER: &str = "Content-Transfer-Encoding";

/// `None`: it cannot be read as MIME.
pub fn encoded(message: &[u8]) -> Option<Vec<u8>> {
    let out = entity(message, 0);
    is_text(&out).then_some(out)
}

/// Whether it is lines of text alone.
pub fn is_text(bytes: &[u8]) -> bool {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let whole = |line: &[u8]| match line.strip_suffix(b"\n") {
        None => !line.contains(&b'\r'),
        Some(line) => line.strip_suffix(b"\r").is_some_and(|line| !line.contains(&b'\r')),
    };
    !bytes.contains(&0) && lines.into_iter().all(|line| line.len() <= MAX_TEXT_LINE && whole(line))
}

fn entity(bytes: &[u8], depth: usize) -> Vec<u8> {
    let (fields, end) = trace::fields(bytes);
    // The blank line, where there is one.
    let rest = bytes.get(end..).unwrap_or_default();
    let body = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    // Of the rest nothing is asked, and encoded words take long to look for: none stands in this field.
    let is_kind = |field: &&&[u8]| field.split(|byte| *byte == b':').next().is_some_and(|name| name.trim_ascii_end().eq_ignore_ascii_case(KIND.as_bytes()));
    let mut kinds = fields.iter().filter(is_kind).copied().collect::<Vec<_>>().concat();
    kinds.truncate(MAX_KIND);
    kinds.extend(b"\r\n\r\n");
    let parsed = MessageParser::new().parse_headers(&kinds);
    let kind = parsed.as_ref().and_then(|parsed| parsed.content_type());
    let is = |ctype: &str| kind.is_some_and(|kind| kind.ctype().eq_ignore_ascii_case(ctype));
    let boundary = kind.and_then(|kind| kind.attribute("boundary")).filter(|boundary| is("multipart") && !boundary.is_empty());
    let is_message = is("message") && kind.and_then(|kind| kind.subtype()).is_some_and(|subtype| ["rfc822", "global"].iter().any(|known| subtype.eq_ignore_ascii_case(known)));
    let (body, transfer) = match boundary {
        _ if is_text(body) => (body.to_vec(), "8bit"),
        Some(boundary) if depth < MAX_DEPTH => (multipart(body, boundary.as_bytes(), depth), "8bit"),
        None if is_message && depth < MAX_DEPTH => (entity(body, depth + 1), "8bit"),
        _ => (base64(body), "base64"),
    };
    let is_transfer = |field: &[u8]| field.get(..TRANSFER.len()).is_some_and(|name| name.eq_ignore_ascii_case(TRANSFER.as_bytes())) && field.get(TRANSFER.len()).is_some_and(|after| matches!(after, b':' | b' ' | b'\t'));
    let said_binary = |field: &[u8]| String::from_utf8_lossy(field).split_once(':').is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("binary"));
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut replaced = false;
    for field in fields {
        if is_transfer(field) && (transfer == "base64" || said_binary(field)) {
            replaced = true;
            out.extend_from_slice(format!("{TRANSFER}: {transfer}\r\n").as_bytes());
        } else {
            out.extend_from_slice(field);
        }
    }
    if transfer == "base64" && !replaced {
        out.extend_from_slice(format!("{TRANSFER}: base64\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}

/// Parts between delimiters, each anew; what stands before the first and after the last is kept where it is text.
// spec: rfc2046#5.1.1
fn multipart(body: &[u8], boundary: &[u8], depth: usize) -> Vec<u8> {
    let delimiter = [b"--", boundary].concat();
    let mut out = Vec::with_capacity(body.len());
    let (mut from, mut at, mut within, mut ended) = (0, 0, false, false);
    let part = |out: &mut Vec<u8>, piece: &[u8], within: bool| {
        if !within {
            out.extend_from_slice(if is_text(piece) { piece } else { b"" });
            return;
        }
        // The line's end before a delimiter is the delimiter's.
        let content = piece.strip_suffix(b"\r\n").unwrap_or(piece);
        out.extend_from_slice(&entity(content, depth + 1));
        if !out.ends_with(b"\r\n") || content.len() != piece.len() {
            out.extend_from_slice(b"\r\n");
        }
    };
    while at < body.len() {
        let line = body.get(at..).unwrap_or_default();
        let length = line.windows(2).position(|two| two == b"\r\n").map_or(line.len(), |end| end + 2);
        let text = line.get(..length).unwrap_or_default();
        if !ended && text.starts_with(&delimiter) {
            let after = text.get(delimiter.len()..).unwrap_or_default();
            let closes = after.starts_with(b"--");
            let blank = after.strip_prefix(b"--").unwrap_or(after).iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            if blank {
                part(&mut out, body.get(from..at).unwrap_or_default(), within);
                out.extend_from_slice(text);
                (from, within, ended) = (at + length, !closes, closes);
            }
        }
        at += length;
    }
    part(&mut out, body.get(from..).unwrap_or_default(), within);
    out
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 3 * 4 + bytes.len() / 50 + 8);
    for line in bytes.chunks(LINE / 4 * 3) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_binary_part_is_put_into_base64_and_nothing_else_is_touched() {
        let message = b"From: a@b.cn\r\nContent-Type: multipart/mixed; boundary=\"=x\"\r\nContent-Transfer-Encoding: binary\r\n\r\npreamble\r\n--=x\r\nContent-Type: text/plain\r\n\r\nhello\r\n\xe4\xbd\xa0\r\n--=x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\nX: y\r\n\r\n%PDF\n\0\x01\r\n--=x--\r\nend\r\n";
        let expected = b"From: a@b.cn\r\nContent-Type: multipart/mixed; boundary=\"=x\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--=x\r\nContent-Type: text/plain\r\n\r\nhello\r\n\xe4\xbd\xa0\r\n--=x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nX: y\r\n\r\nJVBERgoAAQ==\r\n\r\n--=x--\r\nend\r\n";
        assert_eq!(encoded(message).unwrap().escape_ascii().to_string(), expected.escape_ascii().to_string());
        let parsed = encoded(message).unwrap();
        let parsed = MessageParser::new().parse(&parsed).unwrap();
        assert_eq!(parsed.attachment(0).unwrap().contents(), b"%PDF\n\0\x01");
        // One that is text already keeps its octets.
        let text = b"Subject: x\r\n\r\nhello\r\n";
        assert_eq!(encoded(text).unwrap(), text);
    }

    #[test]
    fn messages_within_messages_and_bare_ones() {
        let inner = b"Subject: inner\r\n\r\n\0\r\n";
        let outer = [b"Content-Type: message/rfc822\r\n\r\n".as_slice(), inner].concat();
        assert_eq!(encoded(&outer).unwrap().escape_ascii().to_string(), "Content-Type: message/rfc822\\r\\n\\r\\nSubject: inner\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\nAA0K\\r\\n");
        assert_eq!(encoded(b"X: y\r\n\r\na\nb\rc\0").unwrap(), b"X: y\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpiDWMA\r\n");
        assert_eq!(encoded(b"X: \0y\r\n\r\na\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_text(bytes in proptest::collection::vec(proptest::sample::select(vec![
            "a: b\r\n", "Content-Type: multipart/mixed; boundary=x\r\n", "Content-Type: message/rfc822\r\n", "Content-Transfer-Encoding: binary\r\n", "\r\n", "--x\r\n", "--x--\r\n", "\0", "\n", "\r", "text",
        ]), 0..40)) {
            if let Some(out) = encoded(bytes.concat().as_bytes()) {
                prop_assert!(is_text(&out));
            }
        }
    }
}
