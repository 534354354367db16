//! A message as a mail signature sees it. Pure.
// spec: rfc6376#3.4.2 rfc6376#3.4.4 "relaxed" for header and body

use protocol::smtp::trace;

/// A field without what relays may change in it, ended by CRLF.
pub(super) fn field(field: &[u8]) -> Vec<u8> {
    let at = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    let (name, value) = field.split_at_checked(at).unwrap_or((field, b""));
    let mut out = name.trim_ascii_end().to_ascii_lowercase();
    out.push(b':');
    // Unfolding leaves the white space that begins the next line.
    let unfolded: Vec<u8> = value.iter().skip(1).copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    out.extend(squeezed(unfolded.trim_ascii_start()));
    out.extend_from_slice(b"\r\n");
    out
}

/// The text below the header. None at all, and empty lines at the end, count as nothing.
pub(super) fn body(message: &[u8]) -> Vec<u8> {
    let (_, end) = trace::fields(message);
    let rest = message.get(end..).unwrap_or_default();
    let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
    let mut out = Vec::with_capacity(rest.len() + 2);
    let (mut empty, mut lines) = (0_usize, rest.split_inclusive(|byte| *byte == b'\n'));
    for line in &mut lines {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = squeezed(line);
        if line.is_empty() {
            empty += 1;
            continue;
        }
        out.extend(b"\r\n".repeat(empty));
        empty = 0;
        out.extend(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// White space is one space, and none at the end.
fn squeezed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut space = false;
    for byte in text {
        if b" \t".contains(byte) {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(b' ');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 6376, 3.4.5.
        let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let (fields, _) = trace::fields(message);
        assert_eq!(fields.into_iter().map(field).collect::<Vec<_>>().concat(), b"a:X\r\nb:Y Z\r\n");
        assert_eq!(body(message), b" C\r\nD E\r\n");
    }

    #[test]
    fn bodies_that_are_nothing() {
        for message in [b"A: X\r\n\r\n".as_slice(), b"A: X\r\n", b"A: X\r\n\r\n\r\n\r\n", b"A: X\r\n\r\n \t\r\n"] {
            assert_eq!(body(message), b"", "{}", message.escape_ascii());
        }
        assert_eq!(body(b"A: X\r\n\r\nno end"), b"no end\r\n");
        assert_eq!(body(b"A: X\r\n\r\n\r\nx\r\n\r\ny\r\n\r\n"), b"\r\nx\r\n\r\ny\r\n");
    }
}
