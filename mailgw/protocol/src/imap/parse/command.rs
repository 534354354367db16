//! The commands, each with its arguments understood.

use super::cursor::Cursor;
use super::fetch::{self, Item};
use super::listing::{list, status_item};
use super::mailbox;
use super::message::{append, new_message, store};
use super::metadata;
use super::notify::{self, Notify};
use super::search::{self, Key, Return};
use super::sort::{self, Criterion, Threading};
use super::sequence::{Partial, Ranges, SequenceSet};
use super::{ParseError, Parsed};
use crate::imap::exchange::{Flags, MailboxName, NewMessage, Secret, SpecialUse, StoreOp};
use crate::imap::framing::{Frame, tag_of};

/// The most uses that CREATE names.
const MAX_USES: usize = 16;

/// A command, without its tag. Commands that exist with and without UID carry which it was.
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Login { user: String, password: Secret },
    /// `initial`: the response that came along, decoded.
    Authenticate { mechanism: String, initial: Option<Secret> },
    Enable(Enable),
    Namespace,
    List(ListOptions),
    /// `patterns` holds one.
    Lsub(ListOptions),
    Select { mailbox: MailboxName, read_only: bool, condstore: bool, resync: Option<Resync> },
    /// `uses`: what it is to be for, where that was said; of what is not known here, none. spec: rfc6154#3
    Create { mailbox: MailboxName, uses: Option<Vec<Option<SpecialUse>>> },
    Delete(MailboxName),
    Rename { from: MailboxName, to: MailboxName },
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    Status { mailbox: MailboxName, items: Vec<StatusItem> },
    /// The root is the one all mailboxes of an account have. spec: rfc9208#4.1
    GetQuota { root: String },
    GetQuotaRoot(MailboxName),
    SetQuota,
    /// `messages` is not empty. spec: rfc3502#3
    Append { mailbox: MailboxName, messages: Vec<NewMessage> },
    /// spec: rfc8508#3
    Replace { set: SequenceSet, mailbox: MailboxName, message: NewMessage, uid: bool },
    Compress { mechanism: String },
    Unauthenticate,
    /// Of the account as a whole where there is no mailbox. spec: rfc5464#4.2
    GetMetadata { mailbox: Option<MailboxName>, entries: Vec<String>, depth: Depth, max_size: Option<u32> },
    /// spec: rfc5464#4.3
    SetMetadata { mailbox: Option<MailboxName>, values: Vec<(String, Option<Vec<u8>>)> },
    /// spec: rfc5465#3.1
    Notify(Notify),
    Check,
    Close,
    Unselect,
    Expunge { uids: Option<SequenceSet> },
    Search { told: Option<Return>, key: Key, uid: bool },
    Sort { told: Option<Return>, criteria: Vec<Criterion>, key: Key, uid: bool },
    Thread { by: Threading, key: Key, uid: bool },
    /// `since`: only those of a higher MODSEQ; with `vanished`, what was removed since is told, too. `partial`: of these, some.
    Fetch { set: SequenceSet, items: Vec<Item>, since: Option<u64>, vanished: bool, partial: Option<Partial>, uid: bool },
    Store { set: SequenceSet, op: StoreOp, silent: bool, flags: Flags, unchanged_since: Option<u64>, uid: bool },
    Copy { set: SequenceSet, to: MailboxName, uid: bool },
    Move { set: SequenceSet, to: MailboxName, uid: bool },
    Idle,
}

/// What ENABLE names, as far as it is known here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Enable {
    pub condstore: bool,
    pub qresync: bool,
    pub rev2: bool,
    pub utf8: bool,
    pub uid_only: bool,
}

/// How far below the entries asked for others are told. spec: rfc5464#4.2.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    None,
    One,
    All,
}

/// What a client knows of the mailbox it opens again. spec: rfc7162#3.2.5
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    pub uid_validity: u32,
    pub modseq: u64,
    /// The uids it knows; all when it does not say.
    pub known: Option<Ranges>,
}

/// LIST and LSUB. Names are in Unicode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    pub reference: String,
    pub patterns: Vec<String>,
    pub only_subscribed: bool,
    pub only_special_use: bool,
    /// Also what does not fit but has something below it that does. spec: rfc5258#3.5
    pub recursive_match: bool,
    pub return_subscribed: bool,
    /// A STATUS of each one told. spec: rfc5819#2
    pub return_status: Vec<StatusItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
    /// spec: rfc8474#4
    MailboxId,
    /// spec: rfc9208#4.1.5 rfc7889#3
    DeletedStorage,
    AppendLimit,
}

