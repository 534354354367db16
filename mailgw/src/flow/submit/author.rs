//! Who a submitted message says it is from: one address, and one of whoever is logged in.
//!
//! Read twice, by a strict reader here and by the parser that readers' programs resemble: both must see the same one address.

use mail_parser::MessageParser;
use protocol::imap::content::names;
use protocol::smtp::exchange::Address;
use protocol::smtp::trace;

use crate::flow::authors::{MAX_AUTHORS, as_seen, claims};

/// Whose address a header may bear beside From, when it is there.
const OTHERS: [&str; 3] = ["Sender", "Resent-From", "Resent-Sender"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A line of the header is no field: where one program goes on reading another stops.
    Malformed,
    /// From is missing, there several times, or not one address.
    Author,
    /// An address that is not the sender's own, or a name that looks like another's here.
    NotYours,
}

/// `own` says whether an address belongs to whoever is logged in; `domain` is ours.
pub(super) fn judge(message: &[u8], domain: &str, own: impl Fn(&Address) -> bool) -> Result<(), Wrong> {
    let (fields, _) = trace::fields(message);
    let fields: Vec<(&str, Vec<u8>)> = fields.into_iter().map(field).collect::<Option<_>>().ok_or(Wrong::Malformed)?;
    let named = |name: &str| fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice()).collect::<Vec<_>>();
    // spec: rfc5322#3.6 rfc6409#6.1
    let [from] = named("From").try_into().map_err(|_| Wrong::Author)?;
    if from.len() > MAX_AUTHORS {
        return Err(Wrong::Author);
    }
    let author = one_address(&String::from_utf8_lossy(from)).ok_or(Wrong::Author)?;
    for name in OTHERS {
        for value in named(name) {
            let address = one_address(&String::from_utf8_lossy(value)).ok_or(Wrong::Author)?;
            if !own(&address) {
                return Err(Wrong::NotYours);
            }
        }
    }
    // With its folds: programs differ in what they make of them.
    let is_from = |field: &&[u8]| field.split(|byte| *byte == b':').next().is_some_and(|name| name.eq_ignore_ascii_case(b"From"));
    let folded = trace::fields(message).0.into_iter().find(is_from).unwrap_or_default();
    let parsed = [folded.trim_ascii_end(), b"\r\n\r\n"].concat();
    let parsed = MessageParser::new().parse_headers(&parsed).ok_or(Wrong::Malformed)?;
    let mut seen = parsed.from().into_iter().flat_map(mail_parser::Address::iter);
    let (Some(first), None) = (seen.next(), seen.next()) else { return Err(Wrong::Author) };
    if first.address() != Some(author.as_str()) {
        return Err(Wrong::Author);
    }
    // A name such as `gjj@our.domain` before an address of one's own would be taken for the institution, by whatever program shows it.
    let poses = |name: &str| claims(name, domain) && as_seen(name) != as_seen(author.as_str());
    let posing = first.name().is_some_and(poses) || names(from).iter().any(|name| poses(name));
    if !own(&author) || posing { Err(Wrong::NotYours) } else { Ok(()) }
}

/// A field's name and what it says, unfolded. spec: rfc5322#2.2
fn field(field: &[u8]) -> Option<(&str, Vec<u8>)> {
    let (name, value) = field.split_at_checked(field.iter().position(|byte| *byte == b':')?)?;
    let name = std::str::from_utf8(name).ok()?;
    let value = value.iter().skip(1).copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let plain = !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    plain.then_some((name, value))
}

/// The one address of `address` or `name <address>`; `None` for lists, groups, and what two readers may read differently.
fn one_address(value: &str) -> Option<Address> {
    let bare = outside(value)?;
    // An address of its own in quotes, or with a comma, is nobody's here.
    if bare.contains([',', ';', ':', '\\']) {
        return None;
    }
    let address = match bare.split_once('<') {
        Some((name, rest)) => {
            let (address, after) = rest.split_once('>')?;
            let alone = after.trim().is_empty() && !name.contains(['@', '>']) && !address.contains('<');
            alone.then_some(address)?
        }
        None => bare.trim(),
    };
    Address::parse(address).ok()
}

