//! Handing receipts to the mail gateway: which letters are due, what became of them, and trying again.
//!
//! The gateway asks and says what it did, as often as it likes: a letter is handed over until the gateway has said that it is
//! delivered, and the gateway delivers nothing twice under one id. So neither side loses or doubles one, whenever it ends.

use serde::{Deserialize, Serialize};
use store::CommitError;

use super::seal;
use crate::desk::problem::DeskError;
use crate::desk::receipt::letter::{self, Letter};
use crate::desk::record::event::{Event, named_receipt};
use crate::desk::record::letter::{LetterRecord, LetterState, Unread, receipt_of};
use crate::desk::record::receipt::ReceiptNumber;
use crate::desk::{Desk, bureau, sha256_hex};

/// The most letters handed over at once, and the most queued ones looked at for them.
pub const PAGE: usize = 50;
const LOOKED_AT: usize = 500;
/// A letter that cannot be delivered for now is tried again after so many seconds, doubled each time up to a day.
const AGAIN: i64 = 60;
const AGAIN_AT_MOST: i64 = 86_400;
/// So often, over about two weeks; then it has failed, and the receipt waits at the desk.
const ATTEMPTS: u32 = 24;

/// What the gateway is to deliver: letters of one bureau at a time, since a page has one sender.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// SHA-256 of the log's key, hexadecimal: ids are unique below it.
    pub authority: String,
    pub from: From,
    pub letters: Vec<Letter>,
}

#[derive(Clone, Debug, Default, Serialize)]
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

/// The letters whose turn has come.
pub fn collect(desk: &Desk) -> Result<Page, DeskError> {
    let mut page = Page { authority: sha256_hex(desk.settings.log_key.as_bytes()), from: From::default(), letters: Vec::new() };
    let mut of: Option<String> = None;
    let (from, to) = LetterRecord::due(desk.clock.now().unix_timestamp());
    for (_, id) in desk.store.scan(&from, &to, LOOKED_AT)? {
        let Some((number, text)) = std::str::from_utf8(&id).ok().and_then(|text| Some((ReceiptNumber::parse(receipt_of(text))?, text))) else { continue };
        let Some(record) = desk.store.get(&LetterRecord::key(text))?.map(|bytes| LetterRecord::decode(&bytes)).transpose()? else { continue };
        if of.as_ref().is_some_and(|code| *code != record.bureau) {
            continue;
        }
        let Some(sealed) = seal::stored(desk, &number)? else { continue };
        if of.is_none() {
            // The sealing certificate bears the address that the bureau's mail comes from.
            let Some(mailbox) = bureau::address(desk, &record.bureau)? else { continue };
            let name = desk.policies.desk.bureau(&record.bureau).map(|bureau| bureau.name.clone()).unwrap_or_default();
            page.from = From { name, mailbox };
            of = Some(record.bureau.clone());
        }
        page.letters.push(letter::write(text, &record.to, &sealed.document, &sealed.seal)?);
        if page.letters.len() == PAGE {
            break;
        }
    }
    Ok(page)
}

/// What the gateway says it did, one after another; saying it again changes nothing.
pub fn done(desk: &Desk, done: &[Done]) -> Result<(), DeskError> {
    let now = desk.clock.now();
    for Done { id, outcome } in done {
        // A desk restored from a backup may be told of what it does not know: that was delivered all the same.
        let Some(found) = desk.store.get(&LetterRecord::key(id))? else { continue };
        let before = LetterRecord::decode(&found)?;
        if before.state == LetterState::Sent {
            continue;
        }
        let (at, named) = (now.unix_timestamp(), named_receipt(&desk.data, id));
        let (after, event) = match outcome {
            Outcome::Delivered(message) => {
                let message = if super::attachment::is_digest(message) { message.as_str() } else { "" };
                (LetterRecord { state: LetterState::Sent, at, reason: None, ..before.clone() }, Some(Event::LetterDelivered { receipt: &named, message }))
            }
            _ if before.state != LetterState::Queued => continue,
            Outcome::Later(reason) if before.attempts + 1 < ATTEMPTS => {
                let wait = AGAIN.saturating_mul(1 << before.attempts.min(16)).min(AGAIN_AT_MOST);
                (LetterRecord { at: at.saturating_add(wait), attempts: before.attempts + 1, reason: Some(*reason), ..before.clone() }, None)
            }
            Outcome::Later(reason) | Outcome::Refused(reason) => {
                let failed = LetterRecord { state: LetterState::Failed, at, reason: Some(*reason), ..before.clone() };
                (failed, Some(Event::LetterFailed { receipt: &named, reason: word(*reason) }))
            }
        };
        let mut batch = after.replace(&before, id)?;
        if let Some(event) = event {
            event.append(&mut batch, now)?;
        }
        match desk.store.commit(batch) {
            // Somebody who came between has said otherwise, and that stands.
            Ok(_) | Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn word(reason: Unread) -> &'static str {
    match reason {
        Unread::UnknownMailbox => "unknown-mailbox",
        Unread::ClosedMailbox => "closed-mailbox",
        Unread::Elsewhere => "elsewhere",
        Unread::MailboxFull => "mailbox-full",
        Unread::Gateway => "gateway",
    }
}
