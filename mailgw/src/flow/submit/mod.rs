//! Taking the mail of those who log in, one straight line: sender → header → completed → recipients → allowance → recorded → answered.

mod author;
mod complete;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policies::mailbox::{self, LocalPart};
use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Address, Addressee, Answer, Domain, Envelope, Host, Recipient, Refusal, Secret};
use protocol::sasl::{Bearer, Proof};
use protocol::smtp::trace;
use store::{Batch, CommitError, Expectation, Store};
use time::OffsetDateTime;

use self::author::Wrong;
use super::consent;
use super::notification;
use super::paper::Request;
use super::reading;
use super::verified::{Proved, Senders};
use super::accept::{Found, INBOX, NotFound, Recipients, failed, not_found};
use crate::directory::{Account, Random, still_open};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError, TrustMark};
use crate::record::event::{self, Event};
use crate::record::usage::{self, Usage};
use crate::wire::accounts::{Accounts, Entered, Login, LoginRefusal, Visit};

/// Messages of one mailbox that race are decided anew, this many times.
const ATTEMPTS: usize = 16;

/// Records looked at at a time.
const PAGE: usize = 500;

fn not_entered(refusal: LoginRefusal) -> Answer {
    match refusal {
        LoginRefusal::Denied => Answer::Denied,
        LoginRefusal::Later => Answer::TooMany,
        LoginRefusal::Unavailable => Answer::Failed,
    }
}

/// A completed message with what stands above it, not put together: it may be large.
#[derive(Clone, Copy)]
struct Stamped<'m> {
    /// Trace fields and signatures.
    above: &'m [u8],
    completed: &'m [u8],
}

impl Stamped<'_> {
    /// With the line that ends it.
    fn header(&self) -> Vec<u8> {
        let (_, end) = trace::fields(self.completed);
        [self.above, self.completed.get(..end).unwrap_or_default(), b"\r\n"].concat()
    }
}

pub struct Submission {
    pub gateway: Arc<Gateway>,
    pub accounts: Arc<dyn Accounts>,
    pub random: Arc<dyn Random>,
    /// The name this host stands under in `Received`.
    pub host: Domain,
    /// What stands after the `@` of our mailboxes.
    pub domain: Domain,
    /// Mail for elsewhere is taken, since it is sent.
    pub outgoing: bool,
    /// Without them no mail is marked as a bureau's.
    pub senders: Option<Senders>,
}

/// Where the copies of a message go.
struct Places<'a> {
    /// Mailboxes here, each with what holds while it is open.
    mailboxes: BTreeMap<String, Option<Expectation>>,
    /// Those of them that the author wrote to by name, where it is a bureau.
    named: BTreeSet<String>,
    /// The addresses they were found by.
    here: Vec<&'a Addressee>,
    elsewhere: Vec<&'a Addressee>,
    /// The sender asks for a statement on paper.
    asks: bool,
    /// The sender says where it wishes to be told of mail.
    notices: bool,
    /// The sender says to have read a statement.
    reads: bool,
    /// The sender gives or takes back consent.
    consents: bool,
}

impl Submission {
    /// The answer to AUTH.
    pub fn login(&self, user: &str, password: &Secret, visit: Visit) -> Result<Entered, Answer> {
        self.accounts.login(user, password, visit).map_err(not_entered)
    }

    /// The answers to the two steps of AUTH SCRAM-SHA-256.
    pub fn salt(&self, user: &str) -> Answer {
        self.accounts.salt(user).map_or_else(not_entered, Answer::Salted)
    }

    pub fn prove(&self, proof: &Proof, visit: Visit) -> Result<Entered, Answer> {
        self.accounts.prove(proof, visit).map_err(not_entered)
    }

    /// The answer to AUTH EXTERNAL.
    pub fn certificate(&self, certificates: &[Vec<u8>], user: Option<&str>, visit: Visit) -> Result<Entered, Answer> {
        self.accounts.certificate(certificates, user, visit).map_err(not_entered)
    }

    /// The answer to AUTH OAUTHBEARER.
    pub fn token(&self, bearer: &Bearer, visit: Visit) -> Result<Entered, Answer> {
        self.accounts.token(bearer, visit).map_err(not_entered)
    }

