//! From bytes to whole commands: lines with the literals that belong to them, within bounds.
use std::collections::VecDeque;

use crate::incoming;

/// One line, CRLF included.
pub const MAX_LINE: usize = 8 * 1024;
/// All lines of a command together, without literals.
pub const MAX_TEXT: usize = 64 * 1024;
/// A literal that is not the message of APPEND.
pub const MAX_LITERAL: usize = 8 * 1024;
pub const MAX_LITERALS: usize = 64;

/// Which literals may come without the client waiting for leave. spec: rfc7888#4 rfc7888#5
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    Any,
    /// Of at most [`MAX_UNASKED`].
    Small,
    None,
}

/// Octets of a literal that LITERAL- lets come unasked. spec: rfc7888#5
const MAX_UNASKED: usize = 4096;

/// What one command may bring.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Octets of the largest message, and of all messages of one command.
    append: usize,
    /// Octets of all other literals.
    literals: usize,
    /// Octets of the lines.
    text: usize,
    unasked: Unasked,
}

impl Limits {
    /// Of who is not known: many of them together hold little.
    pub const BEFORE_LOGIN: Self = Self { append: MAX_LITERAL, literals: 2 * MAX_LITERAL, text: 2 * MAX_LINE, unasked: Unasked::Any };

    pub fn after_login(append: usize) -> Self {
        Self { append, literals: MAX_LITERALS * MAX_LITERAL, text: MAX_TEXT, unasked: Unasked::Any }
    }

    pub(crate) fn with_unasked(self, unasked: Unasked) -> Self {
        Self { unasked, ..self }
    }
}

/// A whole command. `text` holds its lines, each literal's announcement `{n}` CRLF included; the octets announced are in
/// `literals`, in order.
#[derive(Default)]
pub(crate) struct Frame {
    pub text: Vec<u8>,
    pub literals: VecDeque<Vec<u8>>,
}

/// What [`Framer::next`] found.
pub(crate) enum Framed {
    /// More input is needed.
    Wait,
    /// The client waits for leave to send a literal.
    Continue,
    Command(Frame),
    /// The command was dropped; the stream is in step and the next command follows. `too_big` when the size was the reason.
    Dropped { tag: Option<String>, too_big: bool, reason: &'static str },
    /// The stream is out of step: nothing more can be read. `too_big` when a literal was the reason.
    Broken { tag: Option<String>, too_big: bool, reason: &'static str },
}

/// Collects input until a command is whole.
pub(crate) struct Framer {
    input: Vec<u8>,
    /// Octets of `input` already consumed; dropped in bulk.
    start: usize,
    /// Octets after `start` known to hold no line feed.
    scanned: usize,
    frame: Frame,
    /// The literal being read: what it will measure.
    literal: Option<usize>,
    limits: Limits,
    broken: bool,
}

impl Framer {
    pub fn new(limits: Limits) -> Self {
        let frame = Frame::default();
        Self { input: Vec::new(), start: 0, scanned: 0, frame, literal: None, limits, broken: false }
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Octets received and not yet part of a command.
    pub fn held(&self) -> usize {
        self.input.len() - self.start
    }

    /// Forgets everything received. spec: rfc3501#6.2.1 nothing sent before TLS counts after it
    pub fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// The next line as it is, without its CRLF: an answer to a continuation (AUTHENTICATE, IDLE). `Err` breaks the stream.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        match self.take_line()? {
            None => Ok(None),
            Some(mut line) => {
                line.truncate(line.len().saturating_sub(1));
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                Ok(Some(line))
            }
        }
    }

    pub fn next(&mut self) -> Framed {
        if self.broken {
            return Framed::Wait;
        }
        loop {
            if let Some(size) = self.literal {
                if !self.read_literal(size) {
                    return Framed::Wait;
                }
                self.literal = None;
            }
            let line = match self.take_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Framed::Wait,
                Err(reason) => return self.break_off(false, reason),
            };
            let announced = announced_literal(&line);
            let whole = line.ends_with(b"\r\n");
            self.frame.text.extend_from_slice(&line);
            if !whole {
                // spec: rfc3501#2.2 every line ends with CRLF
                return self.drop_command(false, "A line must end with CRLF, not LF alone");
            }
            if self.frame.text.len() > self.limits.text {
                return self.break_off(false, "The command is too long: split its set of messages");
            }
            let Some(Announced { size, synchronising }) = announced else {
                return Framed::Command(std::mem::take(&mut self.frame));
            };
            // What follows would be read as commands, so that nothing more is read. spec: rfc7888#4 rfc7888#5
            match self.limits.unasked {
                Unasked::None if !synchronising => return self.break_off(false, "Wait for leave before a literal is sent"),
                Unasked::Small if !synchronising && size > MAX_UNASKED => return self.break_off(true, "Wait for leave before a literal of more than 4096 octets is sent"),
                _ => {}
            }
            let allowed = self.frame.literals.len() < MAX_LITERALS && size <= self.limit();
            if !allowed && synchronising {
                // spec: rfc3501#7.5 a tagged answer instead of the continuation refuses the literal
                return self.drop_command(true, "The literal is larger than this server takes");
            }
            if !allowed {
                return self.break_off(true, "The literal is larger than this server takes and was sent without asking");
            }
            self.literal = Some(size);
            self.frame.literals.push_back(Vec::new());
            if synchronising {
                return Framed::Continue;
            }
        }
    }

