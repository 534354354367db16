//! One client's session. Feed it bytes, answers and changes; do what it returns.
mod answer;
mod differences;
mod dispatch;
mod fetch;
mod list;
mod metadata;
mod notify;
mod search;
mod thread;
mod view;

use std::collections::VecDeque;

use super::extension::{self, Extensions};
use super::exchange::{Answer, Change, Flags, MailboxName, Output, RefusalCode, Request, StoreOp};
use super::framing::{Framed, Framer, Limits, MAX_LITERAL};
use super::parse::command::Resync;
use super::parse::{self, StatusItem};
use crate::budget::Budget;
use crate::sasl::{Asked, Exchange, Offer};
use notify::{Notice, Notify};
use view::{Manner, View};

/// Octets held while the server works; a client that pipelines more is cut off.
const MAX_HELD: usize = 1024 * 1024;

/// What the server decides for a session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connection is under TLS from its first byte.
    pub tls: bool,
    /// STARTTLS may be used.
    pub starttls: bool,
    /// What who logs in is offered beside passwords, where TLS is there from the first byte.
    pub offer: Offer,
    /// What a client may spend before it is cut off. What is there to be said before a login is said in a few commands.
    pub budget: Budget,
    /// Octets of the largest message APPEND takes.
    pub append_limit: usize,
    /// Octets that one SORT or THREAD may keep of what it reads.
    pub arrange_limit: usize,
    /// What is neither offered nor taken.
    pub off: Extensions,
}

enum State {
    NotAuthenticated,
    Authenticated,
    Selected(View),
    Closed,
}

/// What a continuation line will mean.
enum Expecting {
    Command,
    Sasl { tag: String, exchange: Exchange },
    Done { tag: String },
}