    /// The answer to MAIL: an address of one's own, or the null path of a receipt.
    pub fn sender(&self, login: Login, reverse_path: Option<&Address>, now: OffsetDateTime) -> Answer {
        self.try_sender(login, reverse_path, now).unwrap_or_else(|answer| answer)
    }

    fn try_sender(&self, login: Login, reverse_path: Option<&Address>, now: OffsetDateTime) -> Result<Answer, Answer> {
        let account = self.account(login)?;
        if reverse_path.is_some_and(|address| !self.is_own(&account, address)) {
            return Err(Answer::Refused(Refusal::Sender));
        }
        self.usage(&account, 1, now)?.ok_or(Answer::TooMany)?;
        // Who could not be told that it came back sends nothing.
        let can_be_told = self.gateway.messages.has_room_for_notices(&account.mailbox()).map_err(|error| failed(&error))?;
        if can_be_told { Ok(Answer::Known) } else { Err(Answer::Full) }
    }

    /// The answer to RCPT.
    pub fn recipient(&self, recipient: &Recipient, declared: usize) -> Answer {
        if matches!(recipient, Recipient::Mailbox(address) if matches!(address.host(), Host::Literal(_))) {
            return Answer::Refused(Refusal::Literal);
        }
        if Request::is_for(recipient, self.domain.as_str()) || notification::Request::is_for(recipient, self.domain.as_str()) || reading::is_for(recipient, self.domain.as_str()) || consent::Request::is_for(recipient, self.domain.as_str()) {
            return Answer::Known;
        }
        match self.found(recipient) {
            Ok(found) => match self.gateway.messages.has_room(&found.mailbox, declared as u64) {
                Ok(true) => Answer::Known,
                Ok(false) => Answer::Full,
                Err(error) => failed(&error),
            },
            Err(NotFound::Elsewhere) if self.outgoing => Answer::Known,
            Err(error) => not_found(error),
        }
    }

    /// The answer to a whole message: `Durable` when each recipient has it or it waits for each, for good; after any other
    /// answer nobody has it.
    pub fn submit(&self, login: Login, envelope: &Envelope, message: &[u8], now: OffsetDateTime) -> Answer {
        self.try_submit(login, envelope, message, now).unwrap_or_else(|answer| answer)
    }