/// A command with its tag; the tag of a bad one too, so that it can be refused by name.
pub(crate) fn parse(frame: Frame, utf8: bool) -> (Option<String>, Parsed<Command>) {
    let Some(tag) = tag_of(&frame.text) else { return (None, Err(ParseError::Tag)) };
    let mut cursor = Cursor::in_utf8(frame, utf8);
    cursor.take_while(|b| !matches!(b, b' ' | b'\r' | b'\n'));
    let command = cursor.space().and_then(|()| command(&mut cursor)).and_then(|command| cursor.end().map(|()| command));
    (Some(tag), command)
}

fn command(cursor: &mut Cursor) -> Parsed<Command> {
    let word = cursor.word()?;
    Ok(match word.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "NAMESPACE" => Command::Namespace,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge { uids: None },
        "IDLE" => Command::Idle,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        _ => {
            cursor.space().map_err(|error| if known(&word) { error } else { ParseError::UnknownCommand })?;
            with_arguments(&word, cursor)?
        }
    })
}

fn known(word: &str) -> bool {
    const WORDS: [&str; 31] = [
        "ID", "LOGIN", "AUTHENTICATE", "ENABLE", "LIST", "LSUB", "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE",
        "UNSUBSCRIBE", "STATUS", "APPEND", "SEARCH", "FETCH", "STORE", "COPY", "UID",
        "MOVE", "SORT", "THREAD", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "REPLACE", "COMPRESS", "GETMETADATA", "SETMETADATA", "NOTIFY",
    ];
    WORDS.contains(&word)
}

