//! One client's session. Feed it bytes and answers; do what it returns.
//!
//! What a client sends ahead of a reply means what it would mean after it, whichever command came before: so the pieces in
//! which bytes arrive never matter. The one exception is STARTTLS, after which everything is dropped until TLS stands.
mod login;
mod message;

use super::body::{Body, Flaw, MAX_TEXT_LINE, Progress};
use super::chunk::{Chunks, Discard};
use super::command::{self, Command, CommandError, Offered};
use super::exchange::{Addressee, Answer, Domain, Envelope, Hello, Output, Request};
use super::framing::{Framer, Line, MAX_DSN_LINE, MAX_LINE, MAX_LONG_LINE};
use crate::budget::Budget;
use crate::sasl::{self, Asked, Exchange, Offer};

/// Octets held while the server works; a client that pipelines more is cut off.
const MAX_HELD: usize = 1024 * 1024;

/// Whose mail comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of other hosts, at port 25.
    Exchange,
    /// Of those who log in, under TLS alone. spec: rfc6409 rfc8314#3
    Submission,
    /// Of a neighbour, by LMTP: each recipient has an answer of its own. spec: rfc2033
    Neighbour,
}

/// What the server decides for a session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name this server goes by.
    pub host: Domain,
    /// The connection is under TLS from its first byte.
    pub tls: bool,
    /// STARTTLS may be used.
    pub starttls: bool,
    pub role: Role,
    /// Senders may say what they wish to hear, since they can be told. spec: rfc3461
    pub dsn: bool,
    /// What who logs in is offered beside passwords, where TLS is there from the first byte.
    pub offer: Offer,
    /// Of a neighbour nothing is counted.
    pub budget: Budget,
    /// Octets of the largest message.
    pub max_size: usize,
    /// Recipients of one message, at least 100. spec: rfc5321#4.5.3.1.8
    pub max_recipients: usize,
    /// Octets of a message times its recipients, since each gets a copy: a large message for many comes in several transactions.
    pub max_copies: usize,
}

impl Settings {
    /// The first recipient always fits: `max_size` alone bounds its copy.
    fn is_full(&self, envelope: &Envelope) -> bool {
        let next = envelope.recipients.len() + 1;
        next > self.max_recipients || next > 1 && envelope.declared.saturating_mul(next) > self.max_copies
    }

    fn longest_line(&self) -> usize {
        match (self.role, self.dsn) {
            (Role::Submission, _) => MAX_LONG_LINE,
            (_, true) => MAX_DSN_LINE,
            (_, false) => MAX_LINE,
        }
    }

    /// Octets beyond which no message is meant: who announces a piece so large is not listened to.
    fn most_octets(&self) -> usize {
        self.max_size.saturating_mul(2).saturating_add(MAX_TEXT_LINE)
    }

    fn offered(&self) -> Offered {
        Offered { role: self.role, dsn: self.dsn }
    }

    fn message_limit(&self, envelope: &Envelope) -> usize {
        match envelope.recipients.len() {
            0 | 1 => self.max_size,
            several => self.max_size.min(self.max_copies / several),
        }
    }
}

enum Mode {
    Command,
    /// AUTH was answered with 334.
    Sasl(Exchange),
    /// DATA was answered with 354.
    Data(Body),
    /// Within the octets that a BDAT named.
    Chunk,
    /// Within the octets of a BDAT that is refused once they are read.
    Discard(Discard),
    /// STARTTLS was answered: input is thrown away until TLS is there.
    Upgrading,
    Closed,
}

/// The request that waits for an answer.
enum Pending {
    Login(Asked),
    Sender(Envelope),
    Recipient(Addressee),
    /// Of a message for so many recipients.
    Delivery(usize),
}

pub struct Session {
    settings: Settings,
    framer: Framer,
    mode: Mode,
    hello: Option<Hello>,
    /// Between MAIL and the end of its transaction: all that is known of it.
    transaction: Option<Envelope>,
    /// What BDAT brought of the transaction's message.
    chunks: Option<Chunks>,
    pending: Option<Pending>,
    logged_in: bool,
    errors: u32,
    nowhere: u32,
    failures: u32,
    /// Octets before a login.
    early: usize,
    send: Vec<u8>,
    out: Vec<Output>,
}

impl Session {
    /// A session and its greeting.
    pub fn new(settings: Settings) -> (Self, Vec<Output>) {
        let protocol = if settings.role == Role::Neighbour { "LMTP" } else { "ESMTP" };
        let greeting = format!("220 {} {protocol}\r\n", settings.host.as_str());
        let mut session = Self {
            settings,
            framer: Framer::default(),
            mode: Mode::Command,
            hello: None,
            transaction: None,
            chunks: None,
            pending: None,
            logged_in: false,
            errors: 0,
            nowhere: 0,
            failures: 0,
            early: 0,
            send: greeting.into_bytes(),
            out: Vec::new(),
        };
        let out = session.take_output();
        (session, out)
    }

