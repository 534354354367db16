//! The fields of a header as mail programs take them, told apart here: a parser of whole mails reads all of them, and of each beginning of an
//! encoded word it looks for the end to the end of the field, which takes it very long in those of a stranger.

use mail_parser::{HeaderValue, Message, MessageParser};
use protocol::smtp::trace;

/// Name without white space and octets after its colon as they stand. Programs pass over colons before a name, white space in it, and a line
/// that is no field before one that looks like its fold.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
    let (fields, _) = trace::fields(message);
    fields.into_iter().map(|field| {
        // Most fields are not asked for: their text is not looked at.
        let field = field.iter().position(|byte| *byte != b':').and_then(|at| field.get(at..)).unwrap_or_default();
        let (name, value) = memchr::memchr(b':', field).and_then(|colon| field.split_at_checked(colon)).unwrap_or((field, b""));
        let last = name.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let name = last.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| char::from(*byte)).collect();
        (name, value.strip_prefix(b":").unwrap_or(value))
    })
}

/// The most octets of a subject. Nobody writes so long a one, and half of one may say something else than all of it: a longer one says
/// nothing.
const MAX_SUBJECT: usize = 16 << 10;

/// What the header of a mail says by which its owner asks for something: of several fields of one name the last, as parsers take it.
#[derive(Default)]
pub(super) struct Asking {
    pub subject: String,
    pub message_id: String,
    pub in_reply_to: Vec<String>,
    pub references: Vec<String>,
}

impl Asking {
    pub fn read(message: &[u8]) -> Self {
        let mut last: [(&str, Option<&[u8]>); 4] = [("Subject", None), ("Message-ID", None), ("In-Reply-To", None), ("References", None)];
        for (name, value) in fields(message) {
            last.iter_mut().filter(|(wanted, _)| wanted.eq_ignore_ascii_case(&name)).for_each(|(_, found)| *found = Some(value));
        }
        let mut header = Vec::new();
        for (name, value) in last {
            let Some(value) = value.map(<[u8]>::trim_ascii).filter(|value| name != "Subject" || value.len() <= MAX_SUBJECT) else { continue };
            header.extend([name.as_bytes(), b":", value, b"\r\n"].concat());
        }
        header.extend(b"\r\n");
        // A header without fields has no part, and the parser looks into the first.
        let Some(parsed) = MessageParser::new().parse_headers(&header).filter(|parsed| !parsed.parts.is_empty()) else { return Self::default() };
        Self::of(&parsed)
    }

    fn of(parsed: &Message<'_>) -> Self {
        let ids = |value: &HeaderValue<'_>| match value {
            HeaderValue::Text(id) => vec![id.to_string()],
            HeaderValue::TextList(ids) => ids.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        Self {
            subject: parsed.subject().unwrap_or_default().to_owned(),
            message_id: parsed.message_id().unwrap_or_default().to_owned(),
            in_reply_to: ids(parsed.in_reply_to()),
            references: ids(parsed.references()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(header: &str) -> Asking {
        Asking::read(format!("{header}\r\n\r\nSubject: body\r\n").as_bytes())
    }

    /// As the parser reads them from the whole header, in whatever dress they come.
    #[test]
    fn they_are_what_the_parser_reads_from_the_whole_header() {
        for header in [
            "Subject: =?UTF-8?B?5Y+W5raI?=\r\n =?gb2312?Q?=B9=AB?= HF-9\r\nMessage-ID: <a@b>",
            "Subject: first\r\nX: y\r\nsubject : last\r\nMESSAGE-ID:\r\n <a@b>",
            "Subject: a\r\n\tb\r\nIn-Reply-To: <b@x>\r\nReferences: <a@x>\r\n <b@x>",
            "Sub ject: spaced\r\nIn-Reply-To: none of them\r\nReferences: <a@x> words <b@x>",
            ":Subject: colon\r\nMessage-ID: <a@b> <c@d>",
            "no field\r\n Subject: folded\r\nMessage-ID:",
            "Subject:\r\nFrom: me@c.cn",
            "Subject: \u{516c}\u{79ef}\u{91d1} =?utf-8?Q?no end\r\nFrom: me@c.cn",
        ] {
            let whole = format!("{header}\r\n\r\nbody\r\n");
            let (parsed, read) = (Asking::of(&MessageParser::new().parse_headers(&whole).unwrap()), read(header));
            assert_eq!((read.subject, read.message_id, read.in_reply_to, read.references), (parsed.subject, parsed.message_id, parsed.in_reply_to, parsed.references), "{header}");
        }
        for none in ["", "\r\n", "From: me@c.cn\r\n\r\n", "From: me@c.cn"] {
            assert!(Asking::read(none.as_bytes()).subject.is_empty());
        }
    }

    #[test]
    fn a_subject_that_nobody_writes_says_nothing() {
        let longest = format!("Subject: agree{}", " x".repeat((MAX_SUBJECT - "agree".len()) / 2));
        assert!(read(&longest).subject.starts_with("agree x"));
        let more = read(&format!("{longest} not at all\r\nMessage-ID: <a@b>"));
        assert_eq!((more.subject.as_str(), more.message_id.as_str()), ("", "a@b"));
    }

    /// So long that to look for the end of each encoded word would not end.
    #[test]
    fn hostile_headers_are_read_once() {
        let words = "=?aa?Q?x ".repeat(1 << 20);
        let from = words.replace(' ', "\r\n ");
        let header = format!("Subject: {words}\r\nX-Other: {words}\r\nFrom: {from}\r\nMessage-ID: {words}\r\nIn-Reply-To: <{words}>\r\nReferences: <b@x> {words}\r\nComments: {words}");
        let read = read(&header);
        assert_eq!((read.subject.as_str(), read.references.as_slice()), ("", ["b@x".to_owned()].as_slice()));
    }
}
