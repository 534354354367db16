//! The trace fields a server writes above a message it takes.
use std::borrow::Cow;
use std::net::IpAddr;

use time::{OffsetDateTime, UtcOffset};

use super::exchange::{Domain, Envelope, Host};

/// spec: rfc5321#6.3 a hundred servers are a circle
pub const MAX_HOPS: usize = 100;

/// The most octets and lines of a header: whoever reads it holds every field, many times its size.
pub const MAX_HEADER: usize = 256 * 1024;
pub const MAX_HEADER_LINES: usize = 5_000;

/// Pieces of a message without some of its fields, beyond which the rest is put together: whoever has a thousand taken out has millions.
const MOST_PIECES: usize = 1_000;

/// Whether the header ends within the bounds.
pub fn header_is_bounded(message: &[u8]) -> bool {
    let mut octets = 0;
    for (count, line) in lines(message).enumerate() {
        octets += line.len() + 1;
        if octets > MAX_HEADER || count >= MAX_HEADER_LINES {
            return false;
        }
    }
    true
}

/// `Received:` as this server, `by`, writes it: from whom, how, and when. The recipient is named only when there is no other,
/// so nobody learns of a blind copy. `id`: characters other than letters, digits, `.` and `-` are left out.
// spec: rfc5321#4.4 rfc3848#1 rfc6531#4.3
pub fn received(envelope: &Envelope, by: &Domain, time: OffsetDateTime, peer: IpAddr, id: &str) -> Vec<u8> {
    let with = match (envelope.smtputf8, envelope.hello.extended(), envelope.tls) {
        (true, _, _) if envelope.hello.local() => "UTF8LMTP",
        (false, _, _) if envelope.hello.local() => "LMTP",
        (true, _, true) => "UTF8SMTPS",
        (true, _, false) => "UTF8SMTP",
        (_, true, true) => "ESMTPS",
        (_, true, false) => "ESMTP",
        // HELO under TLS has no registered name of its own: the TLS came by STARTTLS, which is an extension.
        (_, false, true) => "ESMTPS",
        (_, false, false) => "SMTP",
    };
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(128).collect();
    let only = match envelope.recipients.as_slice() {
        [recipient] => format!("\r\n\tfor <{}>", recipient.as_str()),
        _ => String::new(),
    };
    let (hello, peer, by) = (envelope.hello.name(), Host::Literal(peer.to_canonical()), by.as_str());
    format!("Received: from {hello} ({peer})\r\n\tby {by} with {with} id {id}{only};\r\n\t{}\r\n", date(time)).into_bytes()
}

/// The same for a message of somebody who logged in: where its writer sits is nobody else's business.
// spec: rfc3848#1 rfc6409#8
pub fn submitted(envelope: &Envelope, by: &Domain, time: OffsetDateTime, id: &str) -> Vec<u8> {
    let with = if envelope.smtputf8 { "UTF8SMTPSA" } else { "ESMTPSA" };
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(128).collect();
    format!("Received: by {} with {with} id {id};\r\n\t{}\r\n", by.as_str(), date(time)).into_bytes()
}

/// `Return-Path:` as the last server writes it. spec: rfc5321#4.4
pub fn return_path(envelope: &Envelope) -> Vec<u8> {
    format!("Return-Path: <{}>\r\n", envelope.reverse_path.as_ref().map_or("", |address| address.as_str())).into_bytes()
}

/// How many servers the message says it passed: its `Received` fields, counted up to [`MAX_HOPS`] and one.
pub fn hops(message: &[u8]) -> usize {
    let received = |line: &&[u8]| line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"Received:"));
    lines(message).filter(received).take(MAX_HOPS + 1).count()
}

/// The lines of the header, without their line feeds.
fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    let line = std::iter::from_fn(move || {
        let rest = message.get(at..)?;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        at += end + 1;
        rest.get(..end)
    });
    line.take_while(|line| !matches!(line, [] | [b'\r']))
}

