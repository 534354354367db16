//! Commands: each is checked against the state and either answered or turned into a request.
use super::view::Manner;
use super::{Expecting, Pending, Session, State, fetch, metadata, search};
use crate::imap::exchange::{NewMessage, Output, RefusalCode, Request, SpecialUses};
use crate::imap::extension::{self, Extension, Extensions};
use crate::imap::parse::command::Enable;
use crate::imap::parse::{Command, Item, Notify, StatusItem, sequence::SequenceSet};
use crate::sasl::{self, Asked, Step};

/// The one root of quota that all folders of an account share.
pub(super) const QUOTA_ROOT: &str = "account";

impl Session {
    pub(super) fn capabilities(&self) -> String {
        let mut all = String::from("IMAP4rev1 CHILDREN");
        let offered = |one: &&Extension| {
            let now = match one {
                Extension::Compress => !self.compressed && !matches!(self.state, State::NotAuthenticated),
                // spec: rfc7888#5 one of the two is told
                Extension::LiteralMinus => self.settings.off.has(Extension::LiteralPlus),
                _ => true,
            };
            now && !self.settings.off.has(**one)
        };
        for one in Extension::ALL.iter().filter(offered) {
            all.push(' ');
            all.push_str(one.told());
            if *one == Extension::AppendLimit {
                all.push_str(&format!("={}", self.settings.append_limit));
            }
        }
        match (&self.state, self.settings.tls) {
            (State::NotAuthenticated, true) => self.settings.offer.names().for_each(|name| all.push_str(&format!(" AUTH={name}"))),
            // spec: rfc3501#6.2.3 no password travels in the clear
            (State::NotAuthenticated, false) => {
                all.push_str(if self.settings.starttls { " STARTTLS LOGINDISABLED" } else { " LOGINDISABLED" });
            }
            _ => {}
        }
        all
    }

    pub(super) fn dispatch(&mut self, tag: String, command: Command) {
        if let Some(off) = extension::refused(&command, self.settings.off) {
            return self.write(&format!("{tag} BAD {} is switched off here\r\n", off.name()));
        }
        // spec: rfc9586#3
        if self.manner.uid_only && uses_numbers(&command) {
            return self.write(&format!("{tag} BAD [UIDREQUIRED] Messages are called by their UIDs here\r\n"));
        }
        match command {
            Command::Capability => {
                let all = self.capabilities();
                self.write(&format!("* CAPABILITY {all}\r\n"));
                self.done(&tag, "Done", true);
            }
            Command::Noop => self.done(&tag, "Done", true),
            Command::Id => {
                self.write("* ID (\"name\" \"Suiyin\")\r\n");
                self.done(&tag, "Done", true);
            }
            Command::Logout => {
                self.write("* BYE Goodbye\r\n");
                self.write(&format!("{tag} OK Done\r\n"));
                self.close();
            }
            Command::StartTls | Command::Login { .. } | Command::Authenticate { .. } => self.before_login(tag, command),
            _ if matches!(self.state, State::NotAuthenticated) => self.write(&format!("{tag} BAD Log in first\r\n")),
            command => self.after_login(tag, command),
        }
    }

    fn after_login(&mut self, tag: String, command: Command) {
        self.hear_of_condstore(&command);
        self.note_own(&command);
        match command {
            Command::Replace { .. } => self.on_selected(tag, command),
            Command::Check | Command::Close | Command::Unselect | Command::Expunge { .. } | Command::Search { .. } | Command::Sort { .. } | Command::Thread { .. } | Command::Fetch { .. }
            | Command::Store { .. } | Command::Copy { .. } | Command::Move { .. } => self.on_selected(tag, command),
            _ => self.on_mailboxes(tag, command),
        }
    }

