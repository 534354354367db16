//! Sequence sets: `1:3,7,9:*`.
use std::num::NonZeroU32;

use super::cursor::Cursor;
use super::{ParseError, Parsed};

/// Ranges one set may have.
const MAX_RANGES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number(NonZeroU32),
    /// `*`: the largest in use.
    Last,
}

impl Bound {
    fn resolve(self, last: u32) -> u32 {
        match self {
            Bound::Number(number) => number.get(),
            Bound::Last => last,
        }
    }
}

/// A set of sequence numbers or uids, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceSet {
    Ranges(Ranges),
    /// `$`: what a SEARCH saved. spec: rfc5182#2.1
    Saved,
}

/// `1:3,7,9:*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges(Vec<(Bound, Bound)>);

/// Some of a result by their places, both ends included: counted from its beginning, or from its end. spec: rfc9394#3.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    from: u32,
    to: u32,
    from_end: bool,
}

impl Partial {
    /// `1:10` or `-1:-10`; neither end is 0, and both have one sign.
    pub(crate) fn parse(cursor: &mut Cursor) -> Parsed<Self> {
        let from_end = cursor.eat(b'-');
        let from = cursor.nz_number()?.get();
        cursor.expect(b':', "`:` of a partial range")?;
        if cursor.eat(b'-') != from_end {
            return Err(ParseError::Expected("both ends of a partial range with one sign"));
        }
        Ok(Self { from, to: cursor.nz_number()?.get(), from_end })
    }

    pub fn of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let (first, last) = (self.from.min(self.to) as usize - 1, (self.from.max(self.to) as usize).min(all.len()));
        let places = if self.from_end { all.len() - last..all.len().saturating_sub(first) } else { first..last };
        all.get(places).unwrap_or_default()
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let sign = if self.from_end { "-" } else { "" };
        out.extend_from_slice(format!("{sign}{}:{sign}{}", self.from, self.to).as_bytes());
    }
}

impl SequenceSet {
    /// Whether it names messages by their numbers.
    pub fn is_of_numbers(&self) -> bool {
        matches!(self, Self::Ranges(_))
    }

    pub(crate) fn parse(cursor: &mut Cursor) -> Parsed<Self> {
        if cursor.eat(b'$') { Ok(Self::Saved) } else { Ranges::parse(cursor).map(Self::Ranges) }
    }
}

impl Ranges {
    pub(crate) fn parse(cursor: &mut Cursor) -> Parsed<Self> {
        let mut ranges = Vec::new();
        loop {
            let from = bound(cursor)?;
            let to = if cursor.eat(b':') { bound(cursor)? } else { from };
            ranges.push((from, to));
            if !cursor.eat(b',') {
                return Ok(Self(ranges));
            }
            if ranges.len() >= MAX_RANGES {
                return Err(ParseError::TooMany);
            }
        }
    }

    /// Whether the set can be written only with `*` or numbers up to `last`.
    pub fn within(&self, last: u32) -> bool {
        self.0.iter().all(|(from, to)| from.resolve(last).max(to.resolve(last)) <= last && last > 0)
    }

    /// The ranges, ends included: ascending, apart from each other, `*` being `last`. Empty ends do not occur: a range written
    /// backwards is turned. spec: rfc3501#9 seq-range
    pub fn ranges(&self, last: u32) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|(from, to)| (from.resolve(last), to.resolve(last)))
            .map(|(from, to)| (from.min(to), from.max(to)))
            .collect();
        ranges.sort_unstable();
        merged(ranges)
    }
}

