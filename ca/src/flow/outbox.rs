//! Handing notices to the mail gateway: which are due, what became of them, and trying again.
//!
//! The gateway asks and says what it did, as often as it likes: a notice is handed over until the gateway has said that it is
//! delivered, and the gateway delivers nothing twice under one id. So neither side loses or doubles one, whenever it ends.

use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};

use super::authorise::{Authorised, Courier, Operator};
use super::notice::{is_needed, root_list, stored};
use crate::authority::{Authority, ROOT};
use crate::letter::{self, Letter};
use crate::problem::IssueError;
use crate::record::{About, Notice, NoticeState, NoticeStage, Unread, decode, log};
use crate::register;

/// The most letters handed over at once, and the most queued notices looked at for them.
pub const PAGE: usize = 100;
const LOOKED_AT: usize = 1_000;
/// A notice that cannot be delivered for now is tried again after so many seconds, doubled each time up to a day.
const AGAIN: i64 = 60;
const AGAIN_AT_MOST: i64 = 86_400;
/// So often, over about two weeks; then it has failed.
const ATTEMPTS: u32 = 24;

/// What the gateway is to deliver.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// SHA-256 of the root's certificate, hexadecimal: ids are unique below it. A restored authority keeps it, whatever its log's key.
    pub authority: String,
    pub from: From,
    pub letters: Vec<Letter>,
}

/// Who tells.
#[derive(Clone, Debug, Serialize)]
pub struct From {
    pub name: String,
    pub mailbox: String,
}

/// What the gateway did with one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    pub id: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// SHA-256 of the message as it was delivered, hexadecimal.
    Delivered(String),
    /// Not now.
    Later(Unread),
    /// Never, as things stand.
    Refused(Unread),
}

/// The notices whose turn has come, as letters. What is not needed any more is dropped here, at the last moment.
pub fn collect(authority: &Authority, _courier: &Authorised<Courier>) -> Result<Page, IssueError> {
    let now = authority.clock.now().unix_timestamp();
    let operator = &authority.rules.notices.operator;
    let root = authority.issuers.get(ROOT).ok_or(IssueError::Damaged { what: "the root" })?;
    let from = From { name: operator.name.clone(), mailbox: operator.mailbox.clone() };
    let mut page = Page { authority: crate::sha256_hex(&root.record.der), from, letters: Vec::new() };
    let (first, to) = Notice::up_to(NoticeState::Queued, now);
    for (_, id) in authority.store.scan(&first, &to, LOOKED_AT)? {
        let notice = stored(authority, &id)?;
        if !still_needed(authority, &notice, now)? {
            change(authority, &notice, Notice { state: NoticeState::Dropped, at: now, ..notice.clone() }, None)?;
            continue;
        }
        page.letters.push(letter::write(authority, &notice)?);
        if page.letters.len() == PAGE {
            break;
        }
    }
    Ok(page)
}