    fn before_login(&mut self, tag: String, command: Command) {
        if !matches!(self.state, State::NotAuthenticated) {
            return self.write(&format!("{tag} BAD Already logged in\r\n"));
        }
        match command {
            Command::StartTls if self.settings.tls || !self.settings.starttls => self.write(&format!("{tag} BAD STARTTLS is not offered here\r\n")),
            Command::StartTls => {
                self.write(&format!("{tag} OK Begin TLS\r\n"));
                self.flush();
                self.framer.clear();
                self.upgrading = true;
                self.out.push(Output::StartTls);
            }
            _ if !self.settings.tls => self.write(&format!("{tag} NO [PRIVACYREQUIRED] Use TLS before logging in\r\n")),
            Command::Login { user, password } => self.ask(Request::Login { user, password }, Pending::Login { tag, asked: Asked::Verdict }),
            // What is told as LOGIN is a command here.
            Command::Authenticate { mechanism, .. } if mechanism == "LOGIN" => self.step(tag, Step::Unknown),
            Command::Authenticate { mechanism, initial } => {
                let step = sasl::begin(&mechanism, initial.map(Some), &self.settings.offer);
                self.step(tag, step);
            }
            _ => self.write(&format!("{tag} BAD Not possible now\r\n")),
        }
    }

    /// A line that is not a command: a SASL response or DONE.
    pub(super) fn continued(&mut self, line: Vec<u8>) {
        match std::mem::replace(&mut self.expecting, Expecting::Command) {
            // spec: rfc3501#6.2.2 `*` cancels
            Expecting::Sasl { tag, exchange } => {
                let (proved, refused) = (exchange.is_proved(), exchange.is_refused());
                if line == b"*" {
                    self.proved = None;
                    self.write(&format!("{tag} BAD Cancelled\r\n"));
                    if refused {
                        self.count_failure();
                    }
                } else {
                    let step = exchange.respond(sasl::response(&line), &self.settings.offer);
                    self.step(tag, step);
                }
                if proved && matches!(self.state, State::NotAuthenticated) {
                    self.bye("The login was given up; connect again");
                }
            }
            Expecting::Done { tag } if line.eq_ignore_ascii_case(b"DONE") => self.done(&tag, "Done", true),
            Expecting::Done { tag } => self.write(&format!("{tag} BAD Expected DONE\r\n")),
            Expecting::Command => {}
        }
    }

    pub(super) fn step(&mut self, tag: String, step: Step) {
        match step {
            Step::Challenge(text, exchange) => {
                self.write(&format!("+ {text}\r\n"));
                self.expecting = Expecting::Sasl { tag, exchange };
            }
            Step::Login { user, password } => self.ask(Request::Login { user, password }, Pending::Login { tag, asked: Asked::Verdict }),
            Step::Ask(question, asked) => self.ask(Request::Sasl(question), Pending::Login { tag, asked }),
            Step::Done => match self.proved.take() {
                Some(off) => self.logged_in(&tag, off),
                None => self.bye("The server lost step; connect again"),
            },
            Step::Denied => {
                self.refuse(&tag, RefusalCode::AuthenticationFailed.name(), "The token opens nothing here");
                self.count_failure();
            }
            Step::Malformed(reason) => {
                self.proved = None;
                self.write(&format!("{tag} BAD {reason}\r\n"));
                self.count_failure();
            }
            Step::Unknown => self.write(&format!("{tag} NO Use one of those that CAPABILITY names, such as AUTHENTICATE PLAIN\r\n")),
        }
    }

    pub(super) fn count_failure(&mut self) {
        self.failures += 1;
        if self.failures >= self.settings.budget.failures {
            self.bye("Too many failed logins");
        }
    }

    pub(super) fn logged_in(&mut self, tag: &str, off: Extensions) {
        self.settings.off = self.settings.off.and(off);
        self.state = State::Authenticated;
        self.set_limits();
        let all = self.capabilities();
        self.write(&format!("{tag} OK [CAPABILITY {all}] Logged in\r\n"));
    }

    // spec: rfc7162#3.1 the commands that turn it on
    fn hear_of_condstore(&mut self, command: &Command) {
        let says_so = match command {
            Command::Select { condstore, resync, .. } => *condstore || resync.is_some(),
            Command::Status { items, .. } => items.contains(&StatusItem::HighestModSeq),
            Command::Fetch { items, since, .. } => since.is_some() || items.contains(&Item::ModSeq),
            Command::Store { unchanged_since, .. } => unchanged_since.is_some(),
            Command::Search { key, .. } | Command::Sort { key, .. } | Command::Thread { key, .. } => key.asks_for_modseq(),
            Command::Notify(Notify::Set { groups, .. }) => groups.iter().any(|group| group.events.items.contains(&Item::ModSeq)),
            _ => false,
        };
        if says_so {
            self.speak(Manner { condstore: true, ..self.manner });
        }
    }

