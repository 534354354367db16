//! Who a mail says it is from. Mail that comes from outside never bears an address of our own domain: bureaus' statements
//! do, and a reader must not have to tell a forged one by its missing seal.

use mail_parser::{HeaderValue, MessageParser};
use protocol::imap::content::charset::readings;
use protocol::smtp::exchange::{Envelope, Host};
use protocol::smtp::trace::{self, without_comments};
use unicode_normalization::UnicodeNormalization;

use super::fields::fields;

/// Where a reader sees an author, or a program that shows one.
const AUTHORS: [&str; 4] = ["From", "Sender", "Resent-From", "Resent-Sender"];

/// The most octets of all fields that name authors. No mail program shows so long a name, and to read one takes its time.
pub(super) const MAX_AUTHORS: usize = 16 << 10;

/// Why a mail from outside is not taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// The envelope's sender is of our domain.
    Envelope,
    /// An author, or what stands for the author's name, is of our domain.
    Author,
    /// The fields that name authors are longer than anybody's name.
    Endless,
    /// There are several From fields: which one is shown is up to the reader's program. spec: rfc5322#3.6
    SeveralFrom,
}

/// The address of the one author, in lower case.
pub(super) fn author(message: &[u8]) -> Option<String> {
    let (fields, _) = trace::fields(message);
    let is_from = |field: &&[u8]| field.split(|byte| *byte == b':').next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"From"));
    let from = fields.into_iter().filter(is_from).collect::<Vec<_>>().concat();
    let parsed = MessageParser::new().parse_headers(&from)?;
    let mut addresses = parsed.from()?.iter().filter_map(|one| one.address());
    addresses.next().filter(|_| addresses.next().is_none()).map(str::to_lowercase)
}

/// Judges envelope and header of a mail from outside. `domain` is ours.
pub fn judge(envelope: &Envelope, message: &[u8], domain: &str) -> Option<Forged> {
    let sender = envelope.reverse_path.as_ref().map(|address| address.host());
    if let Some(Host::Name(name)) = sender
        && ours(name.as_str(), domain)
    {
        return Some(Forged::Envelope);
    }
    let fields = authors(message);
    if fields.iter().map(|(_, value, _)| value.len()).sum::<usize>() > MAX_AUTHORS {
        return Some(Forged::Endless);
    }
    if fields.iter().filter(|(name, ..)| name.eq_ignore_ascii_case("From")).count() > 1 {
        return Some(Forged::SeveralFrom);
    }
    // As it stands, and as programs read it, by one decoder and another: any of these may be what a reader sees.
    let stands = fields.iter().any(|(_, value, _)| {
        claims_as_shown(&String::from_utf8_lossy(value), domain) || readings(value).iter().any(|text| claims_as_shown(text, domain))
    });
    // What else the header has says nothing of authors, and may take long to read. Folds stay: programs differ in what they make of them.
    let named: Vec<u8> = fields.iter().flat_map(|(name, _, folded)| [name.as_bytes(), b":", folded.trim_ascii_end(), b"\r\n"].concat()).chain(*b"\r\n").collect();
    let parsed = MessageParser::new().parse_headers(&named);
    let decoded = parsed.iter().flat_map(|message| message.headers()).filter(|header| is_author(header.name())).flat_map(|header| texts(header.value()));
    (stands || decoded.into_iter().any(|text| claims(&text, domain))).then_some(Forged::Author)
}

