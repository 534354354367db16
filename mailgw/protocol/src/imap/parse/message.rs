//! Messages that come in, and flags that are set on them.

use super::command::{Command, name};
use super::cursor::Cursor;
use super::date::date_time;
use super::sequence::SequenceSet;
use super::{ParseError, Parsed};
use crate::imap::exchange::{Flags, Keyword, NewMessage, StoreOp, SystemFlag};

/// spec: rfc3501#9 store-att-flags
pub(super) fn store(set: SequenceSet, cursor: &mut Cursor, uid: bool) -> Parsed<Command> {
    let mut unchanged_since = None;
    // spec: rfc7162#3.1.3
    if cursor.eat(b'(') {
        if !cursor.eat_word("UNCHANGEDSINCE") {
            return Err(ParseError::Expected("UNCHANGEDSINCE"));
        }
        cursor.space()?;
        unchanged_since = Some(cursor.mod_sequence()?);
        cursor.expect(b')', "`)`")?;
        cursor.space()?;
    }
    let op = match cursor.peek() {
        Some(b'+') => StoreOp::Add,
        Some(b'-') => StoreOp::Remove,
        _ => StoreOp::Replace,
    };
    if op != StoreOp::Replace {
        cursor.take_while(|b| matches!(b, b'+' | b'-')).len().eq(&1).then_some(()).ok_or(ParseError::Expected("FLAGS"))?;
    }
    let silent = match cursor.word()?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(ParseError::Expected("FLAGS, +FLAGS or -FLAGS, perhaps with .SILENT")),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        flag_list(cursor)?
    } else {
        let mut flags = Flags::new();
        flag(cursor, &mut flags)?;
        while cursor.eat(b' ') {
            flag(cursor, &mut flags)?;
        }
        flags
    };
    Ok(Command::Store { set, op, silent, flags, unchanged_since, uid })
}

/// `(…)`, which may be empty.
fn flag_list(cursor: &mut Cursor) -> Parsed<Flags> {
    cursor.expect(b'(', "`(`")?;
    let mut flags = Flags::new();
    if cursor.eat(b')') {
        return Ok(flags);
    }
    loop {
        flag(cursor, &mut flags)?;
        if cursor.eat(b')') {
            return Ok(flags);
        }
        cursor.expect(b' ', "one space or `)`")?;
    }
}

fn flag(cursor: &mut Cursor, flags: &mut Flags) -> Parsed<()> {
    if !cursor.eat(b'\\') {
        let keyword = Keyword::new(&cursor.atom()?).ok_or(ParseError::Expected("a keyword of at most 64 octets"))?;
        return if flags.add_keyword(keyword) { Ok(()) } else { Err(ParseError::TooMany) };
    }
    let name = cursor.word()?;
    let system = SystemFlag::ALL.into_iter().find(|flag| flag.name().get(1..).is_some_and(|known| known.eq_ignore_ascii_case(&name)));
    match system {
        Some(flag) => flags.set(flag),
        // spec: rfc3501#2.3.2 clients cannot change it; some repeat it back
        None if name == "RECENT" => {}
        None => return Err(ParseError::Expected("a system flag: \\Seen \\Answered \\Flagged \\Deleted \\Draft")),
    }
    Ok(())
}

/// One message or several, all or none. spec: rfc3501#6.3.11 rfc3502#3
pub(super) fn append(cursor: &mut Cursor) -> Parsed<Command> {
    let mailbox = name(cursor)?;
    cursor.space()?;
    let mut messages = vec![new_message(cursor)?];
    while cursor.eat(b' ') {
        messages.push(new_message(cursor)?);
    }
    Ok(Command::Append { mailbox, messages })
}

/// `[(flags) SP] ["date" SP] literal`
pub(super) fn new_message(cursor: &mut Cursor) -> Parsed<NewMessage> {
    let mut flags = Flags::new();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        internal_date = Some(date_time(cursor)?);
        cursor.space()?;
    }
    // spec: rfc9755#4 `UTF8 (~{n}…)`
    let utf8 = cursor.eat_word("UTF8");
    if utf8 {
        cursor.space()?;
        cursor.expect(b'(', "`(`")?;
    }
    // spec: rfc3516#4.4 a literal8 may bring any octet
    cursor.eat(b'~');
    let bytes = cursor.literal()?;
    if utf8 {
        cursor.expect(b')', "`)`")?;
    }
    Ok(NewMessage { flags, internal_date, bytes, utf8 })
}
