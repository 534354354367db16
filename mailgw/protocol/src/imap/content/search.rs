//! What SEARCH reads: header fields and texts, decoded, without regard to case and width. Texts are read a piece at a time and not held:
//! whatever a message is made of, looking for words in it takes little memory beside what a part's transfer encoding hides.
use std::cell::OnceCell;
use std::ops::ControlFlow;

use mail_parser::MimeHeaders;
use memchr::memmem::Finder;
use time::{Date, Month};

use super::charset::{fold, fold_onto, transferred, words};
use super::decoding::{Hears, pieces};
use super::part::{Kind, Part, bounded, fields, header_end, read_header, scan, slice, value};

/// Octets of the text that a preview is made of. HTML may begin with as much that nobody sees.
const PREVIEWED: usize = 256 << 10;

/// A message being searched, or its header alone.
pub struct Searchable<'x> {
    bytes: &'x [u8],
    header: &'x [u8],
    /// `None`: there is a header alone.
    root: Option<Part>,
    /// What it is searched for in its texts, folded: all of it is looked for at once.
    sought: &'x [String],
    fields: OnceCell<Vec<(String, String)>>,
    /// Which of `sought` its texts hold.
    held: OnceCell<Vec<bool>>,
}

impl<'x> Searchable<'x> {
    pub fn new(bytes: &'x [u8], sought: &'x [String]) -> Self {
        let root = scan(bytes);
        Self { bytes, header: slice(bytes, root.header.clone()), root: Some(root), sought, fields: OnceCell::new(), held: OnceCell::new() }
    }

    /// What hangs on more than the header is not known.
    pub fn of_header(header: &'x [u8]) -> Self {
        let header = slice(header, 0..header_end(header, 0..header.len()));
        Self { bytes: header, header, root: None, sought: &[], fields: OnceCell::new(), held: OnceCell::new() }
    }

    /// The day of the Date header, as its zone has it. spec: rfc3501#6.4.4 SENTON disregards time and zone
    pub fn sent(&self) -> Option<Date> {
        let message = read_header(self.header);
        let sent = message.date()?;
        Date::from_calendar_date(i32::from(sent.year), Month::try_from(sent.month).ok()?, sent.day).ok()
    }

    /// Which conversation it is of, where this is its content.
    pub fn thread_id(&self, content: u64) -> String {
        super::thread_id(self.header, content)
    }

    pub fn header_contains(&self, name: &str, text: &str) -> bool {
        let text = fold(text);
        self.fields().iter().any(|(found, value)| found.eq_ignore_ascii_case(name) && value.contains(&text))
    }

    /// `None`: there is a header alone.
    pub fn body_contains(&self, text: &str) -> Option<bool> {
        let root = self.root.as_ref()?;
        let text = fold(text);
        let all = || self.held.get_or_init(|| self.seek(root, self.sought));
        Some(match self.sought.iter().position(|sought| *sought == text) {
            Some(at) => all().get(at).copied().unwrap_or(false),
            None => self.seek(root, &[text]).contains(&true),
        })
    }

    /// `None`: there is a header alone, and it does not hold the text.
    pub fn text_contains(&self, text: &str) -> Option<bool> {
        let needle = fold(text);
        if self.fields().iter().any(|(_, value)| value.contains(&needle)) { Some(true) } else { self.body_contains(text) }
    }

    /// The fields of the header, their values folded. Beyond [`super::part::bounded`] nothing is read.
    pub fn fields(&self) -> &[(String, String)] {
        self.fields.get_or_init(|| {
            fields(bounded(self.header)).map(|(name, field)| (String::from_utf8_lossy(name).into_owned(), fold(&words(&value(field))))).collect()
        })
    }

    /// The texts of the body and of attachments that are text, folded; `None` where they are of more than `most` octets in all.
    pub fn texts(&self, most: usize) -> Option<Vec<String>> {
        let (mut texts, mut left): (Vec<String>, _) = (Vec::new(), most);
        let read = self.root.as_ref().map(|root| {
            self.read(root, &mut |said| {
                match (said, texts.last_mut()) {
                    (Said::Piece(piece), Some(text)) => {
                        let before = text.len();
                        fold_onto(piece, text);
                        left = match left.checked_sub(text.len() - before) {
                            Some(left) => left,
                            None => return ControlFlow::Break(()),
                        };
                    }
                    _ => texts.push(String::new()),
                }
                ControlFlow::Continue(())
            })
        });
        read.is_none_or(|read| read.is_continue()).then_some(texts)
    }

