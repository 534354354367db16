//! A legal hold: by the word of a named authority, with its reason and, where it says one, its end, nothing that a mailbox has is deleted for good, whatever its
//! owner, its quota or an administrator does. Its owner notices nothing. It ends by itself, or by the word of the same authority, for which
//! two officers signed: whoever could lift it alone could delete what it keeps.

use std::collections::BTreeMap;

use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, StoreError};
use time::Duration;

use super::approval::{self, ApprovalError, Approved, SignedRequest};
use crate::directory::DirectoryError;
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::mailbox_hold::{self as hold, Hold};
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::record::hold::Changes;
use crate::record::{RecordError, body};

pub const KIND: &str = "suiyin mailbox hold lift v1";
/// Characters of an authority's name, and of a reason.
const MAX_WORDS: usize = 200;
const ATTEMPTS: usize = 16;
/// A hold whose end is later is set without one.
const LONGEST: Duration = Duration::days(3_653);

/// What an authority says that sets a hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    pub authority: String,
    pub reason: String,
    /// Without an end: until it is lifted.
    #[serde(default)]
    pub until_unix_millis: Option<u64>,
}

/// That a hold ends, as two officers sign it. It is good for once: a hold is lifted once, and its number is never given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    pub kind: String,
    /// Its whole address: what is signed for one gateway is good at no other.
    pub mailbox: String,
    /// The number of the hold there.
    pub hold: u64,
    /// Whose hold it is, as it was said when it was set.
    pub authority: String,
    /// The authority's own reference for the end.
    pub reason: String,
    /// Where the papers are.
    pub papers: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownHold {
    pub number: u64,
    pub authority: String,
    pub reason: String,
    pub since_unix_millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_unix_millis: Option<u64>,
    /// The officers who signed for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted_by: Vec<String>,
    /// Now.
    pub holds: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("the {field} is empty or longer than {MAX_WORDS} characters; give the authority's name and its reference")]
    Words { field: &'static str },
    #[error("the end of the hold is not within ten years from now; give a date that is")]
    Until,
    #[error("the request is none: {reason}; write it as `mailgw mailbox hold --help` shows")]
    Request { reason: &'static str },
    #[error("mailbox has no hold {number} that lasts; look with `mailgw mailbox hold`")]
    NoHold { number: u64 },
    #[error("hold {number} is another authority's, which alone ends it; give the name that `mailgw mailbox hold` shows")]
    OtherAuthority { number: u64 },
    #[error("holds change again and again at this moment; try again")]
    Busy,
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl From<ReadError> for HoldError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<StoreError> for HoldError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<HoldError> for Problem {
    fn from(error: HoldError) -> Self {
        let (exit, code) = match error {
            HoldError::Directory(error) => return error.into(),
            HoldError::Approval(error) => return error.into(),
            HoldError::Request { .. } => (Exit::Usage, "hold-request"),
            HoldError::Words { .. } => (Exit::Usage, "hold-words"),
            HoldError::Until => (Exit::Usage, "hold-until"),
            HoldError::NoHold { .. } => (Exit::NotFound, "no-such-hold"),
            HoldError::OtherAuthority { .. } => (Exit::Refused, "other-authority"),
            HoldError::Busy => (Exit::Unavailable, "busy"),
            HoldError::Record(_) => (Exit::Damaged, "store-damaged"),
            HoldError::Commit(ref error) => crate::problem::store_class(error),
            HoldError::Mail(_) => (Exit::Unavailable, "mail"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

fn words(field: &'static str, text: &str) -> Result<String, HoldError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_WORDS || text.chars().any(char::is_control) { Err(HoldError::Words { field }) } else { Ok(text.to_owned()) }
}

/// 1 the words are words, the end is an end · 2 the mailbox is one, open or closed · 3 durable, sealed, with its leaf of the log, in which
/// the words are a digest.
pub fn set(gateway: &Gateway, mailbox: &str, word: &Word) -> Result<Vec<ShownHold>, HoldError> {
    let now = gateway.clock.now();
    // 1
    let (authority, reason, until) = (words("authority", &word.authority)?, words("reason", &word.reason)?, word.until_unix_millis);
    let since = unix_millis(now);
    if until.is_some_and(|until| until <= since || until > unix_millis(now + LONGEST)) {
        return Err(HoldError::Until);
    }
    // 2
    let mailbox = number(gateway, mailbox)?;
    // 3
    let mut reserved = Batch::new();
    let slot = reserved.next(&hold::counter(&mailbox));
    let number = gateway.store.commit(reserved)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
    let event = Event::MailboxHoldSet(event::MailboxHold { mailbox: mailbox.clone(), number, until, words: said(&authority, &reason), request: None, officers: Vec::new() });
    let record = Hold { authority, reason, since_unix_millis: since, until_unix_millis: until, lifted: None, lifted_by: Vec::new() };
    let key = hold::key(&mailbox, number);
    // What ends with its days is decided by all holds: this one is heard by whoever decides at this moment, and commits where nothing was
    // marked meanwhile.
    for _ in 0..ATTEMPTS {
        let (batch, _) = Changes::read(&*gateway.store)?.next(Batch::new());
        let mut batch = batch.expect(Expectation::Absent(key.clone())).put(key.clone(), record.seal(&mailbox, &gateway.directory_key)?);
        batch = batch.put(hold::mark_key(&mailbox), hold::mark(number));
        event.append(&mut batch, since)?;
        match gateway.store.commit(batch) {
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                return show(gateway, &mailbox);
            }
        }
    }
    Err(HoldError::Busy)
}

/// 1 a request of that form about a hold of this mailbox · 2 which lasts, and is that authority's · 3 two officers signed it today and since
/// it was set, two persons, not revoked · 4 durable, while the hold stands as it was found.
pub fn lift(gateway: &Gateway, lists: &RevocationLists, mailbox: &str, signed: &SignedRequest) -> Result<Vec<ShownHold>, HoldError> {
    let now = gateway.clock.now();
    // 1
    let wrong = |reason| HoldError::Request { reason };
    let asked: Lift = serde_json::from_str(&signed.request).map_err(|_| wrong("it is not of that form"))?;
    if asked.kind != KIND {
        return Err(wrong("it is of another kind"));
    }
    let (authority, reason) = (words("authority", &asked.authority)?, words("reason", &asked.reason)?);
    words("papers", &asked.papers)?;
    let mailbox = self::number(gateway, mailbox)?;
    if asked.mailbox != format!("{mailbox}@{}", gateway.directory.domain()) {
        return Err(wrong("its mailbox is not this one's whole address"));
    }
    // 2
    let number = asked.hold;
    let key = hold::key(&mailbox, number);
    let found = gateway.store.get(&key)?.ok_or(HoldError::NoHold { number })?;
    let record = Hold::open(&mailbox, &found, &gateway.directory_key)?;
    if !record.holds_at(unix_millis(now)) {
        return Err(HoldError::NoHold { number });
    }
    if record.authority != authority {
        return Err(HoldError::OtherAuthority { number });
    }
    // 3
    let Approved { request, officers } = approval::by_officers(gateway, lists, &signed.request, &signed.approvals, record.since_unix_millis, now)?;
    // 4
    let event = Event::MailboxHoldLifted(event::MailboxHold {
        mailbox: mailbox.clone(), number, until: Some(unix_millis(now)), words: said(&authority, &reason), request: Some(request), officers: officers.clone(),
    });
    let record = Hold { lifted: Some((unix_millis(now), reason)), lifted_by: officers, ..record };
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), found)).put(key, record.seal(&mailbox, &gateway.directory_key)?);
    event.append(&mut batch, unix_millis(now))?;
    match gateway.store.commit(batch) {
        // Lifted by somebody else at this moment.
        Err(CommitError::Conflict { .. }) => Err(HoldError::NoHold { number }),
        done => {
            done?;
            show(gateway, &mailbox)
        }
    }
}

pub fn show(gateway: &Gateway, mailbox: &str) -> Result<Vec<ShownHold>, HoldError> {
    let (mailbox, now) = (number(gateway, mailbox)?, gateway.now_unix_millis());
    let shown = |(number, hold): (u64, Hold)| ShownHold {
        number,
        holds: hold.holds_at(now),
        authority: hold.authority,
        reason: hold.reason,
        since_unix_millis: hold.since_unix_millis,
        until_unix_millis: hold.until_unix_millis,
        lifted_unix_millis: hold.lifted.map(|(at, _)| at),
        lifted_by: hold.lifted_by,
    };
    Ok(all(gateway, &mailbox)?.into_iter().map(shown).collect())
}

/// Whether anything holds a mailbox, by its ten digits.
pub fn is_held(gateway: &Gateway, mailbox: &str, unix_millis: u64) -> Result<bool, HoldError> {
    Ok(all(gateway, mailbox)?.iter().any(|(_, hold)| hold.holds_at(unix_millis)))
}

/// The mailboxes that are held now, by their ten digits, each with the reason of a hold.
pub fn held_mailboxes(gateway: &Gateway, unix_millis: u64) -> Result<BTreeMap<String, String>, HoldError> {
    let (from, to) = hold::marks();
    let mut held = BTreeMap::new();
    for (key, _) in gateway.store.scan(&from, &to, usize::MAX)? {
        let mailbox = hold::marked(&key)?;
        if let Some((_, hold)) = all(gateway, &mailbox)?.into_iter().find(|(_, hold)| hold.holds_at(unix_millis)) {
            held.insert(mailbox, hold.reason);
        }
    }
    Ok(held)
}

/// What was deleted longer ago than the policy keeps it goes for good, but for what is held. How many.
pub fn forget_deleted(gateway: &Gateway, go_on: &dyn Fn() -> bool) -> Result<usize, HoldError> {
    let now = gateway.now_unix_millis();
    let kept = u64::from(gateway.directory.policy().deleted_days()) * 86_400_000;
    let mut count = gateway.messages.forget_deleted(now.saturating_sub(kept), &|mailbox| is_held(gateway, mailbox, now), go_on)?;
    // Where a hold ended, the bound holds again.
    let (from, to) = hold::marks();
    for (key, _) in gateway.store.scan(&from, &to, usize::MAX)? {
        let mailbox = hold::marked(&key)?;
        count += gateway.messages.bound_deleted(&mailbox, &|| is_held(gateway, &mailbox, now))?;
    }
    Ok(count)
}

fn all(gateway: &Gateway, mailbox: &str) -> Result<Vec<(u64, Hold)>, HoldError> {
    let (from, to) = hold::range(mailbox);
    let open = |(key, bytes): (store::Key, Vec<u8>)| Ok((hold::number(mailbox, &key)?, Hold::open(mailbox, &bytes, &gateway.directory_key)?));
    gateway.store.scan(&from, &to, usize::MAX)?.into_iter().map(open).collect()
}

fn number(gateway: &Gateway, mailbox: &str) -> Result<String, HoldError> {
    Ok(gateway.directory.find(mailbox)?.ok_or(DirectoryError::NotFound)?.mailbox())
}

fn said(authority: &str, reason: &str) -> String {
    crate::hex(&body::digest(format!("{authority}\n{reason}").as_bytes()))
}
