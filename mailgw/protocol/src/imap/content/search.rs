//! What SEARCH reads: header fields and texts, decoded, without regard to case.
use std::cell::OnceCell;

use mail_parser::MessageParser;
use time::{Date, Month};

use super::part::{Kind, Part, bounded, fields, read_header, scan, slice, value};

/// A message being searched; decoded once, when first asked.
pub(crate) struct Searchable<'x> {
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

    pub fn header_contains(&self, name: &str, text: &str) -> bool {
        let text = text.to_lowercase();
        self.fields().iter().any(|(found, value)| found.eq_ignore_ascii_case(name) && value.contains(&text))
    }

    pub fn body_contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.texts().iter().any(|found| found.contains(&text))
    }

    pub fn text_contains(&self, text: &str) -> bool {
        let needle = text.to_lowercase();
        self.fields().iter().any(|(_, value)| value.contains(&needle)) || self.body_contains(text)
    }

    fn fields(&self) -> &[(String, String)] {
        self.fields.get_or_init(|| {
            let header = slice(self.bytes, self.root.header.clone());
            fields(bounded(header)).map(|(name, field)| (String::from_utf8_lossy(name).into_owned(), decoded(&value(field)).to_lowercase())).collect()
        })
    }

    fn texts(&self) -> &[String] {
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
            Kind::Leaf if part.media.kind.eq_ignore_ascii_case("text") => {
                let whole = slice(self.bytes, part.header.start..part.body.end);
                // A broken multipart counts as text here; its own parser would look for parts again, so it is taken as it is.
                let says_text = read_header(slice(self.bytes, part.header.clone())).parts.first().is_none_or(|found| {
                    use mail_parser::MimeHeaders;
                    found.content_type().is_none_or(|media| media.ctype().eq_ignore_ascii_case("text"))
                });
                let message = if says_text { MessageParser::default().parse(whole) } else { None };
                let text = message.as_ref().and_then(|message| message.parts.first()).and_then(|part| part.text_contents());
                match text {
                    Some(text) => texts.push(text.to_lowercase()),
                    None => texts.push(String::from_utf8_lossy(slice(self.bytes, part.body.clone())).to_lowercase()),
                }
            }
            Kind::Leaf => {}
        }
    }
}

/// A field's value with its encoded words read.
fn decoded(value: &[u8]) -> String {
    let mut field = b"Subject: ".to_vec();
    field.extend_from_slice(value);
    field.extend_from_slice(b"\r\n\r\n");
    let message = read_header(&field);
    message.subject().map_or_else(|| String::from_utf8_lossy(value).into_owned(), str::to_owned)
}
