//! GETMETADATA and SETMETADATA. spec: rfc5464#4
use super::command::{Command, Depth, name};
use super::cursor::Cursor;
use super::{ParseError, Parsed};
use crate::imap::exchange::MailboxName;

/// Entries of one command.
const MAX_ENTRIES: usize = 64;
/// Octets of the name of an entry.
const MAX_NAME: usize = 256;

/// `[(options) SP] mailbox SP entries`; some clients write the options after the mailbox, as an early draft had them.
pub(super) fn get(cursor: &mut Cursor) -> Parsed<Command> {
    let (mut depth, mut max_size) = (Depth::None, None);
    let mut option = |cursor: &mut Cursor| {
        if cursor.eat_word("MAXSIZE") {
            cursor.space()?;
            max_size = Some(cursor.number()?);
            return Ok(());
        }
        if !cursor.eat_word("DEPTH") {
            return Err(ParseError::Expected("MAXSIZE or DEPTH"));
        }
        cursor.space()?;
        depth = match cursor.take_while(|b| b.is_ascii_alphanumeric()).to_ascii_lowercase().as_str() {
            "0" => Depth::None,
            "1" => Depth::One,
            "infinity" => Depth::All,
            _ => return Err(ParseError::Expected("0, 1 or infinity")),
        };
        Ok(())
    };
    if cursor.peek() == Some(b'(') {
        cursor.list(2, &mut option)?;
        cursor.space()?;
    }
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let entries = if cursor.peek() == Some(b'(') { cursor.list(MAX_ENTRIES, asked)? } else { vec![asked(cursor)?] };
    Ok(Command::GetMetadata { mailbox, entries, depth, max_size })
}

/// `mailbox SP (entry value …)`
pub(super) fn set(cursor: &mut Cursor) -> Parsed<Command> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let values = cursor.list(MAX_ENTRIES, |cursor| {
        let entry = entry(cursor)?;
        cursor.space()?;
        if cursor.eat_word("NIL") {
            return Ok((entry, None));
        }
        // A literal8 may bring any octet.
        cursor.eat(b'~');
        Ok((entry, Some(cursor.string()?)))
    })?;
    Ok(Command::SetMetadata { mailbox, values })
}

/// The empty name is the account as a whole.
fn mailbox(cursor: &mut Cursor) -> Parsed<Option<MailboxName>> {
    if cursor.eat_empty() { Ok(None) } else { name(cursor).map(Some) }
}

/// An entry, or all of one kind.
fn asked(cursor: &mut Cursor) -> Parsed<String> {
    for root in ["/private", "/shared"] {
        if cursor.eat_word(root) {
            return Ok(root.to_owned());
        }
    }
    entry(cursor)
}

/// In small letters: entries are without case. spec: rfc5464#3.2
fn entry(cursor: &mut Cursor) -> Parsed<String> {
    let text = cursor.astring()?;
    let text = String::from_utf8(text).map_err(|_| ParseError::Expected("the name of an entry in ASCII"))?.to_ascii_lowercase();
    let parts = text.strip_prefix("/private/").or_else(|| text.strip_prefix("/shared/"));
    let sound = text.len() <= MAX_NAME
        && text.bytes().all(|b| (0x21..0x7f).contains(&b) && !matches!(b, b'*' | b'%'))
        && parts.is_some_and(|parts| parts.split('/').all(|part| !part.is_empty()));
    if sound { Ok(text) } else { Err(ParseError::Expected("the name of an entry, below /private/ or /shared/")) }
}
