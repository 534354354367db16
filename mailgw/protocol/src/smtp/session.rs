//! One client's session. Feed it bytes and answers; do what it returns.
//!
//! What a client sends ahead of a reply means what it would mean after it, whichever command came before: so the pieces in
//! which bytes arrive never matter. The one exception is STARTTLS, after which everything is dropped until TLS stands.
use super::body::{Body, Flaw, Progress};
use super::command::{self, Command, CommandError};
use super::exchange::{Addressee, Answer, Domain, Envelope, Hello, Output, Refusal, Request};
use super::framing::{Framer, Line, MAX_LINE, MAX_LONG_LINE};
use crate::sasl::{self, Asked, Exchange, Offer, Secret, Step};

/// Refused commands and recipients, since the last accepted message, before the connection is closed.
pub const MAX_ERRORS: u32 = 20;
/// Refused logins, before the connection is closed.
const MAX_FAILURES: u32 = 5;
/// Octets held while the server works; a client that pipelines more is cut off.
const MAX_HELD: usize = 1024 * 1024;

/// What the server decides for a session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name this server goes by.
    pub host: Domain,
    /// The connection is under TLS from its first byte.
    pub tls: bool,
    /// STARTTLS may be used.
    pub starttls: bool,
    /// Mail of those who log in, under TLS alone; and DSN is offered. spec: rfc6409 rfc8314#3
    pub submission: bool,
    /// What who logs in is offered beside passwords, where TLS is there from the first byte.
    pub offer: Offer,
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
    /// STARTTLS was answered: input is thrown away until TLS is there.
    Upgrading,
    Closed,
}

/// The request that waits for an answer.
enum Pending {
    Login(Asked),
    Sender(Envelope),
    Recipient(Addressee),
    Delivery,
}

pub struct Session {
    settings: Settings,
    framer: Framer,
    mode: Mode,
    hello: Option<Hello>,
    /// Between MAIL and the end of its transaction: all that is known of it.
    transaction: Option<Envelope>,
    pending: Option<Pending>,
    logged_in: bool,
    errors: u32,
    failures: u32,
    send: Vec<u8>,
    out: Vec<Output>,
}

