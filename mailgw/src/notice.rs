//! A letter of an outbox becomes a mail from its sender's own mailbox: plain text, and the files that travel with it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::mailbox::Address;
use ring::digest::{SHA256, digest};
use time::OffsetDateTime;

use crate::mime::{header, quoted_printable};
use crate::outbox::{File, From, Letter};

/// The most bytes of an id, a subject or a name, and of a text.
const MAX_LINE: usize = 400;
const MAX_TEXT: usize = 256 * 1024;
/// The most files, and the most bytes of their base64 together.
const MAX_FILES: usize = 8;
const MAX_CONTENT: usize = 4 << 20;
/// The most bytes of a line of base64. spec: rfc2045#6.8
const BASE64_LINE: usize = 76;

/// A letter within bounds, each of its words on one line but the text.
pub struct Checked<'a>(&'a Letter, &'a From);

impl<'a> Checked<'a> {
    pub fn new(letter: &'a Letter, from: &'a From) -> Option<Self> {
        let line = |text: &str| !text.trim().is_empty() && text.len() <= MAX_LINE && !text.chars().any(char::is_control);
        let lines = [&letter.id, &letter.subject, &from.name].into_iter().all(|text| line(text));
        let text = letter.text.len() <= MAX_TEXT && !letter.text.chars().any(|c| c.is_control() && c != '\n');
        let content: usize = letter.files.iter().map(|file| file.content.len()).sum();
        let files = letter.files.len() <= MAX_FILES && content <= MAX_CONTENT && letter.files.iter().all(fits);
        (lines && text && files).then_some(Self(letter, from))
    }

