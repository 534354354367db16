//! Accepting mail, one straight line: envelope → recipients → body → trace fields → recorded → answered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Answer, Domain, Envelope, Recipient, Refusal};
use protocol::smtp::trace;
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::authors;
use crate::mailbox::{Delivery, MailError, MessageStore};

/// Where mail goes first.
pub(super) const INBOX: &str = "INBOX";

/// A mailbox that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub mailbox: String,
    /// What holds in the store while the mailbox is open: a mailbox closed meanwhile gets nothing.
    pub open: Option<Expectation>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum NotFound {
    Unknown,
    Closed,
    /// The domain is not served here.
    Elsewhere,
    /// The directory cannot be read now; the text is for the log and names nobody.
    Failed(String),
}

/// Who has which address. Blocking.
pub trait Recipients: Send + Sync {
    fn find(&self, recipient: &Recipient) -> Result<Found, NotFound>;
}

pub struct Reception {
    pub recipients: Arc<dyn Recipients>,
    pub messages: Arc<MessageStore>,
    /// The name this host stands under in `Received`.
    pub host: Domain,
    /// What stands after the `@` of our mailboxes, in lower case.
    pub domain: Domain,
}

impl Reception {
    /// The answer to RCPT. It promises the mailbox room for one message: a mailbox that this one overfills by part of it
    /// must not keep the other recipients from theirs.
    pub fn recipient(&self, recipient: &Recipient, declared: usize) -> Answer {
        match self.recipients.find(recipient) {
            Ok(found) => match self.messages.has_room(&found.mailbox, declared as u64) {
                Ok(true) => Answer::Known,
                Ok(false) => Answer::Full,
                Err(error) => failed(&error),
            },
            Err(error) => not_found(error),
        }
    }

    /// The answer to a whole message: `Durable` when each recipient has it for good; after any other answer nobody has it.
    pub fn accept(&self, envelope: &Envelope, message: &[u8], peer: IpAddr, now: OffsetDateTime) -> Answer {
        // 1. The envelope stands. Its header is of a size that can be read, with all of the message's in memory several
        //    times over otherwise. A message that goes in circles ends here, and one that comes in our own name.
        if !trace::header_is_bounded(message) {
            return Answer::Refused(Refusal::Header);
        }
        if trace::hops(message) > trace::MAX_HOPS {
            return Answer::Refused(Refusal::Loop);
        }
        if let Some(forged) = authors::judge(envelope, message, self.domain.as_str()) {
            tracing::info!(?forged, "a mail from outside in our name is refused");
            return Answer::Refused(Refusal::Policy);
        }
        // 2. Recipients are found anew, for mailboxes close; two addresses of one mailbox are one recipient.
        let mut mailboxes = BTreeMap::new();
        for addressee in &envelope.recipients {
            match self.recipients.find(&addressee.recipient) {
                Ok(found) => mailboxes.insert(found.mailbox, found.open),
                // The others must get it: the client tries again, and RCPT then says which one is gone.
                Err(NotFound::Failed(text)) => return failed(&text),
                Err(_) => return Answer::Failed,
            };
        }
        // 3. Trace fields go above the message, whose own bytes stay as they came, but for verdicts that claim to be ours.
        let unix_millis = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let digest = crate::record::body::digest(message);
        let id = format!("{unix_millis:x}-{}", crate::hex(digest.get(..8).unwrap_or_default()));
        let trace = [trace::return_path(envelope), trace::received(envelope, &self.host, now, peer, &id)].concat();
        let body = match self.messages.body(&[&trace, &*trace::without_our_verdicts(message, &self.host)].concat()) {
            Ok(body) => Arc::new(body),
            Err(MailError::TooLarge { .. }) => return Answer::Refused(Refusal::TooLarge),
            Err(error) => return failed(&error),
        };
        // 4. All copies, of one body, and their leaves of the log are recorded in one durable commit, or none.
        let open = mailboxes.values().flatten().cloned().fold(Batch::new(), Batch::expect);
        let copy = |mailbox: String| {
            let (folder, content) = (INBOX.to_owned(), Arc::clone(&body).into());
            Delivery { mailbox, folder, content, unix_millis, flags: Flags::new(), event: None, mark: None }
        };
        let copies: Vec<Delivery> = mailboxes.into_keys().map(copy).collect();
        // 5. Only what is recorded is answered for.
        match self.messages.deliver_promised(&copies, open, u64::try_from(unix_millis).unwrap_or(0)) {
            Ok(_) => {
                tracing::info!(id, copies = copies.len(), bytes = body.size(), tls = envelope.tls, "message accepted");
                Answer::Durable { id }
            }
            Err(MailError::OverQuota { .. }) => Answer::Full,
            // A mailbox closed since step 2, or a crowd: trying again decides it.
            Err(MailError::Conflict { .. } | MailError::Busy) => Answer::Failed,
            Err(error) => failed(&error),
        }
    }
}

pub(super) fn not_found(error: NotFound) -> Answer {
    match error {
        NotFound::Unknown => Answer::Unknown,
        NotFound::Closed => Answer::Refused(Refusal::Closed),
        NotFound::Elsewhere => Answer::Refused(Refusal::Relaying),
        NotFound::Failed(text) => failed(&text),
    }
}

pub(super) fn failed(error: &dyn std::fmt::Display) -> Answer {
    tracing::error!(%error, "mail cannot be taken");
    Answer::Failed
}
