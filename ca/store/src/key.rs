//! Keys: a table and parts, encoded so that order is kept and no two lists of parts collide.

/// Each part is escaped (`00` becomes `00 FF`) and ended by `00 00`, so that a shorter part sorts first
/// and a part can hold any byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn new(table: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(table.len() + parts.iter().map(|part| part.len() + 2).sum::<usize>() + 10);
        for part in std::iter::once(table.as_bytes()).chain(parts.iter().copied()) {
            // All octets are looked at, without a way out: so it is done many at a time.
            if part.iter().fold(true, |all, byte| all & (*byte != 0)) {
                bytes.extend_from_slice(part);
            } else {
                part.iter().for_each(|byte| bytes.extend_from_slice(if *byte == 0 { &[0, 0xff] } else { std::slice::from_ref(byte) }));
            }
            bytes.extend_from_slice(&[0, 0]);
        }
        Self(bytes)
    }

    /// A key that ends in a number: the parts, then eight raw bytes big-endian. It is what a
    /// [`crate::Template::numbered`] becomes, so a number the store gave is found again here. Under one
    /// table and list of parts, use this form or one more part of [`Key::new`], never both.
    pub fn numbered(table: &str, parts: &[&[u8]], number: u64) -> Self {
        let mut bytes = Self::new(table, parts).0;
        bytes.extend_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// The number at the end of a [`Key::numbered`] made of the same table and parts.
    pub fn number(&self, table: &str, parts: &[&[u8]]) -> Option<u64> {
        let number = self.0.strip_prefix(Self::new(table, parts).as_bytes())?;
        number.try_into().ok().map(u64::from_be_bytes)
    }

    /// Where to scan from (inclusive) and to (exclusive) for all keys that begin with these parts.
    pub fn range(table: &str, parts: &[&[u8]]) -> (Self, Self) {
        let from = Self::new(table, parts);
        // A part ends in 00 00, and nothing that begins with it reaches 00 01.
        let mut to = from.0.clone();
        to.pop();
        to.push(1);
        (from, Self(to))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The first key after this one: where a scan goes on.
    pub fn successor(&self) -> Self {
        let mut bytes = self.0.clone();
        bytes.push(0);
        Self(bytes)
    }

    /// The last part of a key made by [`Key::new`], as it was given; `None` for a table alone.
    pub fn last_part(&self) -> Option<Vec<u8>> {
        let (mut rest, mut last, mut parts) = (self.0.as_slice(), self.0.as_slice(), 0);
        while !rest.is_empty() {
            let mut end = 0;
            // A part ends at 00 00; a 00 inside it is followed by FF.
            loop {
                end += rest.get(end..)?.iter().position(|byte| *byte == 0)?;
                match rest.get(end + 1)? {
                    0 => break,
                    0xff => end += 2,
                    _ => return None,
                }
            }
            (last, rest) = (rest.get(..end)?, rest.get(end + 2..)?);
            parts += 1;
        }
        // The table is the first.
        if parts < 2 {
            return None;
        }
        let mut part = Vec::with_capacity(last.len());
        let mut bytes = last.iter();
        while let Some(byte) = bytes.next() {
            part.push(*byte);
            if *byte == 0 {
                bytes.next();
            }
        }
        Some(part)
    }

    /// A key as it stands in an engine.
    pub(crate) fn raw(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_part_comes_back(parts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..5), 0..4)) {
            let key = Key::new("t", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(key.last_part(), parts.last().cloned());
            prop_assert!(key < key.successor());
        }

        #[test]
        fn order_is_that_of_the_parts(a in prop::collection::vec(prop::collection::vec(0_u8..4, 0..4), 1..4),
                                      b in prop::collection::vec(prop::collection::vec(0_u8..4, 0..4), 1..4)) {
            let key = |parts: &[Vec<u8>]| Key::new("t", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn a_range_holds_what_begins_with_its_parts(a in prop::collection::vec(0_u8..3, 0..3),
                                                    b in prop::collection::vec(0_u8..3, 0..3), number: u64) {
            let (from, to) = Key::range("t", &[&a]);
            let inside = |key: &Key| from <= *key && *key < to;
            prop_assert_eq!(inside(&Key::new("t", &[&b])), a == b);
            prop_assert_eq!(inside(&Key::new("t", &[&b, &a])), a == b);
            prop_assert_eq!(inside(&Key::numbered("t", &[&b], number)), a == b);
            prop_assert_eq!(Key::numbered("t", &[&b], number).number("t", &[&b]), Some(number));
            prop_assert_eq!(Key::new("t", &[&b]).number("t", &[&b]), None);
        }

        #[test]
        fn numbered_keys_are_in_the_order_of_their_numbers(a: u64, b: u64) {
            let key = |number| Key::numbered("t", &[b"folder"], number);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }
    }
}
