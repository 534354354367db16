//! The text after DATA: only CRLF.CRLF ends it, dots are unstuffed, and nothing is kept once it cannot be accepted.

use crate::incoming;

/// The longest line of a message, CRLF included. Mail of China's large providers exceeds the 998 octets of RFC 5322, so it is not the limit here.
pub const MAX_TEXT_LINE: usize = 1024 * 1024;

/// Why a message cannot be accepted, found while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    BareCr,
    BareLf,
    Nul,
    LongLine,
    TooLarge,
    /// The server was short of memory.
    Shed,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    /// The end was read; `bytes` when nothing is wrong.
    End(Result<Vec<u8>, Flaw>),
    /// The client goes on and on after its message became too large.
    Endless,
}

#[derive(Clone, Copy)]
enum At {
    LineStart,
    Text,
    /// After a CR in the text.
    Cr,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot at the start of a line, and a CR.
    DotCr,
}

pub(crate) struct Body {
    bytes: Vec<u8>,
    limit: usize,
    at: At,
    line: usize,
    /// Octets read, stuffed dots included.
    read: usize,
    flaw: Option<Flaw>,
}

impl Body {
    /// `limit`: octets of the largest message.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, at: At::LineStart, line: 0, read: 0, flaw: None }
    }

    pub fn kept(&self) -> usize {
        incoming::held(&self.bytes)
    }

    pub fn refuse(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
        self.bytes = Vec::new();
    }

    /// Reads from `input`; the octets it took belong to the message. After `End` or `Endless` it is done.
    // spec: rfc5321#4.1.1.4 rfc5321#4.5.2 rfc5321#2.3.8
    pub fn read(&mut self, input: &[u8]) -> (usize, Progress) {
        // Dots at most double a message; who sends more than this means no message.
        let bound = self.limit.saturating_mul(2).saturating_add(MAX_TEXT_LINE);
        let input = input.get(..bound.saturating_sub(self.read)).unwrap_or(input);
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            if matches!(self.at, At::Text) {
                // Whole lines at once, where none of them can be too long.
                let (run, line) = if self.line + rest.len() <= MAX_TEXT_LINE { lines(rest) } else { (plain(rest), 0) };
                if run > 0 {
                    self.keep(rest.get(..run).unwrap_or_default());
                    if line > 0 {
                        self.line = run - line;
                    }
                    taken += run;
                    continue;
                }
            }
            let byte = rest.first().copied().unwrap_or_default();
            // Only in these two places does a state look at an octet without taking it.
            let again = match (self.at, byte) {
                (At::LineStart, b'.') => self.go(At::Dot),
                (At::LineStart, _) => self.look(At::Text),
                (At::Cr, b'\n') => {
                    self.keep(b"\r\n");
                    self.line = 0;
                    self.go(At::LineStart)
                }
                (At::DotCr, b'\n') => {
                    let end = std::mem::take(&mut self.bytes);
                    return (taken + 1, Progress::End(self.flaw.map_or(Ok(end), Err)));
                }
                (At::Cr | At::DotCr, _) => {
                    self.refuse(Flaw::BareCr);
                    self.look(At::Text)
                }
                (At::Dot, b'\r') => self.go(At::DotCr),
                // A stuffed dot, or one that should have been: the first is dropped either way.
                (At::Dot, _) => self.look(At::Text),
                (At::Text, b'\r') => self.go(At::Cr),
                (At::Text, b'\n') => {
                    self.refuse(Flaw::BareLf);
                    self.go(At::Text)
                }
                (At::Text, _) => {
                    self.refuse(Flaw::Nul);
                    self.go(At::Text)
                }
            };
            taken += usize::from(!again);
        }
        self.read = self.read.saturating_add(taken);
        (taken, if self.read >= bound { Progress::Endless } else { Progress::More })
    }

    fn go(&mut self, at: At) -> bool {
        self.at = at;
        false
    }

    fn look(&mut self, at: At) -> bool {
        self.at = at;
        true
    }

    fn keep(&mut self, part: &[u8]) {
        self.line = self.line.saturating_add(part.len());
        if self.flaw.is_some() {
            return;
        }
        if self.bytes.len() + part.len() > self.limit {
            self.refuse(Flaw::TooLarge);
        } else if self.line > MAX_TEXT_LINE {
            self.refuse(Flaw::LongLine);
        } else {
            incoming::take(&mut self.bytes, part, self.limit);
        }
    }
}

/// Octets before the next CR, LF or NUL.
fn plain(bytes: &[u8]) -> usize {
    memchr::memchr3(b'\r', b'\n', 0, bytes).unwrap_or(bytes.len())
}

