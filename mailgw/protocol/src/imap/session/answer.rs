//! What the server answered, told to the client.
use std::collections::VecDeque;

use super::dispatch::QUOTA_ROOT;
use super::view::{Manner, View};
use super::{Pending, Session, State, fetch, list, metadata, search};
use crate::imap::content::write_quoted;
use crate::imap::exchange::{Answer, Flags, MailboxName, MessageInfo, Output, Request, StoreOp};
use crate::imap::extension::Extension;
use crate::imap::parse::command::Resync;
use crate::imap::parse::{Item, StatusItem};
use crate::sasl::{self, Asked};
use crate::imap::parse::mailbox;
use crate::imap::parse::sequence::write_set;
use crate::imap::syntax::is_astring_char;

impl Session {
    pub(super) fn answered(&mut self, pending: Pending, answer: Answer) {
        match (pending, answer) {
            (Pending::Login { tag, asked: Asked::Verdict }, Answer::LoggedIn { off }) => self.logged_in(&tag, off),
            (Pending::Login { tag, asked: Asked::Verdict }, Answer::Proved { off, signature }) => {
                self.proved = Some(off);
                self.step(tag, sasl::proved(&signature));
            }
            (Pending::Login { tag, asked: Asked::Salt(first) }, Answer::Salted(salted)) => self.step(tag, first.salted(&salted)),
            (Pending::Login { tag, asked: Asked::Verdict }, Answer::NoToken(told)) => self.step(tag, sasl::no_token(&told)),
            (Pending::Login { tag, .. }, Answer::Refused { code, text }) => {
                self.refuse(&tag, code.name(), &text);
                if code == crate::imap::exchange::RefusalCode::AuthenticationFailed {
                    self.count_failure();
                }
            }
            (Pending::Fetch(job), answer) => fetch::resume(self, job, answer),
            (Pending::Search(job), answer) => search::resume(self, job, answer),
            (Pending::Reopen { tag, mailbox, read_only, resync }, Answer::Done) => {
                self.ask(Request::Open { mailbox: mailbox.clone(), read_only }, Pending::Open { tag, mailbox, read_only, resync });
            }
            (Pending::Open { tag, mailbox, read_only, resync }, Answer::Opened { uid_validity, uid_next, highest_modseq, id, messages }) => {
                let mut view = View::new(read_only, uid_next, highest_modseq, messages, self.manner);
                (view.id, view.uid_validity, view.interest) = (id, uid_validity, self.interest());
                self.opened(&mailbox, uid_next, view);
                let access = if read_only { "[READ-ONLY] Opened" } else { "[READ-WRITE] Opened" };
                // spec: rfc7162#3.2.5.1 what it knows of another UIDVALIDITY is worth nothing
                match resync.filter(|known| known.uid_validity == uid_validity) {
                    Some(known) => self.resync(tag, access, &known),
                    None => self.write(&format!("{tag} OK {access}\r\n")),
                }
            }
            (Pending::List { tag, options, word }, Answer::Mailboxes(all)) => {
                let told = list::write(&options, &all, word, self.manner.utf8, &mut self.send);
                self.list_status(tag, told.into(), options.return_status);
            }
            (Pending::ListStatus { tag, mut left, items }, Answer::Status(status)) => {
                if let Some(mailbox) = left.pop_front() {
                    let text = list::status(&mailbox, &items, &status, self.settings.append_limit, self.manner.utf8);
                    self.write(&text);
                }
                self.list_status(tag, left, items);
            }
            // One that went meanwhile is not told of.
            (Pending::ListStatus { tag, mut left, items }, Answer::Refused { .. }) => {
                left.pop_front();
                self.list_status(tag, left, items);
            }
            (Pending::Quota { tag, mailbox }, Answer::Quota(quota)) => {
                if let Some(mailbox) = mailbox {
                    self.write(&format!("* QUOTAROOT {} {QUOTA_ROOT}\r\n", quoted_name(&mailbox, self.manner.utf8)));
                }
                self.write(&list::quota(&quota));
                self.done(&tag, "Done", true);
            }
            (Pending::Status { tag, mailbox, items }, Answer::Status(status)) => {
                let text = list::status(&mailbox, &items, &status, self.settings.append_limit, self.manner.utf8);
                self.write(&text);
                self.done(&tag, "Done", true);
            }
            (Pending::Store { tag, op, flags, silent, uid }, Answer::Stored { after, modified }) => {
                let code = self.stored(op, &flags, silent, uid, &after, &modified);
                self.done(&tag, &format!("{code}Stored"), uid);
            }
            (Pending::Append { tag }, Answer::Appended { uid_validity, uids }) => {
                let code = appended(uid_validity, &uids);
                self.brought(uid_validity, &uids);
                self.done(&tag, &format!("{code} Appended"), true);
            }
            // spec: rfc8508#3.2 the new one is told before the old one goes
            (Pending::Replace { tag, uid }, Answer::Appended { uid_validity, uids }) => {
                let code = appended(uid_validity, &uids);
                self.brought(uid_validity, &uids);
                self.write(&format!("* OK {code} Replaced\r\n"));
                if let State::Selected(view) = &mut self.state {
                    view.remove_own(uid);
                }
                let code = self.highest_heard(&[uid]);
                self.done(&tag, &format!("{code}Replaced"), true);
            }
            (Pending::Metadata { tag, mailbox, wish }, Answer::Metadata(all)) => {
                let name = mailbox.map_or_else(|| "\"\"".to_owned(), |mailbox| quoted_name(&mailbox, self.manner.utf8));
                let longest = metadata::write(&name, &wish, &all, &mut self.send);
                let code = longest.map(|octets| format!("[METADATA LONGENTRIES {octets}] ")).unwrap_or_default();
                self.done(&tag, &format!("{code}Done"), true);
            }
            (Pending::Compress { tag }, Answer::Done) => {
                self.write(&format!("{tag} OK DEFLATE from here on\r\n"));
                self.flush();
                self.framer.clear();
                self.compressed = true;
                self.out.push(Output::Compress);
            }
            // spec: rfc8437#3 what was enabled is so no more; TLS and compression stay
            (Pending::Unauthenticate { tag }, Answer::Done) => {
                (self.state, self.manner, self.settings.off, self.notify) = (State::NotAuthenticated, Manner::default(), self.off, None);
                self.set_limits();
                self.write(&format!("{tag} OK Logged out; log in again\r\n"));
            }
            (Pending::Copy { tag, moves }, Answer::Copied { uid_validity, from, to }) => self.copied(&tag, moves, uid_validity, &from, &to),
            (Pending::Expunge { tag, closes: false }, Answer::Expunged(uids)) => {
                if let State::Selected(view) = &mut self.state {
                    uids.iter().for_each(|uid| view.remove_own(*uid));
                }
                let code = self.highest_heard(&uids);
                self.done(&tag, &format!("{code}Expunged"), true);
            }
            (Pending::Expunge { tag, closes: true }, Answer::Expunged(uids)) => {
                let text = format!("{}Closed", self.highest_heard(&uids));
                self.ask(Request::Close, Pending::Leave { tag, text });
            }
            (Pending::Leave { tag, text }, Answer::Done) => {
                self.state = State::Authenticated;
                self.write(&format!("{tag} OK {text}\r\n"));
            }
            // spec: rfc8474#4.1
            (Pending::Create { tag }, Answer::Created { id }) => {
                self.did_own();
                let code = if self.settings.off.has(Extension::ObjectId) { String::new() } else { format!("[MAILBOXID (F{id})] ") };
                self.done(&tag, &format!("{code}Created"), true);
            }
            (Pending::Plain { tag, word }, Answer::Done) => {
                self.did_own();
                self.done(&tag, word, true);
            }
            (Pending::Watch { tag, asked, status }, Answer::Mailboxes(all)) => self.registered(tag, asked, all, status),
            (Pending::Watch { tag, asked, status }, Answer::Done) => self.registered(tag, asked, Vec::new(), status),
            (Pending::WatchStatus { tag, mut left }, answer @ (Answer::Status(_) | Answer::Refused { .. })) => {
                // One that went meanwhile is not told of.
                if let (Some((mailbox, items)), Answer::Status(status)) = (left.pop_front(), answer) {
                    let text = list::status(&mailbox, &items, &status, self.settings.append_limit, self.manner.utf8);
                    self.write(&text);
                }
                self.statuses(tag, left);
            }
            (Pending::Notice(notice), answer) => self.noticed(notice, answer),
            (pending, Answer::Refused { code, text }) => {
                let (tag, keeps_numbers) = pending.tag();
                if let State::Selected(view) = &mut self.state {
                    view.tell(!keeps_numbers, &mut self.send);
                }
                self.refuse(&tag, code.name(), &text);
            }
            _ => self.bye("The server lost step; connect again"),
        }
    }