    fn try_submit(&self, login: Login, envelope: &Envelope, message: &[u8], now: OffsetDateTime) -> Result<Answer, Answer> {
        // 1. The header can be read, and says that the message is from whoever is logged in: before anything is made of it.
        if !trace::header_is_bounded(message) {
            return Err(Answer::Refused(Refusal::Header));
        }
        if trace::hops(message) > trace::MAX_HOPS {
            return Err(Answer::Refused(Refusal::Loop));
        }
        self.judge(login, message)?;
        // 2. It is completed. The name it gets tells nothing of its sender.
        let mut token = [0; 16];
        self.fill(&mut token)?;
        let token = crate::hex(&token);
        let completed = complete::complete(message, &self.host, &self.domain, &token, now);
        let (digest, size) = (crate::record::body::digest(&completed), completed.len() as u64);
        let id = format!("{:x}-{}", unix_millis(now), token.get(..16).unwrap_or_default());
        // Signed as it is completed: from here on nobody changes it.
        let signatures = self.gateway.dkim.sign(&completed, now).map_err(|error| failed(&error))?;
        let above = [&*trace::submitted(envelope, &self.host, now, &id), &*signatures].concat();
        let stamped = Stamped { above: &above, completed: &completed };
        // As its author signed it: what is completed is another header.
        let proved = self.senders.as_ref().and_then(|senders| senders.proved(message, now));
        for _ in 0..ATTEMPTS {
            // 3. Recipients are found anew, for mailboxes close; two addresses of one mailbox are one recipient.
            let places = self.places(envelope, proved.as_ref())?;
            // 4. Within what the sender may send, counted in the commit that sends. The sender's mailbox is still open.
            let account = self.account(login)?;
            let recipients = places.mailboxes.len() + places.elsewhere.len() + usize::from(places.asks) + usize::from(places.notices) + usize::from(places.reads) + usize::from(places.consents);
            let counted = self.usage(&account, recipients, now)?.ok_or(Answer::TooMany)?;
            let mut batch = Batch::new().expect(still_open(login.number)).expect(counted.0).put(usage::key(login.number), counted.1);
            // An operator who sends is none who is ended before the mail is recorded.
            batch = self.still_sender(login)?.into_iter().fold(batch, Batch::expect);
            // 5. For those elsewhere it is queued in the same commit, as it stands.
            let queued = match places.elsewhere.as_slice() {
                [] => None,
                elsewhere => {
                    let body = self.gateway.messages.body_below(stamped.above, stamped.completed, |_| false).map_err(too_large)?;
                    batch = self.gateway.queue.enqueue(batch, &body, &account.mailbox(), envelope, elsewhere, now).map_err(|error| failed(&error))?;
                    Some(body.id())
                }
            };
            if places.asks {
                if !Request::may_wait(&self.gateway, &account.mailbox()).map_err(|error| failed(&error))? {
                    return Err(Answer::TooMany);
                }
                batch = Request::read(message).put(batch, &self.gateway, &account.mailbox(), &token, now).map_err(|error| failed(&error))?;
            }
            if places.notices && let Some(request) = notification::Request::read(message, login.is_owner()) {
                if !notification::Request::may_wait(&self.gateway, &account.mailbox()).map_err(|error| failed(&error))? {
                    return Err(Answer::TooMany);
                }
                batch = request.put(batch, &self.gateway, &account.mailbox(), &token, now).map_err(|error| failed(&error))?;
            }
            if places.reads && let Some(request) = reading::Request::read(message, login) {
                if !reading::Request::may_wait(&self.gateway, &account.mailbox()).map_err(|error| failed(&error))? {
                    return Err(Answer::TooMany);
                }
                batch = request.put(batch, &self.gateway, &account.mailbox(), &token, now).map_err(|error| failed(&error))?;
            }
            if places.consents && let Some(request) = consent::Request::read(message, login.is_owner()) {
                if !consent::Request::may_wait(&self.gateway, &account.mailbox()).map_err(|error| failed(&error))? {
                    return Err(Answer::TooMany);
                }
                batch = request.put(batch, &self.gateway, &account.mailbox(), &token, now).map_err(|error| failed(&error))?;
            }
            if envelope.reverse_path.is_some() {
                batch = self.gateway.notifications.mailed(batch, places.mailboxes.keys().map(String::as_str), message, unix_millis(now)).map_err(|error| failed(&error))?;
            }
            let (here, elsewhere) = (places.mailboxes.len(), places.elsewhere.len());
            let submitted = event::Submitted {
                mailbox: account.mailbox(),
                digest: crate::hex(&digest),
                size,
                here: here as u64,
                elsewhere: elsewhere as u64,
                queued: queued.map(crate::queue::shown),
                operator: login.operator,
                id: login.operator.map(|_| id.clone()),
            };
            // Whose it is stands here, and in nothing that anybody is sent.
            if let Some(operator) = login.operator {
                batch = batch.put(crate::record::operator::sent_key(login.number, &id), crate::record::operator::encode_sent(operator));
            }
            Event::MailSubmitted(submitted).append(&mut batch, unix_millis(now)).map_err(|error| failed(&error))?;
            // 6. All copies and leaves of the log are recorded in one durable commit, or none.
            batch = places.mailboxes.values().flatten().cloned().fold(batch, Batch::expect);
            let copies = self.copies(&account, envelope, stamped, places, proved.as_ref(), now)?;
            // What a full sender's mailbox is told of the others has room of its own.
            match self.gateway.messages.deliver_promised_and_notices(&copies, here, batch, unix_millis(now)) {
                // 7. Only what is recorded is answered for.
                Ok(_) => {
                    if let Some(queued) = queued {
                        self.gateway.queue.accepted(queued);
                    }
                    tracing::info!(id, here, elsewhere, bytes = size, "message submitted");
                    return Ok(Answer::Durable { id });
                }
                // Another message of this sender was counted, an operator named or ended, or a mailbox closed: look again.
                Err(MailError::Conflict { .. }) => continue,
                Err(MailError::OverQuota { .. }) => return Err(Answer::Full),
                Err(MailError::Busy) => return Err(Answer::Failed),
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(Answer::Failed)
    }

    fn judge(&self, login: Login, message: &[u8]) -> Result<(), Answer> {
        let account = self.account(login)?;
        author::judge(message, self.domain.as_str(), |address| self.is_own(&account, address)).map_err(|wrong| {
            tracing::info!(?wrong, "a submitted mail is refused");
            Answer::Refused(if wrong == Wrong::Malformed { Refusal::Malformed } else { Refusal::Author })
        })
    }

    fn places<'a>(&self, envelope: &'a Envelope, proved: Option<&Proved>) -> Result<Places<'a>, Answer> {
        let mut places = Places { mailboxes: BTreeMap::new(), named: BTreeSet::new(), here: Vec::new(), elsewhere: Vec::new(), asks: false, notices: false, reads: false, consents: false };
        let mut named = BTreeSet::new();
        for addressee in &envelope.recipients {
            if Request::is_for(&addressee.recipient, self.domain.as_str()) {
                places.asks = true;
                continue;
            }
            if notification::Request::is_for(&addressee.recipient, self.domain.as_str()) {
                places.notices = true;
                continue;
            }
            if reading::is_for(&addressee.recipient, self.domain.as_str()) {
                places.reads = true;
                continue;
            }
            if consent::Request::is_for(&addressee.recipient, self.domain.as_str()) {
                places.consents = true;
                continue;
            }
            match self.found(&addressee.recipient) {
                Ok(found) => {
                    if proved.is_some_and(|proved| proved.is_for(addressee.as_str())) {
                        places.named.insert(found.mailbox.clone());
                    }
                    places.mailboxes.insert(found.mailbox, found.open);
                    places.here.push(addressee);
                }
                Err(NotFound::Elsewhere) if self.outgoing => {
                    if named.insert(addressee.as_str()) {
                        places.elsewhere.push(addressee);
                    }
                }
                Err(NotFound::Failed(text)) => return Err(failed(&text)),
                // The others must get it: the client tries again, and RCPT then says which one is gone.
                Err(_) => return Err(Answer::Failed),
            };
        }
        Ok(places)
    }

