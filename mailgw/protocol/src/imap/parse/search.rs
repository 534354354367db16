//! What SEARCH looks for.
use time::Date;

use super::cursor::Cursor;
use super::date::date;
use super::sequence::{Partial, SequenceSet};
use super::{ParseError, Parsed};
use crate::imap::content;
use crate::imap::flags::{Keyword, SystemFlag};

/// Parentheses, NOT and OR within each other.
const MAX_NESTING: usize = 20;
/// Keys of one SEARCH.
const MAX_KEYS: usize = 256;
/// Of these, what is looked for in texts: each goes through all of a message.
const MAX_TEXTS: usize = 32;
/// Octets of a string looked for.
const MAX_NEEDLE: usize = 1024;

/// A condition on a message. Strings are UTF-8 and looked for without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    All,
    /// Nothing is ever `\Recent` here, so RECENT and NEW match nothing.
    Never,
    Flag(SystemFlag),
    Keyword(Keyword),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
    Sequence(SequenceSet),
    Uid(SequenceSet),
    /// What the two above name in one mailbox: ranges of uids, ascending and apart from each other.
    Among(Vec<(u32, u32)>),
    /// Internal date, without time and zone.
    Before(Date),
    On(Date),
    Since(Date),
    /// The Date header, without time and zone.
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    /// When it came into the mailbox, as the three of the internal date. spec: rfc8514#4.3
    SavedBefore(Date),
    SavedOn(Date),
    SavedSince(Date),
    /// This MODSEQ or a higher one. spec: rfc7162#3.1.5
    ModSeq(u64),
    Larger(u32),
    Smaller(u32),
    /// Came so many seconds ago or before; or not so long ago. spec: rfc5032#3
    Older(u32),
    Younger(u32),
    /// The same two, once the time is known: at this second since 1970 or before; or after it.
    CameUntil(i64),
    CameAfter(i64),
    /// This message and its copies. spec: rfc8474#6
    Content(u64),
    /// All of a conversation. spec: rfc8474#6
    Thread(String),
    /// A header field that contains the string; an empty string asks only whether it is there.
    Header { name: String, text: String },
    Body(String),
    Text(String),
}

impl Key {
    /// Whether the answer is to tell the highest MODSEQ.
    pub fn asks_for_modseq(&self) -> bool {
        match self {
            Key::ModSeq(_) => true,
            Key::Not(key) => key.asks_for_modseq(),
            Key::Or(left, right) => left.asks_for_modseq() || right.asks_for_modseq(),
            Key::And(keys) => keys.iter().any(Key::asks_for_modseq),
            _ => false,
        }
    }

    /// Whether it names messages by their numbers.
    pub fn is_of_numbers(&self) -> bool {
        match self {
            Key::Sequence(set) => set.is_of_numbers(),
            Key::Not(key) => key.is_of_numbers(),
            Key::Or(left, right) => left.is_of_numbers() || right.is_of_numbers(),
            Key::And(keys) => keys.iter().any(Key::is_of_numbers),
            _ => false,
        }
    }

    /// Whether it asks how long ago a message came.
    pub fn asks_for_time(&self) -> bool {
        match self {
            Key::Older(_) | Key::Younger(_) => true,
            Key::Not(key) => key.asks_for_time(),
            Key::Or(left, right) => left.asks_for_time() || right.asks_for_time(),
            Key::And(keys) => keys.iter().any(Key::asks_for_time),
            _ => false,
        }
    }

    /// Whether a message's header may decide it.
    pub fn asks_of_header(&self) -> bool {
        match self {
            Key::SentBefore(_) | Key::SentOn(_) | Key::SentSince(_) | Key::Header { .. } | Key::Thread(_) => true,
            Key::Not(key) => key.asks_of_header(),
            Key::Or(left, right) => left.asks_of_header() || right.asks_of_header(),
            Key::And(keys) => keys.iter().any(Key::asks_of_header),
            _ => false,
        }
    }
}

/// What a SEARCH is to tell. spec: rfc4731#3.1, rfc5182#2.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Return {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// Keeps the result as `$`.
    pub save: bool,
    /// Those in these places of the result. spec: rfc9394#3.1
    pub partial: Option<Partial>,
}

/// `[RETURN (…) SP] [CHARSET name SP] key *(SP key)`. Without RETURN the answer is the one of old.
// spec: rfc3501#6.4.4
pub(super) fn search(cursor: &mut Cursor) -> Parsed<(Option<Return>, Key)> {
    let mut told = None;
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        told = Some(returned(cursor)?);
        cursor.space()?;
    }
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset(cursor)?;
        cursor.space()?;
    }
    Ok((told, keys(cursor)?))
}