pub(super) fn ours(host: &str, domain: &str) -> bool {
    let host = as_seen(host);
    let host = host.trim_end_matches('.');
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether a text has an address of our domain in it, however it is spaced: as the address, or as a name that looks like one.
pub(super) fn claims(text: &str, domain: &str) -> bool {
    // Of these letters no other looks like the sign.
    if text.is_ascii() && !text.contains('@') {
        return false;
    }
    as_seen(text).split('@').skip(1).any(|after| {
        let host: String = after.chars().take_while(|c| c.is_alphanumeric() || ".-_".contains(*c)).collect();
        ours(&host, domain)
    })
}

/// The same of a text as it is, without what a program may skip, and without the signs that quote.
fn claims_as_shown(text: &str, domain: &str) -> bool {
    claims(text, domain)
        || (text.contains('(') && claims(&without_comments(text), domain))
        || (text.contains('\\') && claims(&text.replace('\\', ""), domain))
}

/// A text as a reader's eye takes it: wide, small and styled letters are the plain ones, and what leaves no mark is not
/// there. The ideographic full stop ends a label as the ordinary one does.
// spec: uax15 (NFKC), uts46#2.3
pub(super) fn as_seen(text: &str) -> String {
    // Of these letters each is what it looks like.
    if text.is_ascii() {
        let mut seen = String::with_capacity(text.len());
        seen.extend(text.bytes().filter(u8::is_ascii_graphic).map(|byte| char::from(byte.to_ascii_lowercase())));
        return seen;
    }
    let shown = text.nfkc().filter(|c| !c.is_whitespace() && !c.is_control() && !leaves_no_mark(*c));
    shown.flat_map(char::to_lowercase).map(|c| if c == '\u{3002}' { '.' } else { c }).collect()
}

/// Default ignorable code points.
// spec: uax44#Default_Ignorable_Code_Point
fn leaves_no_mark(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Names and addresses of a header, decoded.
fn texts(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Address(address) => {
            let parts = |one: &mail_parser::Addr<'_>| [one.name.as_deref().map(str::to_owned), one.address.as_deref().map(str::to_owned)];
            address.iter().flat_map(parts).flatten().collect()
        }
        HeaderValue::Text(text) => vec![text.to_string()],
        HeaderValue::TextList(texts) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn is_author(name: &str) -> bool {
    AUTHORS.iter().any(|author| author.eq_ignore_ascii_case(name.trim()))
}

/// The header's fields that name authors: name, octets unfolded, octets as they stand.
fn authors(message: &[u8]) -> Vec<(String, Vec<u8>, &[u8])> {
    let named = fields(message).filter(|(name, _)| is_author(name));
    named.map(|(name, value)| (name, value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect(), value)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::smtp::exchange::{Answer, Domain, Output, Request};
    use protocol::smtp::session::{Role, Session, Settings};

    use super::*;

    const DOMAIN: &str = "mail.gz.example";

    fn envelope(from: &str) -> Envelope {
        let host = Domain::parse("mx.b.cn").unwrap();
        let (mut session, _) = Session::new(Settings { host, tls: false, starttls: false, role: Role::Exchange, dsn: false, offer: protocol::sasl::Offer::default(), budget: protocol::budget::Budget::default(), max_size: 1_000, max_recipients: 1, max_copies: 1_000 });
        let mut out = session.receive(format!("EHLO x\r\nMAIL FROM:<{from}>\r\nRCPT TO:<a@b.cn>\r\n").as_bytes());
        out.extend(session.answer(Answer::Known));
        out.extend(session.receive(b"DATA\r\nx\r\n.\r\n"));
        let delivered = out.into_iter().find_map(|output| match output {
            Output::Do(Request::Deliver { envelope, .. }) => Some(envelope),
            _ => None,
        });
        delivered.unwrap()
    }

    fn judged(header: &str) -> Option<Forged> {
        judged_octets(header.as_bytes())
    }

    fn judged_octets(header: &[u8]) -> Option<Forged> {
        judge(&envelope("friend@example.com"), &[header, format!("\r\n\r\nFrom: gjj@{DOMAIN}\r\n").as_bytes()].concat(), DOMAIN)
    }

    /// ＠ is A3C0 in GBK, 2340 in the dress of hz, A249 in Big5, 8197 in Shift JIS.
    #[test]
    fn what_programs_of_here_would_show_is_looked_at() {
        for header in [
            &b"From: gjj\xa3\xc0mail.gz.example <evil@example.com>"[..],
            b"From: \"gjj\xa3\xc0mail.gz.example\" <evil@example.com>",
            b"From: \"gjj\xa3\xc0ma\\il.gz.example\" <evil@example.com>",
            b"From: gjj\xa3\xc0(hi)mail.gz.example <evil@example.com>",
            b"From: gjj\xa3\xc0mail.gz\r\n .example <evil@example.com>",
            b"From: \xb9\xab =?utf-8?Q?x?= gjj\xa3\xc0mail.gz.example <evil@example.com>",
            b"From: gjj\xa2\x49mail.gz.example <evil@example.com>",
            b"From: gjj\x81\x97mail.gz.example <evil@example.com>",
            b"From: =?gb2312?Q?gjj=A3?= =?GB2312?Q?=C0mail.gz.example?= <evil@example.com>",
            b"From: =?gb2312?Q?gjj=A3?=\r\n =?gbk?B?wG1haWwuZ3ouZXhhbXBsZQ==?= <evil@example.com>",
            b"From: \"=?utf-8?Q?gjj=EF?= =?utf-8?Q?=BC=A0mail.gz.example?=\" <evil@example.com>",
            b"From: =?hz-gb-2312?B?Z2pqfnsjQH59bWFpbC5nei5leGFtcGxl?= <evil@example.com>",
            b"From: =?us-ascii?Q?gjj=A3=C0mail.gz.example?= <evil@example.com>",
            b"Sender: gjj\xa3\xc0mail.gz.example <evil@example.com>\r\nFrom: evil@example.com",
        ] {
            assert_eq!(judged_octets(header), Some(Forged::Author), "{}", header.escape_ascii());
        }
        for header in [&b"From: \xb9\xab\xbb\xfd\xbd\xf0 <friend@example.com>"[..], b"From: \xb9\xab\xa3\xc0example.com <friend@example.com>", b"From: =?hz-gb-2312?B?fns5K359?= <friend@example.com>"] {
            assert_eq!(judged_octets(header), None, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_taken() {
        for header in [
            "From: A friend <friend@example.com>",
            "From: friend@example.com\r\nTo: gjj@mail.gz.example\r\nSubject: about gjj@mail.gz.example",
            "From: friend@notmail.gz.example",
            "From: friend@mail.gz.example.com",
            "Subject: no author at all",
            "From: =?UTF-8?B?5L2g5aW9?= <friend@example.com>\r\nReply-To: gjj@mail.gz.example",
        ] {
            assert_eq!(judged(header), None, "{header}");
        }
        assert_eq!(judged("From: 好友\u{3002}mail.gz.example <friend@example.com>"), None);
        assert_eq!(judge(&envelope(""), b"From: <mailer-daemon@example.com>\r\n\r\n", DOMAIN), None);
    }

    #[test]
    fn what_bears_our_domain_is_not() {
        for header in [
            "From: gjj@mail.gz.example",
            "from: <GJJ@MAIL.GZ.EXAMPLE>",
            "From : gjj@mail.gz.example.",
            "From: \"gjj@mail.gz.example\" <evil@example.com>",
            "From: =?UTF-8?B?Z2pqQG1haWwuZ3ouZXhhbXBsZQ==?= <evil@example.com>",
            "From: evil@example.com, gjj@mail.gz.example",
            "From: gjj @ mail.gz\r\n .example",
            "From: gjj@(hi)mail.gz.example",
            "From: gjj@(\\() mail.gz.example",
            // What only some programs take for a field, or for an encoded word.
            "From: =?utf-8?Q?gjj=4\r\n 0mail.gz.example?= <evil@example.com>",
            "From: friend@example.com\r\nSender: a@example.com\r\nSender: gjj@mail.gz.example",
            "garbage\r\n From: gjj@mail.gz.example",
            "Fr om: gjj@mail.gz.example",
            ":From: gjj@mail.gz.example",
            "From: gjj\u{ff20}mail.gz.example <evil@example.com>",
            "From: gjj\u{fe6b}mail.gz.example <evil@example.com>",
            "From: gjj@ma\u{200b}il.gz.example <evil@example.com>",
            "From: gjj@mail\u{3002}gz\u{ff0e}example <evil@example.com>",
            "From: gjj@\u{ff4d}\u{ff21}il.gz.\u{1d41e}xample <evil@example.com>",
            "From: gjj@mail.\u{3164}gz\u{ad}.ex\u{fe0f}am\u{e0020}ple\u{2060} <evil@example.com>",
            "From: =?UTF-8?B?Z2pqQG1h4oCLaWwuZ3ouZXhhbXBsZQ==?= <evil@example.com>",
            "From: any@sub.mail.gz.example",
            "Sender: gjj@mail.gz.example\r\nFrom: friend@example.com",
            "From: group: gjj@mail.gz.example;",
        ] {
            assert_eq!(judged(header), Some(Forged::Author), "{header}");
        }
        assert_eq!(judged("From: friend@example.com\r\nFrom: other@example.com"), Some(Forged::SeveralFrom));
        for from in ["gjj@mail.gz.example", "gjj@MAIL.gz.example", "x@sub.mail.gz.example"] {
            assert_eq!(judge(&envelope(from), b"From: friend@example.com\r\n\r\n", DOMAIN), Some(Forged::Envelope), "{from}");
        }
    }
}
