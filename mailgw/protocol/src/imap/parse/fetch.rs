//! What FETCH asks for.
use super::cursor::Cursor;
use super::{ParseError, Parsed};
use crate::imap::syntax::is_astring_char;

/// Items of one FETCH, and header names of one section.
const MAX_ITEMS: usize = 128;
/// spec: rfc3501#6.4.5 numbers of a section; our messages nest no deeper than the MIME bound
const MAX_DEPTH: usize = 100;

/// One data item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Flags,
    Uid,
    InternalDate,
    Size,
    Envelope,
    /// `BODY` without extension data, `BODYSTRUCTURE` with it.
    Structure { extended: bool },
    ModSeq,
    /// The number of the content; the conversation. spec: rfc8474#5
    EmailId,
    ThreadId,
    /// When it came into the mailbox. spec: rfc8514#4.2
    SaveDate,
    /// The beginning of the text. spec: rfc8970#3
    Preview,
    /// A part with its transfer encoding undone, or how many octets that makes. spec: rfc3516#4.2
    Binary { label: String, path: Vec<u32>, peek: bool, partial: Option<(u32, u32)> },
    BinarySize { label: String, path: Vec<u32> },
    Section(Section),
}

impl Item {
    /// Whether the bytes of the message are needed.
    pub fn needs_bytes(&self) -> bool {
        matches!(self, Item::Envelope | Item::Structure { .. } | Item::Section(_) | Item::Preview | Item::ThreadId | Item::Binary { .. } | Item::BinarySize { .. })
    }

    /// Whether it is told without the message's bytes where its outline is kept.
    pub fn is_outlined(&self) -> bool {
        self.is_listing() || self.is_of_header() || !self.needs_bytes()
    }

    /// Whether an outline has it as it is told.
    pub fn is_listing(&self) -> bool {
        matches!(self, Item::Envelope | Item::Structure { extended: true })
    }

    /// Whether it is made of the message's header alone.
    pub fn is_of_header(&self) -> bool {
        match self {
            Item::ThreadId => true,
            Item::Section(section) => section.path.is_empty() && matches!(section.text, SectionText::Header | SectionText::Fields { .. }),
            _ => false,
        }
    }

    /// Whether the client gets content of the message, not its header or structure alone.
    pub fn shows_content(&self) -> bool {
        match self {
            Item::Section(section) => matches!(section.text, SectionText::Whole | SectionText::Text),
            Item::Binary { .. } | Item::Preview => true,
            _ => false,
        }
    }

    /// Whether fetching it sets `\Seen`.
    pub fn marks_seen(&self) -> bool {
        matches!(self, Item::Section(Section { peek: false, .. }) | Item::Binary { peek: false, .. })
    }
}

/// A piece of a message: `BODY[1.2.HEADER.FIELDS (Subject)]<0.1024>` and the RFC822 forms of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// How the answer names it, without the origin of a partial.
    pub label: String,
    /// Empty for the message itself; numbers from 1.
    pub path: Vec<u32>,
    pub text: SectionText,
    pub peek: bool,
    /// First octet and greatest count of octets, not 0.
    pub partial: Option<(u32, u32)>,
}

/// What of a part is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of a message, or the encoded body of a part.
    Whole,
    /// The header of a message (or of the message in a `message/rfc822` part).
    Header,
    /// These header fields, or all but these.
    Fields { names: Vec<String>, not: bool },
    /// The body of a message (or of the message in a `message/rfc822` part).
    Text,
    /// The MIME header of a part.
    Mime,
}

/// One item, a list of them, or a macro. spec: rfc3501#6.4.5
pub(super) fn items(cursor: &mut Cursor) -> Parsed<Vec<Item>> {
    use Item::{Envelope, Flags, InternalDate, Size, Structure};
    if cursor.peek() == Some(b'(') {
        // The same item twice says nothing more, and is told once.
        let mut once: Vec<Item> = Vec::new();
        for item in cursor.list(MAX_ITEMS, item)? {
            if !once.contains(&item) {
                once.push(item);
            }
        }
        return Ok(once);
    }
    for (word, all) in [
        ("ALL", vec![Flags, InternalDate, Size, Envelope]),
        ("FAST", vec![Flags, InternalDate, Size]),
        ("FULL", vec![Flags, InternalDate, Size, Envelope, Structure { extended: false }]),
    ] {
        if cursor.eat_word(word) {
            return Ok(all);
        }
    }
    Ok(vec![item(cursor)?])
}

