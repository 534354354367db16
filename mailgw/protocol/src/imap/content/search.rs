//! What SEARCH reads: header fields and texts, decoded, without regard to case and width.
use std::cell::OnceCell;

use mail_parser::MimeHeaders;
use time::{Date, Month};

use super::charset::{decode, fold, transferred, words};
use super::part::{Kind, Part, bounded, fields, read_header, scan, slice, value};

/// A message being searched; decoded once, when first asked.
pub struct Searchable<'x> {
    bytes: &'x [u8],
    root: Part,
    fields: OnceCell<Vec<(String, String)>>,
    texts: OnceCell<Vec<String>>,
}

impl<'x> Searchable<'x> {
    pub fn new(bytes: &'x [u8]) -> Self {
        Self { bytes, root: scan(bytes), fields: OnceCell::new(), texts: OnceCell::new() }
    }

    /// The day of the Date header, as its zone has it. spec: rfc3501#6.4.4 SENTON disregards time and zone
    pub fn sent(&self) -> Option<Date> {
        let message = read_header(slice(self.bytes, self.root.header.clone()));
        let sent = message.date()?;
        Date::from_calendar_date(i32::from(sent.year), Month::try_from(sent.month).ok()?, sent.day).ok()
    }

    /// Which conversation it is of, where this is its content.
    pub fn thread_id(&self, content: u64) -> String {
        super::thread_id(self.bytes, content)
    }

    pub fn header_contains(&self, name: &str, text: &str) -> bool {
        let text = fold(text);
        self.fields().iter().any(|(found, value)| found.eq_ignore_ascii_case(name) && value.contains(&text))
    }

    pub fn body_contains(&self, text: &str) -> bool {
        let text = fold(text);
        self.texts().iter().any(|found| found.contains(&text))
    }

    pub fn text_contains(&self, text: &str) -> bool {
        let needle = fold(text);
        self.fields().iter().any(|(_, value)| value.contains(&needle)) || self.body_contains(text)
    }

    /// The fields of the header, their values folded. Beyond [`super::part::bounded`] nothing is read.
    pub fn fields(&self) -> &[(String, String)] {
        self.fields.get_or_init(|| {
            let header = slice(self.bytes, self.root.header.clone());
            fields(bounded(header)).map(|(name, field)| (String::from_utf8_lossy(name).into_owned(), fold(&words(&value(field))))).collect()
        })
    }

    /// The texts of the body and of attachments that are text, folded.
    pub fn texts(&self) -> &[String] {
        self.texts.get_or_init(|| {
            let mut texts = Vec::new();
            self.collect(&self.root, &mut texts);
            texts
        })
    }

    fn collect(&self, part: &Part, texts: &mut Vec<String>) {
        match &part.kind {
            Kind::Multipart(parts) => parts.iter().for_each(|part| self.collect(part, texts)),
            Kind::Message(inner) => self.collect(inner, texts),
            Kind::Leaf if part.media.kind.eq_ignore_ascii_case("text") => texts.push(fold(&text_of(self.bytes, part))),
            Kind::Leaf => {}
        }
    }
}

/// The text of a leaf; its octets as they are where its transfer encoding cannot be undone.
pub(super) fn text_of(bytes: &[u8], part: &Part) -> String {
    let header = read_header(slice(bytes, part.header.clone()));
    let body = slice(bytes, part.body.clone());
    let charset = part.media.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("charset")).map(|(_, charset)| charset.as_str());
    let octets = transferred(header.content_transfer_encoding(), body);
    decode(charset, octets.as_deref().unwrap_or(body))
}

/// The text people read first: plain if there is any, or else HTML without its tags.
pub(super) fn first_text(bytes: &[u8], root: &Part) -> Option<String> {
    let (mut plain, mut html) = (None, None);
    leaves(root, &mut |part| {
        let place = if part.media.subtype.eq_ignore_ascii_case("html") { &mut html } else { &mut plain };
        if part.media.kind.eq_ignore_ascii_case("text") && place.is_none() {
            *place = Some(text_of(bytes, part));
        }
    });
    plain.or_else(|| html.map(|html| mail_parser::decoders::html::html_to_text(&html)))
}

fn leaves<'x>(part: &'x Part, on: &mut impl FnMut(&'x Part)) {
    match &part.kind {
        Kind::Multipart(parts) => parts.iter().for_each(|part| leaves(part, on)),
        Kind::Message(inner) => leaves(inner, on),
        Kind::Leaf => on(part),
    }
}