pub(super) fn charset(cursor: &mut Cursor) -> Parsed<()> {
    let name = cursor.astring()?;
    let known = name.eq_ignore_ascii_case(b"UTF-8") || name.eq_ignore_ascii_case(b"US-ASCII");
    if known { Ok(()) } else { Err(ParseError::Charset) }
}

/// One or more keys, all of which must hold.
pub(super) fn keys(cursor: &mut Cursor) -> Parsed<Key> {
    let mut keys = Keys { left: MAX_KEYS, texts: MAX_TEXTS };
    let mut all = vec![keys.key(cursor, 0)?];
    while cursor.eat(b' ') {
        all.push(keys.key(cursor, 0)?);
    }
    Ok(join(all))
}

// spec: rfc4731#3.1 `RETURN ()` asks for ALL
pub(super) fn returned(cursor: &mut Cursor) -> Parsed<Return> {
    let mut told = Return::default();
    cursor.expect(b'(', "`(`")?;
    if cursor.eat(b')') {
        return Ok(Return { all: true, ..told });
    }
    loop {
        match cursor.word()?.as_str() {
            "MIN" => told.min = true,
            "MAX" => told.max = true,
            "ALL" => told.all = true,
            "COUNT" => told.count = true,
            "SAVE" => told.save = true,
            "PARTIAL" => {
                cursor.space()?;
                if told.partial.replace(Partial::parse(cursor)?).is_some() {
                    return Err(ParseError::Expected("PARTIAL once"));
                }
            }
            _ => return Err(ParseError::Expected("MIN, MAX, ALL, COUNT, PARTIAL or SAVE")),
        }
        if cursor.eat(b')') {
            // spec: rfc9394#3.1 all or a part
            return if told.all && told.partial.is_some() { Err(ParseError::Expected("ALL or PARTIAL, not both")) } else { Ok(told) };
        }
        cursor.expect(b' ', "one space or `)`")?;
    }
}

fn join(mut keys: Vec<Key>) -> Key {
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => key,
        (_, last) => {
            keys.extend(last);
            Key::And(keys)
        }
    }
}

/// Counts keys down.
struct Keys {
    left: usize,
    /// Of those that are looked for in texts.
    texts: usize,
}

impl Keys {
    fn key(&mut self, cursor: &mut Cursor, depth: usize) -> Parsed<Key> {
        self.left = self.left.checked_sub(1).ok_or(ParseError::TooMany)?;
        if depth > MAX_NESTING {
            return Err(ParseError::TooMany);
        }
        match cursor.peek() {
            Some(b'(') => {
                let keys = cursor.list(MAX_KEYS, |cursor| self.key(cursor, depth + 1))?;
                return Ok(join(keys));
            }
            Some(b'0'..=b'9' | b'*' | b'$') => return SequenceSet::parse(cursor).map(Key::Sequence),
            _ => {}
        }
        let word = cursor.word()?;
        if let Some(key) = bare(&word) {
            return Ok(key);
        }
        cursor.space()?;
        Ok(match word.as_str() {
            "NOT" => Key::Not(Box::new(self.key(cursor, depth + 1)?)),
            "OR" => {
                let left = self.key(cursor, depth + 1)?;
                cursor.space()?;
                Key::Or(Box::new(left), Box::new(self.key(cursor, depth + 1)?))
            }
            _ => {
                if matches!(word.as_str(), "BODY" | "TEXT") {
                    self.texts = self.texts.checked_sub(1).ok_or(ParseError::TooMany)?;
                }
                with_argument(&word, cursor)?
            }
        })
    }
}

/// Keys that stand alone.
fn bare(word: &str) -> Option<Key> {
    let not = |key| Key::Not(Box::new(key));
    Some(match word {
        "ALL" | "OLD" | "SAVEDATESUPPORTED" => Key::All,
        "NEW" | "RECENT" => Key::Never,
        "ANSWERED" => Key::Flag(SystemFlag::Answered),
        "DELETED" => Key::Flag(SystemFlag::Deleted),
        "DRAFT" => Key::Flag(SystemFlag::Draft),
        "FLAGGED" => Key::Flag(SystemFlag::Flagged),
        "SEEN" => Key::Flag(SystemFlag::Seen),
        "UNANSWERED" => not(Key::Flag(SystemFlag::Answered)),
        "UNDELETED" => not(Key::Flag(SystemFlag::Deleted)),
        "UNDRAFT" => not(Key::Flag(SystemFlag::Draft)),
        "UNFLAGGED" => not(Key::Flag(SystemFlag::Flagged)),
        "UNSEEN" => not(Key::Flag(SystemFlag::Seen)),
        _ => return None,
    })
}