    /// Its Message-ID is the same whenever it is rendered, and tells nothing of what it is about.
    pub fn render(&self, from: &Address, to: &Address, authority: &str, date: OffsetDateTime) -> Vec<u8> {
        let Self(letter, sender) = self;
        let token = crate::hex(digest(&SHA256, format!("suiyin notice v1\n{authority}\n{}", letter.id).as_bytes()).as_ref());
        let (token, sent_from) = (token.get(..32).unwrap_or_default(), from.to_string());
        let mut out = Vec::with_capacity(4 * 1024 + 3 * letter.text.len());
        header::mailbox(&mut out, "From", &sender.name, &sent_from);
        header::plain(&mut out, "To", &to.to_string());
        header::words(&mut out, "Subject", &letter.subject);
        header::plain(&mut out, "Date", &header::date(date));
        header::plain(&mut out, "Message-ID", &format!("<{token}@{}>", sent_from.rsplit('@').next().unwrap_or_default()));
        // spec: rfc3834#5
        header::plain(&mut out, "Auto-Submitted", "auto-generated");
        header::plain(&mut out, "Content-Language", "zh, en");
        header::plain(&mut out, "MIME-Version", "1.0");
        if letter.files.is_empty() {
            self.text(&mut out);
            return out;
        }
        // No line of base64 or of quoted-printable begins with it. spec: rfc2045#6.7
        let boundary = format!("=_{token}");
        header::plain(&mut out, "Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""));
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        self.text(&mut out);
        for file in &letter.files {
            out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            header::plain(&mut out, "Content-Type", &file.media_type);
            header::plain(&mut out, "Content-Disposition", &format!("attachment; filename=\"{}\"", file.name));
            header::plain(&mut out, "Content-Transfer-Encoding", "base64");
            for line in file.content.as_bytes().chunks(BASE64_LINE) {
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(line);
            }
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    /// The part that is read, with its header.
    fn text(&self, out: &mut Vec<u8>) {
        header::plain(out, "Content-Type", "text/plain; charset=utf-8");
        header::plain(out, "Content-Transfer-Encoding", "quoted-printable");
        out.extend_from_slice(b"\r\n");
        quoted_printable::encode(&self.0.text, out);
    }
}

/// A name and a type that need no quoting, and content that is whole base64.
fn fits(file: &File) -> bool {
    let word = |text: &str| !text.is_empty() && text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte));
    let kind = file.media_type.split_once('/').is_some_and(|(kind, below)| word(kind) && word(below));
    word(&file.name) && kind && STANDARD.decode(&file.content).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::certificate::HostName;
    use time::macros::datetime;

    use super::*;
    use crate::outbox::Recipient;

    fn letter(subject: &str, text: &str) -> Letter {
        Letter { id: "0a.30-days".into(), to: Recipient::Operator, subject: subject.into(), text: text.into(), files: Vec::new() }
    }

    fn sender(name: &str) -> From {
        From { name: name.into(), mailbox: "postmaster".into() }
    }

    #[test]
    fn another_reader_finds_the_letter() {
        let domain = HostName::parse("mail.gz.example").unwrap();
        let address = |local: &str| Address::parse(&format!("{local}@mail.gz.example"), &domain).unwrap();
        let (subject, text) = (format!("企业签名证书还剩 30 天到期 {} / ends", "长".repeat(40)), "您好：\n\nFrom here\n.\n序列号 0a\n");
        let (letter, from) = (letter(&subject, text), sender("穗印认证中心"));
        let mail = Checked::new(&letter, &from).unwrap().render(&address("postmaster"), &address("1234567897"), "ca+1", datetime!(2026-11-29 01:02:03 UTC));
        let written = String::from_utf8(mail.clone()).unwrap();
        assert!(written.split("\r\n").all(|line| line.len() <= 78 && line.is_ascii() && !line.contains('\n')), "{written}");
        let read = mail_parser::MessageParser::new().parse(&mail).unwrap();
        assert_eq!((read.subject(), read.body_text(0).unwrap().replace("\r\n", "\n").as_str()), (Some(subject.as_str()), text));
        let author = read.from().unwrap().first().unwrap();
        assert_eq!((author.name(), author.address()), (Some("穗印认证中心"), Some("postmaster@mail.gz.example")));
        assert!(!read.message_id().unwrap().contains("0a.30"));
    }

    #[test]
    fn files_travel_byte_for_byte_and_only_whole_ones() {
        let domain = HostName::parse("mail.gz.example").unwrap();
        let address = Address::parse("postmaster@mail.gz.example", &domain).unwrap();
        let content: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
        let file = |name: &str, media_type: &str, content: String| File { name: name.into(), media_type: media_type.into(), content };
        let with = |file: File| Letter { files: vec![file], ..letter("回执 / Receipt", "您好：\n") };
        let good = with(file("receipt-1.json", "application/json", STANDARD.encode(&content)));
        let from = sender("税务局");
        let mail = Checked::new(&good, &from).unwrap().render(&address, &address, "desk", datetime!(2026-11-29 01:02:03 UTC));
        let text = String::from_utf8(mail.clone()).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= 78 && line.is_ascii() && !line.contains('\n')), "{text}");
        let read = mail_parser::MessageParser::new().parse(&mail).unwrap();
        assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), "您好：\n");
        let attached = read.attachment(0).unwrap();
        use mail_parser::MimeHeaders as _;
        assert_eq!((attached.contents(), attached.attachment_name(), read.attachment_count()), (content.as_slice(), Some("receipt-1.json"), 1));
        let whole = STANDARD.encode(b"x");
        for (name, kind, content) in [("a\"b", "a/b", whole.clone()), ("", "a/b", whole.clone()), ("a", "a\r\nX: y/b", whole.clone()), ("a", "a", whole), ("a", "a/b", "====".into()), ("a", "a/b", "A".repeat(MAX_CONTENT + 4))] {
            assert!(Checked::new(&with(file(name, kind, content)), &from).is_none(), "{name}");
        }
    }

    #[test]
    fn what_would_break_a_header_is_no_letter() {
        assert!(Checked::new(&letter("a", "b"), &sender("c")).is_some());
        for (subject, text, name) in [("a\r\nBcc: x@y.example", "b", "c"), ("a", "b\0", "c"), ("a", "b", "c\nX: y"), ("", "b", "c"), (&"a".repeat(401), "b", "c"), ("a", &"b".repeat(MAX_TEXT + 1), "c")] {
            assert!(Checked::new(&letter(subject, text), &sender(name)).is_none(), "{subject:.20}");
        }
    }
}