    /// Bytes from the client, cut anyhow.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Output> {
        if matches!(self.mode, Mode::Upgrading | Mode::Closed) {
            return Vec::new();
        }
        if self.settings.role == Role::Submission && !self.logged_in {
            self.early = self.early.saturating_add(bytes.len());
            if self.early > self.settings.budget.octets {
                self.end(421, "4.7.0", "Too much sent before a login");
                return self.take_output();
            }
        }
        let mut bytes = bytes;
        // What belongs to a message is put where it stays; only what follows is held.
        if let Mode::Data(body) = &mut self.mode
            && self.framer.held().is_empty()
        {
            let (taken, progress) = body.read(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            self.progressed(progress);
        }
        self.framer.feed(bytes);
        self.run();
        if self.pending.is_some() && self.framer.held().len() > MAX_HELD {
            self.end(421, "4.7.0", "Too much sent ahead");
        }
        self.take_output()
    }

    /// False while a request is with the server: reading on would only pile up input.
    pub fn wants_input(&self) -> bool {
        self.pending.is_none() && !matches!(self.mode, Mode::Upgrading | Mode::Closed)
    }

    /// The client is in the middle of its message: it may take longer between two octets than between two commands.
    pub fn in_data(&self) -> bool {
        matches!(self.mode, Mode::Data(_) | Mode::Chunk | Mode::Discard(_)) || self.chunks.is_some()
    }

    /// Refused commands and recipients since the last accepted message: a server may take its time with who makes many.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// Octets of memory the message being received takes.
    pub fn kept(&self) -> usize {
        let chunks = self.chunks.as_ref().map_or(0, Chunks::kept);
        if let Mode::Data(body) = &self.mode { body.kept() } else { chunks }
    }

    /// The server is short of memory: the message being received is dropped, read to its end and answered with 452.
    pub fn shed(&mut self) {
        match (&mut self.mode, &mut self.chunks) {
            (Mode::Data(body), _) => body.refuse(Flaw::Shed),
            (_, Some(chunks)) => chunks.refuse(Flaw::Shed),
            _ => {}
        }
    }

    /// TLS stands after [`Output::StartTls`]; `offer`: what that makes possible. spec: rfc3207#4.2 all knowledge from before is discarded
    pub fn tls_started(&mut self, offer: Offer) {
        if matches!(self.mode, Mode::Upgrading) {
            self.framer.clear();
            self.mode = Mode::Command;
            (self.settings.tls, self.settings.offer) = (true, offer);
        }
    }

    /// The answer to the request last given out. One that was not asked for ends the session.
    pub fn answer(&mut self, answer: Answer) -> Vec<Output> {
        match (self.pending.take(), answer) {
            _ if matches!(self.mode, Mode::Closed) => return Vec::new(),
            (Some(Pending::Login(Asked::Verdict)), Answer::LoggedIn) => self.entered(),
            (Some(Pending::Login(Asked::Verdict)), Answer::Proved { signature }) => self.step(sasl::proved(&signature)),
            (Some(Pending::Login(Asked::Salt(first))), Answer::Salted(salted)) => self.step(first.salted(&salted)),
            (Some(Pending::Login(Asked::Verdict)), Answer::NoToken(told)) => self.step(sasl::no_token(&told)),
            (Some(Pending::Login(_)), Answer::Denied) => self.denied("The name or the password is wrong"),
            // spec: rfc4954#6
            (Some(Pending::Login(_)), Answer::TooMany) => self.reply(454, "4.7.0", "Too many logins failed; try again later"),
            (Some(Pending::Login(_)), Answer::Failed) => self.reply(454, "4.7.0", "Logins are not possible now; try again later"),
            (Some(Pending::Sender(envelope)), Answer::Known) => {
                self.transaction = Some(envelope);
                self.reply(250, "2.1.0", "Sender noted");
            }
            (Some(Pending::Recipient(recipient)), Answer::Known) => self.known(recipient),
            (Some(Pending::Delivery(recipients)), answer) => self.delivered(recipients, answer),
            (Some(Pending::Recipient(_)), Answer::Durable { .. }) | (_, Answer::Known) => self.lost_step(),
            (Some(Pending::Sender(_) | Pending::Recipient(_)), answer) => self.refusal(answer),
            _ => self.lost_step(),
        }
        self.run();
        self.take_output()
    }

    /// Ends the session from outside. `status` and `text` as in `4.4.2`, `Idle for too long`: one line of ASCII.
    // spec: rfc5321#3.8
    pub fn bye(&mut self, status: &str, text: &str) -> Vec<Output> {
        self.end(421, status, text);
        self.take_output()
    }

