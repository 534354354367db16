//! Notices of the authority, one straight line: asked for → recipient found → rendered → recorded once → told.
//!
//! The authority hands a notice over until it is told that it is delivered, and here it is delivered once: its mark is in the
//! commit that delivers. Whoever ends in between, nothing is lost and nothing doubled.

use policies::certificate::HostName;
use policies::mailbox::Address;
use protocol::imap::exchange::Flags;
use runtime::exit::Problem;
use store::{Batch, Expectation};

use crate::directory::{Account, still_open};
use crate::gateway::Gateway;
use crate::mailbox::{Delivery, MailError};
use crate::notice::Checked;
use crate::outbox::{Done, Letter, Outbox, Outcome, Page, Recipient, Unread};
use crate::record::event::{self, Event};
use crate::record::notice::Delivered;

const INBOX: &str = "INBOX";
/// Pages of one turn: what is left waits for the next.
const PAGES: usize = 100;

/// How many letters came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub delivered: u64,
    pub later: u64,
    pub refused: u64,
}

/// Takes all that the authority has. Blocking.
pub fn collect(gateway: &Gateway, outbox: &dyn Outbox) -> Result<Collected, Problem> {
    let mut collected = Collected::default();
    for _ in 0..PAGES {
        // 1. What is due; nothing is promised by asking.
        let page = outbox.collect()?;
        if page.letters.is_empty() {
            break;
        }
        // 2. Each is delivered or not, for a reason that has a name.
        let told: Vec<Done> = page.letters.iter().map(|letter| Done { id: letter.id.clone(), outcome: deliver(gateway, &page, letter) }).collect();
        // 3. Only what is durable is told as delivered.
        outbox.done(&told)?;
        for done in &told {
            match done.outcome {
                Outcome::Delivered(_) => collected.delivered += 1,
                Outcome::Later(_) => collected.later += 1,
                Outcome::Refused(_) => collected.refused += 1,
            }
        }
    }
    Ok(collected)
}

fn deliver(gateway: &Gateway, page: &Page, letter: &Letter) -> Outcome {
    match try_deliver(gateway, page, letter) {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, "a notice cannot be delivered now");
            Outcome::Later(Unread::Gateway)
        }
    }
}

fn try_deliver(gateway: &Gateway, page: &Page, letter: &Letter) -> Result<Outcome, MailError> {
    // 1. One that was delivered before is told again, and nothing else.
    let mark = Delivered::key(&page.authority, &letter.id);
    if let Some(found) = gateway.store.get(&mark)? {
        return Ok(Outcome::Delivered(Delivered::decode(&found)?.message));
    }
    // 2. Its words within bounds, and an author of our own domain.
    let domain = gateway.directory.domain();
    let (Some(checked), Ok(from)) = (Checked::new(letter, &page.from), address(&page.from.mailbox, domain)) else {
        return Ok(Outcome::Refused(Unread::Gateway));
    };
    // 3. An open mailbox here: nothing is relayed.
    let to = match &letter.to {
        Recipient::Operator => Ok(from.clone()),
        Recipient::Mailbox(text) => address(text, domain),
    };
    let to = match to {
        Ok(to) => to,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    let account = match gateway.directory.find_address(&to.to_string()) {
        Ok(Some(account)) if account.is_open() => account,
        Ok(Some(_)) => return Ok(Outcome::Refused(Unread::ClosedMailbox)),
        Ok(None) => return Ok(Outcome::Refused(Unread::UnknownMailbox)),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            return Ok(Outcome::Later(Unread::Gateway));
        }
    };
    // 4. Message, mark and leaf of the log in one durable commit, or none.
    let message = checked.render(&from, &to, &page.authority, gateway.clock.now());
    recorded(gateway, &account, letter, message, &mark)
}

fn recorded(gateway: &Gateway, account: &Account, letter: &Letter, message: Vec<u8>, mark: &store::Key) -> Result<Outcome, MailError> {
    let (digest, size) = (crate::hex(&crate::record::body::digest(&message)), message.len() as u64);
    let notice = crate::hex(&crate::record::body::digest(letter.id.as_bytes()));
    let event = Event::NoticeDelivered(event::Notice { mailbox: account.mailbox(), notice, digest: digest.clone(), size });
    let now = gateway.now_unix_millis();
    let unix_millis = i64::try_from(now).unwrap_or(i64::MAX);
    let delivery = Delivery { mailbox: account.mailbox(), folder: INBOX.to_owned(), content: message.into(), unix_millis, flags: Flags::new(), event: Some(event), mark: None };
    let delivered = Delivered { message: digest.clone() };
    let batch = Batch::new().expect(Expectation::Absent(mark.clone())).expect(still_open(account.number)).put(mark.clone(), delivered.encode()?);
    match gateway.messages.deliver_with(&[delivery], batch, now) {
        Ok(_) => Ok(Outcome::Delivered(digest)),
        Err(MailError::OverQuota { .. }) => Ok(Outcome::Later(Unread::MailboxFull)),
        // Delivered by somebody else, or closed, at this very moment: the next turn sees which.
        Err(MailError::Conflict { .. } | MailError::Busy) => Ok(Outcome::Later(Unread::Gateway)),
        Err(error) => Err(error),
    }
}

/// An address here, from a whole one or from the part before the `@`.
fn address(text: &str, domain: &HostName) -> Result<Address, Unread> {
    let whole = if text.contains('@') { text.to_owned() } else { format!("{text}@{domain}") };
    let elsewhere = whole.rsplit('@').next().is_none_or(|host| !host.eq_ignore_ascii_case(domain.as_str()));
    Address::parse(&whole, domain).map_err(|_| if elsewhere { Unread::Elsewhere } else { Unread::UnknownMailbox })
}