    // spec: rfc5819#2
    fn list_status(&mut self, tag: String, left: VecDeque<MailboxName>, items: Vec<StatusItem>) {
        match left.front().filter(|_| !items.is_empty()) {
            Some(mailbox) => self.ask(Request::Status { mailbox: mailbox.clone() }, Pending::ListStatus { tag, left, items }),
            None => self.done(&tag, "Done", true),
        }
    }

    /// Takes in what STORE did; the response code that names those it left alone.
    fn stored(&mut self, op: StoreOp, flags: &Flags, silent: bool, uid: bool, after: &[MessageInfo], modified: &[u32]) -> String {
        let State::Selected(view) = &mut self.state else { return String::new() };
        for info in after {
            // spec: rfc3501#6.4.6 even a silent STORE tells what others changed
            let expected = view.find(info.uid).is_some_and(|(_, known)| known.flags.after(op, flags) == info.flags);
            view.learn(info);
            // spec: rfc7162#3.1.3 and who counts by MODSEQ is told the new one
            if !silent || !expected || view.manner.condstore {
                view.restate_own(info.uid);
            }
        }
        let number = |uid: &u32| view.find(*uid).and_then(|(number, _)| u32::try_from(number).ok());
        let left: Vec<u32> = if uid { modified.to_vec() } else { modified.iter().filter_map(number).collect() };
        if left.is_empty() {
            return String::new();
        }
        let mut code = b"[MODIFIED ".to_vec();
        write_set(&left, &mut code);
        String::from_utf8(code).unwrap_or_default() + "] "
    }

