//! NOTIFY: of which events in which mailboxes the client is told. spec: rfc5465#8
use super::command::Command;
use super::cursor::Cursor;
use super::fetch::{self, Item};
use super::mailbox;
use super::{ParseError, Parsed};
use crate::imap::exchange::MailboxName;

/// Groups of one command, names of one group, events of one group.
const MAX_GROUPS: usize = 64;
const MAX_NAMES: usize = 4_096;
const MAX_EVENTS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// Of nothing.
    None,
    /// `status`: mailboxes are told as they are now, too.
    Set { status: bool, groups: Vec<Group> },
}

/// Some mailboxes and what of them is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub mailboxes: Mailboxes,
    pub events: Events,
}

/// spec: rfc5465#6
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailboxes {
    /// The selected one. `delayed`: expunged messages only where a command allows it.
    Selected { delayed: bool },
    /// Where mail may be delivered to, which rules can make any of them.
    Personal,
    Subscribed,
    /// These and all below them.
    Subtree(Vec<MailboxName>),
    Named(Vec<MailboxName>),
}

/// spec: rfc5465#5
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// Messages come and go: one is not asked for without the other.
    pub messages: bool,
    /// What is told of a new message in the selected mailbox.
    pub items: Vec<Item>,
    pub flags: bool,
    pub names: bool,
    pub subscriptions: bool,
    pub annotations: bool,
    pub account_annotations: bool,
    /// Some that are not known here.
    pub unknown: bool,
}

impl Events {
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    fn are_of_messages_alone(&self) -> bool {
        !self.names && !self.subscriptions && !self.annotations && !self.account_annotations
    }
}

pub(super) fn notify(cursor: &mut Cursor) -> Parsed<Command> {
    if cursor.eat_word("NONE") {
        return Ok(Command::Notify(Notify::None));
    }
    if !cursor.eat_word("SET") {
        return Err(ParseError::Expected("SET or NONE"));
    }
    cursor.space()?;
    let status = cursor.eat_word("STATUS");
    if status {
        cursor.space()?;
    }
    let mut groups = vec![group(cursor)?];
    while cursor.eat(b' ') {
        if groups.len() >= MAX_GROUPS {
            return Err(ParseError::TooMany);
        }
        groups.push(group(cursor)?);
    }
    // spec: rfc5465#6.1
    if groups.iter().filter(|group| matches!(group.mailboxes, Mailboxes::Selected { .. })).count() > 1 {
        return Err(ParseError::Expected("SELECTED or SELECTED-DELAYED once"));
    }
    Ok(Command::Notify(Notify::Set { status, groups }))
}

fn group(cursor: &mut Cursor) -> Parsed<Group> {
    cursor.expect(b'(', "`(`")?;
    let mailboxes = match cursor.word()?.as_str() {
        "SELECTED" => Mailboxes::Selected { delayed: false },
        "SELECTED-DELAYED" => Mailboxes::Selected { delayed: true },
        // spec: rfc5465#6.3
        "INBOXES" | "PERSONAL" => Mailboxes::Personal,
        "SUBSCRIBED" => Mailboxes::Subscribed,
        "SUBTREE" => Mailboxes::Subtree(names(cursor)?),
        "MAILBOXES" => Mailboxes::Named(names(cursor)?),
        _ => return Err(ParseError::Expected("SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or MAILBOXES")),
    };
    cursor.space()?;
    let selected = matches!(mailboxes, Mailboxes::Selected { .. });
    let events = events(cursor, selected)?;
    cursor.expect(b')', "`)`")?;
    if selected && !events.are_of_messages_alone() {
        return Err(ParseError::Expected("events of messages alone for the selected mailbox"));
    }
    Ok(Group { mailboxes, events })
}

/// One or more. A name that no mailbox can have is passed over as one that none has. spec: rfc5465#3.1 rfc5465#6.6
fn names(cursor: &mut Cursor) -> Parsed<Vec<MailboxName>> {
    cursor.space()?;
    let name = |cursor: &mut Cursor| {
        let text = cursor.astring()?;
        mailbox::text(&text, cursor.utf8).ok_or(ParseError::Mailbox)?;
        Ok(mailbox::name(&text, cursor.utf8).ok())
    };
    let all = if cursor.peek() == Some(b'(') { cursor.list(MAX_NAMES, name)? } else { vec![name(cursor)?] };
    Ok(all.into_iter().flatten().collect())
}

/// `NONE` or a list. spec: rfc5465#5 what must be asked for together
fn events(cursor: &mut Cursor, selected: bool) -> Parsed<Events> {
    let mut all = Events::default();
    if cursor.eat_word("NONE") {
        return Ok(all);
    }
    let (mut new, mut gone, mut count) = (false, false, 0);
    cursor.expect(b'(', "NONE or `(`")?;
    loop {
        count += 1;
        if count > MAX_EVENTS {
            return Err(ParseError::TooMany);
        }
        let mut parted = false;
        match cursor.word()?.as_str() {
            "MESSAGENEW" => {
                new = true;
                // What follows the space is what to tell of the message, or the next event.
                parted = cursor.eat(b' ');
                if parted && cursor.peek() == Some(b'(') {
                    parted = false;
                    all.items = fetch::items(cursor)?;
                    if !selected {
                        return Err(ParseError::Expected("what to fetch for the selected mailbox alone"));
                    }
                }
            }
            "MESSAGEEXPUNGE" => gone = true,
            "FLAGCHANGE" => all.flags = true,
            "MAILBOXNAME" => all.names = true,
            "SUBSCRIPTIONCHANGE" => all.subscriptions = true,
            "MAILBOXMETADATACHANGE" => all.annotations = true,
            "SERVERMETADATACHANGE" => all.account_annotations = true,
            _ => all.unknown = true,
        }
        if parted {
            continue;
        }
        if cursor.eat(b')') {
            break;
        }
        cursor.expect(b' ', "one space or `)`")?;
    }
    if new != gone || (all.flags && !new) {
        return Err(ParseError::Expected("MessageNew and MessageExpunge together, and both beside FlagChange"));
    }
    all.messages = new;
    Ok(all)
}
