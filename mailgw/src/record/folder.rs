//! A folder: `1 | id u64 | uidvalidity u64 | special use u8`, under its mailbox and name. The id never changes and is
//! never used twice; UIDVALIDITY and the steps of MODSEQ come from counters of its mailbox. Beside the folders stand the
//! names subscribed to, which may name no folder, the ids of folders that are deleted and not swept yet, and for each
//! folder the step of its last change: `1 | step u64`.

use protocol::imap::exchange::SpecialUse;
use store::{CounterSlot, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "folder";
const SUBSCRIPTION: &str = "subscription";
const DELETED: &str = "deleted folder";
const LAST_STEP: &str = "folder step";
/// The counter that gives ids.
pub const IDS: &str = "folder";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    pub id: u64,
    pub uid_validity: u32,
    pub special_use: Option<SpecialUse>,
}

/// The numbers are those of the record.
const USES: [(u8, Option<SpecialUse>); 6] = [
    (0, None),
    (1, Some(SpecialUse::Archive)),
    (2, Some(SpecialUse::Drafts)),
    (3, Some(SpecialUse::Junk)),
    (4, Some(SpecialUse::Sent)),
    (5, Some(SpecialUse::Trash)),
];

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

pub fn validity_counter(mailbox: &str) -> String {
    format!("uidvalidity/{mailbox}")
}

pub fn template(id: CounterSlot, validity: CounterSlot, special_use: Option<SpecialUse>) -> Template {
    let number = USES.iter().find(|(_, known)| *known == special_use).map_or(0, |(number, _)| *number);
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(id), Part::Counter(validity), Part::Bytes(vec![number])])
}

impl Folder {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is not an id, a UIDVALIDITY and a special use" };
        let (id, rest) = versioned(KIND, bytes)?.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (validity, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let &[number] = rest else { return Err(damaged()) };
        let (_, special_use) = *USES.iter().find(|(known, _)| *known == number).ok_or_else(damaged)?;
        let uid_validity = u64::from_be_bytes(*validity).try_into().map_err(|_| damaged())?;
        Ok(Self { id: u64::from_be_bytes(*id), uid_validity, special_use })
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
