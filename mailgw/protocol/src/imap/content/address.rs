//! Addresses of a field. mail-parser finds where each begins and ends; what their names say is not its business: it reads every encoded
//! word alone and raw octets as UTF-8, so a character cut in two, and what programs of here write, would be lost.
use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, HeaderValue};

use super::charset::{guessed, guesses, word_length, words};

/// Stands on both sides of the number of an encoded word while addresses are told apart. No character of any text: unicode#23.7
const MARK: char = '\u{fdd0}';

/// Names as they stand, their encoded words not read; raw octets are what they are taken for.
pub(super) fn addresses(value: &[u8]) -> Option<Address<'static>> {
    of_text(&guessed(value))
}

/// What programs may show as the name of somebody in this field.
pub fn names(value: &[u8]) -> Vec<String> {
    let read = |text: &String| {
        let found = of_text(text);
        let named = found.iter().flat_map(Address::iter).filter_map(Addr::name);
        named.map(|name| words(name.as_bytes())).collect::<Vec<_>>()
    };
    guesses(value).iter().flat_map(read).collect()
}

fn of_text(text: &str) -> Option<Address<'static>> {
    let (masked, mut hidden) = mask(&text.replace(MARK, ""));
    let mut masked = mask_local_parts(masked, &mut hidden);
    masked.push('\n');
    let HeaderValue::Address(found) = MessageStream::new(masked.as_bytes()).parse_address() else { return None };
    let mut found = found.into_owned();
    if !hidden.is_empty() {
        let mut one = |addr: &mut Addr<'static>| {
            part_name(addr);
            [&mut addr.name, &mut addr.address].into_iter().flatten().for_each(|text| show(text.to_mut(), &mut hidden));
        };
        match &mut found {
            Address::List(all) => all.iter_mut().for_each(one),
            Address::Group(groups) => groups.iter_mut().for_each(|group| {
                group.addresses.iter_mut().for_each(&mut one);
            }),
        }
        if let Address::Group(groups) = &mut found {
            groups.iter_mut().filter_map(|group| group.name.as_mut()).for_each(|name| show(name.to_mut(), &mut hidden));
        }
    }
    Some(found)
}

/// A name in encoded words before an address without its angle brackets, as some programs send it.
fn part_name(addr: &mut Addr<'static>) {
    if addr.name.is_none()
        && let Some((name, address)) = addr.address.as_deref().and_then(|text| text.rsplit_once(MARK))
        && address.starts_with(char::is_whitespace)
        && !address.trim().is_empty()
    {
        (addr.name, addr.address) = (Some(format!("{name}{MARK}").into()), Some(address.trim().to_owned().into()));
    }
}

/// The text with its encoded words hidden: many hold what would part addresses. What only begins like one is hidden, too, so that mail-parser
/// finds none: it would look for the end of each to the end of the field, and what it decodes might hold our marks.
fn mask(text: &str) -> (String, Vec<String>) {
    let (mut out, mut hidden, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((before, from)) = rest.find("=?").and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let word = word_length(from.as_bytes()).and_then(|length| from.split_at_checked(length));
        let (word, after) = word.or_else(|| from.split_at_checked(2)).unwrap_or((from, ""));
        out.push_str(&format!("{MARK}{}{MARK}", hidden.len()));
        hidden.push(word.to_owned());
        rest = after;
    }
    out.push_str(rest);
    (out, hidden)
}