/// A header's text without quoted strings and comments; `None` where one has no end or is nested too deep.
fn outside(value: &str) -> Option<String> {
    let (mut out, mut depth, mut quoted) = (String::new(), 0_u32, false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted || depth > 0 => {
                chars.next()?;
            }
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => depth = depth.checked_add(1).filter(|depth| *depth <= 10)?,
            ')' => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            c => out.push(c),
        }
    }
    (depth == 0 && !quoted).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judged(header: &str) -> Result<(), Wrong> {
        judged_octets(header.as_bytes())
    }

    fn judged_octets(header: &[u8]) -> Result<(), Wrong> {
        judge(&[header, b"\r\n\r\nFrom: x@y.cn\r\n"].concat(), "mail.gz.example", |address| address.as_str().eq_ignore_ascii_case("me@mail.gz.example"))
    }

    #[test]
    fn ones_own_address_however_it_is_written() {
        for header in [
            "From: me@mail.gz.example",
            "from: <ME@mail.gz.example>",
            "From: \"Doe, J. (me) <x>\" <me@mail.gz.example>",
            "From: =?UTF-8?B?5byg5LiJ?=\r\n <me@mail.gz.example>",
            "From: me@mail.gz.example (a comment)",
            "Sender: me@mail.gz.example\r\nFrom: me@mail.gz.example",
        ] {
            assert_eq!(judged(header), Ok(()), "{header}");
        }
        assert_eq!(judged("From: \"me@mail.gz.example\" <me@mail.gz.example>"), Ok(()));
    }

    #[test]
    fn nobody_elses() {
        for (header, wrong) in [
            ("Subject: none", Wrong::Author),
            ("From: me@mail.gz.example <me@mail.gz.example>", Wrong::Author),
            ("From: me@mail.gz.example\r\nFrom: me@mail.gz.example", Wrong::Author),
            ("From: me@mail.gz.example, you@mail.gz.example", Wrong::Author),
            ("From: all: me@mail.gz.example;", Wrong::Author),
            ("From: you@mail.gz.example", Wrong::NotYours),
            ("From: me@elsewhere.example", Wrong::NotYours),
            ("From: \"gjj@mail.gz.example\" <me@mail.gz.example>", Wrong::NotYours),
            ("From: =?UTF-8?B?Z2pqQG1haWwuZ3ouZXhhbXBsZQ==?= <me@mail.gz.example>", Wrong::NotYours),
            ("From: <you@mail.gz.example> <me@mail.gz.example>", Wrong::Author),
            ("From: (me@mail.gz.example", Wrong::Author),
            ("From: \"me@mail.gz.example", Wrong::Author),
            ("From: ", Wrong::Author),
            ("Sender: you@mail.gz.example\r\nFrom: me@mail.gz.example", Wrong::NotYours),
            ("Resent-From: you@mail.gz.example\r\nFrom: me@mail.gz.example", Wrong::NotYours),
            ("no field\r\nFrom: me@mail.gz.example", Wrong::Malformed),
            ("From : me@mail.gz.example", Wrong::Malformed),
            (" folded: first\r\nFrom: me@mail.gz.example", Wrong::Malformed),
        ] {
            assert_eq!(judged(header), Err(wrong), "{header}");
        }
    }

    #[test]
    fn nobody_elses_in_the_charsets_of_here() {
        for header in [
            &b"From: gjj\xa3\xc0mail.gz.example <me@mail.gz.example>"[..],
            b"From: \"gjj\xa3\xc0mail.gz.example\" <me@mail.gz.example>",
            b"From: =?gb2312?Q?gjj=A3?=\r\n =?gbk?Q?=C0mail.gz.example?= <me@mail.gz.example>",
            b"From: =?hz-gb-2312?B?Z2pqfnsjQH59bWFpbC5nei5leGFtcGxl?= <me@mail.gz.example>",
            b"From: gjj\xa2\x49mail.gz.example <me@mail.gz.example>",
            b"From: me@mail.gz.example (gjj\xa3\xc0mail.gz.example)",
        ] {
            assert_eq!(judged_octets(header), Err(Wrong::NotYours), "{}", header.escape_ascii());
        }
        for header in [&b"From: \xb9\xab\xbb\xfd\xbd\xf0 <me@mail.gz.example>"[..], b"From: me\xa3\xc0mail.gz.example <me@mail.gz.example>", b"From: =?hz-gb-2312?B?fns5K359?= <me@mail.gz.example>"] {
            assert_eq!(judged_octets(header), Ok(()), "{}", header.escape_ascii());
        }
    }
}
