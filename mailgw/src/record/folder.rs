//! A folder: `1 | id u64 | uidvalidity u64`, under its mailbox and name. The id never changes and is never
//! used twice; UIDVALIDITY comes from a counter of its mailbox.

use store::{CounterSlot, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "folder";
/// The counter that gives ids.
pub const IDS: &str = "folder";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    pub id: u64,
    pub uid_validity: u32,
}

pub fn key(mailbox: &str, name: &str) -> Key {
    Key::new(KIND, &[mailbox.as_bytes(), name.as_bytes()])
}

pub fn validity_counter(mailbox: &str) -> String {
    format!("uidvalidity/{mailbox}")
}

pub fn template(id: CounterSlot, validity: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(id), Part::Counter(validity)])
}

impl Folder {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is not an id and a UIDVALIDITY" };
        let (id, validity) = versioned(KIND, bytes)?.split_first_chunk::<8>().ok_or_else(damaged)?;
        let validity: [u8; 8] = validity.try_into().map_err(|_| damaged())?;
        Ok(Self { id: u64::from_be_bytes(*id), uid_validity: u64::from_be_bytes(validity).try_into().map_err(|_| damaged())? })
    }

    pub fn uid_counter(&self) -> String {
        format!("uid/{}", self.id)
    }

    /// The counter's number is one less than the MODSEQ: an empty folder has MODSEQ 1.
    pub fn modseq_counter(&self) -> String {
        format!("modseq/{}", self.id)
    }
}