    /// `text` comes from the server around us: kept to one line of ASCII.
    pub(super) fn refuse(&mut self, tag: &str, code: &str, text: &str) {
        let text: String = text.chars().map(|ch| if matches!(ch, ' '..='~') { ch } else { '?' }).take(200).collect();
        let text = if text.is_empty() { "Refused" } else { text.as_str() };
        self.write(&format!("{tag} NO [{code}] {text}\r\n"));
    }

    /// The response code of a removal for who counts by it. All that was changed up to it is told before.
    // spec: rfc7162#3.2.7 rfc7162#3.2.8
    fn highest_heard(&self, removed: &[u32]) -> String {
        match &self.state {
            State::Selected(view) if view.manner.qresync && view.interest.is_of_all() && !removed.is_empty() => format!("[HIGHESTMODSEQ {}] ", view.heard),
            _ => String::new(),
        }
    }

    /// spec: rfc3501#6.3.1
    fn opened(&mut self, mailbox: &MailboxName, uid_next: u32, view: View) {
        const SYSTEM: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
        let permanent = if view.read_only { String::new() } else { format!("{SYSTEM} \\*") };
        let rev2 = self.manner.rev2;
        let (uid_validity, highest_modseq, id) = (view.uid_validity, view.heard, view.id);
        // spec: rfc9051#6.3.2 no RECENT, no UNSEEN, and the mailbox by its name
        let recent = if rev2 { "" } else { "* 0 RECENT\r\n" };
        self.write(&format!("* {} EXISTS\r\n{recent}* FLAGS ({SYSTEM})\r\n", view.count()));
        self.write(&format!("* OK [PERMANENTFLAGS ({permanent})] Flags that last\r\n"));
        if !rev2
            && !self.manner.uid_only
            && let Some(first) = view.messages.first_unseen()
        {
            self.write(&format!("* OK [UNSEEN {}] First unseen\r\n", first + 1));
        }
        self.write(&format!("* OK [UIDVALIDITY {uid_validity}] Valid\r\n* OK [UIDNEXT {uid_next}] Next\r\n"));
        // spec: rfc7162#3.1.2.1
        self.write(&format!("* OK [HIGHESTMODSEQ {highest_modseq}] Highest\r\n"));
        // spec: rfc8474#4.2
        if !self.settings.off.has(Extension::ObjectId) {
            self.write(&format!("* OK [MAILBOXID (F{id})] Ever the same\r\n"));
        }
        if rev2 {
            self.write(&format!("* LIST () \"/\" {}\r\n", quoted_name(mailbox, self.manner.utf8)));
        }
        self.state = State::Selected(view);
    }

