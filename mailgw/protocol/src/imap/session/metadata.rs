//! Annotations: which are told, and which are taken. spec: rfc5464#4
use super::answer::write_entry;
use crate::imap::content::{write_literal8, write_quoted};
use crate::imap::exchange::MailboxName;
use crate::imap::framing::MAX_LITERAL;
use crate::imap::parse::Depth;

/// What GETMETADATA asks for.
pub(super) struct Wish {
    pub entries: Vec<String>,
    pub depth: Depth,
    pub max_size: Option<u32>,
}

/// Writes the annotations asked for; the size of the longest one that was left out for its size.
pub(super) fn write(name: &str, wish: &Wish, all: &[(String, Vec<u8>)], out: &mut Vec<u8>) -> Option<usize> {
    let wanted = |entry: &str| {
        wish.entries.iter().any(|asked| match entry.strip_prefix(asked.as_str()) {
            Some("") => true,
            Some(below) => below.strip_prefix('/').is_some_and(|below| match wish.depth {
                Depth::None => false,
                Depth::One => !below.contains('/'),
                Depth::All => true,
            }),
            None => false,
        })
    };
    let (mut told, mut longest): (Vec<(&str, Option<&[u8]>)>, _) = (Vec::new(), None);
    for (entry, value) in all.iter().filter(|(entry, _)| wanted(entry)) {
        if wish.max_size.is_some_and(|most| value.len() > most as usize) {
            longest = longest.max(Some(value.len()));
        } else {
            told.push((entry.as_str(), Some(value.as_slice())));
        }
    }
    // One that was asked for by its name and is not there is said not to be.
    let is_there = |asked: &str| all.iter().any(|(entry, _)| entry == asked);
    if wish.depth == Depth::None {
        told.extend(wish.entries.iter().filter(|asked| !is_there(asked)).map(|asked| (asked.as_str(), None)));
    }
    if told.is_empty() {
        return longest;
    }
    out.extend_from_slice(format!("* METADATA {name} (").as_bytes());
    for (at, (entry, value)) in told.into_iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        write_entry(entry, out);
        out.push(b' ');
        match value.map(std::str::from_utf8) {
            Some(Ok(text)) if text.len() <= 200 && text.bytes().all(|b| matches!(b, b' '..=b'~')) => write_quoted(text, out),
            _ => write_literal8(value, out),
        }
    }
    out.extend_from_slice(b")\r\n");
    longest
}

/// The response code where a value is not taken: it is too long, or an entry of the whole server is the operator's.
pub(super) fn refused(mailbox: Option<&MailboxName>, values: &[(String, Option<Vec<u8>>)]) -> Option<String> {
    if values.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.len() > MAX_LITERAL)) {
        return Some(format!("METADATA MAXSIZE {MAX_LITERAL}"));
    }
    let of_operator = mailbox.is_none() && values.iter().any(|(entry, _)| entry.starts_with("/shared/"));
    of_operator.then(|| "NOPERM".to_owned())
}
