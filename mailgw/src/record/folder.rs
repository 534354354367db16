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

/// How many, and their numbers.
pub(super) fn encode_uses(uses: SpecialUses) -> Vec<u8> {
    let numbers = numbers(uses);
    [&[u8::try_from(numbers.len()).unwrap_or(u8::MAX)], numbers.as_slice()].concat()
}

fn numbers(uses: SpecialUses) -> Vec<u8> {
    USES.iter().filter(|(_, one)| uses.has(*one)).map(|(number, _)| *number).collect()
}

/// What [`encode_uses`] wrote, and what follows it.
pub(super) fn decode_uses(bytes: &[u8]) -> Option<(SpecialUses, &[u8])> {
    let (count, rest) = bytes.split_first()?;
    let (numbers, rest) = rest.split_at_checked(usize::from(*count))?;
    Some((numbers.iter().map(|number| use_of(*number)).collect::<Option<_>>()?, rest))
}

fn use_of(number: u8) -> Option<SpecialUse> {
    USES.iter().find(|(known, _)| *known == number).map(|(_, one)| *one)
}

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

/// A folder that is deleted and not swept yet: `mailbox | 0 | when u64 | name`, or `mailbox | 1 | when u64 | how many uses u8 | uses | name`
/// of one for uses; of before deleted mail was kept, the mailbox alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedFolder {
    pub mailbox: String,
    /// As the folder was called; of before deleted mail was kept, nothing.
    pub name: String,
    pub uses: SpecialUses,
    pub unix_millis: u64,
}

/// What ends the mailbox in the record of a deleted folder for nothing in particular, and of one for uses.
const DELETED_PLAIN: u8 = 0;
const DELETED_WITH_USES: u8 = 1;

impl DeletedFolder {
    pub fn encode(&self) -> Vec<u8> {
        let (mailbox, when, name) = (self.mailbox.as_bytes(), self.unix_millis.to_be_bytes(), self.name.as_bytes());
        if self.uses.is_empty() {
            return [mailbox, &[DELETED_PLAIN], &when, name].concat();
        }
        [mailbox, &[DELETED_WITH_USES], &when, &encode_uses(self.uses), name].concat()
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let Some(end) = bytes.iter().position(|byte| matches!(*byte, DELETED_PLAIN | DELETED_WITH_USES)) else {
            return Some(Self { mailbox: text(bytes)?, name: String::new(), uses: SpecialUses::NONE, unix_millis: 0 });
        };
        let (mailbox, rest) = bytes.split_at_checked(end)?;
        let (form, rest) = rest.split_first()?;
        let (when, rest) = rest.split_first_chunk::<8>()?;
        let (uses, name) = if *form == DELETED_WITH_USES { decode_uses(rest)? } else { (SpecialUses::NONE, rest) };
        Some(Self { mailbox: text(mailbox)?, name: text(name)?, uses, unix_millis: u64::from_be_bytes(*when) })
    }
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
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(id), Part::Counter(validity), Part::Bytes(numbers_or_none(uses))])
}

fn numbers_or_none(uses: SpecialUses) -> Vec<u8> {
    if uses.is_empty() { vec![NO_USE] } else { numbers(uses) }
}

impl Folder {
    /// As [`template`] makes it, of a folder that is there.
    pub fn encode(&self) -> Vec<u8> {
        [&[VERSION], self.id.to_be_bytes().as_slice(), &u64::from(self.uid_validity).to_be_bytes(), &numbers_or_none(self.uses)].concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is not an id, a UIDVALIDITY and special uses" };
        let (id, rest) = versioned(KIND, bytes)?.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (validity, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let known = |number: &u8| use_of(*number).ok_or_else(damaged);
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
        for uses in [&[0][..], &[4], &[3, 5]] {
            assert_eq!(Folder::decode(&record(uses)).map(|folder| folder.encode()), Ok(record(uses)));
        }
        for damaged in [&[][..], &[6], &[0, 4], &[4, 0]] {
            assert_eq!(read(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn a_deleted_folder_is_read_as_it_was_ever_written() {
        let folder = |name: &str, uses: &[SpecialUse], unix_millis: u64| DeletedFolder { mailbox: "1234567897".into(), name: name.into(), uses: uses.iter().copied().collect(), unix_millis };
        for one in [folder("a", &[], 7), folder("垃圾邮件", &[SpecialUse::Junk, SpecialUse::Trash], 0x0001_0001)] {
            assert_eq!(DeletedFolder::decode(&one.encode()), Some(one));
        }
        assert_eq!(DeletedFolder::decode(b"1234567897"), Some(folder("", &[], 0)));
        assert_eq!(DeletedFolder::decode(b"1234567897\0\0\0\0\0\0\0\x01\x02Sent"), Some(folder("Sent", &[], 258)));
        // No such use, fewer than it says, no time.
        for damaged in [&b"1\x01\0\0\0\0\0\0\0\x07\x01\x09a"[..], b"1\x01\0\0\0\0\0\0\0\x07\x03\x01", b"1\0\0\0"] {
            assert_eq!(DeletedFolder::decode(damaged), None, "{damaged:?}");
        }
    }
}