fn with_arguments(word: &str, cursor: &mut Cursor) -> Parsed<Command> {
    Ok(match word {
        "ID" => id(cursor)?,
        "LOGIN" => {
            let user = utf8(cursor.astring()?)?;
            cursor.space()?;
            Command::Login { user, password: Secret::new(utf8(cursor.astring()?)?) }
        }
        "AUTHENTICATE" => authenticate(cursor)?,
        "ENABLE" => Command::Enable(enable(cursor)?),
        "LIST" => Command::List(list(cursor)?),
        "LSUB" => {
            let reference = cursor.astring()?;
            let reference = pattern(cursor, &reference)?;
            cursor.space()?;
            Command::Lsub(ListOptions { reference, patterns: vec![listed(cursor)?], only_subscribed: true, ..ListOptions::default() })
        }
        "SELECT" | "EXAMINE" => {
            let mailbox = name(cursor)?;
            let (condstore, resync) = select_options(cursor)?;
            Command::Select { mailbox, read_only: word == "EXAMINE", condstore, resync }
        }
        "CREATE" => {
            let mailbox = new_name(cursor)?;
            Command::Create { mailbox, uses: create_uses(cursor)? }
        }
        "DELETE" => Command::Delete(name(cursor)?),
        "RENAME" => {
            let from = name(cursor)?;
            cursor.space()?;
            Command::Rename { from, to: new_name(cursor)? }
        }
        "SUBSCRIBE" => Command::Subscribe(name(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(name(cursor)?),
        "STATUS" => {
            let mailbox = name(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: cursor.list(16, status_item)? }
        }
        "APPEND" => append(cursor)?,
        "COMPRESS" => Command::Compress { mechanism: cursor.word()? },
        "GETMETADATA" => metadata::get(cursor)?,
        "SETMETADATA" => metadata::set(cursor)?,
        "NOTIFY" => notify::notify(cursor)?,
        "GETQUOTA" => Command::GetQuota { root: utf8(cursor.astring()?)? },
        "GETQUOTAROOT" => Command::GetQuotaRoot(name(cursor)?),
        "SETQUOTA" => {
            cursor.astring()?;
            cursor.space()?;
            cursor.expect(b'(', "`(`")?;
            cursor.take_while(|b| b != b')' && b != b'\r');
            cursor.expect(b')', "`)`")?;
            Command::SetQuota
        }
        "UID" => {
            let word = cursor.word()?;
            cursor.space()?;
            match word.as_str() {
                "EXPUNGE" => Command::Expunge { uids: Some(SequenceSet::parse(cursor)?) },
                _ => on_messages(&word, cursor, true)?,
            }
        }
        _ => on_messages(word, cursor, false)?,
    })
}

fn on_messages(word: &str, cursor: &mut Cursor, uid: bool) -> Parsed<Command> {
    if word == "SEARCH" {
        let (told, key) = search::search(cursor)?;
        return Ok(Command::Search { told, key, uid });
    }
    if word == "SORT" {
        let (told, criteria, key) = sort::sort(cursor)?;
        return Ok(Command::Sort { told, criteria, key, uid });
    }
    if word == "THREAD" {
        let (by, key) = sort::thread(cursor)?;
        return Ok(Command::Thread { by, key, uid });
    }
    if !matches!(word, "FETCH" | "STORE" | "COPY" | "MOVE" | "REPLACE") {
        return Err(ParseError::UnknownCommand);
    }
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    Ok(match word {
        "FETCH" => {
            let mut items = fetch::items(cursor)?;
            let Modifiers { since, vanished, partial } = fetch_modifiers(cursor, uid)?;
            // spec: rfc7162#3.1.4.1 who asks so is told the MODSEQ
            if since.is_some() && !items.contains(&Item::ModSeq) {
                items.push(Item::ModSeq);
            }
            Command::Fetch { set, items, since, vanished, partial, uid }
        }
        "REPLACE" => {
            let mailbox = name(cursor)?;
            cursor.space()?;
            Command::Replace { set, mailbox, message: new_message(cursor)?, uid }
        }
        "STORE" => store(set, cursor, uid)?,
        "COPY" => Command::Copy { set, to: name(cursor)?, uid },
        _ => Command::Move { set, to: name(cursor)?, uid },
    })
}

// spec: rfc5161#3.1 what is not known is passed over
fn enable(cursor: &mut Cursor) -> Parsed<Enable> {
    let mut named = Enable::default();
    loop {
        match cursor.word()?.as_str() {
            "CONDSTORE" => named.condstore = true,
            "QRESYNC" => named.qresync = true,
            "IMAP4REV2" => named.rev2 = true,
            "UTF8=ACCEPT" => named.utf8 = true,
            "UIDONLY" => named.uid_only = true,
            _ => {}
        }
        if !cursor.eat(b' ') {
            return Ok(named);
        }
    }
}

/// ` (USE (\Sent …))` after the name; the inner list may be empty. spec: rfc6154#6
fn create_uses(cursor: &mut Cursor) -> Parsed<Option<Vec<Option<SpecialUse>>>> {
    if !cursor.eat(b' ') {
        return Ok(None);
    }
    cursor.expect(b'(', "`(`")?;
    if !cursor.eat_word("USE") {
        return Err(ParseError::Expected("USE"));
    }
    cursor.space()?;
    let mut uses = Vec::new();
    cursor.expect(b'(', "`(`")?;
    while !cursor.eat(b')') {
        if !uses.is_empty() {
            cursor.space()?;
        }
        if uses.len() >= MAX_USES {
            return Err(ParseError::TooMany);
        }
        cursor.expect(b'\\', "a use, such as \\Sent")?;
        let name = cursor.word()?;
        uses.push(SpecialUse::named(&name));
    }
    cursor.expect(b')', "`)`")?;
    Ok(Some(uses))
}

/// `(CONDSTORE)` or `(QRESYNC (…))` after the name; some clients say both at once. spec: rfc7162#3.1.8 rfc7162#3.2.5
fn select_options(cursor: &mut Cursor) -> Parsed<(bool, Option<Resync>)> {
    let (mut condstore, mut resync) = (false, None);
    if !cursor.eat(b' ') {
        return Ok((condstore, resync));
    }
    let option = |cursor: &mut Cursor| {
        if cursor.eat_word("CONDSTORE") {
            condstore = true;
            return Ok(());
        }
        if !cursor.eat_word("QRESYNC") || resync.is_some() {
            return Err(ParseError::Expected("CONDSTORE or QRESYNC"));
        }
        cursor.space()?;
        resync = Some(known_state(cursor)?);
        Ok(())
    };
    cursor.list(2, option)?;
    Ok((condstore, resync))
}

/// `(uidvalidity modseq [uids] [(numbers uids)])`. The last pair serves servers that keep no tombstones.
fn known_state(cursor: &mut Cursor) -> Parsed<Resync> {
    cursor.expect(b'(', "`(`")?;
    let uid_validity = cursor.nz_number()?.get();
    cursor.space()?;
    let modseq = cursor.mod_sequence()?;
    let mut known = None;
    if cursor.peek() == Some(b' ') {
        cursor.space()?;
        if cursor.peek() != Some(b'(') {
            known = Some(Ranges::parse(cursor)?);
        }
        let more = known.is_none() || cursor.eat(b' ');
        if more {
            cursor.expect(b'(', "`(`")?;
            Ranges::parse(cursor)?;
            cursor.space()?;
            Ranges::parse(cursor)?;
            cursor.expect(b')', "`)`")?;
        }
    }
    cursor.expect(b')', "`)`")?;
    Ok(Resync { uid_validity, modseq, known })
}

#[derive(Default)]
struct Modifiers {
    since: Option<u64>,
    vanished: bool,
    partial: Option<Partial>,
}

/// `(CHANGEDSINCE n [VANISHED])`, `(PARTIAL 1:9)` after the items. spec: rfc7162#3.1.4.1 rfc7162#3.2.6 rfc9394#3.3
fn fetch_modifiers(cursor: &mut Cursor, uid: bool) -> Parsed<Modifiers> {
    let mut all = Modifiers::default();
    if !cursor.eat(b' ') {
        return Ok(all);
    }
    let modifier = |cursor: &mut Cursor| {
        if cursor.eat_word("VANISHED") {
            all.vanished = true;
            return Ok(());
        }
        if cursor.eat_word("PARTIAL") {
            cursor.space()?;
            all.partial = Some(Partial::parse(cursor)?);
            return Ok(());
        }
        if !cursor.eat_word("CHANGEDSINCE") {
            return Err(ParseError::Expected("CHANGEDSINCE, VANISHED or PARTIAL"));
        }
        cursor.space()?;
        all.since = Some(cursor.mod_sequence()?);
        Ok(())
    };
    cursor.list(3, modifier)?;
    if all.vanished && (all.since.is_none() || !uid) {
        return Err(ParseError::Expected("UID FETCH with CHANGEDSINCE beside VANISHED"));
    }
    Ok(all)
}

/// spec: rfc2971#3.1 `NIL` or up to 30 pairs; read and not kept
fn id(cursor: &mut Cursor) -> Parsed<Command> {
    if !cursor.eat_word("NIL") {
        cursor.list(60, |cursor| if cursor.eat_word("NIL") { Ok(()) } else { cursor.string().map(drop) })?;
    }
    Ok(Command::Id)
}

/// spec: rfc3501#6.2.2 · rfc4959#3 an initial response, `=` when it is empty
fn authenticate(cursor: &mut Cursor) -> Parsed<Command> {
    let mechanism = cursor.word()?;
    if cursor.at_end() {
        return Ok(Command::Authenticate { mechanism, initial: None });
    }
    cursor.space()?;
    let text = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    let initial = if text == "=" { Some(Secret::new(String::new())) } else { crate::sasl::response(text.as_bytes()) };
    match initial {
        Some(initial) => Ok(Command::Authenticate { mechanism, initial: Some(initial) }),
        None => Err(ParseError::Expected("base64 of UTF-8")),
    }
}

pub(super) fn name(cursor: &mut Cursor) -> Parsed<MailboxName> {
    mailbox::name(&cursor.astring()?, cursor.utf8)
}

/// spec: rfc3501#6.3.3 a trailing delimiter says that children will follow; it is not part of the name
fn new_name(cursor: &mut Cursor) -> Parsed<MailboxName> {
    let text = cursor.astring()?;
    mailbox::name(text.strip_suffix(b"/").unwrap_or(&text), cursor.utf8)
}

pub(super) fn listed(cursor: &mut Cursor) -> Parsed<String> {
    let text = cursor.list_mailbox()?;
    pattern(cursor, &text)
}

pub(super) fn pattern(cursor: &Cursor, text: &[u8]) -> Parsed<String> {
    mailbox::text(text, cursor.utf8).filter(|text| text.chars().count() <= mailbox::MAX_NAME).ok_or(ParseError::Mailbox)
}

fn utf8(text: Vec<u8>) -> Parsed<String> {
    String::from_utf8(text).map_err(|_| ParseError::Expected("text in UTF-8"))
}
