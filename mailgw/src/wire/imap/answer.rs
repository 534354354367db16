//! The answers to a session's requests, out of the message store. Everything here blocks but `kept`.

use protocol::imap::exchange::{Answer, NewMessage, RefusalCode, Request, SystemFlag};
use time::OffsetDateTime;

use super::ahead::Ahead;
use crate::mailbox::{AccountWatch, Delivery, MailError, MessageStore, View, Watch};
use crate::record::folder::Folder;

/// Messages removed in one commit.
const EXPUNGE: usize = 1_000;

/// What became of the folder the session has open.
pub(super) enum Then {
    Stays,
    Opened(Folder, Watch),
    Left,
    /// Of the mailbox as a whole.
    Watched(AccountWatch),
    Unwatched,
}

/// `ahead`: of messages that are being read already.
pub(super) fn answer(messages: &MessageStore, mailbox: &str, open: Option<Folder>, ahead: Option<&Ahead>, request: Request, now: OffsetDateTime) -> (Answer, Then) {
    let creates = matches!(request, Request::Replace { .. } | Request::Copy { .. } | Request::Move { .. });
    match request {
        Request::Open { mailbox: name, .. } => match messages.open(mailbox, &name) {
            Ok((view, watch)) => opened(view, watch),
            Err(error) => (refused(&error, false), Then::Left),
        },
        Request::Close => (Answer::Done, Then::Left),
        Request::WatchAccount => {
            // Watched before it is listed: what happens in between is in both.
            let watch = messages.watch_account(mailbox);
            match messages.list(mailbox) {
                Ok(all) => (Answer::Mailboxes(all), Then::Watched(watch)),
                Err(error) => (refused(&error, false), Then::Stays),
            }
        }
        Request::UnwatchAccount => (Answer::Done, Then::Unwatched),
        request => {
            let answer = on_store(messages, mailbox, open, ahead, request, now).unwrap_or_else(|error| refused(&error, creates));
            (answer, Then::Stays)
        }
    }
}

/// What can be answered out of memory, without waiting for anyone.
pub(super) fn kept(messages: &MessageStore, mailbox: &str, request: &Request) -> Option<(Answer, Then)> {
    match request {
        Request::Open { mailbox: name, .. } => messages.open_kept(mailbox, name).map(|(view, watch)| opened(view, watch)),
        _ => None,
    }
}

fn opened(View { folder, uid_next, highest_modseq, messages }: View, watch: Watch) -> (Answer, Then) {
    (Answer::Opened { uid_validity: folder.uid_validity, uid_next, highest_modseq, id: folder.id, messages }, Then::Opened(folder, watch))
}

fn on_store(messages: &MessageStore, mailbox: &str, open: Option<Folder>, ahead: Option<&Ahead>, request: Request, now: OffsetDateTime) -> Result<Answer, MailError> {
    let folder = || open.ok_or(MailError::NoFolder);
    let now_unix_millis = || u64::try_from(millis(now)).unwrap_or(0);
    let done = |()| Answer::Done;
    Ok(match request {
        Request::List => Answer::Mailboxes(messages.list(mailbox)?),
        Request::Status { mailbox: name } => Answer::Status(messages.status(mailbox, &name)?),
        Request::Load { uid, shows, .. } => {
            let folder = folder()?;
            let (bytes, digest) = ahead.and_then(|ahead| ahead.take(folder.id, uid)).unwrap_or_else(|| messages.load_with_digest(folder.id, uid))?;
            if shows {
                messages.note_shown(mailbox, &bytes, digest, now_unix_millis());
            }
            Answer::Bytes(bytes.into())
        }
        Request::Outlines { contents, listing, header } => Answer::Outlines(messages.outlines(mailbox, &contents, listing, header)?),
        Request::Find { needles } => {
            let (known, hits) = messages.find(mailbox, &needles)?;
            Answer::Found { known, hits }
        }
        Request::Store { uids, op, flags, unchanged_since } => {
            let (after, modified) = messages.store_flags_since(mailbox, &folder()?, &uids, op, &flags, unchanged_since.unwrap_or(u64::MAX))?;
            Answer::Stored { after, modified }
        }
        Request::Replace { uid, mailbox: name, message } => {
            let placed = messages.replace(&folder()?, uid, &delivery(mailbox, &name, message, now), now_unix_millis())?;
            Answer::Appended { uid_validity: placed.uid_validity, uids: vec![placed.uid] }
        }
        Request::Metadata { mailbox: name } => Answer::Metadata(messages.annotations(mailbox, name.as_deref())?),
        Request::SetMetadata { mailbox: name, values } => messages.annotate(mailbox, name.as_deref(), &values).map(done)?,
        Request::Copy { uids, to } => copied(messages.copy(&folder()?, &uids, mailbox, &to, now_unix_millis())?),
        Request::Move { uids, to } => copied(messages.move_to(&folder()?, &uids, mailbox, &to, now_unix_millis())?),
        Request::Expunge { uids } => Answer::Expunged(expunge(messages, mailbox, &folder()?, uids, now)?),
        Request::Quota => Answer::Quota(messages.quota_of(mailbox)?),
        Request::Time => Answer::Time(now),
        Request::Vanished { since } => Answer::Vanished(messages.vanished(&folder()?, since)?),
        Request::Create { mailbox: name, uses } => Answer::Created { id: messages.create_folder_for(mailbox, &name, uses)? },
        Request::Delete { mailbox: name } => messages.delete_folder(mailbox, &name, now_unix_millis()).map(done)?,
        Request::Rename { from, to } => messages.rename_folder(mailbox, &from, &to).map(done)?,
        Request::Subscribe { mailbox: name } => messages.subscribe(mailbox, &name).map(done)?,
        Request::Unsubscribe { mailbox: name } => messages.unsubscribe(mailbox, &name).map(done)?,
        Request::Open { .. } | Request::Append { .. } | Request::Close | Request::WatchAccount | Request::UnwatchAccount | Request::Login { .. } | Request::Sasl(_) | Request::Drain | Request::Compress | Request::Unauthenticate => Answer::Done,
    })
}

