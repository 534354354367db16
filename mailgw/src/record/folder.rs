//! A folder: `1 | id u64 | uidvalidity u64 | its special uses, one u8 each, or 0`, under its mailbox and name. The id never changes and is
//! never used twice; UIDVALIDITY and the steps of MODSEQ come from counters of its mailbox. Beside the folders stand the
//! names subscribed to, which may name no folder, the ids of folders that are deleted and not swept yet, and for each
//! folder the step of its last change: `1 | step u64`.

use protocol::imap::exchange::{SpecialUse, SpecialUses};
use store::{CounterSlot, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "folder";
const SUBSCRIPTION: &str = "subscription";
const DELETED: &str = "deleted folder";
const LAST_STEP: &str = "folder step";
const USES_GIVEN: &str = "folder uses";
/// The counter that gives ids.
pub const IDS: &str = "folder";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    pub id: u64,
    pub uid_validity: u32,
    pub uses: SpecialUses,
}

/// The numbers are those of the record.
const USES: [(u8, SpecialUse); 5] = [(1, SpecialUse::Archive), (2, SpecialUse::Drafts), (3, SpecialUse::Junk), (4, SpecialUse::Sent), (5, SpecialUse::Trash)];
/// In their place, of a folder for nothing in particular.
const NO_USE: u8 = 0;

pub fn key(mailbox: &str, name: &str) -> Key {
    Key::new(KIND, &[mailbox.as_bytes(), name.as_bytes()])
}

/// All folders of a mailbox; the last part of each key is the name.
pub fn range(mailbox: &str) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes()])
}

pub fn subscription_key(mailbox: &str, name: &str) -> Key {
    Key::new(SUBSCRIPTION, &[mailbox.as_bytes(), name.as_bytes()])
}

pub fn subscriptions(mailbox: &str) -> (Key, Key) {
    Key::range(SUBSCRIPTION, &[mailbox.as_bytes()])
}

/// What stands under it: `mailbox | 0 | when u64 | name`; of before deleted mail was kept, the mailbox alone.
pub fn encode_deleted(mailbox: &str, name: &str, unix_millis: u64) -> Vec<u8> {
    [mailbox.as_bytes(), &[0], &unix_millis.to_be_bytes(), name.as_bytes()].concat()
}

/// The mailbox, the folder's name, and when it was deleted.
pub fn decode_deleted(bytes: &[u8]) -> Option<(String, String, u64)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return Some((text(bytes)?, String::new(), 0)) };
    let (when, name) = bytes.get(end + 1..)?.split_first_chunk::<8>()?;
    Some((text(bytes.get(..end)?)?, text(name)?, u64::from_be_bytes(*when)))
}

pub fn deleted_key(id: u64) -> Key {
    Key::numbered(DELETED, &[], id)
}

pub fn deleted() -> (Key, Key) {
    Key::range(DELETED, &[])
}

pub fn deleted_id(key: &Key) -> Option<u64> {
    key.number(DELETED, &[])
}

/// The name at the end of a key of [`range`] or [`subscriptions`].
pub fn name(key: &Key) -> Result<String, RecordError> {
    let name = key.last_part().and_then(|name| String::from_utf8(name).ok());
    name.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no name" })
}

/// The mailbox in a key of the folders of all mailboxes.
pub fn mailbox(key: &Key) -> Result<String, RecordError> {
    let rest = key.as_bytes().strip_prefix(Key::new(KIND, &[]).as_bytes());
    let number = rest.and_then(|rest| rest.split(|byte| *byte == 0).next()).and_then(|number| String::from_utf8(number.to_vec()).ok());
    number.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no mailbox" })
}

/// The folders of all mailboxes.
pub fn all() -> (Key, Key) {
    Key::range(KIND, &[])
}

/// One order of MODSEQ for all folders of a mailbox. The counter's number is one less than the MODSEQ, so that what never
/// changed has MODSEQ 1.
pub fn steps(mailbox: &str) -> String {
    format!("account modseq/{mailbox}")
}

pub fn last_step_key(id: u64) -> Key {
    Key::numbered(LAST_STEP, &[], id)
}

pub fn last_step_template(step: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(step)])
}

pub fn last_step(bytes: &[u8]) -> Result<u64, RecordError> {
    let step = versioned(LAST_STEP, bytes)?.try_into().map(u64::from_be_bytes);
    step.map_err(|_| RecordError::Damaged { kind: LAST_STEP, reason: "it is no number" })
}

/// Whoever makes a folder for a use writes it anew, `1 | number u64`, so that of two who do so at once one looks again.
pub fn uses_key(mailbox: &str) -> Key {
    Key::new(USES_GIVEN, &[mailbox.as_bytes()])
}

pub fn uses_counter(mailbox: &str) -> String {
    format!("folder uses/{mailbox}")
}

pub fn uses_template(number: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(number)])
}

pub fn validity_counter(mailbox: &str) -> String {
    format!("uidvalidity/{mailbox}")
}

pub fn template(id: CounterSlot, validity: CounterSlot, uses: SpecialUses) -> Template {
    let mut numbers: Vec<u8> = USES.iter().filter(|(_, one)| uses.has(*one)).map(|(number, _)| *number).collect();
    if numbers.is_empty() {
        numbers.push(NO_USE);
    }
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(id), Part::Counter(validity), Part::Bytes(numbers)])
}

impl Folder {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is not an id, a UIDVALIDITY and special uses" };
        let (id, rest) = versioned(KIND, bytes)?.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (validity, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let known = |number: &u8| USES.iter().find(|(known, _)| known == number).map(|(_, one)| *one).ok_or_else(damaged);
        let uses = match rest {
            [] => return Err(damaged()),
            [NO_USE] => SpecialUses::NONE,
            numbers => numbers.iter().map(known).collect::<Result<_, _>>()?,
        };
        let uid_validity = u64::from_be_bytes(*validity).try_into().map_err(|_| damaged())?;
        Ok(Self { id: u64::from_be_bytes(*id), uid_validity, uses })
    }

    pub fn uid_counter(&self) -> String {
        format!("uid/{}", self.id)
    }

    /// How often something was removed from the folder.
    pub fn removals_counter(&self) -> String {
        format!("removals/{}", self.id)
    }

    /// Where the folder's steps were counted before mailboxes counted them.
    pub fn former_steps(&self) -> String {
        format!("modseq/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of before a folder could have several uses are what those of one are now.
    #[test]
    fn uses_are_read_as_they_were_ever_written() {
        let record = |uses: &[u8]| [&[VERSION], 7_u64.to_be_bytes().as_slice(), 9_u64.to_be_bytes().as_slice(), uses].concat();
        let read = |uses: &[u8]| Folder::decode(&record(uses)).ok().map(|folder| folder.uses);
        assert_eq!(read(&[0]), Some(SpecialUses::NONE));
        assert_eq!(read(&[4]), Some(SpecialUses::NONE.with(SpecialUse::Sent)));
        assert_eq!(read(&[3, 5]), Some(SpecialUses::NONE.with(SpecialUse::Trash).with(SpecialUse::Junk)));
        for damaged in [&[][..], &[6], &[0, 4], &[4, 0]] {
            assert_eq!(read(damaged), None, "{damaged:?}");
        }
    }
}