    /// A copy for each mailbox here, and for the sender's what it wished to hear of them.
    fn copies(&self, account: &Account, envelope: &Envelope, stamped: Stamped<'_>, places: Places<'_>, proved: Option<&Proved>, now: OffsetDateTime) -> Result<Vec<Delivery>, Answer> {
        if places.mailboxes.is_empty() {
            return Ok(Vec::new());
        }
        let Stamped { above, completed } = stamped;
        let (path, millis) = (trace::return_path(envelope), unix_millis(now));
        let mut copies = Vec::with_capacity(places.mailboxes.len());
        let (named, others): (Vec<String>, Vec<String>) = places.mailboxes.into_keys().partition(|mailbox| places.named.contains(mailbox));
        for (mailboxes, proved) in [(named, proved), (others, None)] {
            if mailboxes.is_empty() {
                continue;
            }
            let body = match proved {
                Some(proved) => self.gateway.messages.verified_body(&[&*path, above, completed].concat(), &TrustMark { bureau: proved.bureau().to_owned(), unix_millis: millis }),
                None => self.gateway.messages.body_below(&[&*path, above].concat(), completed, |_| false),
            };
            let (body, unix_millis) = (Arc::new(body.map_err(too_large)?), i64::try_from(millis).unwrap_or(i64::MAX));
            for mailbox in mailboxes {
                let folder = self.gateway.messages.folder_by_rule(&mailbox, || super::authors::author(completed)).map_err(|error| failed(&error))?;
                let (folder, content, event) = (folder.unwrap_or_else(|| INBOX.to_owned()), Arc::clone(&body).into(), proved.map(|proved| proved.event(&mailbox, &body)));
                copies.push(Delivery { mailbox, folder, content, unix_millis, flags: Flags::new(), event, mark: None });
            }
        }
        let told = self.gateway.queue.delivered(&account.mailbox(), envelope, &places.here, &stamped.header(), now);
        copies.extend(told.map_err(|error| failed(&error))?);
        Ok(copies)
    }

