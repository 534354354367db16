//! A letter of the authority becomes a mail: one part of plain text, from the operator's own mailbox.

use policies::mailbox::Address;
use ring::digest::{SHA256, digest};
use time::OffsetDateTime;

use crate::mime::{header, quoted_printable};
use crate::outbox::{From, Letter};

/// The most bytes of an id, a subject or a name, and of a text.
const MAX_LINE: usize = 400;
const MAX_TEXT: usize = 256 * 1024;

/// A letter within bounds, each of its words on one line but the text.
pub struct Checked<'a>(&'a Letter, &'a From);

impl<'a> Checked<'a> {
    pub fn new(letter: &'a Letter, from: &'a From) -> Option<Self> {
        let line = |text: &str| !text.trim().is_empty() && text.len() <= MAX_LINE && !text.chars().any(char::is_control);
        let lines = [&letter.id, &letter.subject, &from.name].into_iter().all(|text| line(text));
        let text = letter.text.len() <= MAX_TEXT && !letter.text.chars().any(|c| c.is_control() && c != '\n');
        (lines && text).then_some(Self(letter, from))
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
        header::plain(&mut out, "Content-Type", "text/plain; charset=utf-8");
        header::plain(&mut out, "Content-Transfer-Encoding", "quoted-printable");
        out.extend_from_slice(b"\r\n");
        quoted_printable::encode(&letter.text, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::certificate::HostName;
    use time::macros::datetime;

    use super::*;
    use crate::outbox::Recipient;

    fn letter(subject: &str, text: &str) -> Letter {
        Letter { id: "0a.30-days".into(), to: Recipient::Operator, subject: subject.into(), text: text.into() }
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
    fn what_would_break_a_header_is_no_letter() {
        assert!(Checked::new(&letter("a", "b"), &sender("c")).is_some());
        for (subject, text, name) in [("a\r\nBcc: x@y.example", "b", "c"), ("a", "b\0", "c"), ("a", "b", "c\nX: y"), ("", "b", "c"), (&"a".repeat(401), "b", "c"), ("a", &"b".repeat(MAX_TEXT + 1), "c")] {
            assert!(Checked::new(&letter(subject, text), &sender(name)).is_none(), "{subject:.20}");
        }
    }
}