/// The message without the `Authentication-Results` fields that claim to be of this host: whoever sent them, it was not us.
/// Everything else keeps its octets.
// spec: rfc8601#5
pub fn without_our_verdicts<'m>(message: &'m [u8], host: &Domain) -> Cow<'m, [u8]> {
    without_fields(message, |field| is_verdict_of(field, host))
}

/// The message without those fields of its header, each given whole, that `unwanted` names.
pub fn without_fields(message: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    let mut pieces = pieces_without_fields(message, unwanted);
    if pieces.len() == 1 { pieces.remove(0) } else { Cow::Owned(pieces.concat()) }
}

/// The same in the few pieces that are left, without a copy of a large message.
pub fn pieces_without_fields(message: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Vec<Cow<'_, [u8]>> {
    let mut kept = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(end) = field_end(message, at) {
        if unwanted(message.get(at..end).unwrap_or_default()) {
            keep(&mut kept, message.get(from..at).unwrap_or_default(), message.len() - from);
            from = end;
        }
        at = end;
    }
    keep(&mut kept, message.get(from..).unwrap_or_default(), message.len() - from);
    kept
}

/// `left`: octets of this piece and all that follow it.
fn keep<'m>(kept: &mut Vec<Cow<'m, [u8]>>, piece: &'m [u8], left: usize) {
    let full = kept.len() == MOST_PIECES;
    match kept.last_mut() {
        _ if piece.is_empty() => {}
        Some(Cow::Owned(rest)) => rest.extend_from_slice(piece),
        _ if full => {
            let mut rest = Vec::with_capacity(left);
            rest.extend_from_slice(piece);
            kept.push(Cow::Owned(rest));
        }
        _ => kept.push(Cow::Borrowed(piece)),
    }
}

/// The fields of the header, each whole with its line ends, and where the header ends.
pub fn fields(message: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut fields, mut at) = (Vec::new(), 0);
    while let Some(end) = field_end(message, at) {
        fields.push(message.get(at..end).unwrap_or_default());
        at = end;
    }
    (fields, at)
}

/// Where the field that begins at `at` ends, its folded lines included; `None` at the end of the header.
fn field_end(message: &[u8], at: usize) -> Option<usize> {
    if matches!(message.get(at..)?, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
        return None;
    }
    let mut end = at;
    loop {
        let rest = message.get(end..)?;
        if end > at && !matches!(rest.first(), Some(b' ' | b'\t')) {
            return Some(end);
        }
        end += memchr::memchr(b'\n', rest).map_or(rest.len(), |feed| feed + 1);
    }
}

/// The authserv-id is the first word after the name; comments before it are passed over. spec: rfc8601#2.2
pub fn is_verdict_of(field: &[u8], host: &Domain) -> bool {
    let text = String::from_utf8_lossy(field);
    let Some((name, value)) = text.split_once(':') else { return false };
    if !name.trim().eq_ignore_ascii_case("Authentication-Results") {
        return false;
    }
    // Whose words it is that cannot be read, nobody knows: a reader's program may take them for ours.
    authserv_id(value).is_none_or(|id| id.trim_end_matches('.').eq_ignore_ascii_case(host.as_str()))
}

/// A word, or a string in quotes, after any comments. spec: rfc8601#2.2, rfc2045#5.1
fn authserv_id(value: &str) -> Option<String> {
    let bare = without_comments(value);
    let bare = bare.trim_start();
    let Some(quoted) = bare.strip_prefix('"') else {
        let id = bare.split(|c: char| c.is_whitespace() || c == ';').next()?;
        return (!id.is_empty() && !id.contains(['"', '\\', '(', ')'])).then(|| id.to_owned());
    };
    let (mut id, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next()? {
            '"' => return Some(id),
            '\\' => id.push(rest.next()?),
            c => id.push(c),
        }
    }
}

