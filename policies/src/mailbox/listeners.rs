//! What each listener grants to who connects.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, read};

/// Memory of a connection before anybody is known, at the most: what one sends before a login is bounded by it whatever a policy says.
pub const MOST_BEFORE_LOGIN: u32 = 256 * 1024;
/// Each takes a descriptor, and 15 KiB and more.
const MOST_CONNECTIONS: u32 = 200_000;

/// Connections at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub all: usize,
    pub of_one_address: usize,
    pub of_one_network: usize,
}

/// What is granted to who is to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeforeLogin {
    pub connections: usize,
    pub seconds: u32,
    pub failures: u32,
    pub commands: u32,
    pub bytes: usize,
}

/// What is granted to who brings mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiving {
    pub idle_seconds: u32,
    pub whole_minutes: u32,
    pub errors: u32,
    /// Commands that do nothing.
    pub empty_commands: u32,
    /// Memory of all messages.
    pub bytes: u64,
}

/// What is granted to who reads mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub idle_minutes: u32,
    /// Commands in a row that mean nothing, where they are counted.
    pub errors: u32,
}

/// Had only from a document that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerPolicy {
    pub exchange: (Places, Receiving),
    pub neighbours: (Places, Receiving),
    pub submission: (Places, BeforeLogin, Receiving),
    pub imap: (Places, BeforeLogin, Reading),
    pub pop3: (Places, BeforeLogin, Reading),
    pub applications: Places,
    pub settings: Places,
    /// Passwords hashed at one time, at each listener where people log in.
    pub hashed_at_once: usize,
    pub refusal_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    exchange: ExchangeWords,
    neighbours: NeighbourWords,
    submission: SubmissionWords,
    imap: ImapWords,
    pop3: Pop3Words,
    passwords: PasswordWords,
    applications: HttpWords,
    settings: HttpWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeWords {
    connections: Spanned<u32>,
    of_one_address: Spanned<u32>,
    of_one_network: Spanned<u32>,
    idle_seconds: Spanned<u32>,
    whole_minutes: Spanned<u32>,
    errors: Spanned<u32>,
    empty_commands: Spanned<u32>,
    receiving_bytes: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeighbourWords {
    connections: Spanned<u32>,
    idle_seconds: Spanned<u32>,
    whole_minutes: Spanned<u32>,
    receiving_bytes: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmissionWords {
    connections: Spanned<u32>,
    of_one_address: Spanned<u32>,
    of_one_network: Spanned<u32>,
    before_login: Spanned<u32>,
    login_seconds: Spanned<u32>,
    failures: Spanned<u32>,
    bytes_before_login: Spanned<u32>,
    idle_seconds: Spanned<u32>,
    whole_minutes: Spanned<u32>,
    errors: Spanned<u32>,
    empty_commands: Spanned<u32>,
    receiving_bytes: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImapWords {
    connections: Spanned<u32>,
    of_one_address: Spanned<u32>,
    of_one_network: Spanned<u32>,
    before_login: Spanned<u32>,
    login_seconds: Spanned<u32>,
    failures: Spanned<u32>,
    commands_before_login: Spanned<u32>,
    bytes_before_login: Spanned<u32>,
    idle_minutes: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pop3Words {
    connections: Spanned<u32>,
    of_one_address: Spanned<u32>,
    of_one_network: Spanned<u32>,
    before_login: Spanned<u32>,
    login_seconds: Spanned<u32>,
    failures: Spanned<u32>,
    commands_before_login: Spanned<u32>,
    bytes_before_login: Spanned<u32>,
    idle_minutes: Spanned<u32>,
    errors: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordWords {
    at_once: Spanned<u32>,
    refusal_seconds: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpWords {
    connections: Spanned<u32>,
    of_one_address: Spanned<u32>,
    of_one_network: Spanned<u32>,
}

/// A document that is being checked.
#[derive(Clone, Copy)]
struct Checked<'a> {
    file: &'a str,
    text: &'a str,
    /// Of the largest message.
    message_bytes: u64,
}

impl Checked<'_> {
    fn within(&self, value: &Spanned<u32>, least: u32, most: u32, unit: &str) -> Result<u32, PolicyError> {
        let fits = (least..=most).contains(value.get_ref());
        if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(self.file, self.text, Some(value.span()), format!("it is {least} to {most} {unit}"))) }
    }

    fn places(&self, all: &Spanned<u32>, of_one_address: &Spanned<u32>, of_one_network: &Spanned<u32>) -> Result<Places, PolicyError> {
        let all = self.within(all, 1, MOST_CONNECTIONS, "connections")?;
        let network = self.within(of_one_network, 1, all, "connections, no more than of all")?;
        let address = self.within(of_one_address, 1, network, "connections, no more than of a network")?;
        Ok(Places { all: all as usize, of_one_address: address as usize, of_one_network: network as usize })
    }

    fn receiving(&self, idle: &Spanned<u32>, whole: &Spanned<u32>, counted: Option<(&Spanned<u32>, &Spanned<u32>)>, bytes: &Spanned<u64>) -> Result<Receiving, PolicyError> {
        // Twice the largest message: it is received while another is delivered.
        let (least, most) = (self.message_bytes.saturating_mul(2), 1 << 36);
        if !(least..=most).contains(bytes.get_ref()) {
            return Err(PolicyError::at(self.file, self.text, Some(bytes.span()), format!("it is {least} (two of the largest messages) to {most} bytes")));
        }
        let (errors, empty_commands) = match counted {
            Some((errors, empty)) => (self.within(errors, 5, 1_000, "errors")?, self.within(empty, 20, 10_000, "commands")?),
            // Neighbours' are not counted.
            None => (u32::MAX, u32::MAX),
        };
        Ok(Receiving {
            // spec: rfc5321#4.5.3.2.7
            idle_seconds: self.within(idle, 300, 3_600, "seconds")?,
            whole_minutes: self.within(whole, 10, 1_440, "minutes")?,
            errors,
            empty_commands,
            bytes: *bytes.get_ref(),
        })
    }

    fn before_login(&self, places: Places, words: [&Spanned<u32>; 4], commands: Option<&Spanned<u32>>) -> Result<BeforeLogin, PolicyError> {
        let [connections, seconds, failures, bytes] = words;
        let all = u32::try_from(places.all).unwrap_or(MOST_CONNECTIONS);
        Ok(BeforeLogin {
            connections: self.within(connections, 1, all, "connections, no more than of all")? as usize,
            seconds: self.within(seconds, 10, 600, "seconds")?,
            failures: self.within(failures, 1, 20, "logins")?,
            commands: commands.map_or(Ok(u32::MAX), |commands| self.within(commands, 20, 1_000, "commands"))?,
            // A login with a certificate's exchange has a few thousand.
            bytes: self.within(bytes, 16 * 1024, MOST_BEFORE_LOGIN, "bytes")? as usize,
        })
    }

    fn http(&self, words: &HttpWords) -> Result<Places, PolicyError> {
        self.places(&words.connections, &words.of_one_address, &words.of_one_network)
    }
}

impl ListenerPolicy {
    pub(super) fn parse((file, text): (&str, &str), message_bytes: u64) -> Result<Self, PolicyError> {
        let Document { exchange, neighbours, submission, imap, pop3, passwords, applications, settings } = read(file, text)?;
        let checked = Checked { file, text, message_bytes };
        let exchanged = checked.receiving(&exchange.idle_seconds, &exchange.whole_minutes, Some((&exchange.errors, &exchange.empty_commands)), &exchange.receiving_bytes)?;
        // All of them are this machine.
        let near = checked.places(&neighbours.connections, &neighbours.connections, &neighbours.connections)?;
        let brought = checked.receiving(&neighbours.idle_seconds, &neighbours.whole_minutes, None, &neighbours.receiving_bytes)?;
        let submitting = checked.places(&submission.connections, &submission.of_one_address, &submission.of_one_network)?;
        let to_submit = checked.before_login(submitting, [&submission.before_login, &submission.login_seconds, &submission.failures, &submission.bytes_before_login], None)?;
        let submitted = checked.receiving(&submission.idle_seconds, &submission.whole_minutes, Some((&submission.errors, &submission.empty_commands)), &submission.receiving_bytes)?;
        let clients = checked.places(&imap.connections, &imap.of_one_address, &imap.of_one_network)?;
        let to_read = checked.before_login(clients, [&imap.before_login, &imap.login_seconds, &imap.failures, &imap.bytes_before_login], Some(&imap.commands_before_login))?;
        let old = checked.places(&pop3.connections, &pop3.of_one_address, &pop3.of_one_network)?;
        let to_fetch = checked.before_login(old, [&pop3.before_login, &pop3.login_seconds, &pop3.failures, &pop3.bytes_before_login], Some(&pop3.commands_before_login))?;
        Ok(Self {
            exchange: (checked.places(&exchange.connections, &exchange.of_one_address, &exchange.of_one_network)?, exchanged),
            neighbours: (near, brought),
            submission: (submitting, to_submit, submitted),
            // spec: rfc9051#5.4
            imap: (clients, to_read, Reading { idle_minutes: checked.within(&imap.idle_minutes, 30, 1_440, "minutes")?, errors: u32::MAX }),
            // spec: rfc1939#3
            pop3: (old, to_fetch, Reading { idle_minutes: checked.within(&pop3.idle_minutes, 10, 120, "minutes")?, errors: checked.within(&pop3.errors, 5, 1_000, "errors")? }),
            applications: checked.http(&applications)?,
            settings: checked.http(&settings)?,
            hashed_at_once: checked.within(&passwords.at_once, 1, 64, "passwords")? as usize,
            refusal_seconds: checked.within(&passwords.refusal_seconds, 0, 10, "seconds")?,
        })
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        let places = |places: &Places| format!("{} connections, {} of one address, {} of one network", places.all, places.of_one_address, places.of_one_network);
        let receiving = |receiving: &Receiving| format!("{} seconds of silence, {} minutes in all, {} bytes of memory", receiving.idle_seconds, receiving.whole_minutes, receiving.bytes);
        let counted = |receiving: &Receiving| format!("{} errors, {} commands that do nothing", receiving.errors, receiving.empty_commands);
        let login = |login: &BeforeLogin| format!("{} connections, {} seconds, {} failures, {} bytes", login.connections, login.seconds, login.failures, login.bytes);
        line("port 25", places(&self.exchange.0));
        line("port 25, each", format!("{}; {}", receiving(&self.exchange.1), counted(&self.exchange.1)));
        line("neighbours", format!("{} connections; {}", self.neighbours.0.all, receiving(&self.neighbours.1)));
        line("submission", places(&self.submission.0));
        line("submission before a login", login(&self.submission.1));
        line("submission, each", format!("{}; {}", receiving(&self.submission.2), counted(&self.submission.2)));
        line("IMAP", format!("{}, {} minutes of silence", places(&self.imap.0), self.imap.2.idle_minutes));
        line("IMAP before a login", format!("{}, {} commands", login(&self.imap.1), self.imap.1.commands));
        line("POP3", format!("{}, {} minutes of silence, {} errors", places(&self.pop3.0), self.pop3.2.idle_minutes, self.pop3.2.errors));
        line("POP3 before a login", format!("{}, {} commands", login(&self.pop3.1), self.pop3.1.commands));
        line("applications over HTTPS", places(&self.applications));
        line("settings over HTTPS", places(&self.settings));
        line("passwords hashed at one time", format!("{}, and a refusal said after {} seconds", self.hashed_at_once, self.refusal_seconds));
    }
}
