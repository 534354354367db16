//! Keys: a table and parts, encoded so that order is kept and no two lists of parts collide.

/// Each part is escaped (`00` becomes `00 FF`) and ended by `00 00`, so that a shorter part sorts first
/// and a part can hold any byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn new(table: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        for part in std::iter::once(table.as_bytes()).chain(parts.iter().copied()) {
            for &byte in part {
                bytes.push(byte);
                if byte == 0 {
                    bytes.push(0xff);
                }
            }
            bytes.extend_from_slice(&[0, 0]);
        }
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
        fn order_is_that_of_the_parts(a in prop::collection::vec(prop::collection::vec(0_u8..4, 0..4), 1..4),
                                      b in prop::collection::vec(prop::collection::vec(0_u8..4, 0..4), 1..4)) {
            let key = |parts: &[Vec<u8>]| Key::new("t", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }
    }
}