    /// Which of these a text holds.
    fn seek(&self, root: &Part, sought: &[String]) -> Vec<bool> {
        let finders: Vec<Finder> = sought.iter().map(Finder::new).collect();
        let longest = sought.iter().map(String::len).max().unwrap_or(0);
        let mut held = vec![false; sought.len()];
        // The piece that was read last, and of those before as much as a find may begin in.
        let mut window = String::new();
        let _ = self.read(root, &mut |said| {
            match said {
                Said::Begins => window.clear(),
                Said::Piece(piece) => {
                    let tail = window.floor_char_boundary((window.len() + 1).saturating_sub(longest));
                    window.drain(..tail);
                    fold_onto(piece, &mut window);
                }
            }
            for (held, finder) in held.iter_mut().zip(&finders).filter(|(held, _)| !**held) {
                *held = finder.find(window.as_bytes()).is_some();
            }
            if held.contains(&false) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        held
    }

    fn read(&self, part: &Part, hears: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        leaves(part, &mut |part| {
            if !part.media.kind.eq_ignore_ascii_case("text") {
                return ControlFlow::Continue(());
            }
            hears(Said::Begins)?;
            text_of(self.bytes, part, &mut |piece| hears(Said::Piece(piece)))
        })
    }
}

/// What is heard of the texts of a message.
enum Said<'p> {
    Begins,
    Piece(&'p str),
}

/// The text of a leaf; its octets as they are where its transfer encoding cannot be undone.
fn text_of(bytes: &[u8], part: &Part, hears: Hears<'_>) -> ControlFlow<()> {
    let header = read_header(slice(bytes, part.header.clone()));
    let body = slice(bytes, part.body.clone());
    let charset = part.media.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("charset")).map(|(_, charset)| charset.as_str());
    let octets = transferred(header.content_transfer_encoding(), body);
    pieces(charset, octets.as_deref().unwrap_or(body), hears)
}

/// The beginning of the text people read first: plain if there is any, or else HTML without its tags.
pub(super) fn first_text(bytes: &[u8], root: &Part) -> Option<String> {
    let (mut plain, mut html) = (None, None);
    let _ = leaves(root, &mut |part| {
        let place = if part.media.subtype.eq_ignore_ascii_case("html") { &mut html } else { &mut plain };
        if part.media.kind.eq_ignore_ascii_case("text") && place.is_none() {
            let text = place.insert(String::new());
            let _ = text_of(bytes, part, &mut |piece| {
                text.push_str(piece);
                if text.len() < PREVIEWED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
        }
        if plain.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    plain.or_else(|| html.map(|html| mail_parser::decoders::html::html_to_text(&html)))
}

fn leaves<'x>(part: &'x Part, on: &mut dyn FnMut(&'x Part) -> ControlFlow<()>) -> ControlFlow<()> {
    match &part.kind {
        Kind::Multipart(parts) => parts.iter().try_for_each(|part| leaves(part, on)),
        Kind::Message(inner) => leaves(inner, on),
        Kind::Leaf => on(part),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(message: &[u8], sought: &[&str]) -> Vec<bool> {
        let sought: Vec<String> = sought.iter().map(|text| fold(text)).collect();
        let searched = Searchable::new(message, &sought);
        let together: Vec<bool> = sought.iter().map(|text| searched.body_contains(text).unwrap()).collect();
        let alone: Vec<bool> = sought.iter().map(|text| Searchable::new(message, &[]).body_contains(text).unwrap()).collect();
        assert_eq!(together, alone);
        together
    }

    /// Wherever a piece ends within it.
    #[test]
    fn a_word_is_found_where_pieces_meet() {
        let word = "一二三四五六七八九十ABCDEFGHIJ";
        for lead in (65_400..65_640).step_by(7).chain(131_000..131_020) {
            let text = format!("\r\n{}{word}{}", "x".repeat(lead), "y".repeat(70_000));
            assert_eq!(found(text.as_bytes(), &[word, "十abc", "xyz", "j\u{ff59}y", "jyx"]), [true, true, false, true, false], "{lead}");
        }
    }

    #[test]
    fn no_word_is_found_across_two_parts() {
        let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhou\r\n--b\r\nContent-Type: text/html\r\n\r\nsing\r\n--b\r\nContent-Type: image/png\r\n\r\npicture\r\n--b--\r\n";
        assert_eq!(found(message, &["hou", "sing", "housing", "hous", "picture", ""]), [true, true, false, false, false, true]);
        assert_eq!(found(b"Content-Type: image/png\r\n\r\nx", &["", "x"]), [false, false]);
        assert_eq!(found(b"Subject: x\r\n\r\n", &["", "x"]), [true, false]);
    }

    #[test]
    fn of_a_header_alone_only_that_is_known() {
        let header = Searchable::of_header(b"Subject: fund\r\nDate: Tue, 1 Dec 2026 08:00:00 +0800\r\n\r\nbody");
        assert_eq!((header.body_contains("body"), header.text_contains("FUND"), header.text_contains("body")), (None, Some(true), None));
        assert_eq!((header.header_contains("subject", "und"), header.sent().map(|day| day.to_string())), (true, Some("2026-12-01".to_owned())));
    }

    #[test]
    fn texts_of_more_than_that_are_not_told() {
        let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nABC\r\n--b\r\n\r\nDE\r\n--b--\r\n";
        assert_eq!(Searchable::new(message, &[]).texts(5), Some(vec!["abc".to_owned(), "de".to_owned()]));
        assert_eq!(Searchable::new(message, &[]).texts(4), None);
    }
}