/// Local parts in quotation marks are hidden, too: without angle brackets around the address mail-parser takes them for names, and puts a
/// comment behind them. What they escape is read.
fn mask_local_parts(text: String, hidden: &mut Vec<String>) -> String {
    if !text.contains("\"@") {
        return text;
    }
    let (mut out, mut rest, mut comments) = (String::with_capacity(text.len()), text.as_str(), 0_usize);
    while let Some((before, from)) = rest.find(['"', '(', ')', '\\']).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let length = match from.as_bytes().first() {
            Some(b'"') if comments == 0 => quoted_length(from),
            Some(b'(') => {
                comments += 1;
                1
            }
            Some(b')') => {
                comments = comments.saturating_sub(1);
                1
            }
            Some(b'\\') => 1 + from.chars().nth(1).map_or(0, char::len_utf8),
            _ => 1,
        };
        let (piece, after) = from.split_at_checked(length).unwrap_or((from, ""));
        rest = after;
        if piece.len() > 1 && piece.starts_with('"') && after.starts_with('@') {
            // spec: rfc5322#4.4 words before it, each with its dot, are of the local part
            let kept = if out.ends_with('.') { out.trim_end_matches(|c: char| !c.is_whitespace() && !"()<>[]:;@\\,\"".contains(c)).len() } else { out.len() };
            let mut local = format!("\"{}{}\"", out.split_off(kept), unescaped(piece));
            show(&mut local, hidden);
            out.push_str(&format!("{MARK}{}{MARK}", hidden.len()));
            hidden.push(local);
        } else {
            out.push_str(piece);
        }
    }
    out.push_str(rest);
    out
}

/// Octets of the quoted string that `text` begins with; all of them where it has no end. spec: rfc5322#3.2.4
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// What a quoted string says.
fn unescaped(quoted: &str) -> String {
    let (mut said, mut escaped) = (String::new(), false);
    for char in quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted).chars() {
        escaped = char == '\\' && !escaped;
        if !escaped {
            said.push(char);
        }
    }
    said
}

/// Each word is shown once: none stands in a field twice.
fn show(text: &mut String, hidden: &mut [String]) {
    if text.contains(MARK) {
        // Every second piece is a number.
        let pieces = text.split(MARK).enumerate();
        let shown = pieces.map(|(at, piece)| if at % 2 == 0 { piece.to_owned() } else { piece.parse().ok().and_then(|at: usize| hidden.get_mut(at)).map(std::mem::take).unwrap_or_default() });
        *text = shown.collect();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine as _;

    use super::*;

    fn read(value: &str) -> Vec<(String, String)> {
        let found = addresses(value.as_bytes()).unwrap();
        found.iter().map(|addr| (addr.name().map(|name| words(name.as_bytes())).unwrap_or_default(), addr.address().unwrap_or_default().to_owned())).collect()
    }

    /// Marks of a sender's own, in words that are too long to be any, or behind a sign that is taken out, show nothing many times over.
    #[test]
    fn what_is_shown_is_no_longer_than_what_stands() {
        let marks = base64::engine::general_purpose::STANDARD.encode(format!("{MARK}0{MARK}").repeat(2_000));
        let long = "a".repeat(1_900);
        for value in [
            format!("=?utf-8?Q?{long}?= =?utf-8?B?{marks}?= <a@b.example>"),
            format!("=?utf-8?Q?{long}?= ={MARK}?utf-8?B?{marks}?= <a@b.example>"),
            format!("=?utf-8?Q?{long}?= {} <a@b.example>", format!("{MARK}0{MARK}").repeat(2_000)),
            format!("\"{}\" <a@b.example>", "=?ab?Q?x ".repeat(2_000)),
        ] {
            let found = addresses(value.as_bytes()).unwrap();
            let shown: usize = found.iter().map(|addr| addr.name().map_or(0, str::len) + addr.address().map_or(0, str::len)).sum();
            assert!(shown <= value.len(), "{shown} of {}", value.len());
        }
    }

    #[test]
    fn a_name_before_an_address_without_its_brackets_is_a_name() {
        assert_eq!(read("=?utf-8?B?5byg5LiJ?= zhang@example.cn"), [("张三".to_owned(), "zhang@example.cn".to_owned())]);
        // What stands in brackets is an address, whatever it looks like.
        assert_eq!(read("<bounce=?x@example.com>"), [(String::new(), "bounce=?x@example.com".to_owned())]);
        assert_eq!(read("<=?utf-8?B?5byg5LiJ?=@example.cn>"), [(String::new(), "=?utf-8?B?5byg5LiJ?=@example.cn".to_owned())]);
        assert_eq!(read("=?utf-8?B?5byg?= =?utf-8?B?5LiJ?= <zhang@example.cn>, li@example.cn"), [("张三".to_owned(), "zhang@example.cn".to_owned()), (String::new(), "li@example.cn".to_owned())]);
    }
}