/// A certificate's notice goes out while the certificate must be renewed and no later stage has come; that of the root's list
/// while no newer one is published.
fn still_needed(authority: &Authority, notice: &Notice, now: i64) -> Result<bool, IssueError> {
    let serial = match &notice.about {
        About::Certificate(serial) => serial,
        About::RootList(number) => return Ok(root_list(authority, ROOT)?.number == *number),
        About::LaterRootList { root, number } => return Ok(root_list(authority, root)?.number == *number),
        About::Unaddressed { .. } | About::Recovered { .. } => return Ok(true),
    };
    let serial = register::serial(serial)?;
    let record = register::get(&*authority.store, &serial)?;
    if !is_needed(authority, &serial, &record, now)? {
        return Ok(false);
    }
    let NoticeStage::Days(days) = notice.stage else { return Ok(true) };
    let (from, to) = Notice::of(&notice.about);
    for (_, other) in authority.store.scan(&from, &to, 64)? {
        let other: Notice = decode(&other).map_err(|_| IssueError::Damaged { what: "a notice" })?;
        if matches!(other.stage, NoticeStage::Days(other) if other < days) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the gateway says it did, one after another; saying it again changes nothing.
pub fn done(authority: &Authority, _courier: &Authorised<Courier>, done: &[Done]) -> Result<(), IssueError> {
    let now = authority.clock.now().unix_timestamp();
    for Done { id, outcome } in done {
        // An authority restored from a backup may be told of what it does not know: that was delivered all the same.
        let Some(found) = authority.store.get(&Notice::key(id))? else { continue };
        let notice: Notice = decode(&found).map_err(|_| IssueError::Damaged { what: "a notice" })?;
        if notice.state == NoticeState::Sent {
            continue;
        }
        let about = crate::sha256_hex(notice.id().as_bytes());
        match outcome {
            Outcome::Delivered(message) => {
                let told = message.len() == 64 && message.bytes().all(|digit| digit.is_ascii_hexdigit());
                let message = if told { authority.own_names.message(&message.to_ascii_lowercase()) } else { String::new() };
                let entry = log::Entry::NoticeSent { notice: &about, message: &message };
                change(authority, &notice, Notice { state: NoticeState::Sent, at: now, attempts: notice.attempts.saturating_add(1), reason: None, ..notice.clone() }, Some(&entry))?;
            }
            _ if notice.state != NoticeState::Queued => {}
            Outcome::Later(reason) if notice.attempts + 1 < ATTEMPTS => {
                let wait = AGAIN.saturating_mul(1 << notice.attempts.min(16)).min(AGAIN_AT_MOST);
                change(authority, &notice, Notice { at: now.saturating_add(wait), attempts: notice.attempts + 1, reason: Some(*reason), ..notice.clone() }, None)?;
            }
            Outcome::Later(reason) | Outcome::Refused(reason) => {
                let entry = log::Entry::NoticeFailed { notice: &about, reason: *reason };
                let failed = Notice { state: NoticeState::Failed, at: now, attempts: notice.attempts.saturating_add(1), reason: Some(*reason), ..notice.clone() };
                change(authority, &notice, failed, Some(&entry))?;
            }
        }
    }
    Ok(())
}

/// Puts failed notices into the queue again: the one named, or all.
pub fn retry(authority: &Authority, authorised: &Authorised<Operator>, id: Option<&str>) -> Result<Vec<Notice>, IssueError> {
    let now = authority.clock.now().unix_timestamp();
    let failed = match id {
        Some(id) => {
            let unknown = || IssueError::NoNotice { id: id.chars().take(80).collect() };
            let found = authority.store.get(&Notice::key(id))?.ok_or_else(unknown)?;
            let notice: Notice = decode(&found).map_err(|_| IssueError::Damaged { what: "a notice" })?;
            if notice.state != NoticeState::Failed {
                return Err(unknown());
            }
            vec![notice]
        }
        None => {
            let (from, to) = Notice::all_in(NoticeState::Failed);
            authority.store.scan(&from, &to, LOOKED_AT)?.iter().map(|(_, id)| stored(authority, id)).collect::<Result<_, _>>()?
        }
    };
    let mut queued = Vec::new();
    for notice in failed {
        let again = Notice { state: NoticeState::Queued, at: now, attempts: 0, ..notice.clone() };
        let entry = log::Entry::NoticeRetried { notice: &crate::sha256_hex(notice.id().as_bytes()), by: &authorised.actor().to_string() };
        if change(authority, &notice, again.clone(), Some(&entry))? {
            queued.push(again);
        }
    }
    Ok(queued)
}

/// The words of a notice, as they are handed over.
pub fn words(authority: &Authority, id: &str) -> Result<Letter, IssueError> {
    let unknown = || IssueError::UnknownNotice { id: id.chars().take(80).collect() };
    let found = authority.store.get(&Notice::key(id))?.ok_or_else(unknown)?;
    letter::write(authority, &decode(&found).map_err(|_| IssueError::Damaged { what: "a notice" })?)
}

/// The notices in a state, the first first, or of all states.
pub fn list(authority: &Authority, state: Option<NoticeState>, limit: usize) -> Result<Vec<Notice>, IssueError> {
    let mut found = Vec::new();
    for state in state.map_or(NoticeState::ALL.to_vec(), |state| vec![state]) {
        let (from, to) = Notice::all_in(state);
        for (_, id) in authority.store.scan(&from, &to, limit.saturating_sub(found.len()))? {
            found.push(stored(authority, &id)?);
        }
    }
    Ok(found)
}

/// Whether it was done; somebody who came between has decided otherwise, and that stands.
fn change(authority: &Authority, before: &Notice, after: Notice, entry: Option<&log::Entry<'_>>) -> Result<bool, IssueError> {
    let mut batch = after.replace(before, Batch::new())?;
    if let Some(entry) = entry {
        batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    }
    match authority.store.commit(batch) {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