impl Session {
    /// A session and its greeting.
    pub fn new(settings: Settings) -> (Self, Vec<Output>) {
        let greeting = format!("220 {} ESMTP\r\n", settings.host.as_str());
        let mut session = Self {
            settings,
            framer: Framer::default(),
            mode: Mode::Command,
            hello: None,
            transaction: None,
            pending: None,
            logged_in: false,
            errors: 0,
            failures: 0,
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
        self.framer.feed(bytes);
        self.run();
        if self.pending.is_some() && self.framer.held().len() > MAX_HELD {
            self.end(421, "4.7.0", "Too much sent ahead");
        }
        self.take_output()
    }

    /// False while a request is with the server: reading on would only pile up input.
    pub fn wants_input(&self) -> bool {
        self.pending.is_none() && matches!(self.mode, Mode::Command | Mode::Sasl(_) | Mode::Data(_))
    }

    /// The client is in the middle of its message: it may take longer between two octets than between two commands.
    pub fn in_data(&self) -> bool {
        matches!(self.mode, Mode::Data(_))
    }

    /// Octets of memory the message being received takes.
    pub fn kept(&self) -> usize {
        if let Mode::Data(body) = &self.mode { body.kept() } else { 0 }
    }

    /// The server is short of memory: the message being received is dropped, read to its end and answered with 452.
    pub fn shed(&mut self) {
        if let Mode::Data(body) = &mut self.mode {
            body.refuse(Flaw::Shed);
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
            (Some(Pending::Login(_)), Answer::Denied) => self.denied("The name or the password is wrong"),
            // spec: rfc4954#6
            (Some(Pending::Login(_)), Answer::TooMany) => self.reply(454, "4.7.0", "Too many logins failed; try again later"),
            (Some(Pending::Login(_)), Answer::Failed) => self.reply(454, "4.7.0", "Logins are not possible now; try again later"),
            (Some(Pending::Sender(envelope)), Answer::Known) => {
                self.transaction = Some(envelope);
                self.reply(250, "2.1.0", "Sender noted");
            }
            (Some(Pending::Recipient(recipient)), Answer::Known) => self.known(recipient),
            (Some(Pending::Recipient(_)), Answer::Unknown) => self.wrong(550, "5.1.1", "No such mailbox here"),
            (Some(Pending::Delivery), Answer::Durable { id }) => {
                self.errors = 0;
                let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(128).collect();
                self.reply(250, "2.0.0", &format!("Accepted as {id}"));
            }
            (Some(Pending::Sender(_) | Pending::Recipient(_) | Pending::Delivery), Answer::TooMany) => {
                self.reply(450, "4.7.1", "You have sent as much as is allowed for now; try again later");
            }
            (Some(_), Answer::Full) => self.reply(452, "4.2.2", "The mailbox is full; try again later"),
            (Some(_), Answer::Failed) => self.reply(451, "4.3.0", "The server cannot take it now; try again later"),
            (Some(_), Answer::Refused(refusal)) => self.refused(refusal),
            _ => self.end(421, "4.3.0", "The server lost step; connect again"),
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
                match progress {
                    Progress::More => return,
                    Progress::End(message) => self.received(message),
                    Progress::Endless => self.end(552, "5.3.4", "The message is too large"),
                }
                continue;
            }
            let most = if self.settings.submission { MAX_LONG_LINE } else { MAX_LINE };
            match self.framer.line(most) {
                Line::Wait => return,
                Line::Whole(line) if matches!(self.mode, Mode::Sasl(_)) => self.response(&line),
                Line::Whole(line) => match command::parse(&line, self.settings.submission) {
                    Ok(command) => self.execute(command),
                    Err(CommandError::Foreign) => self.end(421, "4.7.0", &CommandError::Foreign.to_string()),
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

    fn execute(&mut self, command: Command) {
        match command {
            Command::Hello(hello) => self.greet(hello),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
            Command::Mail(mail) => match (&self.hello, &self.transaction) {
                (None, _) => self.wrong(503, "5.5.1", "Say EHLO first"),
                // spec: rfc4954#6 rfc3207#4
                _ if self.settings.submission && !self.settings.tls => self.wrong(530, "5.7.0", "Say STARTTLS first"),
                _ if self.settings.submission && !self.logged_in => self.wrong(530, "5.7.0", "Log in first"),
                (_, Some(_)) => self.wrong(503, "5.5.1", "A message is begun already; end it or send RSET"),
                // spec: rfc1870#6.1
                _ if mail.size > self.settings.max_size => self.reply(552, "5.3.4", "The message is too large"),
                (Some(hello), None) => {
                    let command::Mail { reverse_path, size: declared, body, smtputf8, ret, envelope_id } = mail;
                    let (hello, recipients, tls) = (hello.clone(), Vec::new(), self.settings.tls);
                    let envelope = Envelope { hello, reverse_path, recipients, declared, body, smtputf8, tls, ret, envelope_id };
                    if self.settings.submission {
                        self.ask(Request::Sender { reverse_path: envelope.reverse_path.clone() }, Pending::Sender(envelope));
                    } else {
                        self.transaction = Some(envelope);
                        self.reply(250, "2.1.0", "Sender noted");
                    }
                }
            },
            Command::Rcpt { recipient, notify, original } => match &self.transaction {
                None => self.wrong(503, "5.5.1", "Send MAIL first"),
                Some(envelope) if self.settings.is_full(envelope) => {
                    self.reply(452, "4.5.3", "Too many recipients; send the message again to the rest");
                }
                Some(envelope) if !envelope.smtputf8 && !recipient.is_ascii() => {
                    let (code, status) = CommandError::NeedsUtf8.code();
                    self.wrong(code, status, &CommandError::NeedsUtf8.to_string());
                }
                Some(envelope) => {
                    let request = Request::Recipient { recipient: recipient.clone(), declared: envelope.declared };
                    self.ask(request, Pending::Recipient(Addressee { recipient, notify, original }));
                }
            },
            Command::Data => match &self.transaction {
                Some(envelope) if !envelope.recipients.is_empty() => {
                    self.mode = Mode::Data(Body::new(self.settings.message_limit(envelope)));
                    self.write("354 Send the message; a line with a dot alone ends it\r\n");
                }
                Some(_) => self.wrong(554, "5.5.1", "No valid recipients"),
                None => self.wrong(503, "5.5.1", "Send MAIL first"),
            },
            Command::Rset => {
                self.transaction = None;
                self.reply(250, "2.0.0", "Forgotten");
            }
            Command::Noop => self.reply(250, "2.0.0", "Done"),
            // spec: rfc5321#3.5.3 whether a mailbox exists is not said to those who only ask
            Command::Vrfy => self.reply(252, "2.5.0", "Not verified; send the message to learn"),
            Command::Help => self.reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS, as in RFC 5321"),
            Command::Quit => self.end(221, "2.0.0", "Closing"),
            Command::StartTls if self.settings.tls => self.wrong(503, "5.5.1", "TLS is there already"),
            Command::StartTls if !self.settings.starttls => self.wrong(502, "5.5.1", "TLS is not offered here"),
            Command::StartTls => {
                self.reply(220, "2.0.0", "Begin TLS");
                self.flush();
                self.out.push(Output::StartTls);
                (self.hello, self.transaction, self.mode, self.logged_in) = (None, None, Mode::Upgrading, false);
                self.framer.clear();
            }
        }
    }

    /// spec: rfc5321#4.1.4 a new EHLO begins anew
    fn greet(&mut self, hello: Hello) {
        self.transaction = None;
        let host = self.settings.host.as_str().to_owned();
        if hello.extended {
            let starttls = if self.settings.starttls && !self.settings.tls { "250-STARTTLS\r\n" } else { "" };
            let size = self.settings.max_size;
            // spec: rfc4954#4 nothing more once logged in, and no password in the clear
            let auth = if self.settings.submission && self.settings.tls && !self.logged_in {
                format!("250-AUTH {} LOGIN\r\n", self.settings.offer.names().collect::<Vec<_>>().join(" "))
            } else {
                String::new()
            };
            let dsn = if self.settings.submission { "250-DSN\r\n" } else { "" };
            self.write(&format!(
                "250-{host}\r\n250-PIPELINING\r\n250-SIZE {size}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{dsn}{auth}{starttls}250 ENHANCEDSTATUSCODES\r\n"
            ));
        } else {
            self.write(&format!("250 {host}\r\n"));
        }
        self.hello = Some(hello);
    }

    /// spec: rfc4954#4
    fn auth(&mut self, mechanism: &str, initial: Option<Option<Secret>>) {
        match (mechanism, initial) {
            _ if self.hello.is_none() => self.wrong(503, "5.5.1", "Say EHLO first"),
            _ if !self.settings.tls => self.wrong(538, "5.7.11", "Say STARTTLS first: a password is not for others to read"),
            _ if self.logged_in => self.wrong(503, "5.5.1", "You are logged in already"),
            _ if self.transaction.is_some() => self.wrong(503, "5.5.1", "A message is begun already; end it or send RSET"),
            (mechanism, initial) => self.step(sasl::begin(mechanism, initial, &self.settings.offer)),
        }
    }

    /// A line that answers 334.
    fn response(&mut self, line: &[u8]) {
        let Mode::Sasl(exchange) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
        if line == b"*" {
            return self.wrong(501, "5.7.0", "Cancelled");
        }
        self.step(exchange.respond(sasl::response(line), &self.settings.offer));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(text, expected) => {
                self.write(&format!("334 {text}\r\n"));
                self.mode = Mode::Sasl(expected);
            }
            Step::Login { user, password } => self.ask(Request::Login { user, password }, Pending::Login(Asked::Verdict)),
            Step::Ask(question, asked) => self.ask(Request::Sasl(question), Pending::Login(asked)),
            Step::Done => self.entered(),
            Step::Malformed(reason) => self.wrong(501, "5.5.2", reason),
            Step::Unknown => self.wrong(504, "5.5.4", "Use AUTH PLAIN, AUTH LOGIN, or what else EHLO names"),
        }
    }

    fn entered(&mut self) {
        self.logged_in = true;
        self.reply(235, "2.7.0", "Logged in");
    }

    fn denied(&mut self, text: &str) {
        self.reply(535, "5.7.8", text);
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            self.end(421, "4.7.0", "Too many logins failed");
        }
    }

    fn known(&mut self, recipient: Addressee) {
        if let Some(envelope) = &mut self.transaction {
            envelope.recipients.push(recipient);
            self.reply(250, "2.1.5", "Recipient noted");
        }
    }

    /// The end of the message was read: the transaction is over, whatever becomes of it.
    fn received(&mut self, message: Result<Vec<u8>, Flaw>) {
        self.mode = Mode::Command;
        let Some(envelope) = self.transaction.take() else { return };
        match message {
            Ok(bytes) => self.ask(Request::Deliver { envelope, bytes }, Pending::Delivery),
            Err(Flaw::BareCr | Flaw::BareLf) => self.wrong(554, "5.6.0", "The message has a CR or LF alone; end its lines with CRLF"),
            Err(Flaw::Nul) => self.wrong(554, "5.6.0", "The message has a NUL octet; encode it"),
            Err(Flaw::LongLine) => self.wrong(554, "5.6.0", "The message has a line without end; encode it"),
            Err(Flaw::TooLarge) => self.reply(552, "5.3.4", "The message is too large"),
            Err(Flaw::Shed) => self.reply(452, "4.3.1", "The server is short of memory; try again later"),
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
        }
    }

    fn ask(&mut self, request: Request, pending: Pending) {
        self.flush();
        self.out.push(Output::Do(request));
        self.pending = Some(pending);
    }

    /// A reply to the client's mistake: too many of them end the session.
    fn wrong(&mut self, code: u16, status: &str, text: &str) {
        self.reply(code, status, text);
        self.errors += 1;
        if self.errors >= MAX_ERRORS {
            self.end(421, "4.7.0", "Too many errors");
        }
    }

    fn end(&mut self, code: u16, status: &str, text: &str) {
        if !matches!(self.mode, Mode::Closed) {
            self.reply(code, status, text);
            self.flush();
            self.out.push(Output::Close);
            self.framer.clear();
            (self.hello, self.transaction, self.pending, self.mode, self.logged_in) = (None, None, None, Mode::Closed, false);
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
