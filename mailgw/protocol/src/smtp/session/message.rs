//! DATA and BDAT, and what is answered of a whole message.

use super::{Mode, Pending, Role, Session};
use crate::smtp::body::{Body, Flaw};
use crate::smtp::chunk::{Chunks, Discard, MAX_CHUNKS};
use crate::smtp::exchange::{Answer, BodyKind, Envelope, Refusal, Request};

impl Session {
    pub(super) fn data(&mut self) {
        match &self.transaction {
            // spec: rfc3030#3 rfc3030#2
            Some(envelope) if envelope.body == BodyKind::BinaryMime => self.wrong(503, "5.5.1", "Send a message of BODY=BINARYMIME with BDAT"),
            Some(_) if self.chunks.is_some() => self.wrong(503, "5.5.1", "The message is begun already; end it with BDAT LAST or send RSET"),
            Some(envelope) if !envelope.recipients.is_empty() => {
                self.mode = Mode::Data(Body::new(self.settings.message_limit(envelope)));
                self.write("354 Send the message; a line with a dot alone ends it\r\n");
            }
            // spec: rfc2033#4.2
            Some(_) if self.settings.role == Role::Neighbour => self.wrong(503, "5.5.1", "No valid recipients"),
            Some(_) => self.wrong(554, "5.5.1", "No valid recipients"),
            None => self.wrong(503, "5.5.1", "Send MAIL first"),
        }
    }

    /// The octets that a BDAT names come in any case: they are read, though only to be thrown away.
    // spec: rfc3030#2
    pub(super) fn bdat(&mut self, size: usize, last: bool) {
        if size > self.settings.most_octets() {
            return self.end(552, "5.3.4", "The message is too large");
        }
        let refusal = match (&self.transaction, &self.chunks) {
            (None, _) => Some((503, "Send MAIL first")),
            (Some(envelope), _) if envelope.recipients.is_empty() => Some((if self.settings.role == Role::Neighbour { 503 } else { 554 }, "No valid recipients")),
            (Some(_), Some(chunks)) if chunks.count() >= MAX_CHUNKS => {
                return self.end(552, "5.5.1", "The message comes in too many pieces");
            }
            _ => None,
        };
        if let Some((code, text)) = refusal {
            self.mode = Mode::Discard(Discard { left: size, code, text });
            return;
        }
        let Some(envelope) = &self.transaction else { return };
        let (limit, binary) = (self.settings.message_limit(envelope), envelope.body == BodyKind::BinaryMime);
        self.chunks.get_or_insert_with(|| Chunks::new(limit, binary)).begin(size, last);
        self.mode = Mode::Chunk;
    }

    /// Reads on in a chunk; `false`: more is needed.
    pub(super) fn chunk(&mut self) -> bool {
        let held = self.framer.held();
        match (&mut self.mode, &mut self.chunks) {
            (Mode::Discard(discard), _) => {
                let taken = discard.left.min(held.len());
                discard.left -= taken;
                let (left, code, text) = (discard.left, discard.code, discard.text);
                self.framer.consume(taken);
                if left > 0 {
                    return false;
                }
                self.mode = Mode::Command;
                self.wrong(code, "5.5.1", text);
            }
            (_, Some(chunks)) => {
                let (taken, whole) = chunks.read(held);
                self.framer.consume(taken);
                if !whole {
                    return false;
                }
                self.mode = Mode::Command;
                let (octets, ended) = (chunks.size(), chunks.is_last() || chunks.is_flawed());
                match self.chunks.take() {
                    Some(chunks) if ended => self.received(chunks.end()),
                    chunks => {
                        self.chunks = chunks;
                        self.reply(250, "2.0.0", &format!("{octets} octets taken"));
                    }
                }
            }
            _ => self.mode = Mode::Command,
        }
        true
    }

    /// The end of the message was read: the transaction is over, whatever becomes of it.
    pub(super) fn received(&mut self, message: Result<Vec<u8>, Flaw>) {
        self.mode = Mode::Command;
        let Some(envelope) = self.transaction.take() else { return };
        let recipients = envelope.recipients.len();
        match message {
            Ok(bytes) => self.ask(Request::Deliver { envelope, bytes }, Pending::Delivery(recipients)),
            Err(flaw) => self.each(recipients, |session| session.flawed(flaw)),
        }
    }