    fn account(&self, login: Login) -> Result<Account, Answer> {
        match self.gateway.directory.get(login.number) {
            Ok(Some(account)) if account.is_open() => Ok(account),
            Ok(_) => Err(Answer::Refused(Refusal::Sender)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// What a commit expects beside the open mailbox: nothing of an owner.
    fn still_sender(&self, login: Login) -> Result<Vec<Expectation>, Answer> {
        let Some(operator) = login.operator else { return Ok(Vec::new()) };
        let still = self.gateway.directory.still_operator(login.number, operator).map_err(|error| failed(&error))?;
        still.ok_or(Answer::Refused(Refusal::Sender))
    }

    /// What stands in the store of the sender's mail, and what shall stand there after one more message; `None` if that is too much.
    fn usage(&self, account: &Account, recipients: usize, now: OffsetDateTime) -> Result<Option<(Expectation, Vec<u8>)>, Answer> {
        let key = usage::key(account.number);
        let stored = self.gateway.store.get(&key).map_err(|error| failed(&error))?;
        let before = stored.as_deref().map(Usage::decode).transpose().map_err(|error| failed(&error))?.unwrap_or_default();
        let allowed = self.gateway.directory.policy().sending().allowance(account.kind());
        let Some(after) = before.with(recipients, &allowed, unix_millis(now)) else { return Ok(None) };
        let still = stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored));
        Ok(Some((still, after.encode().map_err(|error| failed(&error))?)))
    }

    fn found(&self, recipient: &Recipient) -> Result<Found, NotFound> {
        Recipients::find(&*self.gateway.directory, recipient)
    }

    /// Compared with the owner's own addresses alone: whether an address is another's, or nobody's, takes the same time and the
    /// same answer.
    fn is_own(&self, account: &Account, address: &Address) -> bool {
        let Host::Name(host) = address.host() else { return false };
        let address = mailbox::Address::parse(&format!("{}@{}", address.local(), host.as_str()), self.gateway.directory.domain());
        address.is_ok_and(|address| match address.local() {
            LocalPart::Number(number) => *number == account.number,
            LocalPart::Alias(alias) => account.aliases.contains(alias),
        })
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Answer> {
        self.random.fill(bytes).map_err(|error| failed(&error))
    }
}

/// Deletes what counts of days that are over: who sent what is kept by the log alone. How many.
pub fn forget_usage(store: &dyn Store, now: OffsetDateTime) -> Result<usize, MailError> {
    let ((mut from, to), now, mut count) = (usage::range(), unix_millis(now), 0);
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        from = last.successor();
        for (key, stored) in page.into_iter().filter(|(_, stored)| Usage::decode(stored).is_ok_and(|usage| usage.is_over(now))) {
            match store.commit(Batch::new().expect(Expectation::Equals(key.clone(), stored)).delete(key)) {
                // Its owner is sending at this moment.
                Err(CommitError::Conflict { .. }) => {}
                done => {
                    done?;
                    count += 1;
                }
            }
        }
    }
}

fn too_large(error: MailError) -> Answer {
    match error {
        MailError::TooLarge { .. } => Answer::Refused(Refusal::TooLarge),
        error => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::{Allowance, MailboxNumber};
    use store::Memory;
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_was_sent_yesterday_is_forgotten() {
        let (store, now) = (Memory::new(), datetime!(2026-11-29 08:00 UTC));
        let allowed = Allowance { messages_per_hour: 9, messages_per_day: 9, recipients_per_day: 9 };
        for (number, at) in [(1, now), (2, now - Duration::DAY), (3, now - Duration::days(40))] {
            let usage = Usage::default().with(1, &allowed, unix_millis(at)).unwrap();
            store.commit(Batch::new().put(usage::key(MailboxNumber::from_random(number).unwrap()), usage.encode().unwrap())).unwrap();
        }
        assert_eq!((forget_usage(&store, now).unwrap(), forget_usage(&store, now).unwrap()), (2, 0));
        let (from, to) = usage::range();
        assert_eq!(store.scan(&from, &to, 9).unwrap().len(), 1);
    }
}
