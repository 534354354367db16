//! Quoted-printable text (RFC 2045, section 6.7) that no relay has a reason to touch.

/// The most columns of an encoded line without its CRLF; the last is kept for the `=` of a soft break.
const WIDTH: usize = 76;

/// Appends `text` encoded; each LF of it becomes a CRLF, and a last line without LF is ended as well.
///
/// No character is split over two lines, and since `=` is always followed by two digits or a line end, a boundary
/// that begins with `=_` can never occur in what is written here.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    // Chinese takes three times its octets.
    out.reserve(text.len() * 2);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        // Most lines of a page are markup that stands for itself.
        if stands_for_itself(line) {
            out.extend_from_slice(line.as_bytes());
        } else {
            encode_line(line, out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn encode_line(line: &str, out: &mut Vec<u8>) {
    let (mut column, mut at) = (0, 0);
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let run = if column == 0 && changes_at_beginning(rest) { 0 } else { literal_run(rest, WIDTH - 1 - column) };
        let taken = if run > 0 { run } else { character(rest) };
        let width = if run > 0 { run } else { 3 * taken };
        if column + width >= WIDTH {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            continue;
        }
        let octets = rest.as_bytes().get(..taken).unwrap_or_default();
        match *octets {
            _ if run > 0 => out.extend_from_slice(octets),
            // A Chinese character, at once.
            [a, b, c] => out.extend_from_slice([a, b, c].map(|byte| ESCAPED[usize::from(byte)]).as_flattened()),
            _ => octets.iter().for_each(|byte| out.extend_from_slice(&ESCAPED[usize::from(*byte)])),
        }
        column += width;
        at += taken;
    }
}

/// Octets of the first character.
fn character(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    }
}

/// ASCII and graphic, or white space.
fn is_literal(byte: u8) -> bool {
    matches!(byte, b' '..=b'<' | b'>'..=b'~' | b'\t')
}

/// A whole line that is written as it is.
fn stands_for_itself(line: &str) -> bool {
    // All are looked at, without a way out: so it is done many at a time.
    let literal = line.bytes().fold(true, |all, byte| all & is_literal(byte));
    literal && line.len() < WIDTH && !line.ends_with([' ', '\t']) && !changes_at_beginning(line)
}

/// How many characters, `most` at most, stand for themselves: they are ASCII and graphic, or white space that does not
/// end the line.
fn literal_run(rest: &str, most: usize) -> usize {
    let near = rest.as_bytes().get(..most).unwrap_or(rest.as_bytes());
    let run = near.iter().position(|byte| !is_literal(*byte)).unwrap_or(near.len());
    let ends_in_white_space = run == rest.len() && rest.ends_with([' ', '\t']);
    if ends_in_white_space { run - 1 } else { run }
}

/// What a relay or a signer might change at the beginning of a line: a dot (spec: rfc5321#4.5.2), "From " (spec:
/// rfc8551#3.1.3).
fn changes_at_beginning(rest: &str) -> bool {
    rest.starts_with('.') || rest.starts_with("From ")
}

/// Each octet as `=` and two digits.
const ESCAPED: [[u8; 3]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = [[b'='; 3]; 256];
    let mut byte = 0;
    while byte < 256 {
        escaped[byte] = [b'=', DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    escaped
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_relay_might_touch_is_escaped() {
        assert_eq!(encoded("a=b \nFrom me\n.\n..x. From\nF\n\n \t"), "a=3Db=20\r\n=46rom me\r\n=2E\r\n=2E.x. From\r\nF\r\n\r\n =09\r\n");
        assert_eq!(encoded("余额\n"), "=E4=BD=99=E9=A2=9D\r\n");
        assert_eq!(encoded("a\rb"), "a=0Db\r\n");
    }

    #[test]
    fn a_soft_break_makes_a_beginning() {
        let text = format!("{}.", "a".repeat(75));
        assert_eq!(encoded(&text), format!("{}=\r\n=2E\r\n", "a".repeat(75)));
    }

    proptest! {
        #[test]
        fn another_reader_finds_the_same_text(text in "(From |[ -~\t\n.=]|\\PC|余额){0,200}") {
            let encoded = encoded(&text);
            for line in encoded.split_terminator("\r\n") {
                prop_assert!(line.len() <= WIDTH && line.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')), "{line}");
                prop_assert!(!line.ends_with([' ', '\t']) && !line.starts_with('.') && !line.starts_with("From "), "{line}");
            }
            prop_assert!(!encoded.contains("=_"));
            let mail = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{encoded}");
            let parsed = mail_parser::MessageParser::new().parse(&mail).unwrap();
            let ended = if text.ends_with('\n') { text } else { text + "\n" };
            prop_assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), ended);
        }
    }
}