    /// What came of a message.
    pub(super) fn delivered(&mut self, recipients: usize, answer: Answer) {
        match answer {
            // spec: rfc2033#4.2 one reply for each recipient that was accepted, in their order
            Answer::Each(answers) if self.settings.role == Role::Neighbour && answers.len() == recipients => answers.into_iter().for_each(|answer| self.outcome(answer)),
            answer => self.each(recipients, |session| session.outcome(answer.clone())),
        }
    }

    fn each(&mut self, recipients: usize, mut reply: impl FnMut(&mut Self)) {
        let replies = if self.settings.role == Role::Neighbour { recipients } else { 1 };
        for _ in 0..replies {
            reply(self);
        }
    }

    fn outcome(&mut self, answer: Answer) {
        match answer {
            Answer::Durable { id } => {
                (self.errors, self.nowhere) = (0, 0);
                let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(128).collect();
                self.reply(250, "2.0.0", &format!("Accepted as {id}"));
            }
            Answer::Known => self.lost_step(),
            answer => self.refusal(answer),
        }
    }

    fn flawed(&mut self, flaw: Flaw) {
        match flaw {
            Flaw::BareCr | Flaw::BareLf => self.wrong(554, "5.6.0", "The message has a CR or LF alone; end its lines with CRLF"),
            Flaw::Nul => self.wrong(554, "5.6.0", "The message has a NUL octet; encode it"),
            Flaw::LongLine => self.wrong(554, "5.6.0", "The message has a line of more than 1 MiB; encode it"),
            Flaw::TooLarge => self.reply(552, "5.3.4", "The message is too large"),
            Flaw::Shed => self.reply(452, "4.3.1", "The server is short of memory; try again later"),
        }
    }

    /// An answer that is no.
    pub(super) fn refusal(&mut self, answer: Answer) {
        match answer {
            Answer::Unknown => self.wrong(550, "5.1.1", "No such mailbox here"),
            Answer::TooMany => self.reply(450, "4.7.1", "You have sent as much as is allowed for now; try again later"),
            Answer::Greylisted => self.reply(451, "4.7.1", "Greylisted: we have not met yet; try again in some minutes"),
            // spec: rfc7372#3.3 rfc3463#3.5
            Answer::Unproved => self.reply(451, "4.4.3", "The DNS does not say now whether this mail is its sender's; try again later"),
            Answer::Full => self.reply(452, "4.2.2", "The mailbox is full; try again later"),
            Answer::Failed => self.reply(451, "4.3.0", "The server cannot take it now; try again later"),
            Answer::Refused(refusal) => self.refused(refusal),
            _ => self.lost_step(),
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Relaying => self.wrong(550, "5.7.1", "That domain is not served here"),
            Refusal::Sender => self.wrong(550, "5.7.1", "That sender is not you; use an address of your own mailbox"),
            Refusal::Author => self.wrong(550, "5.7.1", "From is to be one address of your own mailbox, and Sender, where there is one, as well"),
            Refusal::Malformed => self.wrong(554, "5.6.0", "The header has a line that is no field"),
            Refusal::Literal => self.wrong(550, "5.1.2", "Mail is sent to names, not to addresses in brackets"),
            Refusal::Closed => self.wrong(550, "5.2.1", "The mailbox is closed"),
            Refusal::Policy => self.wrong(550, "5.7.1", "Mail in the name of this domain, or in several, is not taken from outside"),
            Refusal::Header => self.wrong(554, "5.6.0", "The header of the message is too large"),
            Refusal::Loop => self.wrong(554, "5.4.6", "The message goes in circles"),
            Refusal::TooLarge => self.wrong(552, "5.3.4", "The message is too large"),
            // spec: rfc7372#3
            Refusal::Spf => self.wrong(550, "5.7.23", "The sender's domain says (SPF) that your host does not send its mail"),
            Refusal::Dmarc => self.wrong(550, "5.7.26", "The author's domain asks (DMARC) that mail it does not vouch for be refused"),
            Refusal::NoAuthor => self.wrong(550, "5.7.1", "From is to name authors of one domain"),
        }
    }
}

impl Envelope {
    /// The same for one of its recipients.
    pub fn only(&self, place: usize) -> Option<Self> {
        let recipient = self.recipients.get(place)?.clone();
        Some(Self { recipients: vec![recipient], ..self.clone() })
    }
}