    /// Tells what changed since the client was here last, and that the mailbox is open.
    // spec: rfc7162#3.2.5
    fn resync(&mut self, tag: String, access: &'static str, known: &Resync) {
        let State::Selected(view) = &self.state else { return };
        let ranges = known.known.as_ref().map_or_else(|| vec![(1, u32::MAX)], |known| known.ranges(u32::MAX));
        let uids: Vec<u32> = view.messages.iter().map(|message| message.uid).collect();
        let among = |uid: &u32| ranges.get(ranges.partition_point(|(_, last)| last < uid)).is_some_and(|(first, _)| first <= uid);
        // New messages are news however small the set of known ones is.
        let top = ranges.last().map_or(0, |(_, last)| *last);
        let uids = uids.into_iter().filter(|uid| among(uid) || *uid > top).collect();
        let wish = fetch::Wish { tag: Some(tag), uids, items: vec![Item::Uid, Item::Flags, Item::ModSeq], partial: None, uid: true, closing: Some(access) };
        fetch::start_since(self, wish, known.modseq, Some(ranges));
    }

    /// spec: rfc4315#3 COPYUID · rfc6851#4.3 in MOVE it comes before the EXPUNGEs
    fn copied(&mut self, tag: &str, moves: bool, uid_validity: u32, from: &[u32], to: &[u32]) {
        self.brought(uid_validity, to);
        let mut code = Vec::new();
        if !from.is_empty() {
            code.extend_from_slice(format!("[COPYUID {uid_validity} ").as_bytes());
            write_set(from, &mut code);
            code.push(b' ');
            write_set(to, &mut code);
            code.extend_from_slice(b"] ");
        }
        let code = String::from_utf8(code).unwrap_or_default();
        if !moves {
            return self.done(tag, &format!("{code}Copied"), true);
        }
        if !from.is_empty() {
            self.write(&format!("* OK {code}Moved\r\n"));
        }
        if let State::Selected(view) = &mut self.state {
            from.iter().for_each(|uid| view.remove_own(*uid));
        }
        self.done(tag, "Moved", true);
    }
}

impl Pending {
    /// The tag, and whether no EXPUNGE may be told with its answer.
    fn tag(self) -> (String, bool) {
        match self {
            Pending::Store { tag, uid, .. } => (tag, !uid),
            Pending::Fetch(job) => (job.tag.unwrap_or_default(), true),
            Pending::Notice(_) => (String::new(), true),
            Pending::Search(job) => (job.tag, true),
            Pending::Login { tag, .. }
            | Pending::Plain { tag, .. }
            | Pending::Create { tag }
            | Pending::List { tag, .. }
            | Pending::Open { tag, .. }
            | Pending::Reopen { tag, .. }
            | Pending::Status { tag, .. }
            | Pending::ListStatus { tag, .. }
            | Pending::Quota { tag, .. }
            | Pending::Append { tag }
            | Pending::Copy { tag, .. }
            | Pending::Replace { tag, .. }
            | Pending::Compress { tag }
            | Pending::Unauthenticate { tag }
            | Pending::Metadata { tag, .. }
            | Pending::Watch { tag, .. }
            | Pending::WatchStatus { tag, .. }
            | Pending::Expunge { tag, .. }
            | Pending::Leave { tag, .. } => (tag, false),
        }
    }
}

/// spec: rfc4315#3 rfc3502#4 in the order in which they were brought, which the uids have
fn appended(uid_validity: u32, uids: &[u32]) -> String {
    let mut code = format!("[APPENDUID {uid_validity} ").into_bytes();
    write_set(uids, &mut code);
    String::from_utf8(code).unwrap_or_default() + "]"
}

/// A mailbox name as a quoted string.
pub(super) fn quoted_name(name: &MailboxName, utf8: bool) -> String {
    let name = if utf8 { name.clone() } else { mailbox::encode(name) };
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The name of an annotation, quoted where it holds what an atom may not.
pub(super) fn write_entry(entry: &str, out: &mut Vec<u8>) {
    if entry.bytes().all(is_astring_char) { out.extend_from_slice(entry.as_bytes()) } else { write_quoted(entry, out) }
}

pub(super) fn status_word(item: StatusItem) -> &'static str {
    match item {
        StatusItem::Messages => "MESSAGES",
        StatusItem::Recent => "RECENT",
        StatusItem::UidNext => "UIDNEXT",
        StatusItem::UidValidity => "UIDVALIDITY",
        StatusItem::Unseen => "UNSEEN",
        StatusItem::Deleted => "DELETED",
        StatusItem::Size => "SIZE",
        StatusItem::HighestModSeq => "HIGHESTMODSEQ",
        StatusItem::MailboxId => "MAILBOXID",
        StatusItem::DeletedStorage => "DELETED-STORAGE",
        StatusItem::AppendLimit => "APPENDLIMIT",
    }
}
