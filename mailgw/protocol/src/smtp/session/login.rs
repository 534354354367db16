//! AUTH, and the exchange that follows it.

use super::{Mode, Pending, Session};
use crate::sasl::{self, Asked, Secret, Step};
use crate::smtp::exchange::Request;

impl Session {
    /// spec: rfc4954#4
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<Option<Secret>>) {
        match (mechanism, initial) {
            _ if self.hello.is_none() => self.wrong(503, "5.5.1", "Say EHLO first"),
            _ if !self.settings.tls => self.wrong(538, "5.7.11", "Say STARTTLS first: a password is not for others to read"),
            _ if self.logged_in => self.wrong(503, "5.5.1", "You are logged in already"),
            _ if self.transaction.is_some() => self.wrong(503, "5.5.1", "A message is begun already; end it or send RSET"),
            (mechanism, initial) => self.step(sasl::begin(mechanism, initial, &self.settings.offer)),
        }
    }

    /// A line that answers 334.
    pub(super) fn response(&mut self, line: &[u8]) {
        let Mode::Sasl(exchange) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
        let (proved, refused) = (exchange.is_proved(), exchange.is_refused());
        if line == b"*" {
            self.wrong(501, "5.7.0", "Cancelled");
            if refused {
                self.failed();
            }
        } else {
            self.step(exchange.respond(sasl::response(line), &self.settings.offer));
        }
        if proved && !self.logged_in {
            self.end(421, "4.7.0", "The login was given up; connect again");
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(text, expected) => {
                self.write(&format!("334 {text}\r\n"));
                self.mode = Mode::Sasl(expected);
            }
            Step::Login { user, password } => self.ask(Request::Login { user, password }, Pending::Login(Asked::Verdict)),
            Step::Ask(question, asked) => self.ask(Request::Sasl(question), Pending::Login(asked)),
            Step::Done => self.entered(),
            Step::Denied => self.denied("The token opens nothing here"),
            Step::Malformed(reason) => self.wrong(501, "5.5.2", reason),
            Step::Unknown => self.wrong(504, "5.5.4", "Use AUTH PLAIN, AUTH LOGIN, or what else EHLO names"),
        }
    }

    pub(super) fn entered(&mut self) {
        self.logged_in = true;
        self.reply(235, "2.7.0", "Logged in");
    }

    pub(super) fn denied(&mut self, text: &str) {
        self.reply(535, "5.7.8", text);
        self.failed();
    }

    fn failed(&mut self) {
        self.failures += 1;
        if self.failures >= self.settings.budget.failures {
            self.end(421, "4.7.0", "Too many logins failed");
        }
    }
}
