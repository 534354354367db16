//! Accepting mail, one straight line: envelope → whose it is → verdict → a bureau's or anybody's → recipients → trace fields → recorded → answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use policies::mailbox::InboundPolicy;
use protocol::imap::exchange::{Flags, Keyword, SpecialUse};
use protocol::smtp::exchange::{Address, Answer, BodyKind, Domain, Envelope, Recipient, Refusal};
use protocol::smtp::{binary, trace};
use runtime::metrics::{Counter, MetricError, Registry};
use ring::rand::SystemRandom;
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::authors;
use super::callers::Callers;
use super::notification::Notifications;
use super::verified::{Proved, Senders};
use crate::daily_report::dmarc::Tallies;
use crate::directory::NoRandomness;
use crate::gateway::unix_millis;
use crate::mailbox::{Assembled, Body, Delivery, MailError, MessageStore, TrustMark, Uid};
use crate::queue::Queue;
use crate::record::body::BodyId;
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::verdict::{self, Reason, Results, Verdict, Verifier};

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

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another host, by its address.
    Host(IpAddr),
    /// A neighbour on this machine, which has judged it.
    Neighbour,
}

impl Origin {
    fn peer(self) -> IpAddr {
        match self {
            Self::Host(peer) => peer,
            Self::Neighbour => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

/// A message that is not refused, and what is known of it. Only `Reception::examine` makes one.
pub struct Examined {
    origin: Origin,
    envelope: Arc<Envelope>,
    message: Arc<Vec<u8>>,
    results: Option<Results>,
    verdict: Verdict,
}

impl Examined {
    /// Each recipient is answered for where not all have it. spec: rfc2033#4.2
    fn is_for_each(&self) -> bool {
        self.origin == Origin::Neighbour && self.envelope.recipients.len() > 1
    }
}

/// What became of a message when it was put together.
pub enum Prepared {
    Ready(Box<Ready>),
    /// It takes longer: `accept` is for it.
    Slowly(Examined),
    Answered(Answer),
}

/// A message that waits for its commit.
pub struct Ready {
    examined: Examined,
    together: Together,
    assembled: Assembled,
}

/// A message with its copies, and what is committed with them.
struct Together {
    id: String,
    copies: Vec<Delivery>,
    with: Batch,
    /// What its sender is told.
    told: Option<BodyId>,
    bytes: usize,
    is_verified: bool,
}

/// A message as it is kept: below its trace fields, without verdicts that claim to be ours.
struct Written<'m> {
    trace: &'m [u8],
    message: &'m [u8],
}

/// How often each reason decided.
pub type Verdicts = BTreeMap<Reason, Arc<Counter>>;

pub fn register_verdicts(registry: &Registry) -> Result<Verdicts, MetricError> {
    let counter = |reason: Reason| Ok((reason, registry.counter("smtp_verdicts_total", "Messages of other hosts judged, by the reason that decided.", reason.label())?));
    Reason::ALL.into_iter().map(counter).collect()
}

pub struct Reception {
    pub recipients: Arc<dyn Recipients>,
    pub messages: Arc<MessageStore>,
    /// The name this host stands under in `Received`.
    pub host: Domain,
    /// What stands after the `@` of our mailboxes, in lower case.
    pub domain: Domain,
    pub policy: InboundPolicy,
    /// Without a resolver nothing is asked, and nothing is known.
    pub verifier: Option<Verifier>,
    pub verdicts: Verdicts,
    pub callers: Callers,
    /// Mail for elsewhere, where it is sent: by it senders hear that their mail arrived.
    pub queue: Option<Arc<Queue>>,
    /// What is reported to the domains in whose names mail comes; without it nothing is.
    pub reports: Option<Arc<Tallies>>,
    /// Without them no mail is marked as a bureau's.
    pub senders: Option<Senders>,
    /// Whose owners are told elsewhere of their mail.
    pub notifications: Option<Arc<Notifications>>,
}

impl Reception {
    /// The answer to RCPT. It promises the mailbox room for one message: a mailbox that this one overfills by part of it
    /// must not keep the other recipients from theirs.
    pub fn recipient(&self, origin: Origin, sender: Option<&Address>, recipient: &Recipient, declared: usize, now: OffsetDateTime) -> Answer {
        let now = unix_millis(now);
        if let Origin::Host(peer) = origin
            && !self.callers.may_name(peer, sender.map(Address::as_str), now)
        {
            return Answer::TooMany;
        }
        match self.recipients.find(recipient) {
            Ok(_) if !self.is_met(origin, sender, recipient, now) => Answer::Greylisted,
            Ok(found) => match self.messages.has_room(&found.mailbox, declared as u64) {
                Ok(true) => Answer::Known,
                Ok(false) => Answer::Full,
                Err(error) => failed(&error),
            },
            Err(error) => {
                if let (NotFound::Unknown, Origin::Host(peer)) = (&error, origin) {
                    self.callers.unknown(peer, now);
                }
                not_found(error)
            }
        }
    }

    fn is_met(&self, origin: Origin, sender: Option<&Address>, recipient: &Recipient, now: u64) -> bool {
        let Origin::Host(peer) = origin else { return true };
        let domain = sender.map_or(String::new(), |address| address.host().to_string());
        self.callers.is_met(peer, &domain, recipient.as_str(), now)
    }

    /// The first half of the line to a whole message: what is known of it before anything is made of it. Another host's message is
    /// looked at with the DNS, which takes its time and no thread.
    pub async fn examine(&self, origin: Origin, envelope: Arc<Envelope>, message: Arc<Vec<u8>>, now: OffsetDateTime) -> Result<Examined, Answer> {
        // 1. The envelope stands. The header is of a size that can be read, with all of the message's in memory several times over
        //    otherwise. A message that goes in circles ends here, and one that comes in our own name.
        if !trace::header_is_bounded(&message) {
            return Err(Answer::Refused(Refusal::Header));
        }
        if trace::hops(&message) > trace::MAX_HOPS {
            return Err(Answer::Refused(Refusal::Loop));
        }
        // What is refused below counts, too.
        if let Origin::Host(peer) = origin {
            self.callers.message(peer, unix_millis(now));
        }
        if let Some(forged) = authors::judge(&envelope, &message, self.domain.as_str()) {
            tracing::info!(?forged, "a mail from outside in our name is refused");
            return Err(Answer::Refused(Refusal::Policy));
        }
        // 2. Whose it is: SPF, DKIM, ARC, DMARC. Of a neighbour's mail the neighbour has asked.
        let results = match (&self.verifier, origin) {
            (Some(verifier), Origin::Host(peer)) => Some(verifier.verify(&envelope, peer, Arc::clone(&message)).await),
            _ => None,
        };
        // 3. What becomes of it, by the policy.
        let verdict = verdict::decide::decide(results.as_ref(), &self.policy);
        self.judged(verdict);
        if let (Some(reports), Some(results), Origin::Host(peer)) = (&self.reports, &results, origin) {
            reports.note(peer, results, verdict, unix_millis(now));
        }
        let answer = match verdict {
            // Told of when it is accepted.
            Verdict::Accept(_) | Verdict::Junk(_) => {
                if let (Origin::Host(peer), Some(sender)) = (origin, &envelope.reverse_path) {
                    self.callers.taken(peer, sender.as_str(), unix_millis(now));
                }
                return Ok(Examined { origin, envelope, message, results, verdict });
            }
            Verdict::Reject(Reason::SpfFail) => Answer::Refused(Refusal::Spf),
            Verdict::Reject(Reason::NoAuthor | Reason::SeveralAuthors) => Answer::Refused(Refusal::NoAuthor),
            Verdict::Reject(_) => Answer::Refused(Refusal::Dmarc),
            Verdict::Later(_) => Answer::Unproved,
        };
        tracing::info!(verdict = verdict.name(), reason = verdict.reason().name(), "message not taken");
        Err(answer)
    }

    /// The second half, for who does not wait for a commit: the message put together. Blocks for a moment.
    pub fn prepare(&self, mut examined: Examined, now: OffsetDateTime) -> Prepared {
        if let Err(answer) = in_characters(&mut examined) {
            return Prepared::Answered(answer);
        }
        // What a bureau may have signed takes longer to judge: lists may be fetched.
        if matches!(examined.verdict, Verdict::Accept(_)) && self.senders.as_ref().is_some_and(|senders| senders.concerns(&examined.message)) {
            return Prepared::Slowly(examined);
        }
        let together = match self.put_together(&examined, None, &examined.envelope, now) {
            Ok(together) => together,
            Err(_) if examined.is_for_each() => return Prepared::Slowly(examined),
            Err(answer) => return Prepared::Answered(answer),
        };
        match self.messages.assembled_promised(&together.copies, together.with.clone(), unix_millis(now)) {
            Ok(assembled) => Prepared::Ready(Box::new(Ready { examined, together, assembled })),
            Err(_) if examined.is_for_each() => Prepared::Slowly(examined),
            Err(error) => Prepared::Answered(self.settle(&examined, together, Err(error))),
        }
    }

    /// Records what was put together. A message that has to be decided anew, or for each of its recipients, comes back for `accept`.
    pub async fn record(&self, ready: Box<Ready>) -> Result<Answer, Examined> {
        let Ready { examined, together, assembled } = *ready;
        match self.messages.committed(assembled).await {
            Err(MailError::Conflict { .. }) => Err(examined),
            Err(_) if examined.is_for_each() => Err(examined),
            outcome => Ok(self.settle(&examined, together, outcome)),
        }
    }

    /// The second half: `Durable` when each recipient has it for good; after any other answer nobody has it. To a neighbour each
    /// recipient is answered for where not all have it. Blocks.
    pub fn accept(&self, mut examined: Examined, now: OffsetDateTime) -> Answer {
        if let Err(answer) = in_characters(&mut examined) {
            return answer;
        }
        let examined = &examined;
        // 5. Whether a bureau is proved to have sent it. What is junk is nobody's.
        let proved = match (&self.senders, examined.verdict) {
            (Some(senders), Verdict::Accept(_)) => senders.proved(&examined.message, now),
            _ => None,
        };
        let all = self.accept_for(examined, proved.as_ref(), &examined.envelope, now);
        if !examined.is_for_each() || matches!(all, Answer::Durable { .. }) {
            return all;
        }
        // spec: rfc2033#4.2
        let each = (0..examined.envelope.recipients.len()).filter_map(|place| examined.envelope.only(place));
        Answer::Each(each.map(|envelope| self.accept_for(examined, proved.as_ref(), &envelope, now)).collect())
    }

    fn accept_for(&self, examined: &Examined, proved: Option<&Proved>, envelope: &Envelope, now: OffsetDateTime) -> Answer {
        match self.put_together(examined, proved, envelope, now) {
            Ok(together) => {
                // 9. Only what is recorded is answered for.
                let recorded = self.messages.deliver_promised(&together.copies, together.with.clone(), unix_millis(now));
                self.settle(examined, together, recorded)
            }
            Err(answer) => answer,
        }
    }

    fn put_together(&self, examined: &Examined, proved: Option<&Proved>, envelope: &Envelope, now: OffsetDateTime) -> Result<Together, Answer> {
        let Examined { origin, message, results, verdict, .. } = examined;
        // 6. Recipients are found anew, for mailboxes close; two addresses of one mailbox are one recipient. Whom a bureau wrote to by
        //    name gets its mail marked, anybody else the same mail as anybody's.
        let (mut mailboxes, mut named) = (BTreeMap::new(), BTreeSet::new());
        for addressee in &envelope.recipients {
            match self.recipients.find(&addressee.recipient) {
                Ok(found) => {
                    if proved.is_some_and(|proved| proved.is_for(addressee.recipient.as_str())) {
                        named.insert(found.mailbox.clone());
                    }
                    mailboxes.insert(found.mailbox, found.open)
                }
                // The others must get it: the client tries again, and RCPT then says which one is gone.
                Err(NotFound::Failed(text)) => return Err(failed(&text)),
                Err(_) => return Err(Answer::Failed),
            };
        }
        // 7. Trace fields go above the message, whose own bytes stay as they came, but for verdicts that claim to be ours.
        let unix_millis = i64::try_from(unix_millis(now)).unwrap_or(0);
        let random = ring::rand::generate::<[u8; 8]>(&SystemRandom::new()).map_err(|_| failed(&NoRandomness))?;
        let id = format!("{unix_millis:x}-{}", crate::hex(&random.expose()));
        let found = verdict::header::authentication_results(&self.host, results.as_ref(), *verdict);
        let trace = [trace::return_path(envelope), found, trace::received(envelope, &self.host, now, origin.peer(), &id)].concat();
        let written = Written { trace: &trace, message };
        // 8. All copies, of one body or two, and their leaves of the log are recorded in one durable commit, or none. What is junk is
        //    filed as junk, and its leaf says why.
        let open = mailboxes.values().flatten().cloned().fold(Batch::new(), Batch::expect);
        let (marked, plain): (Vec<String>, Vec<String>) = mailboxes.into_keys().partition(|mailbox| named.contains(mailbox));
        let mut copies = Vec::with_capacity(marked.len() + plain.len());
        let made = self.copies(&mut copies, marked, proved, &written, unix_millis, *verdict).and_then(|()| self.copies(&mut copies, plain, None, &written, unix_millis, *verdict));
        made.map_err(|error| match error {
            MailError::TooLarge { .. } => Answer::Refused(Refusal::TooLarge),
            error => failed(&error),
        })?;
        let noted = self.noted(open, &copies, envelope, message, unix_millis.unsigned_abs(), *verdict).map_err(|error| failed(&error))?;
        // A sender that asked to hear that it arrived, and is who it says, is told in the same commit.
        let (with, told) = self.told(examined, envelope, noted, now).map_err(|error| failed(&error))?;
        Ok(Together { id, copies, with, told, bytes: written.trace.len() + message.len(), is_verified: !named.is_empty() })
    }

    /// What is answered of what was recorded, or was not.
    fn settle(&self, examined: &Examined, together: Together, recorded: Result<Vec<Uid>, MailError>) -> Answer {
        let (Examined { envelope, verdict, .. }, Together { id, copies, told, bytes, is_verified, .. }) = (examined, together);
        let (made, reason) = (verdict.name(), verdict.reason().name());
        match recorded {
            Ok(_) => {
                if let (Some(told), Some(queue)) = (told, &self.queue) {
                    queue.accepted(told);
                }
                tracing::info!(id, copies = copies.len(), bytes, tls = envelope.tls, verdict = made, reason, verified = is_verified, "message accepted");
                Answer::Durable { id }
            }
            Err(error) => {
                tracing::info!(id, verdict = made, reason, "message not taken now");
                match error {
                    MailError::OverQuota { .. } => Answer::Full,
                    // A mailbox or a folder that is gone since, or a crowd: trying again decides it.
                    MailError::Conflict { .. } | MailError::Busy | MailError::NoFolder => Answer::Failed,
                    error => failed(&error),
                }
            }
        }
    }

    /// Copies of one body for these mailboxes, marked where the sender is proved.
    fn copies(&self, copies: &mut Vec<Delivery>, mailboxes: Vec<String>, proved: Option<&Proved>, written: &Written, unix_millis: i64, verdict: Verdict) -> Result<(), MailError> {
        if mailboxes.is_empty() {
            return Ok(());
        }
        let is_ours = |field: &[u8]| trace::is_verdict_of(field, &self.host);
        let body = match proved {
            Some(proved) => {
                let mark = TrustMark { bureau: proved.bureau().to_owned(), unix_millis: unix_millis.unsigned_abs() };
                self.messages.verified_body(&[written.trace, &*trace::without_fields(written.message, is_ours)].concat(), &mark)?
            }
            None => self.messages.body_below(written.trace, written.message, is_ours)?,
        };
        let body = Arc::new(body);
        for mailbox in mailboxes {
            let event = proved.map(|proved| proved.event(&mailbox, &body));
            let copy = self.copy(mailbox, &body, written.message, unix_millis, verdict)?;
            copies.push(Delivery { event: event.or(copy.event), ..copy });
        }
        Ok(())
    }

    fn copy(&self, mailbox: String, body: &Arc<Body>, message: &[u8], unix_millis: i64, verdict: Verdict) -> Result<Delivery, MailError> {
        let content = Arc::clone(body).into();
        let Verdict::Junk(reason) = verdict else {
            let folder = self.messages.folder_by_rule(&mailbox, || authors::author(message))?.unwrap_or_else(|| INBOX.to_owned());
            return Ok(Delivery { mailbox, folder, content, unix_millis, flags: Flags::new(), event: None, mark: None });
        };
        // Owners may call the folder what they like; who has none finds junk marked in the inbox.
        let folder = self.messages.folder_of_use(&mailbox, SpecialUse::Junk)?.unwrap_or_else(|| INBOX.to_owned());
        let event = Event::MessageJunked(event::Junked { mailbox: mailbox.clone(), digest: crate::hex(body.digest()), size: u64::from(body.size()), reason: reason.name().to_owned() });
        let flags = Flags::from_parts(0, Keyword::new("$Junk"));
        Ok(Delivery { mailbox, folder, content, unix_millis, flags, event: Some(event), mark: None })
    }

    /// Adds to the batch for whom something arrived of which owners are told elsewhere; of junk, and of what has no sender, nobody is.
    fn noted(&self, batch: Batch, copies: &[Delivery], envelope: &Envelope, message: &[u8], now: u64, verdict: Verdict) -> Result<Batch, ReadError> {
        match (&self.notifications, verdict) {
            (Some(notifications), Verdict::Accept(_)) if envelope.reverse_path.is_some() => notifications.mailed(batch, copies.iter().map(|copy| copy.mailbox.as_str()), message, now),
            _ => Ok(batch),
        }
    }

    /// Adds to the batch what a sender elsewhere wished to hear of its delivery. Who was not proved to be the sender hears nothing:
    /// anybody's address may stand there. spec: rfc3461#4.1, rfc3834#2
    fn told(&self, examined: &Examined, envelope: &Envelope, batch: Batch, now: OffsetDateTime) -> Result<(Batch, Option<BodyId>), MailError> {
        let wanted = envelope.recipients.iter().any(|recipient| recipient.notify.is_some_and(|notify| notify.success));
        let proved = examined.results.as_ref().is_some_and(Results::proves_sender) && matches!(examined.verdict, Verdict::Accept(_));
        let (Some(queue), Some(sender), true, true) = (&self.queue, &envelope.reverse_path, wanted, proved) else { return Ok((batch, None)) };
        let Some(report) = queue.delivered_elsewhere(envelope, &examined.message, now)? else { return Ok((batch, None)) };
        let body = self.messages.body(&report)?;
        Ok((queue.enqueue_report(batch, &body, sender, envelope, now)?, Some(body.id())))
    }

    fn judged(&self, verdict: Verdict) {
        if let Some(counter) = self.verdicts.get(&verdict.reason()) {
            counter.increment();
        }
    }
}

/// 4. What no mail program could be shown is put into characters, now that the octets that came are judged.
fn in_characters(examined: &mut Examined) -> Result<(), Answer> {
    if examined.envelope.body == BodyKind::BinaryMime && !binary::is_text(&examined.message) {
        examined.message = Arc::new(binary::encoded(&examined.message).ok_or(Answer::Refused(Refusal::Malformed))?);
    }
    Ok(())
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

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
