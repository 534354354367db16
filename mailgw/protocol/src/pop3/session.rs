//! One client's session. Feed it bytes and answers; do what it returns.
use super::command::{self, Command, MAX_LINE, MAX_RESPONSE};
use super::exchange::{Answer, Offer, Output, Request};
use super::language::Language;
use super::maildrop::{self, Maildrop};
use crate::budget::Budget;
use crate::sasl::{self, Asked, Exchange, Step};
use crate::smtp::framing::{Framer, Line};

/// Octets held while the server works; a client that pipelines more is cut off.
const MAX_HELD: usize = 64 * 1024;

/// What the server decides for a session.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The connection is under TLS from its first byte.
    pub tls: bool,
    /// What who logs in is offered beside passwords, where TLS is there from the first byte.
    pub offer: Offer,
    /// What a client may spend before it is cut off: errors are those in a row.
    pub budget: Budget,
}

enum Mode {
    Command,
    /// AUTH was answered with `+`.
    Sasl(Exchange),
    /// STLS was answered: input is thrown away until TLS is there.
    Upgrading,
    Closed,
}

/// spec: rfc1939#3 the states; the UPDATE state is the request that QUIT makes
enum State {
    Authorization { user: Option<String> },
    Transaction(Maildrop),
}

/// The request that waits for an answer.
enum Pending {
    Login(Asked),
    Open,
    Retrieve,
    Top { lines: u64 },
    Update,
}

pub struct Session {
    settings: Settings,
    framer: Framer,
    mode: Mode,
    state: State,
    pending: Option<Pending>,
    errors: u32,
    failures: u32,
    /// Commands, understood or not, and octets, while nobody is logged in.
    early: u32,
    early_octets: usize,
    language: Language,
    send: Vec<u8>,
    out: Vec<Output>,
}

