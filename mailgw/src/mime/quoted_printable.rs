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
    let mut quoted = Quoted::new(out);
    quoted.text(text);
    quoted.end();
}

/// Text that is encoded already.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    encoded: &'a [u8],
    /// Columns of its first line, and of its last.
    first: usize,
    last: usize,
}

impl Piece<'_> {
    fn is_one_line(&self) -> bool {
        self.first == self.encoded.len()
    }
}

/// Texts that are written more than once, encoded once.
#[derive(Default)]
pub(crate) struct Pieces {
    encoded: Vec<u8>,
    /// Where each begins, and its columns.
    found: Vec<(usize, usize, usize)>,
}

impl Pieces {
    /// With room for so many, of so many octets in all.
    pub fn with_capacity(pieces: usize, octets: usize) -> Self {
        Self { encoded: Vec::with_capacity(octets), found: Vec::with_capacity(pieces) }
    }

    pub fn push(&mut self, text: &str) {
        let begin = self.encoded.len();
        let mut quoted = Quoted::new(&mut self.encoded);
        quoted.text(text);
        let last = quoted.column;
        let own = self.encoded.get(begin..).unwrap_or_default();
        self.found.push((begin, memchr::memchr(b'\r', own).unwrap_or(own.len()), last));
    }

    /// Nothing where there is none.
    pub fn get(&self, at: usize) -> Piece<'_> {
        let Some(&(begin, first, last)) = self.found.get(at) else { return Piece { encoded: &[], first: 0, last: 0 } };
        let end = self.found.get(at + 1).map_or(self.encoded.len(), |(begin, ..)| *begin);
        Piece { encoded: self.encoded.get(begin..end).unwrap_or_default(), first, last }
    }

    pub fn octets(&self) -> usize {
        self.encoded.len()
    }
}

/// Writes a text part by part, pieces that were encoded before among them.
pub(crate) struct Quoted<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
    column: usize,
}