    fn drop_command(&mut self, too_big: bool, reason: &'static str) -> Framed {
        let tag = tag_of(&self.frame.text);
        self.frame = Frame::default();
        Framed::Dropped { tag, too_big, reason }
    }

    fn break_off(&mut self, too_big: bool, reason: &'static str) -> Framed {
        let tag = tag_of(&self.frame.text);
        self.clear();
        self.broken = true;
        Framed::Broken { tag, too_big, reason }
    }

    /// Messages of APPEND and REPLACE may be large, all of one command together as the largest; the literal in the place of the mailbox is not.
    fn limit(&self) -> usize {
        let taken: usize = self.frame.literals.iter().map(Vec::len).sum();
        let of_others = MAX_LITERAL.min(self.limits.literals.saturating_sub(taken));
        let mut words = self.frame.text.split(|b| *b == b' ').skip(1).peekable();
        let is = |word: &&[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
        if words.peek().is_some_and(|word| is(word, b"UID")) {
            words.next();
        }
        // Arguments up to the mailbox.
        let before = match words.next() {
            Some(word) if is(&word, b"APPEND") => 1,
            Some(word) if is(&word, b"REPLACE") => 2,
            _ => return of_others,
        };
        if words.count() <= before && self.frame.literals.is_empty() {
            return of_others;
        }
        self.limits.append.max(MAX_LITERAL).saturating_sub(taken)
    }

    /// Moves octets into the last literal; true when it is whole.
    fn read_literal(&mut self, size: usize) -> bool {
        let Some(literal) = self.frame.literals.back_mut() else { return true };
        let missing = size - literal.len();
        let held = self.input.get(self.start..).unwrap_or_default();
        let part = held.get(..missing.min(held.len())).unwrap_or_default();
        incoming::take(literal, part, size);
        let whole = literal.len() == size;
        self.consume(missing.min(self.held()));
        whole
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        let held = self.input.get(self.start..).unwrap_or_default();
        let found = held.iter().skip(self.scanned).position(|b| *b == b'\n').map(|at| at + self.scanned + 1);
        let Some(length) = found else {
            if held.len() >= MAX_LINE {
                return Err("The line is too long: split its set of messages or use literals");
            }
            self.scanned = held.len();
            return Ok(None);
        };
        if length > MAX_LINE {
            return Err("The line is too long: split its set of messages or use literals");
        }
        let line = held.get(..length).unwrap_or_default().to_vec();
        self.consume(length);
        Ok(Some(line))
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.scanned = 0;
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
            // A connection that waits holds little.
            self.input.shrink_to(1024);
        } else if self.start > 64 * 1024 {
            self.input.drain(..self.start);
            self.start = 0;
        }
    }
}

struct Announced {
    size: usize,
    synchronising: bool,
}

/// spec: rfc3501#4.3 `{n}` at the end of a line · rfc7888#4 `{n+}`
fn announced_literal(line: &[u8]) -> Option<Announced> {
    let line = line.strip_suffix(b"}\r\n")?;
    let (line, synchronising) = match line.strip_suffix(b"+") {
        Some(rest) => (rest, false),
        None => (line, true),
    };
    let open = line.iter().rposition(|b| *b == b'{')?;
    let digits = std::str::from_utf8(line.get(open + 1..)?).ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A number too large to count is a literal too large to take.
    Some(Announced { size: digits.parse().unwrap_or(usize::MAX), synchronising })
}

