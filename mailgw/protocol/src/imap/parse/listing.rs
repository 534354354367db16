//! LIST with all that it may be asked for, and what STATUS tells.

use super::command::{ListOptions, StatusItem, listed, pattern};
use super::cursor::Cursor;
use super::{ParseError, Parsed};

/// spec: rfc3501#6.3.8, with the options of rfc5258#3 and rfc6154#5.2 that cost nothing
pub(super) fn list(cursor: &mut Cursor) -> Parsed<ListOptions> {
    let mut all = ListOptions::default();
    if cursor.peek() == Some(b'(') {
        for option in options(cursor)? {
            match option.as_str() {
                "SUBSCRIBED" => all.only_subscribed = true,
                "SPECIAL-USE" => all.only_special_use = true,
                "RECURSIVEMATCH" => all.recursive_match = true,
                "REMOTE" => {}
                _ => return Err(ParseError::Expected("SUBSCRIBED, SPECIAL-USE, RECURSIVEMATCH or REMOTE")),
            }
        }
        // spec: rfc5258#3 RECURSIVEMATCH needs something to match by
        if all.recursive_match && !all.only_subscribed && !all.only_special_use {
            return Err(ParseError::Expected("SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH"));
        }
        cursor.space()?;
    }
    let reference = cursor.astring()?;
    all.reference = pattern(cursor, &reference)?;
    cursor.space()?;
    all.patterns = if cursor.peek() == Some(b'(') { cursor.list(16, listed)? } else { vec![listed(cursor)?] };
    if cursor.eat(b' ') {
        if !cursor.eat_word("RETURN") {
            return Err(ParseError::Expected("RETURN"));
        }
        cursor.space()?;
        returned(cursor, &mut all)?;
    }
    all.return_subscribed |= all.only_subscribed;
    Ok(all)
}

fn returned(cursor: &mut Cursor, all: &mut ListOptions) -> Parsed<()> {
    if cursor.eat(b'(') && cursor.eat(b')') {
        return Ok(());
    }
    loop {
        match cursor.word()?.as_str() {
            "SUBSCRIBED" => all.return_subscribed = true,
            "CHILDREN" | "SPECIAL-USE" => {}
            "STATUS" => {
                cursor.space()?;
                all.return_status = cursor.list(16, status_item)?;
            }
            _ => return Err(ParseError::Expected("SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS")),
        }
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.expect(b' ', "one space or `)`")?;
    }
}

/// Perhaps none.
fn options(cursor: &mut Cursor) -> Parsed<Vec<String>> {
    let mut all = Vec::new();
    cursor.expect(b'(', "`(`")?;
    while !cursor.eat(b')') {
        if !all.is_empty() {
            cursor.space()?;
        }
        if all.len() >= 8 {
            return Err(ParseError::TooMany);
        }
        all.push(cursor.word()?);
    }
    Ok(all)
}

pub(super) fn status_item(cursor: &mut Cursor) -> Parsed<StatusItem> {
    Ok(match cursor.word()?.as_str() {
        "MESSAGES" => StatusItem::Messages,
        "RECENT" => StatusItem::Recent,
        "UIDNEXT" => StatusItem::UidNext,
        "UIDVALIDITY" => StatusItem::UidValidity,
        "UNSEEN" => StatusItem::Unseen,
        // spec: rfc8438#3 SIZE, rfc9051#6.3.11 DELETED, rfc7162#3.1.7 HIGHESTMODSEQ
        "DELETED" => StatusItem::Deleted,
        "SIZE" => StatusItem::Size,
        "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
        "MAILBOXID" => StatusItem::MailboxId,
        "DELETED-STORAGE" => StatusItem::DeletedStorage,
        "APPENDLIMIT" => StatusItem::AppendLimit,
        _ => return Err(ParseError::Expected("MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, SIZE or HIGHESTMODSEQ")),
    })
}
