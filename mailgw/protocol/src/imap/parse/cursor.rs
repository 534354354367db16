//! Reads the grammar's small things off a frame: atoms, strings, numbers, lists.
use std::num::NonZeroU32;

use super::{ParseError, Parsed};
use crate::imap::framing::Frame;
use crate::imap::syntax::{is_astring_char, is_atom_char};

/// A place in a command.
pub(crate) struct Cursor {
    frame: Frame,
    at: usize,
    /// Mailbox names are UTF-8 instead of modified UTF-7.
    pub utf8: bool,
}

impl Cursor {
    #[cfg(test)]
    pub fn new(frame: Frame) -> Self {
        Self { frame, at: 0, utf8: false }
    }

    pub fn in_utf8(frame: Frame, utf8: bool) -> Self {
        Self { frame, at: 0, utf8 }
    }

    pub fn peek(&self) -> Option<u8> {
        self.frame.text.get(self.at).copied()
    }

    /// Takes `byte` if it comes next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { Err(ParseError::Expected(what)) }
    }

    pub fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "one space")
    }

    /// The end of the command.
    pub fn end(&mut self) -> Parsed<()> {
        if self.frame.text.get(self.at..) == Some(b"\r\n") { Ok(()) } else { Err(ParseError::Trailing) }
    }

    pub fn at_end(&self) -> bool {
        self.frame.text.get(self.at..) == Some(b"\r\n")
    }

    pub fn take_while(&mut self, allowed: impl Fn(u8) -> bool) -> &str {
        let rest = self.frame.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|b| !b.is_ascii() || !allowed(*b)).unwrap_or(rest.len());
        self.at += length;
        // All ASCII, so never the default.
        std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or_default()
    }

    /// Takes `word` (without regard to case) if it comes next and no atom character follows.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let found = self.frame.text.get(self.at..end).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
            && !self.frame.text.get(end).is_some_and(|b| is_atom_char(*b));
        if found {
            self.at = end;
        }
        found
    }

    /// Takes ` (LAZY)` if it comes next. spec: rfc8970#3.1
    pub fn eat_lazy(&mut self) {
        const LAZY: &[u8] = b" (LAZY)";
        let end = self.at + LAZY.len();
        if self.frame.text.get(self.at..end).is_some_and(|text| text.eq_ignore_ascii_case(LAZY)) {
            self.at = end;
        }
    }

    /// Takes `""` if it comes next.
    pub fn eat_empty(&mut self) -> bool {
        let found = self.frame.text.get(self.at..self.at + 2) == Some(b"\"\"");
        self.at += if found { 2 } else { 0 };
        found
    }

    /// An atom in capitals: a keyword of the grammar.
    pub fn word(&mut self) -> Parsed<String> {
        match self.take_while(is_atom_char) {
            "" => Err(ParseError::Expected("a word")),
            word => Ok(word.to_ascii_uppercase()),
        }
    }

    pub fn atom(&mut self) -> Parsed<String> {
        match self.take_while(is_atom_char) {
            "" => Err(ParseError::Expected("an atom")),
            atom => Ok(atom.to_owned()),
        }
    }

    pub fn number(&mut self) -> Parsed<u32> {
        match self.take_while(|b| b.is_ascii_digit()) {
            "" => Err(ParseError::Expected("a number")),
            digits => digits.parse().map_err(|_| ParseError::Number),
        }
    }

    /// spec: rfc7162#7 mod-sequence-value: 63 bits
    pub fn mod_sequence(&mut self) -> Parsed<u64> {
        match self.take_while(|b| b.is_ascii_digit()) {
            "" => Err(ParseError::Expected("a mod-sequence")),
            digits => digits.parse().ok().filter(|value| *value <= i64::MAX as u64).ok_or(ParseError::Number),
        }
    }

    pub fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        NonZeroU32::new(self.number()?).ok_or(ParseError::Number)
    }

    /// spec: rfc3501#9 astring = 1*ASTRING-CHAR / string
    pub fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.take_while(is_astring_char) {
                "" => Err(ParseError::Expected("an atom or a string")),
                text => Ok(text.as_bytes().to_vec()),
            },
        }
    }

    /// spec: rfc3501#9 string = quoted / literal
    pub fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(ParseError::Expected("a string")),
        }
    }

    /// spec: rfc3501#9 list-mailbox = 1*list-char / string
    pub fn list_mailbox(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.take_while(|b| is_astring_char(b) || matches!(b, b'%' | b'*')) {
                "" => Err(ParseError::Expected("a mailbox pattern")),
                text => Ok(text.as_bytes().to_vec()),
            },
        }
    }

    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b'"', "a quoted string")?;
        let mut text = Vec::new();
        loop {
            let byte = self.peek().ok_or(ParseError::Expected("the closing quote"))?;
            self.at += 1;
            match byte {
                b'"' => return Ok(text),
                // spec: rfc3501#9 only the quote and the backslash are escaped
                b'\\' => match self.peek() {
                    Some(escaped @ (b'"' | b'\\')) => {
                        self.at += 1;
                        text.push(escaped);
                    }
                    _ => return Err(ParseError::Expected("`\\\"` or `\\\\` in a quoted string")),
                },
                b'\r' | b'\n' | 0 => return Err(ParseError::Expected("the closing quote")),
                _ => text.push(byte),
            }
        }
    }

    /// The octets of a literal; the framing has read as many as it announces.
    pub fn literal(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b'{', "a literal")?;
        let size = self.take_while(|b| b.is_ascii_digit()).to_owned();
        self.eat(b'+');
        self.expect(b'}', "a literal")?;
        self.expect(b'\r', "a literal")?;
        self.expect(b'\n', "a literal")?;
        let octets = self.frame.literals.pop_front().ok_or(ParseError::Expected("a literal"))?;
        // A count that disagrees means the text was read otherwise than it was framed.
        if size.parse() == Ok(octets.len()) { Ok(octets) } else { Err(ParseError::Expected("a literal")) }
    }

    /// `(x y z)`, of 1 to `limit` items.
    pub fn list<T>(&mut self, limit: usize, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect(b'(', "`(`")?;
        let mut items = vec![item(self)?];
        while !self.eat(b')') {
            self.expect(b' ', "one space or `)`")?;
            if items.len() >= limit {
                return Err(ParseError::TooMany);
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}
