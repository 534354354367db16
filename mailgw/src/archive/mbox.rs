//! mbox: messages one after the other, each after a line that begins with `From `; lines of a message that look like one are quoted with
//! `>`, quoted ones too, so that they come back (the form called mboxrd). spec: rfc4155

use std::io::BufRead;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The most octets of one message: more is told as too large, and passed over.
pub const MAX_MESSAGE: usize = crate::record::body::MAX_BYTES;

/// A message of an mbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of the line before it, where it says one.
    pub date: Option<OffsetDateTime>,
    /// `None`: too large.
    pub message: Option<Vec<u8>>,
}

fn is_quotable(line: &[u8]) -> bool {
    let rest = line.iter().position(|byte| *byte != b'>').and_then(|at| line.get(at..));
    rest.is_some_and(|rest| rest.starts_with(b"From "))
}

pub fn quote(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if is_quotable(line) {
            out.push(b'>');
        }
        out.extend_from_slice(line);
    }
    out
}

pub fn unquote(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_prefix(b">").filter(|rest| is_quotable(rest)).unwrap_or(line));
    }
    out
}

/// The line before a message that came at this time.
pub fn from_line(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (day, month) = (at.weekday().to_string(), at.month().to_string());
    let short = |name: &str| name.chars().take(3).collect::<String>();
    format!("From MAILER-DAEMON {} {} {:2} {:02}:{:02}:{:02} {}\n", short(&day), short(&month), at.day(), at.hour(), at.minute(), at.second(), at.year())
}

/// `From somebody Wed Nov 25 08:00:00 2026`, UTC; zones, which some write, are passed over.
fn date(line: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let month = |word: &str| (1..=12).filter_map(|number| Month::try_from(number).ok()).find(|month| month.to_string().get(..3) == Some(word));
    let (at, month) = words.iter().enumerate().skip(1).find_map(|(at, word)| Some((at, month(word)?)))?;
    let day: u8 = words.get(at + 1)?.parse().ok()?;
    let mut clock = words.get(at + 2)?.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().flatten().unwrap_or(0));
    let year: i32 = words.iter().skip(at + 3).find_map(|word| word.parse().ok().filter(|year| (1970..=9999).contains(year)))?;
    Some(PrimitiveDateTime::new(Date::from_calendar_date(year, month, day).ok()?, Time::from_hms(hour, minute, second).ok()?).assume_utc())
}

/// Reads one message at a time.
pub struct Reader<R> {
    from: R,
    /// The line before the next message.
    next: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// `None` where this is no mbox.
    pub fn new(mut from: R) -> std::io::Result<Option<Self>> {
        let mut first = Vec::new();
        line(&mut from, &mut first)?;
        Ok(first.starts_with(b"From ").then_some(Self { from, next: Some(first) }))
    }

    pub fn next_entry(&mut self) -> std::io::Result<Option<Entry>> {
        let Some(begins) = self.next.take() else { return Ok(None) };
        let (mut message, mut too_large, mut blank, mut text) = (Vec::new(), false, false, Vec::new());
        loop {
            text.clear();
            if line(&mut self.from, &mut text)? == 0 {
                break;
            }
            if blank && text.starts_with(b"From ") {
                self.next = Some(text);
                break;
            }
            blank = matches!(text.as_slice(), b"\n" | b"\r\n");
            too_large |= message.len() + text.len() > MAX_MESSAGE;
            if !too_large {
                message.extend_from_slice(&text);
            }
        }
        // The blank line after it is not of the message.
        for end in [b"\r\n".as_slice(), b"\n"] {
            if message.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"\n")) {
                message.truncate(message.len() - end.len());
                break;
            }
        }
        Ok(Some(Entry { date: date(&begins), message: (!too_large).then(|| unquote(&message)) }))
    }
}

/// One line, or as much of it as a message may be large. How many octets.
fn line(from: &mut impl BufRead, into: &mut Vec<u8>) -> std::io::Result<usize> {
    std::io::Read::take(from, MAX_MESSAGE as u64 + 1).read_until(b'\n', into)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    fn read(text: &[u8]) -> Vec<Entry> {
        let mut reader = Reader::new(text).unwrap().unwrap();
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let messages: [&[u8]; 4] = [b"Subject: a\n\nFrom me\n>From you\n\n\nFrom x\n", b"", b"Subject: b\n\nbody\n\n", b"x\n"];
        let at = datetime!(2026-11-05 08:09:10 UTC);
        let mut written = Vec::new();
        for message in messages {
            written.extend_from_slice(from_line(at).as_bytes());
            written.extend_from_slice(&quote(message));
            written.push(b'\n');
        }
        let found = read(&written);
        assert_eq!(found.iter().map(|entry| entry.message.as_deref().unwrap()).collect::<Vec<_>>(), messages);
        assert!(found.iter().all(|entry| entry.date == Some(at)));
    }

    #[test]
    fn what_others_write_is_read() {
        let found = read(b"From a@b.cn Wed Nov 25 08:00 2026 +0800\r\nA: b\r\n\r\nnot From\r\nFrom here on\r\n\r\nFrom c\nlast");
        assert_eq!(found[0], Entry { date: Some(datetime!(2026-11-25 08:00 UTC)), message: Some(b"A: b\r\n\r\nnot From\r\nFrom here on\r\n".to_vec()) });
        assert_eq!(found[1], Entry { date: None, message: Some(b"last".to_vec()) });
        assert!(Reader::new(b"Subject: none\n\n".as_slice()).unwrap().is_none() && Reader::new(b"".as_slice()).unwrap().is_none());
        for bad in ["From a Nov", "From a Nov x", "From a Nov 31 1:2:3 2026", "From a Nov 3 99:2:3 2026", "From a Nov 3 1:2:3 99999"] {
            assert_eq!(date(bad.as_bytes()), None, "{bad}");
        }
    }
}