fn delivery(mailbox: &str, folder: &str, message: NewMessage, now: OffsetDateTime) -> Delivery {
    let unix_millis = millis(message.internal_date.unwrap_or(now));
    Delivery { mailbox: mailbox.to_owned(), folder: folder.to_owned(), content: message.bytes.into(), unix_millis, flags: message.flags, event: None, mark: None }
}

fn expunge(messages: &MessageStore, mailbox: &str, folder: &Folder, uids: Option<Vec<u32>>, now: OffsetDateTime) -> Result<Vec<u32>, MailError> {
    let uids = match uids {
        Some(uids) => uids,
        None => messages.with_flag(mailbox, folder, SystemFlag::Deleted)?,
    };
    let mut gone = Vec::new();
    for some in uids.chunks(EXPUNGE) {
        gone.extend(messages.expunge(mailbox, folder, some, u64::try_from(millis(now)).unwrap_or(0))?);
    }
    Ok(gone)
}

fn copied((uid_validity, pairs): (u32, Vec<(u32, u32)>)) -> Answer {
    let (from, to) = pairs.into_iter().unzip();
    Answer::Copied { uid_validity, from, to }
}

pub(super) fn millis(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// `creates`: a folder that is missing may be created and the command tried again.
pub(super) fn refused(error: &MailError, creates: bool) -> Answer {
    let code = match error {
        MailError::NoFolder if creates => RefusalCode::TryCreate,
        MailError::NoFolder | MailError::Gone => RefusalCode::NonExistent,
        MailError::FolderExists => RefusalCode::AlreadyExists,
        MailError::UseTaken | MailError::NoSuchUse => RefusalCode::UseAttr,
        MailError::Inbox | MailError::IntoItself | MailError::Rules(_) => RefusalCode::Cannot,
        MailError::OverQuota { .. } => RefusalCode::OverQuota,
        MailError::TooManyAnnotations { .. } => RefusalCode::TooManyAnnotations,
        MailError::NameTooLong | MailError::TooManyFolders { .. } | MailError::TooLarge { .. } | MailError::TooMany { .. } | MailError::TooMuchAtOnce { .. } | MailError::UidsExhausted => {
            RefusalCode::Limit
        }
        MailError::Busy | MailError::Conflict { .. } => RefusalCode::InUse,
        MailError::Record(_) | MailError::Key(_) | MailError::Store(_) | MailError::Commit(_) => return failed(error),
    };
    Answer::Refused { code, text: error.to_string() }
}

/// The operator learns the reason, the client that it is none of its doing.
fn failed(error: &MailError) -> Answer {
    tracing::error!(%error, "an IMAP request failed");
    let (code, text) = match error {
        MailError::Store(store::StoreError::Unavailable { .. }) | MailError::Commit(_) => (RefusalCode::Unavailable, "The store cannot be used now; try again later"),
        _ => (RefusalCode::ServerBug, "A record is damaged; tell the operator"),
    };
    Answer::Refused { code, text: text.to_owned() }
}
