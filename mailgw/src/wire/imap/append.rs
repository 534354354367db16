//! APPEND: messages are sealed and put together where they came in, and recorded without a thread that waits.

use std::sync::Arc;

use protocol::imap::exchange::{Answer, NewMessage, RefusalCode};
use store::Batch;
use time::OffsetDateTime;

use super::answer::{millis, refused};
use crate::mailbox::{Assembled, Delivery, MailError, MessageStore, Uid};
use crate::wire::brief::{brief, momentary, place_to_change};

/// Octets that are sealed in a moment.
const MOMENT: usize = 256 << 10;

pub(super) async fn append(messages: &Arc<MessageStore>, mailbox: Arc<str>, folder: String, new: Vec<NewMessage>, now: OffsetDateTime) -> Answer {
    let now_unix_millis = u64::try_from(millis(now)).unwrap_or(0);
    // So many seal and wait for their commit at one time: whoever brings mail waits behind no more of them.
    let _place = place_to_change().await;
    // 1. Each is sealed once, and only what was sealed is held from here on.
    let is_brief = new.iter().map(|message| message.bytes.len()).sum::<usize>() > MOMENT;
    let sealing = Arc::clone(messages);
    let make = move || -> Result<(Vec<Delivery>, Assembled), MailError> {
        let sealed = |message: NewMessage| {
            let unix_millis = millis(message.internal_date.unwrap_or(now));
            let content = Arc::new(sealing.body(&message.bytes)?).into();
            Ok(Delivery { mailbox: mailbox.to_string(), folder: folder.clone(), content, unix_millis, flags: message.flags, event: None, mark: None })
        };
        let deliveries = new.into_iter().map(sealed).collect::<Result<Vec<_>, MailError>>()?;
        // 2. All of them in one commit, or none: decided by what the mailbox holds now.
        let assembled = sealing.assembled(&deliveries, Batch::new(), now_unix_millis, false)?;
        Ok((deliveries, assembled))
    };
    let made = if is_brief { brief(make).await } else { momentary(make).await };
    let placed = match made {
        // 3. Durable, then answered.
        Ok(Ok((deliveries, assembled))) => match messages.committed(assembled).await {
            // What it was decided by was changed meanwhile: it is decided anew until it holds.
            Err(MailError::Conflict { .. }) => {
                let messages = Arc::clone(messages);
                brief(move || messages.deliver(&deliveries, now_unix_millis)).await
            }
            placed => Ok(placed),
        },
        Ok(Err(error)) => Ok(Err(error)),
        Err(panicked) => Err(panicked),
    };
    match placed {
        Ok(placed) => appended(placed),
        Err(error) => {
            tracing::error!(%error, "an APPEND was not finished");
            Answer::Refused { code: RefusalCode::ServerBug, text: "The request was not finished".to_owned() }
        }
    }
}

fn appended(placed: Result<Vec<Uid>, MailError>) -> Answer {
    let all = placed.and_then(|placed| Ok((placed.first().ok_or(MailError::Gone)?.uid_validity, placed)));
    match all {
        Ok((uid_validity, placed)) => Answer::Appended { uid_validity, uids: placed.iter().map(|placed| placed.uid).collect() },
        Err(error) => refused(&error, true),
    }
}