impl Session {
    /// A session and its greeting.
    pub fn new(settings: Settings) -> (Self, Vec<Output>) {
        let mut session = Self {
            settings,
            framer: Framer::default(),
            mode: Mode::Command,
            state: State::Authorization { user: None },
            pending: None,
            errors: 0,
            failures: 0,
            early: 0,
            early_octets: 0,
            language: Language::default(),
            send: b"+OK Ready\r\n".to_vec(),
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
        self.early_octets = if self.is_early() { self.early_octets.saturating_add(bytes.len()) } else { 0 };
        if self.early_octets > self.settings.budget.octets {
            self.end("-ERR Too much sent before a login");
            return self.take_output();
        }
        self.framer.feed(bytes);
        self.run();
        if self.pending.is_some() && self.framer.held().len() > MAX_HELD {
            self.end("-ERR Too much sent ahead");
        }
        self.take_output()
    }

    /// False while a request is with the server: reading on would only pile up input.
    pub fn wants_input(&self) -> bool {
        self.pending.is_none() && matches!(self.mode, Mode::Command | Mode::Sasl(_))
    }

    /// TLS stands after [`Output::StartTls`]; `offer`: what that makes possible. spec: rfc2595#4 all knowledge from before is discarded
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
            // spec: rfc3206#3 whether trying again later can help
            (Some(Pending::Login(_)), Answer::Denied) => self.denied("-ERR [AUTH] The name or the password is wrong"),
            (Some(Pending::Login(_)), Answer::TooMany) => self.write("-ERR [SYS/TEMP] Too many logins failed; try again later"),
            (Some(Pending::Login(_)), Answer::Failed) => self.write("-ERR [SYS/TEMP] Logins are not possible now; try again later"),
            (Some(Pending::Open), Answer::Maildrop { uid_validity, entries }) => {
                let maildrop = Maildrop::new(uid_validity, entries);
                let (count, octets) = maildrop.count();
                self.write(&format!("+OK {count} messages ({octets} octets)"));
                self.state = State::Transaction(maildrop);
            }
            // spec: rfc2449#8.1.2
            (Some(Pending::Open), Answer::InUse) => self.end("-ERR [IN-USE] Another POP3 session has the mailbox; try again when it has ended"),
            (Some(Pending::Open), Answer::Failed) => self.end("-ERR [SYS/TEMP] The mailbox cannot be opened now; try again later"),
            (Some(Pending::Retrieve), Answer::Bytes(bytes)) => {
                self.write(&format!("+OK {} octets", bytes.len()));
                maildrop::stuffed(&bytes, &mut self.send);
            }
            (Some(Pending::Top { lines }), Answer::Bytes(bytes)) => {
                self.write("+OK Its top");
                maildrop::stuffed(maildrop::top(&bytes, lines), &mut self.send);
            }
            (Some(Pending::Retrieve | Pending::Top { .. }), Answer::Gone) => self.write("-ERR The message was removed meanwhile"),
            (Some(Pending::Retrieve | Pending::Top { .. }), Answer::Failed) => self.write("-ERR [SYS/TEMP] The message cannot be read now; try again later"),
            (Some(Pending::Update), Answer::Removed) => self.end("+OK Goodbye"),
            // spec: rfc1939#6 nothing else is removed
            (Some(Pending::Update), Answer::Failed) => self.end("-ERR [SYS/TEMP] Not all marked messages were removed; log in again"),
            _ => self.end("-ERR [SYS/TEMP] The server lost step; connect again"),
        }
        self.run();
        self.take_output()
    }

    /// Ends the session from outside; nothing that was marked is removed. `text`: one line of ASCII. spec: rfc1939#3
    pub fn bye(&mut self, text: &str) -> Vec<Output> {
        self.end(&format!("-ERR {text}"));
        self.take_output()
    }

    fn run(&mut self) {
        while self.wants_input() {
            let sasl = matches!(self.mode, Mode::Sasl(_));
            match self.framer.line(if sasl { MAX_RESPONSE } else { MAX_LINE }) {
                Line::Wait => return,
                Line::Whole(_) | Line::Dropped(_) if self.is_too_early() => self.end("-ERR Too many commands before a login"),
                Line::Whole(line) if sasl => self.response(&line),
                Line::Whole(line) => match command::parse(&line) {
                    Ok(command) => self.execute(command),
                    Err(reason) => self.wrong(reason),
                },
                Line::Dropped(_) => {
                    self.mode = Mode::Command;
                    self.wrong("The line is too long, or holds a control character");
                }
                Line::Broken(reason) => self.end(&format!("-ERR {reason}")),
            }
        }
    }

    fn is_early(&self) -> bool {
        matches!(self.state, State::Authorization { .. })
    }

    /// Counts a line; whether there were too many before somebody logged in.
    fn is_too_early(&mut self) -> bool {
        self.early = if self.is_early() { self.early.saturating_add(1) } else { 0 };
        self.early > self.settings.budget.commands
    }

    fn execute(&mut self, command: Command) {
        match (command, &self.state) {
            (Command::Capa, _) => self.capabilities(),
            (Command::Lang(asked), _) => self.language(asked.as_deref()),
            // spec: rfc6856#2.1 headers go out as they came, in UTF-8 or not, whether a client says so or not: programs from before
            // have always been given them, and what was signed stays so
            (Command::Utf8, State::Authorization { .. }) => self.write("+OK"),
            (Command::Utf8, State::Transaction(_)) => self.wrong("Say UTF8 before you log in"),
            (Command::Quit, State::Authorization { .. }) => self.end("+OK Goodbye"),
            (Command::User(_) | Command::Pass(_) | Command::Auth(_) | Command::Stls, State::Transaction(_)) => self.wrong("You are logged in already"),
            (Command::Stls, _) if self.settings.tls => self.wrong("TLS is there already"),
            (Command::Stls, _) => {
                self.write("+OK Begin TLS");
                self.flush();
                self.out.push(Output::StartTls);
                (self.state, self.mode) = (State::Authorization { user: None }, Mode::Upgrading);
                self.framer.clear();
            }
            // spec: rfc2595#2.1 no password travels in the clear
            (Command::User(_) | Command::Pass(_) | Command::Auth(Some(_)), _) if !self.settings.tls => self.wrong("Say STLS first: a password is not for others to read"),
            (Command::User(user), _) => {
                // Who there is is not said before the password.
                self.state = State::Authorization { user: Some(user) };
                self.write("+OK Now PASS");
            }
            (Command::Pass(password), State::Authorization { user: Some(user) }) => {
                let user = user.clone();
                self.state = State::Authorization { user: None };
                self.ask(Request::Login { user, password }, Pending::Login(Asked::Verdict));
            }
            (Command::Pass(_), _) => self.wrong("Say USER first"),
            // A client from before CAPA asks so.
            (Command::Auth(None), _) => {
                let names: String = if self.settings.tls { self.mechanisms().map(|name| format!("{name}\r\n")).collect() } else { String::new() };
                self.write(&format!("+OK\r\n{names}."));
            }
            (Command::Auth(Some(mechanism)), _) => self.step(sasl::begin(&mechanism.name, mechanism.initial, &self.settings.offer)),
            (_, State::Authorization { .. }) => self.wrong("Log in first"),
            (command, State::Transaction(_)) => self.on_maildrop(command),
        }
    }

    fn on_maildrop(&mut self, command: Command) {
        let State::Transaction(maildrop) = &mut self.state else { return };
        let said = match command {
            Command::Stat => {
                let (count, octets) = maildrop.count();
                Ok(format!("+OK {count} {octets}"))
            }
            Command::List(None) => Ok(listed("+OK Sizes", maildrop.there().map(|(number, entry)| format!("{number} {}\r\n", entry.size)))),
            Command::Uidl(None) => Ok(listed("+OK Names", maildrop.there().map(|(number, entry)| format!("{number} {}\r\n", maildrop.unique_id(entry))))),
            Command::List(Some(number)) => maildrop.get(number).map(|entry| format!("+OK {number} {}", entry.size)).ok_or(number),
            Command::Uidl(Some(number)) => maildrop.get(number).map(|entry| format!("+OK {number} {}", maildrop.unique_id(entry))).ok_or(number),
            Command::Dele(number) => if maildrop.mark(number) { Ok("+OK It goes when you say QUIT".to_owned()) } else { Err(number) },
            Command::Rset => {
                maildrop.unmark();
                Ok("+OK Nothing is marked".to_owned())
            }
            Command::Noop => Ok("+OK".to_owned()),
            Command::Retr(number) => match maildrop.get(number).map(|entry| entry.uid) {
                Some(uid) => return self.ask(Request::Load { uid, shows: true }, Pending::Retrieve),
                None => Err(number),
            },
            Command::Top { message, lines } => match maildrop.get(message).map(|entry| entry.uid) {
                Some(uid) => return self.ask(Request::Load { uid, shows: lines > 0 }, Pending::Top { lines }),
                None => Err(message),
            },
            Command::Quit => {
                let uids = maildrop.marked();
                return if uids.is_empty() { self.end("+OK Goodbye") } else { self.ask(Request::Remove { uids }, Pending::Update) };
            }
            Command::Capa | Command::Lang(_) | Command::Utf8 | Command::Auth(_) | Command::User(_) | Command::Pass(_) | Command::Stls => return self.wrong("You are logged in already"),
        };
        match said {
            Ok(text) => {
                self.errors = 0;
                self.write(&text);
            }
            Err(_) => self.wrong("There is no such message, or it is marked"),
        }
    }

    // spec: rfc2449#5 and #6
    fn capabilities(&mut self) {
        let mut all = String::from("+OK What is offered\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\n");
        if self.settings.tls {
            let mechanisms: Vec<&str> = self.mechanisms().collect();
            all.push_str(&format!("USER\r\nSASL {}\r\n", mechanisms.join(" ")));
        } else {
            all.push_str("STLS\r\n");
        }
        // spec: rfc2449#6.9 who it is is told to who is known
        if matches!(self.state, State::Transaction(_)) {
            all.push_str("IMPLEMENTATION Suiyin\r\n");
        }
        self.write(&format!("{all}."));
    }

    /// spec: rfc6856#3
    fn language(&mut self, asked: Option<&str>) {
        let Some(range) = asked else {
            let all = Language::ALL.into_iter().map(|language| format!("{} {}\r\n", language.tag().0, language.tag().1));
            return self.write(&listed("+OK", all));
        };
        match Language::of(range) {
            Some(language) => {
                self.language = language;
                let (tag, name) = language.tag();
                self.write(&format!("+OK {tag} {name}"));
            }
            None => self.wrong("The language is not spoken here; LANG lists those that are"),
        }
    }

    fn mechanisms(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.settings.offer.names().chain(["LOGIN"])
    }

    fn response(&mut self, line: &[u8]) {
        let Mode::Sasl(exchange) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
        let (proved, refused) = (exchange.is_proved(), exchange.is_refused());
        if line == b"*" && refused {
            self.denied("-ERR Cancelled");
        } else if line == b"*" {
            self.wrong("Cancelled");
        } else {
            self.step(exchange.respond(sasl::response(line), &self.settings.offer));
        }
        // Who is let in is asked for the maildrop next.
        if proved && self.pending.is_none() {
            self.end("-ERR The login was given up; connect again");
        }
    }

    // spec: rfc5034#4
    fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(text, expected) => {
                self.write(&format!("+ {text}"));
                self.mode = Mode::Sasl(expected);
            }
            Step::Login { user, password } => self.ask(Request::Login { user, password }, Pending::Login(Asked::Verdict)),
            Step::Ask(question, asked) => self.ask(Request::Sasl(question), Pending::Login(asked)),
            Step::Done => self.entered(),
            Step::Denied => self.denied("-ERR [AUTH] The token opens nothing here"),
            Step::Malformed(reason) => self.denied(&format!("-ERR {reason}")),
            Step::Unknown => self.wrong("Use one of the mechanisms that CAPA names, such as PLAIN"),
        }
    }

    /// The reply to the login is whether the maildrop could be taken. spec: rfc1939#4
    fn entered(&mut self) {
        self.ask(Request::Open, Pending::Open);
    }

    fn denied(&mut self, text: &str) {
        self.write(text);
        self.failures += 1;
        if self.failures >= self.settings.budget.failures {
            self.end("-ERR Too many logins failed");
        }
    }

    fn ask(&mut self, request: Request, pending: Pending) {
        self.flush();
        self.out.push(Output::Do(request));
        self.pending = Some(pending);
    }

    fn wrong(&mut self, text: &str) {
        self.write(&format!("-ERR {text}"));
        self.errors += 1;
        if self.errors >= self.settings.budget.errors {
            self.end("-ERR Too many errors");
        }
    }

    fn end(&mut self, text: &str) {
        if !matches!(self.mode, Mode::Closed) {
            // A message that is on its way is none of the farewell, with which the maildrop is let go.
            self.flush();
            self.write(text);
            self.flush();
            self.out.push(Output::Close);
            self.framer.clear();
            (self.state, self.pending, self.mode) = (State::Authorization { user: None }, None, Mode::Closed);
        }
    }

    fn write(&mut self, text: &str) {
        let (first, rest) = text.split_once("\r\n").map_or((text, None), |(first, rest)| (first, Some(rest)));
        self.send.extend_from_slice(self.language.reply(first).as_bytes());
        if let Some(more) = rest {
            self.send.extend_from_slice(b"\r\n");
            self.send.extend_from_slice(more.as_bytes());
        }
        self.send.extend_from_slice(b"\r\n");
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

fn listed(first: &str, lines: impl Iterator<Item = String>) -> String {
    let mut text = format!("{first}\r\n");
    lines.for_each(|line| text.push_str(&line));
    text.push('.');
    text
}
