//! What SORT and THREAD take from the header of a message.
use mail_parser::parsers::fields::thread::thread_name;
use mail_parser::{Address, HeaderValue};

use super::address::addresses;
use super::charset::{fold, words};
use super::part::{first, header_end, last, read_header, slice, value};

/// References of one message that are followed.
const MAX_REFERENCES: usize = 100;
/// Octets of a subject, a name, a message id that are kept.
const MAX_TEXT: usize = 512;

/// Texts are folded.
#[derive(Default)]
pub(crate) struct Summary {
    /// Seconds since 1970 in UTC; `None` when there is no Date that can be read.
    pub sent: Option<i64>,
    /// Without `Re:` and the like. spec: rfc5256#2.1
    pub subject: String,
    /// The subject said that it answers or passes on another.
    pub replies: bool,
    pub from: Person,
    pub to: Person,
    pub cc: Person,
    pub id: Option<String>,
    /// The messages before this one, the eldest first. spec: rfc5256#3
    pub references: Vec<String>,
}

/// The first address of a field.
#[derive(Default)]
pub(crate) struct Person {
    pub mailbox: String,
    /// The name, or else the address. spec: rfc5957#3
    pub display: String,
}

/// What a place in a forest of conversations and in its index takes beside its text.
const NODE: usize = 160;

impl Summary {
    /// Octets it takes, and what is made of it when messages are arranged.
    pub fn octets(&self) -> usize {
        let person = |person: &Person| person.mailbox.len() + person.display.len();
        let ids = self.references.iter().chain(&self.id).map(|id| id.len() + NODE);
        size_of::<Self>() + NODE + self.subject.len() + person(&self.from) + person(&self.to) + person(&self.cc) + ids.sum::<usize>()
    }
}

pub(crate) fn summary(bytes: &[u8]) -> Summary {
    let header = slice(bytes, 0..header_end(bytes, 0..bytes.len()));
    let message = read_header(header);
    let subject = first(header, b"Subject").map(|value| words(&value)).unwrap_or_default();
    let base = thread_name(&subject);
    let references = identifiers(message.references());
    Summary {
        sent: message.date().map(mail_parser::DateTime::to_timestamp),
        subject: cut(fold(base)),
        replies: base.trim().len() < subject.trim().len(),
        from: person(header, b"From"),
        to: person(header, b"To"),
        cc: person(header, b"Cc"),
        id: message.message_id().map(|id| cut(id.to_owned())),
        references: if references.is_empty() { identifiers(message.in_reply_to()).into_iter().take(1).collect() } else { references },
    }
}

fn identifiers(value: &HeaderValue<'_>) -> Vec<String> {
    let all: Vec<String> = match value {
        HeaderValue::Text(one) => vec![one.to_string()],
        HeaderValue::TextList(all) => all.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let skipped = all.len().saturating_sub(MAX_REFERENCES);
    all.into_iter().skip(skipped).map(cut).collect()
}

fn person(header: &[u8], name: &[u8]) -> Person {
    let all = last(header, name).and_then(|field| addresses(&value(field)));
    let Some(found) = all.as_ref().and_then(Address::first) else { return Person::default() };
    let address = found.address.as_deref().unwrap_or_default();
    let mailbox = address.rsplit_once('@').map_or(address, |(mailbox, _)| mailbox);
    let display = found.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(address);
    Person { mailbox: cut(fold(mailbox)), display: cut(fold(&words(display.as_bytes()))) }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.shrink_to_fit();
    }
    text
}
