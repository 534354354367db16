//! The messages of a session by their numbers, and how one is sent.
use super::exchange::Entry;

pub(super) struct Maildrop {
    uid_validity: u32,
    entries: Vec<(Entry, State)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    /// DELE was said; it goes in QUIT.
    Marked,
}

impl Maildrop {
    pub fn new(uid_validity: u32, entries: Vec<Entry>) -> Self {
        Self { uid_validity, entries: entries.into_iter().map(|entry| (entry, State::There)).collect() }
    }

    /// Those not marked, each with its number.
    pub fn there(&self) -> impl Iterator<Item = (usize, &Entry)> {
        (1..).zip(&self.entries).filter(|(_, (_, state))| *state == State::There).map(|(number, (entry, _))| (number, entry))
    }

    pub fn get(&self, number: usize) -> Option<&Entry> {
        let (entry, state) = self.entries.get(number.checked_sub(1)?)?;
        (*state == State::There).then_some(entry)
    }

    pub fn count(&self) -> (usize, u64) {
        self.there().fold((0, 0), |(count, octets), (_, entry)| (count + 1, octets.saturating_add(entry.size)))
    }

    pub fn mark(&mut self, number: usize) -> bool {
        let found = number.checked_sub(1).and_then(|at| self.entries.get_mut(at)).filter(|(_, state)| *state == State::There);
        found.map(|(_, state)| *state = State::Marked).is_some()
    }

    pub fn unmark(&mut self) {
        self.entries.iter_mut().for_each(|(_, state)| *state = State::There);
    }

    pub fn marked(&self) -> Vec<u32> {
        self.entries.iter().filter(|(_, state)| *state == State::Marked).map(|(entry, _)| entry.uid).collect()
    }

    /// The same for ever, and never another message's: a UID is not given twice under one UIDVALIDITY. spec: rfc1939#7 UIDL
    pub fn unique_id(&self, entry: &Entry) -> String {
        format!("{}.{}", self.uid_validity, entry.uid)
    }
}

/// A message as a response of several lines, its end included: octet by octet what is stored, but for a dot before each that begins a
/// line, and a CRLF where its last line has none. spec: rfc1939#3
///
/// A client that takes a lone LF for the end of a line must not find the end of the message within it: there a dot is doubled, too.
pub(super) fn stuffed(message: &[u8], out: &mut Vec<u8>) {
    out.reserve(message.len() + message.len() / 64 + 8);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

/// The header, the empty line, and so many lines of what follows. spec: rfc1939#7 TOP
pub(super) fn top(message: &[u8], lines: u64) -> &[u8] {
    let (mut end, mut body, mut left) = (0, false, lines);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if body {
            if left == 0 {
                break;
            }
            left -= 1;
        } else {
            body = matches!(line, b"\r\n" | b"\n");
        }
        end += line.len();
    }
    message.get(..end).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn sent(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        stuffed(message, &mut out);
        out
    }

    #[test]
    fn nothing_within_a_message_is_its_end() {
        for (message, expected) in [
            ("", ".\r\n"), ("a\r\n", "a\r\n.\r\n"), ("a", "a\r\n.\r\n"), (".\r\n", "..\r\n.\r\n"), (".a\r\n.\r\n..\r\n", "..a\r\n..\r\n...\r\n.\r\n"),
            ("a\n.\r\nb\r\n", "a\n..\r\nb\r\n.\r\n"), ("a\r\n.", "a\r\n..\r\n.\r\n"), ("a\r.\r\n", "a\r.\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(sent(message.as_bytes())).unwrap(), expected, "{message:?}");
        }
    }

    #[test]
    fn tops() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree";
        for (lines, expected) in [(0, 14), (1, 19), (2, 24), (3, 29), (u64::MAX, 29)] {
            assert_eq!(top(message, lines).len(), expected);
        }
        assert_eq!(top(b"A: 1\r\n", 5), b"A: 1\r\n");
        assert_eq!(top(b"", 5), b"");
    }

    proptest! {
        /// What a client of the standard takes out again, whose lines end with CRLF alone.
        #[test]
        fn a_client_finds_the_message_again(lines in prop::collection::vec("\\.{0,3}[a-z.\u{80}-\u{ff}]{0,8}", 0..8)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let sent = sent(message.as_bytes());
            let mut found = Vec::new();
            let mut ended = false;
            for line in sent.split_inclusive(|byte| *byte == b'\n') {
                prop_assert!(!ended);
                if line == b".\r\n" {
                    ended = true;
                } else {
                    found.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
                }
            }
            prop_assert!(ended);
            prop_assert_eq!(found, message.into_bytes());
        }
    }
}
