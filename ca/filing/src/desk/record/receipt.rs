//! A receipt: what it will say is recorded before it is sealed, and the seal beside it afterwards.
//!
//! The log assigns the position that a receipt bears inside the very commit that records it, so the position stands before
//! the text: eight octets, spliced in by the store.

use store::{Key, Part, StreamSlot, Template};

use super::{RecordError, VERSION, versioned};

const DRAFT: &str = "receipt";
const SEAL: &str = "receipt seal";
const PENDING: &str = "receipt pending";

/// Which receipt: of a filing, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptNumber {
    pub filing: String,
    pub number: u32,
}

impl ReceiptNumber {
    pub fn new(filing: &str, number: u32) -> Self {
        Self { filing: filing.to_owned(), number }
    }

    /// `FILING-1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (filing, number) = text.rsplit_once('-')?;
        let plain = (1..=64).contains(&filing.len()) && filing.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let read: u32 = number.parse().ok().filter(|read: &u32| *read > 0 && read.to_string() == number)?;
        plain.then(|| Self::new(filing, read))
    }

    fn key(&self, table: &str) -> Key {
        Key::new(table, &[self.filing.as_bytes(), &self.number.to_be_bytes()])
    }

    pub fn draft(&self) -> Key {
        self.key(DRAFT)
    }

    pub fn seal(&self) -> Key {
        self.key(SEAL)
    }

    /// Stands until the receipt is sealed.
    pub fn pending(&self) -> Key {
        self.key(PENDING)
    }

    /// Every receipt that is not sealed yet; their values are the numbers as text.
    pub fn all_pending() -> (Key, Key) {
        Key::range(PENDING, &[])
    }
}

impl std::fmt::Display for ReceiptNumber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.filing, self.number)
    }
}

/// The draft as it is committed: the position of the leaf in `slot` goes before `text`.
pub fn draft(slot: StreamSlot, text: &[u8]) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Position(slot), Part::Bytes(text.to_vec())])
}

/// The same, once the position is known.
pub fn draft_at(position: u64, text: &[u8]) -> Vec<u8> {
    [&[VERSION], position.to_be_bytes().as_slice(), text].concat()
}

/// Position in the log and text.
pub fn read_draft(stored: &[u8]) -> Result<(u64, &[u8]), RecordError> {
    let damaged = RecordError::Damaged { kind: DRAFT, reason: "it ends before its text" };
    let (position, text) = versioned(DRAFT, stored)?.split_first_chunk::<8>().ok_or(damaged)?;
    Ok((u64::from_be_bytes(*position), text))
}

pub fn read_seal(stored: &[u8]) -> Result<&[u8], RecordError> {
    versioned(SEAL, stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(ReceiptNumber::parse("01ABC-12").map(|number| number.to_string()).as_deref(), Some("01ABC-12"));
        for wrong in ["", "-1", "01ABC", "01ABC-0", "01ABC-01", "01ABC-+1", "01/BC-1", "01ABC-4294967296"] {
            assert_eq!(ReceiptNumber::parse(wrong), None, "{wrong}");
        }
    }
}