/// The command that waits for an answer.
enum Pending {
    Login { tag: String, asked: Asked },
    Plain { tag: String, word: &'static str },
    Create { tag: String },
    List { tag: String, options: parse::ListOptions, word: &'static str },
    Open { tag: String, mailbox: MailboxName, read_only: bool, resync: Option<Resync> },
    /// SELECT leaves the mailbox before it opens the next.
    Reopen { tag: String, mailbox: MailboxName, read_only: bool, resync: Option<Resync> },
    Status { tag: String, mailbox: MailboxName, items: Vec<StatusItem> },
    /// STATUS of each mailbox that LIST told, one after another.
    ListStatus { tag: String, left: VecDeque<MailboxName>, items: Vec<StatusItem> },
    Quota { tag: String, mailbox: Option<MailboxName> },
    Store { tag: String, op: StoreOp, flags: Flags, silent: bool, uid: bool },
    Append { tag: String },
    Copy { tag: String, moves: bool },
    Replace { tag: String, uid: u32 },
    Compress { tag: String },
    Unauthenticate { tag: String },
    Metadata { tag: String, mailbox: Option<MailboxName>, wish: metadata::Wish },
    Expunge { tag: String, closes: bool },
    Leave { tag: String, text: String },
    /// NOTIFY, which says what it asks for, and then how each of its mailboxes stands.
    Watch { tag: String, asked: Box<Notify>, status: bool },
    WatchStatus { tag: String, left: VecDeque<(MailboxName, Vec<StatusItem>)> },
    /// What no command asked for.
    Notice(Notice),
    Fetch(fetch::Job),
    Search(search::Job),
}

pub struct Session {
    settings: Settings,
    framer: Framer,
    state: State,
    expecting: Expecting,
    pending: Option<Pending>,
    failures: u32,
    /// Commands, understood or not, and octets, while nobody is logged in.
    early: u32,
    early_octets: usize,
    /// Who was proved and has yet to take our proof: what it is not offered.
    proved: Option<Extensions>,
    /// From the first command that asks for it, and never less while the login stands.
    manner: Manner,
    /// What the last NOTIFY asked for, where there was one.
    notify: Option<Box<Notify>>,
    /// What is off here for everybody.
    off: Extensions,
    compressed: bool,
    /// STARTTLS was answered: input is thrown away until TLS is there.
    upgrading: bool,
    send: Vec<u8>,
    out: Vec<Output>,
}

impl Session {
    /// A session and its greeting.
    pub fn new(settings: Settings) -> (Self, Vec<Output>) {
        let mut session = Self {
            off: settings.off,
            compressed: false,
            framer: Framer::new(Limits::BEFORE_LOGIN.with_unasked(extension::unasked(settings.off))),
            settings,
            state: State::NotAuthenticated,
            expecting: Expecting::Command,
            pending: None,
            failures: 0,
            early: 0,
            early_octets: 0,
            proved: None,
            manner: Manner::default(),
            notify: None,
            upgrading: false,
            send: Vec::new(),
            out: Vec::new(),
        };
        let greeting = format!("* OK [CAPABILITY {}] Ready\r\n", session.capabilities());
        session.write(&greeting);
        let out = session.take_output();
        (session, out)
    }

    /// Bytes from the client, cut anyhow.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Output> {
        if self.upgrading || matches!(self.state, State::Closed) {
            return Vec::new();
        }
        self.early_octets = if matches!(self.state, State::NotAuthenticated) { self.early_octets.saturating_add(bytes.len()) } else { 0 };
        if self.early_octets > self.settings.budget.octets {
            self.bye("Too much sent before a login");
            return self.take_output();
        }
        self.framer.feed(bytes);
        self.run();
        if self.pending.is_some() && self.framer.held() > MAX_HELD {
            self.bye("Too much sent ahead");
        }
        self.take_output()
    }

    /// False while a request is with the server: reading on would only pile up input.
    pub fn wants_input(&self) -> bool {
        self.pending.is_none() && !self.upgrading && !matches!(self.state, State::Closed)
    }

    /// Octets kept by a SORT or THREAD under way.
    pub fn kept(&self) -> usize {
        if let Some(Pending::Search(job)) = &self.pending { job.held() } else { 0 }
    }

    /// Ends the SORT or THREAD under way, since all sessions together keep too much. What it asked for last is answered to nobody.
    pub fn shed(&mut self) -> Vec<Output> {
        if let Some(Pending::Search(job)) = self.pending.take_if(|pending| matches!(pending, Pending::Search(_))) {
            self.refuse(&job.tag, RefusalCode::Limit.name(), "Too much is being arranged at this moment; try again later");
            self.run();
        }
        self.take_output()
    }

    /// Whether the session takes long over its next answer.
    pub fn is_to_arrange(&self) -> bool {
        matches!(&self.pending, Some(Pending::Search(job)) if job.arranges)
    }

    /// Whether what changed since the client was here last is looked for among all messages of the mailbox that is opened.
    pub fn resyncs(&self) -> bool {
        matches!(&self.pending, Some(Pending::Open { resync: Some(_), .. }))
    }

    /// TLS stands after [`Output::StartTls`]; `offer`: what that makes possible.
    pub fn tls_started(&mut self, offer: Offer) {
        self.framer.clear();
        self.upgrading = false;
        (self.settings.tls, self.settings.offer) = (true, offer);
    }

    /// The answer to the request last given out. One that was not asked for ends the session.
    pub fn answer(&mut self, answer: Answer) -> Vec<Output> {
        if matches!(self.state, State::Closed) {
            return Vec::new();
        }
        match self.pending.take() {
            Some(pending) => self.answered(pending, answer),
            None => self.bye("The server lost step; connect again"),
        }
        self.run();
        self.take_output()
    }

    /// Commits of the opened mailbox, from its snapshot in [`Answer::Opened`] on and pushed after it. Told at once in IDLE and to
    /// who asked for that, otherwise with the next command.
    pub fn changed(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Output> {
        if let State::Selected(view) = &mut self.state {
            changes.into_iter().for_each(|change| view.queue(change));
        }
        self.run();
        self.take_output()
    }

    /// Ends the session from outside: idle for too long, shutdown. `text`: one line of ASCII.
    pub fn bye(&mut self, text: &str) {
        if !matches!(self.state, State::Closed) {
            self.write(&format!("* BYE {text}\r\n"));
            self.close();
        }
    }

    /// What [`Session::bye`] left to do.
    pub fn take_output(&mut self) -> Vec<Output> {
        self.flush();
        std::mem::take(&mut self.out)
    }

    fn run(&mut self) {
        while self.wants_input() {
            self.attend();
            if self.pending.is_some() {
                return;
            }
            if !matches!(self.expecting, Expecting::Command) {
                match self.framer.line() {
                    Ok(Some(line)) => self.continued(line),
                    Ok(None) => return,
                    Err(reason) => self.bye(reason),
                }
                continue;
            }
            let framed = self.framer.next();
            if matches!(framed, Framed::Command(_) | Framed::Dropped { .. }) && self.is_too_early() {
                return self.bye("Too many commands before a login");
            }
            match framed {
                Framed::Wait => return,
                Framed::Continue => self.write("+ Ready\r\n"),
                Framed::Command(frame) => {
                    let (tag, command) = parse::command::parse(frame, self.manner.utf8);
                    match (tag, command) {
                        (Some(tag), Ok(command)) => self.dispatch(tag, command),
                        (Some(tag), Err(parse::ParseError::Charset)) => {
                            self.write(&format!("{tag} NO [BADCHARSET (UTF-8 US-ASCII)] {}\r\n", parse::ParseError::Charset));
                        }
                        (tag, Err(error)) => self.write(&format!("{} BAD {error}\r\n", tag.as_deref().unwrap_or("*"))),
                        (None, Ok(_)) => self.write("* BAD The command needs a tag\r\n"),
                    }
                }
                Framed::Dropped { tag, too_big, reason } => {
                    let verdict = if too_big { "NO [TOOBIG]" } else { "BAD" };
                    self.write(&format!("{} {verdict} {reason}\r\n", tag.as_deref().unwrap_or("*")));
                }
                // spec: rfc7888#4
                Framed::Broken { tag, too_big, reason } => {
                    let code = if too_big { "[TOOBIG] " } else { "" };
                    self.write(&format!("{} BAD {code}{reason}\r\n", tag.as_deref().unwrap_or("*")));
                    self.bye(&format!("{code}The stream is out of step"));
                }
            }
        }
    }

    /// The framing knows what a command may bring of who is here now.
    fn set_limits(&mut self) {
        let limits = if matches!(self.state, State::NotAuthenticated) { Limits::BEFORE_LOGIN } else { Limits::after_login(self.settings.append_limit.max(MAX_LITERAL)) };
        self.framer.set_limits(limits.with_unasked(extension::unasked(self.settings.off)));
    }

    /// Counts a command; whether there were too many before somebody logged in.
    fn is_too_early(&mut self) -> bool {
        self.early = if matches!(self.state, State::NotAuthenticated) { self.early.saturating_add(1) } else { 0 };
        self.early > self.settings.budget.commands
    }

    fn ask(&mut self, request: Request, pending: Pending) {
        self.flush();
        self.out.push(Output::Do(request));
        self.pending = Some(pending);
    }

    fn speak(&mut self, manner: Manner) {
        self.manner = manner;
        if let State::Selected(view) = &mut self.state {
            view.manner = manner;
        }
    }

    fn write(&mut self, text: &str) {
        self.send.extend_from_slice(text.as_bytes());
    }

    fn flush(&mut self) {
        if !self.send.is_empty() {
            self.out.push(Output::Send(std::mem::take(&mut self.send)));
        }
    }

    /// Tells changes, then answers `tag OK text`.
    fn done(&mut self, tag: &str, text: &str, may_expunge: bool) {
        if let State::Selected(view) = &mut self.state {
            view.tell(may_expunge, &mut self.send);
        }
        self.write(&format!("{tag} OK {text}\r\n"));
    }

    fn close(&mut self) {
        self.flush();
        self.out.push(Output::Close);
        self.state = State::Closed;
        self.pending = None;
    }
}