impl<'a> Quoted<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let begin = out.len();
        Self { out, begin, column: 0 }
    }

    pub fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some((line, more)) = memchr::memchr(b'\n', rest.as_bytes()).and_then(|end| rest.split_at_checked(end)) {
            self.within_line(line, false);
            self.end_line();
            rest = more.get(1..).unwrap_or_default();
        }
        self.within_line(rest, true);
    }

    /// As it was encoded; on a line of its own, by a soft break, where its first line would be too long on this one.
    pub fn piece(&mut self, piece: Piece<'_>) {
        if piece.encoded.starts_with(b"\r\n") {
            self.keep_white_space();
        } else if self.column > 0 && self.column + piece.first >= WIDTH {
            // At the beginning of a line it fits: it was broken for one.
            self.soft_break();
        }
        self.out.extend_from_slice(piece.encoded);
        self.column = if piece.is_one_line() { self.column + piece.first } else { piece.last };
    }

    /// A last line without LF is ended.
    pub fn end(mut self) {
        if self.column > 0 || self.out.len() == self.begin {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.keep_white_space();
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    fn soft_break(&mut self) {
        self.out.extend_from_slice(b"=\r\n");
        self.column = 0;
    }

    /// White space that is about to end a line is escaped.
    fn keep_white_space(&mut self) {
        let Some(&last) = self.out.last().filter(|last| self.column > 0 && matches!(last, b' ' | b'\t')) else { return };
        self.out.pop();
        self.column -= 1;
        if self.column + 3 >= WIDTH {
            self.soft_break();
        }
        self.out.extend_from_slice(&ESCAPED[usize::from(last)]);
        self.column += 3;
    }

    /// Text without LF; `open` where what follows it on its line is not known yet.
    fn within_line(&mut self, line: &str, open: bool) {
        // Most lines of a page, and most values, stand for themselves.
        if self.column + line.len() < WIDTH && stands_for_itself(line) && !(self.column == 0 && changes_at_beginning(line, open)) {
            self.out.extend_from_slice(line.as_bytes());
            self.column += line.len();
            return;
        }
        let mut at = 0;
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            let run = if self.column == 0 && changes_at_beginning(rest, open) { 0 } else { literal_run(rest, WIDTH - 1 - self.column) };
            let taken = if run > 0 { run } else { character(rest) };
            let width = if run > 0 { run } else { 3 * taken };
            if self.column + width >= WIDTH {
                self.soft_break();
                continue;
            }
            let octets = rest.as_bytes().get(..taken).unwrap_or_default();
            match *octets {
                _ if run > 0 => self.out.extend_from_slice(octets),
                // A Chinese character, at once.
                [a, b, c] => self.out.extend_from_slice([a, b, c].map(|byte| ESCAPED[usize::from(byte)]).as_flattened()),
                _ => octets.iter().for_each(|byte| self.out.extend_from_slice(&ESCAPED[usize::from(*byte)])),
            }
            self.column += width;
            at += taken;
        }
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

/// Text that is written as it is, unless a beginning is changed.
fn stands_for_itself(line: &str) -> bool {
    // All are looked at, without a way out: so it is done many at a time.
    line.bytes().fold(true, |all, byte| all & is_literal(byte))
}

/// How many characters, `most` at most, stand for themselves: they are ASCII and graphic, or white space.
fn literal_run(rest: &str, most: usize) -> usize {
    let near = rest.as_bytes().get(..most).unwrap_or(rest.as_bytes());
    near.iter().position(|byte| !is_literal(*byte)).unwrap_or(near.len())
}

/// What a relay or a signer might change at the beginning of a line: a dot (spec: rfc5321#4.5.2), "From " (spec:
/// rfc8551#3.1.3), and what may become it.
fn changes_at_beginning(rest: &str, open: bool) -> bool {
    rest.starts_with('.') || rest.starts_with("From ") || (open && !rest.is_empty() && "From ".starts_with(rest))
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

/// What is written, as another reader finds it.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn decoded(write: impl FnOnce(&mut Quoted<'_>)) -> String {
    let mut mail = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".to_vec();
    let mut quoted = Quoted::new(&mut mail);
    write(&mut quoted);
    quoted.end();
    mail_parser::MessageParser::new().parse(&mail).unwrap().body_text(0).unwrap().replace("\r\n", "\n")
}

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

    #[test]
    fn a_piece_that_fills_its_first_line_begins_where_a_line_does() {
        let text = format!("{}b", "a".repeat(75));
        let mut pieces = Pieces::default();
        pieces.push(&text);
        let written = |before: &str| {
            let mut out = Vec::new();
            let mut quoted = Quoted::new(&mut out);
            quoted.text(before);
            quoted.piece(pieces.get(0));
            quoted.end();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(""), encoded(&text));
        assert_eq!(written("x\n"), format!("x\r\n{}", encoded(&text)));
        assert_eq!(written("x"), format!("x=\r\n{}", encoded(&text)));
    }

    fn fits(encoded: &str) -> Result<(), TestCaseError> {
        for line in encoded.split_terminator("\r\n") {
            prop_assert!(line.len() <= WIDTH && line.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')), "{line}");
            prop_assert!(!line.ends_with([' ', '\t']) && !line.starts_with('.') && !line.starts_with("From "), "{line}");
        }
        prop_assert!(!encoded.contains("=_"));
        Ok(())
    }

    fn read(encoded: &str) -> String {
        let mail = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{encoded}");
        mail_parser::MessageParser::new().parse(&mail).unwrap().body_text(0).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn what_two_parts_make_together_is_escaped() {
        for (parts, expected) in [
            (vec!["Fr", "om you"], "=46rom you\r\n"),
            (vec!["a ", "\nb"], "a=20\r\nb\r\n"),
            (vec!["a\n", "From", " b"], "a\r\n=46rom b\r\n"),
            (vec!["a", " ", "", "\n", "\n"], "a=20\r\n\r\n"),
            (vec!["a", ".b", "\n."], "a.b\r\n=2E\r\n"),
        ] {
            let mut pieces = Pieces::default();
            parts.iter().for_each(|part| pieces.push(part));
            for by_pieces in [false, true] {
                let mut out = Vec::new();
                let mut quoted = Quoted::new(&mut out);
                parts.iter().enumerate().for_each(|(at, part)| if by_pieces { quoted.piece(pieces.get(at)) } else { quoted.text(part) });
                quoted.end();
                // A piece that may begin a line is written as if it did.
                let found = String::from_utf8(out).unwrap().replace("a=2Eb", "a.b");
                assert_eq!(found, expected);
            }
        }
    }

    proptest! {
        #[test]
        fn another_reader_finds_the_same_text(text in "(From |[ -~\t\n.=]|\\PC|余额){0,200}") {
            let encoded = encoded(&text);
            fits(&encoded)?;
            let ended = if text.ends_with('\n') { text } else { text + "\n" };
            prop_assert_eq!(read(&encoded), ended);
        }

        #[test]
        fn pieces_and_texts_in_any_order_are_one_text(parts in proptest::collection::vec((prop::bool::ANY, "(From |Fr|om |[ -~\t\n.=]|\\PC|余额| ){0,60}"), 0..12)) {
            let (mut out, mut text) = (b"before ".to_vec(), String::new());
            let mut pieces = Pieces::default();
            parts.iter().for_each(|(_, part)| pieces.push(part));
            let mut quoted = Quoted::new(&mut out);
            for (at, (is_piece, part)) in parts.iter().enumerate() {
                text.push_str(part);
                if *is_piece { quoted.piece(pieces.get(at)) } else { quoted.text(part) }
            }
            quoted.end();
            let encoded = String::from_utf8(out.split_off(7)).unwrap();
            fits(&encoded)?;
            let ended = if text.ends_with('\n') { text } else { text + "\n" };
            prop_assert_eq!(read(&encoded), ended);
        }
    }
}