fn with_argument(word: &str, cursor: &mut Cursor) -> Parsed<Key> {
    let header = |name: &str, cursor: &mut Cursor| Ok(Key::Header { name: name.to_owned(), text: needle(cursor)? });
    match word {
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => header(word, cursor),
        "BEFORE" => date(cursor).map(Key::Before),
        "ON" => date(cursor).map(Key::On),
        "SINCE" => date(cursor).map(Key::Since),
        "SENTBEFORE" => date(cursor).map(Key::SentBefore),
        "SENTON" => date(cursor).map(Key::SentOn),
        "SENTSINCE" => date(cursor).map(Key::SentSince),
        "SAVEDBEFORE" => date(cursor).map(Key::SavedBefore),
        "SAVEDON" => date(cursor).map(Key::SavedOn),
        "SAVEDSINCE" => date(cursor).map(Key::SavedSince),
        "MODSEQ" => mod_sequence(cursor).map(Key::ModSeq),
        "LARGER" => cursor.number().map(Key::Larger),
        "SMALLER" => cursor.number().map(Key::Smaller),
        "OLDER" => cursor.nz_number().map(|seconds| Key::Older(seconds.get())),
        "YOUNGER" => cursor.nz_number().map(|seconds| Key::Younger(seconds.get())),
        // An id of another form is nobody's.
        "EMAILID" => Ok(cursor.atom()?.strip_prefix('M').and_then(|id| id.parse().ok()).map_or(Key::Never, Key::Content)),
        "THREADID" => thread(cursor),
        "BODY" => needle(cursor).map(Key::Body),
        "TEXT" => needle(cursor).map(Key::Text),
        "KEYWORD" => keyword(cursor).map(Key::Keyword),
        "UNKEYWORD" => keyword(cursor).map(|keyword| Key::Not(Box::new(Key::Keyword(keyword)))),
        "UID" => SequenceSet::parse(cursor).map(Key::Uid),
        "HEADER" => {
            let name = needle(cursor)?;
            cursor.space()?;
            header(&name, cursor)
        }
        _ => Err(ParseError::Expected("a key of SEARCH")),
    }
}

/// `["/flags/…" SP (all | priv | shared) SP] n`: one MODSEQ stands for all flags of a message, as the clause allows.
// spec: rfc7162#3.1.5
fn mod_sequence(cursor: &mut Cursor) -> Parsed<u64> {
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        if !matches!(cursor.word()?.as_str(), "ALL" | "PRIV" | "SHARED") {
            return Err(ParseError::Expected("all, priv or shared"));
        }
        cursor.space()?;
    }
    cursor.mod_sequence()
}

fn keyword(cursor: &mut Cursor) -> Parsed<Keyword> {
    Keyword::new(&cursor.atom()?).ok_or(ParseError::Expected("a keyword of at most 64 octets"))
}

/// A string looked for. Without CHARSET it should be US-ASCII; UTF-8 is taken as well, for clients forget to say so.
fn needle(cursor: &mut Cursor) -> Parsed<String> {
    let text = cursor.astring()?;
    if text.len() > MAX_NEEDLE {
        return Err(ParseError::TooMany);
    }
    String::from_utf8(text).map_err(|_| ParseError::Expected("a string in UTF-8"))
}

/// Those whose header names the message that begins it. An index that knows of headers leaves few to be read.
fn thread(cursor: &mut Cursor) -> Parsed<Key> {
    let thread = cursor.atom()?;
    let alone = thread.strip_prefix('S').and_then(|content| content.parse().ok());
    let is = Key::Thread(thread.clone());
    Ok(match (content::named_by(&thread), alone) {
        (Some(id), _) if id.bytes().all(|b| b.is_ascii_graphic()) => {
            let field = |name: &str| Box::new(Key::Header { name: name.to_owned(), text: id.clone() });
            let reply = Key::Or(field("References"), field("In-Reply-To"));
            Key::And(vec![Key::Or(field("Message-ID"), Box::new(reply)), is])
        }
        (Some(_), _) => is,
        (None, Some(content)) => Key::And(vec![Key::Content(content), is]),
        (None, None) => Key::Never,
    })
}