/// The tag a line begins with, if it is one. spec: rfc3501#9 tag
pub(crate) fn tag_of(text: &[u8]) -> Option<String> {
    let word = text.split(|b| matches!(b, b' ' | b'\r' | b'\n')).next()?;
    let ok = !word.is_empty() && word.len() <= 64 && word.iter().all(|b| super::syntax::is_astring_char(*b) && *b != b'+');
    if ok { String::from_utf8(word.to_vec()).ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn events(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
        framer.feed(bytes);
        let mut seen = Vec::new();
        loop {
            seen.push(match framer.next() {
                Framed::Wait => return seen,
                Framed::Continue => "+".to_owned(),
                Framed::Command(frame) => format!("{} {:?}", frame.text.escape_ascii(), Vec::from(frame.literals)),
                Framed::Dropped { tag, too_big, .. } => format!("dropped {tag:?} {too_big}"),
                Framed::Broken { tag, .. } => format!("broken {tag:?}"),
            });
        }
    }

    #[test]
    fn literals_of_both_kinds() {
        let mut framer = Framer::new(Limits::after_login(100));
        assert_eq!(events(&mut framer, b"a LOGIN {2}\r\n"), ["+"]);
        assert_eq!(events(&mut framer, b"me {3+}\r\nab"), [""; 0]);
        assert_eq!(
            events(&mut framer, b"c\r\nb NOOP\r\nc"),
            ["a LOGIN {2}\\r\\n {3+}\\r\\n\\r\\n [[109, 101], [97, 98, 99]]", "b NOOP\\r\\n []"]
        );
    }

    #[test]
    fn bounds() {
        let mut framer = Framer::new(Limits::after_login(20_000));
        assert_eq!(events(&mut framer, b"a APPEND x {20001}\r\n"), ["dropped Some(\"a\") true"]);
        assert_eq!(events(&mut framer, b"a APPEND {8193}\r\n"), ["dropped Some(\"a\") true"]);
        assert_eq!(events(&mut framer, b"a APPEND x {99999999999999999999999}\r\n"), ["dropped Some(\"a\") true"]);
        assert_eq!(events(&mut framer, b"a APPEND x {20000}\r\n"), ["+"]);
        framer.clear();
        // Several messages of one command have the bound of one, and so has one that replaces another.
        assert_eq!(events(&mut framer, b"a APPEND x {15000+}\r\n").len(), 0);
        assert_eq!(events(&mut framer, &[&[b'x'; 15_000], &b" {5001}\r\n"[..]].concat()), ["dropped Some(\"a\") true"]);
        assert_eq!(events(&mut framer, b"a UID REPLACE 4 {8193}\r\n"), ["dropped Some(\"a\") true"]);
        assert_eq!(events(&mut framer, b"a UID REPLACE 4 x {20000}\r\n"), ["+"]);
        framer.clear();
        assert_eq!(events(&mut framer, b"a NOOP\nb NOOP\r\n"), ["dropped Some(\"a\") false", "b NOOP\\r\\n []"]);
        assert_eq!(events(&mut framer, b"a LOGIN {8193+}\r\nb NOOP\r\n"), ["broken Some(\"a\")"]);
        assert_eq!(events(&mut framer, b"a NOOP\r\n"), [""; 0]);
        let mut framer = Framer::new(Limits::BEFORE_LOGIN);
        assert_eq!(events(&mut framer, &[b'x'; MAX_LINE]), ["broken None"]);
        // Who is not known brings little, however it is cut.
        for piece in ["{8192+}\r\n".to_owned() + &"x".repeat(8_192), "{9+}\r\n123456789".to_owned(), "x".repeat(8_000) + "{1+}\r\nx"] {
            let mut framer = Framer::new(Limits::BEFORE_LOGIN);
            let (mut seen, mut sent) = (events(&mut framer, b"a ID ("), 0);
            while seen.is_empty() && sent < 1 << 20 {
                seen = events(&mut framer, piece.as_bytes());
                sent += piece.len();
            }
            assert!(seen == ["broken Some(\"a\")"] && sent < 64 << 10, "{seen:?} after {sent}");
        }
    }
}
