//! From bytes to command lines: only CRLF ends one, and its length is bounded.

/// A command line with its CRLF: 512, and what SIZE, 8BITMIME, SMTPUTF8 and REQUIRETLS add to MAIL.
// spec: rfc5321#4.5.3.1.4 rfc1870#4 rfc6152#2 rfc6531#3.1 rfc8689#2
pub(crate) const MAX_LINE: usize = 512 + 26 + 17 + 10 + 11;
/// The same where DSN is offered: NOTIFY and ORCPT, which are longer than RET and ENVID. spec: rfc3461#4
pub(crate) const MAX_DSN_LINE: usize = MAX_LINE + 28 + 507;
/// The same where AUTH is: less than a SASL response takes. spec: rfc4954#4
pub(crate) const MAX_LONG_LINE: usize = 12_288;
/// A line that is too long is read to its end, within this bound.
pub(crate) const MAX_SKIPPED: usize = 64 * 1024;

/// What [`Framer::line`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// More input is needed.
    Wait,
    /// A line without its CRLF; it holds no NUL, CR, LF or other control character but the tab.
    Whole(Vec<u8>),
    /// The line was dropped; the next one follows.
    Dropped(&'static str),
    /// The stream is out of step: nothing more can be read.
    Broken(&'static str),
}

#[derive(Default)]
pub(crate) struct Framer {
    input: Vec<u8>,
    /// Octets of `input` already consumed; dropped in bulk.
    start: usize,
    /// Octets after `start` known to hold no line feed.
    scanned: usize,
    /// Octets of a line that is too long and whose end was not seen yet.
    skipped: usize,
}

impl Framer {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What was received and not consumed.
    pub fn held(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    /// Forgets everything received. spec: rfc3207#4.2 nothing sent before TLS counts after it
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// `most`: octets of a line with its CRLF.
    pub fn line(&mut self, most: usize) -> Line {
        let found = memchr::memchr(b'\n', self.held().get(self.scanned..).unwrap_or_default()).map(|at| at + self.scanned + 1);
        let Some(length) = found else {
            let held = self.held().len();
            if self.skipped + held > most {
                // The last octet stays: it may be the CR of the end.
                self.skipped += held.saturating_sub(1);
                self.consume(held.saturating_sub(1));
            }
            self.scanned = self.held().len();
            return if self.skipped + self.scanned > MAX_SKIPPED { Line::Broken("The line has no end") } else { Line::Wait };
        };
        let line = self.held().get(..length).unwrap_or_default();
        // What follows a lone LF may be a second opinion on where this line ends: read nothing more.
        let Some(line) = line.strip_suffix(b"\r\n") else { return Line::Broken("A line ends with CRLF, never with LF alone") };
        let too_long = self.skipped + length > most;
        let control = line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        let line = if too_long || control { Vec::new() } else { line.to_vec() };
        let endless = self.skipped + length > MAX_SKIPPED;
        self.consume(length);
        self.skipped = 0;
        match (endless, too_long, control) {
            (true, ..) => Line::Broken("The line has no end"),
            (_, true, _) => Line::Dropped("The line is too long; a command has at most 512 octets"),
            (_, _, true) => Line::Dropped("A command holds no control characters, CR and NUL included"),
            _ => Line::Whole(line),
        }
    }

    pub fn consume(&mut self, count: usize) {
        self.start += count;
        self.scanned = 0;
        if self.start >= self.input.len() {
            self.input.clear();
            // A burst's buffer is not kept for an idle client.
            self.input.shrink_to(4 * MAX_LINE);
            self.start = 0;
        } else if self.start > 64 * 1024 {
            self.input.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], cut: usize) -> Vec<String> {
        let (mut framer, mut seen) = (Framer::default(), Vec::new());
        for piece in bytes.chunks(cut) {
            framer.feed(piece);
            loop {
                match framer.line(MAX_LINE) {
                    Line::Wait => break,
                    Line::Whole(line) => seen.push(line.escape_ascii().to_string()),
                    Line::Dropped(reason) => seen.push(reason.get(..14).unwrap_or_default().to_owned()),
                    Line::Broken(_) => {
                        seen.push("broken".to_owned());
                        return seen;
                    }
                }
            }
            assert!(framer.held().len() <= MAX_LINE + cut);
        }
        seen
    }

    #[test]
    fn only_crlf_ends_a_line() {
        for cut in [1, 2, 3, 1000] {
            assert_eq!(lines(b"NOOP\r\n\r\nA\rB\r\nC\0\r\nD\r\r\nE\tF\r\n", cut), ["NOOP", "", "A command hold", "A command hold", "A command hold", "E\\tF"]);
            assert_eq!(lines(b"NOOP\nQUIT\r\n", cut), ["broken"]);
        }
    }

    #[test]
    fn lengths() {
        let line = |length: usize| [vec![b'x'; length - 2], b"\r\nNOOP\r\n".to_vec()].concat();
        for cut in [1, 7, 100_000] {
            assert_eq!(lines(&line(MAX_LINE), cut).len(), 2);
            assert_eq!(lines(&line(MAX_LINE + 1), cut), ["The line is to", "NOOP"]);
            assert_eq!(lines(&line(MAX_SKIPPED), cut), ["The line is to", "NOOP"]);
            assert_eq!(lines(&line(MAX_SKIPPED + 1), cut), ["broken"]);
            assert_eq!(lines(&vec![b'x'; MAX_SKIPPED + 1], cut), ["broken"]);
        }
    }
}