fn item(cursor: &mut Cursor) -> Parsed<Item> {
    let word = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.').to_ascii_uppercase();
    let whole = |label: &str, text, peek| {
        Item::Section(Section { label: label.to_owned(), path: Vec::new(), text, peek, partial: None })
    };
    Ok(match word.as_str() {
        "FLAGS" => Item::Flags,
        "UID" => Item::Uid,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "ENVELOPE" => Item::Envelope,
        "BODYSTRUCTURE" => Item::Structure { extended: true },
        "MODSEQ" => Item::ModSeq,
        "EMAILID" => Item::EmailId,
        "THREADID" => Item::ThreadId,
        "SAVEDATE" => Item::SaveDate,
        "PREVIEW" => {
            // spec: rfc8970#3.1 what is asked for lazily may be told at once
            cursor.eat_lazy();
            Item::Preview
        }
        "BINARY" => binary(cursor, false)?,
        "BINARY.PEEK" => binary(cursor, true)?,
        "BINARY.SIZE" => {
            let (label, path) = binary_path(cursor, "BINARY.SIZE")?;
            Item::BinarySize { label, path }
        }
        "RFC822" => whole("RFC822", SectionText::Whole, false),
        // spec: rfc1730#6.4.5 long obsolete, and what Outlook still asks for
        "RFC822.PEEK" => whole("RFC822", SectionText::Whole, true),
        "RFC822.TEXT.PEEK" => whole("RFC822.TEXT", SectionText::Text, true),
        "RFC822.HEADER" => whole("RFC822.HEADER", SectionText::Header, true),
        "RFC822.TEXT" => whole("RFC822.TEXT", SectionText::Text, false),
        "BODY" if cursor.peek() != Some(b'[') => Item::Structure { extended: false },
        "BODY" => Item::Section(section(cursor, false)?),
        "BODY.PEEK" => Item::Section(section(cursor, true)?),
        _ => return Err(ParseError::Expected("an item of FETCH")),
    })
}

/// spec: rfc3501#9 section
fn section(cursor: &mut Cursor, peek: bool) -> Parsed<Section> {
    cursor.expect(b'[', "`[`")?;
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        path.push(cursor.nz_number()?.get());
        if path.len() > MAX_DEPTH {
            return Err(ParseError::TooMany);
        }
        if !cursor.eat(b'.') {
            break;
        }
        if cursor.peek() == Some(b']') {
            return Err(ParseError::Expected("the rest of a section"));
        }
    }
    let word = cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.').to_ascii_uppercase();
    let text = match word.as_str() {
        "" => SectionText::Whole,
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        // spec: rfc3501#6.4.5 MIME only after a part number
        "MIME" if !path.is_empty() => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::Fields { names: field_names(cursor)?, not: false },
        "HEADER.FIELDS.NOT" => SectionText::Fields { names: field_names(cursor)?, not: true },
        _ => return Err(ParseError::Expected("a section of a message")),
    };
    cursor.expect(b']', "`]`")?;
    let partial = partial(cursor)?;
    Ok(Section { label: label(&path, &word, &text), path, text, peek, partial })
}

fn binary(cursor: &mut Cursor, peek: bool) -> Parsed<Item> {
    let (label, path) = binary_path(cursor, "BINARY")?;
    let partial = partial(cursor)?;
    Ok(Item::Binary { label, path, peek, partial })
}

/// `[1.2]`, or `[]` for the message. spec: rfc3516#8 section-binary
fn binary_path(cursor: &mut Cursor, word: &str) -> Parsed<(String, Vec<u32>)> {
    cursor.expect(b'[', "`[`")?;
    let mut path = Vec::new();
    while !cursor.eat(b']') {
        if !path.is_empty() {
            cursor.expect(b'.', "`.` or `]`")?;
        }
        path.push(cursor.nz_number()?.get());
        if path.len() > MAX_DEPTH {
            return Err(ParseError::TooMany);
        }
    }
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    Ok((format!("{word}[{}]", numbers.join(".")), path))
}

fn field_names(cursor: &mut Cursor) -> Parsed<Vec<String>> {
    cursor.space()?;
    cursor.list(MAX_ITEMS, |cursor| {
        let name = cursor.astring()?;
        // spec: rfc5322#3.6.8 ftext
        let sound = !name.is_empty() && name.len() <= 128 && name.iter().all(|b| (0x21..0x7f).contains(b) && *b != b':');
        String::from_utf8(name).ok().filter(|_| sound).ok_or(ParseError::Expected("the name of a header field"))
    })
}

fn partial(cursor: &mut Cursor) -> Parsed<Option<(u32, u32)>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let first = cursor.number()?;
    cursor.expect(b'.', "`.` in a partial")?;
    let count = cursor.nz_number()?.get();
    cursor.expect(b'>', "`>` of a partial")?;
    Ok(Some((first, count)))
}

fn label(path: &[u32], word: &str, text: &SectionText) -> String {
    let mut label = String::from("BODY[");
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    label.push_str(&numbers.join("."));
    if !path.is_empty() && !word.is_empty() {
        label.push('.');
    }
    label.push_str(word);
    if let SectionText::Fields { names, .. } = text {
        label.push_str(" (");
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                label.push(' ');
            }
            if name.bytes().all(is_astring_char) {
                label.push_str(name);
            } else {
                label.push('"');
                label.extend(name.chars().flat_map(|ch| matches!(ch, '"' | '\\').then_some('\\').into_iter().chain([ch])));
                label.push('"');
            }
        }
        label.push(')');
    }
    label.push(']');
    label
}