    // spec: rfc5161#3.1 what is on already is told again
    fn enable(&mut self, tag: &str, named: Enable) {
        let on = |one: Extension| !self.settings.off.has(one) && !self.settings.off.has(Extension::CondStore);
        let offered = |one: Extension| !self.settings.off.has(one);
        let named = Enable {
            condstore: named.condstore && on(Extension::CondStore),
            qresync: named.qresync && on(Extension::QResync),
            rev2: named.rev2 && offered(Extension::Rev2),
            utf8: named.utf8 && offered(Extension::Utf8),
            uid_only: named.uid_only && offered(Extension::UidOnly),
        };
        let before = self.manner;
        self.speak(Manner {
            condstore: before.condstore || named.condstore || named.qresync,
            qresync: before.qresync || named.qresync,
            rev2: before.rev2 || named.rev2,
            utf8: before.utf8 || named.utf8 || named.rev2,
            uid_only: before.uid_only || named.uid_only,
        });
        let words =
            [(named.condstore, " CONDSTORE"), (named.qresync, " QRESYNC"), (named.rev2, " IMAP4rev2"), (named.utf8, " UTF8=ACCEPT"), (named.uid_only, " UIDONLY")];
        let words: String = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
        self.write(&format!("* ENABLED{words}\r\n"));
        self.done(tag, "Done", true);
    }