/// A structured field's value without its comments; strings in quotes stay as they are. spec: rfc5322#3.2.2
pub fn without_comments(value: &str) -> String {
    let (mut depth, mut quoted, mut escaped, mut out) = (0_u32, false, false, String::new());
    for c in value.chars() {
        let literal = std::mem::take(&mut escaped);
        match c {
            _ if literal => {
                if depth == 0 {
                    out.push(c);
                }
            }
            '\\' if quoted || depth > 0 => {
                escaped = true;
                if depth == 0 {
                    out.push(c);
                }
            }
            '"' if depth == 0 => {
                quoted = !quoted;
                out.push(c);
            }
            '(' if !quoted => depth = depth.saturating_add(1),
            ')' if !quoted && depth > 0 => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// As `Date` and `Received` write it. spec: rfc5322#3.3
pub fn date(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (weekday, month) = (time.weekday().to_string(), time.month().to_string());
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let (hour, minute, second) = time.to_hms();
    format!("{}, {:02} {} {:04} {hour:02}:{minute:02}:{second:02} +0000", short(&weekday), time.day(), short(&month), time.year())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn left(header: &str) -> String {
        let host = Domain::parse("mx.b.cn").unwrap();
        let message = format!("{header}\r\nAuthentication-Results: mx.b.cn; body\r\n");
        String::from_utf8(without_our_verdicts(message.as_bytes(), &host).into_owned()).unwrap().replace("\r\nAuthentication-Results: mx.b.cn; body\r\n", "")
    }

    #[test]
    fn headers_are_bounded_in_octets_and_lines() {
        let message = |header: Vec<u8>| [&header[..], b"\r\n", &b"a:\r\n".repeat(10_000)].concat();
        assert!(header_is_bounded(&message(b"a: b\r\n".repeat(4_999))));
        assert!(!header_is_bounded(&message(b"a:\r\n".repeat(5_001))));
        assert!(!header_is_bounded(&b"a:\r\n".repeat(1 << 20)));
        assert!(header_is_bounded(&message([&vec![b'a'; MAX_HEADER - 2][..], b"\r\n"].concat())));
        assert!(!header_is_bounded(&message([&vec![b'a'; MAX_HEADER][..], b"\r\n"].concat())));
        assert!(header_is_bounded(b"") && !header_is_bounded(&vec![b'a'; MAX_HEADER + 1]));
    }

    #[test]
    fn verdicts_in_our_name_go_and_nothing_else() {
        let rest = "From: a@c.cn\r\nAuthentication-Results: other.cn; spf=pass\r\nSubject: x\r\n\ty\r\n";
        for ours in [
            "Authentication-Results: mx.b.cn; spf=pass\r\n",
            "authentication-results : MX.B.CN.;\r\n\tdkim=pass\r\n dmarc=pass\r\n",
            "Authentication-Results:\r\n (of (course)) \"mx.b.cn\" 1; none\r\n",
            "Authentication-Results: mx.b.cn\r\n",
            "Authentication-Results: (\\() mx.b.cn; dmarc=pass\r\n",
            "Authentication-Results: (a\\)b) mx.b.cn; dmarc=pass\r\n",
            "Authentication-Results: \"mx\\.b.cn\"; dmarc=pass\r\n",
            // What nobody can read is nobody's.
            "Authentication-Results: (never closed mx.b.cn; dmarc=pass\r\n",
            "Authentication-Results: \"mx.b.cn; dmarc=pass\r\n",
            "Authentication-Results: mx\\.b.cn; dmarc=pass\r\n",
            "Authentication-Results: ; dmarc=pass\r\n",
        ] {
            assert_eq!(left(&format!("{ours}{rest}")), rest, "{ours}");
            assert_eq!(left(&format!("{rest}{ours}")), rest, "{ours}");
            assert_eq!(left(&format!("{ours}{ours}{rest}{ours}")), rest, "{ours}");
        }
        for other in [rest, "", "Authentication-Results: mx.b.cn.evil; spf=pass\r\n", "X: mx.b.cn\r\n", "Authentication-Results: not mx.b.cn\r\n"] {
            assert_eq!(left(other), other);
        }
        let host = Domain::parse("mx.b.cn").unwrap();
        for odd in [b"".as_slice(), b"\r\n", b"x", b" folded first\r\n", b"Authentication-Results: mx.b.cn"] {
            let kept = without_our_verdicts(odd, &host);
            assert!(kept.is_empty() || *kept == *odd);
        }
    }
}