/// The same, past line ends that an ordinary line follows; and where the last of these lines begins.
fn lines(bytes: &[u8]) -> (usize, usize) {
    let mut line = 0;
    loop {
        let end = line + plain(bytes.get(line..).unwrap_or_default());
        match bytes.get(end..end + 3) {
            Some([b'\r', b'\n', first]) if !matches!(first, b'.' | b'\r' | b'\n' | 0) => line = end + 2,
            _ => return (end, line),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(stream: &[u8], limit: usize, cut: usize) -> (usize, Progress) {
        let (mut body, mut total) = (Body::new(limit), 0);
        for piece in stream.chunks(cut) {
            let (taken, progress) = body.read(piece);
            total += taken;
            if progress != Progress::More {
                return (total, progress);
            }
            assert_eq!(taken, piece.len());
            assert!(body.bytes.len() <= limit);
        }
        (total, Progress::More)
    }

    /// spec: rfc5321#4.5.2
    fn stuffed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        [out, b".\r\n".to_vec()].concat()
    }

    #[test]
    fn the_end_and_nothing_else_is_the_end() {
        type Case<'a> = (&'a [u8], Result<&'a [u8], Flaw>);
        let cases: [Case; 14] = [
            (b".\r\n", Ok(b"")),
            (b"a\r\n.\r\n", Ok(b"a\r\n")),
            (b"..\r\n.a\r\n...\r\n.\r\n", Ok(b".\r\na\r\n..\r\n")),
            (b"\r\n\r\n.\r\n", Ok(b"\r\n\r\n")),
            (b"a\n.\nb\r\n.\r\n", Err(Flaw::BareLf)),
            (b"a\n.\r\nb\r\n.\r\n", Err(Flaw::BareLf)),
            (b"a\r\n.\nb\r\n.\r\n", Err(Flaw::BareLf)),
            (b"a\r\n.\rb\r\n.\r\n", Err(Flaw::BareCr)),
            (b"a\r.\rb\r\n.\r\n", Err(Flaw::BareCr)),
            (b"a\r\r\n.\r\n", Err(Flaw::BareCr)),
            (b"a\r\n.\r\r\n.\r\n", Err(Flaw::BareCr)),
            (b"a\r.\r\nb\r\n.\r\n", Err(Flaw::BareCr)),
            (b"a\0\r\n.\r\n", Err(Flaw::Nul)),
            (b"\xff\xfe\x80\r\n.\r\n", Ok(b"\xff\xfe\x80\r\n")),
        ];
        for (stream, expected) in cases {
            for cut in [1, 2, 3, 100] {
                let with_next = [stream, b"QUIT\r\n"].concat();
                let end = Progress::End(expected.map(<[u8]>::to_vec));
                assert_eq!(read(&with_next, 100, cut), (stream.len(), end), "{}", stream.escape_ascii());
            }
        }
    }

    #[test]
    fn bounds() {
        let line = [b"x".repeat(18), b"\r\n".to_vec()].concat();
        assert_eq!(read(&stuffed(&line), 20, 7), (23, Progress::End(Ok(line.clone()))));
        assert_eq!(read(&stuffed(&line), 19, 7), (23, Progress::End(Err(Flaw::TooLarge))));
        let long = |length: usize| stuffed(&[b"x".repeat(length - 2), b"\r\n".to_vec()].concat());
        assert!(matches!(read(&long(MAX_TEXT_LINE), usize::MAX, 65_536).1, Progress::End(Ok(_))));
        assert_eq!(read(&long(MAX_TEXT_LINE + 1), usize::MAX, 65_536).1, Progress::End(Err(Flaw::LongLine)));
        assert_eq!(read(&long(MAX_TEXT_LINE + 1_000), 100, 100).1, Progress::Endless);
        // However the long line is cut, after lines that were taken together, and before others.
        for (length, good) in [(MAX_TEXT_LINE, true), (MAX_TEXT_LINE + 1, false)] {
            let message = stuffed(&[b"short\r\n".repeat(2_000), b"x".repeat(length - 2), b"\r\n".to_vec(), b"short\r\n".repeat(2_000)].concat());
            for cut in [4_099, 32 * 1024, usize::MAX] {
                assert_eq!(matches!(read(&message, usize::MAX, cut.min(message.len())).1, Progress::End(Ok(_))), good, "{length} {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn stuffing_is_undone(lines in proptest::collection::vec("(\\.{0,3}[a-z.\u{80}-\u{ff}]{0,8})", 0..8), cut in 1usize..9) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stream = stuffed(message.as_bytes());
            prop_assert_eq!(read(&stream, 1_000, cut), (stream.len(), Progress::End(Ok(message.into_bytes()))));
        }

        #[test]
        fn any_split_reads_the_same(bytes in proptest::collection::vec(proptest::sample::select(b".\r\n\0a".to_vec()), 0..60), cut in 1usize..9) {
            prop_assert_eq!(read(&bytes, 20, cut), read(&bytes, 20, 100));
        }
    }
}