    fn run(&mut self) {
        while self.wants_input() {
            if let Mode::Data(body) = &mut self.mode {
                let (taken, progress) = body.read(self.framer.held());
                self.framer.consume(taken);
                if !self.progressed(progress) {
                    return;
                }
                continue;
            }
            if matches!(self.mode, Mode::Chunk | Mode::Discard(_)) {
                if self.chunk() {
                    continue;
                }
                return;
            }
            match self.framer.line(self.settings.longest_line()) {
                Line::Wait => return,
                Line::Whole(line) if matches!(self.mode, Mode::Sasl(_)) => self.response(&line),
                Line::Whole(line) => match command::parse(&line, self.settings.offered()) {
                    Ok(command) => self.execute(command),
                    Err(CommandError::Foreign) => self.end(421, "4.7.0", &CommandError::Foreign.to_string()),
                    Err(CommandError::Octets) => self.end(501, "5.5.4", &CommandError::Octets.to_string()),
                    Err(error) => self.wrong(error.code().0, error.code().1, &error.to_string()),
                },
                Line::Dropped(reason) => {
                    self.mode = Mode::Command;
                    self.wrong(500, "5.5.2", reason);
                }
                Line::Broken(reason) => self.end(500, "5.5.2", reason),
            }
        }
    }

    /// What reading a message came to; `false`: more of it is needed.
    fn progressed(&mut self, progress: Progress) -> bool {
        match progress {
            Progress::More => return false,
            Progress::End(message) => self.received(message),
            Progress::Endless => self.end(552, "5.3.4", "The message is too large"),
        }
        true
    }

    fn execute(&mut self, command: Command) {
        if matches!(command, Command::Hello(_) | Command::Rset | Command::Noop | Command::Vrfy | Command::Help) && self.settings.role != Role::Neighbour {
            self.nowhere += 1;
            if self.nowhere > self.settings.budget.commands {
                return self.end(421, "4.7.0", "Too many commands that lead nowhere");
            }
        }
        match command {
            Command::Hello(hello) => self.greet(hello),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
            Command::Mail(mail) => match (&self.hello, &self.transaction) {
                (None, _) => self.wrong(503, "5.5.1", "Say EHLO first"),
                // spec: rfc4954#6 rfc3207#4
                _ if self.settings.role == Role::Submission && !self.settings.tls => self.wrong(530, "5.7.0", "Say STARTTLS first"),
                _ if self.settings.role == Role::Submission && !self.logged_in => self.wrong(530, "5.7.0", "Log in first"),
                (_, Some(_)) => self.wrong(503, "5.5.1", "A message is begun already; end it or send RSET"),
                // spec: rfc8689#2
                _ if mail.require_tls && !self.settings.tls => self.wrong(530, "5.7.0", "REQUIRETLS needs TLS; say STARTTLS first"),
                // spec: rfc1870#6.1
                _ if mail.size > self.settings.max_size => self.reply(552, "5.3.4", "The message is too large"),
                (Some(hello), None) => {
                    let command::Mail { reverse_path, size: declared, body, smtputf8, require_tls, ret, envelope_id } = mail;
                    let (hello, recipients, tls) = (hello.clone(), Vec::new(), self.settings.tls);
                    let envelope = Envelope { hello, reverse_path, recipients, declared, body, smtputf8, tls, require_tls, ret, envelope_id };
                    if self.settings.role == Role::Submission {
                        self.ask(Request::Sender { reverse_path: envelope.reverse_path.clone() }, Pending::Sender(envelope));
                    } else {
                        self.transaction = Some(envelope);
                        self.reply(250, "2.1.0", "Sender noted");
                    }
                }
            },
            Command::Rcpt { recipient, notify, original } => match &self.transaction {
                None => self.wrong(503, "5.5.1", "Send MAIL first"),
                // spec: rfc3030#2
                Some(_) if self.chunks.is_some() => self.wrong(503, "5.5.1", "The message is begun already; end it with BDAT LAST or send RSET"),
                Some(envelope) if self.settings.is_full(envelope) => {
                    self.reply(452, "4.5.3", "Too many recipients; send the message again to the rest");
                }
                Some(envelope) if !envelope.smtputf8 && !recipient.is_ascii() => {
                    let (code, status) = CommandError::NeedsUtf8.code();
                    self.wrong(code, status, &CommandError::NeedsUtf8.to_string());
                }
                Some(envelope) => {
                    let request = Request::Recipient { reverse_path: envelope.reverse_path.clone(), recipient: recipient.clone(), declared: envelope.declared };
                    self.ask(request, Pending::Recipient(Addressee { recipient, notify, original }));
                }
            },
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Rset => {
                (self.transaction, self.chunks) = (None, None);
                self.reply(250, "2.0.0", "Forgotten");
            }
            Command::Noop => self.reply(250, "2.0.0", "Done"),
            // spec: rfc5321#3.5.3 whether a mailbox exists is not said to those who only ask
            Command::Vrfy => self.reply(252, "2.5.0", "Not verified; send the message to learn"),
            Command::Help => self.reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS, as in RFC 5321"),
            Command::Quit => self.end(221, "2.0.0", "Closing"),
            Command::StartTls if self.settings.tls => self.wrong(503, "5.5.1", "TLS is there already"),
            Command::StartTls if !self.settings.starttls => self.wrong(502, "5.5.1", "TLS is not offered here"),
            Command::StartTls => {
                self.reply(220, "2.0.0", "Begin TLS");
                self.flush();
                self.out.push(Output::StartTls);
                (self.hello, self.transaction, self.chunks, self.mode, self.logged_in) = (None, None, None, Mode::Upgrading, false);
                self.framer.clear();
            }
        }
    }