    fn on_mailboxes(&mut self, tag: String, command: Command) {
        let plain = |tag, word| Pending::Plain { tag, word };
        match command {
            Command::Enable(named) => self.enable(&tag, named),
            Command::Namespace => {
                self.write("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                self.done(&tag, "Done", true);
            }
            // spec: rfc3501#6.3.8 an empty pattern asks for the delimiter
            Command::List(options) if options.patterns.iter().all(String::is_empty) => {
                self.write("* LIST (\\Noselect) \"/\" \"\"\r\n");
                self.done(&tag, "Done", true);
            }
            Command::List(options) => self.ask(Request::List, Pending::List { tag, options, word: "LIST" }),
            Command::Lsub(options) => self.ask(Request::List, Pending::List { tag, options, word: "LSUB" }),
            // spec: rfc7162#3.2.5
            Command::Select { resync: Some(_), .. } if !self.manner.qresync => self.write(&format!("{tag} BAD Say ENABLE QRESYNC first\r\n")),
            Command::Select { mailbox, read_only, resync, .. } if matches!(self.state, State::Selected(_)) => {
                self.state = State::Authenticated;
                // spec: rfc7162#3.2.11 what follows is of the next mailbox
                self.write("* OK [CLOSED] The mailbox before is left\r\n");
                self.ask(Request::Close, Pending::Reopen { tag, mailbox, read_only, resync });
            }
            Command::Select { mailbox, read_only, resync, .. } => {
                self.ask(Request::Open { mailbox: mailbox.clone(), read_only }, Pending::Open { tag, mailbox, read_only, resync });
            }
            Command::Create { mailbox, uses } => match uses.into_iter().flatten().collect::<Option<SpecialUses>>() {
                Some(uses) => self.ask(Request::Create { mailbox, uses }, Pending::Create { tag }),
                None => self.write(&format!("{tag} NO [{}] No mailbox is kept for that use here\r\n", RefusalCode::UseAttr.name())),
            },
            Command::Delete(mailbox) => self.ask(Request::Delete { mailbox }, plain(tag, "Deleted")),
            Command::Rename { from, to } => self.ask(Request::Rename { from, to }, plain(tag, "Renamed")),
            Command::Subscribe(mailbox) => self.ask(Request::Subscribe { mailbox }, plain(tag, "Subscribed")),
            Command::Unsubscribe(mailbox) => self.ask(Request::Unsubscribe { mailbox }, plain(tag, "Unsubscribed")),
            Command::Status { mailbox, items } => self.ask(Request::Status { mailbox: mailbox.clone() }, Pending::Status { tag, mailbox, items }),
            // spec: rfc9208#4.3 what a mailbox may hold is the operator's to say
            Command::SetQuota => self.write(&format!("{tag} NO [NOPERM] Quotas are set by the operator\r\n")),
            Command::GetQuota { root } if root != QUOTA_ROOT => self.write(&format!("{tag} NO [NONEXISTENT] No such quota root\r\n")),
            Command::GetQuota { .. } => self.ask(Request::Quota, Pending::Quota { tag, mailbox: None }),
            Command::GetQuotaRoot(mailbox) => self.ask(Request::Quota, Pending::Quota { tag, mailbox: Some(mailbox) }),
            Command::Append { mailbox, messages } => {
                if let Some(tag) = self.takes(tag, &messages) {
                    self.ask(Request::Append { mailbox, messages }, Pending::Append { tag });
                }
            }
            Command::GetMetadata { mailbox, entries, depth, max_size } => {
                let wish = metadata::Wish { entries, depth, max_size };
                self.ask(Request::Metadata { mailbox: mailbox.clone() }, Pending::Metadata { tag, mailbox, wish });
            }
            Command::SetMetadata { mailbox, values } => match metadata::refused(mailbox.as_ref(), &values) {
                Some(code) => self.write(&format!("{tag} NO [{code}] That annotation is not taken\r\n")),
                None => self.ask(Request::SetMetadata { mailbox, values }, plain(tag, "Set")),
            },
            // spec: rfc4978#3
            Command::Compress { .. } if self.compressed => self.write(&format!("{tag} NO [COMPRESSIONACTIVE] The connection is compressed already\r\n")),
            Command::Compress { mechanism } if mechanism != "DEFLATE" => self.write(&format!("{tag} NO Use COMPRESS DEFLATE\r\n")),
            Command::Compress { .. } => self.ask(Request::Compress, Pending::Compress { tag }),
            Command::Notify(asked) => self.notify(tag, asked),
            Command::Unauthenticate => self.ask(Request::Unauthenticate, Pending::Unauthenticate { tag }),
            Command::Idle => {
                self.write("+ idling\r\n");
                self.expecting = Expecting::Done { tag };
            }
            _ => self.write(&format!("{tag} BAD Not possible now\r\n")),
        }
    }

    fn on_selected(&mut self, tag: String, command: Command) {
        let State::Selected(view) = &self.state else { return self.write(&format!("{tag} BAD Select a mailbox first\r\n")) };
        let read_only = view.read_only;
        match command {
            Command::Check => self.done(&tag, "Done", true),
            Command::Close if !read_only => self.ask(Request::Expunge { uids: None }, Pending::Expunge { tag, closes: true }),
            Command::Close | Command::Unselect => self.ask(Request::Close, Pending::Leave { tag, text: "Closed".to_owned() }),
            Command::Search { told, key, uid } => search::start(self, tag, search::Then::Tell(told), key, uid),
            Command::Sort { told, criteria, key, uid } => search::start(self, tag, search::Then::Sort(told, criteria), key, uid),
            Command::Thread { by, key, uid } => search::start(self, tag, search::Then::Thread(by), key, uid),
            Command::Fetch { vanished: true, .. } if !self.manner.qresync => self.write(&format!("{tag} BAD Say ENABLE QRESYNC first\r\n")),
            Command::Fetch { set, items, since: Some(since), vanished: true, partial, .. } => {
                let known = view.known(&set);
                let uids = view.select(&set, true).unwrap_or_default();
                fetch::start_since(self, fetch::Wish { tag: Some(tag), uids, items, partial, uid: true, closing: None }, since, Some(known));
            }
            Command::Fetch { set, items, since, partial, uid, .. } => {
                if let Some((tag, uids)) = self.select(tag, &set, uid, true) {
                    let wish = fetch::Wish { tag: Some(tag), uids, items, partial, uid, closing: None };
                    match since {
                        Some(since) => fetch::start_since(self, wish, since, None),
                        None => fetch::start(self, wish),
                    }
                }
            }
            Command::Copy { set, to, uid } => {
                if let Some((tag, uids)) = self.select(tag, &set, uid, false) {
                    self.ask(Request::Copy { uids, to }, Pending::Copy { tag, moves: false });
                }
            }
            _ if read_only => self.write(&format!("{tag} NO [READ-ONLY] The mailbox is open for reading only\r\n")),
            Command::Store { set, op, silent, flags, unchanged_since, uid } => {
                if let Some((tag, uids)) = self.select(tag, &set, uid, true) {
                    self.ask(Request::Store { uids, op, flags: flags.clone(), unchanged_since }, Pending::Store { tag, op, flags, silent, uid });
                }
            }
            Command::Move { set, to, uid } => {
                if let Some((tag, uids)) = self.select(tag, &set, uid, false) {
                    self.ask(Request::Move { uids, to }, Pending::Copy { tag, moves: true });
                }
            }
            Command::Replace { set, mailbox, message, uid } => {
                // What the client brings would be lost behind an OK. spec: rfc8508#3.5
                if let State::Selected(view) = &self.state && view.select(&set, uid).is_some_and(|uids| uids.is_empty()) {
                    return self.write(&format!("{tag} NO [NONEXISTENT] The message is gone, and nothing was taken; APPEND it\r\n"));
                }
                let Some((tag, uids)) = self.select(tag, &set, uid, false) else { return };
                let [uid] = uids.as_slice() else { return self.write(&format!("{tag} BAD One message is replaced, not several\r\n")) };
                if let Some(tag) = self.takes(tag, std::slice::from_ref(&message)) {
                    self.ask(Request::Replace { uid: *uid, mailbox, message }, Pending::Replace { tag, uid: *uid });
                }
            }
            Command::Expunge { uids: None } => self.ask(Request::Expunge { uids: None }, Pending::Expunge { tag, closes: false }),
            Command::Expunge { uids: Some(set) } => {
                if let Some((tag, uids)) = self.select(tag, &set, true, false) {
                    self.ask(Request::Expunge { uids: Some(uids) }, Pending::Expunge { tag, closes: false });
                }
            }
            _ => self.write(&format!("{tag} BAD Not possible now\r\n")),
        }
    }

    /// Whether messages that a client brings can be taken; answers by itself when not.
    fn takes(&mut self, tag: String, messages: &[NewMessage]) -> Option<String> {
        // spec: rfc3501#9 no literal holds a NUL, so such a message could never be read
        if messages.iter().any(|message| message.bytes.contains(&0)) {
            self.write(&format!("{tag} NO [UNKNOWN-CTE] The message has a NUL octet; encode it\r\n"));
        // spec: rfc9755#4
        } else if !self.manner.utf8 && messages.iter().any(|message| message.utf8) {
            self.write(&format!("{tag} BAD Say ENABLE UTF8=ACCEPT first\r\n"));
        // spec: rfc3502#3 an empty one takes the others back
        } else if messages.len() > 1 && messages.iter().any(|message| message.bytes.is_empty()) {
            self.write(&format!("{tag} NO [CANNOT] Taken back by an empty message\r\n"));
        } else {
            return Some(tag);
        }
        None
    }

    /// The uids of a set; answers by itself when there are none.
    fn select(&mut self, tag: String, set: &SequenceSet, uid: bool, keeps_numbers: bool) -> Option<(String, Vec<u32>)> {
        let State::Selected(view) = &self.state else { return None };
        match view.select(set, uid) {
            Some(uids) if uids.is_empty() => self.done(&tag, "No such messages", uid || !keeps_numbers),
            Some(uids) => return Some((tag, uids)),
            None => self.write(&format!("{tag} BAD No message has that sequence number\r\n")),
        }
        None
    }
}

/// Whether a command calls messages by their numbers, or would be answered by them. spec: rfc9586#3
fn uses_numbers(command: &Command) -> bool {
    match command {
        Command::Fetch { uid, .. } | Command::Store { uid, .. } | Command::Copy { uid, .. } | Command::Move { uid, .. } | Command::Replace { uid, .. } => !uid,
        Command::Search { key, uid, .. } | Command::Sort { key, uid, .. } | Command::Thread { key, uid, .. } => !uid || key.is_of_numbers(),
        _ => false,
    }
}