/// Ascending ranges without overlaps and neighbours.
pub(crate) fn merged(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match merged.last_mut() {
            Some(before) if from <= before.1.saturating_add(1) => before.1 = before.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn bound(cursor: &mut Cursor) -> Parsed<Bound> {
    if cursor.eat(b'*') { Ok(Bound::Last) } else { cursor.nz_number().map(Bound::Number) }
}

/// Appends ascending numbers as a set: `1:3,7`.
pub fn write_set(numbers: &[u32], out: &mut Vec<u8>) {
    let mut rest = numbers;
    let mut first = true;
    while let Some(&from) = rest.first() {
        let length = rest.iter().zip(from..=u32::MAX).take_while(|(number, expected)| **number == *expected).count();
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(from.to_string().as_bytes());
        if let (Some(&to), true) = (rest.get(length.saturating_sub(1)), length > 1) {
            out.push(b':');
            out.extend_from_slice(to.to_string().as_bytes());
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
}

/// Appends ranges, ends included, as a set.
pub(crate) fn write_ranges(ranges: &[(u32, u32)], out: &mut Vec<u8>) {
    for (at, (from, to)) in ranges.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let text = if from == to { format!("{comma}{from}") } else { format!("{comma}{from}:{to}") };
        out.extend_from_slice(text.as_bytes());
    }
}

/// What two lists of ranges, each ascending, have in common.
pub(crate) fn in_both(left: &[(u32, u32)], right: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let (mut both, mut from) = (Vec::new(), 0);
    for (first, last) in left {
        // Those that end before this one begins end before all that follow.
        while right.get(from).is_some_and(|(_, end)| end < first) {
            from += 1;
        }
        let others = right.iter().skip(from).take_while(|(start, _)| start <= last);
        both.extend(others.map(|(start, end)| (*first.max(start), *last.min(end))));
    }
    both
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::imap::framing::Frame;

    fn set(text: &str) -> Parsed<Ranges> {
        let mut cursor = Cursor::new(Frame { text: format!("{text}\r\n").into_bytes(), ..Frame::default() });
        let set = SequenceSet::parse(&mut cursor)?;
        cursor.end()?;
        match set {
            SequenceSet::Ranges(ranges) => Ok(ranges),
            SequenceSet::Saved => Err(ParseError::Number),
        }
    }

    #[test]
    fn resolves() {
        assert_eq!(set("5:2,4,9,3:6,*").unwrap().ranges(20), [(2, 6), (9, 9), (20, 20)]);
        assert_eq!(set("30:*").unwrap().ranges(20), [(20, 30)]);
        assert_eq!(set("1:4294967295,7").unwrap().ranges(3), [(1, u32::MAX)]);
        assert!(set("1:*").unwrap().within(1) && !set("1:*").unwrap().within(0) && !set("2").unwrap().within(1));
        for bad in ["", "0", "1,", "1:", ":1", "4294967296", "1;2", "a", "1:2:3", "-1", "1, 2"] {
            assert!(set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_of_a_result() {
        let part = |text: &str| Partial::parse(&mut Cursor::new(Frame { text: format!("{text}\r\n").into_bytes(), ..Frame::default() }));
        let all: Vec<u32> = (1..=7).collect();
        for (text, of) in [("1:3", &all[..3]), ("3:1", &all[..3]), ("6:9", &all[5..]), ("8:9", &all[..0]), ("-1:-2", &all[5..]), ("-7:-9", &all[..1]), ("-8:-9", &all[..0])] {
            assert_eq!(part(text).unwrap().of(&all), of, "{text}");
        }
        for bad in ["0:1", "1", "1:-2", "-1:2", "1:*"] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_in_both() {
        assert_eq!(in_both(&[(1, 5), (8, 8), (10, 20)], &[(3, 11), (13, 13), (19, 30)]), [(3, 5), (8, 8), (10, 11), (13, 13), (19, 20)]);
        assert_eq!(in_both(&[(1, 5)], &[]), []);
    }

    #[test]
    fn writes() {
        for (numbers, text) in [(&[1, 2, 3, 7][..], "1:3,7"), (&[5], "5"), (&[], ""), (&[u32::MAX - 1, u32::MAX], "4294967294:4294967295")] {
            let mut out = Vec::new();
            write_set(numbers, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