    /// spec: rfc5321#4.1.4 a new EHLO begins anew
    fn greet(&mut self, hello: Hello) {
        (self.transaction, self.chunks) = (None, None);
        let host = self.settings.host.as_str().to_owned();
        if hello.extended {
            let extensions = self.extensions().join("\r\n250-");
            self.write(&format!("250-{host}\r\n250-{extensions}\r\n250 ENHANCEDSTATUSCODES\r\n"));
        } else {
            self.write(&format!("250 {host}\r\n"));
        }
        self.hello = Some(hello);
    }

    /// What is offered now, but for the last of them.
    fn extensions(&self) -> Vec<String> {
        let Settings { role, tls, starttls, dsn, max_size, max_recipients, .. } = self.settings;
        let mut extensions = vec!["PIPELINING".to_owned(), format!("SIZE {max_size}"), "8BITMIME".to_owned(), "SMTPUTF8".to_owned(), "CHUNKING".to_owned()];
        let mut offer = |given: bool, extension: String| {
            if given {
                extensions.push(extension);
            }
        };
        // spec: rfc3030#3 what is passed on is sent after DATA, so of those who log in nothing binary is taken
        offer(role != Role::Submission, "BINARYMIME".to_owned());
        offer(dsn, "DSN".to_owned());
        // spec: rfc8689#2 where TLS is there
        offer(tls && role != Role::Neighbour, "REQUIRETLS".to_owned());
        // spec: rfc9422#3
        offer(role != Role::Neighbour, format!("LIMITS RCPTMAX={max_recipients}"));
        // spec: rfc4954#4 nothing more once logged in, and no password in the clear
        let mechanisms = self.settings.offer.names().collect::<Vec<_>>().join(" ");
        offer(role == Role::Submission && tls && !self.logged_in, format!("AUTH {mechanisms} LOGIN"));
        offer(starttls && !tls, "STARTTLS".to_owned());
        extensions
    }

    fn known(&mut self, recipient: Addressee) {
        if let Some(envelope) = &mut self.transaction {
            envelope.recipients.push(recipient);
            self.reply(250, "2.1.5", "Recipient noted");
        }
    }

    fn lost_step(&mut self) {
        self.end(421, "4.3.0", "The server lost step; connect again");
    }

    fn ask(&mut self, request: Request, pending: Pending) {
        self.flush();
        self.out.push(Output::Do(request));
        self.pending = Some(pending);
    }

    /// A reply to the client's mistake: too many of them end the session.
    fn wrong(&mut self, code: u16, status: &str, text: &str) {
        self.reply(code, status, text);
        // One bad message of a neighbour's is an error for each of its recipients.
        self.errors += u32::from(self.settings.role != Role::Neighbour);
        if self.errors >= self.settings.budget.errors {
            self.end(421, "4.7.0", "Too many errors");
        }
    }

    fn end(&mut self, code: u16, status: &str, text: &str) {
        if !matches!(self.mode, Mode::Closed) {
            self.reply(code, status, text);
            self.flush();
            self.out.push(Output::Close);
            self.framer.clear();
            (self.hello, self.transaction, self.chunks, self.pending, self.mode, self.logged_in) = (None, None, None, None, Mode::Closed, false);
        }
    }

    /// spec: rfc2034#4
    fn reply(&mut self, code: u16, status: &str, text: &str) {
        self.write(&format!("{code} {status} {text}\r\n"));
    }

    fn write(&mut self, text: &str) {
        self.send.extend_from_slice(text.as_bytes());
    }

    fn flush(&mut self) {
        if !self.send.is_empty() {
            self.out.push(Output::Send(std::mem::take(&mut self.send)));
        }
    }

    fn take_output(&mut self) -> Vec<Output> {
        self.flush();
        std::mem::take(&mut self.out)
    }
}
