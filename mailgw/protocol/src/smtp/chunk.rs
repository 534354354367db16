//! A message that comes in pieces of told length: nothing in it ends it, and it keeps to the same lines as after DATA, unless
//! its client said that it is binary.
// spec: rfc3030

use crate::incoming;

use super::body::{Flaw, MAX_TEXT_LINE};

/// Pieces of one message: each is answered, so a message in millions of them would be paid for in replies.
pub(crate) const MAX_CHUNKS: usize = 10_000;

/// Octets that are read and thrown away, and what is answered then.
pub(crate) struct Discard {
    pub left: usize,
    pub code: u16,
    pub text: &'static str,
}

pub(crate) struct Chunks {
    bytes: Vec<u8>,
    limit: usize,
    binary: bool,
    /// Within the header, whose lines are lines whatever the body is.
    header: bool,
    /// The last octet was a CR whose LF may come with the next piece.
    cr: bool,
    line: usize,
    flaw: Option<Flaw>,
    count: usize,
    /// The piece at hand: its octets, those still to come, and whether it is the last.
    size: usize,
    left: usize,
    last: bool,
}

impl Chunks {
    pub fn new(limit: usize, binary: bool) -> Self {
        Self { bytes: Vec::new(), limit, binary, header: true, cr: false, line: 0, flaw: None, count: 0, size: 0, left: 0, last: false }
    }

    pub fn begin(&mut self, size: usize, last: bool) {
        (self.size, self.left, self.last) = (size, size, last);
        self.count += 1;
        if self.flaw.is_none() && size > self.limit.saturating_sub(self.bytes.len()) {
            self.refuse(Flaw::TooLarge);
        }
    }

    /// Pieces that were begun.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Octets of the piece at hand.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn is_last(&self) -> bool {
        self.last
    }

    pub fn is_flawed(&self) -> bool {
        self.flaw.is_some()
    }

    pub fn kept(&self) -> usize {
        incoming::held(&self.bytes)
    }

    pub fn refuse(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
        self.bytes = Vec::new();
    }

    /// How many octets of `input` belong to the piece at hand, and whether that is whole.
    pub fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let taken = self.left.min(input.len());
        self.left -= taken;
        let piece = input.get(..taken).unwrap_or_default();
        if self.flaw.is_none() {
            match self.flaw_of(piece) {
                Some(flaw) => self.refuse(flaw),
                // And the end that DATA would have given it.
                None => incoming::take(&mut self.bytes, piece, self.limit.saturating_add(2)),
            }
        }
        (taken, self.left == 0)
    }

    /// The message. One that does not end with a line is given the end that DATA would have given it.
    pub fn end(mut self) -> Result<Vec<u8>, Flaw> {
        if self.cr && (self.header || !self.binary) {
            self.refuse(Flaw::BareCr);
        }
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\r\n") {
            incoming::take(&mut self.bytes, b"\r\n", self.limit.saturating_add(2));
        }
        Ok(self.bytes)
    }

    fn flaw_of(&mut self, piece: &[u8]) -> Option<Flaw> {
        for byte in piece {
            if self.binary && !self.header {
                return None;
            }
            let flaw = match (self.cr, byte) {
                (true, b'\n') => {
                    self.header &= self.line > 1;
                    self.line = 0;
                    self.cr = false;
                    continue;
                }
                (true, _) => Some(Flaw::BareCr),
                (false, b'\n') => Some(Flaw::BareLf),
                (false, 0) => Some(Flaw::Nul),
                (false, _) if self.line >= MAX_TEXT_LINE => Some(Flaw::LongLine),
                _ => None,
            };
            if flaw.is_some() {
                return flaw;
            }
            self.cr = *byte == b'\r';
            self.line += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]], limit: usize, binary: bool) -> Result<Vec<u8>, Flaw> {
        let mut chunks = Chunks::new(limit, binary);
        for (at, piece) in pieces.iter().enumerate() {
            chunks.begin(piece.len(), at + 1 == pieces.len());
            assert_eq!(chunks.read(&[piece, &b"QUIT\r\n"[..]].concat()), (piece.len(), true));
        }
        chunks.end()
    }

    #[test]
    fn lines_are_lines_across_pieces() {
        for (pieces, expected) in [
            (&[&b"a: b\r\n\r\n.\r"[..], b"\n.\r\nc\r\n"][..], Ok(b"a: b\r\n\r\n.\r\n.\r\nc\r\n".to_vec())),
            (&[b"a: b\r\n", b""], Ok(b"a: b\r\n".to_vec())),
            (&[b"a: b\r\n\r\nc"], Ok(b"a: b\r\n\r\nc\r\n".to_vec())),
            (&[b""], Ok(Vec::new())),
            (&[b"a\r", b"b\r\n"], Err(Flaw::BareCr)),
            (&[b"a\r"], Err(Flaw::BareCr)),
            (&[b"a", b"\nb\r\n"], Err(Flaw::BareLf)),
            (&[b"a\0\r\n"], Err(Flaw::Nul)),
        ] {
            assert_eq!(read(pieces, 100, false), expected, "{pieces:?}");
        }
        assert_eq!(read(&[b"0123456789", b"0"], 10, false), Err(Flaw::TooLarge));
    }

    #[test]
    fn a_binary_body_below_a_header_of_lines() {
        assert_eq!(read(&[b"a: b\r\n\r\n\0\r\n", b"\n\r\x01"], 100, true), Ok(b"a: b\r\n\r\n\0\r\n\n\r\x01\r\n".to_vec()));
        for header in [&b"a: \0\r\n\r\n"[..], b"a: b\n\n\0", b"a: b\r\rx"] {
            assert!(read(&[header], 100, true).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(bytes in proptest::collection::vec(proptest::sample::select(b"\r\n\0a:".to_vec()), 0..60), cut in 1usize..9, binary in any::<bool>()) {
            let whole = read(&[&bytes], 100, binary);
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(whole, read(if pieces.is_empty() { &[b""] } else { &pieces }, 100, binary));
        }
    }
}
