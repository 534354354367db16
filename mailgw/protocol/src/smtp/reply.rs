//! What another server says: replies out of bytes, within bounds. spec: rfc5321#4.2 rfc3463#2

/// Octets and lines of one reply; none that means well comes near.
const MAX_REPLY: usize = 64 * 1024;
const MAX_LINES: usize = 200;
/// Characters of a reply's text that are kept: it goes into records and reports.
const MAX_TEXT: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The enhanced status, when the text begins with one of the code's class.
    pub status: Option<Status>,
    /// Without code and status; lines parted by a space, printable characters alone.
    pub text: String,
    /// The text of each line as it stands: what EHLO is answered with.
    pub lines: Vec<String>,
}

/// spec: rfc3463#2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl Status {
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// `5.1.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| if (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
        let class = u8::try_from(number(class)?).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        if parts.next().is_some() { None } else { Some(Self { class, subject: number(subject)?, detail: number(detail)? }) }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Reply {
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the server's reply is no SMTP")]
    Malformed,
    #[error("the server's reply has no end")]
    Endless,
}

#[derive(Default)]
pub struct Replies {
    input: Vec<u8>,
    lines: Vec<(u16, String)>,
}

impl Replies {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Nothing was said ahead: after STARTTLS there must be nothing from before. spec: rfc3207#4.2
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.lines.is_empty()
    }

    /// The next whole reply; `None`: more is needed.
    pub fn take(&mut self) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
                return if self.input.len() > MAX_REPLY { Err(ReplyError::Endless) } else { Ok(None) };
            };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            if self.lines.len() >= MAX_LINES || line.len() > MAX_REPLY {
                return Err(ReplyError::Endless);
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            let code = line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())).and_then(|code| code.parse().ok());
            let code: u16 = code.filter(|code| (200..600).contains(code)).ok_or(ReplyError::Malformed)?;
            let (last, text) = match line.as_bytes().get(3) {
                None => (true, ""),
                Some(b' ') => (true, line.get(4..).unwrap_or_default()),
                Some(b'-') => (false, line.get(4..).unwrap_or_default()),
                Some(_) => return Err(ReplyError::Malformed),
            };
            if self.lines.first().is_some_and(|(first, _)| *first != code) {
                return Err(ReplyError::Malformed);
            }
            self.lines.push((code, text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()));
            if last {
                return Ok(Some(whole(code, std::mem::take(&mut self.lines))));
            }
        }
    }
}

fn whole(code: u16, lines: Vec<(u16, String)>) -> Reply {
    let lines: Vec<String> = lines.into_iter().map(|(_, text)| text).collect();
    let begun = |text: &str| {
        let word = text.split(' ').next().unwrap_or_default();
        Status::parse(word).filter(|status| u16::from(status.class) == code / 100)
    };
    let status = lines.first().and_then(|text| begun(text));
    let bare = |text: &String| match begun(text) {
        Some(_) => text.split_once(' ').map_or("", |(_, rest)| rest).trim().to_owned(),
        None => text.trim().to_owned(),
    };
    let text = lines.iter().map(bare).collect::<Vec<_>>().join(" ");
    Reply { code, status, text: text.chars().take(MAX_TEXT).collect(), lines }
}

/// A message as DATA sends it: a dot doubled at the beginning of a line, and the line with a dot alone that ends it. Its lines end
/// with CRLF already; where the last one does not, it is ended.
// spec: rfc5321#4.5.2
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 64 + 5);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::smtp::body::{Body, Progress};
    use proptest::prelude::*;

    fn replies(text: &str, cut: usize) -> Vec<Result<Reply, ReplyError>> {
        let (mut replies, mut seen) = (Replies::default(), Vec::new());
        for piece in text.as_bytes().chunks(cut) {
            replies.feed(piece);
            loop {
                match replies.take() {
                    Ok(None) => break,
                    Ok(Some(reply)) => seen.push(Ok(reply)),
                    Err(error) => {
                        seen.push(Err(error));
                        return seen;
                    }
                }
            }
        }
        seen
    }

    #[test]
    fn whole_replies_however_they_come() {
        for cut in [1, 3, 1000] {
            let seen = replies("250-mx.c.cn\r\n250-SIZE 10\r\n250 8BITMIME\r\n550-5.1.1 no such\r\n550 5.1.1 user\r\n354\r\n", cut);
            let [Ok(hello), Ok(refused), Ok(go)] = seen.as_slice() else { panic!("{seen:?}") };
            assert_eq!(hello.lines, ["mx.c.cn", "SIZE 10", "8BITMIME"]);
            assert_eq!((refused.code, refused.status, refused.text.as_str()), (550, Some(Status::new(5, 1, 1)), "no such user"));
            assert_eq!((go.code, go.text.as_str(), go.is_positive()), (354, "", false));
        }
    }

    #[test]
    fn what_is_no_reply() {
        for (text, error) in [
            ("HTTP/1.1 200 OK\r\n", ReplyError::Malformed),
            ("250_x\r\n", ReplyError::Malformed),
            ("100 x\r\n", ReplyError::Malformed),
            ("250-a\r\n251 b\r\n", ReplyError::Malformed),
            ("25\r\n", ReplyError::Malformed),
            (&"x".repeat(70_000), ReplyError::Endless),
            (&"250-x\r\n".repeat(300), ReplyError::Endless),
        ] {
            assert_eq!(replies(text, 10_000).last(), Some(&Err(error)), "{text:.20}");
        }
        assert_eq!(replies("421 4.3.2 a\u{1}b\r\n", 100).remove(0).unwrap().text, "a b");
        assert_eq!(replies("250 5.1.1 odd\r\n", 100).remove(0).unwrap().status, None);
        for wrong in ["5.1", "5.1.1.1", "3.1.1", "5.1.1234", "5..1", "a.b.c"] {
            assert_eq!(Status::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_receiver_finds_the_message_again(lines in prop::collection::vec("[.a]{0,4}", 0..8)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let sent = stuffed(message.as_bytes());
            let (taken, progress) = Body::new(1_000).read(&sent);
            let whole = matches!(progress, Progress::End(Ok(ref found)) if found == message.as_bytes());
            prop_assert!(taken == sent.len() && whole);
        }
    }
}
